"""What an operator has to do, in counts that its time grows with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

CALL = "call"
"""The count of one: what an operator takes whatever its size."""
TFLITE = "tflite"
"""The family of operators that TFLite runs itself."""


@dataclass(frozen=True, slots=True)
class Work:
    """An operator's kernel family and its counts. `rough`: the counts say little about the time."""

    family: str
    counts: Mapping[str, float]
    rough: bool = False


@dataclass(frozen=True, slots=True)
class Tiles:
    """How much of a map XNNPACK's kernels take at once on a CPU; what is left over costs as much as a whole tile.

    Attributes:
        gemm: rows and columns of GEMM and IGEMM.
        stem: rows, columns and output channels of HWC2CHW.
        depthwise: by kernel size and stride, output rows of a depthwise convolution in NCHW; columns are always 4.
        channels: of a depthwise convolution in NHWC.
        lanes: floats of a vector.
    """

    gemm: tuple[int, int]
    stem: tuple[int, int, int]
    depthwise: Mapping[tuple[int, int], int] = field(hash=False)
    channels: int = 8
    lanes: int = 4


# Sources (google/XNNPACK 75db3c0): src/configs/gemm-config.c `init_f32_gemm_config_impl` (4x8__sse_load1;
# 6x8__asm_aarch64_neonfma_*), conv-hwc2chw-config.c (3x3s2p1c3x4__sse_2x2, __aarch64_neonfma_2x2),
# dwconv2d-chw-config.c (3x3p1__ssse3_2x4_acc2, 3x3s2p1__sse_1x4_acc3, 5x5p2__sse_4x4, 5x5s2p2__sse_2x4;
# 3x3p1__aarch64_neonfma_3x4, 3x3s2p1__aarch64_neonfma_2x4_acc2, 5x5p2__aarch64_neonfma_4x4,
# 5x5s2p2__aarch64_neonfma_1x4_acc2), dwconv-config.c (9p8c__sse, 9p8c__neonfma).
TILES = {
    "x86-sse": Tiles((4, 8), (2, 2, 4), {(3, 1): 2, (3, 2): 1, (5, 1): 4, (5, 2): 2}),
    "arm64": Tiles((6, 8), (2, 2, 4), {(3, 1): 3, (3, 2): 2, (5, 1): 4, (5, 2): 1}),
}


def up(number: float, step: int) -> int:
    """How many steps cover a number."""
    return -(-int(number) // step)
