"""Names of the operators that XNNPACK creates for nodes, exactly as LiteRT's profiler prints them.

Sources (google/XNNPACK): src/operator-utils.c `xnn_operator_type_to_string_v2`, src/xnnpack/operator-type-defs.inc,
src/xnnpack/microkernel-type-defs.inc, and the functions named below.
"""

from __future__ import annotations

from collections.abc import Callable

from xnnlint.xnnpack.ir import Node, NodeType, Subgraph, Value
from xnnlint.xnnpack.lookup_tables import LOOKUP
from xnnlint.xnnpack.profile import Profile

_UNARY = {
    "abs": "Abs",
    "approxgelu": "ApproxGELU",
    # The misspelling is the runtime's own.
    "bankers_rounding": "Bankders Rounding",
    "ceiling": "Ceiling",
    "clamp": "Clamp",
    "convert": "Convert",
    "cosine": "Cosine",
    "elu": "ELU",
    "exp": "Exp",
    "floor": "Floor",
    "gelu": "GELU",
    "hardswish": "HardSwish",
    "leaky_relu": "LeakyReLU",
    "log": "Log",
    "negate": "Negate",
    "reciprocal_square_root": "Reciprocal Square Root",
    "sigmoid": "Sigmoid",
    "sine": "Sine",
    "square": "Square",
    "square_root": "Square Root",
    "tanh": "TanH",
}

_BINARY = {
    "add": "Add",
    "divide": "Divide",
    "maximum": "Maximum",
    "minimum": "Minimum",
    "multiply": "Multiply",
    "prelu": "PReLU",
    "squared_difference": "Squared Difference",
    "subtract": "Subtract",
}

# Before 2024-10-28 every elementwise operator had a name of its own; these differ in more than the type.
_TYPED = {
    "Bankders Rounding (NC)": "Bankers Rounding (NC",
    "LeakyReLU (NC)": "Leaky ReLU (NC",
    "PReLU (ND)": "PReLU (NC",
    "Squared Difference (ND)": "Squared Difference (NC",
    "TanH (NC)": "Tanh (NC",
}

_SUMS = {
    NodeType.MEAN: "Mean",
    NodeType.MEAN_SQUARED: "Mean Squared",
    NodeType.SUM: "Sum",
    NodeType.SUM_SQUARED: "Normalize",
}

_BITS = {"fp32": "X32", "fp16": "X16", "qint8": "X8", "quint8": "X8", "int32": "X32"}
_FLOAT = {"fp32": "F32", "fp16": "F16", "qint8": "QS8", "quint8": "QU8"}
_POOLED = {"fp32": "F32", "fp16": "F16", "qint8": "S8", "quint8": "U8"}


def _weighted_type(node: Node, subgraph: Subgraph, *, is_convolution: bool) -> str:
    """The types in the name of an operator with weights, such as "F32" or "QD8, F32, QC8W"."""
    source, weights = (subgraph.values[v].dtype for v in node.inputs[:2])
    data: str = node.params.get("inlined_input", source)
    if data in ("qdint8", "qduint8"):
        output = _FLOAT.get(subgraph.values[node.outputs[0]].dtype, "F32")
        return f"{'QD8' if data == 'qdint8' else 'QDU8'}, {output}, {weights.upper().replace('INT', '')}W"
    if data == "qint8" and weights == "qcint8":
        return "QC8" if is_convolution else "QS8, QC8W"
    return _FLOAT.get(data, data.upper())


def _convolution_kernel(node: Node, dtype: str, profile: Profile) -> str:
    """`select_microkernel_type` in src/operators/convolution-nhwc.c."""
    p = node.params
    unit = p["kernel"] == p["stride"] == (1, 1) and not (any(p["padding"]) or p.get("same_padding"))
    if node.type == NodeType.DEPTHWISE_CONVOLUTION_2D:
        one_to_one = p["depth_multiplier"] == 1
    else:
        one_to_one = p["group_input_channels"] == 1 and p["group_output_channels"] == 1
    if one_to_one and unit and dtype in ("fp32", "fp16") and profile["vmulcaddc_kernel"]:
        return "VMulCAddC"
    elements = p["kernel"][0] * p["kernel"][1]
    if one_to_one and any(low <= elements <= high for low, high in profile["depthwise_kernel_elements"]):
        return "DWConv"
    return "GEMM" if unit and profile["pointwise_gemm_kernel"] and not dtype.startswith("qd") else "IGEMM"


def _convolution_name(node: Node, subgraph: Subgraph, profile: Profile) -> str:
    source, target = subgraph.values[node.inputs[0]], subgraph.values[node.outputs[0]]
    if target.nchw:
        if node.type == NodeType.DEPTHWISE_CONVOLUTION_2D:
            kernel = "DWConv"
        else:
            kernel = "SPMM" if source.nchw else "Conv2D HWC2CHW"
        both = subgraph.values[node.inputs[1]].dtype == target.dtype == "fp16"
        return f"Convolution (NCHW, {'F16' if both else 'F32'}) {kernel}"
    if node.type == NodeType.FULLY_CONNECTED:
        dynamic = "" if subgraph.values[node.inputs[1]].is_static else "Dynamic "
        return f"{dynamic}Fully Connected (NC, {_weighted_type(node, subgraph, is_convolution=False)}) GEMM"
    kernel = _convolution_kernel(node, source.dtype, profile)
    types = _weighted_type(node, subgraph, is_convolution=True)
    return f"Convolution (NHWC, {types}) {kernel}"


def _deconvolution_name(node: Node, subgraph: Subgraph, profile: Profile) -> str:
    """`is_subconv2d` in src/operators/deconvolution-nhwc.c."""
    p = node.params
    (height, width), (stride_h, stride_w) = p["kernel"], p["stride"]
    strided = max(stride_h, stride_w) > 1 and p.get("dilation", (1, 1)) == (1, 1)
    kernel = "Subconv2D" if strided and stride_w <= width and stride_h <= height else "IGEMM"
    types = _weighted_type(node, subgraph, is_convolution=False)
    order = "NC" if types == "QS8, QC8W" else "NHWC"  # as src/xnnpack/operator-type-defs.inc has it
    return f"Deconvolution ({order}, {types}) {kernel}"


def _elementwise_name(node: Node, subgraph: Subgraph, profile: Profile) -> str:
    source, target = subgraph.values[node.inputs[0]], subgraph.values[node.outputs[0]]
    from_type, to_type = (_FLOAT.get(v.dtype, "F32") for v in (source, target))
    if node.operator == LOOKUP:  # src/operator-utils.c has no name for it
        return "Invalid Unary Op"
    if node.operator == "convert" and target.dtype.startswith("qd"):
        return f"Convert (NC, {from_type}, {target.dtype.upper().replace('INT8', '8')})"
    is_unary = node.type == NodeType.UNARY
    name = f"{_UNARY.get(node.operator, node.operator)} (NC)" if is_unary else f"{_BINARY.get(node.operator)} (ND)"
    match profile["elementwise_names"]:
        case "generic":
            return "Unary Elementwise (NC)" if is_unary else "Binary Elementwise (ND)"
        case "typed":
            types = f"{from_type}, {to_type}" if node.operator == "convert" else from_type
            return f"{_TYPED.get(name, name[:-1])}, {types})"
    return name


def _bits(value: Value) -> str:
    return _BITS.get(value.dtype, "X32")


def _types(value: Value) -> str:
    return _FLOAT.get(value.dtype, "F32")


def _typed(value: Value, profile: Profile) -> str:
    return f", {_types(value)}" if profile["elementwise_names"] == "typed" else ""


def _sum_name(node: Node, x: Value, profile: Profile) -> str:
    # Quantized sums still run the older kernel.
    kernel = profile["reduce_kernel"] if x.dtype in ("fp32", "fp16") else "Reduce"
    return f"{_SUMS[node.type]} (ND{_typed(x, profile)}) {kernel}"


def _average_pooling_name(node: Node, x: Value, profile: Profile) -> str:
    kernel = "Pixelwise Average Pooling" if node.params.get("same_padding") else "Average Pooling"
    return f"Average Pooling (NHWC, {_types(x)}) {kernel}"


def _global_name(node: Node, x: Value, profile: Profile) -> str:
    return f"{node.operator.removesuffix('_1d').removesuffix('_2d').replace('_', ' ').title()} (NWC, {_types(x)})"


def _copy_name(node: Node, x: Value, profile: Profile) -> str:
    return f"Copy (NC, {_bits(x)})"


# By node type: of all values of the node, and of its first input alone.
_OF_VALUES: dict[str, Callable[[Node, Subgraph, Profile], str]] = {
    NodeType.CONVOLUTION_2D: _convolution_name,
    NodeType.DEPTHWISE_CONVOLUTION_2D: _convolution_name,
    NodeType.FULLY_CONNECTED: _convolution_name,
    NodeType.DECONVOLUTION_2D: _deconvolution_name,
    NodeType.UNARY: _elementwise_name,
    NodeType.BINARY: _elementwise_name,
}
_OF_INPUT: dict[str, Callable[[Node, Value, Profile], str]] = {
    NodeType.CONVERT: lambda node, x, profile: "Convert (NC)",
    NodeType.RESIZE_BILINEAR: lambda node, x, profile: (
        f"Resize Bilinear ({'NCHW' if x.nchw else 'NHWC'}{_typed(x, profile)})"
    ),
    NodeType.DEPTH_TO_SPACE_2D: lambda node, x, profile: (
        f"Depth To Space ({'NCHW2NHWC' if x.nchw else 'NHWC'}, {_bits(x)}) Transpose"
    ),
    NodeType.SPACE_TO_DEPTH_2D: lambda node, x, profile: f"Space To Depth (NHWC, {_bits(x)}) Transpose",
    NodeType.GLOBAL_AVERAGE_POOLING_2D: lambda node, x, profile: (
        f"Global Average Pooling ({'NCW' if x.nchw else 'NWC'}, {_types(x)})"
    ),
    NodeType.OTHER: _global_name,
    **dict.fromkeys(_SUMS, _sum_name),
    NodeType.REDUCE_MAX: lambda node, x, profile: "Reduce Max (ND) Reduce",
    NodeType.REDUCE_MIN: lambda node, x, profile: "Reduce Min (ND) Reduce",
    NodeType.CONSTANT_PAD: lambda node, x, profile: f"Constant Pad (ND, {_bits(x)})",
    NodeType.RESHAPE: lambda node, x, profile: (
        _copy_name(node, x, profile) if profile["reshape_as_copy"] else "Static Reshape (NC)"
    ),
    NodeType.EXPAND_DIMS: lambda node, x, profile: "Static Expand Dims (NC)",
    NodeType.COPY: _copy_name,
    NodeType.CONCATENATE: _copy_name,
    NodeType.EVEN_SPLIT: _copy_name,
    NodeType.SOFTMAX: lambda node, x, profile: f"Softmax (NC, {_types(x)})",
    NodeType.SLICE: lambda node, x, profile: f"Slice (ND, {_bits(x)})",
    NodeType.TRANSPOSE: lambda node, x, profile: f"Transpose (ND, {_bits(x)})" + (" Transpose" if x.rank > 1 else ""),
    NodeType.AVERAGE_POOLING_2D: _average_pooling_name,
    NodeType.MAX_POOLING_2D: lambda node, x, profile: f"Max Pooling (NHWC, {_POOLED.get(x.dtype, 'F32')})",
    NodeType.ARGMAX_POOLING_2D: lambda node, x, profile: "ArgMax Pooling (NHWC, F32)",
    NodeType.UNPOOLING_2D: lambda node, x, profile: "Unpooling (NHWC, X32)",
    NodeType.BATCH_MATRIX_MULTIPLY: lambda node, x, profile: f"Batch Matrix Multiply (NC, {_types(x)}) GEMM",
}
NAMED = frozenset((*_OF_VALUES, *_OF_INPUT))
"""The node types of which the name is known."""


def kernel_name(node: Node, subgraph: Subgraph, profile: Profile) -> str:
    """The profiler's name for the operator of a node, once the layouts are set."""
    of_values = _OF_VALUES.get(node.type)
    if of_values is not None:
        return of_values(node, subgraph, profile)
    return _OF_INPUT[node.type](node, subgraph.values[node.inputs[0]], profile)
