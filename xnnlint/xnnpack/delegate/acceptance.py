"""Which TFLite operators the XNNPACK delegate takes, and the first thing that it objects to in the others.

Source: google-ai-edge/LiteRT tflite/delegates/xnnpack/xnnpack_delegate.cc, `Subgraph::VisitNode` and the `Visit*Node`
and `Check*` functions, read at f674577 (2026-08-21). The conditions are tested in the order of the runtime, and as
there the first one that fails decides. Shapes are those stored in the file (dynamic dimensions count as 1).
"""

from __future__ import annotations

from xnnlint.model.graph import Operator
from xnnlint.xnnpack.delegate import accept_layers, accept_shapes, accept_simple
from xnnlint.xnnpack.delegate.accept_checks import Check, Scope
from xnnlint.xnnpack.delegate.rejection import Objection, Rejection

BUILTINS: dict[str, Check] = accept_simple.CHECKS | accept_layers.CHECKS | accept_shapes.CHECKS
CUSTOM: dict[str, Check] = accept_layers.CUSTOM_CHECKS


def refusal(scope: Scope, op: Operator) -> Rejection | None:
    """Why the delegate refuses an operator, or None where it takes it.

    Args:
        scope: the graph, the profile, and what is static so far in the execution order.
        op: an operator that isn't an unpacking DEQUANTIZE or DENSIFY (`delegate.delegate` claims those itself).
    """
    is_custom = op.type == "CUSTOM"
    check = CUSTOM.get(op.custom_code) if is_custom else BUILTINS.get(op.type)
    name = op.custom_code if is_custom else op.type
    if check is None or name in scope.profile["undelegated_operators"]:
        return Rejection(Objection.OPERATOR_TYPE, "an operator that XNNPACK supports", name)
    for kind, option, value in scope.profile["undelegated_options"]:
        if op.type == kind and op.attributes.get(option, False) == value:
            return Rejection(Objection.OPTION, f"another {option}", f"{option}={value}")
    return next(check(scope, op), None)
