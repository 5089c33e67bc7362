"""XNN110: every operator that has no NCHW form at all."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from xnnlint.linter.findings import Applicability, Finding, Fix
from xnnlint.linter.rule import NodeRule
from xnnlint.xnnpack.conditions.nchw_kernel import NchwKernel, flattens_for_dense, operation_of
from xnnlint.xnnpack.conditions.node_condition import Operation, Unmet
from xnnlint.xnnpack.ir import REDUCTIONS, Node, NodeType, Subgraph
from xnnlint.xnnpack.plan import Plan

from ._branches import BY_SELECTION, is_map, takes_channels
from ._gates import gates
from ._pytorch import POINTWISE, POOLED, RESIZED
from ._text import by, tflite_type

INSTEAD = {
    NodeType.MAX_POOLING_2D: "use a 3x3 depthwise convolution of the same stride in its place",
    NodeType.AVERAGE_POOLING_2D: "use GlobalAveragePooling2D at the end, or a 3x3 depthwise convolution of stride 2",
    NodeType.CONCATENATE: "add the branches instead of concatenating them",
    NodeType.CONVOLUTION_2D: "replace it by a depthwise and a 1x1 convolution (SeparableConv2D)",
    NodeType.RESHAPE: "pool over height and width before reshaping",
    NodeType.CONSTANT_PAD: "pad only in front of a depthwise convolution with padding='valid', its only reader",
    NodeType.SPACE_TO_DEPTH_2D: "use a depthwise convolution with stride 2 in its place",
    NodeType.DECONVOLUTION_2D: "use UpSampling2D(interpolation='bilinear') and a 1x1 convolution",
    NodeType.REDUCE_MAX: "use GlobalAveragePooling2D(keepdims=True)",
    NodeType.REDUCE_MIN: "use GlobalAveragePooling2D(keepdims=True)",
    NodeType.SOFTMAX: "apply the softmax behind the pooling, or outside the model",
}


CHANNELS_LAST = (
    "keep maps channels-last from the input to the output, so that nothing is transposed; of a PyTorch model "
    "litert_torch.to_channel_last_io does that"
)


class OperatorWithoutNchwKernel(NodeRule):
    """An operator that XNNPACK cannot run in NCHW stands where a sparse cluster runs, or would run.

    ## What it does
    Finds every operator on maps that has no NCHW form: MAX_POOL_2D and AVERAGE_POOL_2D (larger than 1x1),
    CONCATENATION, CONV_2D with larger kernels, TRANSPOSE_CONV, RESHAPE, SLICE, TRANSPOSE, SPLIT, SOFTMAX,
    SPACE_TO_DEPTH, REDUCE_MAX, REDUCE_MIN, and a PAD that is not merged into a convolution. Operators behind the last
    pooling are left alone.

    ## Why it matters
    The operator ends the part of the model that could run sparse. The runtime does not check that: if a sparse cluster
    runs in front of it, the operator before it reads NCHW data as NHWC, and the outputs are wrong without any error
    (XNN901).

    ## Example
    ```python
    x = layers.Conv2D(64, 1, activation="relu")(x)
    x = layers.MaxPooling2D()(x)
    ```

    ## Use instead
    ```python
    x = layers.Conv2D(64, 1, activation="relu")(x)
    x = layers.ZeroPadding2D(1)(x)
    x = layers.DepthwiseConv2D(3, strides=2, padding="valid")(x)
    ```
    In a squeeze-and-excite block pool with keepdims=True, in place of a Reshape.

    ## Fix safety
    Unsafe: the model computes something else and needs fine-tuning. Safe where a pooling with keepdims=True takes the
    place of a Reshape.

    ## References
    - google/XNNPACK, src/subgraph.c, `xnn_check_nchw_compatibility`: node types that it does not list
    - google/XNNPACK, src/subgraph.c, `xnn_subgraph_fusion`: which PAD is merged into its reader
    """

    code = "XNN110"
    name = "operator-without-nchw-kernel"
    node_condition = NchwKernel
    terms = {**POINTWISE, **POOLED, **RESIZED}
    summary = "pools, concatenation, spatial convolutions and reshapes cannot be part of a sparse cluster"

    def words(self, unmet: Unmet) -> tuple[str, str]:
        return "an operator with an NCHW kernel", _operator(unmet.actual)

    def describe(self, node: Node, subgraph: Subgraph) -> str:
        return f"XNNPACK has no NCHW kernel for {_operator(operation_of(node, subgraph))}"

    def check(self, plan: Plan) -> Iterable[Finding]:
        """A gate that is computed of a vector is one finding, at the operator that makes a map of it again."""
        last = {gate.last.index: gate for gate in gates(plan.graph)}
        for finding in super().check(plan):
            op = -1 if finding.location.op is None else finding.location.op
            gate = last.get(op)
            if gate is not None:
                title, applicability = gate.fix(plan)
                waivers = frozenset(gate.waivers(plan))
                finding = replace(finding, fix=Fix(title, applicability), waivers=waivers)
            elif op >= 0 and takes_channels(plan.graph, plan.graph.operators[op]):
                finding = replace(finding, fix=Fix(BY_SELECTION, Applicability.SAFE))
            yield finding

    def remedy(self, node: Node, subgraph: Subgraph) -> tuple[str, Applicability]:
        if flattens_for_dense(node, subgraph):
            return "use a 1x1 Conv2D on the map, or pool over height and width before it", Applicability.UNSAFE
        if node.type == NodeType.RESHAPE and _restores_dimensions(node, subgraph):
            return "drop the Reshape and set keepdims=True in the pooling in front of it", Applicability.SAFE
        if node.type == NodeType.RESHAPE and is_map(subgraph.values[node.outputs[0]]):
            return "keep the map as it is, without reshaping it", Applicability.UNSAFE
        if node.type == NodeType.TRANSPOSE:
            return CHANNELS_LAST, Applicability.MANUAL
        instead = INSTEAD.get(node.type, "move it behind the pooling that ends the cluster")
        return instead, Applicability.UNSAFE


def _operator(operation: Operation) -> str:
    if operation.kernel is not None:
        groups = f" in {operation.groups} groups" if operation.groups > 1 else ""
        return f"{by(operation.kernel)} CONV_2D{groups}"
    if operation.flattens_map:
        return "FULLY_CONNECTED, which flattens the map"
    return tflite_type(operation.type, operation.operator)


def _restores_dimensions(node: Node, subgraph: Subgraph) -> bool:
    """Whether a reshape only gives back the dimensions that a pooling without keepdims dropped."""
    producer = next((n for n in subgraph.nodes if node.inputs[0] in n.outputs), None)
    return producer is not None and producer.type in REDUCTIONS and subgraph.values[node.outputs[0]].rank == 4
