"""Hand-made models: the base network, stems, convolutions and depthwise convolutions."""

from __future__ import annotations

from collections.abc import Callable

from xnnlint.modelbuilder.builder import ModelBuilder, Padding
from xnnlint.modelbuilder.building_blocks import PRUNED, Middle, pruned, stem, tail, trunk
from xnnlint.modelbuilder.modelfile import Value
from xnnlint.modelbuilder.pattern_registry import middle, pattern, stem_case

# -- base ----------------------------------------------------------------------------------------------------


@pattern("base", "base", "trunk and tail, nothing else")
def _base(g: ModelBuilder) -> None:
    tail(g, trunk(g))


@pattern("base_keep_dims", "base", "MEAN keeps its dimensions, then FULLY_CONNECTED flattens")
def _base_keep(g: ModelBuilder) -> None:
    g.output(g.fully_connected(g.mean(trunk(g), keep_dims=True), 5))


@pattern("batch_2", "base", "batch of 2")
def _batch_2(g: ModelBuilder) -> None:
    tail(g, pruned(g, g.depthwise(stem(g, batch=2)), 16))


@pattern("dynamic_batch", "base", "shape_signature says that the batch is dynamic", dynamic_batch=True)
def _dynamic_batch(g: ModelBuilder) -> None:
    tail(g, trunk(g))


@pattern("dense_weights", "base", "the same network with no zeros")
def _dense_weights(g: ModelBuilder) -> None:
    x = g.conv2d(g.depthwise(stem(g), fused="RELU"), 16, fused="RELU")
    tail(g, x)


@pattern(
    "fp16_metadata",
    "base",
    "metadata allows fp16 arithmetic",
    metadata=(("reduced_precision_support", b"fp16accfp16"),),
)
def _fp16_metadata(g: ModelBuilder) -> None:
    tail(g, trunk(g))


@pattern("two_inputs_two_stems", "base", "two inputs, each with its stem, joined by ADD")
def _two_stems(g: ModelBuilder) -> None:
    left, right = stem(g), stem(g)
    tail(g, g.binary("ADD", pruned(g, left, 16), pruned(g, right, 16)))


# -- stem ----------------------------------------------------------------------------------------------------


def _stem_conv(
    padding: str = "VALID", pad: int | Padding | None = None, **options: object
) -> Callable[[ModelBuilder], Value]:
    shape = options.pop("shape", (1, 24, 40, 3))
    kernel, stride = options.pop("kernel", 3), options.pop("stride", 2)

    def part(g: ModelBuilder) -> Value:
        x = g.input(shape)  # type: ignore[arg-type]
        if pad is not None:
            x = g.pad(x, pad)
        return g.conv2d(x, 8, kernel, stride, padding, fused="RELU", name="stem", **options)  # type: ignore[arg-type]

    return part


stem_case("stem_same_even", "SAME stem on an even size: padding (0, 1)", _stem_conv("SAME"))
stem_case(
    "stem_same_odd", "SAME stem on an odd size: padding would be (1, 1)", _stem_conv("SAME", shape=(1, 25, 41, 3))
)
stem_case("stem_pad_0_1", "explicit padding (0, 1)", _stem_conv(pad=((0, 0), (0, 1), (0, 1), (0, 0))))
stem_case("stem_pad_1_0", "explicit padding (1, 0)", _stem_conv(pad=((0, 0), (1, 0), (1, 0), (0, 0))))
stem_case("stem_pad_2", "explicit padding 2", _stem_conv(pad=2))
stem_case("stem_pad1_same", "PAD(1), then SAME", _stem_conv("SAME", pad=1))
stem_case("stem_no_pad", "VALID without padding", _stem_conv())
stem_case("stem_1_channel", "1 input channel", _stem_conv(pad=1, shape=(1, 24, 40, 1)))
stem_case("stem_4_channels", "4 input channels", _stem_conv(pad=1, shape=(1, 24, 40, 4)))
stem_case("stem_6_channels", "6 input channels", _stem_conv(pad=1, shape=(1, 24, 40, 6)))
stem_case("stem_stride_1", "stride 1", _stem_conv(pad=1, stride=1))
stem_case("stem_stride_2_1", "stride (2, 1)", _stem_conv(pad=1, stride=(2, 1)))
stem_case("stem_5x5", "5x5 kernel with padding 2", _stem_conv(pad=2, kernel=5))
stem_case("stem_dilated", "dilation 2, stride 1", _stem_conv(pad=2, stride=1, dilation=2))
stem_case("stem_relu6", "no fused activation but a RELU6 node", lambda g: g.unary("RELU6", _stem_conv(pad=1)(g)))
stem_case("stem_hard_swish", "HARD_SWISH after the stem", lambda g: g.unary("HARD_SWISH", _stem_conv(pad=1)(g)))
stem_case("stem_sparse", "the stem's own filter is sparse-encoded", _stem_conv(pad=1, zeros=0.5, storage="sparse"))
stem_case("stem_zero_pad", "a PAD of nothing, then VALID", _stem_conv(pad=0))


@pattern("no_stem", "stem", "the cluster starts at a graph input of 8 channels")
def _no_stem(g: ModelBuilder) -> None:
    tail(g, pruned(g, g.depthwise(g.input((1, 12, 20, 8))), 16))


def _before_stem(name: str, text: str, part: Middle) -> None:
    stem_case(name, text, lambda g: g.conv2d(g.pad(part(g, g.input((1, 24, 40, 3)))), 8, 3, 2, fused="RELU"))


_before_stem(
    "prenorm_mul_sub",
    "input scaled and shifted",
    lambda g, x: g.binary("SUB", g.binary("MUL", x, g.constant(2.0)), g.constant(1.0)),
)
_before_stem("prerelu", "RELU before the stem", lambda g, x: g.unary("RELU", x))
_before_stem("pad_pad", "two PADs in a row", lambda g, x: g.pad(x, 1))
_before_stem("pad_pad_channels", "a PAD of nothing before the PAD", lambda g, x: g.pad(x, 0))
_before_stem("stem_after_conv", "a 1x1 convolution before the stem", lambda g, x: g.conv2d(x, 3, fused="RELU"))


@pattern("stem_channel_pad", "stem", "a PAD that also pads channels 2 -> 3")
def _channel_pad(g: ModelBuilder) -> None:
    x = g.pad(g.input((1, 24, 40, 2)), ((0, 0), (1, 1), (1, 1), (0, 1)))
    tail(g, pruned(g, g.depthwise(g.conv2d(x, 8, 3, 2, fused="RELU")), 16))


@pattern("stem_shared_pad", "stem", "the PAD is read by two stems")
def _shared_pad(g: ModelBuilder) -> None:
    x = g.pad(g.input((1, 24, 40, 3)))
    left, right = (pruned(g, g.conv2d(x, 8, 3, 2, fused="RELU", name="stem"), 16) for _ in range(2))
    tail(g, g.binary("ADD", left, right))


@pattern("stem_exposed_pad", "stem", "the PAD is also a model output")
def _exposed_pad(g: ModelBuilder) -> None:
    x = g.pad(g.input((1, 24, 40, 3)))
    tail(g, pruned(g, g.depthwise(g.conv2d(x, 8, 3, 2, fused="RELU")), 16))
    g.output(x)


@pattern("stem_mean", "stem", "stem and MEAN with no 1x1 convolution")
def _stem_mean(g: ModelBuilder) -> None:
    x = g.conv2d(g.pad(g.input((1, 24, 40, 3))), 8, 3, 2, zeros=0.7, storage="sparse")
    tail(g, x)


for _code, _dtype, _text in (
    ("PADV2", "int32", "PADV2, which the delegate refuses"),
    ("MIRROR_PAD", "int32", "MIRROR_PAD, which the delegate refuses"),
    ("PAD", "int64", "paddings of int64, which the delegate refuses"),
):

    def _other_pad(g: ModelBuilder, code: str = _code, dtype: str = _dtype) -> Value:
        return g.conv2d(g.pad(g.input((1, 24, 40, 3)), 1, code, dtype), 8, 3, 2, fused="RELU", name="stem")

    stem_case(f"stem_{_code.lower()}" + ("_int64" if _dtype == "int64" else ""), _text, _other_pad)


# -- convolutions in the middle ------------------------------------------------------------------------------


def _conv(filters: int = 16, kernel: int | tuple[int, int] = 3, **options: object) -> Middle:
    return lambda g, x: g.conv2d(x, filters, kernel, fused="RELU", **options)  # type: ignore[arg-type]


middle("conv_3x3", "convolution", "plain 3x3 convolution", _conv(padding="SAME"))
middle("conv_3x3_valid", "convolution", "3x3 convolution without padding", _conv())
middle("conv_3x3_s2", "convolution", "3x3 stride-2 convolution with PAD(1)", lambda g, x: g.conv2d(g.pad(x), 16, 3, 2))
middle("conv_5x5", "convolution", "5x5 convolution", _conv(kernel=5, padding="SAME"))
middle("conv_1x3", "convolution", "1x3 convolution", _conv(kernel=(1, 3), padding="SAME"))
middle("conv_3x3_dilated", "convolution", "3x3 convolution of dilation 2", _conv(padding="SAME", dilation=2))
middle("conv_3x3_grouped", "convolution", "3x3 convolution of 4 groups", _conv(padding="SAME", groups=4))
middle(
    "pw_stride_2", "pointwise", "1x1 convolution of stride 2", _conv(kernel=1, stride=2, zeros=PRUNED, storage="sparse")
)
middle(
    "pw_grouped", "pointwise", "1x1 convolution of 2 groups", _conv(kernel=1, groups=2, zeros=PRUNED, storage="sparse")
)
middle(
    "pw_dilated",
    "pointwise",
    "1x1 convolution of dilation 2",
    _conv(kernel=1, dilation=2, zeros=PRUNED, storage="sparse"),
)
middle(
    "pw_valid", "pointwise", "1x1 VALID convolution", _conv(kernel=1, padding="VALID", zeros=PRUNED, storage="sparse")
)
middle("pw_same", "pointwise", "1x1 SAME convolution", _conv(kernel=1, padding="SAME", zeros=PRUNED, storage="sparse"))
middle("pw_pad", "pointwise", "PAD before a 1x1 convolution", lambda g, x: pruned(g, g.pad(x), 16))
middle(
    "pw_to_1",
    "pointwise",
    "1x1 convolutions 16 -> 1 -> 1 -> 16",
    lambda g, x: pruned(g, g.conv2d(g.conv2d(x, 1), 1), 16),
)
middle("pw_relu6", "pointwise", "fused RELU6", lambda g, x: pruned(g, x, 16, "RELU6"))
middle("pw_relu_n1", "pointwise", "fused RELU_N1_TO_1", lambda g, x: pruned(g, x, 16, "RELU_N1_TO_1"))
middle("pw_tanh", "pointwise", "fused TANH, which the delegate refuses", lambda g, x: pruned(g, x, 16, "TANH"))
middle("pw_no_activation", "pointwise", "no activation", lambda g, x: pruned(g, x, 16, "NONE"))
middle(
    "fc_keep_map",
    "pointwise",
    "FULLY_CONNECTED with keep_num_dims on a map",
    lambda g, x: g.fully_connected(x, 16, keep_num_dims=True, zeros=PRUNED, storage="sparse"),
)
middle(
    "fc_nokeep_reshape",
    "pointwise",
    "FULLY_CONNECTED on a map, reshaped back",
    lambda g, x: g.reshape(g.fully_connected(x, 16, zeros=PRUNED, storage="sparse"), (1, 12, 20, 16)),
)


# -- depthwise -----------------------------------------------------------------------------------------------


def _dw(
    pad: int | Padding | None = None, kernel: int | tuple[int, int] = 3, padding: str = "SAME", **options: object
) -> Middle:
    def part(g: ModelBuilder, x: Value) -> Value:
        return g.depthwise(x if pad is None else g.pad(x, pad), kernel, padding=padding, fused="RELU", **options)  # type: ignore[arg-type]

    return part


middle("dw_3x3", "depthwise", "3x3 SAME", _dw())
middle("dw_5x5", "depthwise", "5x5 SAME", _dw(kernel=5))
middle("dw_s2_pad1", "depthwise", "3x3 stride 2 behind PAD(1)", _dw(1, padding="VALID", stride=2))
middle("dw_5x5_s2_pad2", "depthwise", "5x5 stride 2 behind PAD(2)", _dw(2, 5, "VALID", stride=2))
middle("dw_valid_pad1", "depthwise", "3x3 VALID behind PAD(1)", _dw(1, padding="VALID"))
middle("dw_s2_same_even", "depthwise", "3x3 stride 2 SAME on an even size", _dw(stride=2))
middle("dw_7x7", "depthwise", "7x7 SAME", _dw(kernel=7))
middle("dw_1x1", "depthwise", "1x1 depthwise", _dw(kernel=1))
middle("dw_multiplier_2", "depthwise", "multiplier 2", _dw(multiplier=2))
middle("dw_dilation_2", "depthwise", "dilation 2", _dw(dilation=2))
middle("dw_valid", "depthwise", "3x3 VALID without padding", _dw(padding="VALID"))
middle("dw_stride_1_2", "depthwise", "stride (1, 2) behind PAD(1)", _dw(1, padding="VALID", stride=(1, 2)))
middle("dw_3x5", "depthwise", "3x5 SAME", _dw(kernel=(3, 5)))
middle(
    "dw_pad_0_1",
    "depthwise",
    "stride 2 behind PAD (0, 1)",
    _dw(((0, 0), (0, 1), (0, 1), (0, 0)), padding="VALID", stride=2),
)
middle(
    "dw_pad_1_2",
    "depthwise",
    "stride 2 behind PAD (1, 2)",
    _dw(((0, 0), (1, 2), (1, 2), (0, 0)), padding="VALID", stride=2),
)
middle("dw_stride_3", "depthwise", "stride 3 behind PAD(1)", _dw(1, padding="VALID", stride=3))
middle("dw_pad1_same", "depthwise", "PAD(1), then SAME: padding 2 in all", _dw(1))
middle("dw_densify", "depthwise", "sparse-encoded depthwise filter", _dw(zeros=0.5, storage="sparse"))


@pattern("dw_s2_same_odd", "depthwise", "3x3 stride 2 SAME on an odd size")
def _dw_s2_same_odd(g: ModelBuilder) -> None:
    tail(g, pruned(g, g.depthwise(trunk(g, 26, 42), 3, 2, "SAME"), 24))
