"""Why the sparse path goes wrong at a place: the operator that stops it, and what to change there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from xnnlint.findings import Applicability
from xnnlint.xnnpack.half import METADATA
from xnnlint.xnnpack.ir import Layout, Node, NodeType, Value
from xnnlint.xnnpack.plan import Hazard, PartitionPlan, Plan

from ._text import dims, named, type_of, where_used
from .reduce_input import REDUCTIONS, SPATIAL

RESHAPE_FIX = "put a Reshape or Flatten directly behind {}, or pool without keepdims"
AXES_FIX = f"pool over axes {dims(SPATIAL)}: GlobalAveragePooling2D"
FLOAT_FIX = "convert with float32 or float16 weights instead of dynamic-range quantization"


@dataclass(frozen=True, slots=True)
class Cause:
    """What stops the sparse path at a place.

    Attributes:
        op: the operator at fault; None where it is an output or input of the model.
        kind: "operator" (no NCHW kernel), "crossing" (a value that leaves or enters the cluster), "keepdims", "axes",
            "vector" (a fully-connected operator on a pooled vector), "quantized", "unwritten", "undefined", "fp16",
            "unknown".
        text: what it does, to be put behind "since" or "because".
        required, actual: as in a finding.
        fix: what to change, in words.
    """

    op: int | None
    kind: str
    text: str
    required: str
    actual: str
    fix: str
    applicability: Applicability = Applicability.UNSAFE


def cause_of(plan: Plan, hazard: Hazard) -> Cause:
    """The first cause of a hazard that can be told."""
    if hazard.kind == "delegation":
        return _delegation(plan, hazard)
    if hazard.kind == "unwritten-weights":
        return _unwritten(plan, hazard)
    if hazard.kind == "fp16":
        return _half(plan, hazard)
    part, node = _place(plan, hazard)
    if part is None or node is None:
        return _unknown(plan, hazard)
    causes = _shapes(plan, part, node) if hazard.kind not in ("layout", "boundary") else ()
    return next(iter((*causes, *_layout(plan, part, node))), None) or _unknown(plan, hazard)


def broken_by(plan: Plan, kind: str) -> set[int]:
    """Operators that are a cause of the given kind for any hazard of the plan."""
    causes = (cause_of(plan, hazard) for hazard in plan.hazards)
    return {cause.op for cause in causes if cause.kind == kind and cause.op is not None}


def _place(plan: Plan, hazard: Hazard) -> tuple[PartitionPlan | None, Node | None]:
    """The partition of a hazard, and its node; for a place outside all partitions what computes its input."""
    ops = [hazard.op]
    producers = (plan.graph.producer(t) for t in plan.graph.operators[hazard.op].inputs if t >= 0)
    ops += [op.index for op in producers if op is not None]
    for op in ops:
        for part in plan.partitions:
            troubles = [t.node for t in part.execution.troubles if t.node.op == op] if part.execution else []
            nodes = troubles or [n for n in part.nodes if n.op == op]
            if nodes:
                return part, nodes[-1]
    return None, None


# -- wrong shapes


def _shapes(plan: Plan, part: PartitionPlan, node: Node) -> Iterator[Cause]:
    """The pooling that gives a wrong shape, or the fully-connected operator that cannot work with a vector."""
    reduces = [n for n in _upstream(part, node) if n.type in REDUCTIONS]
    for reduce in reduces:
        axes = tuple(sorted(reduce.params["axes"]))
        if axes != SPATIAL:
            yield Cause(
                reduce.op,
                "axes",
                f"{named(plan.graph, reduce.op)} pools over axes {dims(axes)}, and in NCHW the runtime takes others",
                f"pooling over axes {dims(SPATIAL)}",
                f"axes {dims(axes)} at {named(plan.graph, reduce.op)}",
                AXES_FIX,
            )
        elif reduce.params["keep_dims"]:
            target = part.subgraph.values[reduce.outputs[0]]
            state = part.execution.states[target.id].shape if part.execution else target.shape
            told = f" of {dims(state)} instead of {dims(target.shape)}" if state != target.shape else ""
            where = named(plan.graph, reduce.op)
            yield Cause(
                reduce.op,
                "keepdims",
                f"{where} keeps its dimensions, and the runtime reports a shape{told}",
                "a RESHAPE between a pooling with keepdims and what reads it",
                f"keepdims and no RESHAPE at {where}",
                RESHAPE_FIX.format(where),
                Applicability.SAFE,
            )
    if node.type == NodeType.FULLY_CONNECTED and part.subgraph.values[node.inputs[0]].rank < 3:
        shape = dims(part.subgraph.values[node.inputs[0]].shape)
        yield Cause(
            node.op,
            "vector",
            f"{named(plan.graph, node.op)} reads a vector of shape {shape}, and the sparse kernel needs a map",
            "a RESHAPE between the pooling and a FULLY_CONNECTED with keep_num_dims",
            f"none in front of {named(plan.graph, node.op)}",
            "put a Reshape between the pooling and the Dense layer, so that it stays outside the cluster",
            Applicability.SAFE,
        )


def _upstream(part: PartitionPlan, node: Node) -> list[Node]:
    """A node and all before it that it depends on, nearest first, up to the poolings."""
    producers = {v: n for n in part.nodes for v in n.outputs}
    found, pending = [], [node]
    while pending:
        current = pending.pop(0)
        if current in found:
            continue
        found.append(current)
        if current.type not in REDUCTIONS or current is node:
            pending += [producers[v] for v in current.inputs if v in producers]
    return found


# -- data in the wrong order


def _layout(plan: Plan, part: PartitionPlan, node: Node) -> Iterator[Cause]:
    """What keeps the readers of a node, or the node itself, out of the cluster."""
    position = {id(n): i for i, n in enumerate(part.nodes)}
    if id(node) not in position:
        return
    n = position[id(node)]
    if not part.decision.verdicts[n].layout or _is_bad(part, n):
        yield from _why_not(plan, part, n, set())
    for v in node.outputs:
        value = part.subgraph.values[v]
        for i, reader in enumerate(part.nodes):
            if v in reader.inputs:
                yield from _why_not(plan, part, i, set())
        if value.external_output:
            yield _leaves(plan, value)


def _is_bad(part: PartitionPlan, n: int) -> bool:
    cluster = part.decision.cluster_of.get(n)
    return cluster is not None and bool(cluster.broken_by)


def _why_not(plan: Plan, part: PartitionPlan, n: int, seen: set[int]) -> Iterator[Cause]:
    """Why a node is not part of a live cluster."""
    if n in seen:
        return
    seen.add(n)
    node, verdict = part.nodes[n], part.decision.verdicts[n]
    if verdict.unmet or not verdict.layout:
        yield _incapable(plan, part, n)
        return
    if verdict.layout is Layout.EXIT:
        return
    cluster = part.decision.cluster_of.get(n)
    reason = (cluster.broken_by.get(n) or cluster.broken_by.get(cluster.leader, "")) if cluster else "producer"
    kind, _, index = reason.partition(":")
    producers = {v: i for i, p in enumerate(part.nodes) for v in p.outputs}
    if kind == "member":
        yield from _why_not(plan, part, int(index), seen)
    elif kind == "value":
        for i, reader in enumerate(part.nodes):
            if int(index) in reader.inputs:
                yield from _why_not(plan, part, i, seen)
        if part.subgraph.values[int(index)].external_output:
            yield _leaves(plan, part.subgraph.values[int(index)])
    elif kind:
        for value in part.subgraph.dynamic_inputs(node):
            if value.is_external and value.id not in producers:
                yield _enters(plan, node, value)
            elif value.is_external:
                yield _leaves(plan, value)
            elif value.id in producers and not part.decision.verdicts[producers[value.id]].layout & _RUNS:
                yield from _ended(plan, part, producers[value.id], n, seen)
            elif value.id in producers:
                yield from _why_not(plan, part, producers[value.id], seen)


_RUNS = Layout.NCHW | Layout.ENTRY


def _ended(plan: Plan, part: PartitionPlan, producer: int, n: int, seen: set[int]) -> Iterator[Cause]:
    """A node that reads what another gives out in NHWC for good."""
    if part.decision.verdicts[producer].layout is not Layout.EXIT:
        yield from _why_not(plan, part, producer, seen)
        return
    reader, end = named(plan.graph, part.nodes[n].op), named(plan.graph, part.nodes[producer].op)
    yield Cause(
        part.nodes[n].op,
        "crossing",
        f"{reader} reads {end}, too, which has turned its value back to NHWC",
        "operands that are all inside the cluster, or all outside",
        f"{reader} reads both",
        f"let {reader} read both operands through DEPTH_TO_SPACE",
    )


def _incapable(plan: Plan, part: PartitionPlan, n: int) -> Cause:
    node, rule, verdict = part.nodes[n], part.rules[n], part.decision.verdicts[n]
    fix, applicability = rule.remedy(node, part.subgraph)
    where = named(plan.graph, node.op)
    return Cause(
        node.op,
        "operator",
        f"{where} cannot run in NCHW ({rule.code})",
        "; ".join(u.required for u in verdict.unmet) or "an operator that can run in NCHW",
        f"{'; '.join(u.actual for u in verdict.unmet) or type_of(plan.graph.operators[node.op])} at {where}",
        f"at {where}: {fix}",
        applicability,
    )


def _leaves(plan: Plan, value: Value) -> Cause:
    used = where_used(plan.graph, value.tensor) if value.tensor is not None else "an output"
    producer = plan.graph.producer(value.tensor) if value.tensor is not None else None
    return Cause(
        producer.index if producer else None,
        "crossing",
        f"its map is {used}, with no pooling and no DEPTH_TO_SPACE in between",
        "MEAN or SUM over H and W, or DEPTH_TO_SPACE, in front of every output",
        f"a map of shape {dims(value.shape)}, {used}",
        "end the branch with GlobalAveragePooling2D(keepdims=True) and a Reshape, or with tf.nn.depth_to_space",
    )


def _enters(plan: Plan, node: Node, value: Value) -> Cause:
    where = named(plan.graph, node.op)
    source = where_used(plan.graph, value.tensor) if value.tensor in plan.graph.inputs else "computed by TFLite"
    return Cause(
        node.op,
        "crossing",
        f"{where} reads a value from outside the cluster, {source}",
        "operands that are all inside the cluster",
        f"a value of shape {dims(value.shape)}, {source}, at {where}",
        f"let {where} read the other operand through DEPTH_TO_SPACE, or start that branch with the stem",
    )


# -- what the delegate does


def _delegation(plan: Plan, hazard: Hazard) -> Cause:
    op = plan.graph.operators[hazard.op]
    where = named(plan.graph, op.index)
    sparse = plan.delegation.sparse_weights if plan.delegation else frozenset()
    if any(t in sparse and plan.graph.tensors[t].dtype == "INT8" for t in op.inputs if t >= 0):
        return Cause(
            op.index,
            "quantized",
            "its weights are int8 and stored sparse, its values float32, and XNNPACK takes the weights before they "
            "are unpacked",
            "float32 or float16 weights where they are stored sparse",
            "int8 weights of dynamic-range quantization, stored sparse",
            FLOAT_FIX,
            Applicability.MANUAL,
        )
    return Cause(
        op.index,
        "undefined",
        hazard.text,
        "operators that XNNPACK can define once its delegate has taken them",
        f"{hazard.text} at {where}",
        f"convert {where} without quantization, with float32 values and weights",
        Applicability.MANUAL,
    )


def _unwritten(plan: Plan, hazard: Hazard) -> Cause:
    rejected = plan.delegation.rejected if plan.delegation else {}
    op = plan.graph.operators[hazard.op]
    # The hazard may be told of the DEQUANTIZE; at fault is the operator that reads what it writes.
    readers = [op, *(reader for t in op.outputs for reader in plan.graph.consumers(t))]
    op = next((reader for reader in readers if reader.index in rejected), op)
    rejection, where = rejected.get(op.index), named(plan.graph, op.index)
    return Cause(
        op.index,
        "unwritten",
        f"XNNPACK leaves {where} to TFLite, but takes the DENSIFY that unpacks its float16 weights, and never runs it",
        rejection.required if rejection else "an operator that XNNPACK takes",
        f"{rejection.actual if rejection else type_of(op)} at {where}",
        f"at {where}: change the operator so that XNNPACK takes it, or convert with float32 weights",
        Applicability.MANUAL,
    )


def _half(plan: Plan, hazard: Hazard) -> Cause:
    return Cause(
        hazard.op,
        "fp16",
        f"the file allows float16 arithmetic, which {plan.profile.cpu_title} has, and this runtime's sparse kernels do "
        "not work with it",
        "float32 arithmetic",
        f"a metadata entry {METADATA}",
        "convert without an accumulation type of float16",
        Applicability.SAFE,
    )


def _unknown(plan: Plan, hazard: Hazard) -> Cause:
    return Cause(
        hazard.op,
        "unknown",
        hazard.text,
        "operators that agree on shapes and on the order of the data in memory",
        hazard.text,
        "change what the other findings name",
    )
