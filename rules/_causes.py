"""Why the sparse path goes wrong at a place: the operator that stops it, and what to change there."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain

from xnnlint.linter.fault_words import fault_words
from xnnlint.linter.findings import Applicability
from xnnlint.xnnpack.fault import FaultKind
from xnnlint.xnnpack.plan import Hazard, Plan

from ._cause import Cause, CauseKind
from ._file_causes import (
    bias,
    delegation,
    encoding,
    half,
    names,
    not_loaded,
    output,
    padding,
    refused_by_tflite,
    unwritten,
)
from ._layout_causes import constants, layout, shapes


def cause_of(plan: Plan, hazard: Hazard) -> Cause:
    """The first cause of a hazard that can be told."""
    if hazard.kind is FaultKind.LOADING:
        return not_loaded(plan, hazard)
    if hazard.op is None and not hazard.of_output:
        return _of_file(hazard)
    direct = _DIRECT.get(hazard.kind)
    if direct is not None:
        return direct(plan, hazard)
    of_order = hazard.kind in (FaultKind.LAYOUT, FaultKind.BOUNDARY)
    causes = chain(constants(plan, hazard), () if of_order else shapes(plan, hazard), layout(plan, hazard))
    return next(causes, None) or _unknown(plan, hazard)


def _of_file(hazard: Hazard) -> Cause:
    """What no single operator of the main subgraph is to blame for."""
    text = fault_words(hazard.fault)
    required = "a file that the runtime loads"
    return Cause(None, CauseKind.UNDEFINED, text, required, text, "convert the model again", Applicability.MANUAL)


def broken_by(plan: Plan, kind: CauseKind) -> set[int]:
    """Operators that are a cause of the given kind for any hazard of the plan."""
    causes = (cause_of(plan, hazard) for hazard in plan.hazards)
    return {cause.op for cause in causes if cause.kind is kind and cause.op is not None}


def _unknown(plan: Plan, hazard: Hazard) -> Cause:
    text = fault_words(hazard.fault)
    return Cause(
        hazard.place,
        CauseKind.UNKNOWN,
        text,
        "operators that agree on shapes and on the order of the data in memory",
        text,
        "change what the other findings name",
    )


# Faults of which the place itself says the cause.
_DIRECT: dict[FaultKind, Callable[[Plan, Hazard], Cause]] = {
    FaultKind.DELEGATION: delegation,
    FaultKind.UNWRITTEN_WEIGHTS: unwritten,
    FaultKind.OUTPUT: output,
    FaultKind.SPARSE_ENCODING: encoding,
    FaultKind.NAMES: names,
    FaultKind.TFLITE: refused_by_tflite,
    FaultKind.FP16: half,
    FaultKind.BIAS: bias,
    FaultKind.PADDING: padding,
}
