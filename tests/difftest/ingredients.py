"""What random networks are made of: blocks, odd ingredients, heads; each takes a value and gives the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.difftest.recipe import CONSTANT_SHAPES
from tests.difftest.writer import AFTER_KEPT_MEAN, CHANNELS, EVEN_CHANNELS, FUSED, HIDDEN, SMOOTH_REFUSED, Writer

# -- blocks --------------------------------------------------------------------------------------------------


def _separable(w: Writer, x: int) -> int:
    return w.pointwise(w.depthwise(x))


def _down(w: Writer, x: int) -> int:
    kind = w.choice([("explicit", 84), ("same", 4), ("uneven", 3), ("5x5", 9)])
    if kind == "same":
        x = w.depthwise(x, kernel=[3, 3], stride=[2, 2], padding="SAME")
    elif kind == "5x5":
        x = w.depthwise(w.padded(x, 2), kernel=[5, 5], stride=[2, 2], padding="VALID")
    else:
        x = w.padded(x, 1) if kind == "explicit" else w.padded(x, 0, 1)
        x = w.depthwise(x, kernel=[3, 3], stride=[2, 2], padding="VALID")
    return w.pointwise(x)


def _inverted_residual(w: Writer, x: int) -> int:
    y = w.pointwise(x, min(64, 2 * w.channels(x)))
    if w.chance(0.3):
        y = w.unary(w.pick(("HARD_SWISH", "RELU6", "RELU")), y)
    y = w.depthwise(y)
    if w.chance(0.25):
        y = _squeeze_excite(w, y)
    y = w.pointwise(y, w.channels(x), "NONE")
    operands = [x, y] if w.chance(0.6) else [y, x]
    return w.add("binary", operands, code="ADD", fused=w.choice([("NONE", 8), ("RELU", 2), ("RELU6", 1)]))


def _residual(w: Writer, x: int) -> int:
    y = w.pointwise(w.depthwise(x), w.channels(x), "NONE")
    code = w.choice([("ADD", 80), ("MUL", 12), ("SUB", 3), ("DIV", 1), ("MAXIMUM", 2), ("SQUARED_DIFFERENCE", 2)])
    return w.add(
        "binary", w.rng.sample([x, y], 2), code=code, fused="RELU" if code == "ADD" and w.chance(0.4) else "NONE"
    )


def _squeeze_excite(w: Writer, x: int) -> int:
    channels = w.channels(x)
    keep = w.chance(0.85)
    s = w.add("reduce", x, code="MEAN", axes=[1, 2], keep_dims=keep)
    if not keep:
        s = w.add("reshape", s, to="pooled")
    s = w.pointwise(s, max(5, channels // 4), "RELU")
    s = w.pointwise(s, channels, "NONE")
    kind = w.choice([("LOGISTIC", 60), ("HARD_SWISH", 12), ("hard sigmoid", 20), ("none", 8)])
    if kind == "hard sigmoid":
        s = w.add("constant", s, code="ADD", shape=w.pick(("scalar", "1111")), fused="RELU6")
        s = w.add("constant", s, code="MUL", shape="scalar")
    elif kind != "none":
        s = w.unary(kind, s)
    return w.add("binary", [x, s] if w.chance(0.6) else [s, x], code="MUL")


def _excited(w: Writer, x: int) -> int:
    return w.pointwise(_squeeze_excite(w, x))


def _swish(w: Writer, x: int) -> int:
    gate = w.unary(w.pick(("LOGISTIC", "TANH", "RELU6")), x)
    return w.pointwise(w.add("binary", w.rng.sample([x, gate], 2), code="MUL"))


def _pyramid(w: Writer, x: int) -> int:
    """A lower map made, resized back and added."""
    low = w.depthwise(w.padded(x, 1), kernel=[3, 3], stride=[2, 2], padding="VALID")
    low = w.pointwise(low, w.channels(x))
    align, half = w.pick(((False, True), (True, False), (False, False)))
    up = w.add("resize", [low, x], align_corners=align, half_pixel=half)
    return w.add("binary", w.rng.sample([x, up], 2), code=w.pick(("ADD", "ADD", "MUL")))


def _resized(w: Writer, x: int) -> int:
    align, half = w.pick(((False, True), (True, False), (False, False)))
    factor, plus = w.pick((([2, 2], [0, 0]), ([0.5, 0.6], [0, 1]), ([1, 1], [3, 1]), ([1.5, 1], [0, -2])))
    return w.pointwise(w.add("resize", x, factor=factor, plus=plus, align_corners=align, half_pixel=half))


def _activated(w: Writer, x: int) -> int:
    return w.pointwise(w.activation(x))


def _clamps(w: Writer, x: int) -> int:
    for _ in range(w.rng.randint(1, 3)):
        kind = w.pick(("RELU", "RELU6", "RELU_N1_TO_1", "MAXIMUM", "MINIMUM", "pool"))
        if kind == "pool":
            x = w.add("pool", x, code=w.pick(("MAX_POOL_2D", "AVERAGE_POOL_2D")), kernel=[1, 1], stride=[1, 1])
        elif kind.startswith("M"):
            x = w.add("constant", x, code=kind, shape=w.pick(("scalar", "1", "1111")), first=w.chance(0.3))
        else:
            x = w.unary(kind, x)
    return w.pointwise(x)


def _good_constant(w: Writer, x: int) -> int:
    """A constant that the sparse path takes: rank 4, first operand, one dimension."""
    shape = w.pick(("111c", "1h11", "11w1", "1111"))
    return w.pointwise(w.add("constant", x, code=w.pick(("ADD", "MUL")), shape=shape, first=True))


BLOCKS: list[tuple[Callable[[Writer, int], int], float]] = [
    (_separable, 20),
    (_down, 10),
    (_inverted_residual, 18),
    (_residual, 14),
    (_excited, 12),
    (_swish, 5),
    (_pyramid, 5),
    (_resized, 4),
    (_activated, 8),
    (_clamps, 4),
    (_good_constant, 4),
]

# -- odd ingredients -----------------------------------------------------------------------------------------


def _odd_constant(w: Writer, x: int) -> int:
    code = w.choice([("ADD", 4), ("MUL", 4), ("SUB", 1), ("DIV", 1), ("MAXIMUM", 1), ("MINIMUM", 1)])
    fused = w.pick(FUSED) if code in ("ADD", "MUL", "SUB", "DIV") else "NONE"
    shape = w.pick(tuple(CONSTANT_SHAPES))
    return w.add("constant", x, code=code, shape=shape, first=w.chance(0.5), fused=fused)


def _odd_pool(w: Writer, x: int) -> int:
    size, stride = w.choice([((2, 2), 8), ((3, 2), 4), ((1, 1), 3), ((3, 1), 3), ((1, 2), 1), ((2, 3), 1)])
    code = w.pick(("MAX_POOL_2D", "AVERAGE_POOL_2D"))
    padding = w.pick(("SAME", "VALID"))
    return w.add(
        "pool", x, code=code, kernel=[size, size], stride=[stride, stride], padding=padding, fused=w.pick(FUSED)
    )


def _odd_depthwise(w: Writer, x: int) -> int:
    changes = w.pick(
        (
            {"kernel": [7, 7]},
            {"multiplier": 2},
            {"dilation": [2, 2]},
            {"stride": [2, 2]},
            {"kernel": [1, 1]},
            {"kernel": [3, 5]},
            {"padding": "VALID"},
            {"stride": [1, 2], "pad": [1, 1]},
            {"stride": [3, 3], "pad": [1, 1]},
            {"pad": [1, 1], "same": True},
            {"pad": [0, 1]},
            {"pad": [1, 2], "stride": [2, 2]},
            {"kernel": [5, 5], "pad": [1, 1]},
            {"kernel": [5, 5], "pad": [2, 2], "stride": [2, 2]},
            {"pad": [1, 1], "stride": [1, 1]},
        )
    )
    changes = dict(changes)
    pad, same = changes.pop("pad", None), changes.pop("same", False)
    if pad:
        x = w.padded(x, *pad)
        changes["padding"] = "SAME" if same else "VALID"
    return w.depthwise(x, **{"kernel": [3, 3], **changes})


def _odd_conv(w: Writer, x: int) -> int:
    changes = w.pick(
        (
            {"kernel": [3, 3], "padding": "SAME"},
            {"kernel": [3, 3], "padding": "VALID"},
            {"kernel": [3, 3], "stride": [2, 2], "padding": "SAME"},
            {"kernel": [5, 5], "padding": "SAME"},
            {"kernel": [1, 3], "padding": "SAME"},
            {"kernel": [1, 1], "stride": [2, 2]},
            {"kernel": [1, 1], "dilation": [2, 2]},
            {"kernel": [1, 1], "groups": 2, "filters": w.pick(EVEN_CHANNELS)},
            {"kernel": [3, 3], "padding": "SAME", "groups": 2, "filters": w.pick(EVEN_CHANNELS)},
            {"kernel": [3, 3], "padding": "SAME", "dilation": [2, 2]},
            {"kernel": [1, 1], "fused": "TANH"},
            {"kernel": [1, 1], "fused": "RELU_N1_TO_1"},
            {"kernel": [1, 1], "filters": 1},
            {"kernel": [3, 3], "stride": [2, 2], "padding": "VALID", "first": 3},
        )
    )
    changes = dict(changes)
    if "first" in changes:  # a second stem: 3 channels, then PAD and stride 2
        x = w.padded(w.pointwise(x, changes.pop("first")), 1)
    return w.pointwise(x, **changes)


def _odd_pad(w: Writer, x: int) -> int:
    before, after = w.rng.randint(0, 2), w.rng.randint(0, 2)
    channels = [0, w.rng.randint(1, 3)] if w.chance(0.3) else [0, 0]
    return w.add("pad", x, amounts=[[0, 0], [before, after], [after, before], channels])


def _odd_shape(w: Writer, x: int) -> int:
    kind = w.pick(("same", "swap_hw", "one_row", "flat", "chain", "chain same", "rank 5"))
    if kind == "chain":
        x = w.add("reshape", w.add("reshape", x, to="merge_hw"), to="same")
        return w.add("reshape", x, to="flat") if w.chance(0.3) else _regrown(w, x)
    if kind == "chain same":
        return w.add("reshape", w.add("reshape", x, to="same"), to="swap_hw")
    if kind == "rank 5":
        return _regrown(w, w.add("squeeze", w.add("reshape", x, to="rank_5"), axes=[1]))
    if kind == "flat":
        return _regrown(w, w.add("reshape", x, to="flat"))
    return w.add("reshape", x, to=kind)


def _regrown(w: Writer, x: int) -> int:
    """Back to rank 4, as [N, 1, 1, features] behind a small FULLY_CONNECTED."""
    if len(w.shape(x)) == 4:
        return x
    if w.shape(x)[-1] > 1024:
        return x
    return w.add("reshape", w.add("fully_connected", x, units=w.pick(CHANNELS), fused="RELU"), to="pooled")


def _odd_cut(w: Writer, x: int) -> int:
    kind = w.pick(("slice", "strided", "split", "transpose", "channels", "reverse channels"))
    if kind == "slice":
        return w.add("slice", x, cut=[[0, 0], [1, 0], [0, 2], [0, 0]])
    if kind == "channels":
        return w.add("slice", x, cut=[[0, 0], [0, 0], [0, 0], [1, 2]])
    if kind == "strided":
        return w.add("strided_slice", x, strides=[1, 2, 1, 1])
    if kind == "split":
        first = w.add("split", x, parts=2, axis=3)
        second = w.add("part", first, index=1)
        return (
            w.add("concat", [second, first], axis=3) if w.chance(0.5) else w.add("binary", [first, second], code="ADD")
        )
    if kind == "transpose":
        return w.add("transpose", x, order=w.pick(([0, 2, 1, 3], [0, 1, 3, 2], [0, 3, 1, 2])))
    return w.add("refused", x, what="gather")


def _odd_space(w: Writer, x: int) -> int:
    kind = w.pick(("space_to_depth", "depth_to_space", "transpose_conv"))
    if kind == "transpose_conv":
        size = w.pick((2, 3))
        return w.add("transpose_conv", x, filters=w.pick(CHANNELS), kernel=[size, size], stride=[2, 2])
    if kind == "depth_to_space":
        x = w.pointwise(x, w.pick((8, 12, 20, 28)))
    return w.add(kind, x, block=2)


def _odd_concat(w: Writer, x: int) -> int:
    count = w.choice([(2, 6), (3, 3), (4, 1), (5, 1), (6, 1)])
    others = [w.pointwise(x, w.pick((3, 4, 5, 6))) for _ in range(count - 1)]
    if w.chance(0.5):
        others.append(w.pointwise(x, 5))
        parts = others
    else:
        parts = [x, *others]
    return w.add("concat", parts, axis=3)


def _odd_branch(w: Writer, x: int) -> int:
    """PRELU, SOFTMAX, an operator of x and x, or an int8 stretch."""
    kind = w.choice(
        [("prelu", 4), ("softmax", 3), ("twice", 6), ("int8", 1), ("int8 conv", 1), ("fc keep", 3), ("resize 1", 1)]
    )
    if kind == "prelu":
        return w.add("prelu", x, shape=w.pick(("11c", "c", "hwc", "1111")))
    if kind == "softmax":
        return w.add("softmax", x, beta=w.pick((1.0, 1.0, 2.0)))
    if kind == "twice":
        return w.add("binary", [x, x], code=w.pick(("ADD", "MUL", "MUL", "MAXIMUM")))
    if kind == "int8":
        return w.add("quantize", x)
    if kind == "int8 conv":
        # Not sparse-encoded. Seen: one such graph in 1,800 crashes LiteRT 2.3.0 (SIGSEGV, repeatably; not with another
        # number of filters, not with the filter stored dense). Read: the runtime counts the zeros of this filter in a
        # branch that it calls unreachable (google/XNNPACK src/subgraph.c, xnn_subgraph_rewrite_for_nchw). Supposed:
        # it reads past the end of the filter, so that the heap decides, which no prediction can follow.
        filters, fused = w.pick(CHANNELS), w.pick(("NONE", "RELU"))
        return w.add("quantize", x, filters=filters, zeros=0.8, storage="dense", fused=fused)
    if kind == "resize 1":
        return w.add("resize", x, factor=[0, 1], plus=[1, 0])
    units, storage = w.pick(CHANNELS), w.storage()
    return w.add("fully_connected", x, units=units, keep_num_dims=True, zeros=w.zeros(), storage=storage, fused="RELU")


def _odd_refused(w: Writer, x: int) -> int:
    what = w.pick([name for name in SMOOTH_REFUSED if name not in ("concat_6", "tile") or w.channels(x) < 12])
    return w.add("refused", x, what=what)


def _odd_tap(w: Writer, x: int) -> int:
    """An inner value as an output."""
    w.output(w.pick(w.maps) if w.maps and w.chance(0.5) else x)
    return x


def _odd_side_output(w: Writer, x: int) -> int:
    """A second head in the middle of the network."""
    w.choice(HEADS)(w, x)
    return x


def _odd_reader(w: Writer, x: int) -> int:
    """Something outside the cluster reads a value of it; or a branch that ends nowhere does."""
    y = w.pick(w.maps) if w.maps and w.chance(0.5) else x
    kind = w.pick(("dead", "dead far", "reshape", "softmax", "sub"))
    if kind == "dead":
        w.activation(y)
    elif kind == "dead far":
        w.add("reshape", w.pointwise(w.add("pool", y, code="MAX_POOL_2D", kernel=[2, 2], stride=[2, 2])), to="flat")
    elif kind == "reshape":
        w.output(w.add("reshape", y, to="flat"))
    elif kind == "softmax":
        w.output(w.add("softmax", y))
    else:
        z = w.pointwise(y, w.channels(y), "NONE") if len(w.shape(y)) == 4 else y
        w.output(w.add("reduce", w.add("binary", [y, z], code="SUB"), code="MEAN", axes=[1, 2], keep_dims=False))
    return x


def _odd_external(w: Writer, x: int) -> int:
    """A second model input joins, as it is or through a layer."""
    if len(w.shape(x)) != 4:
        return x
    extra = w.input(w.shape(x))
    if w.chance(0.4):
        extra = w.pick((w.activation, w.depthwise))(extra)
    return w.add("binary", w.rng.sample([x, extra], 2), code=w.pick(("ADD", "ADD", "MUL", "SUB")))


def _odd_reduction(w: Writer, x: int) -> int:
    """A reduction that keeps its dimensions, broadcast back."""
    if len(w.shape(x)) != 4:
        return x
    code = w.choice([("MEAN", 5), ("SUM", 2), ("REDUCE_MAX", 2), ("REDUCE_MIN", 1)])
    axes = w.choice([([1, 2], 6), ([1], 1), ([2], 1), ([3], 1), ([2, 1], 1), ([-2, -3], 1), ([1, 2, 3], 1)])
    s = w.add("reduce", x, code=code, axes=axes, keep_dims=True)
    if w.chance(0.4):
        s = w.activation(s)
    # Not MEAN(x) - x: whatever is linear behind it makes a constant of it, and hides what is wrong with x.
    codes = ("ADD", "MUL") if code == "MEAN" else ("ADD", "MUL", "SUB")
    return w.add("binary", w.rng.sample([x, s], 2), code=w.pick(codes))


def _odd_skip(w: Writer, x: int) -> int:
    """An operator with an earlier map of the same shape."""
    same = [ref for ref in w.maps if ref != x and w.shape(ref) == w.shape(x)]
    if not same:
        return _odd_branch(w, x)
    code = w.choice([("ADD", 6), ("MUL", 2), ("SUB", 2), ("MAXIMUM", 1), ("DIV", 1)])
    return w.add("binary", w.rng.sample([x, w.pick(same)], 2), code=code)


def _odd_wide(w: Writer, x: int) -> int:
    return w.add("reduce", w.pointwise(x), code="MEAN", axes=[1, 2], keep_dims=True)


ODDITIES: list[tuple[Callable[[Writer, int], int], float]] = [
    (_odd_constant, 14),
    (_odd_pool, 6),
    (_odd_depthwise, 9),
    (_odd_conv, 9),
    (_odd_pad, 4),
    (_odd_shape, 6),
    (_odd_cut, 5),
    (_odd_space, 4),
    (_odd_concat, 5),
    (_odd_branch, 9),
    (_odd_refused, 7),
    (_odd_tap, 5),
    (_odd_side_output, 6),
    (_odd_reader, 6),
    (_odd_external, 4),
    (_odd_reduction, 5),
    (_odd_skip, 5),
    (_odd_wide, 1),
    (_activated, 5),
]

# -- heads ---------------------------------------------------------------------------------------------------


def _classified(w: Writer, x: int) -> int:
    """FULLY_CONNECTED and perhaps SOFTMAX."""
    options: dict[str, Any] = {"units": w.pick(CHANNELS), "keep_num_dims": w.chance(0.12)}
    if w.chance(0.25):
        options |= {"zeros": w.zeros(), "storage": w.storage()}
    elif w.chance(0.3):
        x = w.add("fully_connected", x, units=w.pick(HIDDEN), fused="RELU", keep_num_dims=options["keep_num_dims"])
        options |= w.encoded()
    x = w.add("fully_connected", x, **options)
    return w.add("softmax", x) if w.chance(0.25) else x


def _mean(w: Writer, x: int, keep_dims: bool = False) -> int:
    axes = w.choice([([1, 2], 10), ([2, 1], 1), ([-2, -3], 1), ([-3, -2], 1)])
    result = x
    if w.chance(0.1):
        result = w.add("reduce", x, code="SUM", axes=axes, keep_dims=keep_dims)
    return w.add("reduce", x, code="MEAN", axes=axes, keep_dims=keep_dims) if result == x else result


def _head_mean(w: Writer, x: int) -> None:
    x = _mean(w, x)
    w.output(_classified(w, x) if w.chance(0.75) else x)


def _head_mean_keep(w: Writer, x: int) -> None:
    """A kept mean and each of the things that may read it."""
    x = _mean(w, x, keep_dims=True)
    kind = w.choice(list(AFTER_KEPT_MEAN.items()))
    if kind == "fc":
        x = _classified(w, x)
    elif kind == "reshape":
        x = _classified(w, w.add("reshape", x, to="flat"))
    elif kind.startswith("pointwise"):
        x = w.pointwise(x, fused=w.pick(("NONE", "RELU")))
        if w.chance(0.3):
            x = w.pointwise(x)
        x = w.add("reshape", x, to="flat") if kind.endswith("reshape") else x
    elif kind == "softmax":
        x = w.add("softmax", x)
    elif kind == "unary":
        x = w.activation(x)
        x = w.add("reshape", x, to="flat") if w.chance(0.5) else x
    elif kind == "constant":
        x = _odd_constant(w, x)
    elif kind == "squeeze":
        x = w.add("squeeze", x, axes=[1, 2])
    elif kind == "concat":
        x = w.add("concat", [x, w.activation(x)], axis=3)
    elif kind == "refused":
        x = _odd_refused(w, x)
    elif kind == "prelu":
        x = w.add("prelu", x)
    elif kind == "resize":
        x = w.add("resize", x, factor=[3, 2], plus=[0, 0], half_pixel=True)
    elif kind == "conv":
        x = w.add("conv2d", x, filters=5, kernel=[3, 3], padding="SAME", fused="NONE")
    w.output(x)


def _head_depth_to_space(w: Writer, x: int) -> None:
    x = w.pointwise(x, w.pick((4, 8, 12, 20)), "NONE")
    if w.chance(0.3):
        x = w.activation(x)
    x = w.add("depth_to_space", x, block=2)
    w.output(w.unary("LOGISTIC", x) if w.chance(0.3) else x)


def _head_any_reduction(w: Writer, x: int) -> None:
    code = w.choice([("MEAN", 5), ("SUM", 3), ("REDUCE_MAX", 2), ("REDUCE_MIN", 1)])
    axes = [axis for axis in range(4) if w.chance(0.5)] or [1, 2]
    w.rng.shuffle(axes)
    axes = [axis - 4 if w.chance(0.2) else axis for axis in axes]
    if code == "REDUCE_MIN":  # behind a RELU it would see zeros only
        x = w.pointwise(x, fused="NONE")
    x = w.add("reduce", x, code=code, axes=axes, keep_dims=w.chance(0.5))
    if w.chance(0.3):
        x = w.activation(x)
    w.output(x)


def _head_pool(w: Writer, x: int) -> None:
    x = w.add("pool", x, code=w.pick(("AVERAGE_POOL_2D", "MAX_POOL_2D")), **{"global": True})
    w.output(_classified(w, x))


def _head_flat(w: Writer, x: int) -> None:
    w.output(_regrown(w, w.add("reshape", x, to="flat")))


def _head_map(w: Writer, x: int) -> None:
    """A map as the output, in the ways of detection and segmentation networks."""
    if w.chance(0.65):  # a MEAN elsewhere arms the whole partition
        _head_mean(w, w.pick((x, w.pick(w.maps))) if w.maps else x)
    kind = w.pick(("pointwise", "depthwise", "unary", "resize", "softmax", "reshape", "conv", "concat", "bare"))
    if kind == "pointwise":
        x = w.pointwise(x, w.pick((2, 4, 5)), "NONE")
    elif kind == "depthwise":
        x = w.depthwise(x)
    elif kind == "unary":
        x = w.activation(x)
    elif kind == "resize":
        x = w.add("resize", x, factor=[2, 2], plus=[0, 0], half_pixel=True)
    elif kind == "softmax":
        x = w.add("softmax", w.pointwise(x, 5, "NONE"))
    elif kind == "reshape":
        x = w.add("reshape", w.pointwise(x, 4, "NONE"), to="merge_hw")
    elif kind == "conv":
        x = w.add("conv2d", x, filters=4, kernel=[3, 3], padding="SAME", fused="NONE")
    elif kind == "concat":
        a, b = (w.add("reshape", w.pointwise(x, n, "NONE"), to="flat") for n in (2, 3))
        x = w.add("concat", [a, b], axis=1)
    w.output(x)


def _head_two(w: Writer, x: int) -> None:
    _head_mean(w, x)
    w.choice(HEADS[:-1])(w, w.pointwise(x) if w.chance(0.5) else x)


HEADS: list[tuple[Callable[[Writer, int], None], float]] = [
    (_head_mean, 44),
    (_head_mean_keep, 22),
    (_head_depth_to_space, 8),
    (_head_any_reduction, 6),
    (_head_pool, 2),
    (_head_flat, 2),
    (_head_map, 7),
    (_head_two, 9),
]
