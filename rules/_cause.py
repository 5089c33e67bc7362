"""What stops the sparse path at a place, as a value."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from xnnlint.linter.findings import Applicability
from xnnlint.xnnpack.conditions.reduce_input import SPATIAL

from ._text import dims

SQUEEZE_FIX = "let a 1x1 convolution read the pooled value first, as in a squeeze-and-excite block"
AXES_FIX = f"pool over axes {dims(SPATIAL)}: GlobalAveragePooling2D"


class CauseKind(Enum):
    """What kind of thing stops the sparse path."""

    OPERATOR = "operator"
    """An operator without an NCHW kernel."""
    CROSSING = "crossing"
    """A value that leaves or enters the cluster."""
    KEEP_DIMS = "keepdims"
    """A pooling with keepdims, of which the runtime reports a wrong shape."""
    AXES = "axes"
    """A pooling over other axes than height and width."""
    VECTOR = "vector"
    """A fully-connected operator on a pooled vector."""
    CONSTANT = "constant"
    """A layer on a constant map."""
    QUANTIZED = "quantized"
    """int8 weights that are stored sparse, for float32 values."""
    UNWRITTEN = "unwritten"
    """Weights that nobody unpacks."""
    ENCODING = "encoding"
    """Sparse-encoded weights whose reader does not know the encoding."""
    FP16 = "fp16"
    """float16 arithmetic."""
    BIAS = "bias"
    """Biases of another type than the weights."""
    DEAD_BRANCH = "dead-branch"
    """Operators that nobody reads."""
    UNDEFINED = "undefined"
    """What XNNPACK cannot define."""
    PADDING = "padding"
    """SAME padding below 0."""
    OUTPUT = "output"
    """An output to which LiteRT cannot bind a buffer."""
    TFLITE = "tflite"
    """An operator that TFLite refuses."""
    LOADING = "loading"
    """What keeps the runtime from loading the file."""
    UNKNOWN = "unknown"

    @property
    def is_of_sparse_path(self) -> bool:
        """Whether the model would be right if it ran dense."""
        return self not in _SPARSE_OR_DENSE


_SPARSE_OR_DENSE = (
    CauseKind.OUTPUT,
    CauseKind.PADDING,
    CauseKind.UNDEFINED,
    CauseKind.DEAD_BRANCH,
    CauseKind.TFLITE,
    CauseKind.LOADING,
)


class Cause(Struct, frozen=True):
    """What stops the sparse path at a place.

    Attributes:
        op: the operator at fault; None where it is an output or input of the model.
        text: what it does, to be put behind "since" or "because".
        required, actual: as in a finding.
        fix: what to change, in words.
    """

    op: int | None
    kind: CauseKind
    text: str
    required: str
    actual: str
    fix: str
    applicability: Applicability = Applicability.UNSAFE
