"""Small hand-made models, one per question about XNNPACK's sparse mode, by name.

Most share a trunk (PAD, 3x3 stride-2 stem, 3x3 depthwise, pruned 1x1) and a tail (MEAN, FULLY_CONNECTED) and differ
in one thing between them. Heights, widths and channel counts differ, because equal ones hide layout errors.
What the runtime does with each is never written here: it is observed.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from xnnlint.difftest.builder import ModelBuilder, Value
from xnnlint.difftest.flatwriter import Table, table

PRUNED = 0.8


@dataclass(frozen=True)
class Pattern:
    """A hand-made model.

    Args:
        name: unique, usable as a file name.
        group: what it is about, e.g. `stem`.
        text: what is special about it, in a few words.
        fill: writes the graph into an empty builder.
        dynamic_batch: whether the file says that the batch is dynamic.
        metadata: the file's metadata buffers.
    """

    name: str
    group: str
    text: str
    fill: Callable[[ModelBuilder], None]
    dynamic_batch: bool = False
    metadata: tuple[tuple[str, bytes], ...] = ()

    def build(self) -> bytes:
        g = ModelBuilder(zlib.crc32(self.name.encode()))
        self.fill(g)
        return g.build(dynamic_batch=self.dynamic_batch, metadata=dict(self.metadata))


PATTERNS: dict[str, Pattern] = {}


def named_patterns(group: str | None = None) -> list[Pattern]:
    """All patterns, or those of one group, in the order of definition."""
    return [p for p in PATTERNS.values() if group in (None, p.group)]


def pattern(
    name: str,
    group: str,
    text: str,
    *,
    dynamic_batch: bool = False,
    metadata: tuple[tuple[str, bytes], ...] = (),
) -> Callable[[Callable[[ModelBuilder], None]], Callable[[ModelBuilder], None]]:
    """Registers the decorated function as a pattern."""

    def register(fill: Callable[[ModelBuilder], None]) -> Callable[[ModelBuilder], None]:
        if name in PATTERNS:
            raise ValueError(f"two patterns are called {name}")
        PATTERNS[name] = Pattern(name, group, text, fill, dynamic_batch, metadata)
        return fill

    return register


# -- parts ---------------------------------------------------------------------------------------------------


def stem(g: ModelBuilder, height: int = 24, width: int = 40, filters: int = 8, batch: int = 1) -> Value:
    """PAD(1) and a 3x3 stride-2 VALID convolution of 3 channels with RELU."""
    x = g.input((batch, height, width, 3))
    return g.conv2d(g.pad(x), filters, 3, 2, fused="RELU", name="stem")


def trunk(g: ModelBuilder, height: int = 24, width: int = 40) -> Value:
    """Stem, depthwise 3x3, pruned 1x1: [1, height/2, width/2, 16]."""
    return pruned(g, g.depthwise(stem(g, height, width), fused="RELU"), 16)


def pruned(g: ModelBuilder, x: Value, filters: int, fused: str = "RELU", storage: str = "sparse") -> Value:
    """A 1x1 convolution with 80% zeros behind DENSIFY."""
    return g.conv2d(x, filters, zeros=PRUNED, storage=storage, fused=fused, name="pointwise")


def tail(g: ModelBuilder, x: Value, units: int = 5) -> None:
    """MEAN over height and width, and a classifier."""
    g.output(g.fully_connected(g.mean(x), units))


Middle = Callable[[ModelBuilder, Value], Value]


def middle(name: str, group: str, text: str, part: Middle, filters: int = 24) -> None:
    """Registers trunk -> `part` -> pruned 1x1 -> tail."""

    @pattern(name, group, text)
    def fill(g: ModelBuilder) -> None:
        tail(g, pruned(g, part(g, trunk(g)), filters))


def stem_case(name: str, text: str, part: Callable[[ModelBuilder], Value]) -> None:
    """Registers `part` (input and stem) -> depthwise -> pruned 1x1 -> tail."""

    @pattern(name, "stem", text)
    def fill(g: ModelBuilder) -> None:
        tail(g, pruned(g, g.depthwise(part(g), fused="RELU"), 16))


def head_case(name: str, group: str, text: str, part: Callable[[ModelBuilder, Value], None]) -> None:
    """Registers trunk -> `part`, which makes the outputs."""

    @pattern(name, group, text)
    def fill(g: ModelBuilder) -> None:
        part(g, trunk(g))


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
    padding: str = "VALID", pad: int | tuple | None = None, **options: object
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
    pad: int | tuple | None = None, kernel: int | tuple[int, int] = 3, padding: str = "SAME", **options: object
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


# -- unary ---------------------------------------------------------------------------------------------------

UNARY = (
    *(
        "ABS",
        "CEIL",
        "COS",
        "ELU",
        "EXP",
        "FLOOR",
        "GELU",
        "HARD_SWISH",
        "LEAKY_RELU",
        "LOGISTIC",
        "LOG",
        "NEG",
        "RELU",
    ),
    *("RELU6", "RELU_N1_TO_1", "ROUND", "RSQRT", "SIN", "SQRT", "SQUARE", "TANH"),
)
NEEDS_POSITIVE = ("LOG", "RSQRT", "SQRT")


def apply_unary(g: ModelBuilder, code: str, x: Value, **options: float | bool) -> Value:
    """The operator, behind a LOGISTIC where it needs positive numbers."""
    if code in NEEDS_POSITIVE:
        x = g.unary("LOGISTIC", x)
    if code == "LEAKY_RELU":
        options.setdefault("alpha", 0.25)
    return g.unary(code, x, **options)


for _code in UNARY:
    middle(
        f"unary_{_code.lower()}",
        "unary",
        f"{_code} between 1x1 convolutions",
        lambda g, x, code=_code: apply_unary(g, code, x),
    )
middle("unary_gelu_tanh", "unary", "GELU in its tanh form", lambda g, x: g.unary("GELU", x, approximate=True))
middle(
    "unary_leaky_0",
    "unary",
    "LEAKY_RELU of alpha 0, which the delegate refuses",
    lambda g, x: g.unary("LEAKY_RELU", x, alpha=0.0),
)
middle("unary_relu_0_to_1", "unary", "RELU_0_TO_1, which the delegate refuses", lambda g, x: g.unary("RELU_0_TO_1", x))
middle("swish", "unary", "x * LOGISTIC(x)", lambda g, x: g.binary("MUL", x, g.unary("LOGISTIC", x)))
middle(
    "clamp_chain",
    "unary",
    "RELU, RELU6, RELU_N1_TO_1 in a row",
    lambda g, x: g.unary("RELU_N1_TO_1", g.unary("RELU6", g.unary("RELU", x))),
)
middle("prelu", "unary", "PRELU between 1x1 convolutions", lambda g, x: g.prelu(x))


# -- binary --------------------------------------------------------------------------------------------------


def _residual(code: str, fused: str = "NONE") -> Middle:
    def part(g: ModelBuilder, x: Value) -> Value:
        y = pruned(g, g.depthwise(x, fused="RELU"), 16)
        if code == "DIV":
            y = g.unary("EXP", g.unary("LOGISTIC", y))
        return g.binary(code, x, y, fused)

    return part


for _code in ("ADD", "MUL", "SUB", "DIV", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE"):
    middle(f"residual_{_code.lower()}", "residual", f"{_code} of a value and its branch", _residual(_code))
middle("residual_add_relu", "residual", "ADD with a fused RELU", _residual("ADD", "RELU"))
middle("residual_add_relu6", "residual", "ADD with a fused RELU6", _residual("ADD", "RELU6"))
middle("residual_prelu", "residual", "a residual through PRELU", lambda g, x: g.binary("ADD", x, g.prelu(x)))

for _code in ("ADD", "MUL", "SUB", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE"):
    middle(
        f"{_code.lower()}_xx",
        "residual",
        f"{_code} of a value and itself",
        lambda g, x, code=_code: g.binary(code, x, x),
    )

_CONSTANTS = {
    "scalar": (),
    "c": (16,),
    "1": (1,),
    "1c": (1, 16),
    "11c": (1, 1, 16),
    "111c": (1, 1, 1, 16),
    "1h11": (1, 12, 1, 1),
    "11w1": (1, 1, 20, 1),
    "1hw1": (1, 12, 20, 1),
    "1111": (1, 1, 1, 1),
    "full": (1, 12, 20, 16),
    "hwc": (12, 20, 16),
}
for _code in ("ADD", "MUL", "SUB", "MAXIMUM"):
    for _name, _shape in _CONSTANTS.items():
        middle(
            f"{_code.lower()}_const_{_name}",
            "constant",
            f"{_code}(x, constant of shape {list(_shape)})",
            lambda g, x, code=_code, shape=_shape: g.binary(code, x, g.random_constant(shape)),
        )
        middle(
            f"{_code.lower()}_const_{_name}_first",
            "constant",
            f"{_code}(constant of shape {list(_shape)}, x)",
            lambda g, x, code=_code, shape=_shape: g.binary(code, g.random_constant(shape), x),
        )
for _name in ("scalar", "1", "1111", "c"):
    middle(
        f"minimum_const_{_name}",
        "constant",
        f"MINIMUM(x, constant of shape {list(_CONSTANTS[_name])})",
        lambda g, x, shape=_CONSTANTS[_name]: g.binary("MINIMUM", x, g.random_constant(shape)),
    )
middle(
    "relu_max_3",
    "constant",
    "MINIMUM(x, 3) and RELU, as Keras's ReLU(max_value=3)",
    lambda g, x: g.unary("RELU", g.binary("MINIMUM", x, g.constant(3.0))),
)
middle(
    "batch_norm",
    "constant",
    "MUL and ADD with [C], as an unfolded batch normalization",
    lambda g, x: g.binary("ADD", g.binary("MUL", x, g.random_constant((16,))), g.random_constant((16,))),
)


@pattern("pooled_add_const_second", "constant", "ADD of a pooled value and a constant [1,1,1,C] inside an SE gate")
def _pooled_const(g: ModelBuilder) -> None:
    x = trunk(g)
    s = pruned(g, g.mean(x, keep_dims=True), 16)
    s = g.unary("LOGISTIC", g.binary("ADD", s, g.random_constant((1, 1, 1, 16))))
    tail(g, pruned(g, g.binary("MUL", x, s), 24))


# -- squeeze and excite --------------------------------------------------------------------------------------


def gate(g: ModelBuilder, x: Value, kind: str = "LOGISTIC", keep_dims: bool = True) -> Value:
    """MEAN, 1x1 to a quarter, RELU, 1x1 back, and LOGISTIC or a hard sigmoid."""
    channels = x.shape[3]
    s = g.mean(x, keep_dims=keep_dims)
    if not keep_dims:
        s = g.reshape(s, (x.shape[0], 1, 1, channels))
    s = pruned(g, pruned(g, s, max(4, channels // 4)), channels, "NONE")
    if kind == "LOGISTIC":
        return g.unary("LOGISTIC", s)
    if kind == "HARD_SWISH":
        return g.unary("HARD_SWISH", s)
    shifted = g.binary("ADD", s, g.constant(3.0), "RELU6")
    return g.binary("MUL", shifted, g.constant(1 / 6))


@pattern("se", "squeeze-excite", "MUL(x, gate)")
def _se(g: ModelBuilder) -> None:
    x = trunk(g)
    tail(g, pruned(g, g.binary("MUL", x, gate(g, x)), 24))


@pattern("se_gate_first", "squeeze-excite", "MUL(gate, x)")
def _se_first(g: ModelBuilder) -> None:
    x = trunk(g)
    tail(g, pruned(g, g.binary("MUL", gate(g, x), x), 24))


@pattern("se_hard_swish", "squeeze-excite", "HARD_SWISH as the gate")
def _se_hard_swish(g: ModelBuilder) -> None:
    x = trunk(g)
    tail(g, pruned(g, g.binary("MUL", x, gate(g, x, "HARD_SWISH")), 24))


@pattern("se_hard_sigmoid", "squeeze-excite", "relu6(x + 3) / 6 as the gate")
def _se_hard_sigmoid(g: ModelBuilder) -> None:
    x = trunk(g)
    tail(g, pruned(g, g.binary("MUL", x, gate(g, x, "hard sigmoid")), 24))


@pattern("se_tall", "squeeze-excite", "a tall map")
def _se_tall(g: ModelBuilder) -> None:
    x = trunk(g, 60, 8)
    tail(g, pruned(g, g.binary("MUL", x, gate(g, x)), 24))


@pattern("se_no_keep_dims", "squeeze-excite", "MEAN drops its dimensions, RESHAPE brings them back")
def _se_no_keep(g: ModelBuilder) -> None:
    x = trunk(g)
    tail(g, pruned(g, g.binary("MUL", x, gate(g, x, keep_dims=False)), 24))


@pattern("se_residual", "squeeze-excite", "gate and a residual around it")
def _se_residual(g: ModelBuilder) -> None:
    x = trunk(g)
    y = g.binary("MUL", x, gate(g, x))
    tail(g, pruned(g, g.binary("ADD", x, pruned(g, y, 16, "NONE")), 24))


_SE_OUTPUTS: dict[str, tuple[str, Callable[[ModelBuilder, Value], Value]]] = {
    "pointwise": ("a 1x1 convolution", lambda g, x: pruned(g, x, 6, "NONE")),
    "logistic": ("LOGISTIC", lambda g, x: g.unary("LOGISTIC", pruned(g, x, 6, "NONE"))),
    "resize": ("RESIZE_BILINEAR", lambda g, x: g.resize_bilinear(pruned(g, x, 6, "NONE"), 24, 40)),
    "softmax": ("SOFTMAX", lambda g, x: g.softmax(pruned(g, x, 6, "NONE"))),
    "transpose_conv": ("TRANSPOSE_CONV", lambda g, x: g.transpose_conv(x, 6)),
    "conv_3x3": ("a 3x3 convolution", lambda g, x: g.conv2d(x, 6, 3, 1, "SAME")),
    "depth_to_space": ("DEPTH_TO_SPACE", lambda g, x: g.depth_to_space(pruned(g, x, 24, "NONE"))),
}
for _name, (_text, _last) in _SE_OUTPUTS.items():

    @pattern(f"segmentation_{_name}", "map-output", f"segmentation network with SE ending in {_text}")
    def _segmentation(g: ModelBuilder, last: Callable[[ModelBuilder, Value], Value] = _last) -> None:
        x = trunk(g)
        g.output(last(g, pruned(g, g.binary("MUL", x, gate(g, x)), 24)))


# -- other operators in the middle ---------------------------------------------------------------------------

middle("avg_pool_2x2", "pool", "AVERAGE_POOL_2D 2x2", lambda g, x: g.pool("AVERAGE_POOL_2D", x))
middle("max_pool_2x2", "pool", "MAX_POOL_2D 2x2", lambda g, x: g.pool("MAX_POOL_2D", x))
middle(
    "avg_pool_3x3_same",
    "pool",
    "AVERAGE_POOL_2D 3x3 SAME stride 1",
    lambda g, x: g.pool("AVERAGE_POOL_2D", x, 3, 1, "SAME"),
)
middle("avg_pool_1x1", "pool", "AVERAGE_POOL_2D 1x1", lambda g, x: g.pool("AVERAGE_POOL_2D", x, 1))
middle("max_pool_1x1", "pool", "MAX_POOL_2D 1x1", lambda g, x: g.pool("MAX_POOL_2D", x, 1))
middle(
    "max_pool_1x1_relu6", "pool", "MAX_POOL_2D 1x1 with RELU6", lambda g, x: g.pool("MAX_POOL_2D", x, 1, fused="RELU6")
)
middle(
    "max_pool_1x1_s2",
    "pool",
    "MAX_POOL_2D 1x1 stride 2, which the delegate refuses",
    lambda g, x: g.pool("MAX_POOL_2D", x, 1, 2),
)
middle(
    "avg_pool_2x2_s3",
    "pool",
    "pool of stride above its size, which the delegate refuses",
    lambda g, x: g.pool("AVERAGE_POOL_2D", x, 2, 3),
)
middle("softmax_mid", "other", "SOFTMAX over channels", lambda g, x: g.softmax(x))
middle("softmax_beta_2", "other", "SOFTMAX of beta 2, which the delegate refuses", lambda g, x: g.softmax(x, 2.0))
middle("transpose_conv_mid", "other", "TRANSPOSE_CONV", lambda g, x: g.transpose_conv(x, 12))
middle("space_to_depth_mid", "other", "SPACE_TO_DEPTH", lambda g, x: g.space_to_depth(x))
middle("depth_to_space_mid", "other", "DEPTH_TO_SPACE, then 1x1", lambda g, x: g.depth_to_space(x))
middle("reshape_id", "other", "a RESHAPE to the same shape", lambda g, x: g.reshape(x, (1, 12, 20, 16)))
middle(
    "reshape_flat_and_back",
    "other",
    "a RESHAPE to rank 2 and back",
    lambda g, x: g.reshape(g.reshape(x, (1, -1)), (1, 12, 20, 16)),
)
middle(
    "reshape_split_width", "other", "a RESHAPE that swaps height and width", lambda g, x: g.reshape(x, (1, 20, 12, 16))
)
middle("slice_mid", "other", "SLICE of the map", lambda g, x: g.slice(x, (0, 1, 2, 0), (1, 9, 15, 16)))
middle(
    "strided_slice_mid",
    "other",
    "STRIDED_SLICE of the map",
    lambda g, x: g.strided_slice(x, (0, 0, 0, 0), (1, 12, 20, 16), (1, 2, 2, 1)),
)
middle("transpose_hw", "other", "TRANSPOSE of height and width", lambda g, x: g.transpose(x, (0, 2, 1, 3)))
middle("pad_mid", "other", "a PAD that nothing takes in", lambda g, x: g.pad(x))
middle("split_concat", "other", "SPLIT by channels and CONCATENATION", lambda g, x: g.concat(g.split(x, 2)[::-1]))


def _concat(inputs: int) -> Middle:
    return lambda g, x: g.concat([x, *(pruned(g, x, 4 + 2 * i) for i in range(inputs - 1))])


for _count in (2, 3, 4, 5, 6):
    middle(f"concat_{_count}", "concat", f"CONCATENATION of {_count} branches of one value", _concat(_count))
middle(
    "concat_branches",
    "concat",
    "CONCATENATION of two branches, the value itself not",
    lambda g, x: g.concat([pruned(g, x, 6), pruned(g, x, 10)]),
)

for _name, _text, _align, _half in (
    ("half_pixel", "half-pixel centres", False, True),
    ("align", "aligned corners", True, False),
    ("legacy", "legacy sampling", False, False),
):
    middle(
        f"resize_{_name}",
        "resize",
        f"RESIZE_BILINEAR up, {_text}",
        lambda g, x, a=_align, h=_half: g.resize_bilinear(x, 24, 40, align_corners=a, half_pixel=h),
    )
middle("resize_down", "resize", "RESIZE_BILINEAR down", lambda g, x: g.resize_bilinear(x, 7, 9))
middle(
    "resize_nearest",
    "resize",
    "RESIZE_NEAREST_NEIGHBOR, which the delegate refuses",
    lambda g, x: g.resize_bilinear(x, 24, 40, code="RESIZE_NEAREST_NEIGHBOR"),
)


@pattern("resize_flat_map", "resize", "RESIZE_BILINEAR of a map of height 1")
def _resize_flat(g: ModelBuilder) -> None:
    x = trunk(g, 2, 40)
    tail(g, pruned(g, g.resize_bilinear(x, 5, 30), 24))


@pattern("fpn", "resize", "a lower map resized and added to an upper one")
def _fpn(g: ModelBuilder) -> None:
    upper = trunk(g)
    lower = pruned(g, g.depthwise(g.pad(upper), 3, 2, "VALID"), 16)
    tail(g, pruned(g, g.binary("ADD", upper, g.resize_bilinear(lower, 12, 20)), 24))


# -- exits and reductions ------------------------------------------------------------------------------------

head_case("exit_d2s", "exit", "DEPTH_TO_SPACE as the output", lambda g, x: g.output(g.depth_to_space(x)))
head_case(
    "exit_sum",
    "exit",
    "SUM as the exit",
    lambda g, x: g.output(g.fully_connected(g.binary("MUL", g.reduce("SUM", x, (1, 2)), g.constant(0.01)), 5)),
)
head_case(
    "exit_mean_square",
    "exit",
    "MEAN of SQUARE",
    lambda g, x: g.output(g.fully_connected(g.mean(g.unary("SQUARE", x)), 5)),
)
head_case(
    "exit_two_means",
    "exit",
    "two MEANs of one value",
    lambda g, x: g.output(g.mean(x), g.fully_connected(g.mean(x), 5)),
)
head_case(
    "exit_reduce_max",
    "exit",
    "REDUCE_MAX as the head",
    lambda g, x: g.output(g.fully_connected(g.reduce("REDUCE_MAX", x, (1, 2)), 5)),
)
head_case(
    "exit_reduce_min",
    "exit",
    "REDUCE_MIN as the head",
    lambda g, x: g.output(g.fully_connected(g.reduce("REDUCE_MIN", pruned(g, x, 24, "NONE"), (1, 2)), 5)),
)
head_case(
    "exit_avg_pool",
    "exit",
    "AVERAGE_POOL_2D over the whole map as the head",
    lambda g, x: g.output(g.fully_connected(g.pool("AVERAGE_POOL_2D", x, (12, 20)), 5)),
)
head_case(
    "exit_flatten",
    "exit",
    "flattened map as the head",
    lambda g, x: g.output(g.fully_connected(g.reshape(x, (1, -1)), 5)),
)
head_case("exit_none", "exit", "the 1x1 map itself is the output", lambda g, x: g.output(x))
head_case(
    "exit_d2s_and_mean",
    "exit",
    "DEPTH_TO_SPACE and MEAN of one value",
    lambda g, x: g.output(g.depth_to_space(x), g.mean(x)),
)
head_case(
    "exit_d2s_and_resize",
    "exit",
    "DEPTH_TO_SPACE and RESIZE_BILINEAR of one value",
    lambda g, x: g.output(g.depth_to_space(x), g.depth_to_space(pruned(g, g.resize_bilinear(x, 24, 40), 24))),
)

REDUCTION_AXES = (
    (0,), (1,), (2,), (3,), (0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3), (0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3),
    (0, 1, 2, 3),
)  # fmt: skip
for _axes in (*REDUCTION_AXES, (2, 1), (-2, -3)):
    for _code, _keep in (("MEAN", False), ("MEAN", True), ("SUM", False), ("SUM", True)):
        _label = "_".join(str(a) for a in _axes).replace("-", "m")
        head_case(
            f"{_code.lower()}_{'keep_' if _keep else ''}axes_{_label}",
            "reduction",
            f"{_code} over {list(_axes)}" + (", keep_dims" if _keep else ""),
            lambda g, x, code=_code, axes=_axes, keep=_keep: g.output(g.reduce(code, x, axes, keep)),
        )

# What reads a MEAN that kept its dimensions.
_AFTER_KEEP: dict[str, tuple[str, Callable[[ModelBuilder, Value], Value]]] = {
    "softmax": ("SOFTMAX", lambda g, m: g.softmax(m)),
    "concat": ("CONCATENATION", lambda g, m: g.concat([m, m])),
    "pad": ("PAD", lambda g, m: g.pad(m)),
    "sub": ("SUB of a scalar", lambda g, m: g.binary("SUB", m, g.constant(0.5))),
    "sub_c": ("SUB of [C]", lambda g, m: g.binary("SUB", m, g.random_constant((16,)))),
    "d2s": ("DEPTH_TO_SPACE", lambda g, m: g.depth_to_space(m)),
    "add_c": ("ADD of [C]", lambda g, m: g.binary("ADD", m, g.random_constant((16,)))),
    "add_scalar": ("ADD of a scalar", lambda g, m: g.binary("ADD", m, g.constant(0.5))),
    "add_111c": ("ADD of [1,1,1,C]", lambda g, m: g.binary("ADD", m, g.random_constant((1, 1, 1, 16)))),
    "mul_111c_first": (
        "MUL of [1,1,1,C], constant first",
        lambda g, m: g.binary("MUL", g.random_constant((1, 1, 1, 16)), m),
    ),
    "prelu": ("PRELU", lambda g, m: g.prelu(m)),
    "conv_s2": ("a 3x3 stride-2 convolution", lambda g, m: g.conv2d(m, 5, 3, 2, "SAME")),
    "conv_3x3": ("a 3x3 convolution", lambda g, m: g.conv2d(m, 5, 3, 1, "SAME")),
    "squeeze": ("SQUEEZE", lambda g, m: g.squeeze(m, (1, 2))),
    "resize": ("RESIZE_BILINEAR", lambda g, m: g.resize_bilinear(m, 3, 5)),
    "logistic": ("LOGISTIC", lambda g, m: g.unary("LOGISTIC", m)),
    "hard_swish": ("HARD_SWISH", lambda g, m: g.unary("HARD_SWISH", m)),
    "relu": ("RELU", lambda g, m: g.unary("RELU", m)),
    "relu_reshape": ("RELU, then RESHAPE", lambda g, m: g.reshape(g.unary("RELU", m), (1, 16))),
    "reshape": ("RESHAPE", lambda g, m: g.reshape(m, (1, 16))),
    "reshape_softmax": ("RESHAPE, then SOFTMAX", lambda g, m: g.softmax(g.reshape(m, (1, 16)))),
    "fc": ("FULLY_CONNECTED", lambda g, m: g.fully_connected(m, 5)),
    "fc_keep": ("dense FULLY_CONNECTED with keep_num_dims", lambda g, m: g.fully_connected(m, 40, keep_num_dims=True)),
    "fc_keep_pruned": (
        "pruned FULLY_CONNECTED with keep_num_dims",
        lambda g, m: g.fully_connected(m, 5, keep_num_dims=True, zeros=PRUNED, storage="sparse"),
    ),
    "pw_dense": ("a dense 1x1 classifier", lambda g, m: g.conv2d(m, 40)),
    "pw_pruned": ("a pruned 1x1 classifier", lambda g, m: pruned(g, m, 10, "NONE")),
    "pw_pw_pruned": (
        "two pruned 1x1 and RESHAPE",
        lambda g, m: g.reshape(pruned(g, pruned(g, m, 24), 10, "NONE"), (1, 10)),
    ),
    "exposed_fc": ("nothing, and FULLY_CONNECTED", lambda g, m: (g.output(m), g.fully_connected(m, 5))[1]),
    "exposed_pw": ("nothing, and a 1x1 convolution", lambda g, m: (g.output(m), pruned(g, m, 10, "NONE"))[1]),
    "pw_and_reshape": (
        "a 1x1 convolution and a RESHAPE",
        lambda g, m: (g.output(g.reshape(m, (1, 16))), pruned(g, m, 10))[1],
    ),
    "transpose": ("TRANSPOSE", lambda g, m: g.transpose(m, (0, 3, 1, 2))),
    "slice": ("SLICE", lambda g, m: g.slice(m, (0, 0, 0, 2), (1, 1, 1, 9))),
    "mean_again": ("another MEAN", lambda g, m: g.mean(m)),
}
for _name, (_text, _after) in _AFTER_KEEP.items():
    head_case(
        f"mean_keep_{_name}",
        "keep-dims",
        f"a MEAN with keep_dims read by {_text}",
        lambda g, x, after=_after: g.output(after(g, g.mean(x, keep_dims=True))),
    )
for _name in ("logistic", "softmax", "pw_pruned", "reshape"):
    _text, _after = _AFTER_KEEP[_name]
    head_case(
        f"sum_keep_{_name}",
        "keep-dims",
        f"a SUM with keep_dims read by {_text}",
        lambda g, x, after=_after: g.output(after(g, g.reduce("SUM", x, (1, 2), True))),
    )


@pattern("mean_keep_pw_pruned_h_is_c", "keep-dims", "a pruned 1x1 classifier where height equals channels")
def _mean_keep_h_is_c(g: ModelBuilder) -> None:
    g.output(pruned(g, g.mean(trunk(g, 32, 40), keep_dims=True), 10, "NONE"))


_AFTER_DROP: dict[str, tuple[str, Callable[[ModelBuilder, Value], Value]]] = {
    "fc": ("dense FULLY_CONNECTED", lambda g, m: g.fully_connected(m, 60)),
    "fc_pruned": ("pruned FULLY_CONNECTED", lambda g, m: g.fully_connected(m, 5, zeros=PRUNED, storage="sparse")),
    "fc_keep": ("FULLY_CONNECTED with keep_num_dims", lambda g, m: g.fully_connected(m, 5, keep_num_dims=True)),
    "fc_keep_pruned": (
        "pruned FULLY_CONNECTED with keep_num_dims, twice",
        lambda g, m: g.fully_connected(
            g.fully_connected(m, 24, keep_num_dims=True, zeros=PRUNED, storage="sparse"),
            5,
            keep_num_dims=True,
            zeros=PRUNED,
            storage="sparse",
        ),
    ),
    "fc_fc": ("two FULLY_CONNECTED", lambda g, m: g.fully_connected(g.fully_connected(m, 24, fused="RELU"), 5)),
    "fc_sparse_direct": (
        "block-sparse FULLY_CONNECTED version 8, which the delegate refuses",
        lambda g, m: g.fully_connected(m, 8, zeros=0.5, storage="sparse_direct", block=4),
    ),
    "softmax": ("SOFTMAX", lambda g, m: g.softmax(m)),
    "exposed_fc": ("nothing, and FULLY_CONNECTED", lambda g, m: (g.output(m), g.fully_connected(m, 5))[1]),
}
for _name, (_text, _after) in _AFTER_DROP.items():
    head_case(
        f"mean_{_name}",
        "head",
        f"a MEAN without keep_dims read by {_text}",
        lambda g, x, after=_after: g.output(after(g, g.mean(x))),
    )

# -- map-shaped second heads ---------------------------------------------------------------------------------

_SECOND_HEADS: dict[str, tuple[str, Callable[[ModelBuilder, Value], Value]]] = {
    "pw": ("a 1x1 convolution", lambda g, x: pruned(g, x, 6, "NONE")),
    "dw": ("a depthwise convolution", lambda g, x: g.depthwise(x)),
    "logistic": ("LOGISTIC", lambda g, x: g.unary("LOGISTIC", x)),
    "add": ("ADD", lambda g, x: g.binary("ADD", pruned(g, x, 16), pruned(g, x, 16))),
    "resize": ("RESIZE_BILINEAR", lambda g, x: g.resize_bilinear(x, 24, 40)),
    "pw_reshape": ("a 1x1 convolution and RESHAPE", lambda g, x: g.reshape(pruned(g, x, 6, "NONE"), (1, -1))),
    "pw_concat": ("1x1 convolutions and CONCATENATION", lambda g, x: g.concat([pruned(g, x, 6), pruned(g, x, 10)])),
    "d2s": ("DEPTH_TO_SPACE", lambda g, x: g.depth_to_space(x)),
    "mean": ("MEAN", lambda g, x: g.mean(pruned(g, x, 6))),
}
for _name, (_text, _after) in _SECOND_HEADS.items():
    head_case(
        f"two_heads_{_name}",
        "map-output",
        f"a second output through {_text}",
        lambda g, x, after=_after: (g.output(after(g, x)), tail(g, x))[1],
    )


@pattern("mid_exposed", "map-output", "a value inside the cluster is also an output")
def _mid_exposed(g: ModelBuilder) -> None:
    x = trunk(g)
    g.output(x)
    tail(g, pruned(g, x, 24))


@pattern("mid_exposed_early", "map-output", "the stem's result is also an output")
def _mid_exposed_early(g: ModelBuilder) -> None:
    x = stem(g)
    g.output(x)
    tail(g, pruned(g, g.depthwise(x), 16))


@pattern("mid_read_by_reshape", "map-output", "a value inside the cluster is also read by a RESHAPE")
def _mid_reshape(g: ModelBuilder) -> None:
    x = trunk(g)
    g.output(g.reshape(x, (1, -1)))
    tail(g, pruned(g, x, 24))


@pattern("dead_branch", "map-output", "a value inside the cluster is also read by a branch that ends nowhere")
def _dead_branch(g: ModelBuilder) -> None:
    x = trunk(g)
    g.softmax(g.reshape(x, (1, -1)))
    tail(g, pruned(g, x, 24))


# -- clusters ------------------------------------------------------------------------------------------------


def _external_add(g: ModelBuilder, mean_first: bool) -> None:
    extra = g.input((1, 12, 20, 16), "extra")
    x = trunk(g)
    y = pruned(g, x, 16)
    if mean_first:
        g.output(g.mean(y))
    z = g.binary("ADD", pruned(g, x, 16), extra)
    if not mean_first:
        g.output(g.mean(y))
    g.output(g.mean(z))


@pattern("add_external_before_mean", "cluster", "ADD with a graph input, before the MEAN of the other branch")
def _add_external_before(g: ModelBuilder) -> None:
    _external_add(g, mean_first=False)


@pattern("add_external_after_mean", "cluster", "ADD with a graph input, after the MEAN of the other branch")
def _add_external_after(g: ModelBuilder) -> None:
    _external_add(g, mean_first=True)


def _two_clusters(g: ModelBuilder, zeros: float) -> None:
    for share in (PRUNED, zeros):
        x = stem(g)
        x = g.conv2d(g.depthwise(x), 16, zeros=share, storage="sparse", fused="RELU")
        g.output(g.mean(x))


@pattern("two_clusters", "cluster", "two separate networks, both pruned")
def _two_clusters_pruned(g: ModelBuilder) -> None:
    _two_clusters(g, PRUNED)


@pattern("two_clusters_one_dense", "cluster", "two separate networks, one at 50% zeros")
def _two_clusters_half(g: ModelBuilder) -> None:
    _two_clusters(g, 0.5)


@pattern("cluster_bad_plus_ok", "cluster", "one network stopped by a SUB, another fine")
def _bad_plus_ok(g: ModelBuilder) -> None:
    x = trunk(g)
    g.output(g.mean(g.binary("SUB", x, pruned(g, x, 16))))
    g.output(g.mean(trunk(g)))


@pattern("cluster_unarmed", "cluster", "one network with a map output, armed by the MEAN of another")
def _unarmed(g: ModelBuilder) -> None:
    g.output(trunk(g))
    g.output(g.mean(trunk(g)))


# -- zeros ---------------------------------------------------------------------------------------------------

for _zeros in (0, 63, 64, 65, 95, 96):

    @pattern(f"zeros_{_zeros}_of_96", "zeros", f"{_zeros} of 96 weights are zero")
    def _zero_count(g: ModelBuilder, zeros: int = _zeros) -> None:
        tail(g, g.conv2d(g.depthwise(stem(g), fused="RELU"), 12, zeros=zeros, storage="sparse"))


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


@dataclass(frozen=True)
class _Break:
    text: str
    part: Middle


REFUSED: dict[str, _Break] = {
    "squeeze_expand": _Break("SQUEEZE and EXPAND_DIMS", lambda g, x: g.expand_dims(g.squeeze(x, (0,)), 0)),
    "expand_reshape": _Break("EXPAND_DIMS and RESHAPE", lambda g, x: g.reshape(g.expand_dims(x, 1), x.shape)),
    "pow": _Break("POW", lambda g, x: g.binary("POW", g.unary("LOGISTIC", x), g.constant(1.5))),
    "greater": _Break(
        "GREATER, CAST and MUL, as Keras's ReLU(threshold)",
        lambda g, x: g.binary(
            "MUL",
            x,
            g.op("CAST", g.op("GREATER", [x, g.constant(0.1)], [x.shape], dtype="bool"), [x.shape])[0],
        ),
    ),
    "tile": _Break(
        "TILE",
        lambda g, x: g.op(
            "TILE", [x, g.constant(np.array([1, 2, 1, 1], np.int32))], [(x.shape[0], x.shape[1] * 2, *x.shape[2:])]
        )[0],
    ),
    "lrn": _Break(
        "LOCAL_RESPONSE_NORMALIZATION", lambda g, x: g.op("LOCAL_RESPONSE_NORMALIZATION", [x], [x.shape], _lrn())[0]
    ),
    "reverse": _Break(
        "REVERSE_V2", lambda g, x: g.op("REVERSE_V2", [x, g.constant(np.array([1], np.int32))], [x.shape])[0]
    ),
    "gather": _Break(
        "GATHER of channels",
        lambda g, x: g.op(
            "GATHER", [x, g.constant(np.arange(x.shape[3])[::-1].astype(np.int32))], [x.shape], _gather(3)
        )[0],
    ),
    "resize_nearest": _Break(
        "RESIZE_NEAREST_NEIGHBOR",
        lambda g, x: g.resize_bilinear(x, x.shape[1] + 1, x.shape[2] + 3, code="RESIZE_NEAREST_NEIGHBOR"),
    ),
    "l2_norm": _Break("L2_NORMALIZATION", lambda g, x: g.op("L2_NORMALIZATION", [x], [x.shape])[0]),
    "log_softmax": _Break("LOG_SOFTMAX", lambda g, x: g.op("LOG_SOFTMAX", [x], [x.shape])[0]),
    "sign": _Break("SIGN", lambda g, x: g.op("SIGN", [x], [x.shape])[0]),
    "concat_6": _Break("CONCATENATION of 6", lambda g, x: g.concat([x] * 6)),
    "mirror_pad": _Break("MIRROR_PAD", lambda g, x: g.pad(x, 1, "MIRROR_PAD")),
    "padv2": _Break("PADV2", lambda g, x: g.pad(x, 1, "PADV2")),
    "leaky_relu_0": _Break("LEAKY_RELU of alpha 0", lambda g, x: g.unary("LEAKY_RELU", x, alpha=0.0)),
    "relu_0_to_1": _Break("RELU_0_TO_1", lambda g, x: g.unary("RELU_0_TO_1", x)),
    "softmax_beta_2": _Break("SOFTMAX of beta 2", lambda g, x: g.softmax(x, 2.0)),
    "dilated_space_to_batch": _Break("a dilated 1x1 as SPACE_TO_BATCH_ND", lambda g, x: _space_to_batch(g, x)),
}


def _lrn() -> Table:
    return table("LocalResponseNormalizationOptions", radius=2, bias=1.0, alpha=0.5, beta=0.5)


def _gather(axis: int) -> Table:
    return table("GatherOptions", axis=axis)


def _space_to_batch(g: ModelBuilder, x: Value) -> Value:
    n, h, w, c = x.shape
    block, pads = g.constant(np.array([2, 2], np.int32)), g.constant(np.array([[0, h % 2], [0, w % 2]], np.int32))
    small = (n * 4, (h + 1) // 2, (w + 1) // 2, c)
    y = g.op("SPACE_TO_BATCH_ND", [x, block, pads], [small])[0]
    y = g.conv2d(y, c, zeros=PRUNED, storage="sparse", fused="RELU")
    return g.op("BATCH_TO_SPACE_ND", [y, block, pads], [x.shape])[0]


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
