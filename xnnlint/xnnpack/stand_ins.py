"""Small numeric stand-ins for operators: what a wrong shape makes of right data.

A pooled value whose shape the runtime reports wrongly still holds the right numbers. Whether the next operator keeps
them right depends on what it does along which axis, so it is computed: each function takes arrays in the shapes that
the runtime uses and gives the output array with the runtime's shape. Operators are replaced by simpler ones that mix
the same elements.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import zip_longest

import numpy as np

from xnnlint.xnnpack.fault import Fault, RuntimeRefuses, Wrong
from xnnlint.xnnpack.ir import Node, NodeType

Arrays = list[np.ndarray]


def _binary(node: Node, arrays: Arrays) -> np.ndarray:
    first, second = arrays
    try:
        return np.asarray(first + 31.7 * second)
    except ValueError:
        raise RuntimeRefuses(Fault(Wrong.SHAPES_NOT_BROADCAST, actual=(first.shape, second.shape))) from None


def _softmax(node: Node, arrays: Arrays) -> np.ndarray:
    powers = np.exp(arrays[0] - arrays[0].max())
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def _concatenate(node: Node, arrays: Arrays) -> np.ndarray:
    # The runtime copies each input as blocks of everything behind the axis, and takes the first shape for the rest.
    axis = node.params["axis"]
    outer = int(np.prod(arrays[0].shape[:axis], dtype=int))
    try:
        flat = np.concatenate([a.reshape(outer, -1) for a in arrays], axis=1)
    except ValueError:
        raise RuntimeRefuses(Fault(Wrong.OUTER_SIZES_DIFFER)) from None
    shape = list(arrays[0].shape)
    shape[axis] = sum(a.shape[axis] for a in arrays)
    count = int(np.prod(shape))
    return np.resize(flat.reshape(-1), count).reshape(shape) if flat.size != count else flat.reshape(shape)


def _pad(node: Node, arrays: Arrays) -> np.ndarray:
    return np.pad(arrays[0], list(zip(node.params["pre"], node.params["post"], strict=True)))


def _slice(node: Node, arrays: Arrays) -> np.ndarray:
    spans = zip(node.params["begins"], node.params["ends"], arrays[0].shape, strict=True)
    return arrays[0][tuple(slice(b, e if e > 0 else d + e) for b, e, d in spans)]


def _transpose(node: Node, arrays: Arrays) -> np.ndarray:
    return arrays[0].transpose(node.params["perm"])


def _depth_to_space(node: Node, arrays: Arrays) -> np.ndarray:
    block = node.params["block_size"]
    n, h, w, c = arrays[0].shape
    depth = c // (block * block)
    cut = arrays[0][..., : depth * block * block].reshape(n, h, w, block, block, depth)
    return cut.transpose(0, 1, 3, 2, 4, 5).reshape(n, h * block, w * block, depth)


def _space_to_depth(node: Node, arrays: Arrays) -> np.ndarray:
    block = node.params["block_size"]
    n, h, w, c = arrays[0].shape
    if h % block or w % block:
        raise RuntimeRefuses(Fault(Wrong.BLOCKS_DO_NOT_FIT, block, (h, w)))
    return (
        arrays[0]
        .reshape(n, h // block, block, w // block, block, c)
        .transpose(0, 1, 3, 2, 4, 5)
        .reshape(n, h // block, w // block, c * block * block)
    )


def _reduce(node: Node, arrays: Arrays) -> np.ndarray:
    return np.asarray(arrays[0].sum(axis=tuple(node.params["axes"]), keepdims=node.params["keep_dims"]))


def _resize(node: Node, arrays: Arrays) -> np.ndarray:
    rows, columns = (
        np.arange(new) * old // new
        for new, old in zip((node.params["new_height"], node.params["new_width"]), arrays[0].shape[1:3], strict=True)
    )
    return arrays[0][:, rows][:, :, columns]


PROBES: dict[str, Callable[[Node, Arrays], np.ndarray]] = {
    NodeType.BINARY: _binary,
    NodeType.SOFTMAX: _softmax,
    NodeType.CONCATENATE: _concatenate,
    NodeType.CONSTANT_PAD: _pad,
    NodeType.SLICE: _slice,
    NodeType.TRANSPOSE: _transpose,
    NodeType.DEPTH_TO_SPACE_2D: _depth_to_space,
    NodeType.SPACE_TO_DEPTH_2D: _space_to_depth,
    NodeType.RESIZE_BILINEAR: _resize,
    NodeType.MEAN: _reduce,
    NodeType.MEAN_SQUARED: _reduce,
    NodeType.SUM: _reduce,
    NodeType.SUM_SQUARED: _reduce,
    NodeType.REDUCE_MAX: _reduce,
    NodeType.REDUCE_MIN: _reduce,
}


MOST_ELEMENTS = 1 << 20
"""Larger arrays are not made. A pooled value, whose shape may be wrong, is far smaller even beside the map it meets."""


def _is_large(node: Node, shapes: list[tuple[int, ...]]) -> bool:
    """Whether an operator's inputs, or its output, have more elements than a stand-in may have."""
    sizes = [math.prod(shape) for shape in shapes]
    first = shapes[0] if shapes else ()
    if node.type == NodeType.BINARY and len(shapes) == 2:
        pairs = zip_longest(reversed(shapes[0]), reversed(shapes[1]), fillvalue=1)
        sizes.append(math.prod(max(pair) for pair in pairs))
    elif node.type == NodeType.CONSTANT_PAD:
        pads = zip(first, node.params["pre"], node.params["post"], strict=False)
        sizes.append(math.prod(d + before + after for d, before, after in pads))
    elif node.type == NodeType.RESIZE_BILINEAR:
        sizes += [math.prod((*first[:1], *first[3:], node.params["new_height"], node.params["new_width"]))]
    return max(sizes, default=0) > MOST_ELEMENTS


def probe(node: Node, right: list[tuple[int, ...]], used: list[tuple[int, ...]]) -> tuple[tuple[int, ...], bool] | None:
    """What an operator makes of inputs that hold the right numbers in wrong shapes.

    Args:
        right: the shapes that the inputs should have.
        used: the shapes that the runtime uses, with as many elements.

    Returns:
        The shape of the output and whether its elements are right, in memory order; None where no stand-in exists.

    Raises:
        RuntimeRefuses: the runtime returns an error.
    """
    function = PROBES.get(node.type)
    if function is None or _is_large(node, right) or _is_large(node, used):
        return None
    numbers = np.random.default_rng(1)
    arrays = [numbers.uniform(1, 2, shape) for shape in right]
    reshaped = []
    for array, shape in zip(arrays, used, strict=True):
        count = int(np.prod(shape, dtype=int))
        # Fewer elements than there are: the rest is not looked at. More: what lies behind is not known.
        flat = np.concatenate([array.reshape(-1), np.full(max(count - array.size, 0), np.nan)])
        reshaped.append(flat[:count].reshape(shape))
    got, wanted = function(node, reshaped), function(node, arrays).reshape(-1)
    # More elements than there should be do no harm where the next operator takes only as many as it needs.
    return got.shape, bool(np.array_equal(got.reshape(-1)[: wanted.size], wanted))
