"""Operators on a map in NCHW, between a TRANSPOSE to it and one back, as exporters from PyTorch write them.

XNNPACK has no NCHW kernel for TRANSPOSE, and takes each for what it says: a copy in another order. What lies between
two of them works element by element, or along axes that can be named otherwise: on the map as it was, it gives the same
numbers, and the two are gone.
"""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.fixes.change import CannotChange
from xnnlint.fixes.tflite.editor import Op
from xnnlint.fixes.tflite.graph_view import View
from xnnlint.fixes.tflite.operator_changes.moved_regions import region_at, regions
from xnnlint.fixes.tflite.operator_changes.value_forms import NHWC
from xnnlint.fixes.tflite.operator_fixer import OperatorFixer, Stage
from xnnlint.xnnpack.conditions.condition import Condition

FULFILS = frozenset(
    {
        Condition.NCHW_KERNEL,
        Condition.DELEGATED,
        Condition.BRANCH_END,
        Condition.CLUSTER_END,
        Condition.CONSUMER_INSIDE,
        Condition.OUTPUT_OUTSIDE,
    }
)


class ComputeInNhwc(OperatorFixer):
    """Everything that hangs together between such operators, at once."""

    name = "compute-in-nhwc"
    stage = Stage.NOTATION
    fulfils = FULFILS
    summary = (
        "ADD, PAD, CONCATENATION, activations and the like between TRANSPOSE to NCHW and back -> on the map in NHWC, "
        "without them"
    )

    def sites(self, view: View) -> Iterable[Op]:
        return [region.operators[0] for region in regions(view, NHWC)]

    def apply(self, view: View, op: Op) -> str:
        region = region_at(view, NHWC, op)
        if region is None:
            raise CannotChange("it is not between a TRANSPOSE to NCHW and one back")
        types = region.types
        region.move(view)
        return f"compute {types} on the map in NHWC, without the TRANSPOSE on both sides"


FIXERS: tuple[OperatorFixer, ...] = (ComputeInNhwc(),)
