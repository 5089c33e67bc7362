"""Which pixels an output of a convolution reads, along one axis, whatever file the convolution is in."""

from __future__ import annotations

from msgspec import Struct

from xnnlint.xnnpack.windows import same_padding_total


def same_padding(size: int, kernel: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """What TensorFlow's SAME adds in front and behind."""
    total = max(same_padding_total(size, kernel, stride, dilation), 0)
    return total // 2, total - total // 2


class Window(Struct, frozen=True):
    """Along one axis: output i reads the inputs stride * i + tap, for every tap.

    Attributes:
        size, outputs: of the map read and written.
        stride: pixels from one output to the next.
        taps: offsets, in the order of the kernel.
    """

    size: int
    outputs: int
    stride: int
    taps: tuple[int, ...]

    @classmethod
    def of(cls, size: int, kernel: int, stride: int, dilation: int, padding: tuple[int, int]) -> Window:
        reach = (kernel - 1) * dilation + 1
        outputs = (size + sum(padding) - reach) // stride + 1
        return cls(size, outputs, stride, tuple(k * dilation - padding[0] for k in range(kernel)))

    def fits(self, padding: int) -> bool:
        """Whether a kernel with this padding on both sides has all these taps, and writes as many outputs."""
        kernel = 2 * padding + 1
        return (
            all(-padding <= tap <= padding for tap in self.taps)
            and (self.size + 2 * padding - kernel) // self.stride + 1 == self.outputs
        )


def square_strides(sizes: tuple[int, ...], window: tuple[int, int], strides: tuple[int, int]) -> tuple[int, int]:
    """Strides that do the same, and are alike where that can be: along an axis of a single pixel, and with a window of
    one there, nothing is stepped over."""
    height, width = (
        max(strides) if size == reach == 1 else stride
        for size, reach, stride in zip(sizes, window, strides, strict=True)
    )
    return height, width
