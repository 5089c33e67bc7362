"""Copies of an image as the parts of its first convolution read it: shifted, and as large as their outputs need.

XNNPACK pads height and width of an image one pixel at a time, which for three channels takes longer than the
convolution itself. The same rows without a dimension for channels, [N, H, W * C], are padded and cut a row at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from msgspec import Struct

from xnnlint.fixes.change import CannotChange
from xnnlint.fixes.tflite.editor import Op
from xnnlint.fixes.tflite.graph_view import View
from xnnlint.fixes.windows import Window
from xnnlint.xnnpack.conditions.stem import CHANNELS, STRIDE


class ShiftedImage(Struct, frozen=True, dict=True):
    """The image that a convolution reads, and its height and width.

    Attributes:
        op: the convolution, in front of which copies are made.
        source: the image, [N, H, W, C].
    """

    view: View
    op: Op
    source: int
    windows: tuple[Window, Window]

    def copy(self, shifts: tuple[int, int], channels: range) -> int:
        """An image whose pixel (i, j) is (i + shifts[0], j + shifts[1]) of the source, of three of its channels.

        Raises:
            CannotChange: it lies outside of the source.
        """
        shape = self.view.graph.shape(self.source)
        begin, size, pads = [0], [shape[0]], [(0, 0)]
        for window, shift in zip(self.windows, shifts, strict=True):
            start, stop = max(shift, 0), min(window.size, shift + STRIDE[0] * window.outputs)
            if stop <= start:
                raise CannotChange("a part of its kernel lies outside of the image")
            begin.append(start)
            size.append(stop - start)
            pads.append((max(-shift, 0), max(shift + STRIDE[0] * window.outputs - window.size, 0)))
        begin.append(channels.start)
        size.append(len(channels))
        pads.append((0, CHANNELS - len(channels)))
        if tuple(size) == shape and not any(map(any, pads)):
            return self.source
        if len(channels) == shape[3] == CHANNELS and self.view.graph.signature(self.source)[0] > 0:
            return self._by_rows(begin, size, pads)
        return self._padded(self._cut(self.source, begin, size), pads)

    def _by_rows(self, begin: Sequence[int], size: Sequence[int], pads: Sequence[tuple[int, int]]) -> int:
        """The same with rows in the place of pixels and channels."""
        before, after = pads[2]
        cut = self._cut(self._rows, (*begin[:2], begin[2] * CHANNELS), (*size[:2], size[2] * CHANNELS))
        padded = self._padded(cut, (*pads[:2], (before * CHANNELS, after * CHANNELS)))
        batch, height, width = self.view.graph.shape(padded)
        return self._reshaped(padded, (batch, height, width // CHANNELS, CHANNELS), "_shifted")

    @cached_property
    def _rows(self) -> int:
        batch, height, width, channels = self.view.graph.shape(self.source)
        return self._reshaped(self.source, (batch, height, width * channels), "_rows")

    def _cut(self, source: int, begin: Sequence[int], size: Sequence[int]) -> int:
        graph = self.view.graph
        if tuple(size) == graph.shape(source):
            return source
        end = [start + length for start, length in zip(begin, size, strict=True)]
        values = {"begin": begin, "end": end, "strides": [1] * len(begin)}
        given = [self._constant(source, key, v) for key, v in values.items()]
        cut = graph.add_like(source, "_part", size)
        # The masks take the whole batch, whatever it is.
        self._insert("STRIDED_SLICE", [source, *given], cut, options="StridedSliceOptions", beginMask=1, endMask=1)
        return cut

    def _padded(self, source: int, pads: Sequence[tuple[int, int]]) -> int:
        graph = self.view.graph
        if not any(map(any, pads)):
            return source
        size = [n + before + after for n, (before, after) in zip(graph.shape(source), pads, strict=True)]
        grown = graph.add_like(source, "_grown", size)
        self._insert("PAD", [source, self._constant(source, "paddings", pads)], grown, options="PadOptions")
        return grown

    def _reshaped(self, source: int, shape: Sequence[int], suffix: str) -> int:
        import numpy as np

        reshaped = self.view.graph.add_like(source, suffix, shape)
        given = self._constant(source, "shape", shape)
        self._insert("RESHAPE", [source, given], reshaped, options="ReshapeOptions", newShape=np.array(shape, np.int32))
        return reshaped

    def _constant(self, source: int, name: str, values: Sequence[object]) -> int:
        import numpy as np

        graph = self.view.graph
        return graph.add_constant(f"{graph.name(source)}/{name}", np.array(values, np.int32))

    def _insert(self, type_: str, inputs: list[int], target: int, *, options: str, **fields: Any) -> None:
        self.view.graph.insert(type_, inputs, [target], near=self.op, options=options, **fields)
