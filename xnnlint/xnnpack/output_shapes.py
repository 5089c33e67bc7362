"""Shapes of operators' outputs from those of their inputs, for tensors whose size the file does not hold.

One function a family of operators; what none of them knows has no shape that can be told.
Source: google-ai-edge/LiteRT tflite/kernels, `Prepare` and `ResizeOutput` of each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from xnnlint.model.graph import Operator

Shape = tuple[int, ...]


class Given(NamedTuple):
    """What a function of this module sees.

    Attributes:
        shapes: of the inputs, by slot; () of one that is left out.
        values: gives the integers in an input, None where they cannot be told.
    """

    op: Operator
    shapes: Sequence[Shape]
    values: Callable[[int], np.ndarray | None]

    def ints(self, slot: int) -> list[int]:
        """The integers in an input, flat.

        Raises:
            Unknown: they cannot be told.
        """
        found = self.values(slot) if slot < len(self.shapes) else None
        if found is None:
            raise Unknown
        return [int(n) for n in found.reshape(-1)]

    def option(self, name: str) -> int:
        return int(self.op.attributes.get(name, 0))


class Unknown(Exception):
    """A shape that cannot be told."""


def output_shapes(given: Given) -> list[Shape] | None:
    """The shape of each output, in order; None where it cannot be told."""
    function = _FUNCTIONS.get(given.op.type)
    if function is None:
        return None
    try:
        return function(given)
    except (Unknown, IndexError, ValueError, ZeroDivisionError, OverflowError):
        return None


def _same(given: Given) -> list[Shape]:
    return [given.shapes[0]]


def _broadcast(given: Given) -> list[Shape]:
    return [tuple(np.broadcast_shapes(*given.shapes))]


def _window(size: int, kernel: int, stride: int, dilation: int, padding: object) -> int:
    if padding == "SAME":
        return -(-size // stride)
    return (size - (kernel - 1) * dilation - 1) // stride + 1


def _spatial(given: Given, kernel: Shape, channels: int) -> list[Shape]:
    batch, height, width, _ = given.shapes[0]
    padding = given.op.attributes.get("padding")
    sizes = [
        _window(size, k, given.option(f"stride_{d}"), given.option(f"dilation_{d}_factor") or 1, padding)
        for size, k, d in ((height, kernel[0], "h"), (width, kernel[1], "w"))
    ]
    return [(batch, *sizes, channels)]


def _convolution(given: Given) -> list[Shape]:
    weights = given.shapes[1]
    depthwise = given.op.type == "DEPTHWISE_CONV_2D"
    return _spatial(given, weights[1:3], weights[3] if depthwise else weights[0])


def _pool(given: Given) -> list[Shape]:
    return _spatial(given, (given.option("filter_height"), given.option("filter_width")), given.shapes[0][3])


def _fully_connected(given: Given) -> list[Shape]:
    x, (outputs, inputs) = given.shapes[0], given.shapes[1]
    if given.op.attributes.get("keep_num_dims"):
        return [(*x[:-1], outputs)]
    return [(math.prod(x) // inputs, outputs)]


def _sized_by(slot: int) -> Callable[[Given], list[Shape]]:
    """The shape is in an input."""
    return lambda given: [tuple(given.ints(slot))]


def _reshape(given: Given) -> list[Shape]:
    sizes = given.ints(1) if len(given.shapes) > 1 else list(given.op.attributes.get("new_shape") or ())
    known = math.prod(n for n in sizes if n != -1)
    return [tuple(math.prod(given.shapes[0]) // known if n == -1 else n for n in sizes)]


def _squeeze(given: Given) -> list[Shape]:
    x = given.shapes[0]
    dropped = {int(a) % len(x) for a in given.op.attributes.get("squeeze_dims") or ()}
    return [tuple(n for d, n in enumerate(x) if (d not in dropped if dropped else n != 1))]


def _expand_dims(given: Given) -> list[Shape]:
    x, (axis,) = given.shapes[0], given.ints(1)
    at = axis % (len(x) + 1)
    return [(*x[:at], 1, *x[at:])]


def _transpose(given: Given) -> list[Shape]:
    return [tuple(given.shapes[0][d] for d in given.ints(1))]


def _pad(given: Given) -> list[Shape]:
    pads = given.ints(1)
    return [tuple(n + pads[2 * d] + pads[2 * d + 1] for d, n in enumerate(given.shapes[0]))]


def _slice(given: Given) -> list[Shape]:
    begin, size = given.ints(1), given.ints(2)
    return [tuple(n - b if s == -1 else s for n, b, s in zip(given.shapes[0], begin, size, strict=True))]


def _strided_slice(given: Given) -> list[Shape]:
    begins, ends, strides = given.ints(1), given.ints(2), given.ints(3)
    if given.option("ellipsis_mask") or given.option("new_axis_mask"):
        raise Unknown
    sizes = []
    for d, n in enumerate(given.shapes[0]):
        if d >= len(begins):
            sizes.append(n)
            continue
        if given.option("shrink_axis_mask") >> d & 1:
            continue
        begin = None if given.option("begin_mask") >> d & 1 else begins[d]
        end = None if given.option("end_mask") >> d & 1 else ends[d]
        sizes.append(len(range(*slice(begin, end, strides[d]).indices(n))))
    return [tuple(sizes)]


def _concatenation(given: Given) -> list[Shape]:
    first, axis = given.shapes[0], given.option("axis") % len(given.shapes[0])
    return [tuple(sum(s[d] for s in given.shapes) if d == axis else n for d, n in enumerate(first))]


def _pack(given: Given) -> list[Shape]:
    x = given.shapes[0]
    at = given.option("axis") % (len(x) + 1)
    return [(*x[:at], len(given.shapes), *x[at:])]


def _unpack(given: Given) -> list[Shape]:
    x = given.shapes[0]
    at = given.option("axis") % len(x)
    return [(*x[:at], *x[at + 1 :])] * len(given.op.outputs)


def _split(given: Given) -> list[Shape]:
    x, (axis,) = given.shapes[1], given.ints(0)
    at, parts = axis % len(x), len(given.op.outputs)
    return [(*x[:at], x[at] // parts, *x[at + 1 :])] * parts


def _gather(given: Given) -> list[Shape]:
    x, indices = given.shapes[0], given.shapes[1]
    axis, batch = given.option("axis") % len(x), given.option("batch_dims")
    return [(*x[:axis], *indices[batch:], *x[axis + 1 :])]


def _gather_nd(given: Given) -> list[Shape]:
    x, indices = given.shapes[0], given.shapes[1]
    return [(*indices[:-1], *x[indices[-1] :])]


def _resize(given: Given) -> list[Shape]:
    batch, _, _, channels = given.shapes[0]
    height, width = given.ints(1)
    return [(batch, height, width, channels)]


def _reduce(given: Given) -> list[Shape]:
    x = given.shapes[0]
    axes = {a % len(x) for a in given.ints(1)}
    keep = given.op.attributes.get("keep_dims")
    return [tuple(1 if d in axes else n for d, n in enumerate(x) if keep or d not in axes)]


def _arg_reduce(given: Given) -> list[Shape]:
    x, (axis,) = given.shapes[0], given.ints(1)
    return [tuple(n for d, n in enumerate(x) if d != axis % len(x))]


def _tile(given: Given) -> list[Shape]:
    return [tuple(n * times for n, times in zip(given.shapes[0], given.ints(1), strict=True))]


def _top_k(given: Given) -> list[Shape]:
    (k,) = given.ints(1)
    return [(*given.shapes[0][:-1], k)] * 2


def _range(given: Given) -> list[Shape]:
    (start,), (limit,), (delta,) = given.ints(0), given.ints(1), given.ints(2)
    return [(len(range(start, limit, delta)),)]


def _one_hot(given: Given) -> list[Shape]:
    x, (depth,) = given.shapes[0], given.ints(1)
    at = given.option("axis") % (len(x) + 1)
    return [(*x[:at], depth, *x[at:])]


def _blocks(given: Given) -> list[Shape]:
    batch, height, width, channels = given.shapes[0]
    size = given.option("block_size")
    if given.op.type == "DEPTH_TO_SPACE":
        return [(batch, height * size, width * size, channels // size**2)]
    return [(batch, height // size, width // size, channels * size**2)]


def _space_to_batch(given: Given) -> list[Shape]:
    batch, *inner = given.shapes[0]
    block, around = given.ints(1), given.ints(2)
    count = len(block)
    padded = [n + before + after for n, before, after in zip(inner, around[::2], around[1::2], strict=False)]
    small = [n // size for n, size in zip(padded, block, strict=True)]
    return [(batch * math.prod(block), *small, *inner[count:])]


def _batch_to_space(given: Given) -> list[Shape]:
    batch, *inner = given.shapes[0]
    block, cut = given.ints(1), given.ints(2)
    count = len(block)
    large = [n * size for n, size in zip(inner[:count], block, strict=True)]
    kept = [n - before - after for n, before, after in zip(large, cut[::2], cut[1::2], strict=True)]
    return [(batch // math.prod(block), *kept, *inner[count:])]


def _batch_matmul(given: Given) -> list[Shape]:
    a, b = given.shapes
    rows = a[-1] if given.op.attributes.get("adj_x") else a[-2]
    columns = b[-2] if given.op.attributes.get("adj_y") else b[-1]
    return [(*np.broadcast_shapes(a[:-2], b[:-2]), rows, columns)]


def _shape(given: Given) -> list[Shape]:
    return [(len(given.shapes[0]),)]


def _scalar(given: Given) -> list[Shape]:
    return [()]


_SAME_SHAPE = (
    *("ABS", "CAST", "CEIL", "COS", "CUMSUM", "DEQUANTIZE", "ELU", "EXP", "FAKE_QUANT", "FLOOR", "GELU", "HARD_SWISH"),
    *(
        "L2_NORMALIZATION",
        "LEAKY_RELU",
        "LOCAL_RESPONSE_NORMALIZATION",
        "LOG",
        "LOG_SOFTMAX",
        "LOGICAL_NOT",
        "LOGISTIC",
    ),
    *("LOGISTIC", "NEG", "PRELU", "QUANTIZE", "RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1", "REVERSE_SEQUENCE"),
    *("REVERSE_V2", "ROUND", "RSQRT", "SIGN", "SIN", "SOFTMAX", "SQRT", "SQUARE", "TANH", "ZEROS_LIKE"),
)
_BROADCAST = (
    *("ADD", "ATAN2", "DIV", "EQUAL", "FLOOR_DIV", "FLOOR_MOD", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL"),
    *("LOGICAL_AND", "LOGICAL_OR", "MAXIMUM", "MINIMUM", "MUL", "NOT_EQUAL", "POW", "SELECT", "SELECT_V2"),
    *("SQUARED_DIFFERENCE", "SUB"),
)
_REDUCTIONS = ("MEAN", "SUM", "REDUCE_ALL", "REDUCE_ANY", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD")

_FUNCTIONS: dict[str, Callable[[Given], list[Shape]]] = {
    **dict.fromkeys(_SAME_SHAPE, _same),
    **dict.fromkeys(_BROADCAST, _broadcast),
    **dict.fromkeys(_REDUCTIONS, _reduce),
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D"), _convolution),
    **dict.fromkeys(("AVERAGE_POOL_2D", "L2_POOL_2D", "MAX_POOL_2D"), _pool),
    **dict.fromkeys(("ARG_MAX", "ARG_MIN"), _arg_reduce),
    **dict.fromkeys(("MIRROR_PAD", "PAD", "PADV2"), _pad),
    **dict.fromkeys(("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"), _resize),
    **dict.fromkeys(("DEPTH_TO_SPACE", "SPACE_TO_DEPTH"), _blocks),
    "BATCH_MATMUL": _batch_matmul,
    "BATCH_TO_SPACE_ND": _batch_to_space,
    "BROADCAST_TO": _sized_by(1),
    "CONCATENATION": _concatenation,
    "EXPAND_DIMS": _expand_dims,
    "FILL": _sized_by(0),
    "FULLY_CONNECTED": _fully_connected,
    "GATHER": _gather,
    "GATHER_ND": _gather_nd,
    "ONE_HOT": _one_hot,
    "PACK": _pack,
    "RANGE": _range,
    "RANK": _scalar,
    "RESHAPE": _reshape,
    "SHAPE": _shape,
    "SLICE": _slice,
    "SPACE_TO_BATCH_ND": _space_to_batch,
    "SPLIT": _split,
    "SQUEEZE": _squeeze,
    "STRIDED_SLICE": _strided_slice,
    "TILE": _tile,
    "TOPK_V2": _top_k,
    "TRANSPOSE": _transpose,
    "TRANSPOSE_CONV": _sized_by(0),
    "UNPACK": _unpack,
}
