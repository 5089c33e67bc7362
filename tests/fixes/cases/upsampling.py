"""Cases of `operator_changes/upsampling.py`."""

from tests.fixes.fix_case import FixCase, pattern

CASES = (FixCase("nearest-in-steps", pattern("resize_nearest"), 2, ignore=()),)
