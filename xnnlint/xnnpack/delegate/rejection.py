"""Why the delegate leaves an operator to TFLite."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct


class Objection(str, Enum):
    """The conditions of the delegate, by what they look at; an option of the operator has its name in the schema."""

    # The operator itself.
    OPERATOR_TYPE = "operator-type"
    OPTION = "option"
    # How many tensors there are.
    INPUTS = "inputs"
    OUTPUTS = "outputs"
    # What they hold.
    DTYPE = "dtype"
    QUANTIZATION = "quantization"
    RANK = "rank"
    EMPTY_DIMENSION = "empty-dimension"
    CHANNELS = "channels"
    VARIABLE = "variable"
    # What has to be a constant.
    AXES_NOT_CONSTANT = "axes-not-constant"
    AXIS_NOT_CONSTANT = "axis-not-constant"
    BEGIN_NOT_CONSTANT = "begin-not-constant"
    END_NOT_CONSTANT = "end-not-constant"
    PERMUTATION_NOT_CONSTANT = "permutation-not-constant"
    SHAPE_NOT_CONSTANT = "shape-not-constant"
    SIZE_NOT_CONSTANT = "size-not-constant"
    STRIDES_NOT_CONSTANT = "strides-not-constant"
    STATIC_FILTER = "static-filter"
    BIAS = "bias"
    SLOPE = "slope"
    # Its parameters and options.
    ALPHA = "alpha"
    AXES = "axes"
    AXIS = "axis"
    BETA = "beta"
    BLOCK_SIZE = "block-size"
    DEPTH_MULTIPLIER = "depth-multiplier"
    DILATION_H_FACTOR = "dilation-h-factor"
    DILATION_W_FACTOR = "dilation-w-factor"
    ELLIPSIS_MASK = "ellipsis-mask"
    FILTER_HEIGHT = "filter-height"
    FILTER_WIDTH = "filter-width"
    FUSED_ACTIVATION = "fused-activation"
    GROUPS = "groups"
    KEEP_DIMS = "keep-dims"
    NEW_AXIS_MASK = "new-axis-mask"
    NEW_SHAPE = "new-shape"
    PADDING = "padding"
    PADDINGS = "paddings"
    POOL_STRIDE = "pool-stride"
    SHRINK_AXIS_MASK = "shrink-axis-mask"
    SIZE = "size"
    SPARSE_FULLY_CONNECTED = "sparse-fully-connected"
    STRIDE = "stride"
    STRIDE_H = "stride-h"
    STRIDE_W = "stride-w"
    STRIDES = "strides"
    WEIGHTS_FORMAT = "weights-format"


class Rejection(Struct, frozen=True):
    """Why the delegate leaves an operator to TFLite.

    Attributes:
        condition: which of the delegate's conditions does not hold.
        required: what the delegate asks for, in words.
        actual: what the model has, in words.
        tensor: index of the tensor at fault, None where no single one is.
    """

    condition: Objection
    required: str
    actual: str
    tensor: int | None = None
