"""Cases of `operator_changes/transposed_convolutions.py`."""

from tests.fixes.fix_case import FixCase
from tests.fixes.test_fix_upsampling import segmentation

CASES = (FixCase("upsample-by-depth-to-space", segmentation, 5),)
