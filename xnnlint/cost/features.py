"""From a node of a planned XNNPACK subgraph to its work.

Each function below stands for one operator of XNNPACK and says in which counts its time grows. What the loops are is
read from google/XNNPACK (src/operators/*.c, src/configs/*.c at 75db3c0); the rates are measured (see calibrate.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from xnnlint.xnnpack.ir import Node, NodeType, Subgraph, Value

from .spmm import TILE, SpmmWeights, passes
from .work import CALL, Tiles, Work, up

NEAR_BYTES = 512 * 1024
"""What lies further apart than this is fetched from behind the second-level cache."""
_DEPTHWISE_TILES = (3, 4, 9, 25)
_NOT_WORDS = str.maketrans("", "", "()")


@dataclass(frozen=True, slots=True)
class Context:
    """Where a node stands: its subgraph after the layout pass, the kernel's name, the CPU's tiles and its weights.

    Attributes:
        kernel: the operator's name as the profiler prints it.
        weights: says how the node's filter is packed for SpMM.
    """

    node: Node
    subgraph: Subgraph
    kernel: str
    tiles: Tiles
    weights: Callable[[Node, Subgraph], SpmmWeights]

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
        return shape  # type: ignore[return-value]
    return 1, 1, math.prod(shape[:-1]), shape[-1] if shape else 1


def _far(*values: Value) -> float:
    """Elements of values that are too large to stay in the nearer caches."""
    elements = sum(value.elements for value in values)
    return elements if elements * 4 > NEAR_BYTES else 0


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
    pixels = height * width
    packed = context.weights(context.node, context.subgraph)
    rest = pixels % TILE
    half, small = rest // 16, (rest % 16).bit_count()
    walked = packed.blocks if packed.block > 1 else packed.nonzeros
    # Blocks have no vector kernel on x86: they take 8 pixels at once.
    wide, narrow = pixels // 8, (pixels % 8).bit_count()
    if packed.block > 1:
        counts = {"wide": walked * wide, "narrow": walked * narrow, "outputs": outputs * (wide + narrow)}
        return Work(f"spmm{packed.block}", {CALL: 1, **{name: batch * count for name, count in counts.items()}})
    # Channels of a map whose size is a multiple of 4 KiB lie in the same lines of the first-level cache.
    conflict = walked * (pixels // TILE) if pixels * 4 % 4096 == 0 else 0
    inputs = _image(context.input())[3]
    counts = {
        "wide": walked * (pixels // TILE),
        "half": walked * half,
        "small": walked * small,
        "outputs": outputs * passes(pixels),
        "pixels": outputs * pixels,
        "conflict": conflict,
        "far": walked * (pixels // TILE) if inputs * pixels * 4 > NEAR_BYTES else 0,
        "packed": walked,
    }
    return Work("spmm", {CALL: 1, **{name: batch * count for name, count in counts.items()}})


def _stem(context: Context) -> Work:
    batch, height, width, outputs = _image(context.output)
    rows, columns, channels = context.tiles.stem
    tiles = batch * up(height, rows) * up(width, columns) * up(outputs, channels)
    counts = {CALL: 1, "tiles": tiles, "rows": batch * up(height, rows), "far": _far(context.output)}
    return Work("stem", counts)


def _depthwise_nchw(context: Context) -> Work:
    batch, height, width, channels = _image(context.output)
    kernel, stride = context.node.params["kernel"][0], context.node.params["stride"][0]
    rows = batch * channels * up(height, context.tiles.depthwise.get((kernel, stride), 1))
    counts = {CALL: 1, "channels": batch * channels, "rows": rows, "tiles": rows * up(width, 4)}
    return Work(f"depthwise_nchw:{kernel}x{kernel}s{stride}", {**counts, "far": _far(context.input(), context.output)})


def _depthwise_nhwc(context: Context) -> Work:
    batch, height, width, channels = _image(context.output)
    pixels = batch * height * width
    vectors = pixels * up(channels, context.tiles.lanes)
    if context.kernel.endswith("VMulCAddC"):
        return Work("scale" + context.types, {CALL: 1, "pixels": pixels, "vectors": vectors})
    taps = math.prod(context.node.params["kernel"])
    tile = next((tile for tile in _DEPTHWISE_TILES if taps <= tile), taps)
    counts = {CALL: 1, "pixels": pixels, "vectors": vectors, "taps": pixels * taps}
    far = _far(context.input(), context.output)
    return Work(f"depthwise_nhwc:{tile}{context.types}", {**counts, "far": far})


def _matrix(context: Context, family: str, rows: int, depth: int, columns: int, taps: int, groups: int = 1) -> Work:
    """A matrix product in tiles: `rows` by `depth` times `depth` by `columns`, for each group."""
    tile_rows, tile_columns = context.tiles.gemm
    tiles = groups * up(rows, tile_rows) * up(columns, tile_columns)
    counts = {
        CALL: 1,
        "steps": tiles * depth,
        "tiles": tiles,
        "taps": tiles * taps if taps > 1 else 0,
        "input": groups * rows * depth,
        "output": groups * rows * columns,
        "weights": groups * depth * columns,
    }
    return Work(family + context.types, counts)


def _gemm(context: Context) -> Work:
    filters = context.input(1)
    source = context.input()
    if context.node.type == NodeType.FULLY_CONNECTED:
        depth, columns = filters.shape[-1], filters.shape[0]
        rows = source.elements // max(1, depth)
    else:
        depth, columns = source.shape[-1], context.output.shape[-1]
        rows = context.output.elements // max(1, columns)
    family = "gemm" if rows > 1 else "gemv"
    return _matrix(context, family, rows, depth, columns, 1)


def _igemm(context: Context) -> Work:
    batch, height, width, outputs = _image(context.output)
    groups = context.node.params.get("groups", 1)
    taps = math.prod(context.node.params["kernel"])
    if context.node.type == NodeType.DEPTHWISE_CONVOLUTION_2D:
        groups = _image(context.input())[3]
    depth = taps * max(1, _image(context.input())[3] // groups)
    return _matrix(context, "igemm", batch * height * width, depth, max(1, outputs // groups), taps, groups)


def _deconvolution(context: Context) -> Work:
    """Subconv2D runs one small kernel for each place inside a stride; IGEMM runs the whole kernel for each pixel."""
    batch, height, width, outputs = _image(context.output)
    inputs = _image(context.input())[3]
    (kernel_h, kernel_w), (stride_h, stride_w) = context.node.params["kernel"], context.node.params["stride"]
    if context.kernel.endswith("Subconv2D"):
        taps = up(kernel_h, stride_h) * up(kernel_w, stride_w)
        lines = batch * height * stride_w
        rows = lines * up(up(width, stride_w), context.tiles.gemm[0]) * context.tiles.gemm[0]
        return _matrix(context, "subconv", rows, taps * inputs, outputs, taps)
    taps = kernel_h * kernel_w
    return _matrix(context, "igemm", batch * height * width, taps * inputs, outputs, taps)


def _batch_matmul(context: Context) -> Work:
    *batch, rows, columns = context.output.shape
    depth = context.input().elements // max(1, math.prod(batch) * rows)
    return _matrix(context, "batch_matmul", rows, depth, columns, 1, math.prod(batch))


# -- everything else


def _elements(context: Context, family: str) -> Work:
    elements = max(context.output.elements, context.input().elements)
    return Work(family + context.types, {CALL: 1, "elements": elements, "far": _far(context.input(), context.output)})


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
        dims = (1,) * (len(shape) - len(dims)) + tuple(dims)
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
    values = [context.subgraph.values[v] for v in context.node.inputs[:2]]
    return Work(f"binary:{context.node.operator}{context.types}", {**counts, "far": _far(*values, output)})


def _pad(context: Context) -> Work:
    """Dimensions that are not padded are taken together with the one before them; each innermost row is one copy."""
    shape = context.output.shape
    pre, post = context.node.params["pre"], context.node.params["post"]
    inner = 1
    for size, before, after in zip(reversed(shape), reversed(pre), reversed(post), strict=True):
        inner *= size
        if before or after:
            break
    elements = context.output.elements
    counts = {CALL: 1, "elements": elements, "runs": elements // max(1, inner), "far": _far(context.output)}
    return Work("pad" + context.types, counts)


def _reduce(context: Context) -> Work:
    source = context.input()
    axes = context.node.params.get("axes", ())
    last = 2 if source.nchw else source.rank - 1
    along = "lines" if last in axes else "columns"
    elements, results = source.elements, context.output.elements
    counts = {CALL: 1, "elements": elements, "results": results, "far": _far(source)}
    kind = "" if context.node.type in (NodeType.MEAN, NodeType.SUM) else f":{context.node.type}"
    return Work(f"reduce_{along}{kind}{context.types}", counts)


def _runs(context: Context, family: str, run: int) -> Work:
    elements = context.output.elements
    if len(context.node.outputs) > 1:
        elements = sum(context.subgraph.values[v].elements for v in context.node.outputs)
    counts = {CALL: 1, "elements": elements, "runs": elements // max(1, run)}
    return Work(family + context.types, {**counts, "far": _far(context.input(), context.output)})


def _joined(context: Context) -> Work:
    """CONCATENATION and SPLIT: one copy for each part, in rows as long as what lies behind the axis."""
    output = context.output if context.node.type == NodeType.CONCATENATE else context.input()
    axis = context.node.params.get("axis", output.rank - 1)
    parts = max(len(context.node.inputs), len(context.node.outputs))
    run = math.prod(output.shape[axis:]) / max(1, parts)
    return _runs(context, "copy", max(1, int(run)))


def _sliced(context: Context) -> Work:
    return _runs(context, "slice", context.output.shape[-1] if context.output.rank else 1)


def _transposed(context: Context) -> Work:
    order = context.node.params.get("perm") or context.node.params.get("order") or ()
    run = context.output.shape[-1] if order and order[-1] == len(order) - 1 else 1
    return _runs(context, "transpose", run)


def _depth_to_space(context: Context) -> Work:
    block = context.node.params.get("block_size", 2)
    channels = context.output.shape[-1]
    if context.input().nchw:
        return _runs(context, "depth_to_space_nchw", channels)
    return _runs(context, "depth_to_space", block * channels)


def _space_to_depth(context: Context) -> Work:
    return _runs(context, "space_to_depth", context.node.params.get("block_size", 2) * context.input().shape[-1])


def _softmax(context: Context) -> Work:
    return _runs(context, "softmax", context.output.shape[-1] if context.output.rank else 1)


def _pool(context: Context) -> Work:
    batch, height, width, channels = _image(context.output)
    taps = math.prod(context.node.params["kernel"]) if "kernel" in context.node.params else 1
    pixels = batch * height * width
    vectors = pixels * up(channels, context.tiles.lanes)
    family = {NodeType.MAX_POOLING_2D: "max_pool", NodeType.AVERAGE_POOLING_2D: "average_pool"}.get(
        context.node.type, context.node.type
    )
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
