"""Cases of `operator_changes/channel_moves.py`."""

from tests.fixes.fix_case import FixCase, pattern

CASES = (
    FixCase("concatenate-by-adding", pattern("concat_2"), 3),
    FixCase("select-channels", pattern("break_gather"), 2),
)
