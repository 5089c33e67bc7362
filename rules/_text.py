"""How rules put shapes, paddings and operators into words."""

from __future__ import annotations

from xnnlint.xnnpack.ir import Node, Value


def dims(shape: tuple[int, ...]) -> str:
    return "[" + ", ".join(map(str, shape)) + "]"


def by(pair: tuple[int, int]) -> str:
    """(height, width) as "3x3"."""
    return f"{pair[0]}x{pair[1]}"


def padding_text(node: Node) -> str:
    """A node's padding: "1 on each side", "SAME at stride 2 (asymmetric or unknown)", or side by side."""
    if node.params.get("same_padding"):
        return f"SAME at stride {by(node.params['stride'])}, which the runtime resolves too late"
    top, right, bottom, left = node.params["padding"]
    if top == right == bottom == left:
        return f"{top} on each side"
    return f"top {top}, bottom {bottom}, left {left}, right {right}"


def operand(value: Value) -> str:
    kind = "constant" if value.is_static else "tensor"
    return f"{kind} of shape {dims(value.shape)}"
