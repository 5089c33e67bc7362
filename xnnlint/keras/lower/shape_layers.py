"""Layers without weights that pool, pad, cut, resize, join or reshape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xnnlint.errors import NotSupported
from xnnlint.keras.lower.channels_first import around, is_channels_first
from xnnlint.keras.lower.layer_scope import Scope, axis_of, channels_last, is_same, shape_of
from xnnlint.keras.lower.program import Shape, Step, Value, broadcast, elements, window
from xnnlint.keras.lower.registry import layer

_NONE = {"fused_activation_function": "NONE"}
# More would be made by a number in a file.
_MOST_PARTS = 1 << 16
_LOST_ROWS = (
    "it repeats rows whose number the converter does not know, as behind another UpSampling2D, and it does not convert"
    " a convolution on what comes out; fix the batch: Input(shape, batch_size=1), or convert --batch 1"
)


# -- shapes at run time


def batch_and(
    scope: Scope, x: Value, rest: list[int], at: str, number: str = "strided_slice", shape: str = "Shape"
) -> Value:
    """A shape: the batch of a tensor, and then fixed numbers; computed at run time where the batch is dynamic.

    Args:
        at, number, shape: names of the operations that put it together, take the batch, and ask for the whole shape.
    """
    batch = shape_of(x)[0]
    if batch is not None:
        return scope.integers([batch, *rest], at)
    rank = len(shape_of(x))
    whole = scope.op("SHAPE", [x], (rank,), shape, {"out_type": "INT32"}, "INT32")
    first = number_of(scope, whole, 0, number)
    others = [scope.integers(n, f"{at}/{i + 1}") for i, n in enumerate(rest)]
    packing = {"values_count": len(rest) + 1, "axis": 0}
    return scope.op("PACK", [first, *others], (len(rest) + 1,), at, packing, "INT32")


def number_of(scope: Scope, whole: Value, place: int, at: str) -> Value:
    """One of the numbers of a shape."""
    cut = [scope.integers([n], f"{at}/stack{s}") for n, s in ((place, ""), (place + 1, "_1"), (1, "_2"))]
    masks = {"begin_mask": 0, "end_mask": 0, "ellipsis_mask": 0, "new_axis_mask": 0, "shrink_axis_mask": 1}
    return scope.op("STRIDED_SLICE", [whole, *cut], (), at, masks, "INT32")


def reshape_to(scope: Scope, x: Value, target: list[int], at: str) -> Value:
    """A RESHAPE to a constant target, in which one number may be -1."""
    shape = shape_of(x)
    resolved: list[int | None] = [None if n == -1 else n for n in target]
    count, known = elements(shape), 1
    for n in target:
        known *= n if n != -1 else 1
    if count is not None and known and -1 in target:
        resolved[target.index(-1)] = count // known
    return scope.op("RESHAPE", [x, scope.integers(target, f"{at}/shape")], tuple(resolved), at, dtype=x.dtype)


def expand_axis(scope: Scope, x: Value, axis: int, at: str) -> Value:
    """A new axis of size 1."""
    shape = list(shape_of(x))
    place = axis_of(axis, len(shape) + 1)
    shape.insert(place, 1)
    return scope.op("EXPAND_DIMS", [x, scope.integers(axis, f"{at}/dim")], tuple(shape), at, dtype=x.dtype)


def squeeze_axis(scope: Scope, x: Value, axis: int, at: str) -> Value:
    """Drops an axis of size 1."""
    return squeeze_axes(scope, x, [axis], at)


def squeeze_axes(scope: Scope, x: Value, axes: list[int], at: str) -> Value:
    """Drops axes of size 1."""
    shape = shape_of(x)
    gone = {axis_of(axis, len(shape)) for axis in axes}
    left = tuple(n for d, n in enumerate(shape) if d not in gone)
    return scope.op("SQUEEZE", [x], left, at, {"squeeze_dims": tuple(axes)}, x.dtype)


@layer("Reshape")
def reshape(scope: Scope, x: Value) -> Value:
    """Reshape: the batch stays, and is looked up at run time if it is dynamic. Keras 3 writes what -1 stands for."""
    shape = shape_of(x)
    target = scope.config.wholes("target_shape", least=-1)
    rest = elements(shape[1:])
    resolved: list[int | None] = [None if n == -1 else n for n in target]
    if -1 in target and rest is not None:
        known = 1
        for n in target:
            known *= n if n != -1 else 1
        resolved[target.index(-1)] = rest // known if known else None
    if scope.is_keras_3 and None not in resolved:
        target = [n for n in resolved if n is not None]
    sizes = batch_and(scope, x, target, "Reshape/shape")
    return scope.op("RESHAPE", [x, sizes], (shape[0], *resolved), "Reshape")


@layer("Flatten")
def flatten(scope: Scope, x: Value) -> Value:
    """Flatten; Keras 2 has a constant target where all but the batch is known, Keras 3 looks up the batch."""
    shape = shape_of(x)
    if len(shape) < 2:
        raise NotSupported("its input has one dimension")
    rest = elements(shape[1:])
    if rest is None or scope.is_keras_3:
        sizes = batch_and(scope, x, [-1 if rest is None else rest], "Reshape/shape")
    else:
        sizes = scope.integers([-1, rest], "Const")
    if len(shape) > 2 and is_channels_first(scope, x):
        if rest is None:
            raise NotSupported("it flattens a map of unknown size, and its data_format is channels_first")
        x = transpose_by(scope, x, [0, *range(2, len(shape)), 1], "transpose")
    return scope.op("RESHAPE", [x, sizes], (shape[0], rest), "Reshape")


@layer("Permute")
def permute(scope: Scope, x: Value) -> Value:
    """Permute: axes counted from 1, without the batch."""
    order = [0, *scope.config.wholes("dims")]
    return transpose_by(scope, x, order, "transpose")


def transpose_by(scope: Scope, x: Value, order: list[int], at: str) -> Value:
    """A TRANSPOSE."""
    shape = shape_of(x)
    if sorted(order) != list(range(len(shape))):
        raise NotSupported("its order of axes does not fit its input")
    out = tuple(shape[d] for d in order)
    return scope.op("TRANSPOSE", [x, scope.integers(order, f"{at}/perm")], out, at, dtype=x.dtype)


# -- pooling

_POOLS = ("MaxPooling", "AveragePooling", "MaxPool", "AvgPool")


@layer(*(f"{kind}{dimensions}D" for kind in _POOLS for dimensions in (1, 2)))
def pool(scope: Scope, x: Value) -> Value:
    """MaxPooling and AveragePooling in one or two dimensions."""
    config = scope.config
    line = len(shape_of(x, 3, 4)) == 3
    first = is_channels_first(scope, x)
    axes = 1 if line else 2
    size = config.wholes("pool_size", default=2, count=axes, least=1)
    stride = config.wholes("strides", default=size, count=axes, least=1)
    # The axis of one: Keras 2 has it behind the steps, Keras 3 before them.
    extra = 1 if scope.is_keras_3 else 2
    if line:
        x = expand_axis(scope, x, extra, "ExpandDims")
        size, stride = ([1, n[0]] if extra == 1 else [n[0], 1] for n in (size, stride))
    same = is_same(config)
    type_, at = ("MAX_POOL_2D", "MaxPool") if "Max" in scope.layer.class_name else ("AVERAGE_POOL_2D", "AvgPool")
    attributes = {
        "padding": "SAME" if same else "VALID",
        "stride_h": stride[0],
        "stride_w": stride[1],
        "filter_height": size[0],
        "filter_width": size[1],
        **_NONE,
    }

    def emit(y: Value, at: str | Step) -> Value:
        batch, *sides, channels = shape_of(y, 4)
        out = tuple(window(n, k, s, same) for n, k, s in zip(sides, size, stride, strict=True))
        return scope.op(type_, [y], (batch, *out, channels), at, attributes)

    if not first:
        y = emit(x, at)
    elif scope.is_keras_3:
        y = around(scope, x, "transpose", lambda y: emit(y, at))
    else:
        step = scope.step(at)
        y = around(scope, x, step, lambda y: emit(y, step))
    return squeeze_axis(scope, y, extra, "Squeeze") if line else y


@layer(*(f"Global{kind}{dimensions}D" for kind in _POOLS for dimensions in (1, 2, 3)))
def global_pool(scope: Scope, x: Value) -> Value:
    """Global pooling over every axis between batch and channels."""
    config = scope.config
    rank = len(shape_of(x, 3, 4, 5))
    type_, at = ("REDUCE_MAX", "Max") if "Max" in scope.layer.class_name else ("MEAN", "Mean")
    axes = list(range(2, rank)) if is_channels_first(scope, x) else list(range(1, rank - 1))
    return reduce(scope, x, type_, axes if rank > 3 else axes[0], config.flag("keepdims"), at)


def reduce(scope: Scope, x: Value, type_: str, axis: int | list[int] | None, keep: bool, at: str) -> Value:
    """A reduction over axes as the user wrote them; over all where that is None."""
    shape = shape_of(x)
    axes = range(len(shape)) if axis is None else [axis] if isinstance(axis, int) else axis
    gone = {axis_of(a, len(shape)) for a in axes}
    out = tuple(1 if d in gone else n for d, n in enumerate(shape) if keep or d not in gone)
    written = axis if isinstance(axis, int) else list(axes)
    reduced = scope.integers(written, f"{at}/reduction_indices")
    return scope.op(type_, [x, reduced], out, at, {"keep_dims": keep})


# -- padding, cutting, resizing


@layer("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D")
def zero_padding(scope: Scope, x: Value) -> Value:
    """ZeroPadding in one to three dimensions."""
    rank = len(shape_of(x, 3, 4, 5))
    pairs = scope.config.pairs("padding", count=rank - 2)
    if is_channels_first(scope, x):
        return pad(scope, x, [(0, 0), (0, 0), *pairs], "Pad")
    return pad(scope, x, [(0, 0), *pairs, (0, 0)], "Pad")


def pad(scope: Scope, x: Value, paddings: Sequence[tuple[int, int]], at: str) -> Value:
    """A PAD with zeros."""
    shape = shape_of(x)
    if len(paddings) != len(shape):
        raise NotSupported("its padding does not fit its input")
    out = tuple(None if n is None else n + sum(p) for n, p in zip(shape, paddings, strict=True))
    return scope.op("PAD", [x, scope.integers(paddings, f"{at}/paddings")], out, at)


def mirror(scope: Scope, x: Value, paddings: Sequence[tuple[int, int]], mode: str) -> Value:
    """A MIRROR_PAD.

    Args:
        mode: "REFLECT" or "SYMMETRIC".
    """
    out = tuple(None if n is None else n + sum(p) for n, p in zip(shape_of(x), paddings, strict=True))
    return scope.op("MIRROR_PAD", [x, scope.integers(paddings, "MirrorPad/paddings")], out, "MirrorPad", {"mode": mode})


@layer("Cropping1D", "Cropping2D", "Cropping3D")
def cropping(scope: Scope, x: Value) -> Value:
    """Cropping in one to three dimensions."""
    shape = shape_of(x, 3, 4, 5)
    # Of batch and channels all is kept.
    whole = (0, 1) if is_channels_first(scope, x) else (0, len(shape) - 1)
    cuts = scope.config.pairs("cropping", count=len(shape) - 2)
    pairs = [(0, 0), (0, 0), *cuts] if whole[1] == 1 else [(0, 0), *cuts, (0, 0)]
    begin, end = [p[0] for p in pairs], [-p[1] for p in pairs]
    ends = sum(1 << d for d in whole)
    masks = {"begin_mask": ends, "end_mask": ends, "ellipsis_mask": 0, "new_axis_mask": 0, "shrink_axis_mask": 0}
    for d, p in enumerate(pairs):
        masks["end_mask"] |= 0 if p[1] else 1 << d
    cut = [
        scope.integers(n, f"strided_slice/stack{s}") for n, s in ((begin, ""), (end, "_1"), ([1] * len(shape), "_2"))
    ]
    out = tuple(None if n is None else n - sum(p) for n, p in zip(shape, pairs, strict=True))
    return scope.op("STRIDED_SLICE", [x, *cut], out, "strided_slice", masks)


@layer("CenterCrop")
def center_crop(scope: Scope, x: Value) -> Value:
    """CenterCrop of a map that is large enough: Keras 2 has a SLICE of it, Keras 3 x[:, a:b, c:d]."""
    channels_last(scope.config)
    batch, height, width, channels = shape_of(x, 4)
    size = [scope.config.whole("height", least=1), scope.config.whole("width", least=1)]
    if height is None or width is None or channels is None or height < size[0] or width < size[1]:
        raise NotSupported("it makes a map larger, or one of unknown size smaller")
    top, left = (height - size[0]) // 2, (width - size[1]) // 2
    out = (batch, *size, channels)
    if not scope.is_keras_3:
        begin = scope.integers([0, top, left, 0], "crop_to_bounding_box/stack")
        target = batch_and(scope, x, [*size, channels], "crop_to_bounding_box/stack_1")
        return scope.op("SLICE", [x, begin, target], out, "crop_to_bounding_box/Slice")
    masks = {"begin_mask": 9, "end_mask": 9, "ellipsis_mask": 0, "new_axis_mask": 0, "shrink_axis_mask": 0}
    ends = ([0, top, left, 0], ""), ([0, top + size[0], left + size[1], 0], "_1"), ([1] * 4, "_2")
    cut = [scope.integers(numbers, f"strided_slice/stack{suffix}") for numbers, suffix in ends]
    return scope.op("STRIDED_SLICE", [x, *cut], out, "strided_slice", masks)


_HALF_PIXEL = {"align_corners": False, "half_pixel_centers": True}
_RESIZE = {
    "bilinear": ("RESIZE_BILINEAR", "resize/ResizeBilinear"),
    "nearest": ("RESIZE_NEAREST_NEIGHBOR", "resize/ResizeNearestNeighbor"),
}


def resize(scope: Scope, x: Value, size: Sequence[int | None], method: str) -> Value:
    """tf.image.resize to a fixed size, as layers use it."""
    shape = shape_of(x, 4)
    if method not in _RESIZE:
        raise NotSupported(f"it resizes by {method!r}, for which TFLite has no operator")
    if None in size:
        raise NotSupported("it resizes a map of unknown size")
    type_, at = _RESIZE[method]
    target = scope.integers(size, "resize/size")
    return scope.op(type_, [x, target], (shape[0], *size, shape[3]), at, dict(_HALF_PIXEL))


@layer("UpSampling2D")
def up_sampling(scope: Scope, x: Value) -> Value:
    """UpSampling2D."""
    if is_channels_first(scope, x):
        if None in shape_of(x, 4)[2:]:
            raise NotSupported("it resizes a map of unknown size, and its data_format is channels_first")
        return around(scope, x, "transpose", lambda y: _up_sampled(scope, y))
    return _up_sampled(scope, x)


def _up_sampled(scope: Scope, x: Value) -> Value:
    config, shape = scope.config, shape_of(x, 4)
    factors = config.pair("size", default=2)
    method = config.word("interpolation", default="nearest")
    if method == "nearest" and scope.is_keras_3:
        for axis, factor in enumerate(factors, 1):
            x = repeat(scope, x, factor, axis)
        return x
    if None in shape[1:3] and method in _RESIZE:
        whole = scope.op("SHAPE", [x], (4,), "Shape", {"out_type": "INT32"}, "INT32")
        sides = part_of(scope, whole, 1, 3, "strided_slice")
        times = scope.integers(factors, "Const")
        target = scope.op("MUL", [sides, times], (2,), "mul", dict(_NONE), "INT32")
        type_, at = _RESIZE[method]
        return scope.op(type_, [x, target], (shape[0], None, None, shape[3]), at, dict(_HALF_PIXEL))
    size = [None if n is None else n * f for n, f in zip(shape[1:3], factors, strict=True)]
    return resize(scope, x, size, method)


@layer("UpSampling1D")
def up_sampling_1d(scope: Scope, x: Value) -> Value:
    """UpSampling1D: every step again and again."""
    shape_of(x, 3)
    return repeat(scope, x, scope.config.wholes("size", default=2, count=1, least=1)[0], 1)


@layer("RepeatVector")
def repeat_vector(scope: Scope, x: Value) -> Value:
    """RepeatVector: a vector as every step of a sequence."""
    batch, size = shape_of(x, 2)
    count = scope.config.whole("n", least=1)
    if scope.is_keras_3:
        if size is None:
            raise NotSupported("its input is of unknown size")
        sizes = batch_and(scope, x, [1, size], "Reshape/shape")
        return repeat(scope, scope.op("RESHAPE", [x, sizes], (batch, 1, size), "Reshape"), count, 1)
    y = expand_axis(scope, x, 1, "ExpandDims")
    return tile(scope, y, [1, count, 1], "Tile")


def tile(scope: Scope, x: Value, times: list[int], at: str) -> Value:
    """A TILE; one that changes nothing is none."""
    if set(times) == {1}:
        return x
    shape = tuple(None if n is None else n * t for n, t in zip(shape_of(x), times, strict=True))
    return scope.op("TILE", [x, scope.integers(times, f"{at}/multiples")], shape, at, dtype=x.dtype)


def repeat(scope: Scope, x: Value, count: int, axis: int) -> Value:
    """Each element along an axis again and again.

    Keras 2 (`repeat_elements` of tf_keras/src/backend.py) cuts the tensor into as many parts as the axis is long;
    Keras 3 (tf.repeat) has a TILE along a new axis, and a RESHAPE to a computed shape.
    """
    shape = shape_of(x)
    size = shape[axis]
    if size is None:
        raise NotSupported(_LOST_ROWS if scope.is_keras_3 else "it repeats an axis of unknown size")
    if not scope.is_keras_3:
        return _repeated_parts(scope, x, count, axis)
    # Steps are numbered where there are several.
    at = scope.inner_name("Repeat")
    spread = expand_axis(scope, x, axis + 1, f"{at}/ExpandDims")
    y = tile(scope, spread, [count if d == axis + 1 else 1 for d in range(len(shape) + 1)], f"{at}/Tile")
    whole = scope.op("SHAPE", [x], (len(shape),), f"{at}/Shape", {"out_type": "INT32"}, "INT32")
    parts = [part_of(scope, whole, 0, axis, f"{at}/strided_slice")]
    parts.append(scope.integers([size * count], f"{at}/concat/values_1"))
    parts.append(part_of(scope, whole, axis + 1, len(shape), f"{at}/strided_slice_2"))
    target = scope.op("CONCATENATION", parts, (len(shape),), f"{at}/concat", {"axis": 0, **_NONE}, "INT32")
    # Of dimensions before the axis the converter knows only those of a shape that is known as a whole.
    known = None not in shape[:axis]
    out = tuple(size * count if d == axis else n if known or d > axis else None for d, n in enumerate(shape))
    return scope.op("RESHAPE", [y, target], out, f"{at}/Reshape_1")


def _repeated_parts(scope: Scope, x: Value, count: int, axis: int) -> Value:
    shape = list(shape_of(x))
    size = shape[axis] or 0
    if not 0 < size * count <= _MOST_PARTS:
        raise NotSupported(f"it joins {size * count:,} parts")
    shape[axis] = 1
    cut = [scope.integers(axis, "split/split_dim"), x]
    parts = scope.ops("SPLIT", cut, [tuple(shape)] * size, "split", {"num_splits": size})
    return concatenate(scope, [part for part in parts for _ in range(count)], axis)


def part_of(scope: Scope, whole: Value, begin: int, end: int, at: str) -> Value:
    """Some of the numbers of a shape."""
    cut = [scope.integers([n], f"{at}/stack{s}") for n, s in ((begin, ""), (end, "_1"), (1, "_2"))]
    masks = {"begin_mask": int(begin == 0), "end_mask": int(end == shape_of(whole)[0])}
    masks |= {"ellipsis_mask": 0, "new_axis_mask": 0, "shrink_axis_mask": 0}
    return scope.op("STRIDED_SLICE", [whole, *cut], (end - begin,), at, masks, "INT32")


@layer("Resizing")
def resizing(scope: Scope, x: Value) -> Value:
    """Resizing."""
    config = scope.config
    channels_last(config)
    if config.flag("crop_to_aspect_ratio") or config.flag("pad_to_aspect_ratio"):
        raise NotSupported("it keeps the aspect ratio")
    size = [config.whole("height", least=1), config.whole("width", least=1)]
    return resize(scope, x, size, config.word("interpolation", default="bilinear"))


# -- several inputs


def concatenate(scope: Scope, values: list[Value], axis: int, at: str = "concat") -> Value:
    """CONCATENATION; of one tensor, that tensor."""
    if len(values) == 1:
        return values[0]
    shapes = [shape_of(v) for v in values]
    rank = len(shapes[0])
    place = axis_of(axis, rank)
    if any(len(s) != rank for s in shapes):
        raise NotSupported("its inputs have different ranks")
    joined = [s[place] for s in shapes]
    out: list[int | None] = []
    for d in range(rank):
        known = [s[d] for s in shapes if s[d] is not None]
        out.append((None if None in joined else sum(n or 0 for n in joined)) if d == place else next(iter(known), None))
    dtype = values[0].dtype
    return scope.op("CONCATENATION", values, tuple(out), at, {"axis": place, **_NONE}, dtype)


def merge(scope: Scope, values: list[Value], type_: str, at: str, attributes: dict[str, Any] | None = None) -> Value:
    """The same operator between the first two tensors, then between the result and each further one."""
    if len(values) < 2:
        raise NotSupported("it has one input")
    y = values[0]
    for other in values[1:]:
        y = scope.op(type_, [y, other], aligned(y, other), at, attributes)
    return y


def aligned(x: Value, other: Value) -> Shape | None:
    """The shape of an elementwise result; the layers of Keras refuse ranks that differ without a batch of their own."""
    return broadcast(x.shape, other.shape)
