"""Layers on sequences with weights, and those that make them longer: convolutions on a map of one row.

A dilated Conv1D goes through the batch in both dialects (`_WithSpaceToBatch` of tensorflow/tensorflow
python/ops/nn_ops.py); where the batch is fixed, the converter makes a dilated convolution of that
(ConvertTFDilatedConvOp, tflite/converter/transforms/dilated_conv.h).
"""

from __future__ import annotations

from xnnlint.errors import NotSupported
from xnnlint.keras.config_values import Options
from xnnlint.keras.lower.activations import activate
from xnnlint.keras.lower.channels_first import NOT_CONVERTED, says_channels_first
from xnnlint.keras.lower.layer_scope import NotConverted, Scope, channels_last, is_same, shape_of
from xnnlint.keras.lower.program import Value
from xnnlint.keras.lower.registry import layer
from xnnlint.keras.lower.shape_layers import batch_and, expand_axis, number_of, pad, part_of, squeeze_axis
from xnnlint.keras.lower.weighted_layers import (
    add_bias,
    convolution,
    deconvolved,
    depthwise_filters,
    output_padding,
    reshaped,
    transposed,
)

_PLAIN = {"fused_activation_function": "NONE"}


def _one(config: Options, name: str, default: int | None = None) -> int:
    """A size along one axis, which is stored as a number or a list of one."""
    return config.wholes(name, default=default, count=1, least=1)[0]


@layer("Conv1D", "Convolution1D")
def conv_1d(scope: Scope, x: Value) -> Value:
    """Conv1D: a Conv2D on a map of one row; causal, with zeros before the first step."""
    config = scope.config
    if says_channels_first(config) and (scope.is_keras_3 or shape_of(x, 3)[0] is not None):
        raise NotConverted(*NOT_CONVERTED)
    channels_last(config)
    channels, filters = shape_of(x, 3)[2], config.whole("filters", least=0)
    groups = config.whole("groups", default=1, least=1)
    size, dilation = _one(config, "kernel_size"), _one(config, "dilation_rate", default=1)
    if channels is None or channels % groups:
        raise NotSupported("its number of input channels is unknown")
    at = "convolution" if scope.is_keras_3 else "Conv1D"
    kernel = scope.weight("kernel", (size, channels // groups, filters), f"{at}/ExpandDims_1/ReadVariableOp", 1.0)
    wide = transposed(reshaped(kernel, (1, size, channels // groups, filters)), (3, 0, 1, 2))
    causal = config.word("padding", default="valid").lower() == "causal"
    if causal:
        x = pad(scope, x, [(0, 0), ((size - 1) * dilation, 0), (0, 0)], "Pad")
    same = not causal and is_same(config)
    if dilation != 1:
        y = _dilated_row(scope, x, wide, at, dilation, same)
    else:
        stride = (1, _one(config, "strides", default=1))
        x = expand_axis(scope, x, -3, f"{at}/ExpandDims")
        y = squeeze_axis(scope, convolution(scope, x, wide, at, stride, (1, 1), same), 1, f"{at}/Squeeze")
    return activate(scope, add_bias(scope, y, filters), config.given("activation"))


def _dilated_row(scope: Scope, x: Value, kernel: Value, at: str, dilation: int, same: bool) -> Value:
    """Every step of `dilation` is put into the batch, so that a plain convolution does it."""
    batch, length, channels = shape_of(x)
    size, filters = int((kernel.shape or ())[2] or 0), (kernel.shape or ())[0]
    if length is None:
        raise NotSupported("it is dilated, on a sequence of unknown length")
    missing = (size - 1) * dilation if same else 0
    start, extra = missing // 2, -(length + missing) % dilation
    block = scope.integers([dilation], f"{at}/SpaceToBatchND/block_shape")
    around = scope.integers([[start, missing - start + extra]], f"{at}/SpaceToBatchND/paddings")
    inner = (length + missing + extra) // dilation
    many = None if batch is None else batch * dilation
    y = scope.op("SPACE_TO_BATCH_ND", [x, block, around], (many, inner, channels), f"{at}/SpaceToBatchND")
    y = convolution(scope, expand_axis(scope, y, -3, f"{at}/ExpandDims"), kernel, at, (1, 1), (1, 1), same=False)
    y = squeeze_axis(scope, y, 1, f"{at}/Squeeze")
    out = (batch, (inner - size + 1) * dilation - extra, filters)
    cropped = scope.integers([[0, extra]], f"{at}/BatchToSpaceND/crops")
    return scope.op("BATCH_TO_SPACE_ND", [y, block, cropped], out, f"{at}/BatchToSpaceND")


@layer("Conv1DTranspose", "Convolution1DTranspose")
def conv_1d_transpose(scope: Scope, x: Value) -> Value:
    """Conv1DTranspose: a Conv2DTranspose on a map of one row, whose shape is put together at run time."""
    config = scope.config
    channels_last(config)
    batch, length, channels = shape_of(x, 3)
    filters, same = config.whole("filters", least=0), is_same(config)
    size, stride = _one(config, "kernel_size"), _one(config, "strides", default=1)
    if _one(config, "dilation_rate", default=1) != 1:
        raise NotSupported("it is dilated")
    longer = deconvolved(length, size, stride, same, output_padding(config, 1)[0])
    if longer is None:
        raise NotSupported("it works on a sequence of unknown length")
    at = "conv_transpose" if scope.is_keras_3 else "conv1d_transpose"
    kernel = scope.weight("kernel", (size, filters, channels), f"{at}/ExpandDims_1/ReadVariableOp", default=1.0)
    wide = transposed(reshaped(kernel, (1, size, filters, int(channels or 0))), (2, 0, 1, 3))
    target = _row_target(scope, x, longer, filters, at)
    row = expand_axis(scope, x, 1, f"{at}/ExpandDims")
    attributes = {"padding": "SAME" if same else "VALID", "stride_h": 1, "stride_w": stride, **_PLAIN}
    y = scope.op("TRANSPOSE_CONV", [target, wide, row], (batch, 1, longer, filters), at, attributes)
    y = squeeze_axis(scope, y, 1, f"{at}/Squeeze")
    return activate(scope, add_bias(scope, y, filters), config.given("activation"))


def _row_target(scope: Scope, x: Value, length: int, filters: int, at: str) -> Value:
    """The shape that a transposed convolution makes: a batch, one row, and the rest."""
    if (batch := shape_of(x)[0]) is not None:
        return scope.integers([batch, 1, length, filters], f"{at}/concat")
    if scope.is_keras_3:
        first = batch_and(scope, x, [], f"{at}/concat/values_0")
        rest = [
            scope.integers([1], f"{at}/concat/values_1"),
            scope.integers([length, filters], f"{at}/concat/values_2"),
        ]
    else:
        whole = _computed_shape(scope, x, length, filters)
        first = part_of(scope, whole, 0, 1, f"{at}/strided_slice")
        rest = [scope.integers([1], f"{at}/concat/values_1"), part_of(scope, whole, 1, 3, f"{at}/strided_slice_1")]
    return scope.op("CONCATENATION", [first, *rest], (4,), f"{at}/concat", {"axis": 0, **_PLAIN}, "INT32")


def _computed_shape(scope: Scope, x: Value, length: int, filters: int) -> Value:
    """Batch, length and filters: of a length that the converter does not know, what is computed from it."""
    config = scope.config
    if config.given("output_padding") is not None:
        return batch_and(scope, x, [length, filters], "stack")
    whole = scope.op("SHAPE", [x], (3,), "Shape", {"out_type": "INT32"}, "INT32")
    first = number_of(scope, whole, 0, "strided_slice")
    second = number_of(scope, whole, 1, "strided_slice_1")
    size, stride = _one(config, "kernel_size"), _one(config, "strides", default=1)
    second = scope.op("MUL", [second, scope.integers(stride, "mul/y")], (), "mul", dict(_PLAIN), "INT32")
    if not is_same(config) and size > stride:
        second = scope.op("ADD", [second, scope.integers(size - stride, "add/y")], (), "add", dict(_PLAIN), "INT32")
    packing = {"values_count": 3, "axis": 0}
    return scope.op("PACK", [first, second, scope.integers(filters, "stack/2")], (3,), "stack", packing, "INT32")


@layer("DepthwiseConv1D")
def depthwise_conv_1d(scope: Scope, x: Value) -> Value:
    """DepthwiseConv1D: a DepthwiseConv2D on a map of one row, with the stride in both directions."""
    config = scope.config
    channels_last(config)
    channels, multiplier = shape_of(x, 3)[2], config.whole("depth_multiplier", default=1, least=1)
    size, filters = _one(config, "kernel_size"), depthwise_filters(channels, multiplier)
    kernel = scope.weight("depthwise_kernel", (size, channels, multiplier), "ExpandDims_1/ReadVariableOp", default=1.0)
    y = expand_axis(scope, x, 1, "ExpandDims")
    y = _row_of_depthwise(scope, y, reshaped(kernel, (1, 1, size, filters)), "depthwise", multiplier)
    return _bias_and_drop_row(scope, y, filters)


@layer("SeparableConv1D", "SeparableConvolution1D")
def separable_conv_1d(scope: Scope, x: Value) -> Value:
    """SeparableConv1D: a SeparableConv2D on a map of one row, with the stride in both directions."""
    config = scope.config
    channels_last(config)
    channels, multiplier = shape_of(x, 3)[2], config.whole("depth_multiplier", default=1, least=1)
    size, middle = _one(config, "kernel_size"), depthwise_filters(channels, multiplier)
    filters, at = config.whole("filters", least=0), "separable_conv2d"
    depthwise = scope.weight("depthwise_kernel", (size, channels, multiplier), "ExpandDims_1/ReadVariableOp", 1.0)
    pointwise = scope.weight("pointwise_kernel", (1, middle, filters), "ExpandDims_2/ReadVariableOp", 1.0)
    if config.word("padding", default="valid").lower() == "causal":
        x = pad(scope, x, [(0, 0), ((size - 1) * _one(config, "dilation_rate", default=1), 0), (0, 0)], "Pad")
    y = expand_axis(scope, x, 1, "ExpandDims")
    y = _row_of_depthwise(scope, y, reshaped(depthwise, (1, 1, size, middle)), f"{at}/depthwise", multiplier)
    wide = transposed(reshaped(pointwise, (1, 1, middle, filters)), (3, 0, 1, 2))
    y = convolution(scope, y, wide, at, (1, 1), (1, 1), same=False)
    return _bias_and_drop_row(scope, y, filters)


def _row_of_depthwise(scope: Scope, x: Value, kernel: Value, at: str, multiplier: int) -> Value:
    """A depthwise convolution with the stride and dilation of a layer in one dimension."""
    stride, dilation = (_one(scope.config, name, default=1) for name in ("strides", "dilation_rate"))
    causal = scope.config.word("padding", default="valid").lower() == "causal"
    same = not causal and is_same(scope.config)
    return convolution(scope, x, kernel, at, (stride, stride), (1, dilation), same, multiplier)


def _bias_and_drop_row(scope: Scope, y: Value, filters: int) -> Value:
    """What follows a convolution on a map of one row: Keras 2 adds the bias first, Keras 3 last."""
    if scope.is_keras_3:
        y = add_bias(scope, squeeze_axis(scope, y, 1, "Squeeze"), filters)
    else:
        y = squeeze_axis(scope, add_bias(scope, y, filters), 1, "Squeeze")
    return activate(scope, y, scope.config.given("activation"))
