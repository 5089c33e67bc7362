"""Chains of RESHAPE and TRANSPOSE that only move elements about, as the one operator that does the same.

Exporters from PyTorch write a shuffle of channels, PixelShuffle and PixelUnshuffle as what they are in it: reshapes to
more dimensions, and permutations of these. What a chain does is seen by sending the numbers of the elements through it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from msgspec import Struct

from xnnlint.fixes.change import CannotChange
from xnnlint.fixes.tflite.editor import Op
from xnnlint.fixes.tflite.graph_parts import TO_NCHW, TO_NHWC, add_transpose, is_float, plain_bias, weights
from xnnlint.fixes.tflite.graph_view import View
from xnnlint.fixes.tflite.operator_changes.map_pooling import add_reshape
from xnnlint.fixes.tflite.operator_changes.pointwise_forms import select, selecting_convolution
from xnnlint.fixes.tflite.operator_fixer import OperatorFixer, Stage
from xnnlint.xnnpack.conditions.condition import Condition

if TYPE_CHECKING:
    import numpy as np

MOVING = ("RESHAPE", "TRANSPOSE")
RANK = 4
_CHANNELS_OF_NCHW, _CHANNELS = 1, 3
# Numbers of elements are sent through a chain; a map of 224x224x128 has fewer.
_MOST_ELEMENTS = 2**23
_LONGEST = 8

Step = tuple[str, tuple[int, ...]]
"""A RESHAPE with its new shape, or a TRANSPOSE with its order."""


class Move(Struct, frozen=True):
    """What a chain does to a map.

    Attributes:
        channels: which channel comes to each place, of the map in NHWC; None where they stay.
        block: of DEPTH_TO_SPACE, which comes behind that; negative of SPACE_TO_DEPTH, which comes in front of it.
        transposes: the order of a single TRANSPOSE; None where it is none.
        from_nchw, to_nchw: whether the chain reads, and writes, NCHW.
    """

    channels: tuple[int, ...] | None = None
    block: int = 1
    transposes: tuple[int, ...] | None = None
    from_nchw: bool = False
    to_nchw: bool = False

    @property
    def operators(self) -> int:
        """How many it takes at most."""
        if self.transposes is not None:
            return int(self.transposes != tuple(range(RANK)))
        moves_channels = self.channels is not None
        if self.block == 1 and self.from_nchw and self.to_nchw:
            return int(moves_channels)
        return moves_channels + (self.block != 1) + self.from_nchw + self.to_nchw


class Chain(Struct, frozen=True):
    """Operators, each of which reads what the one before writes.

    Attributes:
        source: the map that the first reads.
        operators: the chain; the last is the one at which a change is made.
        move: what it does.
    """

    source: int
    operators: tuple[Op, ...]
    move: Move


class _Chains(OperatorFixer):
    """Chains that do one kind of thing."""

    stage = Stage.NOTATION
    fulfils = frozenset({Condition.NCHW_KERNEL, Condition.DELEGATED, Condition.BRANCH_END, Condition.CLUSTER_END})

    def sites(self, view: View) -> Iterable[Op]:
        for op in view.of_type(*MOVING):
            chain = chain_to(view, op)
            if chain is not None and self.takes(chain.move):
                yield op

    def apply(self, view: View, op: Op) -> str:
        chain = chain_to(view, op)
        if chain is None or not self.takes(chain.move):
            raise CannotChange("it does more than to move elements of a map")
        self.write(view, chain)
        _drop(view, chain.operators)
        return self.told(chain.move)

    def takes(self, move: Move) -> bool:
        raise NotImplementedError

    def write(self, view: View, chain: Chain) -> None:
        """Writes what the last operator of a chain writes, in front of it, by other operators."""
        raise NotImplementedError

    def told(self, move: Move) -> str:
        raise NotImplementedError


class MergeMoves(_Chains):
    """What moves elements there and back does nothing."""

    name = "merge-moves"
    summary = "RESHAPE and TRANSPOSE in turns that do what one TRANSPOSE does, or nothing -> that"

    def takes(self, move: Move) -> bool:
        return move.transposes is not None

    def sites(self, view: View) -> Iterable[Op]:
        # Those of one kind are what `merge-reshapes` is for.
        for op in super().sites(view):
            chain = chain_to(view, op)
            if chain is not None and len({other.type for other in chain.operators}) > 1:
                yield op

    def write(self, view: View, chain: Chain) -> None:
        graph, last = view.graph, chain.operators[-1]
        out, order = last.outputs[0], chain.move.transposes
        assert order is not None
        if order != tuple(range(RANK)):
            add_transpose(view, last, chain.source, out, order)
        elif out in graph.outputs or graph.shape(out) != graph.shape(chain.source):
            add_reshape(view, last, chain.source, out)
        else:
            graph.rewire(out, chain.source)

    def told(self, move: Move) -> str:
        nothing = move.transposes == tuple(range(RANK))
        return "drop what moves elements there and back" if nothing else "let one TRANSPOSE do what they did"


class GatherChannels(_Chains):
    """A shuffle of channels."""

    name = "gather-channels"
    summary = "RESHAPE to 5-D, TRANSPOSE and RESHAPE that shuffle channels -> GATHER, which `select-channels` replaces"

    def takes(self, move: Move) -> bool:
        return move.block == 1 and move.channels is not None

    def write(self, view: View, chain: Chain) -> None:
        import numpy as np

        graph, last, move = view.graph, chain.operators[-1], chain.move
        assert move.channels is not None
        stays = move.from_nchw == move.to_nchw
        axis = _CHANNELS_OF_NCHW if move.from_nchw and stays else _CHANNELS
        source, out = chain.source, last.outputs[0]
        if move.from_nchw and not stays:
            source = add_transpose(view, last, source, None, TO_NHWC)
        gathered = graph.add_like(source, "_gathered") if move.to_nchw and not stays else out
        indices = graph.add_constant(f"{graph.name(out)}/channels", np.array(move.channels, np.int32))
        graph.insert("GATHER", [source, indices], [gathered], near=last, options="GatherOptions", axis=axis)
        if gathered != out:
            add_transpose(view, last, gathered, out, TO_NCHW)

    def told(self, move: Move) -> str:
        return "gather the channels in their new order"


class BlocksByName(_Chains):
    """PixelShuffle counts the place in a block last, DEPTH_TO_SPACE first: filters in another order make up for it."""

    name = "depth-to-space-by-name"
    summary = "PixelShuffle, PixelUnshuffle -> DEPTH_TO_SPACE behind filters in another order, SPACE_TO_DEPTH"

    def takes(self, move: Move) -> bool:
        return move.block != 1

    def write(self, view: View, chain: Chain) -> None:
        graph, last, move = view.graph, chain.operators[-1], chain.move
        source, out, block = chain.source, last.outputs[0], abs(move.block)
        if move.from_nchw:
            source = add_transpose(view, last, source, None, TO_NHWC)
        spreads = move.block > 1
        if spreads and move.channels is not None:
            source = _in_order(view, chain, source, move.channels)
        batch, height, width, channels = graph.shape(source)
        shape = (
            (batch, height * block, width * block, channels // block**2)
            if spreads
            else (batch, height // block, width // block, channels * block**2)
        )
        stays = not move.to_nchw and (spreads or move.channels is None)
        value = out if stays else graph.add_like(source, "_blocks", shape)
        name = "DEPTH_TO_SPACE" if spreads else "SPACE_TO_DEPTH"
        options = "DepthToSpaceOptions" if spreads else "SpaceToDepthOptions"
        graph.insert(name, [source], [value], near=last, options=options, blockSize=block)
        if not spreads and move.channels is not None:
            ordered = graph.add_like(value, "_in_order") if move.to_nchw else out
            selecting_convolution(view, last, value, ordered, move.channels)
            value = ordered
        if move.to_nchw:
            add_transpose(view, last, value, out, TO_NCHW)

    def told(self, move: Move) -> str:
        if move.block < 0:
            return "SPACE_TO_DEPTH instead of what moves pixels into channels"
        return "DEPTH_TO_SPACE of channels in its order instead of what moves channels into pixels"


def chain_to(view: View, op: Op) -> Chain | None:
    """The longest chain that ends at an operator and that fewer operators can stand for; None where there is none."""
    graph = view.graph
    out = op.outputs[0]
    if len(graph.shape(out)) != RANK or not is_float(graph, out) or (step := _step(view, op)) is None:
        return None
    readers = graph.consumers(out)
    if readers and out not in graph.outputs and all(_step(view, reader) is not None for reader in readers):
        return None
    operators, steps, found = [op], [step], None
    while True:
        source = operators[0].inputs[0]
        if len(operators) > 1 and len(graph.shape(source)) == RANK and is_float(graph, source):
            shape = _dimensions(view, source)
            move = what_moves(shape, tuple(steps)) if shape is not None else None
            if move is not None and move.operators < len(operators):
                found = Chain(source, tuple(operators), move)
        first = view.producer(source, *MOVING)
        before = _step(view, first) if first is not None and len(operators) < _LONGEST else None
        if first is None or before is None:
            return found
        operators.insert(0, first)
        steps.insert(0, before)


def _step(view: View, op: Op) -> Step | None:
    """What an operator of a chain does; None where that is known only at run time."""
    graph = view.graph
    if op.type not in MOVING or not view.is_regular(op):
        return None
    if op.type == "RESHAPE":
        shape = _dimensions(view, op.outputs[0])
        return None if shape is None else ("RESHAPE", shape)
    order = graph.constant(op.inputs[1])
    return None if order is None else ("TRANSPOSE", tuple(int(axis) for axis in order.reshape(-1)))


def _dimensions(view: View, tensor: int) -> tuple[int, ...] | None:
    """A shape for numbers of elements: a dynamic batch of two, so that it shows where it goes."""
    signature = view.graph.signature(tensor)
    if not signature or any(d < 0 for d in signature[1:]):
        return None
    return (2, *signature[1:]) if signature[0] < 0 else signature


@lru_cache(maxsize=512)
def what_moves(shape: tuple[int, ...], steps: tuple[Step, ...]) -> Move | None:
    """What steps do to a map; None where that is more than a `Move`, or the steps do not fit the map."""
    import numpy as np

    if math.prod(shape) > _MOST_ELEMENTS or not math.prod(shape):
        return None
    numbers = np.arange(math.prod(shape), dtype=np.int32).reshape(shape)
    moved = numbers
    for kind, values in steps:
        if kind == "RESHAPE":
            if math.prod(values) != moved.size:
                return None
            moved = moved.reshape(values)
        elif sorted(values) == list(range(moved.ndim)):
            moved = moved.transpose(values)
        else:
            return None
    if moved.ndim != RANK:
        return None
    if np.array_equal(numbers.reshape(-1), moved.reshape(-1)):
        return Move(transposes=tuple(range(RANK)))
    for order in (TO_NCHW, TO_NHWC):
        if np.array_equal(numbers.transpose(order), moved):
            return Move(transposes=order)
    found = [
        move
        for from_nchw in (False, True)
        for to_nchw in (False, True)
        if (move := _in_nhwc(numbers, moved, from_nchw, to_nchw)) is not None
    ]
    return min(found, key=lambda move: move.operators, default=None)


def _in_nhwc(numbers: np.ndarray, moved: np.ndarray, from_nchw: bool, to_nchw: bool) -> Move | None:
    before = numbers.transpose(TO_NHWC) if from_nchw else numbers
    after = moved.transpose(TO_NHWC) if to_nchw else moved
    if before.shape == after.shape:
        block = 1
    else:
        (_, high, wide, _), (_, new_high, new_wide, _) = before.shape, after.shape
        spreads, scale = new_high > high, max(new_high, high) // min(new_high, high)
        block = scale if spreads else -scale
        grown = (high * scale, wide * scale) == (new_high, new_wide)
        shrunk = (new_high * scale, new_wide * scale) == (high, wide)
        if scale < 2 or before.shape[0] != after.shape[0] or not (grown if spreads else shrunk):
            return None
    if block > 1:
        after = _to_depth(after, block)
    elif block < 0:
        before = _to_depth(before, -block)
    channels = _channels(before, after)
    if channels is None:
        return None
    stay = channels == tuple(range(len(channels)))
    return Move(None if stay else channels, block, None, from_nchw, to_nchw)


def _to_depth(pixels: np.ndarray, block: int) -> np.ndarray:
    """SPACE_TO_DEPTH (google-ai-edge/LiteRT tflite/kernels/internal/reference/space_to_depth.h)."""
    batch, height, width, channels = pixels.shape
    split = pixels.reshape(batch, height // block, block, width // block, block, channels)
    return split.transpose(0, 1, 3, 2, 4, 5).reshape(batch, height // block, width // block, block**2 * channels)


def _channels(before: np.ndarray, after: np.ndarray) -> tuple[int, ...] | None:
    """The order of channels that makes one of the other, at every pixel alike."""
    import numpy as np

    places = {int(number): place for place, number in enumerate(before[0, 0, 0])}
    order = [places.get(int(number), -1) for number in after[0, 0, 0]]
    if -1 in order or not np.array_equal(before[..., order], after):
        return None
    return tuple(order)


def _in_order(view: View, chain: Chain, source: int, channels: Sequence[int]) -> int:
    """A map with its channels in another order: by the filters of the convolution that computes it, where it has no
    other reader, or by a convolution behind it."""
    import numpy as np

    graph, first = view.graph, chain.operators[0]
    conv = view.producer(source, "CONV_2D") if source == chain.source else None
    own = source not in graph.outputs and graph.consumers(source) == [first]
    if conv is not None and own and len(conv.inputs) == 3:
        plain_bias(view, conv)
        values = [weights(graph, t) for t in conv.inputs[1:]]
        if all(v is not None and v.dtype == np.float32 for v in values):
            for slot, (tensor, value) in enumerate(zip(conv.inputs[1:], values, strict=True), 1):
                assert value is not None
                ordered = np.ascontiguousarray(value[list(channels)])
                conv.inputs[slot] = graph.add_constant(f"{graph.name(tensor)}_in_order", ordered)
            return source
    return select(view, chain.operators[-1], source, list(channels), "_in_order")


def _drop(view: View, operators: Sequence[Op]) -> None:
    """Removes the last operator of a chain, which another one stands for, and those before that nobody else reads."""
    graph = view.graph
    graph.remove(operators[-1])
    for op in reversed(operators[:-1]):
        if graph.consumers(op.outputs[0]) or op.outputs[0] in graph.outputs:
            break
        graph.remove(op)


FIXERS: tuple[OperatorFixer, ...] = (MergeMoves(), GatherChannels(), BlocksByName())
