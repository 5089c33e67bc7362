"""Builds small .tflite files operator by operator, without TensorFlow.

    g = ModelBuilder()
    x = g.input((1, 24, 40, 3))
    x = g.pad(x)
    x = g.conv2d(x, 8, kernel=3, stride=2, fused="RELU")
    x = g.conv2d(x, 16, zeros=0.8, storage="sparse")
    g.output(g.mean(x, (1, 2)))
    model = g.build()

The builder computes every shape. Weights come from a seeded generator, scaled so that activations stay near 1 and
with no accidental zeros: a value read in the wrong layout then shows in the outputs, and zero counts are exact.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from xnnlint.modelbuilder.flatwriter import Table, enum_value, table
from xnnlint.modelbuilder.modelfile import OperatorRecord, Subgraph, TensorRecord, Value, write_model
from xnnlint.modelbuilder.storage import quantization_parameters, set_zeros, store

_FUSING_BINARIES = {"ADD": "AddOptions", "MUL": "MulOptions", "SUB": "SubOptions", "DIV": "DivOptions"}
_UNARY_OPTIONS = {"LEAKY_RELU": "LeakyReluOptions", "GELU": "GeluOptions"}

# `GetBuiltinOperatorVersion` (google-ai-edge/LiteRT tflite/converter/tools/versioning/op_version.cc) looks for scales
# of channels before it looks for sparse weights.
_SPARSE_VERSIONS = {"sparse_direct": 8, "sparse_direct_int8": 8, "sparse_direct_qc8": 12}

Pair = int | tuple[int, int]
Padding = Sequence[tuple[int, int]]


class ModelBuilder(Subgraph):
    """One subgraph, and with `build` the file around it; `add_subgraph` puts more into the same file."""

    def __init__(self, seed: int = 0, name: str = "main") -> None:
        super().__init__(name)
        self.rng = np.random.default_rng(seed)
        self._more: list[ModelBuilder] = []
        self._names: Counter[str] = Counter()

    # -- values ------------------------------------------------------------------------------------------------------

    def input(
        self,
        shape: Sequence[int],
        name: str = "input",
        dtype: str = "float32",
        signature: Sequence[int] | None = None,
    ) -> Value:
        """A model input; `signature` is its shape_signature (-1 where dynamic)."""
        value = self._value(tuple(shape), self._unique(name), dtype=dtype)
        self.tensors[value.id].is_input = True
        self.tensors[value.id].signature = None if signature is None else tuple(signature)
        self.inputs.append(value)
        return value

    def output(self, *values: Value) -> None:
        """Makes `values` outputs of the model, after those already there."""
        self.outputs.extend(values)

    def constant(self, data: np.ndarray | Sequence[float] | float, name: str = "const") -> Value:
        """A dense constant; Python numbers become fp32."""
        array = data if isinstance(data, np.ndarray) else np.asarray(data, np.float32)
        return self._value(array.shape, self._unique(name), data=array, dtype=str(array.dtype))

    def weight(
        self,
        shape: Sequence[int],
        fan_in: int,
        zeros: int | float = 0,
        storage: str = "dense",
        name: str = "kernel",
        block: int = 1,
        data: np.ndarray | None = None,
        channel_axis: int | None = None,
    ) -> Value:
        """A weight and the DENSIFY and DEQUANTIZE operators that `storage` puts before its use.

        Args:
            shape: as the operator reads it (CONV_2D: out, height, width, in).
            fan_in: number of inputs of one output; sets the scale.
            zeros: how many elements are exactly zero; a float is a share.
            storage: one of `xnnlint.modelbuilder.storage.STORAGES`.
            block: block size along the last dimension of a sparse encoding, of which whole blocks are zero.
            data: the weights themselves instead of random ones.
            channel_axis: the dimension along which int8 weights have a scale each.
        """
        if data is None:
            data = set_zeros(self._random_weights(shape), zeros, self.rng, block)
            kept = max(1.0, fan_in * np.count_nonzero(data) / max(1, data.size))
            data = data * np.float32(np.sqrt(2.0 / kept))
        stored = store(data, storage, block, channel_axis)
        scale = 0.0
        if stored.quantization is not None:
            scale = float(np.asarray(stored.quantization.fields["scale"])[0])
        value = self._value(
            tuple(shape),
            self._unique(name),
            data=stored.data,
            dtype=str(stored.data.dtype),
            sparsity=stored.sparsity,
            quantization=stored.quantization,
            scale=scale,
        )
        if stored.densify:
            value = self.densify(value)
        if stored.dequantize:
            value = self.dequantize(value)
        return value

    def bias(self, channels: int, name: str = "bias") -> Value:
        """A rank-1 fp32 bias; mostly positive, so that a RELU after it leaves something over."""
        return self.constant(self.rng.uniform(0.0, 0.7, channels).astype(np.float32), name)

    def random_constant(self, shape: Sequence[int], low: float = 0.5, high: float = 1.5) -> Value:
        """A dense fp32 constant with all elements different and away from zero."""
        return self.constant(self.rng.uniform(low, high, tuple(shape)).astype(np.float32))

    # -- operators ---------------------------------------------------------------------------------------------------

    def op(
        self,
        code: str,
        inputs: Sequence[Value | None],
        shapes: Sequence[Sequence[int]],
        options: Table | None = None,
        *,
        version: int = 1,
        dtype: str = "float32",
        scale: float = 0.0,
        zero_point: int = 0,
        name: str = "",
        custom: bool = False,
        custom_options: bytes | None = None,
    ) -> tuple[Value, ...]:
        """Any operator: its name in the schema (or custom code), inputs (`None` for an absent one), output shapes."""
        base = name or code.lower()
        quantization = quantization_parameters(scale, zero_point) if scale else None
        outputs = tuple(
            self._value(
                tuple(int(d) for d in shape),
                self._unique(base),
                dtype=dtype,
                quantization=quantization,
                scale=scale,
                zero_point=zero_point,
            )
            for shape in shapes
        )
        self.operators.append(
            OperatorRecord(
                code,
                tuple(-1 if v is None else v.id for v in inputs),
                tuple(v.id for v in outputs),
                options,
                version,
                custom,
                custom_options,
            )
        )
        return outputs

    def custom_op(
        self, code: str, inputs: Sequence[Value | None], shapes: Sequence[Sequence[int]], options: bytes = b""
    ) -> tuple[Value, ...]:
        """A custom operator; it loads only where the runtime has a kernel of that name."""
        return self.op(code, inputs, shapes, custom=True, custom_options=options or None)

    def densify(self, x: Value) -> Value:
        return self.op(
            "DENSIFY", [x], [x.shape], table("DensifyOptions"), dtype=x.dtype, scale=x.scale, zero_point=x.zero_point
        )[0]

    def dequantize(self, x: Value) -> Value:
        version = 3 if x.dtype == "float16" else 2
        return self.op("DEQUANTIZE", [x], [x.shape], table("DequantizeOptions"), version=version)[0]

    def quantize(self, x: Value, scale: float = 0.05, zero_point: int = 0) -> Value:
        return self.op(
            "QUANTIZE", [x], [x.shape], table("QuantizeOptions"), dtype="int8", scale=scale, zero_point=zero_point
        )[0]

    def pad(
        self,
        x: Value,
        amounts: int | Padding = 1,
        code: str = "PAD",
        index_dtype: str = "int32",
        value: float = 0.5,
    ) -> Value:
        """PAD (or MIRROR_PAD, PADV2) by (before, after) for each dimension; a number pads height and width by it.

        Args:
            value: what PADV2 pads with.
        """
        if isinstance(amounts, int):
            amounts = ((0, 0), (amounts, amounts), (amounts, amounts), (0, 0))
        inputs = [x, self.constant(np.array(amounts, index_dtype), "paddings")]
        kind = {"PAD": "PadOptions", "PADV2": "PadV2Options", "MIRROR_PAD": "MirrorPadOptions"}[code]
        if code == "PADV2":
            inputs.append(self.constant(np.array([value], np.float32), "pad_value"))
        shape = [d + before + after for d, (before, after) in zip(x.shape, amounts, strict=True)]
        return self.op(code, inputs, [shape], table(kind))[0]

    def conv2d(
        self,
        x: Value,
        filters: int,
        kernel: Pair = 1,
        stride: Pair = 1,
        padding: str = "VALID",
        *,
        dilation: Pair = 1,
        groups: int = 1,
        fused: str = "NONE",
        zeros: int | float = 0,
        storage: str = "dense",
        weights: Value | np.ndarray | None = None,
        bias: Value | bool = True,
        name: str = "conv2d",
    ) -> Value:
        """CONV_2D; an int8 `x` gives an int8 convolution with an int32 bias."""
        name = self._unique(name)
        (kh, kw), (sh, sw), (dh, dw) = _pair(kernel), _pair(stride), _pair(dilation)
        per_group = x.shape[3] // groups
        if not isinstance(weights, Value):
            shape = (filters, kh, kw, per_group)
            if x.dtype == "int8" and storage in ("dense", "sparse"):
                storage = {"dense": "int8_direct", "sparse": "sparse_int8_direct"}[storage]
            weights = self.weight(shape, kh * kw * per_group, zeros, storage, f"{name}/kernel", data=weights)
        shape = _window_shape(x.shape, (kh, kw), (sh, sw), (dh, dw), padding, filters)
        options = table(
            "Conv2DOptions",
            padding=enum_value("Padding", padding),
            stride_h=sh,
            stride_w=sw,
            dilation_h_factor=dh,
            dilation_w_factor=dw,
            fused_activation_function=enum_value("ActivationFunctionType", fused),
        )
        inputs = [x, weights, *self._bias_of(x, weights, filters, bias, name)]
        scale = {"dtype": "int8", "scale": 2 * x.scale, "zero_point": x.zero_point} if x.dtype == "int8" else {}
        return self.op("CONV_2D", inputs, [shape], options, version=3, name=name, **scale)[0]  # type: ignore[arg-type]

    def depthwise(
        self,
        x: Value,
        kernel: Pair = 3,
        stride: Pair = 1,
        padding: str = "SAME",
        *,
        multiplier: int = 1,
        dilation: Pair = 1,
        fused: str = "NONE",
        zeros: int | float = 0,
        storage: str = "dense",
        bias: Value | bool = True,
        name: str = "depthwise_conv2d",
    ) -> Value:
        """DEPTHWISE_CONV_2D."""
        name = self._unique(name)
        (kh, kw), (sh, sw), (dh, dw) = _pair(kernel), _pair(stride), _pair(dilation)
        filters = x.shape[3] * multiplier
        # TFLite's kernel of dynamic range takes a scale for each channel as given, and reads on behind a single one.
        axis = 3 if storage == "int8_direct" else None
        shape = (1, kh, kw, filters)
        weights = self.weight(shape, kh * kw, zeros, storage, f"{name}/depthwise_kernel", channel_axis=axis)
        shape = _window_shape(x.shape, (kh, kw), (sh, sw), (dh, dw), padding, filters)
        options = table(
            "DepthwiseConv2DOptions",
            padding=enum_value("Padding", padding),
            stride_h=sh,
            stride_w=sw,
            depth_multiplier=multiplier,
            dilation_h_factor=dh,
            dilation_w_factor=dw,
            fused_activation_function=enum_value("ActivationFunctionType", fused),
        )
        inputs = [x, weights, *self._bias_of(x, weights, filters, bias, name)]
        return self.op("DEPTHWISE_CONV_2D", inputs, [shape], options, version=2, name=name)[0]

    def fully_connected(
        self,
        x: Value,
        units: int,
        *,
        keep_num_dims: bool = False,
        fused: str = "NONE",
        zeros: int | float = 0,
        storage: str = "dense",
        block: int = 1,
        bias: Value | bool = True,
        name: str = "dense",
    ) -> Value:
        """FULLY_CONNECTED over the last dimension; without `keep_num_dims` the others are flattened into one."""
        name = self._unique(name)
        depth = x.shape[-1]
        axis = 0 if storage == "sparse_direct_qc8" else None
        weights = self.weight((units, depth), depth, zeros, storage, f"{name}/kernel", block, channel_axis=axis)
        options = table(
            "FullyConnectedOptions",
            fused_activation_function=enum_value("ActivationFunctionType", fused),
            keep_num_dims=keep_num_dims,
            asymmetric_quantize_inputs=storage in ("sparse_direct_int8", "sparse_direct_qc8"),
        )
        rows = int(np.prod(x.shape[:-1]))
        shape = (*x.shape[:-1], units) if keep_num_dims else (rows, units)
        version = _SPARSE_VERSIONS.get(storage, 5 if keep_num_dims else 1)
        inputs = [x, weights, *self._bias_of(x, weights, units, bias, name)]
        return self.op("FULLY_CONNECTED", inputs, [shape], options, version=version, name=name)[0]

    def transpose_conv(self, x: Value, filters: int, kernel: Pair = 2, stride: Pair = 2, name: str = "up") -> Value:
        """TRANSPOSE_CONV with SAME padding: output height and width are stride times the input's."""
        (kh, kw), (sh, sw) = _pair(kernel), _pair(stride)
        shape = (x.shape[0], x.shape[1] * sh, x.shape[2] * sw, filters)
        name = self._unique(name)
        weights = self.weight((filters, kh, kw, x.shape[3]), x.shape[3], name=f"{name}/kernel")
        options = table("TransposeConvOptions", padding=enum_value("Padding", "SAME"), stride_h=sh, stride_w=sw)
        inputs = [self.constant(np.array(shape, np.int32), "output_shape"), weights, x, self.bias(filters)]
        return self.op("TRANSPOSE_CONV", inputs, [shape], options, version=3, name=name)[0]

    def unary(self, code: str, x: Value, **options: float | bool) -> Value:
        """An operator of one input and the same output shape; `options` are those of LEAKY_RELU (alpha) and GELU."""
        kind = _UNARY_OPTIONS.get(code)
        return self.op(code, [x], [x.shape], table(kind, **options) if kind else None)[0]

    def binary(self, code: str, a: Value, b: Value, fused: str = "NONE") -> Value:
        """An operator of two broadcast inputs; only ADD, SUB, MUL and DIV can carry a fused activation."""
        options = None
        if code in _FUSING_BINARIES:
            function = enum_value("ActivationFunctionType", fused)
            options = table(_FUSING_BINARIES[code], fused_activation_function=function)
        return self.op(code, [a, b], [np.broadcast_shapes(a.shape, b.shape)], options)[0]

    def prelu(self, x: Value, slope: Value | None = None) -> Value:
        """PRELU; the default slope is one per channel, of shape [1, 1, C]."""
        slope = slope or self.random_constant((1, 1, x.shape[3]), 0.1, 0.4)
        return self.op("PRELU", [x, slope], [x.shape])[0]

    def reduce(self, code: str, x: Value, axes: Iterable[int], keep_dims: bool = False) -> Value:
        """MEAN, SUM, REDUCE_MAX, REDUCE_MIN, REDUCE_PROD over `axes` (negative ones count from the end)."""
        axes = tuple(axes)
        gone = {axis % x.rank for axis in axes}
        if keep_dims:
            shape = [1 if i in gone else d for i, d in enumerate(x.shape)]
        else:
            shape = [d for i, d in enumerate(x.shape) if i not in gone]
        options = table("ReducerOptions", keep_dims=keep_dims)
        inputs = [x, self.constant(np.array(axes, np.int32), "reduction_indices")]
        return self.op(code, inputs, [shape], options)[0]

    def mean(self, x: Value, axes: Iterable[int] = (1, 2), keep_dims: bool = False) -> Value:
        return self.reduce("MEAN", x, axes, keep_dims)

    def reshape(self, x: Value, target: Sequence[int]) -> Value:
        """RESHAPE to `target` (one -1 allowed), given as a constant and in the options."""
        new = np.array(target, np.int32)
        size = int(np.prod(x.shape))
        shape = [size // -int(np.prod(target)) if d == -1 else d for d in target]
        return self.op("RESHAPE", [x, self.constant(new, "shape")], [shape], table("ReshapeOptions", new_shape=new))[0]

    def squeeze(self, x: Value, axes: Sequence[int]) -> Value:
        gone = {axis % x.rank for axis in axes}
        options = table("SqueezeOptions", squeeze_dims=np.array(sorted(gone), np.int32))
        return self.op("SQUEEZE", [x], [[d for i, d in enumerate(x.shape) if i not in gone]], options)[0]

    def expand_dims(self, x: Value, axis: int) -> Value:
        shape = list(x.shape)
        shape.insert(axis % (x.rank + 1), 1)
        return self.op("EXPAND_DIMS", [x, self.constant(np.array(axis, np.int32), "axis")], [shape])[0]

    def transpose(self, x: Value, order: Sequence[int]) -> Value:
        inputs = [x, self.constant(np.array(order, np.int32), "perm")]
        return self.op("TRANSPOSE", inputs, [[x.shape[i] for i in order]], table("TransposeOptions"))[0]

    def slice(self, x: Value, begin: Sequence[int], size: Sequence[int]) -> Value:
        inputs = [x, self.constant(np.array(begin, np.int32), "begin"), self.constant(np.array(size, np.int32), "size")]
        shape = [d - b if s == -1 else s for d, b, s in zip(x.shape, begin, size, strict=True)]
        return self.op("SLICE", inputs, [shape], table("SliceOptions"))[0]

    def strided_slice(self, x: Value, begin: Sequence[int], end: Sequence[int], strides: Sequence[int]) -> Value:
        """STRIDED_SLICE with positive indices and strides, no masks."""
        inputs = [x]
        inputs += [self.constant(np.array(a, np.int32), n) for a, n in ((begin, "begin"), (end, "end"))]
        inputs.append(self.constant(np.array(strides, np.int32), "strides"))
        shape = [-(-(e - b) // s) for b, e, s in zip(begin, end, strides, strict=True)]
        return self.op("STRIDED_SLICE", inputs, [shape], table("StridedSliceOptions"))[0]

    def split(self, x: Value, parts: int, axis: int = 3) -> tuple[Value, ...]:
        inputs = [self.constant(np.array(axis, np.int32), "split_dim"), x]
        shape = [d // parts if i == axis % x.rank else d for i, d in enumerate(x.shape)]
        return self.op("SPLIT", inputs, [shape] * parts, table("SplitOptions", num_splits=parts))

    def concat(self, values: Sequence[Value], axis: int = 3) -> Value:
        at = axis % values[0].rank
        shape = list(values[0].shape)
        shape[at] = sum(v.shape[at] for v in values)
        return self.op("CONCATENATION", values, [shape], table("ConcatenationOptions", axis=axis))[0]

    def pool(
        self,
        code: str,
        x: Value,
        size: Pair = 2,
        stride: Pair | None = None,
        padding: str = "VALID",
        fused: str = "NONE",
    ) -> Value:
        """MAX_POOL_2D or AVERAGE_POOL_2D."""
        (kh, kw), (sh, sw) = _pair(size), _pair(size if stride is None else stride)
        options = table(
            "Pool2DOptions",
            padding=enum_value("Padding", padding),
            filter_height=kh,
            filter_width=kw,
            stride_h=sh,
            stride_w=sw,
            fused_activation_function=enum_value("ActivationFunctionType", fused),
        )
        return self.op(code, [x], [_window_shape(x.shape, (kh, kw), (sh, sw), (1, 1), padding, x.shape[3])], options)[0]

    def resize_bilinear(
        self,
        x: Value,
        height: int,
        width: int,
        *,
        align_corners: bool = False,
        half_pixel: bool = True,
        code: str = "RESIZE_BILINEAR",
    ) -> Value:
        """RESIZE_BILINEAR (or RESIZE_NEAREST_NEIGHBOR) to a constant size."""
        kind = {"RESIZE_BILINEAR": "ResizeBilinear", "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighbor"}[code]
        options = table(f"{kind}Options", align_corners=align_corners, half_pixel_centers=half_pixel)
        size = self.constant(np.array([height, width], np.int32), "size")
        return self.op(code, [x, size], [(x.shape[0], height, width, x.shape[3])], options, version=3)[0]

    def depth_to_space(self, x: Value, block: int = 2) -> Value:
        n, h, w, c = x.shape
        options = table("DepthToSpaceOptions", block_size=block)
        return self.op("DEPTH_TO_SPACE", [x], [(n, h * block, w * block, c // block**2)], options)[0]

    def space_to_depth(self, x: Value, block: int = 2) -> Value:
        n, h, w, c = x.shape
        options = table("SpaceToDepthOptions", block_size=block)
        return self.op("SPACE_TO_DEPTH", [x], [(n, h // block, w // block, c * block**2)], options)[0]

    def softmax(self, x: Value, beta: float = 1.0) -> Value:
        return self.op("SOFTMAX", [x], [x.shape], table("SoftmaxOptions", beta=beta))[0]

    # -- taking back -------------------------------------------------------------------------------------------------

    def checkpoint(self) -> tuple[int, int, Counter[str]]:
        """The state that `restore` goes back to."""
        return len(self.tensors), len(self.operators), self._names.copy()

    def restore(self, checkpoint: tuple[int, int, Counter[str]]) -> None:
        """Takes back all tensors and operators made since; values of them must not be used any more."""
        tensors, operators, self._names = checkpoint[0], checkpoint[1], checkpoint[2].copy()
        del self.tensors[tensors:], self.operators[operators:]

    # -- order -------------------------------------------------------------------------------------------------------

    def shuffle_operators(self, rng: np.random.Generator) -> None:
        """Puts the operators in another valid order: at each step one of those whose inputs are there."""
        made = {t.value.id for t in self.tensors} - {o for op in self.operators for o in op.outputs} | {-1}
        waiting, order = list(self.operators), []
        while waiting:
            ready = [op for op in waiting if made.issuperset(op.inputs)]
            chosen = ready[int(rng.integers(len(ready)))]
            waiting.remove(chosen)
            order.append(chosen)
            made.update(chosen.outputs)
        self.operators = order

    def shuffle_tensors(self, rng: np.random.Generator) -> None:
        """Gives the tensors random indexes instead of the converter's (inputs, constants, then results)."""
        self.tensor_order = [int(i) for i in rng.permutation(len(self.tensors))]

    # -- the file ----------------------------------------------------------------------------------------------------

    def add_subgraph(self, other: ModelBuilder) -> None:
        """Puts `other` into the file behind this subgraph; give both a `signature_key` to make them signatures."""
        self._more.append(other)

    def build(
        self,
        *,
        identifier: bool = True,
        dynamic_batch: bool = False,
        metadata: Mapping[str, bytes] | None = None,
        weights_outside: bool = False,
        description: str = "made by xnnlint.difftest",
    ) -> bytes:
        """The file.

        Args:
            identifier: whether the file says `TFL3`.
            dynamic_batch: gives every activation the shape_signature (-1, ...), as TensorFlow does for Keras models.
            metadata: named metadata buffers.
            weights_outside: keeps the constants behind the flatbuffer (Buffer.offset), as files over 2 GB do.
        """
        return write_model(
            (self, *self._more),
            identifier=identifier,
            dynamic_batch=dynamic_batch,
            metadata=metadata or {},
            weights_outside=weights_outside,
            description=description,
        )

    # -- inner -------------------------------------------------------------------------------------------------------

    def _value(
        self,
        shape: tuple[int, ...],
        name: str,
        *,
        dtype: str = "float32",
        data: np.ndarray | None = None,
        sparsity: Table | None = None,
        quantization: Table | None = None,
        scale: float = 0.0,
        zero_point: int = 0,
    ) -> Value:
        value = Value(len(self.tensors), shape, dtype, scale, zero_point)
        self.tensors.append(TensorRecord(value, name, data, sparsity, quantization))
        return value

    def _unique(self, name: str) -> str:
        """Keras's way: the second `conv2d` is `conv2d_1`."""
        count = self._names[name]
        self._names[name] += 1
        return name if count == 0 else self._unique(f"{name}_{count}")

    def _random_weights(self, shape: Sequence[int]) -> np.ndarray:
        """Magnitudes between 0.4 and 1.4: no zero in fp16 or int8 either, and a mean square of about 0.9."""
        sign = self.rng.choice(np.array([-1.0, 1.0]), size=tuple(shape))
        return (sign * self.rng.uniform(0.4, 1.4, tuple(shape))).astype(np.float32)

    def _bias_of(self, x: Value, weights: Value, channels: int, bias: Value | bool, name: str) -> list[Value]:
        if isinstance(bias, Value):
            return [bias]
        if not bias:
            return []
        if x.dtype != "int8":
            return [self.bias(channels, f"{name}/bias")]
        scale = x.scale * weights.scale
        stored = quantization_parameters(scale, 0)
        data = np.rint(self.rng.uniform(-0.1, 0.4, channels) / scale).astype(np.int32)
        full_name = self._unique(f"{name}/bias")
        return [self._value(data.shape, full_name, dtype="int32", data=data, quantization=stored, scale=scale)]


def _pair(value: Pair) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value


def _window_shape(
    shape: tuple[int, ...],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    padding: str,
    channels: int,
) -> tuple[int, int, int, int]:
    """Output shape of a convolution or pooling window in TensorFlow's SAME and VALID sense."""
    sizes = []
    for size, k, s, d in zip(shape[1:3], kernel, stride, dilation, strict=True):
        window = (k - 1) * d + 1
        if padding == "VALID" and size < window:
            raise ValueError(f"window of {window} over {size} without padding")
        sizes.append(-(-size // s) if padding == "SAME" else (size - window) // s + 1)
    return (shape[0], sizes[0], sizes[1], channels)
