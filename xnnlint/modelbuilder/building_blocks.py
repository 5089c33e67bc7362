"""Parts that hand-made and random models share: trunk and tail, pruned layers, gates, and operators to put between."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from msgspec import Struct

from xnnlint.modelbuilder.builder import ModelBuilder
from xnnlint.modelbuilder.flatwriter import Table, table
from xnnlint.modelbuilder.modelfile import Value

PRUNED = 0.8
"""Share of zeros of a pruned weight."""
Middle = Callable[[ModelBuilder, Value], Value]


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


UNARY = (
    "ABS", "CEIL", "COS", "ELU", "EXP", "FLOOR", "GELU", "HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "LOG", "NEG", "RELU",
    "RELU6", "RELU_N1_TO_1", "ROUND", "RSQRT", "SIN", "SQRT", "SQUARE", "TANH",
)  # fmt: skip
NEEDS_POSITIVE = ("LOG", "RSQRT", "SQRT")


def apply_unary(g: ModelBuilder, code: str, x: Value, **options: float | bool) -> Value:
    """The operator, behind a LOGISTIC where it needs positive numbers."""
    if code in NEEDS_POSITIVE:
        x = g.unary("LOGISTIC", x)
    if code == "LEAKY_RELU":
        options.setdefault("alpha", 0.25)
    return g.unary(code, x, **options)


class _Break(Struct, frozen=True):
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
