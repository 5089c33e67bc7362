"""Moves transpositions through elementwise operators, and takes out those that meet their opposite.

Source: tensorflow/tensorflow compiler/mlir/tensorflow/transforms/layout_optimization.cc `MoveTransposesPass`, up and
then down (`CreateLayoutOptimizationPipeline`). It goes through operators with the trait `LayoutAgnostic` alone (headers
in compiler/mlir/tensorflow/ir), since tf_tfl_passes.cc of google-ai-edge/LiteRT has `skip_fold_transpose_in_ops`.
"""

from __future__ import annotations

import numpy as np

from xnnlint.keras.lower.program import Constant, Node, Value
from xnnlint.keras.lower.rewriter import Rewriter

AGNOSTIC = ("ADD", "RELU", "TANH")


_OWN = "order of the converter's own"


def order_of_the_converter(order: list[int]) -> Value:
    """The order of axes of a transposition that the converter puts in: equal to no other, and in 64 bits, until then.

    It has no say in the order of operators, and only the last pass merges operators that compute the same.
    """
    axes = np.array(order, np.int32)
    return Value(axes.shape, "INT32", Constant(lambda: axes, (_OWN, object())))


def make_orders_alike(rewriter: Rewriter) -> None:
    """Behind the moves the orders of axes are numbers like others."""
    for node in rewriter.program.nodes:
        order = node.constant(1) if node in rewriter.alive and node.type == "TRANSPOSE" else None
        if order is not None and _is_own(order):
            axes = order.array
            alike = Value(axes.shape, "INT32", Constant(lambda a=axes: a, ("INT32", axes.shape, axes.tobytes())))  # type: ignore[misc]
            rewriter.change(node, "TRANSPOSE", [node.inputs[0], alike])


def _is_own(order: Constant) -> bool:
    return isinstance(order.key, tuple) and order.key[0] == _OWN


def move_up(rewriter: Rewriter, node: Node) -> bool:
    """MoveTransposeBefore: where all that read an operator transpose it alike, its inputs are transposed instead."""
    readers = rewriter.readers(node.output)
    order = _common_order(readers)
    if order is None or not _is_agnostic(node) or rewriter.uses(node.output) != len(readers):
        return False
    before = [_transposed(node, slot, readers[0]) for slot in range(len(node.inputs))]
    for move in (move for _, move in before if move is not None):
        rewriter.add(move)
    rewriter.change(node, node.type, [value for value, _ in before], node.attributes)
    shape = node.output.shape or ()
    node.output.shape = tuple(shape[d] for d in order)
    for value in {reader.output for reader in readers}:
        rewriter.replace(value, node.output)
    return True


def move_down(rewriter: Rewriter, node: Node) -> bool:
    """MoveTransposeAfter: where all inputs are transposed alike, what comes out is transposed instead."""
    made_by = [value.producer if value is not None else None for value in node.inputs]
    moves = [move for move in made_by if move is not None and move.type == "TRANSPOSE"]
    order = _common_order(moves)
    if order is None or not _is_agnostic(node) or len(moves) != len(node.inputs):
        return False
    # The operator behind has its output, so that who reads it reads the transposed tensor.
    inner = Value(moves[0].inputs[0].shape if moves[0].inputs[0] is not None else None, node.output.dtype)
    outer = Node("TRANSPOSE", [inner, moves[0].inputs[1]], node.outputs, {}, node.name, node.step, node.part + 1)
    node.output.producer, node.outputs, inner.producer = outer, [inner], node
    rewriter.add(outer)
    return rewriter.change(node, node.type, [move.inputs[0] for move in moves], node.attributes)


def _is_agnostic(node: Node) -> bool:
    """Whether it is one operation of TensorFlow, on tensors of the same rank."""
    ranks = {value.rank for value in node.inputs if value is not None}
    return node.type in AGNOSTIC and node.step.nodes == 1 and ranks == {node.output.rank} and None not in ranks


def _common_order(moves: list[Node]) -> list[int] | None:
    """The order of axes of transpositions that are all alike; one of the converter's own is like no other."""
    orders = [move.constant(1) if move.type == "TRANSPOSE" else None for move in moves]
    found = [(order.array.tolist(), _is_own(order)) for order in orders if order is not None]
    alike = found and len(found) == len(moves) and all(order == found[0] for order in found)
    return found[0][0] if alike else None


def _transposed(node: Node, slot: int, like: Node) -> tuple[Value | None, Node | None]:
    """An input transposed, and the operator that does it where it is no constant."""
    value, order, axes = node.inputs[slot], like.constant(1), like.inputs[1]
    if value is None or value.shape is None or order is None or axes is None:
        return value, None
    turn = order.array.tolist()
    shape = tuple(value.shape[d] for d in turn)
    if value.constant is not None:
        turned = value.constant.derive(("transposed", tuple(turn)), lambda a: np.ascontiguousarray(a.transpose(turn)))
        return Value(shape, value.dtype, turned, name=value.name), None
    out = Value(shape, value.dtype)
    move = Node("TRANSPOSE", [value, axes], [out], {}, node.name, node.step, node.part - len(node.inputs) + slot)
    out.producer = move
    return out, move
