"""Layers with weights: convolutions and dense layers.

A convolution is made without activation and with a bias of zeros, to which the layer's bias is added, as the converter
does before its rewrites (tflite/converter/transforms/prepare_tf.cc of google-ai-edge/LiteRT).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from xnnlint.errors import NotSupported
from xnnlint.keras.config_values import Options
from xnnlint.keras.lower.activations import activate
from xnnlint.keras.lower.channels_first import NOT_CONVERTED, around, is_channels_first, says_channels_first
from xnnlint.keras.lower.layer_scope import NotConverted, Scope, is_same, shape_of
from xnnlint.keras.lower.program import Constant, Shape, Step, Value, window
from xnnlint.keras.lower.registry import layer
from xnnlint.keras.lower.shape_layers import batch_and

RELU_FREE = {"fused_activation_function": "NONE"}


def _zero_bias(scope: Scope, channels: int) -> Value:
    # The converter adds it to the operator, not to the graph: it has no place in the order.
    array = np.zeros(channels, np.float32)
    return Value((channels,), "FLOAT32", Constant(lambda: array, ("zeros", channels)), name="zero bias")


def add_bias(scope: Scope, x: Value, channels: int) -> Value:
    if not scope.config.flag("use_bias", default=True):
        return x
    reader = "Reshape" if scope.is_keras_3 and scope.layer.class_name != "Dense" else "BiasAdd"
    bias = scope.weight("bias", (channels,), f"{reader}/ReadVariableOp")
    if reader == "Reshape" and channels == 1:
        # A single number is no vector to Keras 3 (`add` of keras/src/backend/tensorflow/numpy.py).
        bias = reshaped(bias, (1,) * len(shape_of(x)))
        return scope.op("ADD", [x, bias], x.shape, "Add", dict(RELU_FREE))
    step = scope.step("BiasAdd")

    def emit(y: Value) -> Value:
        return scope.op("ADD", [y, bias], y.shape, step, dict(RELU_FREE))

    # That `add` takes the last axis for the channels where it is as long, whatever the layer says.
    mistaken = scope.is_keras_3 and shape_of(x)[-1] == channels
    first = says_channels_first(scope.config) and len(shape_of(x)) == 4 and not mistaken
    return around(scope, x, step, emit) if first else emit(x)


def transposed(kernel: Value, order: tuple[int, ...]) -> Value:
    """A kernel in TFLite's order of dimensions, with as many zeros."""
    constant = kernel.constant
    assert constant is not None and kernel.shape is not None
    derived = constant.derive(("transposed", order), lambda a: a.transpose(order), keeps_zeros=True)
    return Value(tuple(kernel.shape[d] for d in order), "FLOAT32", derived, name=kernel.name)


def reshaped(kernel: Value, shape: tuple[int, ...]) -> Value:
    constant = kernel.constant
    assert constant is not None
    derived = constant.derive(("reshaped", shape), lambda a: a.reshape(shape), keeps_zeros=True)
    return Value(shape, "FLOAT32", derived, name=kernel.name)


def _pruned(scope: Scope, kernel: Value) -> Value:
    """A kernel of a 1x1 convolution as it will be, where the user asked for a forecast of pruning.

    Magnitude pruning by layer: the smallest weights are zero (tfmot `PruneLowMagnitude` without blocks).
    """
    share = scope.share
    constant = kernel.constant
    assert constant is not None
    if share is None:
        return kernel

    count = round(share * math.prod(n or 0 for n in kernel.shape or ()))

    def prune(values: np.ndarray) -> np.ndarray:
        flat = values.reshape(-1).copy()
        if 0 < count < flat.size:
            flat[np.argpartition(np.abs(flat), count)[:count]] = 0
        elif count:
            flat[:] = 0
        return flat.reshape(values.shape)

    derived = constant.derive(("pruned", share), prune)
    derived.count_zeros_by(lambda: max(count, constant.zeros))
    return Value(kernel.shape, "FLOAT32", derived, name=kernel.name)


def convolution(
    scope: Scope,
    x: Value,
    kernel: Value,
    at: str | Step,
    stride: tuple[int, int],
    dilation: tuple[int, int],
    same: bool,
    multiplier: int = 0,
) -> Value:
    """A CONV_2D, or with a depth multiplier a DEPTHWISE_CONV_2D, on a map of rank 4.

    Where it is dilated, TensorFlow goes through the batch, which the converter takes back where that is fixed.
    """
    batch, height, width, _ = shape_of(x, 4)
    assert kernel.shape is not None
    size = (int(kernel.shape[1] or 0), int(kernel.shape[2] or 0))
    channels = int((kernel.shape[3] if multiplier else kernel.shape[0]) or 0)
    type_ = "DEPTHWISE_CONV_2D" if multiplier else "CONV_2D"
    bias = _zero_bias(scope, channels)
    attributes: dict[str, Any] = {
        "padding": "SAME" if same else "VALID",
        "stride_h": stride[0],
        "stride_w": stride[1],
        "dilation_h_factor": dilation[0],
        "dilation_w_factor": dilation[1],
        **RELU_FREE,
    }
    if multiplier:
        attributes["depth_multiplier"] = multiplier
    out = tuple(window(n, k, s, same, d) for n, k, s, d in zip((height, width), size, stride, dilation, strict=True))
    if dilation == (1, 1):
        return scope.op(type_, [x, kernel, bias], (batch, *out, channels), at, attributes)
    if isinstance(at, Step):
        raise NotSupported("it is dilated, and its data_format is channels_first")
    if height is None or width is None:
        raise NotSupported("it is dilated, on a map of unknown size")
    block = scope.integers(dilation, f"{at}/SpaceToBatchND/block_shape")
    before, crops = [], []
    inner: list[int] = []
    for n, k, d in zip((height, width), size, dilation, strict=True):
        missing = (k - 1) * d if same else 0
        start, end = missing // 2, missing - missing // 2
        extra = -(n + missing) % d
        before.append([start, end + extra])
        crops.append([0, extra])
        inner.append((n + missing + extra) // d)
    paddings = scope.integers(before, f"{at}/SpaceToBatchND/paddings")
    many = None if batch is None else batch * dilation[0] * dilation[1]
    spread = scope.op("SPACE_TO_BATCH_ND", [x, block, paddings], (many, *inner, shape_of(x)[3]), f"{at}/SpaceToBatchND")
    attributes |= {"padding": "VALID", "dilation_h_factor": 1, "dilation_w_factor": 1}
    small = tuple(n - k + 1 for n, k in zip(inner, size, strict=True))
    y = scope.op(type_, [spread, kernel, bias], (many, *small, channels), at, attributes)
    cropped = scope.integers(crops, f"{at}/BatchToSpaceND/crops")
    return scope.op("BATCH_TO_SPACE_ND", [y, block, cropped], (batch, *out, channels), f"{at}/BatchToSpaceND")


def _channels(scope: Scope, x: Value, kernel: str, groups: int = 1) -> int | None:
    """How many channels the input has; where a layer before it is not known, as many as the kernel was made for."""
    stored, axis = scope.stored_shape(kernel), 1 if is_channels_first(scope, x) else 3
    if stored is not None and len(stored) == 4 and (x.shape is None or (len(x.shape) == 4 and x.shape[axis] is None)):
        shape = list(x.shape if x.shape is not None else (None,) * 4)
        shape[axis] = stored[2] * groups
        x.shape = tuple(shape)
    return shape_of(x, 4)[axis]


@layer("Conv2D", "Convolution2D")
def conv_2d(scope: Scope, x: Value) -> Value:
    """Conv2D."""
    config = scope.config
    filters, groups = config.whole("filters", least=0), config.whole("groups", default=1, least=1)
    channels = _channels(scope, x, "kernel", groups)
    size = config.pair("kernel_size")
    if channels is None or channels % groups:
        raise NotSupported("its number of input channels is unknown")
    at = "convolution" if scope.is_keras_3 else "Conv2D"
    kernel = scope.weight("kernel", (*size, channels // groups, filters), f"{at}/ReadVariableOp", default=1.0)
    if size == (1, 1):
        kernel = _pruned(scope, kernel)
    stride, dilation = config.pair("strides", default=1), config.pair("dilation_rate", default=1)
    kernel, same = transposed(kernel, (3, 0, 1, 2)), is_same(config)
    if is_channels_first(scope, x):
        step = scope.step(at)
        y = around(scope, x, step, lambda y: convolution(scope, y, kernel, step, stride, dilation, same))
    else:
        y = convolution(scope, x, kernel, at, stride, dilation, same)
    return activate(scope, add_bias(scope, y, filters), config.given("activation"))


@layer("DepthwiseConv2D")
def depthwise_conv_2d(scope: Scope, x: Value) -> Value:
    """DepthwiseConv2D."""
    config = scope.config
    channels = _channels(scope, x, "depthwise_kernel")
    multiplier, size = config.whole("depth_multiplier", default=1, least=1), config.pair("kernel_size")
    filters = depthwise_filters(channels, multiplier)
    kernel = scope.weight("depthwise_kernel", (*size, channels, multiplier), "depthwise/ReadVariableOp", default=1.0)
    stride, dilation = config.pair("strides", default=1), config.pair("dilation_rate", default=1)
    kernel, same = reshaped(kernel, (1, *size, filters)), is_same(config)

    def emit(y: Value) -> Value:
        return convolution(scope, y, kernel, "depthwise", stride, dilation, same, multiplier)

    y = around(scope, x, "transpose", emit) if is_channels_first(scope, x) else emit(x)
    return activate(scope, add_bias(scope, y, filters), config.given("activation"))


def depthwise_filters(channels: int | None, multiplier: int) -> int:
    if channels is None:
        raise NotSupported("its number of input channels is unknown")
    return channels * multiplier


@layer("SeparableConv2D", "SeparableConvolution2D")
def separable_conv_2d(scope: Scope, x: Value) -> Value:
    """SeparableConv2D: a depthwise convolution and one of 1x1."""
    config, first = scope.config, is_channels_first(scope, x)
    if first and not scope.is_keras_3:
        raise NotConverted(*NOT_CONVERTED)
    channels = _channels(scope, x, "depthwise_kernel")
    multiplier, size = config.whole("depth_multiplier", default=1, least=1), config.pair("kernel_size")
    filters, middle = config.whole("filters", least=0), depthwise_filters(channels, multiplier)
    at = "separable_conv2d"
    depthwise = scope.weight("depthwise_kernel", (*size, channels, multiplier), f"{at}/ReadVariableOp", default=1.0)
    pointwise = scope.weight("pointwise_kernel", (1, 1, middle, filters), f"{at}/ReadVariableOp_1", default=1.0)
    stride, dilation = config.pair("strides", default=1), config.pair("dilation_rate", default=1)
    depthwise = reshaped(depthwise, (1, *size, middle))
    same = is_same(config)

    def emit(y: Value) -> Value:
        y = convolution(scope, y, depthwise, f"{at}/depthwise", stride, dilation, same, multiplier)
        return convolution(scope, y, transposed(pointwise, (3, 0, 1, 2)), at, (1, 1), (1, 1), same=False)

    y = around(scope, x, "transpose", emit) if first else emit(x)
    return activate(scope, add_bias(scope, y, filters), config.given("activation"))


def output_padding(config: Options, axes: int) -> list[int | None]:
    """What a transposed convolution adds behind its result; None for what is usual."""
    if config.given("output_padding") is None:
        return [None] * axes
    return [*config.wholes("output_padding", count=axes, least=0)]


def deconvolved(size: int | None, kernel: int, stride: int, same: bool, more: int | None) -> int | None:
    """How large a transposed convolution makes an axis (`deconv_output_length` of tf_keras/src/utils/conv_utils.py)."""
    if size is None:
        return None
    if more is None:
        return size * stride if same else size * stride + max(kernel - stride, 0)
    return (size - 1) * stride + kernel - (2 * (kernel // 2) if same else 0) + more


@layer("Conv2DTranspose", "Convolution2DTranspose")
def conv_2d_transpose(scope: Scope, x: Value) -> Value:
    """Conv2DTranspose."""
    config = scope.config
    if is_channels_first(scope, x):
        dynamic = shape_of(x, 4)[0] is None
        if dynamic or scope.is_keras_3:
            if dynamic and scope.is_keras_3:
                raise NotConverted(*NOT_CONVERTED)
            raise NotSupported("its data_format is channels_first")
        y = around(scope, x, "transpose", lambda y: _deconvolution(scope, y))
    else:
        y = _deconvolution(scope, x)
    return activate(scope, add_bias(scope, y, config.whole("filters")), config.given("activation"))


def _deconvolution(scope: Scope, x: Value) -> Value:
    config, shape = scope.config, shape_of(x, 4)
    filters, size = config.whole("filters", least=0), config.pair("kernel_size")
    stride = config.pair("strides", default=1)
    same = is_same(config)
    if config.pair("dilation_rate", default=1) != (1, 1):
        raise NotSupported("it is dilated")
    more = output_padding(config, 2)
    kernel = scope.weight("kernel", (*size, filters, shape[3]), "conv2d_transpose/ReadVariableOp", default=1.0)
    if shape[1] is None or shape[2] is None:
        raise NotSupported("it works on a map of unknown size")
    sides = zip((shape[1], shape[2]), size, stride, more, strict=True)
    out = tuple(int(deconvolved(n, k, s, same, p) or 0) for n, k, s, p in sides)
    target = batch_and(scope, x, [*out, filters], "stack")
    attributes = {"padding": "SAME" if same else "VALID", "stride_h": stride[0], "stride_w": stride[1], **RELU_FREE}
    inputs = [target, transposed(kernel, (2, 0, 1, 3)), x]
    return scope.op("TRANSPOSE_CONV", inputs, (shape[0], *out, filters), "conv2d_transpose", attributes)


@layer("Dense")
def dense(scope: Scope, x: Value) -> Value:
    """Dense: FULLY_CONNECTED, between reshapes where the input has more than two axes."""
    config = scope.config
    shape = shape_of(x)
    if len(shape) < 2:
        raise NotSupported(f"its input has {len(shape)} dimensions")
    units, features = config.whole("units", least=0), shape[-1]
    at = "MatMul" if len(shape) == 2 else "Tensordot"
    kernel = scope.weight("kernel", (features, units), f"{'Cast' if scope.is_keras_3 else at}/ReadVariableOp", 1.0)
    weights = transposed(kernel, (1, 0))
    attributes: dict[str, Any] = {"weights_format": "DEFAULT", "keep_num_dims": False, **RELU_FREE}
    out = (*shape[:-1], units)
    if len(shape) == 2:
        y = scope.op("FULLY_CONNECTED", [x, weights, None], out, at, attributes)
    elif x.is_static:
        attributes["keep_num_dims"] = True
        y = scope.op("FULLY_CONNECTED", [x, weights, None], out, at, attributes)
    else:
        y = _tensordot(scope, x, weights, out, attributes)
    return activate(scope, add_bias(scope, y, units), config.given("activation"))


def _tensordot(scope: Scope, x: Value, weights: Value, out: Shape, attributes: dict[str, Any]) -> Value:
    """tf.tensordot where the shape is not known before run time."""
    rank, units = len(out), out[-1]
    # Of a layer that is called again its operations are numbered as a group.
    at = scope.inner_name("Tensordot")
    whole = scope.op("SHAPE", [x], (rank,), f"{at}/Shape", {"out_type": "INT32"}, "INT32")
    free = scope.integers(range(rank - 1), f"{at}/free", f"{at}/GatherV2/axis")
    axes = scope.integers([rank - 1], f"{at}/axes", f"{at}/GatherV2_1/axis")
    every = scope.integers([0], f"{at}/Const")
    kept = scope.op("GATHER", [whole, free], (rank - 1,), f"{at}/GatherV2", {"axis": 0}, "INT32")
    summed = scope.op("GATHER", [whole, axes], (1,), f"{at}/GatherV2_1", {"axis": 0}, "INT32")
    rows = scope.op("REDUCE_PROD", [kept, every], (), f"{at}/Prod", {"keep_dims": False}, "INT32")
    columns = scope.op("REDUCE_PROD", [summed, every], (), f"{at}/Prod_1", {"keep_dims": False}, "INT32")
    packing = {"values_count": 2, "axis": 0}
    matrix = scope.op("PACK", [rows, columns], (2,), f"{at}/stack", packing, "INT32")
    # The converter finds out that this changes nothing, but it has a say in the order of the file.
    whole_order = scope.op("CONCATENATION", [free, axes], (rank,), f"{at}/concat", {"axis": 0}, "INT32")
    straight = scope.op("TRANSPOSE", [x, whole_order], x.shape, f"{at}/transpose")
    flat = scope.op("RESHAPE", [straight, matrix], (None, None), f"{at}/Reshape")
    y = scope.op("FULLY_CONNECTED", [flat, weights, None], (None, units), f"{at}/MatMul", attributes)
    last = scope.integers([units], f"{at}/Const_2", f"{at}/concat_1/axis")
    joined = {"axis": 0, **RELU_FREE}
    target = scope.op("CONCATENATION", [kept, last], (rank,), f"{at}/concat_1", joined, "INT32")
    return scope.op("RESHAPE", [y, target], out, Step(f"{scope.prefix}/{at}"))
