"""Squeeze-and-excite through FULLY_CONNECTED, as `nn.Linear` and Dense make it, on a map of one pixel instead.

XNNPACK has no NCHW kernel for what has two dimensions, so that the pooling would end the cluster, and the map that is
multiplied with the result be read from outside. With four dimensions all of it stays in the cluster: the pooling keeps
its dimensions, and FULLY_CONNECTED is a 1x1 convolution of the same weights, which sums in the same order.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct, field

from xnnlint.fixes.change import CannotChange
from xnnlint.fixes.tflite.editor import Op
from xnnlint.fixes.tflite.graph_parts import is_constant, is_float, weights
from xnnlint.fixes.tflite.graph_view import View
from xnnlint.fixes.tflite.operator_changes.map_pooling import pools
from xnnlint.fixes.tflite.operator_changes.pointwise_forms import convolve
from xnnlint.fixes.tflite.operator_fixer import OperatorFixer, Stage
from xnnlint.xnnpack.conditions.condition import Condition

_MAP = 4
_BINARY = ("ADD", "MUL", "SUB", "DIV")
_UNARY = ("LOGISTIC", "RELU", "RELU6", "RELU_N1_TO_1", "HARD_SWISH", "TANH", "ELU", "LEAKY_RELU", "ABS", "NEG", "EXP")
_RESHAPES = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")


class ExciteByConvolving(OperatorFixer):
    """From the pooling to where the result meets the map again."""

    name = "excite-by-convolving"
    stage = Stage.POOLINGS
    fulfils = frozenset(
        {
            Condition.FULLY_CONNECTED,
            Condition.NCHW_KERNEL,
            Condition.ELEMENTWISE_OPERAND,
            Condition.MAP_BEFORE_FULLY_CONNECTED,
            Condition.CONSUMER_INSIDE,
            Condition.BRANCH_END,
            Condition.CLUSTER_END,
        }
    )
    summary = "squeeze-and-excite through FULLY_CONNECTED -> MEAN that keeps its dimensions, and 1x1 CONV_2D"

    def sites(self, view: View) -> Iterable[Op]:
        for op in view.of_type("MEAN", "SUM"):
            if pools(view, op) and _excitation(view, op) is not None:
                yield op

    def apply(self, view: View, op: Op) -> str:
        found, graph = _excitation(view, op), view.graph
        if found is None:
            raise CannotChange("what it pools does not only go back into the map")
        if any(weights(graph, dense.inputs[1]) is None for dense in found.dense):
            raise CannotChange("its weights cannot be read")
        batch, is_dynamic = graph.shape(op.inputs[0])[0], graph.signature(op.inputs[0])[0] < 0
        op.options.keepDims = True
        for tensor, channels in found.channels.items():
            graph.set_shape(tensor, (batch, 1, 1, channels), dynamic_batch=is_dynamic)
        for dense in found.dense:
            convolve(view, dense)
        for reshape in found.reshapes:
            graph.rewire(reshape.outputs[0], reshape.inputs[0])
            graph.remove(reshape)
        instead = f", and convolve that instead of {len(found.dense)} FULLY_CONNECTED" if found.dense else ""
        return f"keep the dimensions of what it pools{instead}"


class _Excitation(Struct):
    """What lies between a pooling and the map.

    Attributes:
        channels: of each value of one pixel.
        dense: the FULLY_CONNECTED.
        reshapes: what only gives it other dimensions.
        pooled: the values that are what was pooled. Of what reads them, only convolutions do not look at the shape that
            the runtime reports.
    """

    channels: dict[int, int]
    pooled: set[int]
    dense: list[Op] = field(default_factory=list)
    reshapes: list[Op] = field(default_factory=list)

    def follow(self, view: View, op: Op) -> bool | None:
        """Takes in an operator that reads one of its values: True where it belongs to it, False where it multiplies the
        map, None where it is anything else."""
        graph, out = view.graph, op.outputs[0] if op.outputs else -1
        if not view.is_regular(op) or len(op.outputs) != 1 or not is_float(graph, out):
            return None
        ours = [t for t in op.inputs if t in self.channels]
        if not self.pooled.isdisjoint(ours) and op.type not in ("FULLY_CONNECTED", "CONV_2D", *_RESHAPES):
            return None
        channels = self.channels[ours[0]]
        if op.type == "FULLY_CONNECTED":
            shape = graph.shape(op.inputs[1])
            if ours != op.inputs[:1] or len(shape) != 2 or shape[1] != channels or not is_constant(graph, op.inputs[1]):
                return None
            self.dense.append(op)
            channels = shape[0]
        elif op.type in _RESHAPES:
            self.reshapes.append(op)
            if not self.pooled.isdisjoint(ours):
                self.pooled.add(out)
        elif op.type == "CONV_2D":
            if ours != op.inputs[:1] or graph.shape(op.inputs[1])[1:3] != (1, 1):
                return None
            channels = graph.shape(out)[-1]
        elif op.type in _BINARY:
            belongs = self._joins(view, op)
            if not belongs:
                return belongs
        elif op.type not in _UNARY:
            return None
        if not _is_pixel(view, out, channels):
            return None
        self.channels[out] = channels
        return True

    def _joins(self, view: View, op: Op) -> bool | None:
        graph = view.graph
        others = [t for t in op.inputs if t not in self.channels]
        if not others:
            return True
        (other,) = others
        if is_constant(graph, other):
            # A vector, whatever its rank, lies along the channels.
            values = graph.constant(other)
            return True if values is not None and values.size in (1, *values.shape[-1:]) else None
        (ours,) = (t for t in op.inputs if t in self.channels)
        shape = graph.shape(other)
        meets = len(shape) == _MAP and shape[1] * shape[2] > 1 and shape[3] == self.channels[ours]
        mine = graph.shape(ours)
        # Without dimensions of height and width its batch would lie along the width.
        broadcasts = mine[1:3] == (1, 1) if len(mine) == _MAP else mine[0] == 1 and graph.signature(ours)[0] == 1
        return False if meets and broadcasts and op.type in ("ADD", "MUL") else None


def _excitation(view: View, op: Op) -> _Excitation | None:
    """What lies between a pooling and the map that its result is multiplied with; None where it goes elsewhere, too, or
    has nothing that could be mended."""
    graph = view.graph
    pooled = op.outputs[0]
    found = _Excitation({pooled: graph.shape(op.inputs[0])[3]}, {pooled})
    pending, seen, meets = [pooled], set[str](), False
    while pending:
        value = pending.pop()
        readers = graph.consumers(value)
        if value in graph.outputs or not readers:
            return None
        for reader in readers:
            if reader.uid in seen:
                continue
            seen.add(reader.uid)
            belongs = found.follow(view, reader)
            if belongs is None:
                return None
            if belongs:
                pending.append(reader.outputs[0])
            else:
                meets = True
    return found if meets and (found.dense or found.reshapes) else None


def _is_pixel(view: View, tensor: int, channels: int) -> bool:
    """Whether a value has one pixel of so many channels, in two dimensions or as a map."""
    shape = view.graph.shape(tensor)
    return len(shape) in (2, _MAP) and shape[-1] == channels and all(size == 1 for size in shape[1:-1])


FIXERS: tuple[OperatorFixer, ...] = (ExciteByConvolving(),)
