"""What goes wrong with a model in the runtime, as facts; `xnnlint.linter.fault_words` has the words for them."""

from __future__ import annotations

from enum import Enum
from typing import Any

from msgspec import Struct


class FaultKind(str, Enum):
    """Where a fault comes up; part of the JSON of `xnnlint verify`."""

    DELEGATION = "delegation"
    """Applying the delegate makes the whole model fail to load."""
    UNWRITTEN_WEIGHTS = "unwritten-weights"
    """An operator of TFLite reads weights that nobody unpacks."""
    SPARSE_ENCODING = "sparse-encoding"
    """An operator reads sparse-encoded weights that it cannot decode, sparse or dense."""
    OUTPUT = "output"
    """LiteRT has no right buffer for an output of the model, sparse or dense."""
    NAMES = "names"
    """LiteRT knows no name for an input or output of the model, sparse or dense."""
    TFLITE = "tflite"
    """TFLite itself refuses an operator, sparse or dense."""
    LOADING = "loading"
    """LiteRT does not load the file."""
    BIAS = "bias"
    """A bias is read as another type."""
    PADDING = "padding"
    """SAME padding comes below 0, sparse or dense."""
    FP16 = "fp16"
    """A sparse kernel is broken in fp16 arithmetic."""
    BOUNDARY = "boundary"
    """A value leaves the cluster in NCHW order."""
    OVERFLOW = "overflow"
    """More is written than there is room for."""
    SHAPE = "shape"
    """An operator works with a wrong shape."""
    LAYOUT = "layout"
    """An operator reads data in another order than it lies in."""
    AXES = "axes"
    """A reduction works on other axes."""
    REFUSED = "refused"
    """The runtime refuses to set up an operator, or crashes in it."""


class Wrong(Enum):
    """What is wrong. The comments tell what `Fault.required`, `actual` and `subject` hold, where they hold anything."""

    def __init__(self, key: str, kind: FaultKind) -> None:
        self.key = key
        self.kind = kind

    # What XNNPACK refuses to define although the delegate took it. `subject` is a node type, unless said otherwise.
    NO_SUCH_TYPE = "no-such-type", FaultKind.DELEGATION  # subject: a `TensorRef`
    RANK_TOO_HIGH = "rank-too-high", FaultKind.DELEGATION  # the limit; the rank; subject: a `TensorRef`
    AXIS_REPEATED = "axis-repeated", FaultKind.DELEGATION
    NO_SUCH_AXIS = "no-such-axis", FaultKind.DELEGATION  # the rank; the axis
    FIRST_PART_UNREAD = "first-part-unread", FaultKind.DELEGATION
    TYPES_DIFFER = "types-differ", FaultKind.DELEGATION  # actual: the types, sorted
    SCALES_DIFFER = "scales-differ", FaultKind.DELEGATION
    FILTER_WITHOUT_DATA = "filter-without-data", FaultKind.DELEGATION
    BIAS_NOT_CONSTANT = "bias-not-constant", FaultKind.DELEGATION
    FILTER_ZERO_POINT = "filter-zero-point", FaultKind.DELEGATION  # actual: the zero point
    WEIGHT_TYPES = "weight-types", FaultKind.DELEGATION  # actual: types of filter, input, bias (or None), output
    GROUPS_UNEVEN = "groups-uneven", FaultKind.DELEGATION  # required: groups; actual: output channels
    STRIDE_BELOW_1 = "stride-below-1", FaultKind.DELEGATION  # actual: (height, width)
    ONLY_READER_REMOVED = "only-reader-removed", FaultKind.DELEGATION

    # What the layouts have nothing to do with.
    WEIGHTS_NOT_UNPACKED = "weights-not-unpacked", FaultKind.UNWRITTEN_WEIGHTS
    STORED_READ_AS_DENSE = "stored-read-as-dense", FaultKind.SPARSE_ENCODING  # bytes read; bytes stored; a `TensorRef`
    READ_PAST_FILE = "read-past-file", FaultKind.SPARSE_ENCODING  # bytes read; bytes there are; a `TensorRef`
    BLOCKS_MISREAD = "blocks-misread", FaultKind.SPARSE_ENCODING  # the blocks in words; what they are; a `TensorRef`
    ENCODING_REFUSED = "encoding-refused", FaultKind.SPARSE_ENCODING  # the formats; the tensor's; a `TensorRef`
    OUTPUT_SHAPE_LATE = "output-shape-late", FaultKind.OUTPUT
    OUTPUT_SHAPE_UNTOLD = "output-shape-untold", FaultKind.OUTPUT  # the stored shape; the one at run time
    OUTPUT_SIZE_UNKNOWN = "output-size-unknown", FaultKind.OUTPUT  # required: the stored shape
    NAME_SHARED = "name-shared", FaultKind.NAMES  # inputs or outputs; the tensor's name; whether there is a signature
    INPUT_IS_OUTPUT = "input-is-output", FaultKind.OUTPUT
    UNREAD_INPUT_IS_OUTPUT = "unread-input-is-output", FaultKind.OUTPUT
    UNREAD_WEIGHT_IS_OUTPUT = "unread-weight-is-output", FaultKind.OUTPUT
    BROADCAST_TO_FEWER = "broadcast-to-fewer", FaultKind.TFLITE  # dimensions
    SQUEEZE_OF_MORE = "squeeze-of-more", FaultKind.TFLITE  # actual: axes, shape
    WINDOW_BELOW_1 = "window-below-1", FaultKind.TFLITE  # actual: the value; subject: the attribute
    BLOCKS_NOT_READ = "blocks-not-read", FaultKind.TFLITE  # subject: the operator's type
    # What keeps the file from being loaded.
    TENSOR_TYPE = "tensor-type", FaultKind.LOADING  # actual and subject: the type
    VARIABLE_TENSOR = "variable-tensor", FaultKind.LOADING  # actual: a `TensorRef`
    VARIANT_TENSOR = "variant-tensor", FaultKind.LOADING  # actual: a `TensorRef`
    INTERMEDIATE_TENSORS = "intermediate-tensors", FaultKind.LOADING  # subject: the operator's type
    NO_KERNEL = "no-kernel", FaultKind.LOADING  # the newest version, 0 for none; the file's; subject: the type
    NO_CUSTOM_KERNEL = "no-custom-kernel", FaultKind.LOADING  # subject: the operator's name
    SIGNATURE = "signature", FaultKind.LOADING  # inputs and outputs of the subgraph; of the signature; its name
    BIAS_READ_AS_FP16 = "bias-read-as-fp16", FaultKind.BIAS
    PADDING_BELOW_0 = "padding-below-0", FaultKind.PADDING  # actual: the padding of one dimension

    # What happens in and behind a cluster.
    FP16_KERNEL_BROKEN = "fp16-kernel-broken", FaultKind.FP16
    LEAVES_IN_NCHW = "leaves-in-nchw", FaultKind.BOUNDARY
    OUTPUT_TOO_LARGE = "output-too-large", FaultKind.OVERFLOW  # elements
    BUFFER_TOO_SMALL = "buffer-too-small", FaultKind.OVERFLOW  # elements
    RESHAPE_IMPOSSIBLE = "reshape-impossible", FaultKind.SHAPE  # the pooling's shape; the shape that is asked for
    READER_MISLED = "reader-misled", FaultKind.SHAPE  # shapes
    WRONG_SHAPE = "wrong-shape", FaultKind.SHAPE
    RESHAPES_WRONG_SHAPE = "reshapes-wrong-shape", FaultKind.LAYOUT
    READS_WRONG_ORDER = "reads-wrong-order", FaultKind.LAYOUT
    OTHER_AXES = "other-axes", FaultKind.AXES

    # What the runtime refuses when it sets up an operator of a cluster, or behind one.
    TOO_FEW_DIMENSIONS = "too-few-dimensions", FaultKind.REFUSED
    TOO_FEW_DIMENSIONS_FOR_SPMM = "too-few-dimensions-for-spmm", FaultKind.REFUSED
    OTHER_CHANNELS = "other-channels", FaultKind.REFUSED  # channels
    ELEMENTS_NOT_DIVIDED = "elements-not-divided", FaultKind.REFUSED  # required: channels; actual: elements
    NHWC_INTO_NCHW_KERNEL = "nhwc-into-nchw-kernel", FaultKind.REFUSED
    CONSTANT_INTO_NCHW_KERNEL = "constant-into-nchw-kernel", FaultKind.REFUSED
    AXES_MERGED = "axes-merged", FaultKind.REFUSED
    RESHAPE_OF_OTHER_SIZE = "reshape-of-other-size", FaultKind.REFUSED  # required: the shape; actual: elements
    SLICE_TOO_LONG = "slice-too-long", FaultKind.REFUSED
    SHAPES_NOT_BROADCAST = "shapes-not-broadcast", FaultKind.REFUSED  # actual: both shapes
    OUTER_SIZES_DIFFER = "outer-sizes-differ", FaultKind.REFUSED
    BLOCKS_DO_NOT_FIT = "blocks-do-not-fit", FaultKind.REFUSED  # required: the block size; actual: (height, width)


class TensorRef(Struct, frozen=True):
    """A tensor of the file."""

    index: int | None
    name: str


class Fault(Struct, frozen=True):
    """What is wrong, and the facts of it as `Wrong` lists them."""

    wrong: Wrong
    required: Any = None
    actual: Any = None
    subject: Any = None


class RuntimeRefuses(Exception):
    """The runtime returns an error when it sets up an operator, or crashes in it."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        super().__init__(fault)
