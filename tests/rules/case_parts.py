"""What the cases of rules are made of: the pair of models, and the networks around the part that a rule is about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from xnnlint.modelbuilder.builder import ModelBuilder, Padding, Value
from xnnlint.modelbuilder.builder import Pair as Size
from xnnlint.modelbuilder.building_blocks import Middle, gate, pruned, stem, tail, trunk
from xnnlint.modelbuilder.flatwriter import table
from xnnlint.xnnpack.profile import DEFAULT_CPU, DEFAULT_RUNTIME

Fill = Callable[[ModelBuilder], None]

Head = Callable[[ModelBuilder, Value], None]


@dataclass(frozen=True)
class Pair:
    """A model with one problem, and the same without it.

    Args:
        name: unique; the rule's code comes first.
        bad, good: fill the two graphs.
        outcome: what becomes of the bad one in the default profile's runtime.
        at: type of the operator at which the finding stands; "" for the whole model.
        actual: what the finding must say of the value at fault, a part of it.
        fix: what its fix must say, a part of it.
        good_outcome: of the good one.
        runtime, cpu: the profile in which the problem is one; the real runtime judges those of the default one.
        good_cpu: another CPU for the good one, where that is the fix.
        unlocks: whether the finding tells what it would unlock.
        together: further rules whose fixes have been made in the good model, too; then the gain is `with_others`.
        metadata, good_metadata: the files' metadata entries.
    """

    name: str
    bad: Fill
    good: Fill
    outcome: str
    at: str
    actual: str
    fix: str
    good_outcome: str = "sparse"
    runtime: str = DEFAULT_RUNTIME
    cpu: str = DEFAULT_CPU
    good_cpu: str = ""
    unlocks: bool = True
    together: tuple[str, ...] = ()
    metadata: dict[str, bytes] = field(default_factory=dict)
    good_metadata: dict[str, bytes] = field(default_factory=dict)

    @property
    def rule(self) -> str:
        return self.name[:6]

    @property
    def is_default(self) -> bool:
        return (self.runtime, self.cpu, self.good_cpu) == (DEFAULT_RUNTIME, DEFAULT_CPU, "")


def model(fill: Fill, metadata: dict[str, bytes] | None = None) -> bytes:
    """The file of a graph; the same weights wherever the graph is the same."""
    g = ModelBuilder(7)
    fill(g)
    return g.build(metadata=metadata)


def middle(part: Middle) -> Fill:
    """Trunk, the part, a pruned 1x1 convolution, tail."""
    return lambda g: tail(g, pruned(g, part(g, trunk(g)), 24))


def head(part: Head) -> Fill:
    """Trunk, and the part that makes the outputs."""
    return lambda g: part(g, trunk(g))


def weights(zeros: int | float, storage: str) -> Fill:
    """Stem, depthwise, 1x1 convolution with such weights, tail."""
    return lambda g: tail(g, g.conv2d(g.depthwise(stem(g), fused="RELU"), 16, zeros=zeros, storage=storage))


def first_convolution(padding: str, pad: bool, channels: int = 3) -> Callable[[ModelBuilder], Value]:
    def part(g: ModelBuilder) -> Value:
        x = g.input((1, 24, 40, channels))
        return g.conv2d(g.pad(x) if pad else x, 8, 3, 2, padding, fused="RELU", name="stem")

    return part


def depthwise(kernel: Size, pad: int | Padding, stride: int, padding: str = "VALID") -> Middle:
    return lambda g, x: g.depthwise(g.pad(x, pad) if pad else x, kernel, stride, padding)


def computed_shape(g: ModelBuilder, source: Value, rest: tuple[int, ...]) -> Value:
    """SHAPE, STRIDED_SLICE, PACK: (batch of `source`, *rest), as the converter writes it for an unknown batch size."""
    # out_type 2 is INT32 in TensorType of the TFLite schema.
    shape = g.op("SHAPE", [source], [(source.rank,)], table("ShapeOptions", out_type=2), dtype="int32")[0]
    bounds = [g.constant(np.array([v], np.int32)) for v in (0, 1, 1)]
    options = table("StridedSliceOptions", shrink_axis_mask=1)
    batch = g.op("STRIDED_SLICE", [shape, *bounds], [()], options, dtype="int32")[0]
    others = [g.constant(np.array(v, np.int32)) for v in rest]
    count = len(rest) + 1
    packing = table("PackOptions", values_count=count)
    return g.op("PACK", [batch, *others], [(count,)], packing, dtype="int32")[0]


def excite(keep_dims: bool, dynamic: bool = False) -> Middle:
    """A squeeze-and-excite block whose pooling keeps its dimensions, or gets them back from a RESHAPE."""

    def part(g: ModelBuilder, x: Value) -> Value:
        if not dynamic:
            return g.binary("MUL", x, gate(g, x, keep_dims=keep_dims))
        s = g.mean(x)
        shape = computed_shape(g, s, (1, 1, x.shape[3]))
        s = g.op("RESHAPE", [s, shape], [(1, 1, 1, x.shape[3])], table("ReshapeOptions"))[0]
        s = pruned(g, pruned(g, s, 4), x.shape[3], "NONE")
        return g.binary("MUL", x, g.unary("LOGISTIC", s))

    return part


def flatten(g: ModelBuilder, x: Value) -> Value:
    return g.reshape(x, x.shape)


def dense_head(storage: str, keep_dims: bool = False) -> Head:
    def part(g: ModelBuilder, x: Value) -> None:
        zeros, block = (0.75, 4) if storage == "sparse_direct" else (0.8, 1)
        pooled = g.mean(x, keep_dims=keep_dims)
        g.output(g.fully_connected(pooled, 16, zeros=zeros, storage=storage, block=block))

    return part


PLAIN = middle(lambda g, x: g.unary("RELU6", x))
