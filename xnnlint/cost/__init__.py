"""How long XNNPACK's operators take: predicted from a plan, by rates that were measured on some CPU.

`predict`, `gain` and `gain_if_pruned` answer without running anything; `calibrate` measures (see docs/cost-model.md).
"""

from xnnlint.cost.predict import (
    Gain,
    OperatorCost,
    Prediction,
    gain,
    gain_if_pruned,
    gain_with_zeros,
    plan_if_pruned,
    predict,
)
from xnnlint.cost.profile import CostProfile, read_profile, shipped_profile

__all__ = [
    "CostProfile",
    "Gain",
    "OperatorCost",
    "Prediction",
    "gain",
    "gain_if_pruned",
    "gain_with_zeros",
    "plan_if_pruned",
    "predict",
    "read_profile",
    "shipped_profile",
]
