"""What an operator has to do, in counts that its time grows with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from msgspec import Struct

CALL = "call"
"""The count of one: what an operator takes whatever its size."""
TFLITE = "tflite"
"""The family of all operators that TFLite runs itself; each of its types is one, too, as "tflite:GATHER"."""


class Work(NamedTuple):
    """An operator's kernel family and its counts. `rough`: the counts say little about the time."""

    family: str
    counts: Mapping[str, float]
    rough: bool = False


class Tiles(Struct, frozen=True):
    """How much of a map XNNPACK's kernels take at once on a CPU; what is left over costs as much as a whole tile.

    Attributes:
        gemm: rows and columns of GEMM and IGEMM.
        narrow: rows, columns and depth of those for few output channels.
        stem: rows, columns and output channels of HWC2CHW.
        depthwise: by kernel size and stride, output rows of a depthwise convolution in NCHW; columns are always 4.
        block_pixels: of SpMM on blocks of output channels.
        lanes: floats of a vector.
    """

    gemm: tuple[int, int]
    narrow: tuple[int, int, int]
    stem: tuple[int, int, int]
    depthwise: Mapping[tuple[int, int], int]
    block_pixels: int
    lanes: int = 4


# Sources (google/XNNPACK 75db3c0, src/configs): gemm-config.c `init_f32_gemm_config_impl` (4x8__sse_load1;
# 6x8__asm_aarch64_neonfma_*) and `init_f32_gemm_nr2_config` (4x2c4__sse; 4x2__asm_aarch64_neonfma_*),
# conv-hwc2chw-config.c (3x3s2p1c3x4__sse_2x2, __aarch64_neonfma_2x2), dwconv2d-chw-config.c (3x3p1__ssse3_2x4_acc2,
# 3x3s2p1__sse_1x4_acc3, 5x5p2__sse_4x4, 5x5s2p2__sse_2x4; 3x3p1__aarch64_neonfma_3x4,
# 3x3s2p1__aarch64_neonfma_2x4_acc2, 5x5p2__aarch64_neonfma_4x4, 5x5s2p2__aarch64_neonfma_1x4_acc2), spmm-config.c
# (32x1__sse, 8x2__scalar, 8x4__scalar; 32x1__neonfma_pipelined, 32x2__aarch64_neonfma, 32x4__aarch64_neonfma).
TILES = {
    "x86-sse": Tiles((4, 8), (4, 2, 4), (2, 2, 4), {(3, 1): 2, (3, 2): 1, (5, 1): 4, (5, 2): 2}, 8),
    "arm64": Tiles((6, 8), (4, 2, 1), (2, 2, 4), {(3, 1): 3, (3, 2): 2, (5, 1): 4, (5, 2): 1}, 32),
}


def up(number: float, step: int) -> int:
    """How many steps cover a number."""
    return -(-int(number) // step)
