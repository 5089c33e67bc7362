"""What comes of a plan: whether the results are right, and if not, where and why."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cached_property

from xnnlint.model.graph import Graph, Operator, Tensor
from xnnlint.xnnpack.computed_shapes import has_late_shape, impossible_reshapes, misled_readers, shapes_at_run_time
from xnnlint.xnnpack.delegate.delegation import Delegation
from xnnlint.xnnpack.entry_names import nameless
from xnnlint.xnnpack.execution import Order, State, is_order_free
from xnnlint.xnnpack.fault import Fault, FaultKind, Wrong
from xnnlint.xnnpack.ir import NodeType, Value
from xnnlint.xnnpack.loading import Refusal, unresolved
from xnnlint.xnnpack.plan import Hazard, Outcome, PartitionPlan, Plan
from xnnlint.xnnpack.profile import Profile
from xnnlint.xnnpack.sparse_readers import encoding_hazards
from xnnlint.xnnpack.tflite_refusals import tflite_refusal
from xnnlint.xnnpack.windows import same_padding_total

# Operators that refuse a wrong number of channels, whoever runs them.
CHANNEL_CHECKING = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
CONVOLUTION_NODES = (NodeType.FULLY_CONNECTED, NodeType.CONVOLUTION_2D, NodeType.DEPTHWISE_CONVOLUTION_2D)


class OutcomeJudge:
    """Judges plans of one graph on one runtime.

    Args:
        is_main: whether it is the graph whose inputs and outputs LiteRT binds.
        refused: what keeps the file from being loaded, whatever the plan.
    """

    def __init__(
        self, graph: Graph, profile: Profile, *, is_main: bool = True, refused: Iterable[Refusal] = ()
    ) -> None:
        self.graph = graph
        self.profile = profile
        self.is_main = is_main
        self.refused = list(refused)

    def judge(self, plan: Plan) -> None:
        """Set a plan's hazards and its outcome."""
        delegation = plan.delegation
        # The custom operators of a Keras model are layers that are not known.
        customs = unresolved(plan) if plan.model.format == "tflite" else []
        refused = [*self.refused, *customs] if self.is_main else []
        plan.hazards += (Hazard(op, fault, Outcome.FAILS) for op, fault in refused)
        if plan.failure is not None:
            plan.hazards.append(Hazard(plan.failure.op, plan.failure.fault, Outcome.FAILS))
        for part in plan.partitions:
            plan.hazards += self._hazards(part)
        plan.hazards += self._unwritten(delegation)
        plan.hazards += encoding_hazards(plan, self._mattering)
        if self.is_main:
            plan.hazards += self._output_hazards(plan)
            plan.hazards += self._name_hazards(plan)
        plan.hazards += self._refused_by_tflite(plan)
        plan.hazards += _called_hazards(plan)
        outcomes = {h.outcome for h in plan.hazards}
        if Outcome.FAILS in outcomes:
            plan.outcome = Outcome.FAILS
        elif outcomes:
            plan.outcome = Outcome.WRONG_RESULTS
        elif any(k.is_spmm for k in plan.kernels) or any(c.op is not None and c.plan.spmm_ops for c in plan.called):
            plan.outcome = Outcome.SPARSE

    def _unwritten(self, delegation: Delegation | None) -> Iterable[Hazard]:
        """Weights that the delegate should unpack, and leaves as they are.

        A float16 one that is an output and has no readers is handed to XNNPACK as float16, like those of which all
        readers take float16, and no value can be set up for it. Source: google-ai-edge/LiteRT
        tflite/delegates/xnnpack/xnnpack_delegate.cc `Delegate::PrepareOpsToDelegate`, `Subgraph::Invoke`.
        """
        if delegation is None:
            return
        for tensor in sorted(delegation.unwritten & self._mattering):
            reader = next(iter(self.graph.consumers(tensor)), None)
            op = reader or self.graph.producer(tensor)
            if reader is None and tensor in delegation.aliases:
                fault, outcome = Fault(Wrong.UNREAD_WEIGHT_IS_OUTPUT), Outcome.FAILS
            else:
                fault, outcome = Fault(Wrong.WEIGHTS_NOT_UNPACKED), Outcome.WRONG_RESULTS
            yield Hazard(None if op is None else op.index, fault, outcome)

    def _refused_by_tflite(self, plan: Plan) -> Iterable[Hazard]:
        """Operators that TFLite cannot prepare, and that anybody needs."""
        for index in sorted(plan.tflite_ops):
            op = self.graph.operators[index]
            fault = tflite_refusal(self.graph, op) if self._mattering.intersection(op.outputs) else None
            if fault is not None:
                yield Hazard(index, fault, Outcome.FAILS)

    def _output_hazards(self, plan: Plan) -> Iterable[Hazard]:
        """Outputs that TFLite cannot leave in the buffer that LiteRT binds to them.

        A tensor whose shape is known only once the operator runs gets memory of its own: the first run leaves the
        buffer as it was, and the second refuses to bind it. Dimensions that the file does not tell count as 1, so that
        the buffer is too small. A tensor that is an input, too, has the buffer of the output, which nobody fills, for
        both. Source: google-ai-edge/LiteRT litert/runtime/compiled_model.cc
        `RegisterBuffer`, tflite/core/subgraph.cc `SetCustomAllocationForTensor`.
        """
        if self.profile["output_buffers"] != "fixed":
            return
        shapes = self._shapes
        for tensor in dict.fromkeys(t for t in self.graph.outputs if t >= 0):
            producer = self.graph.producer(tensor)
            if producer is not None:
                fault = self._unbound(plan, producer, self.graph.tensors[tensor], shapes)
                if fault is not None:
                    yield Hazard(producer.index, fault, Outcome.FAILS)
            if tensor in self.graph.inputs:
                readers = self.graph.consumers(tensor)
                wrong = Wrong.INPUT_IS_OUTPUT if readers else Wrong.UNREAD_INPUT_IS_OUTPUT
                op = next(iter(readers or self.graph.operators), None)
                yield Hazard(None if op is None else op.index, Fault(wrong), Outcome.WRONG_RESULTS)

    def _name_hazards(self, plan: Plan) -> Iterable[Hazard]:
        """Inputs and outputs without a name of their own; a Keras model gets names when it is converted."""
        if self.profile["output_buffers"] != "fixed" or plan.model.format != "tflite":
            return
        for kind, tensor in nameless(plan.model, self.graph):
            producer, readers = self.graph.producer(tensor), self.graph.consumers(tensor)
            op = producer or next(iter(readers), None)
            fault = Fault(Wrong.NAME_SHARED, kind, self.graph.tensors[tensor].name, bool(plan.model.signatures))
            yield Hazard(None if op is None else op.index, fault, Outcome.FAILS)

    def _unbound(
        self, plan: Plan, producer: Operator, output: Tensor, shapes: dict[int, tuple[int, ...] | None]
    ) -> Fault | None:
        """Why an output does not fit the buffer that LiteRT makes by the file; one rule, whatever computes it."""
        if producer.index in plan.tflite_ops and self._is_late(plan, producer):
            return Fault(Wrong.OUTPUT_SHAPE_LATE)
        if output.index not in shapes:
            return None
        shape = shapes[output.index]
        if shape is None and not output.shape and producer.custom_code in self.profile["custom_operators"]:
            return Fault(Wrong.OUTPUT_SIZE_UNKNOWN, output.shape)
        if shape is None:
            # A dynamic batch is taken as one, as that of the inputs is.
            only_batch = output.has_rank and -1 not in output.shape_signature[1:]
            return None if only_batch else Fault(Wrong.OUTPUT_SIZE_UNKNOWN, output.shape)
        if math.prod(shape) > math.prod(output.shape):
            return Fault(Wrong.OUTPUT_SHAPE_UNTOLD, output.shape, shape)
        return None

    def _is_late(self, plan: Plan, op: Operator) -> bool:
        """Whether TFLite makes an operator's outputs dynamic tensors; of a loop or branch, if its subgraph has any."""
        if has_late_shape(self.graph, op):
            return True
        inner = [called.plan for called in plan.called if called.op == op.index and called.role != "cond"]
        return op.type in ("IF", "WHILE") and any(
            has_late_shape(part.graph, part.graph.operators[index]) for part in inner for index in part.tflite_ops
        )

    def _hazards(self, part: PartitionPlan) -> Iterable[Hazard]:
        yield from self._bias_hazards(part)
        yield from self._padding_hazards(part)
        run = part.execution
        if run is None:
            return
        yield from self._fp16_hazards(part)
        fatal = [t for t in run.troubles if t.fatal]
        if fatal:
            yield from (Hazard(t.node.op, t.fault, Outcome.FAILS) for t in fatal)
            return
        producers = part.subgraph.producers()
        outputs = [
            v
            for v in part.subgraph.values
            if v.external_output and v.id in producers and (v.tensor is None or v.tensor in self._mattering)
        ]
        if any(run.states[v.id].order is Order.LOST for v in outputs):
            yield from (Hazard(t.node.op, t.fault, Outcome.WRONG_RESULTS) for t in run.troubles)
        for value in outputs:
            state, op = run.states[value.id], part.subgraph.nodes[producers[value.id]].op
            yield from self._shape_hazards(part, value, state, op)
            if state.order is Order.NCHW and not is_order_free(value.shape):
                yield Hazard(op, Fault(Wrong.LEAVES_IN_NCHW), Outcome.WRONG_RESULTS)

    @cached_property
    def _shapes(self) -> dict[int, tuple[int, ...] | None]:
        return shapes_at_run_time(self.graph)

    @cached_property
    def _mattering(self) -> set[int]:
        """Tensors on which an output or a variable depends; nobody sees what happens to the others."""
        assigned = (t for op in self.graph.operators if op.type == "ASSIGN_VARIABLE" for t in op.inputs)
        return self.graph.needed([*self.graph.outputs, *assigned])

    def _bias_hazards(self, part: PartitionPlan) -> Iterable[Hazard]:
        """`create_convolution_operator` and `create_nchw_convolution` in XNNPACK src/subgraph/convolution-2d.c."""
        if not self.profile["bias_read_as_filter_type"]:
            return
        values = part.subgraph.values
        for node in part.subgraph.nodes:
            # A fully-connected node takes this way only where it becomes a sparse convolution.
            affected = node.type == NodeType.CONVOLUTION_2D or (
                node.type == NodeType.FULLY_CONNECTED and values[node.outputs[0]].nchw
            )
            mixed = [values[v].dtype for v in node.inputs[1:]] == ["fp16", "fp32"]
            if affected and mixed and self._mattering.intersection(self.graph.operators[node.op].outputs):
                yield Hazard(node.op, Fault(Wrong.BIAS_READ_AS_FP16), Outcome.WRONG_RESULTS)

    def _padding_hazards(self, part: PartitionPlan) -> Iterable[Hazard]:
        """SAME padding below 0, which turns into a huge number: all that such a convolution reads is padding.

        A 1x1 kernel is none of them: it never has SAME padding computed. Pools with a stride above their window would
        be, but are not delegated. Source: google/XNNPACK src/operators/convolution-nhwc.c
        `create_convolution2d_nhwc`, `reshape_convolution2d_nhwc`.
        """
        if not self.profile["same_padding_wraps"]:
            return
        for node in part.subgraph.nodes:
            p = node.params
            if node.type not in CONVOLUTION_NODES or not p.get("same_padding") or p["kernel"] == (1, 1):
                continue
            size = part.subgraph.values[node.inputs[0]].shape[1:3]
            total = min(map(same_padding_total, size, p["kernel"], p["stride"], p["dilation"]))
            if total < 0 and self._mattering.intersection(self.graph.operators[node.op].outputs):
                yield Hazard(node.op, Fault(Wrong.PADDING_BELOW_0, actual=total), Outcome.WRONG_RESULTS)

    def _fp16_hazards(self, part: PartitionPlan) -> Iterable[Hazard]:
        """NCHW convolutions of fp16 values are created as fp32 ones, or with filters that are read as fp32."""
        if self.profile["fp16_inference"] != "breaks":
            return
        values = part.subgraph.values
        for node in part.subgraph.nodes:
            if node.type not in CONVOLUTION_NODES or not values[node.outputs[0]].nchw:
                continue
            if values[node.outputs[0]].dtype == "fp16":
                as_fp32 = values[node.inputs[1]].dtype == "fp32"
                outcome = Outcome.FAILS if as_fp32 else Outcome.WRONG_RESULTS
                yield Hazard(node.op, Fault(Wrong.FP16_KERNEL_BROKEN), outcome)

    def _shape_hazards(self, part: PartitionPlan, value: Value, state: State, op: int) -> Iterable[Hazard]:
        """What follows from an output of a partition that has another shape at run time than in the model."""
        shape = state.shape
        if shape == value.shape or value.tensor is None:
            return
        resized = self.profile["output_buffers"] == "resized"
        if resized and math.prod(shape) > value.elements:
            fault = Fault(Wrong.OUTPUT_TOO_LARGE, value.elements, math.prod(shape))
            yield Hazard(op, fault, Outcome.WRONG_RESULTS)
        elif state.elements > value.elements:
            yield Hazard(op, Fault(Wrong.BUFFER_TOO_SMALL, value.elements, state.elements), Outcome.FAILS)
        for reader, wrong in impossible_reshapes(self.graph, value.tensor, shape):
            yield Hazard(reader.index, Fault(Wrong.RESHAPE_IMPOSSIBLE, shape, tuple(wrong)), Outcome.FAILS)
        # What one operator of a partition gives another is followed by `execution`.
        inside = set(part.partition.ops)
        for reader in misled_readers(self.graph, value.tensor):
            if self._mattering.intersection(reader.outputs) and reader.index not in inside:
                outcome = Outcome.FAILS if reader.type in CHANNEL_CHECKING else Outcome.WRONG_RESULTS
                yield Hazard(reader.index, Fault(Wrong.READER_MISLED, value.shape, shape), outcome)


def _called_hazards(plan: Plan) -> Iterable[Hazard]:
    """What happens in a subgraph happens at the operator that calls it; one that nobody calls can still keep the model
    from being loaded, since the delegate takes all subgraphs."""
    for called in plan.called:
        for hazard in called.plan.hazards:
            if called.op is not None or hazard.kind is FaultKind.DELEGATION:
                yield Hazard(called.op, hazard.fault, hazard.outcome)
