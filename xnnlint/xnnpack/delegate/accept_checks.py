"""Conditions that many operators share; every check yields what it objects to, in the runtime's order.

Source: google-ai-edge/LiteRT tflite/delegates/xnnpack/xnnpack_delegate.cc, the `Check*` functions of class `Subgraph`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from msgspec import Struct, field

from xnnlint.model.graph import BLOCKWISE, Graph, Operator, Tensor
from xnnlint.xnnpack.delegate.rejection import Objection, Rejection
from xnnlint.xnnpack.profile import Profile

_BLOCK = 32  # weights that share a scale are a multiple of this
MAX_RANK = 6  # XNN_MAX_TENSOR_DIMS in google/XNNPACK include/xnnpack.h
INF = math.inf

ACTIVATION_RANGES = {"NONE": (-INF, INF), "RELU": (0.0, INF), "RELU_N1_TO_1": (-1.0, 1.0), "RELU6": (0.0, 6.0)}
"""Fused activations that XNNPACK's nodes can apply: output range (`ConvertActivationToOutputRange`)."""

FLOATS = ("FLOAT32", "FLOAT16")
_SMALLEST_NORMAL = float(np.finfo(np.float32).tiny)


class Scope(Struct):
    """What the delegate knows when it looks at an operator.

    Attributes:
        quasi_static: tensors that the delegate can unpack from constants when it is applied (DEQUANTIZE, DENSIFY).
        aliases: fp32 tensor -> the fp16 tensor that XNNPACK gets in its place.
        variables: resource tensor -> the first tensor read from it or assigned to it, which has its type and shape.
    """

    graph: Graph
    profile: Profile
    quasi_static: set[int] = field(default_factory=set)
    aliases: dict[int, int] = field(default_factory=dict)
    variables: dict[int, int] = field(default_factory=dict)

    def dtype(self, tensor: int) -> str:
        """The type that XNNPACK sees: FLOAT16 where a DEQUANTIZE is left out (`GetTensorType`)."""
        return "FLOAT16" if tensor in self.aliases else self.graph.tensors[tensor].dtype

    def is_static(self, tensor: int) -> bool:
        stored = self.graph.tensors[tensor]
        return stored.is_constant or stored.is_external or tensor in self.quasi_static


Check = Callable[[Scope, Operator], Iterator[Rejection]]
"""What the delegate objects to in an operator of one type, in its order."""


def name_of(tensor: Tensor) -> str:
    return f"tensor {tensor.index}" + (f" ({tensor.name})" if tensor.name else "")


def origin(graph: Graph, tensor: Tensor) -> str:
    """Where a tensor's values come from, as a user would say it."""
    if tensor.is_constant:
        return "a constant"
    if tensor.is_external:
        return "kept in another file"
    producer = graph.producer(tensor.index)
    if producer is not None:
        return f"computed by {producer.custom_code or producer.type}"
    return "a variable" if tensor.is_variable else "an input of the model" if tensor.index in graph.inputs else "empty"


def constant(tensor: Tensor) -> np.ndarray:
    """The values of a constant, flat."""
    return tensor.stored() if tensor.stored is not None else np.zeros(0, np.int32)


# -- number of tensors ---------------------------------------------------------------------------------------------


def arity(
    op: Operator, inputs: tuple[int, int] | int, outputs: tuple[int, int] | int, optional: Iterable[int] = ()
) -> Iterator[Rejection]:
    """Numbers of inputs and outputs; no input but the `optional` slots may be left out."""
    low, high = (inputs, inputs) if isinstance(inputs, int) else inputs
    if not low <= len(op.inputs) <= high:
        yield Rejection(Objection.INPUTS, _count(low, high, "input"), f"{len(op.inputs)} inputs")
    for slot, tensor in enumerate(op.inputs):
        if tensor < 0 and slot not in optional:
            yield Rejection(Objection.INPUTS, f"input {slot}", "left out")
    low, high = (outputs, outputs) if isinstance(outputs, int) else outputs
    if not low <= len(op.outputs) <= high or any(t < 0 for t in op.outputs):
        yield Rejection(Objection.OUTPUTS, _count(low, high, "output"), f"{len(op.outputs)} outputs")


def _count(low: int, high: int, what: str) -> str:
    number = str(low) if low == high else f"{low} to {high}"
    return f"{number} {what}" + ("" if low == high == 1 else "s")


# -- types ---------------------------------------------------------------------------------------------------------


def dtype(tensor: Tensor, allowed: Iterable[str]) -> Iterator[Rejection]:
    """An exact set of types."""
    allowed = tuple(allowed)
    if tensor.dtype not in allowed:
        yield _wrong_type(tensor, " or ".join(allowed))


def float_type(tensor: Tensor) -> Iterator[Rejection]:
    """`CheckTensorFloatType`."""
    yield from dtype(tensor, FLOATS)


def float_or_q8(tensor: Tensor, floats: Iterable[str] = FLOATS, unsigned: bool = True) -> Iterator[Rejection]:
    """`CheckTensorFloatOrQUInt8Type` and its kin: float, or 8-bit with one scale for the tensor."""
    if tensor.dtype in floats:
        return
    if tensor.dtype == "INT8" or (unsigned and tensor.dtype == "UINT8"):
        yield from _per_tensor(tensor)
        return
    yield _wrong_type(tensor, f"{' or '.join(floats)} or quantized {'INT8 or UINT8' if unsigned else 'INT8'}")


def q8(tensor: Tensor) -> Iterator[Rejection]:
    """`CheckTensorQInt8OrQUInt8Type`."""
    yield from float_or_q8(tensor, floats=())


def _per_tensor(tensor: Tensor) -> Iterator[Rejection]:
    q = tensor.quantization
    if q is None or not q.scale:
        yield Rejection(Objection.QUANTIZATION, "a scale for the tensor", f"none at {name_of(tensor)}", tensor.index)
    elif q.quantized_dimension != 0 or len(q.scale) != 1:
        yield Rejection(
            Objection.QUANTIZATION, "one scale for the tensor", f"{len(q.scale)} at {name_of(tensor)}", tensor.index
        )
    elif tensor.dtype == "UINT8" and len(q.zero_point) != 1:
        yield Rejection(
            Objection.QUANTIZATION, "one zero point", f"{len(q.zero_point)} at {name_of(tensor)}", tensor.index
        )


def _wrong_type(tensor: Tensor, required: str) -> Rejection:
    return Rejection(Objection.DTYPE, required, f"{tensor.dtype} at {name_of(tensor)}", tensor.index)


def usable_scale(scale: float) -> bool:
    """Finite, normal and positive in float32, as `xnn_validate_quantized_tensor` asks."""
    return math.isfinite(scale) and scale >= _SMALLEST_NORMAL


def _scales(tensor: Tensor) -> Iterator[Rejection]:
    assert tensor.quantization is not None
    for scale in tensor.quantization.scale:
        if not usable_scale(scale):
            yield Rejection(Objection.QUANTIZATION, "positive scales", f"{scale:g} at {name_of(tensor)}", tensor.index)
            return


def filter_type(tensor: Tensor, channel_dimension: int) -> Iterator[Rejection]:
    """`CheckTensorFloat32OrQCInt8Type`: float, 8-bit with one scale, or INT8 with one scale for each channel."""
    if tensor.dtype in FLOATS:
        return
    if tensor.dtype == "UINT8":
        yield from _per_tensor(tensor)
        yield from _scales(tensor)
        return
    if tensor.dtype != "INT8":
        yield _wrong_type(tensor, "FLOAT32, FLOAT16, INT8 or UINT8")
        return
    q = tensor.quantization
    if q is None or not q.scale:
        yield Rejection(Objection.QUANTIZATION, "scales", f"none at {name_of(tensor)}", tensor.index)
        return
    if len(q.scale) > 1 and q.quantized_dimension != channel_dimension:
        yield Rejection(
            Objection.QUANTIZATION,
            f"scales along dimension {channel_dimension}",
            f"along dimension {q.quantized_dimension} at {name_of(tensor)}",
            tensor.index,
        )
    yield from _scales(tensor)
    zero_point = q.zero_point[0] if q.zero_point else 0
    if len(q.scale) > 1 and zero_point != 0:
        yield Rejection(Objection.QUANTIZATION, "zero point 0", f"{zero_point} at {name_of(tensor)}", tensor.index)


def fully_connected_filter_type(tensor: Tensor) -> Iterator[Rejection]:
    """`CheckTensorFilterType`: as `filter_type`, and INT4 and INT2."""
    if tensor.dtype in FLOATS:
        return
    if tensor.dtype == "UINT8":
        yield from _per_tensor(tensor)
        return
    if tensor.dtype not in ("INT8", "INT4", "INT2"):
        yield _wrong_type(tensor, "FLOAT32, FLOAT16, INT8, INT4, INT2 or UINT8")
        return
    q = tensor.quantization
    if q is not None and q.details == BLOCKWISE and q.block_size % _BLOCK:
        actual = f"{q.block_size} at {name_of(tensor)}"
        yield Rejection(Objection.QUANTIZATION, f"blocks of a multiple of {_BLOCK} weights", actual, tensor.index)
    if q is None or not q.scale:
        return  # the runtime only logs this case
    if len(q.scale) > 1 and q.quantized_dimension != 0:
        yield Rejection(
            Objection.QUANTIZATION,
            "scales along dimension 0",
            f"along dimension {q.quantized_dimension} at {name_of(tensor)}",
            tensor.index,
        )
    if tensor.dtype == "INT2" and len(q.scale) != tensor.shape[0]:
        yield Rejection(Objection.QUANTIZATION, "a scale for each channel", f"one at {name_of(tensor)}", tensor.index)


def bias_type(tensor: Tensor) -> Iterator[Rejection]:
    """`CheckTensorFloat32OrFloat16OrQCInt32Type`."""
    if tensor.dtype in FLOATS:
        return
    if tensor.dtype != "INT32":
        yield _wrong_type(tensor, "FLOAT32, FLOAT16 or INT32")
        return
    q = tensor.quantization
    if q is None or not q.scale or q.quantized_dimension != 0:
        yield Rejection(Objection.QUANTIZATION, "scales along dimension 0", f"none at {name_of(tensor)}", tensor.index)
        return
    yield from _scales(tensor)
    if len(q.scale) == 1 and q.zero_point and q.zero_point[0] != 0:
        yield Rejection(Objection.QUANTIZATION, "zero point 0", f"{q.zero_point[0]} at {name_of(tensor)}", tensor.index)


def filter_and_bias_types(scope: Scope, filter_index: int, bias_index: int) -> Iterator[Rejection]:
    """`CheckFilterAndBiasTypes`, on the types after fp16 weights took the place of their DEQUANTIZE."""
    filter_dtype, bias_dtype = scope.dtype(filter_index), scope.dtype(bias_index)
    if filter_dtype not in FLOATS or filter_dtype == bias_dtype or not scope.profile["filter_and_bias_types_checked"]:
        return
    if filter_dtype == "FLOAT16" and bias_dtype == "FLOAT32" and scope.profile["fp16_filter_with_fp32_bias"]:
        return
    yield Rejection(
        Objection.BIAS, f"a {filter_dtype} bias beside the {filter_dtype} filter", f"a {bias_dtype} bias", bias_index
    )


def same_types(*tensors: Tensor) -> Iterator[Rejection]:
    found = {t.dtype for t in tensors}
    if len(found) > 1:
        yield Rejection(Objection.DTYPE, "one type for all tensors", " and ".join(sorted(found)))


# -- shapes --------------------------------------------------------------------------------------------------------


def shape(tensor: Tensor, low: int, high: int | None = None) -> Iterator[Rejection]:
    """`CheckTensorShape`: the rank, and no dimension of 0."""
    high = low if high is None else high
    if not low <= tensor.rank <= high:
        required = f"rank {low}" if low == high else f"rank {low} to {high}"
        yield Rejection(Objection.RANK, required, f"rank {tensor.rank} at {name_of(tensor)}", tensor.index)
    elif any(d <= 0 for d in tensor.shape):
        yield Rejection(
            Objection.EMPTY_DIMENSION, "dimensions above 0", f"{list(tensor.shape)} at {name_of(tensor)}", tensor.index
        )


def vector(tensor: Tensor, what: str, leading_ones: bool = False) -> Iterator[Rejection]:
    """`CheckShapeTensorShape`."""
    if tensor.rank == 1 or (leading_ones and all(d == 1 for d in tensor.shape[:-1])):
        return
    yield Rejection(Objection.RANK, f"a rank-1 {what} tensor", f"rank {tensor.rank} at {name_of(tensor)}", tensor.index)


# -- where values come from ----------------------------------------------------------------------------------------


def constant_parameter(scope: Scope, tensor: Tensor, what: str, condition: Objection) -> Iterator[Rejection]:
    """`CheckTensorStaticAllocation` for a tensor that the delegate turns into a parameter of the node."""
    if not tensor.is_constant:
        yield Rejection(condition, f"constant {what} tensor", origin(scope.graph, tensor), tensor.index)


def static_weight(scope: Scope, tensor: Tensor, what: str, condition: Objection) -> Iterator[Rejection]:
    """`CheckTensorStaticAllocation` where constants behind DENSIFY or DEQUANTIZE pass too."""
    if not scope.is_static(tensor.index):
        yield Rejection(condition, f"constant {what}", origin(scope.graph, tensor), tensor.index)


# -- options -------------------------------------------------------------------------------------------------------


def fused_activation(op: Operator) -> Iterator[Rejection]:
    activation = op.attributes.get("fused_activation_function", "NONE")
    if activation not in ACTIVATION_RANGES:
        yield Rejection(
            Objection.FUSED_ACTIVATION, "fused activation NONE, RELU, RELU6 or RELU_N1_TO_1", str(activation)
        )


def padding(op: Operator) -> Iterator[Rejection]:
    if op.attributes.get("padding", "SAME") not in ("SAME", "VALID"):
        yield Rejection(Objection.PADDING, "padding SAME or VALID", str(op.attributes["padding"]))


def positive(op: Operator, *names: str) -> Iterator[Rejection]:
    for name in names:
        if number(op, name) <= 0:
            yield Rejection(Objection(name.replace("_", "-")), f"{name} above 0", str(op.attributes.get(name)))


_DEFAULTS = {"dilation_w_factor": 1, "dilation_h_factor": 1}


def number(op: Operator, name: str) -> int:
    """An integer option, with the schema's default where the file leaves it out."""
    return int(op.attributes.get(name, _DEFAULTS.get(name, 0)))
