"""What kind of work an operator does, for sums over a model."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from xnnlint.xnnpack.plan import is_pointwise

if TYPE_CHECKING:
    from xnnlint.model.graph import Graph


class Family(str, Enum):
    """Kinds of operators; the values are those of JSON documents, `words` are for people."""

    SPMM = "spmm"
    POINTWISE = "pointwise"
    STEM = "stem"
    DEPTHWISE = "depthwise"
    CONVOLUTION = "convolution"
    FULLY_CONNECTED = "fully-connected"
    PADDING = "padding"
    LAYOUT = "layout"
    ELEMENTWISE = "elementwise"
    POOLING = "pooling"
    RESIZE = "resize"
    OTHER = "other"
    TFLITE = "tflite"

    @property
    def words(self) -> str:
        return _WORDS[self]


_WORDS = {
    Family.SPMM: "1x1 convolutions, SpMM",
    Family.POINTWISE: "1x1 convolutions, dense",
    Family.STEM: "stem",
    Family.DEPTHWISE: "depthwise convolutions",
    Family.CONVOLUTION: "other convolutions",
    Family.FULLY_CONNECTED: "fully connected",
    Family.PADDING: "padding",
    Family.LAYOUT: "layout and copies",
    Family.ELEMENTWISE: "elementwise",
    Family.POOLING: "pooling and means",
    Family.RESIZE: "resizing",
    Family.OTHER: "others",
    Family.TFLITE: "left to TFLite",
}
# By the start of the profiler's name; see xnnpack/kernels.py. Elementwise operators are told by what is left: "(NC" or
# "(ND" behind a name of their own.
_STARTS = (
    ("Fully Connected", Family.FULLY_CONNECTED),
    ("Dynamic Fully Connected", Family.FULLY_CONNECTED),
    ("Batch Matrix Multiply", Family.OTHER),
    ("Deconvolution", Family.CONVOLUTION),
    ("Constant Pad", Family.PADDING),
    ("Transpose", Family.LAYOUT),
    ("Depth To Space", Family.LAYOUT),
    ("Space To Depth", Family.LAYOUT),
    ("Copy", Family.LAYOUT),
    ("Slice", Family.LAYOUT),
    ("Static", Family.LAYOUT),
    ("Fuse Dims", Family.LAYOUT),
    ("Split Dims", Family.LAYOUT),
    ("Concatenate", Family.LAYOUT),
    ("Resize", Family.RESIZE),
    ("Mean", Family.POOLING),
    ("Sum", Family.POOLING),
    ("Normalize", Family.POOLING),
    ("Reduce", Family.POOLING),
    ("Global", Family.POOLING),
    ("Max Pooling", Family.POOLING),
    ("Average Pooling", Family.POOLING),
    ("ArgMax Pooling", Family.POOLING),
    ("Softmax", Family.OTHER),
)
_IMAGE_CHANNELS = 4


def family_of(kernel: str, graph: Graph, op: int | None) -> Family:
    """The family of an operator that XNNPACK ran.

    Args:
        kernel: as the profiler prints it.
        graph, op: the model, and the index of the TFLite operator that it comes from; None where that is not known.
    """
    if kernel.startswith("Convolution"):
        return _convolution(kernel, graph, op)
    # Dense 1x1 convolutions run as fully connected, too (src/subgraph/fully-connected.c).
    if op is not None and is_pointwise(graph, graph.operators[op]) and kernel.endswith("GEMM"):
        return Family.POINTWISE
    for start, family in _STARTS:
        if kernel.startswith(start):
            return family
    return Family.ELEMENTWISE if "(NC" in kernel or "(ND" in kernel else Family.OTHER


def _convolution(kernel: str, graph: Graph, op: int | None) -> Family:
    if kernel.endswith("SPMM"):
        return Family.SPMM
    if kernel.endswith("HWC2CHW"):
        return Family.STEM
    if kernel.endswith(("DWConv", "VMulCAddC")):
        return Family.DEPTHWISE
    operator = None if op is None else graph.operators[op]
    if operator is not None and is_pointwise(graph, operator):
        return Family.POINTWISE
    # Dense, too, the first convolution of an image is a stem: so that both variants have one.
    source = None if operator is None else graph.input_tensor(operator, 0)
    is_image = source is not None and source.rank == 4 and source.shape[3] <= _IMAGE_CHANNELS
    return Family.STEM if is_image else Family.CONVOLUTION
