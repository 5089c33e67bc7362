"""Values that XNNPACK knows to be 0 or 1 throughout: static scalars, and what follows from them.

Source: google/XNNPACK src/subgraph.c `xnn_subgraph_optimize_common_subgraphs`, `propagate_constants` (e7276ec1,
2025-11-03).
"""

from __future__ import annotations

from collections.abc import Callable

from xnnlint.xnnpack.ir import Node, NodeType, Subgraph

_KEEPS = frozenset(
    {
        *(NodeType.COPY, NodeType.EVEN_SPLIT, NodeType.EXPAND_DIMS, NodeType.RESHAPE, NodeType.SLICE),
        *(NodeType.TRANSPOSE, NodeType.MEAN, NodeType.MEAN_SQUARED, NodeType.REDUCE_MAX, NodeType.REDUCE_MIN),
        NodeType.RESIZE_BILINEAR,
    }
)
_KEEPS_ZERO = frozenset({NodeType.SUM, NodeType.SUM_SQUARED})

# What a unary operator makes of 0 and of 1; None where the runtime says nothing of it.
_BOTH = (0, 1)
_UNARIES: dict[str, tuple[int | None, int | None]] = {
    **dict.fromkeys(("abs", "bankers_rounding", "ceiling", "convert", "elu", "floor", "leaky_relu"), _BOTH),
    **dict.fromkeys(("square", "square_root"), _BOTH),
    **dict.fromkeys(("hardswish", "negate", "sine", "tanh"), (0, None)),
    **dict.fromkeys(("exp", "cosine"), (1, None)),
    "log": (None, 0),
    "reciprocal_square_root": (None, 1),
}
# What a binary operator makes of two operands of which at least one is known.
_SUMS: dict[tuple[int | None, int | None], int] = {(0, 0): 0, (0, 1): 1, (1, 0): 1}
_DIFFERENCES: dict[tuple[int | None, int | None], int] = {(0, 0): 0, (1, 0): 1, (1, 1): 0}
_BINARIES: dict[str, Callable[[int | None, int | None], int | None]] = {
    "add": lambda a, b: _SUMS.get((a, b)),
    "subtract": lambda a, b: _DIFFERENCES.get((a, b)),
    "multiply": lambda a, b: 0 if 0 in (a, b) else 1 if (a, b) == (1, 1) else None,
    "divide": lambda a, b: 0 if a == 0 else 1 if (a, b) == (1, 1) else None,
    "maximum": lambda a, b: None if None in (a, b) else max(a, b),  # type: ignore[type-var]
    "minimum": lambda a, b: None if None in (a, b) else min(a, b),  # type: ignore[type-var]
    "squared_difference": lambda a, b: None if None in (a, b) else int(a != b),
    "prelu": lambda a, b: a,
}


def static_scalars(subgraph: Subgraph) -> dict[int, int]:
    """Value id -> 0 or 1, of the static values of one element that are one of these."""
    known = {}
    for value in subgraph.values:
        if value.dtype in ("fp32", "fp16") and (scalar := value.scalar()) in (0, 1):
            known[value.id] = int(scalar)
    return known


def propagate(node: Node, known: dict[int, int]) -> None:
    """Add what is known of a node's outputs."""
    inputs = [known.get(v) for v in node.inputs]
    if all(value is None for value in inputs):
        return
    result: int | None = None
    if node.type in _KEEPS or (node.type in _KEEPS_ZERO and inputs[0] == 0):
        result = inputs[0]
    elif node.type == NodeType.UNARY and inputs[0] is not None:
        if node.operator != "clamp":
            result = _UNARIES.get(node.operator, (None, None))[inputs[0]]
        elif node.params["min"] <= inputs[0] <= node.params["max"]:
            result = inputs[0]
    elif node.type == NodeType.BINARY:
        result = _BINARIES[node.operator](*inputs) if node.operator in _BINARIES else None
        if node.inputs[0] == node.inputs[1] and node.operator in ("subtract", "divide"):
            result = int(node.operator == "divide")
    if result is not None:
        known.update(dict.fromkeys(node.outputs, result))
