"""For each rule a small model that breaks it, and the nearest one that does not: the same with the fix made.

The outcomes are those that the real runtime showed (LiteRT 2.3, by model; `test_rules.py` has it judge them again).
Numbers of sparse operators are never written here: what a fix unlocks is compared with the fixed model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from xnnlint.modelbuilder.builder import ModelBuilder, Padding, Value
from xnnlint.modelbuilder.builder import Pair as Size
from xnnlint.modelbuilder.building_blocks import Middle, apply_unary, gate, pruned, stem, tail, trunk
from xnnlint.modelbuilder.flatwriter import table
from xnnlint.xnnpack.profile import DEFAULT_CPU, DEFAULT_RUNTIME

Fill = Callable[[ModelBuilder], None]
Head = Callable[[ModelBuilder, Value], None]
HALF = {"reduced_precision_support": b"fp16accfp16"}


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


# -- frames ----------------------------------------------------------------------------------------------------------


def middle(part: Middle) -> Fill:
    """Trunk, the part, a pruned 1x1 convolution, tail."""
    return lambda g: tail(g, pruned(g, part(g, trunk(g)), 24))


def head(part: Head) -> Fill:
    """Trunk, and the part that makes the outputs."""
    return lambda g: part(g, trunk(g))


def entry(part: Callable[[ModelBuilder], Value]) -> Fill:
    """The part, which makes the input and the stem, then depthwise, a pruned 1x1 convolution, tail."""
    return lambda g: tail(g, pruned(g, g.depthwise(part(g), fused="RELU"), 16))


def weights(zeros: int | float, storage: str) -> Fill:
    """Stem, depthwise, 1x1 convolution with such weights, tail."""
    return lambda g: tail(g, g.conv2d(g.depthwise(stem(g), fused="RELU"), 16, zeros=zeros, storage=storage))


# -- parts -----------------------------------------------------------------------------------------------------------


def _stem(padding: str, pad: bool, channels: int = 3) -> Callable[[ModelBuilder], Value]:
    def part(g: ModelBuilder) -> Value:
        x = g.input((1, 24, 40, channels))
        return g.conv2d(g.pad(x) if pad else x, 8, 3, 2, padding, fused="RELU", name="stem")

    return part


def _depthwise(kernel: Size, pad: int | Padding, stride: int, padding: str = "VALID") -> Middle:
    return lambda g, x: g.depthwise(g.pad(x, pad) if pad else x, kernel, stride, padding)


def _vector(g: ModelBuilder, channels: int) -> Value:
    return g.random_constant((1, 1, 1, channels))


def _in_sequence(code: str) -> Middle:
    """A unary operator on the map as a sequence of pixels."""

    def part(g: ModelBuilder, x: Value) -> Value:
        n, h, w, c = x.shape
        return g.reshape(g.unary(code, g.reshape(x, (n, h * w, c))), x.shape)

    return part


def _computed_shape(g: ModelBuilder, source: Value, rest: tuple[int, ...]) -> Value:
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


def _answer_with_input(g: ModelBuilder) -> None:
    x = g.input((1, 24, 40, 3))
    g.output(x)
    tail(g, pruned(g, g.depthwise(g.conv2d(g.pad(x), 8, 3, 2, fused="RELU"), fused="RELU"), 16))


def _answer_with_unread_input(g: ModelBuilder) -> None:
    tail(g, pruned(g, g.depthwise(stem(g), fused="RELU"), 16))
    g.output(g.input((1, 3, 5), "unread"))


def flattened(g: ModelBuilder, x: Value) -> Value:
    """To a shape that is computed at run time."""
    channels = x.shape[-1]
    return g.op("RESHAPE", [x, _computed_shape(g, x, (channels,))], [(1, channels)], table("ReshapeOptions"))[0]


def _rows(told: bool) -> Head:
    """Softmax of the map as rows of pixels; `told`: whether the file says how many."""

    def part(g: ModelBuilder, x: Value) -> None:
        _, height, width, channels = x.shape
        size = height * width if told else 1
        shape = _computed_shape(g, x, (-1, channels))
        y = g.softmax(g.op("RESHAPE", [x, shape], [(1, size, channels)], table("ReshapeOptions"))[0])
        for record in g.tensors[-2:]:
            record.signature = (-1, size if told else -1, channels)
        g.output(y)

    return part


def _excite(keep_dims: bool, dynamic: bool = False) -> Middle:
    """A squeeze-and-excite block whose pooling keeps its dimensions, or gets them back from a RESHAPE."""

    def part(g: ModelBuilder, x: Value) -> Value:
        if not dynamic:
            return g.binary("MUL", x, gate(g, x, keep_dims=keep_dims))
        s = g.mean(x)
        shape = _computed_shape(g, s, (1, 1, x.shape[3]))
        s = g.op("RESHAPE", [s, shape], [(1, 1, 1, x.shape[3])], table("ReshapeOptions"))[0]
        s = pruned(g, pruned(g, s, 4), x.shape[3], "NONE")
        return g.binary("MUL", x, g.unary("LOGISTIC", s))

    return part


def _classifier(between: Middle, zeros: float = 0.8, filters: int = 6) -> Head:
    """A pooling with keepdims, something, and a 1x1 convolution as classifier."""

    def part(g: ModelBuilder, x: Value) -> None:
        y = between(g, g.mean(x, keep_dims=True))
        storage = "sparse" if zeros else "dense"
        g.output(g.conv2d(y, filters, zeros=zeros, storage=storage, name="classifier"))

    return part


def _flatten(g: ModelBuilder, x: Value) -> Value:
    return g.reshape(x, x.shape)


def _two_dense(reshaped: bool) -> Head:
    """Pooling, and two pruned fully-connected layers that keep the number of dimensions."""

    def part(g: ModelBuilder, x: Value) -> None:
        x = pruned(g, x, 24)
        y = g.mean(x)
        if reshaped:
            y = g.reshape(y, y.shape)
        y = g.fully_connected(y, 16, keep_num_dims=True, zeros=0.8, storage="sparse", fused="RELU")
        g.output(g.fully_connected(y, 5, keep_num_dims=True, zeros=0.8, storage="sparse"))

    return part


def _also_reshaped(ended: bool) -> Head:
    """A map that is pooled, and read by a RESHAPE, too: directly, or behind DEPTH_TO_SPACE."""

    def part(g: ModelBuilder, x: Value) -> None:
        n, h, w, c = x.shape
        other = g.depth_to_space(x) if ended else x
        g.output(g.fully_connected(g.mean(x), 5), g.reshape(other, (n, h * w * c)))

    return part


def _second_output(part: Middle | None) -> Head:
    """A feature map that the rest of the network reads, given out through the part."""

    def fill(g: ModelBuilder, x: Value) -> None:
        if part is not None:
            g.output(part(g, x))
        tail(g, pruned(g, x, 24))

    return fill


def _map_output(ended: bool) -> Head:
    def part(g: ModelBuilder, x: Value) -> None:
        y = pruned(g, x, 12, "NONE")
        g.output(g.fully_connected(g.mean(x), 5), g.depth_to_space(y) if ended else y)

    return part


def _two_inputs(with_stem: bool) -> Fill:
    def fill(g: ModelBuilder) -> None:
        x = pruned(g, stem(g), 16)
        other = pruned(g, stem(g), 16) if with_stem else pruned(g, g.input((1, 12, 20, 8)), 16)
        tail(g, pruned(g, g.binary("ADD", x, other), 24))

    return fill


def _behind_end(later: bool) -> Head:
    """A 1x1 convolution in front of DEPTH_TO_SPACE, or behind it."""

    def part(g: ModelBuilder, x: Value) -> None:
        y = pruned(g, x, 24)
        g.output(g.conv2d(g.depth_to_space(y), 6, name="scores") if later else g.depth_to_space(y))

    return part


def _dense_head(storage: str, keep_dims: bool = False) -> Head:
    def part(g: ModelBuilder, x: Value) -> None:
        zeros, block = (0.75, 4) if storage == "sparse_direct" else (0.8, 1)
        pooled = g.mean(x, keep_dims=keep_dims)
        g.output(g.fully_connected(pooled, 16, zeros=zeros, storage=storage, block=block))

    return part


def _no_pointwise(g: ModelBuilder) -> None:
    tail(g, g.depthwise(stem(g), fused="RELU"))


def _stem_and_pool(fixed: bool) -> Fill:
    """Two problems in one model, a stem with 'same' padding and a pool in the middle; or none."""

    def fill(g: ModelBuilder) -> None:
        x = g.depthwise(_stem("VALID" if fixed else "SAME", fixed)(g), fused="RELU")
        x = pruned(g, x, 16)
        x = g.depthwise(g.pad(x), 3, 2, "VALID") if fixed else g.pool("MAX_POOL_2D", x)
        tail(g, pruned(g, x, 24))

    return fill


def _dynamic_range(storage: str) -> Fill:
    return lambda g: tail(g, pruned(g, g.conv2d(g.depthwise(stem(g)), 16, zeros=0.8, storage=storage), 24))


def _wrapped(g: ModelBuilder) -> None:
    """As converted with its pruning wrappers: kernels in Keras' order, put into the runtime's at run time."""
    x = g.depthwise(stem(g), fused="RELU")
    for name, filters in (("expand", 16), ("project", 24)):
        kernel = g.weight((1, 1, x.shape[3], filters), x.shape[3], 0.8)
        kernel = g.transpose(kernel, (3, 0, 1, 2))
        x = g.conv2d(x, filters, weights=kernel, fused="RELU", name=f"net/prune_low_magnitude_{name}/Conv2D")
    tail(g, x)


def _stripped(g: ModelBuilder) -> None:
    x = g.depthwise(stem(g), fused="RELU")
    for name, filters in (("expand", 16), ("project", 24)):
        x = g.conv2d(x, filters, zeros=0.8, storage="sparse", fused="RELU", name=f"net/{name}/Conv2D")
    tail(g, x)


PLAIN = middle(lambda g, x: g.unary("RELU6", x))

PAIRS = [
    Pair(
        "XNN100 dynamic range",
        _dynamic_range("int8_direct"),
        _dynamic_range("dense"),
        "dense",
        "",
        "quantized at run time",
        "float16 weights keep the sparse path",
    ),
    Pair(
        "XNN100 dynamic range, stored sparse",
        _dynamic_range("sparse_int8_direct"),
        _dynamic_range("sparse_int8"),
        "fails",
        "",
        "quantized at run time",
        "without 8-bit quantization",
    ),
    Pair(
        "XNN101 same padding",
        entry(_stem("SAME", False)),
        entry(_stem("VALID", True)),
        "dense",
        "CONV_2D",
        "'same' padding at stride 2x2",
        "ZeroPadding2D(1)",
    ),
    Pair(
        "XNN101 four channels",
        entry(_stem("VALID", True, 4)),
        entry(_stem("VALID", True)),
        "dense",
        "CONV_2D",
        "4 input channels",
        "3 input channels",
    ),
    Pair(
        "XNN102 stride",
        middle(lambda g, x: g.conv2d(x, 16, stride=2, zeros=0.8, storage="sparse")),
        middle(_depthwise(3, 1, 2)),
        "wrong-results",
        "CONV_2D",
        "stride 2x2",
        "depthwise",
    ),
    Pair(
        "XNN103 old runtime",
        middle(lambda g, x: g.fully_connected(x, 16, keep_num_dims=True, zeros=0.8, storage="sparse")),
        middle(lambda g, x: pruned(g, x, 16, "NONE")),
        "wrong-results",
        "FULLY_CONNECTED",
        "FULLY_CONNECTED",
        "1x1 Conv2D",
        runtime="tf-2.18",
        unlocks=False,
    ),
    Pair(
        "XNN104 same padding",
        middle(_depthwise(3, 0, 2, "SAME")),
        middle(_depthwise(3, 1, 2)),
        "wrong-results",
        "DEPTHWISE_CONV_2D",
        "'same' padding at stride 2x2",
        "ZeroPadding2D(1)",
    ),
    Pair(
        "XNN104 kernel 7x7",
        middle(_depthwise(7, 0, 1, "SAME")),
        middle(_depthwise(5, 0, 1, "SAME")),
        "wrong-results",
        "DEPTHWISE_CONV_2D",
        "kernel 7x7",
        "3x3 or 5x5",
    ),
    Pair(
        "XNN105 constant second",
        middle(lambda g, x: g.binary("ADD", x, _vector(g, 16))),
        middle(lambda g, x: g.binary("ADD", _vector(g, 16), x)),
        "wrong-results",
        "ADD",
        "constant of shape [1, 1, 1, 16] as second operand",
        "first operand",
    ),
    Pair(
        "XNN105 constant of rank 1",
        middle(lambda g, x: g.binary("MUL", g.random_constant((16,)), x)),
        middle(lambda g, x: g.binary("MUL", _vector(g, 16), x)),
        "wrong-results",
        "MUL",
        "constant of shape [16]",
        "[1, 1, 1, C]",
    ),
    Pair(
        "XNN106 prelu",
        middle(lambda g, x: g.prelu(x)),
        middle(lambda g, x: g.unary("LEAKY_RELU", x, alpha=0.25)),
        "wrong-results",
        "PRELU",
        "PRELU",
        "LeakyReLU",
    ),
    Pair(
        "XNN106 maximum of a vector",
        middle(lambda g, x: g.binary("MAXIMUM", x, g.constant(np.full((16,), 0.2, np.float32)))),
        middle(lambda g, x: g.binary("MAXIMUM", x, g.constant(0.2))),
        "wrong-results",
        "MAXIMUM",
        "MAXIMUM",
        "scalar",
    ),
    Pair(
        "XNN106 subtract itself",
        middle(lambda g, x: g.binary("SUB", x, x)),
        middle(lambda g, x: g.unary("SQUARE", x)),
        "dense",
        "SUB",
        "SUB",
        "negated",
    ),
    Pair(
        "XNN107 old runtime",
        middle(lambda g, x: apply_unary(g, "TANH", x)),
        middle(lambda g, x: apply_unary(g, "LOGISTIC", x)),
        "wrong-results",
        "TANH",
        "tanh",
        "ReLU6",
        runtime="tf-2.18",
    ),
    Pair(
        "XNN107 sequence",
        middle(_in_sequence("RELU6")),
        middle(lambda g, x: g.unary("RELU6", x)),
        "wrong-results",
        "RELU6",
        "[1, 240, 16]",
        "before the Reshape",
        together=("XNN110",),
    ),
    Pair(
        "XNN108 one row",
        middle(lambda g, x: g.resize_bilinear(g.depthwise(x, (12, 3), (1, 1), "VALID"), 12, 20)),
        middle(lambda g, x: g.resize_bilinear(g.depthwise(g.pad(x), 3, 2, "VALID"), 12, 20)),
        "wrong-results",
        "RESIZE_BILINEAR",
        "[1, 1, 18, 16]",
        "broadcast",
        together=("XNN104",),
    ),
    Pair(
        "XNN109 old runtime",
        head(lambda g, x: g.output(g.mean(x, (1,)))),
        head(lambda g, x: g.output(g.mean(x, (1, 2)))),
        "dense",
        "MEAN",
        "MEAN over axes [1]",
        "GlobalAveragePooling2D",
        runtime="tf-2.18",
    ),
    Pair(
        "XNN110 max pool",
        middle(lambda g, x: g.pool("MAX_POOL_2D", x)),
        middle(_depthwise(3, 1, 2)),
        "wrong-results",
        "MAX_POOL_2D",
        "MAX_POOL_2D",
        "depthwise",
    ),
    Pair(
        "XNN110 max pool of one pixel",
        middle(lambda g, x: g.pool("MAX_POOL_2D", x, (2, 1), (2, 1))),
        middle(lambda g, x: g.pool("MAX_POOL_2D", x, 1)),
        "wrong-results",
        "MAX_POOL_2D",
        "MAX_POOL_2D",
        "depthwise",
    ),
    Pair(
        "XNN110 reshape for the pooled dimensions",
        middle(_excite(False)),
        middle(_excite(True)),
        "dense",
        "RESHAPE",
        "RESHAPE",
        "keepdims=True",
    ),
    Pair(
        "XNN110 concatenation",
        middle(lambda g, x: g.concat([pruned(g, x, 8), pruned(g, x, 8)])),
        middle(lambda g, x: g.binary("ADD", pruned(g, x, 8), pruned(g, x, 8))),
        "wrong-results",
        "CONCATENATION",
        "CONCATENATION",
        "add the branches",
    ),
    Pair(
        "XNN110 and a stem",
        _stem_and_pool(False),
        _stem_and_pool(True),
        "dense",
        "MAX_POOL_2D",
        "MAX_POOL_2D",
        "depthwise",
        together=("XNN101",),
    ),
    Pair(
        "XNN201 map output",
        head(_map_output(False)),
        head(_map_output(True)),
        "wrong-results",
        "CONV_2D",
        "an output of the model",
        "depth_to_space",
    ),
    Pair(
        "XNN202 flatten",
        head(lambda g, x: g.output(g.fully_connected(g.reshape(x, (1, -1)), 5))),
        head(lambda g, x: tail(g, x)),
        "dense",
        "CONV_2D",
        "none behind",
        "GlobalAveragePooling2D(keepdims=True)",
    ),
    Pair(
        "XNN203 reshape beside",
        head(_also_reshaped(False)),
        head(_also_reshaped(True)),
        "dense",
        "CONV_2D",
        "(RESHAPE #",
        "DEPTH_TO_SPACE",
    ),
    Pair(
        "XNN204 feature given out",
        head(_second_output(lambda g, x: x)),
        head(_second_output(lambda g, x: g.depth_to_space(x))),
        "wrong-results",
        "CONV_2D",
        "an output of the model",
        "DEPTH_TO_SPACE",
    ),
    Pair(
        "XNN205 second input",
        _two_inputs(False),
        _two_inputs(True),
        "dense",
        "CONV_2D",
        "the model's input",
        "strides=2",
    ),
    Pair(
        "XNN206 twice",
        middle(lambda g, x: g.binary("ADD", x, x)),
        middle(lambda g, x: g.binary("MUL", g.constant(np.full((1, 1, 1, 1), 2.0, np.float32)), x)),
        "dense",
        "ADD",
        "ADD of a value with itself",
        "the constant first",
    ),
    Pair(
        "XNN206 old runtime, square",
        middle(lambda g, x: g.binary("MUL", x, x)),
        middle(lambda g, x: g.unary("SQUARE", x)),
        "dense",
        "MUL",
        "MUL of a value with itself",
        "tf.square",
        runtime="litert-2.0",
    ),
    Pair(
        "XNN301 two thirds",
        lambda g: tail(g, g.conv2d(g.depthwise(stem(g, filters=6)), 16, zeros=64, storage="sparse")),
        lambda g: tail(g, g.conv2d(g.depthwise(stem(g, filters=6)), 16, zeros=65, storage="sparse")),
        "dense",
        "CONV_2D",
        "66.7% (64 of 96 weights)",
        "prune 1 more",
    ),
    Pair(
        "XNN301 dense classifier counts",
        head(lambda g, x: g.output(g.fully_connected(g.mean(x), 5, keep_num_dims=True))),
        head(lambda g, x: g.output(g.fully_connected(_flatten(g, g.mean(x)), 5, keep_num_dims=True))),
        "dense",
        "FULLY_CONNECTED",
        "of 208 weights",
        "put a Flatten or Reshape in front of dense",
    ),
    Pair("XNN302 stored dense", weights(0.8, "dense"), weights(0.8, "sparse"), "dense", "CONV_2D", "79.7%", "SPARSITY"),
    Pair(
        "XNN302 float16 stored dense",
        weights(0.8, "fp16"),
        weights(0.8, "sparse_fp16"),
        "dense",
        "CONV_2D",
        "79.7% zeros, all stored dense",
        "EXPERIMENTAL_SPARSITY",
    ),
    Pair("XNN303 no zeros", weights(0, "dense"), weights(0.8, "sparse"), "dense", "", "0.0% zeros", "prune"),
    Pair("XNN304 none", _no_pointwise, PLAIN, "dense", "", "none", "SeparableConv2D", unlocks=False),
    Pair(
        "XNN305 behind the end",
        head(_behind_end(True)),
        head(_behind_end(False)),
        "sparse",
        "CONV_2D",
        "0.0% of their weights",
        "",
        unlocks=False,
    ),
    Pair(
        "XNN306 wrapped",
        _wrapped,
        _stripped,
        "dense",
        "CONV_2D",
        "computed: prune_low_magnitude_expand, prune_low_magnitude_project",
        "strip_pruning",
        unlocks=False,
    ),
    Pair(
        "XNN401 nearest neighbour",
        middle(lambda g, x: g.resize_bilinear(x, 13, 23, code="RESIZE_NEAREST_NEIGHBOR")),
        middle(lambda g, x: g.resize_bilinear(x, 13, 23)),
        "dense",
        "RESIZE_NEAREST_NEIGHBOR",
        "RESIZE_NEAREST_NEIGHBOR",
        "bilinear",
    ),
    Pair(
        "XNN401 shape computed at run time",
        middle(_excite(False, dynamic=True)),
        middle(_excite(True)),
        "dense",
        "RESHAPE",
        "a shape computed by 3 operators",
        "keepdims=True",
    ),
    Pair(
        "XNN402 block-sparse",
        head(_dense_head("sparse_direct")),
        head(_dense_head("sparse")),
        "sparse",
        "FULLY_CONNECTED",
        "version 8",
        "",
        unlocks=False,
    ),
    Pair("XNN501 avx", PLAIN, PLAIN, "dense", "", "AVX", "ARM", cpu="x86-avx", good_cpu="x86-sse"),
    Pair(
        "XNN502 float16 arithmetic",
        PLAIN,
        PLAIN,
        "dense",
        "",
        "fp16accfp16",
        "float16 weights are fine",
        cpu="arm64-fp16",
        good_cpu="arm64-fp16",
        metadata=HALF,
        good_metadata={"reduced_precision_support": b"fp16accfp32"},
    ),
    Pair(
        "XNN502 float16 arithmetic elsewhere",
        PLAIN,
        PLAIN,
        "sparse",
        "",
        "fp16accfp16",
        "float16 weights are fine",
        metadata=HALF,
        unlocks=False,
    ),
    Pair(
        "XNN601 pruned classifier",
        head(_classifier(lambda g, x: x)),
        head(_classifier(_flatten)),
        "fails",
        "MEAN",
        "read by classifier",
        "Reshape or Flatten directly behind it",
    ),
    Pair(
        "XNN601 dense classifier",
        head(_classifier(lambda g, x: x, 0.0, 96)),
        head(_classifier(_flatten, 0.0, 96)),
        "dense",
        "MEAN",
        "read by classifier",
        "Reshape or Flatten directly behind it",
    ),
    Pair(
        "XNN601 softmax",
        head(lambda g, x: g.output(g.softmax(g.mean(x, keep_dims=True)))),
        head(lambda g, x: g.output(g.softmax(_flatten(g, g.mean(x, keep_dims=True))))),
        "wrong-results",
        "MEAN",
        "read by softmax",
        "Reshape or Flatten directly behind it",
    ),
    Pair(
        "XNN601 without keepdims",
        PLAIN,
        head(_dense_head("dense", keep_dims=True)),
        "sparse",
        "MEAN",
        "keepdims=False",
        "keepdims=True",
        unlocks=False,
    ),
    Pair(
        "XNN601 oldest runtime",
        head(_dense_head("dense")),
        head(_dense_head("dense", keep_dims=True)),
        "dense",
        "MEAN",
        "keepdims=False",
        "keepdims=True",
        runtime="tf-2.4",
    ),
    Pair(
        "XNN602 over the height",
        head(lambda g, x: g.output(g.mean(x, (1,)))),
        head(lambda g, x: g.output(g.mean(x, (1, 2)))),
        "wrong-results",
        "MEAN",
        "MEAN over axes [1]",
        "[1, 2]",
    ),
    Pair(
        "XNN602 kept over the height",
        head(lambda g, x: g.output(g.mean(x, (1,), True))),
        head(lambda g, x: g.output(g.mean(x, (1, 2)))),
        "wrong-results",
        "MEAN",
        "MEAN over axes [1]",
        "[1, 2]",
    ),
    Pair(
        "XNN602 over the channels",
        head(lambda g, x: g.output(g.mean(x, (3,)))),
        head(lambda g, x: g.output(g.mean(x, (0, 1, 2)))),
        "sparse",
        "MEAN",
        "MEAN over axes [3]",
        "[1, 2]",
        unlocks=False,
    ),
    Pair(
        "XNN603 two dense layers",
        head(_two_dense(False)),
        head(_two_dense(True)),
        "fails",
        "FULLY_CONNECTED",
        "a vector of shape [1, 24]",
        "Reshape or Flatten",
    ),
    Pair(
        "XNN901 softmax in the middle",
        middle(lambda g, x: g.softmax(x)),
        PLAIN,
        "wrong-results",
        "CONV_2D",
        "SOFTMAX at softmax (SOFTMAX #",
        "without EXPERIMENTAL_SPARSITY the model is right",
        unlocks=False,
    ),
    Pair(
        "XNN902 gate without a convolution",
        middle(lambda g, x: g.binary("MUL", x, g.mean(x, keep_dims=True))),
        middle(lambda g, x: g.binary("MUL", x, pruned(g, g.mean(x, keep_dims=True), 16, "NONE"))),
        "fails",
        "MUL",
        "no RESHAPE at mean (MEAN #",
        "without EXPERIMENTAL_SPARSITY the model is right",
        unlocks=False,
    ),
    Pair(
        "XNN901 an input as an output",
        _answer_with_input,
        PLAIN,
        "wrong-results",
        "PAD",
        "that is an output, too",
        "leave the input out",
        unlocks=False,
    ),
    Pair(
        "XNN901 an input that nobody reads as an output",
        _answer_with_unread_input,
        PLAIN,
        "wrong-results",
        "PAD",
        "that is an output, too",
        "leave the input out",
        unlocks=False,
    ),
    # The fixed model pads as TensorFlow does: the width by 0, where the last window ends before the map does.
    Pair(
        "XNN901 same padding below 0 on an old runtime",
        head(lambda g, x: tail(g, g.depthwise(g.depth_to_space(x), (3, 1), 2))),
        head(lambda g, x: tail(g, _depthwise((3, 1), ((0, 0), (0, 1), (0, 0), (0, 0)), 2)(g, g.depth_to_space(x)))),
        "wrong-results",
        "DEPTHWISE_CONV_2D",
        "'same' padding of a 3x1 kernel at stride 2x2 on a map of 24x40",
        "padding='valid' behind ZeroPadding2D(((0, 1), (0, 0)))",
        runtime="litert-2.1.5",
        unlocks=False,
    ),
    Pair(
        "XNN902 an output of a computed shape",
        head(lambda g, x: g.output(flattened(g, g.mean(x)))),
        head(lambda g, x: g.output(g.softmax(flattened(g, g.mean(x))))),
        "fails",
        "RESHAPE",
        "a computed shape at",
        "fixed batch",
        unlocks=False,
    ),
    Pair(
        "XNN902 an output of a size that the file does not tell",
        head(_rows(told=False)),
        head(_rows(told=True)),
        "fails",
        "SOFTMAX",
        "a computed shape at",
        "fixed batch",
        good_outcome="dense",
        unlocks=False,
    ),
]
