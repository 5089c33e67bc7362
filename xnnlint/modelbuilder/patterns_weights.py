"""Hand-made models: how weights are stored, how many are zero, and several partitions."""

from __future__ import annotations

import numpy as np

from xnnlint.modelbuilder.builder import ModelBuilder
from xnnlint.modelbuilder.building_blocks import PRUNED, REFUSED, pruned, stem, tail, trunk
from xnnlint.modelbuilder.flatwriter import table
from xnnlint.modelbuilder.modelfile import Value
from xnnlint.modelbuilder.pattern_registry import head_case, middle, pattern

# -- zeros ---------------------------------------------------------------------------------------------------

for _zeros in (0, 63, 64, 65, 95, 96):

    @pattern(f"zeros_{_zeros}_of_96", "zeros", f"{_zeros} of 96 weights are zero")
    def _zero_count(g: ModelBuilder, zeros: int = _zeros) -> None:
        # No RELU between: the one weight that is left must see something.
        tail(g, g.conv2d(g.depthwise(stem(g)), 12, zeros=zeros, storage="sparse"))


@pattern("zeros_negative", "zeros", "zeros are -0.0")
def _negative_zeros(g: ModelBuilder) -> None:
    weights = g.rng.uniform(0.2, 0.6, (12, 1, 1, 8)).astype(np.float32)
    weights.reshape(-1)[:80] = -0.0
    x = g.conv2d(g.depthwise(stem(g, filters=8), fused="RELU", zeros=0.5, storage="sparse"), 12, weights=weights)
    tail(g, x)


@pattern("zeros_aggregate", "zeros", "one dense and one 95% pruned 1x1: above two thirds together")
def _aggregate(g: ModelBuilder) -> None:
    x = g.conv2d(g.depthwise(stem(g), fused="RELU"), 6, fused="RELU")
    x = g.conv2d(x, 64, zeros=0.95, storage="sparse", fused="RELU")
    tail(g, x)


@pattern("zeros_aggregate_below", "zeros", "one pruned and one larger dense 1x1: below two thirds together")
def _aggregate_below(g: ModelBuilder) -> None:
    tail(g, g.conv2d(trunk(g), 64, fused="RELU"))


# -- weights -------------------------------------------------------------------------------------------------

for _storage, _text in (
    ("dense", "fp32 without DENSIFY"),
    ("fp16", "fp16 behind DEQUANTIZE, without DENSIFY"),
    ("sparse_fp16", "fp16 behind DENSIFY and DEQUANTIZE"),
    ("int8", "int8 behind DEQUANTIZE, without DENSIFY"),
    ("sparse_int8", "int8 behind DENSIFY and DEQUANTIZE"),
    ("int8_direct", "int8 read by the convolution (dynamic range)"),
    ("sparse_int8_direct", "int8 behind DENSIFY only (dynamic range)"),
):

    @pattern(f"weights_{_storage}", "weights", f"pruned 1x1 weights as {_text}")
    def _stored(g: ModelBuilder, storage: str = _storage) -> None:
        x = g.depthwise(stem(g), fused="RELU")
        tail(g, pruned(g, pruned(g, x, 16, storage=storage), 24, storage=storage))


# Without DENSIFY: who reads the weights has to know the encoding, or takes what is stored for all of them.
for _storage, _block, _text in (
    ("sparse_direct", 1, "float32 single values"),
    ("sparse_direct", 4, "float32 in blocks of 1x4"),
    ("sparse_direct", 8, "float32 in blocks of 1x8, which no kernel knows"),
    ("sparse_direct_fp16", 4, "float16 in blocks of 1x4, behind DEQUANTIZE"),
    ("sparse_direct_int8", 16, "int8 in blocks of 1x16 (dynamic range, version 8)"),
    ("sparse_direct_int8", 1, "int8 single values (dynamic range, version 8)"),
    ("sparse_direct_qc8", 16, "int8 in blocks of 1x16 with a scale for each channel (dynamic range, version 12)"),
    ("sparse_direct_int8_dequantize", 16, "int8 in blocks of 1x16, behind DEQUANTIZE"),
):

    def _hidden(g: ModelBuilder, x: Value, storage: str = _storage, block: int = _block) -> None:
        # The dense layer in front keeps the read within the file: what lies behind it differs from run to run.
        x = g.fully_connected(g.mean(x), 64, fused="RELU")
        g.output(g.fully_connected(x, 12, zeros=0.75, storage=storage, block=block))

    _name = f"fc_{_storage}_{_block}"
    head_case(_name, "weights", f"a FULLY_CONNECTED of sparse weights without DENSIFY: {_text}", _hidden)


@pattern("conv_sparse_direct", "weights", "1x1 convolutions of sparse weights without DENSIFY")
def _conv_direct(g: ModelBuilder) -> None:
    tail(g, pruned(g, g.depthwise(stem(g), fused="RELU"), 16, storage="sparse_direct"))


@pattern("fc_blocks_many", "weights", "int8 in 300 blocks of 1x16 a row, which its kernel cannot note")
def _many_blocks(g: ModelBuilder) -> None:
    g.output(g.mean(trunk(g)))
    g.output(g.fully_connected(g.input((1, 4800)), 3, zeros=6, storage="sparse_direct_int8", block=16))


@pattern("densify_one", "weights", "two pruned 1x1, only one sparse-encoded")
def _densify_one(g: ModelBuilder) -> None:
    tail(g, pruned(g, trunk(g), 24, storage="dense"))


for _where in ("dw", "stem", "fc"):

    @pattern(f"densify_{_where}_only", "weights", f"pruned 1x1 stored dense, only the {_where} filter sparse-encoded")
    def _densify_elsewhere(g: ModelBuilder, where: str = _where) -> None:
        hint = {"zeros": 0.5, "storage": "sparse"}
        x = g.conv2d(g.pad(g.input((1, 24, 40, 3))), 8, 3, 2, fused="RELU", **(hint if where == "stem" else {}))  # type: ignore[arg-type]
        x = g.depthwise(x, fused="RELU", **(hint if where == "dw" else {}))  # type: ignore[arg-type]
        x = pruned(g, x, 16, storage="dense")
        g.output(g.fully_connected(g.mean(x), 5, **(hint if where == "fc" else {})))  # type: ignore[arg-type]


@pattern("fp16_bias", "weights", "fp16 filter and fp16 bias")
def _fp16_bias(g: ModelBuilder) -> None:
    x = g.depthwise(stem(g), fused="RELU")
    bias = g.weight((16,), 16, storage="fp16", name="bias")
    tail(g, g.conv2d(x, 16, zeros=PRUNED, storage="sparse_fp16", bias=bias, fused="RELU"))


@pattern("fp16_bias_fp32_filter", "weights", "fp16 bias with a fp32 filter, which the delegate refuses")
def _fp16_bias_fp32_filter(g: ModelBuilder) -> None:
    x = g.depthwise(stem(g), fused="RELU")
    bias = g.weight((16,), 16, storage="fp16", name="bias")
    tail(g, pruned(g, g.conv2d(x, 16, zeros=PRUNED, storage="sparse", bias=bias, fused="RELU"), 24))


@pattern("fp16_chain_refused", "weights", "fp16 DENSIFY chain into a convolution that the delegate refuses")
def _fp16_chain_refused(g: ModelBuilder) -> None:
    x = pruned(g, trunk(g), 16, "TANH", storage="sparse_fp16")
    tail(g, pruned(g, x, 24))


@pattern("fp16_chain_shared", "weights", "fp16 DENSIFY chain read by a delegated and a refused convolution")
def _fp16_chain_shared(g: ModelBuilder) -> None:
    x = trunk(g)
    weights = g.weight((16, 1, 1, 16), 16, PRUNED, "sparse_fp16")
    y = g.conv2d(x, 16, weights=weights, fused="RELU")
    tail(g, pruned(g, g.conv2d(y, 16, weights=weights, fused="TANH"), 24))


@pattern("densify_refused", "weights", "fp32 DENSIFY into a convolution that the delegate refuses")
def _densify_refused(g: ModelBuilder) -> None:
    tail(g, pruned(g, pruned(g, trunk(g), 16, "TANH"), 24))


@pattern("weights_shared", "weights", "one sparse filter read by two convolutions")
def _weights_shared(g: ModelBuilder) -> None:
    weights = g.weight((16, 1, 1, 16), 16, PRUNED, "sparse")
    x = g.conv2d(trunk(g), 16, weights=weights, fused="RELU")
    tail(g, g.conv2d(x, 16, weights=weights, fused="RELU"))


def _int8_block(g: ModelBuilder, x: Value) -> Value:
    q = g.quantize(x, 0.05)
    return g.dequantize(g.conv2d(q, 12, 3, 2, "SAME", fused="RELU", zeros=0.5, storage="sparse"))


@pattern("int8_branch", "weights", "an int8 network beside the sparse one")
def _int8_branch(g: ModelBuilder) -> None:
    g.output(g.mean(trunk(g)))
    g.output(g.reshape(_int8_block(g, g.input((1, 16, 22, 5))), (1, -1)))


@pattern("int8_boundary", "weights", "QUANTIZE in the middle of the network")
def _int8_boundary(g: ModelBuilder) -> None:
    tail(g, pruned(g, _int8_block(g, trunk(g)), 24))


@pattern("int8_full", "weights", "int8 network, sparse weights")
def _int8_full(g: ModelBuilder) -> None:
    x = g.quantize(g.input((1, 24, 40, 3)), 0.02)
    x = g.conv2d(x, 8, 3, 2, "SAME", fused="RELU")
    x = g.conv2d(x, 16, zeros=PRUNED, storage="sparse", fused="RELU")
    tail(g, g.dequantize(x))


@pattern("drq_beside", "weights", "a dynamic-range convolution beside the sparse network")
def _drq_beside(g: ModelBuilder) -> None:
    g.output(g.mean(trunk(g)))
    g.output(g.reshape(g.conv2d(g.input((1, 9, 13, 7)), 11, storage="int8_direct"), (1, -1)))


@pattern("drq_fc_head", "weights", "a dynamic-range FULLY_CONNECTED head")
def _drq_fc(g: ModelBuilder) -> None:
    g.output(g.fully_connected(g.mean(trunk(g)), 5, storage="int8_direct"))


# -- partitions ----------------------------------------------------------------------------------------------


for _name, _break in REFUSED.items():
    middle(f"break_{_name}", "partition", f"{_break.text} in the middle: two partitions", _break.part)


def _two_parts(g: ModelBuilder, first: str, second: str) -> None:
    """Two whole networks with a refused operator between them; `first` and `second` store their 1x1 weights."""
    x = pruned(g, g.depthwise(stem(g), fused="RELU"), 12, storage=first)
    y = g.depth_to_space(x)
    y = g.unary("RELU_0_TO_1", y)
    y = g.conv2d(g.pad(y), 8, 3, 2, fused="RELU", name="stem")
    tail(g, pruned(g, g.depthwise(y), 16, storage=second))


for _first in ("dense", "sparse", "sparse_fp16"):
    for _second in ("dense", "sparse", "sparse_fp16"):

        @pattern(f"parts_{_first}_{_second}", "partition", f"two partitions: 1x1 weights {_first}, then {_second}")
        def _parts(g: ModelBuilder, first: str = _first, second: str = _second) -> None:
            _two_parts(g, first, second)


def _dynamic_reshape(g: ModelBuilder, x: Value) -> Value:
    """RESHAPE to a shape made by SHAPE, STRIDED_SLICE and PACK, as TensorFlow writes Flatten and Reshape layers."""
    shape = g.op("SHAPE", [x], [(x.rank,)], table("ShapeOptions", out_type=2), dtype="int32")[0]
    parts = [g.constant(np.array(v, np.int32)) for v in ([0], [1], [1])]
    batch = g.op(
        "STRIDED_SLICE", [shape, *parts], [()], table("StridedSliceOptions", shrink_axis_mask=1), dtype="int32"
    )[0]
    rest = int(np.prod(x.shape[1:]))
    packed = g.op(
        "PACK",
        [batch, g.constant(np.array(rest, np.int32))],
        [(2,)],
        table("PackOptions", values_count=2),
        dtype="int32",
    )[0]
    return g.op("RESHAPE", [x, packed], [(x.shape[0], rest)], table("ReshapeOptions"))[0]


head_case(
    "dynamic_flatten_mean",
    "partition",
    "MEAN, then a RESHAPE to a computed shape",
    lambda g, x: g.output(g.fully_connected(_dynamic_reshape(g, g.mean(x)), 5)),
)
head_case(
    "dynamic_flatten_mean_keep",
    "partition",
    "MEAN with keep_dims, then a RESHAPE to a computed shape",
    lambda g, x: g.output(g.fully_connected(_dynamic_reshape(g, g.mean(x, keep_dims=True)), 5)),
)
head_case(
    "dynamic_flatten_map",
    "partition",
    "a RESHAPE of the map to a computed shape",
    lambda g, x: g.output(g.fully_connected(_dynamic_reshape(g, x), 5), g.mean(x)),
)
