"""Cases of `operator_changes/magnitude_pruning.py`."""

from tests.fixes.fix_case import FixCase, pattern

CASES = (FixCase("prune", pattern("zeros_aggregate_below"), 2, unsafe=True, prune=0.8),)
