"""Cases of `operator_changes/entry_weaving.py`."""

from tests.fixes.fix_case import FixCase, pattern

CASES = (FixCase("entry-by-weaving", pattern("stem_stride_1"), 1, ignore=()),)
