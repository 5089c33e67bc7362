"""Names of the operators that XNNPACK creates for nodes, exactly as LiteRT's profiler prints them.

Sources (google/XNNPACK): src/operator-utils.c `xnn_operator_type_to_string_v2`, src/xnnpack/operator-type-defs.inc,
src/xnnpack/microkernel-type-defs.inc, and the functions named below.
"""

from __future__ import annotations

from xnnlint.xnnpack.ir import Node, NodeType, Subgraph
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
_REDUCE = {NodeType.REDUCE_MAX: "Reduce Max (ND) Reduce", NodeType.REDUCE_MIN: "Reduce Min (ND) Reduce"}

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
        return f"Fully Connected (NC, {_weighted_type(node, subgraph, is_convolution=False)}) GEMM"
    kernel = _convolution_kernel(node, source.dtype, profile)
    types = _weighted_type(node, subgraph, is_convolution=True)
    return f"Convolution (NHWC, {types}) {kernel}"


def _deconvolution_name(node: Node, subgraph: Subgraph) -> str:
    """`is_subconv2d` in src/operators/deconvolution-nhwc.c."""
    p = node.params
    (height, width), (stride_h, stride_w) = p["kernel"], p["stride"]
    strided = max(stride_h, stride_w) > 1 and p.get("dilation", (1, 1)) == (1, 1)
    kernel = "Subconv2D" if strided and stride_w <= width and stride_h <= height else "IGEMM"
    return f"Deconvolution (NHWC, {_weighted_type(node, subgraph, is_convolution=True)}) {kernel}"


def _elementwise_name(node: Node, subgraph: Subgraph, profile: Profile) -> str:
    source, target = subgraph.values[node.inputs[0]], subgraph.values[node.outputs[0]]
    from_type, to_type = (_FLOAT.get(v.dtype, "F32") for v in (source, target))
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


def kernel_name(node: Node, subgraph: Subgraph, profile: Profile) -> str:
    """The profiler's name for the operator of a node, once the layouts are set."""
    source = subgraph.values[node.inputs[0]]
    bits = _BITS.get(source.dtype, "X32")
    types = _FLOAT.get(source.dtype, "F32")
    typed = f", {types}" if profile["elementwise_names"] == "typed" else ""
    match node.type:
        case NodeType.CONVOLUTION_2D | NodeType.DEPTHWISE_CONVOLUTION_2D | NodeType.FULLY_CONNECTED:
            return _convolution_name(node, subgraph, profile)
        case NodeType.DECONVOLUTION_2D:
            return _deconvolution_name(node, subgraph)
        case NodeType.UNARY | NodeType.BINARY:
            return _elementwise_name(node, subgraph, profile)
        case NodeType.CONVERT:
            return "Convert (NC)"
        case NodeType.RESIZE_BILINEAR:
            return f"Resize Bilinear ({'NCHW' if source.nchw else 'NHWC'}{typed})"
        case NodeType.DEPTH_TO_SPACE_2D:
            return f"Depth To Space ({'NCHW2NHWC' if source.nchw else 'NHWC'}, {bits}) Transpose"
        case NodeType.SPACE_TO_DEPTH_2D:
            return f"Space To Depth (NHWC, {bits}) Transpose"
        case NodeType.GLOBAL_AVERAGE_POOLING_2D:
            return f"Global Average Pooling ({'NCW' if source.nchw else 'NWC'}, {types})"
        case NodeType.CONSTANT_PAD:
            return f"Constant Pad (ND, {bits})"
        case NodeType.RESHAPE:
            return f"Copy (NC, {bits})" if profile["reshape_as_copy"] else "Static Reshape (NC)"
        case _ if node.type in _SUMS:
            # Quantized sums still run the older kernel.
            kernel = profile["reduce_kernel"] if source.dtype in ("fp32", "fp16") else "Reduce"
            return f"{_SUMS[node.type]} (ND{typed}) {kernel}"
        case NodeType.OTHER if node.operator.startswith("global_"):
            return f"{node.operator.removesuffix('_1d').removesuffix('_2d').replace('_', ' ').title()} (NWC, {types})"
        case NodeType.EXPAND_DIMS:
            return "Static Expand Dims (NC)"
        case NodeType.COPY | NodeType.CONCATENATE | NodeType.EVEN_SPLIT:
            return f"Copy (NC, {bits})"
        case NodeType.SOFTMAX:
            return f"Softmax (NC, {types})"
        case NodeType.SLICE:
            return f"Slice (ND, {bits})"
        case NodeType.TRANSPOSE:
            return f"Transpose (ND, {bits})" + (" Transpose" if source.rank > 1 else "")
        case NodeType.AVERAGE_POOLING_2D:
            kernel = "Pixelwise Average Pooling" if node.params.get("same_padding") else "Average Pooling"
            return f"Average Pooling (NHWC, {types}) {kernel}"
        case NodeType.MAX_POOLING_2D:
            return f"Max Pooling (NHWC, {_POOLED.get(source.dtype, 'F32')})"
        case NodeType.ARGMAX_POOLING_2D:
            return "ArgMax Pooling (NHWC, F32)"
        case NodeType.UNPOOLING_2D:
            return "Unpooling (NHWC, X32)"
        case NodeType.BATCH_MATRIX_MULTIPLY:
            return f"Batch Matrix Multiply (NC, {types}) GEMM"
        case _ if node.type in _REDUCE:
            return _REDUCE[node.type]
        case _:
            return node.type
