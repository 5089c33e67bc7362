"""How long XNNPACK's operators take: predicted from a plan, by rates that were measured on some CPU.

`predict`, `gain` and `gain_if_pruned` answer without running anything; `calibrate` measures (see docs/cost-model.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xnnlint.late_names import late_names

if TYPE_CHECKING:
    from xnnlint.cost.prediction import Gain, OperatorCost, Prediction
    from xnnlint.cost.predictor import gain, gain_if_pruned, gain_with_zeros, plan_if_pruned, predict
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

_PREDICTOR, _PREDICTION, _PROFILE = "xnnlint.cost.predictor", "xnnlint.cost.prediction", "xnnlint.cost.profile"
__getattr__ = late_names(
    __name__,
    {
        "CostProfile": _PROFILE,
        "Gain": _PREDICTION,
        "OperatorCost": _PREDICTION,
        "Prediction": _PREDICTION,
        "gain": _PREDICTOR,
        "gain_if_pruned": _PREDICTOR,
        "gain_with_zeros": _PREDICTOR,
        "plan_if_pruned": _PREDICTOR,
        "predict": _PREDICTOR,
        "read_profile": _PROFILE,
        "shipped_profile": _PROFILE,
    },
)
