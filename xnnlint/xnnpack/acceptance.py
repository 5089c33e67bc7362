"""Which TFLite operators the XNNPACK delegate takes, and the first thing that it objects to in the others.

Source: google-ai-edge/LiteRT tflite/delegates/xnnpack/xnnpack_delegate.cc, `Subgraph::VisitNode` and the `Visit*Node`
and `Check*` functions, read at f674577 (2026-08-21). The conditions are tested in the order of the runtime, and as
there the first one that fails decides. Shapes are those stored in the file (dynamic dimensions count as 1).
"""

from __future__ import annotations

from xnnlint.model.graph import Operator
from xnnlint.xnnpack.delegate.accept_checks import Scope
from xnnlint.xnnpack.delegate.rejection import Objection, Rejection
from xnnlint.xnnpack.operators import delegate_operator


def refusal(scope: Scope, op: Operator) -> Rejection | None:
    """Why the delegate refuses an operator, or None where it takes it.

    Args:
        scope: the graph, the profile, and what is static so far in the execution order.
        op: an operator that isn't an unpacking DEQUANTIZE or DENSIFY (`delegate.delegate` claims those itself).
    """
    known = delegate_operator(op.type, op.custom_code)
    name = op.custom_code if op.type == "CUSTOM" else op.type
    if known is None or name in scope.profile["undelegated_operators"]:
        return Rejection(Objection.OPERATOR_TYPE, "an operator that XNNPACK supports", name)
    for kind, option, value in scope.profile["undelegated_options"]:
        if op.type == kind and op.attributes.get(option, False) == value:
            return Rejection(Objection.OPTION, f"another {option}", f"{option}={value}")
    return next(known.accept(scope, op), None)
