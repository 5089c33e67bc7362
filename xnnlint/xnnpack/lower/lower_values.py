"""Values of an XNNPACK subgraph: one for each tensor that a partition's operators touch.

Source: google-ai-edge/LiteRT tflite/delegates/xnnpack/xnnpack_delegate.cc `Subgraph::Create`, `GetXNNPackDatatype`,
`DefineXNNPACKValue`, read at f674577 (2026-08-21).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from xnnlint.model.graph import Graph, Operator, Tensor
from xnnlint.xnnpack.delegate.accept_checks import ACTIVATION_RANGES
from xnnlint.xnnpack.delegate.delegation import Delegation, Partition
from xnnlint.xnnpack.ir import INF, Node, NodeType, Subgraph, Value
from xnnlint.xnnpack.profile import Profile

if TYPE_CHECKING:
    import numpy as np

_PLAIN = {"FLOAT32": "fp32", "FLOAT16": "fp16"}
_BY_TENSOR = {"INT8": "qint8", "INT4": "qint4", "INT2": "qint2", "UINT8": "quint8", "INT32": "qint32"}
_BY_CHANNEL = {"INT8": "qcint8", "INT4": "qcint4", "INT2": "qcint2", "INT32": "qcint32"}

_VARIABLE_ACCESS = ("READ_VARIABLE", "ASSIGN_VARIABLE")


def datatype(tensor: Tensor) -> str:
    """The part after `xnn_datatype_`; "invalid" where XNNPACK has no such type."""
    if tensor.dtype in _PLAIN:
        return _PLAIN[tensor.dtype]
    q = tensor.quantization
    if q is None or not q.scale or not q.zero_point:
        return "invalid"
    kinds = _BY_TENSOR if len(q.scale) == 1 else _BY_CHANNEL
    return kinds.get(tensor.dtype, "invalid")


class Lowering(Struct):
    """A subgraph in the making.

    Attributes:
        ids: TFLite tensor -> value id.
    """

    graph: Graph
    partition: Partition
    delegation: Delegation
    profile: Profile
    subgraph: Subgraph
    ids: dict[int, int] = field(default_factory=dict)

    def value(self, tensor: int) -> Value:
        return self.subgraph.values[self.ids[tensor]]

    def input(self, op: Operator, slot: int = 0) -> int:
        return self.ids[op.inputs[slot]]

    def output(self, op: Operator, slot: int = 0) -> int:
        return self.ids[op.outputs[slot]]

    def node(
        self,
        op: Operator,
        type: str,
        inputs: list[int],
        outputs: list[int],
        operator: str = "",
        activation: tuple[float, float] = (-INF, INF),
        **params: Any,
    ) -> Node:
        node = Node(type, inputs, outputs, op.index, operator, params, activation)
        self.subgraph.nodes.append(node)
        return node

    def clamp(self, op: Operator, source: int, target: int, limits: tuple[float, float]) -> Node:
        low, high = limits
        return self.node(op, NodeType.UNARY, [source], [target], "clamp", limits, min=low, max=high)

    def data(self, tensor: int) -> Callable[[], np.ndarray] | None:
        """How to get a tensor's static values, None where it is computed at run time.

        Of a tensor whose data is in another file nothing is known but that it is static.
        """
        if self.graph.tensors[tensor].is_external:
            return _unknown
        if self.graph.tensors[tensor].is_constant or tensor in self.delegation.unpacked:
            return lambda: _decode(self.graph, tensor)
        return None


Visitor = Callable[[Lowering, Operator], None]
"""Defines the nodes of an operator of one type."""


def _unknown() -> np.ndarray:
    import numpy as np

    return np.zeros(0, np.float32)


def _decode(graph: Graph, tensor: int) -> np.ndarray:
    from xnnlint.model import weights  # heavy only where a weight is really looked at

    return weights.decode(graph, tensor).reshape(-1)


def output_range(op: Operator) -> tuple[float, float]:
    """Output range of an accepted operator's fused activation."""
    return ACTIVATION_RANGES[op.attributes.get("fused_activation_function", "NONE")]


def define_tensors(lowering: Lowering, value_slots: Callable[[Operator], tuple[int, ...] | None]) -> None:
    """Makes a value for each tensor in use: external ones first, then the others, each ascending by tensor index.

    Args:
        value_slots: the input slots of an operator that hold values, None for all.
    """
    graph, delegation = lowering.graph, lowering.delegation
    used = set(_used(lowering, value_slots)) - delegation.aliases.keys()
    # Every fp16 tensor that stands in for an fp32 one is defined in every partition, used there or not.
    used |= set(delegation.aliases.values())
    inputs, outputs = _border(lowering)
    order = sorted(used)
    if lowering.profile["external_values_first"]:
        order.sort(key=lambda t: t not in inputs and t not in outputs)
    for tensor in order:
        _define(lowering, graph.tensors[tensor], tensor in inputs, tensor in outputs)
    for hidden, stand_in in delegation.aliases.items():
        lowering.ids[hidden] = lowering.ids[stand_in]


def _border(lowering: Lowering) -> tuple[set[int], set[int]]:
    """External inputs and outputs: what crosses the border of the partition, and the variables it reads and assigns."""
    inputs, outputs = set(lowering.partition.inputs), set(lowering.partition.outputs)
    inputs = {t for t in inputs if lowering.graph.tensors[t].dtype != "RESOURCE"}
    # The flags of a variable are those of all its readers and writers, in whichever partition they are.
    for op in lowering.graph.operators:
        if op.type in _VARIABLE_ACCESS and op.index not in lowering.delegation.rejected and op.inputs:
            (inputs if op.type == "READ_VARIABLE" else outputs).add(op.inputs[0])
    return inputs, outputs


def _used(lowering: Lowering, value_slots: Callable[[Operator], tuple[int, ...] | None]) -> Iterator[int]:
    for index in lowering.partition.ops:
        if index in lowering.delegation.skipped:
            continue
        op = lowering.graph.operators[index]
        slots = value_slots(op)
        yield from (t for slot, t in enumerate(op.inputs) if t >= 0 and (slots is None or slot in slots))
        yield from (t for t in op.outputs if t >= 0)


def _define(lowering: Lowering, tensor: Tensor, external_input: bool, external_output: bool) -> None:
    # A variable is a value of the type and shape of what is read from it or assigned to it.
    like = lowering.graph.tensors[lowering.delegation.variables.get(tensor.index, tensor.index)]
    value = lowering.subgraph.new_value(
        datatype(like),
        like.shape,
        tensor=tensor.index,
        data=lowering.data(tensor.index),
        external_input=external_input,
        external_output=external_output,
        tensor_name=tensor.name,
    )
    lowering.ids[tensor.index] = value.id
