"""From a node of a planned XNNPACK subgraph to its work.

Each function below stands for one operator of XNNPACK and says in which counts its time grows. What the loops are is
read from google/XNNPACK (src/operators/*.c, src/configs/*.c at 75db3c0); the rates are measured (xnnlint/calibration).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from msgspec import Struct, field

from xnnlint.cost.spmm import TILE, SpmmWeights, passes
from xnnlint.cost.work import CALL, Tiles, Work, up
from xnnlint.xnnpack.ir import Node, NodeType, Subgraph, Value

_SECOND_LEVEL = (128 * 1024, 512 * 1024)
_LAST_LEVEL = (2 * 1024 * 1024, 12 * 1024 * 1024)
"""Bytes below which a cache holds all of what an operator reads and writes, and above which it holds nothing of it when
the operator comes to it."""
_LINE, _WAYS, _FIRST_SETS, _SECOND_SETS = 64, 8, 64, 1024
"""Bytes of a cache line, and the ways and sets of the first two levels: 32 and 512 KiB, as most cores have them."""
_DEPTHWISE_TILES = (3, 4, 9, 25)
_NOT_WORDS = str.maketrans("", "", "()")


class Context(Struct, frozen=True):
    """Where a node stands: its subgraph after the layout pass, the kernel's name, the CPU's tiles and its weights.

    Attributes:
        kernel: the operator's name as the profiler prints it.
        weights: says how the node's filter is packed for SpMM.
        ages: by value, the bytes that were touched since it was written, or of weights, since they were last read; what
            is old is in no near cache any more.
    """

    node: Node
    subgraph: Subgraph
    kernel: str
    tiles: Tiles
    weights: Callable[[Node, Subgraph], SpmmWeights]
    ages: Mapping[int, float] = field(default_factory=dict)

    def input(self, slot: int = 0) -> Value:
        return self.subgraph.values[self.node.inputs[slot]]

    @property
    def output(self) -> Value:
        return self.subgraph.values[self.node.outputs[0]]

    @property
    def types(self) -> str:
        """The types in the kernel's name where they are not F32 or 32 bits, as a suffix: ":QS8"."""
        inside = self.kernel.partition("(")[2].partition(")")[0].split(", ")[1:]
        types = "-".join(part for part in inside if part not in ("F32", "X32"))
        return f":{types}" if types else ""


def work_of(context: Context) -> Work:
    """An operator's work; of one that no rate is known for, its family is its name."""
    node = context.node
    function = _BY_TYPE.get(node.type)
    if function is None:
        return _elements(context, context.kernel.partition(" (")[0].lower().replace(" ", "_"))
    return function(context)


def _image(value: Value) -> tuple[int, int, int, int]:
    """Batch, height, width and channels of a map; of others the last dimension as channels, the rest as width."""
    shape = value.shape
    if len(shape) == 4:
        return shape
    return 1, 1, math.prod(shape[:-1]), _channels(value)


def _channels(value: Value) -> int:
    """The size of the last dimension; 1 of a scalar, which damaged files take any value to be."""
    return value.shape[-1] if value.shape else 1


def _fetched(context: Context) -> dict[str, float]:
    """How many of the elements that an operator reads lie behind the second-level cache, and how many in memory; and
    the same of those it writes."""
    node, values = context.node, context.subgraph.values
    read = [values[v] for v in dict.fromkeys(node.inputs) if not values[v].is_static]
    counts = {"far": 0.0, "memory": 0.0}
    for value in read:
        distance = context.ages.get(value.id, 0.0) + 4 * value.elements
        for name, share in _shares(distance).items():
            counts[name] += value.elements * share
    written = sum(values[v].elements for v in node.outputs)
    distances = _shares(4 * written)
    return {**counts, "written_far": written * distances["far"], "written_memory": written * distances["memory"]}


def _fetched_weights(context: Context, weights: float) -> dict[str, float]:
    """How much of a filter is not in the second-level cache, and how much in none."""
    shares = _shares(context.ages.get(context.node.inputs[1], 0.0))
    return {f"weights_{name}": weights * share for name, share in shares.items()}


def _shares(distance: float) -> dict[str, float]:
    """The share of what was touched so many bytes ago that is not in the second-level cache, and in no cache."""
    limits = {"far": _SECOND_LEVEL, "memory": _LAST_LEVEL}
    return {name: min(1.0, max(0.0, (distance - near) / (far - near))) for name, (near, far) in limits.items()}


# -- convolutions


def _convolution(context: Context) -> Work:
    source, target = context.input(), context.output
    if target.nchw:
        if context.node.type == NodeType.DEPTHWISE_CONVOLUTION_2D:
            return _depthwise_nchw(context)
        return _spmm(context) if source.nchw else _stem(context)
    if context.kernel.endswith(("DWConv", "VMulCAddC")):
        return _depthwise_nhwc(context)
    if context.kernel.endswith("IGEMM"):
        return _igemm(context)
    return _gemm(context)


def _spmm(context: Context) -> Work:
    """Tiles of 32 pixels walk all non-zeros, then one of 16 and so on; see spmm.py."""
    batch, height, width, outputs = _image(context.output)
    pixels, packed = height * width, context.weights(context.node, context.subgraph)
    walked = packed.blocks
    inputs = max(1, _image(context.input())[3])
    # Non-zeros are scattered: so many of the channels are read at all.
    used = inputs * (1 - math.exp(-walked / inputs))
    # Addresses that differ by a multiple of 4 KiB look alike to a core that orders its loads and stores.
    aligned = 4 * pixels % 4096 == 0
    fetched = _fetched(context)
    fetched |= {name: fetched[name] * used / inputs for name in ("far", "memory")}
    counts = {"input": used * pixels, "output": outputs * pixels, **_fetched_weights(context, walked)}
    if packed.block > 1:
        tile = context.tiles.block_pixels
        wide, narrow = pixels // tile, (pixels % tile).bit_count()
        outer = outputs * (wide + narrow)
        counts |= {"wide": walked * wide, "narrow": walked * narrow, "outputs": outer}
        counts |= {"aligned": walked * wide * aligned, "aligned_outputs": outer * aligned}
    else:
        wide, rest = divmod(pixels, TILE)
        again = (walked - used) * wide
        counts |= {"wide": walked * wide, "half": walked * (rest // 16), "small": walked * (rest % 16).bit_count()}
        counts |= {"outputs": outputs * passes(pixels), "aligned_outputs": outputs * wide * aligned}
        counts |= {"crowded": again * _crowded(used, pixels, _FIRST_SETS)}
        counts |= {"crowded_far": again * _crowded(used, pixels, _SECOND_SETS)}
        # Eight bytes for each non-zero, and each pass reads all of them.
        counts |= {"streamed": walked * passes(pixels) * _shares(8 * walked)["far"]}
    family = f"spmm{packed.block}" if packed.block > 1 else "spmm"
    return Work(family, {CALL: 1, **{name: batch * count for name, count in counts.items()}, **fetched})


def _crowded(channels: float, pixels: int, sets: int) -> bool:
    """Whether a tile of all channels does not fit into a cache of eight ways at once: a tile is 128 bytes of each
    channel, and channels whose distance is a multiple of a power of two lie in few sets of lines."""
    places = sets * _LINE // max(4 * TILE, math.gcd(4 * pixels, sets * _LINE))
    return channels > _WAYS * places


def _stem(context: Context) -> Work:
    batch, height, width, outputs = _image(context.output)
    rows, columns, channels = context.tiles.stem
    tiles = batch * up(height, rows) * up(width, columns) * up(outputs, channels)
    counts = {CALL: 1, "tiles": tiles, "rows": batch * up(height, rows), **_fetched(context)}
    return Work("stem", counts)


def _depthwise_nchw(context: Context) -> Work:
    batch, height, width, channels = _image(context.output)
    kernel, stride = context.node.params["kernel"][0], context.node.params["stride"][0]
    rows = batch * channels * up(height, context.tiles.depthwise.get((kernel, stride), 1))
    counts = {CALL: 1, "channels": batch * channels, "rows": rows, "tiles": rows * up(width, 4)}
    return Work(f"depthwise_nchw:{kernel}x{kernel}s{stride}", {**counts, **_fetched(context)})


def _depthwise_nhwc(context: Context) -> Work:
    batch, height, width, channels = _image(context.output)
    pixels = batch * height * width
    vectors = pixels * up(channels, context.tiles.lanes)
    if context.kernel.endswith("VMulCAddC"):
        return Work("scale" + context.types, {CALL: 1, "pixels": pixels, "vectors": vectors})
    taps = math.prod(context.node.params["kernel"])
    tile = next((tile for tile in _DEPTHWISE_TILES if taps <= tile), taps)
    counts = {CALL: 1, "pixels": pixels, "vectors": vectors, "taps": pixels * taps}
    return Work(f"depthwise_nhwc:{tile}{context.types}", {**counts, **_fetched(context)})


def _matrix(
    context: Context, family: str, shape: tuple[int, int, int], taps: int = 1, groups: int = 1, *, narrow: bool = False
) -> Work:
    """A matrix product in tiles, for each group.

    Args:
        shape: rows, depth and columns: rows by depth times depth by columns.
        taps: of a convolution; the depth is `taps` times the channels.
        narrow: whether the kernel for few columns runs, which goes several steps of depth at once.
    """
    rows, depth, columns = shape
    tile_rows, tile_columns = context.tiles.gemm
    steps = depth
    if narrow:
        tile_rows, tile_columns, at_once = context.tiles.narrow
        steps = taps * up(depth // taps, at_once)
        family += "_narrow"
    elif rows == 1:
        tile_rows, family = 1, "gemv"
    tiles = groups * up(rows, tile_rows) * up(columns, tile_columns)
    weights = groups * depth * columns
    counts = {
        CALL: 1,
        "steps": tiles * steps,
        "tiles": tiles,
        "taps": tiles * taps if taps > 1 else 0,
        "input": groups * rows * depth,
        "output": groups * rows * columns,
        "weights": weights,
        **_fetched_weights(context, weights),
    }
    return Work(family + context.types, {**counts, **_fetched(context)})


def _uses_narrow(tiles: Tiles, columns: int) -> bool:
    """`xnn_use_nr2` in src/microkernel-utils.c."""
    waste, narrow_waste = -columns % tiles.gemm[1], -columns % tiles.narrow[1]
    return columns < tiles.gemm[1] or (narrow_waste < waste and waste * 100 > columns)


def _gemm(context: Context) -> Work:
    source, filters = context.input(), context.input(1)
    if context.node.type == NodeType.FULLY_CONNECTED:
        depth, columns = filters.shape[-1], filters.shape[0]
        rows = source.elements // max(1, depth)
        narrow = not context.types and _uses_narrow(context.tiles, columns)
    else:
        depth, columns = _channels(source), _channels(context.output)
        rows = context.output.elements // max(1, columns)
        narrow = not context.types and columns < context.tiles.gemm[1]
    return _matrix(context, "gemm", (rows, depth, columns), narrow=narrow)


def _igemm(context: Context) -> Work:
    batch, height, width, outputs = _image(context.output)
    groups = context.node.params.get("groups", 1)
    taps = math.prod(context.node.params["kernel"])
    if context.node.type == NodeType.DEPTHWISE_CONVOLUTION_2D:
        groups = _image(context.input())[3]
    depth, columns = taps * max(1, _image(context.input())[3] // groups), max(1, outputs // groups)
    narrow = not context.types and columns < context.tiles.gemm[1]
    return _matrix(context, "igemm", (batch * height * width, depth, columns), taps, groups, narrow=narrow)


def _deconvolution(context: Context) -> Work:
    batch, height, width, outputs = _image(context.output)
    inputs = _image(context.input())[3]
    narrow = not context.types and outputs < context.tiles.gemm[1]
    (kernel_h, kernel_w), (stride_h, stride_w) = context.node.params["kernel"], context.node.params["stride"]
    if context.kernel.endswith("Subconv2D"):
        # One small kernel for each place inside a stride, together as large as the whole; rows are tiled one by one.
        rows = batch * up(height, stride_h) * up(up(width, stride_w), context.tiles.gemm[0]) * context.tiles.gemm[0]
        places = stride_h * stride_w
        depth = max(1, kernel_h * kernel_w * inputs // places)
        return _matrix(context, "subconv", (rows * places, depth, outputs), narrow=narrow)
    taps = kernel_h * kernel_w
    return _matrix(context, "igemm", (batch * height * width, taps * inputs, outputs), taps, narrow=narrow)


def _batch_matmul(context: Context) -> Work:
    *batch, rows, columns = context.output.shape
    depth = context.input().elements // max(1, math.prod(batch) * rows)
    return _matrix(context, "batch_matmul", (rows, depth, columns), 1, math.prod(batch))


# -- everything else


def _elements(context: Context, family: str) -> Work:
    elements = max(context.output.elements, context.input().elements)
    return Work(family + context.types, {CALL: 1, "elements": elements, **_fetched(context)})


def _unary(context: Context) -> Work:
    return _elements(context, f"unary:{context.node.operator}")


def _moved(context: Context) -> Work:
    return _elements(context, "move")


def _memory_shape(value: Value) -> tuple[int, ...]:
    """Dimensions in the order of memory."""
    if value.nchw and value.rank == 4:
        return tuple(value.shape[i] for i in (0, 3, 1, 2))
    return value.shape


def _binary(context: Context) -> Work:
    """Dimensions that are broadcast alike are taken together; the innermost of these is one run of the kernel."""
    output = context.output
    shape = _memory_shape(output)
    kinds = []
    for slot in (0, 1):
        value = context.input(slot)
        dims = value.shape
        if output.nchw and len(dims) == 4:
            dims = tuple(dims[i] for i in (0, 3, 1, 2))
        # An output of unknown rank counts as one element, whatever its inputs are.
        dims = ((1,) * (len(shape) - len(dims)) + tuple(dims))[-len(shape) :] if shape else ()
        kinds.append(tuple(dim == 1 for dim in dims))
    inner, alike = 1, None
    for size, kind in zip(reversed(shape), reversed(list(zip(*kinds, strict=True))), strict=True):
        if size == 1:
            continue
        if alike is not None and kind != alike:
            break
        inner, alike = inner * size, kind
    elements = output.elements
    repeated = elements if alike is not None and any(alike) else 0
    counts = {CALL: 1, "elements": elements, "runs": elements // max(1, inner), "repeated": repeated}
    return Work(f"binary:{context.node.operator}{context.types}", {**counts, **_fetched(context)})


def _pad(context: Context) -> Work:
    """The last dimensions, as far as they are not padded, are one copy; of an image padded at its edges that is a
    pixel."""
    shape = context.output.shape
    pre, post = context.node.params["pre"], context.node.params["post"]
    inner = shape[-1] if shape else 1
    padded = [before + after > 0 for before, after in zip(pre, post, strict=True)]
    # A damaged file may claim more or fewer dimensions of the output than are padded.
    for place in range(-2, -min(len(shape), len(padded)) - 1, -1):
        if padded[place] or padded[place + 1]:
            break
        inner *= shape[place]
    elements = context.output.elements
    counts = {CALL: 1, "elements": elements, "runs": elements // max(1, inner), **_fetched(context)}
    return Work("pad" + context.types, counts)


def _reduce(context: Context) -> Work:
    source = context.input()
    axes = context.node.params.get("axes", ())
    last = 2 if source.nchw else source.rank - 1
    along = "lines" if last in axes else "columns"
    elements, results = source.elements, context.output.elements
    columns = _channels(source)
    rows = elements // max(1, columns)
    counts = {CALL: 1, "elements": elements, "results": results, **_fetched(context)}
    if along == "columns":
        counts["rows"] = rows
        counts["rest"] = rows if columns % 16 else 0
    kind = "" if context.node.type in (NodeType.MEAN, NodeType.SUM) else f":{context.node.type}"
    return Work(f"reduce_{along}{kind}{context.types}", counts)


def _runs(context: Context, family: str, run: int) -> Work:
    elements = context.output.elements
    if len(context.node.outputs) > 1:
        elements = sum(context.subgraph.values[v].elements for v in context.node.outputs)
    counts = {CALL: 1, "elements": elements, "runs": elements // max(1, run)}
    return Work(family + context.types, {**counts, **_fetched(context)})


def _joined(context: Context) -> Work:
    """CONCATENATION and SPLIT: one copy for each part, in rows as long as what lies behind the axis."""
    output = context.output if context.node.type == NodeType.CONCATENATE else context.input()
    axis = context.node.params.get("axis", output.rank - 1)
    parts = max(len(context.node.inputs), len(context.node.outputs))
    run = math.prod(output.shape[axis:]) / max(1, parts)
    work = _runs(context, "copy", max(1, int(run)))
    return Work(work.family, {**work.counts, "parts": parts})


def _sliced(context: Context) -> Work:
    return _runs(context, "slice", _channels(context.output))


def _transposed(context: Context) -> Work:
    order = context.node.params.get("perm") or context.node.params.get("order") or ()
    if order and order[-1] == len(order) - 1:
        return _runs(context, "transpose:rows", _channels(context.output))
    return _runs(context, "transpose", 1)


def _depth_to_space(context: Context) -> Work:
    block = context.node.params.get("block_size", 2)
    channels = _channels(context.output)
    if context.input().nchw:
        return _runs(context, "depth_to_space_nchw", channels)
    return _runs(context, "depth_to_space", block * channels)


def _space_to_depth(context: Context) -> Work:
    return _runs(context, "space_to_depth", context.node.params.get("block_size", 2) * _channels(context.input()))


def _softmax(context: Context) -> Work:
    return _runs(context, "softmax", _channels(context.output))


def _pool(context: Context) -> Work:
    batch, height, width, channels = _image(context.output)
    taps = math.prod(context.node.params["kernel"]) if "kernel" in context.node.params else 1
    pixels = batch * height * width
    vectors = pixels * up(channels, context.tiles.lanes)
    # "Pixelwise Average Pooling" is a kernel of its own, for windows that differ in size.
    family = context.kernel.rpartition(") ")[2].lower().replace(" ", "_") or "pooling"
    if context.node.type == NodeType.MAX_POOLING_2D:
        family = "max_pooling"
    counts = {CALL: 1, "taps": vectors * taps, "vectors": vectors, "pixels": pixels * taps}
    return Work(family + context.types, counts)


def _resize(context: Context) -> Work:
    batch, height, width, channels = _image(context.output)
    pixels, elements = batch * height * width, context.output.elements
    if context.input().nchw:
        return Work("resize_nchw", {CALL: 1, "elements": elements, "channels": batch * channels, "pixels": pixels})
    return Work("resize_nhwc" + context.types, {CALL: 1, "elements": elements, "pixels": pixels})


_BY_TYPE: dict[str, Callable[[Context], Work]] = {
    NodeType.CONVOLUTION_2D: _convolution,
    NodeType.DEPTHWISE_CONVOLUTION_2D: _convolution,
    NodeType.FULLY_CONNECTED: _convolution,
    NodeType.DECONVOLUTION_2D: _deconvolution,
    NodeType.BATCH_MATRIX_MULTIPLY: _batch_matmul,
    NodeType.UNARY: _unary,
    NodeType.BINARY: _binary,
    NodeType.CONSTANT_PAD: _pad,
    NodeType.MEAN: _reduce,
    NodeType.SUM: _reduce,
    NodeType.MEAN_SQUARED: _reduce,
    NodeType.SUM_SQUARED: _reduce,
    NodeType.REDUCE_MAX: _reduce,
    NodeType.REDUCE_MIN: _reduce,
    NodeType.CONCATENATE: _joined,
    NodeType.EVEN_SPLIT: _joined,
    NodeType.SLICE: _sliced,
    NodeType.TRANSPOSE: _transposed,
    NodeType.DEPTH_TO_SPACE_2D: _depth_to_space,
    NodeType.SPACE_TO_DEPTH_2D: _space_to_depth,
    NodeType.SOFTMAX: _softmax,
    NodeType.AVERAGE_POOLING_2D: _pool,
    NodeType.MAX_POOLING_2D: _pool,
    NodeType.ARGMAX_POOLING_2D: _pool,
    NodeType.RESIZE_BILINEAR: _resize,
    NodeType.RESHAPE: _moved,
    NodeType.COPY: _moved,
    NodeType.EXPAND_DIMS: _moved,
    NodeType.CONVERT: lambda context: _elements(context, "convert"),
}
