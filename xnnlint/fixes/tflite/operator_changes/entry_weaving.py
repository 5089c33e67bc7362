"""A first convolution of stride 1 as an entry into a sparse cluster, which has stride 2.

An entry reads the rows 2i - 1, 2i and 2i + 1 of its input (google/XNNPACK src/subgraph.c
`xnn_check_nchw_compatibility`: 3x3, stride 2, padding 1, 3 channels). Let its input be twice as high and wide as the
image, with the image's row i in row 2i + 1, and row i + 1 in row 2i: then it reads the rows i - 1, i + 1 and i, which
are those of a 3x3 convolution of stride 1. Before the first row and behind the last there are zeros in both. Columns
alike. DEPTH_TO_SPACE weaves the input out of four shifted copies of the image.
"""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.fixes.change import CannotChange, Exactness
from xnnlint.fixes.tflite.editor import Op
from xnnlint.fixes.tflite.graph_parts import add_pad, is_float, is_map, is_same, plain_bias, weights
from xnnlint.fixes.tflite.graph_view import View
from xnnlint.fixes.tflite.object_api import number
from xnnlint.fixes.tflite.operator_changes.depthwise_taps import pad_in_front
from xnnlint.fixes.tflite.operator_fixer import OperatorFixer, Stage
from xnnlint.fixes.windows import Window, same_padding
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.conditions.stem import CHANNELS, KERNEL, PAD, STRIDE

BLOCK = 2
# Where the entry's kernel has what the image's neighbours at -1, 0 and 1 are multiplied by.
PLACE_OF_TAP = {-1: 0, 0: 2, 1: 1}
# Only the batch may be dynamic: STRIDED_SLICE takes all of it.
_WHOLE_BATCH = 0b0001


class EntryOfStrideOne(OperatorFixer):
    """The same sums, read from a woven image."""

    name = "entry-by-weaving"
    stage = Stage.ENTRY
    fulfils = frozenset({Condition.STEM})
    exactness = Exactness.ROUNDING
    summary = "a first 3x3 convolution of stride 1 -> an entry that reads four copies of the image, woven together"
    whole = True

    def sites(self, view: View) -> Iterable[Op]:
        for op in view.of_type("CONV_2D"):
            windows = _windows(view, op)
            if windows is not None and all(w.outputs == w.size and set(w.taps) <= {-1, 0, 1} for w in windows):
                yield op

    def apply(self, view: View, op: Op) -> str:
        import numpy as np

        graph, windows, values = view.graph, _windows(view, op), weights(view.graph, op.inputs[1])
        if windows is None or values is None:
            raise CannotChange("its kernel cannot be read")
        plain_bias(view, op)
        pad = pad_in_front(view, op)
        if pad is not None:
            op.inputs[0] = pad.inputs[0]
            graph.remove_if_unread(pad)
        kernel = np.zeros((values.shape[0], *KERNEL, CHANNELS), np.float32)
        for r, row in enumerate(windows[0].taps):
            for c, column in enumerate(windows[1].taps):
                kernel[:, PLACE_OF_TAP[row], PLACE_OF_TAP[column], : values.shape[3]] = values[:, r, c]
        op.inputs[0] = _woven(view, op)
        op.inputs[1] = graph.add_constant(f"{graph.name(op.inputs[1])}_entry", kernel)
        op.options.padding = number("Padding", "VALID")
        op.options.strideH, op.options.strideW = STRIDE
        op.options.dilationHFactor = op.options.dilationWFactor = 1
        add_pad(view, op, ((0, 0), (PAD, PAD), (PAD, PAD), (0, 0)))
        return "weave four copies of the image with DEPTH_TO_SPACE, and convolve with stride 2 (3x3, padding 1)"


def _windows(view: View, op: Op) -> tuple[Window, Window] | None:
    """Height and width of a convolution of stride 1 that reads an image; None for other ones."""
    graph = view.graph
    if len(op.inputs) != 3 or op.options is None or not is_float(graph, op.inputs[0], op.outputs[0]):
        return None
    source, kernel = op.inputs[0], graph.shape(op.inputs[1])
    pad = pad_in_front(view, op)
    if (op.options.strideH, op.options.strideW) != (1, 1) or len(kernel) != 4 or kernel[1:3] == (1, 1):
        return None
    if not is_map(graph, source) or kernel[3] != graph.shape(source)[3] or kernel[3] > CHANNELS:
        return None
    if any(d < 0 for d in graph.signature(source)[1:]):
        return None
    amounts = graph.constant(pad.inputs[1]) if pad is not None else None
    unpadded = graph.shape(source if pad is None else pad.inputs[0])
    found = []
    for axis, dilation in ((1, op.options.dilationHFactor), (2, op.options.dilationWFactor)):
        before, after = (0, 0) if amounts is None else (int(a) for a in amounts[axis])
        if is_same(op):
            more = same_padding(graph.shape(source)[axis], kernel[axis], 1, dilation)
            before, after = before + more[0], after + more[1]
        found.append(Window.of(unpadded[axis], kernel[axis], 1, dilation, (before, after)))
    return found[0], found[1]


def _woven(view: View, op: Op) -> int:
    """The image, three channels of it, twice as high and wide: see above."""
    graph, image = view.graph, op.inputs[0]
    batch, height, width, channels = graph.shape(image)
    grown = graph.add_like(image, "_grown", (batch, height + 1, width + 1, CHANNELS))
    _insert(view, op, "PAD", [image], grown, ((0, 0), (0, 1), (0, 1), (0, CHANNELS - channels)))
    copies = []
    for row in (1, 0):
        for column in (1, 0):
            copy = graph.add_like(image, f"_copy{row}{column}", (batch, height, width, CHANNELS))
            begin, end = (0, row, column, 0), (batch, row + height, column + width, CHANNELS)
            _insert(view, op, "STRIDED_SLICE", [grown], copy, begin, end, (1, 1, 1, 1))
            copies.append(copy)
    together = graph.add_like(image, "_copies", (batch, height, width, BLOCK**2 * CHANNELS))
    graph.insert("CONCATENATION", copies, [together], near=op, options="ConcatenationOptions", axis=3)
    woven = graph.add_like(image, "_woven", (batch, BLOCK * height, BLOCK * width, CHANNELS))
    graph.insert("DEPTH_TO_SPACE", [together], [woven], near=op, options="DepthToSpaceOptions", blockSize=BLOCK)
    return woven


def _insert(view: View, op: Op, type_: str, inputs: list[int], target: int, *vectors: object) -> None:
    """An operator in front of `op` that takes constant vectors."""
    import numpy as np

    graph = view.graph
    name = graph.name(target)
    constants = [graph.add_constant(f"{name}/{n}", np.array(v, np.int32)) for n, v in enumerate(vectors)]
    options = {"PAD": "PadOptions", "STRIDED_SLICE": "StridedSliceOptions"}[type_]
    made = graph.insert(type_, [*inputs, *constants], [target], near=op, options=options)
    if type_ == "STRIDED_SLICE":
        made.options.endMask = _WHOLE_BATCH


FIXERS: tuple[OperatorFixer, ...] = (EntryOfStrideOne(),)
