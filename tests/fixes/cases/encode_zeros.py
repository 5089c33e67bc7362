"""Cases of `operator_changes/encode_zeros.py`."""

from tests.fixes.fix_case import FixCase, pattern

CASES = (
    FixCase("encode-zeros", pattern("weights_dense"), 2),
    FixCase("encode-zeros", pattern("weights_fp16"), 2),
)
