"""Cases of `operator_changes/pointwise_forms.py`."""

from tests.fixes.fix_case import FixCase, pattern

CASES = (
    FixCase("multiply-channels-first", pattern("dw_multiplier_2"), 3),
    FixCase("stride-before-pointwise", pattern("pw_stride_2"), 3),
    FixCase("one-group", pattern("pw_grouped"), 3),
    FixCase("convolve-every-pixel", pattern("fc_nokeep_reshape"), 3),
)
