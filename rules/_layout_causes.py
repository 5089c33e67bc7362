"""Why data lies in another order, or in another shape, than an operator reads it."""

from __future__ import annotations

from collections.abc import Iterator

from xnnlint.linter.findings import Applicability
from xnnlint.linter.rule_registry import rule_of
from xnnlint.model.graph import Graph, Operator
from xnnlint.xnnpack.conditions.reduce_input import SPATIAL
from xnnlint.xnnpack.ir import REDUCTIONS, Layout, Node, NodeType, Value
from xnnlint.xnnpack.layout import Break, BreakCause
from xnnlint.xnnpack.plan import Hazard, PartitionPlan, Plan, is_pointwise

from ._cause import AXES_FIX, Cause, CauseKind
from ._text import dims, listed, named, type_of, where_used


def nodes(plan: Plan, op: int) -> Iterator[tuple[PartitionPlan, Node]]:
    """The nodes made from an operator; those at which the run got into trouble first."""
    for part in plan.partitions:
        troubles = [t.node for t in part.execution.troubles if t.node.op == op] if part.execution else []
        yield from ((part, node) for node in [*troubles, *(n for n in part.nodes if n.op == op)])


def shapes(plan: Plan, hazard: Hazard) -> Iterator[Cause]:
    """The pooling that gives a wrong shape, or the fully-connected operator that cannot work with a vector."""
    for op in plan.graph.upstream(hazard.place):
        for part, node in nodes(plan, op.index):
            if node.type in REDUCTIONS:
                yield from _pooling(plan, part, node)
    for part, node in nodes(plan, hazard.place):
        source = part.subgraph.values[node.inputs[0]]
        if node.type == NodeType.FULLY_CONNECTED and source.rank < 3:
            where = named(plan.graph, node.op)
            yield Cause(
                node.op,
                CauseKind.VECTOR,
                f"{where} reads a vector of shape {dims(source.shape)}, and the sparse kernel needs a map",
                "a RESHAPE between the pooling and a FULLY_CONNECTED with keep_num_dims",
                f"none in front of {where}",
                "put a Reshape between the pooling and the Dense layer, so that it stays outside the cluster",
                Applicability.SAFE,
            )


def _pooling(plan: Plan, part: PartitionPlan, node: Node) -> Iterator[Cause]:
    """What is wrong with a MEAN or SUM that reports a wrong shape, or works on other axes."""
    axes, where = tuple(sorted(node.params["axes"])), named(plan.graph, node.op)
    if axes != SPATIAL:
        yield Cause(
            node.op,
            CauseKind.AXES,
            f"{where} pools over axes {dims(axes)}, and in NCHW the runtime takes others",
            f"pooling over axes {dims(SPATIAL)}",
            f"axes {dims(axes)} at {where}",
            AXES_FIX,
        )
    elif node.params["keep_dims"] and part.execution is not None:
        target = part.subgraph.values[node.outputs[0]]
        state = part.execution.states[target.id].shape
        if state == target.shape:
            return
        yield Cause(
            node.op,
            CauseKind.KEEP_DIMS,
            f"{where} keeps its dimensions, and the runtime reports the shape {dims(state)} for {dims(target.shape)}",
            "a RESHAPE between a pooling with keepdims and what reads it",
            f"keepdims and no RESHAPE at {where}",
            flatten_fix(plan.graph, plan.graph.operators[node.op], where),
            Applicability.SAFE,
        )


def flatten_fix(graph: Graph, pooling: Operator, where: str) -> str:
    """What to write behind a pooling with keepdims, which is called `where`.

    A Reshape back to a map in front of a 1x1 convolution does not last: with a fixed batch the converter folds both.
    """
    readers = [op for op in graph.consumers(pooling.outputs[0]) if is_pointwise(graph, op)]
    if not readers:
        return f"put a Reshape or Flatten directly behind {where}"
    names = listed([named(graph, op.index) for op in readers])
    return f"put a Flatten directly behind {where}, and a Dense layer of the same weights in the place of {names}"


def constants(plan: Plan, hazard: Hazard) -> Iterator[Cause]:
    """Layers in a cluster whose only input is a constant, which stays NHWC."""
    for part, node in nodes(plan, hazard.place):
        values, writers = part.subgraph.values, {v: n for n in part.nodes for v in n.outputs}
        pending, seen = [node], {id(node)}
        while pending:
            current = pending.pop()
            source = values[current.inputs[0]]
            if current.type != NodeType.BINARY and source.is_static and values[current.outputs[0]].nchw:
                where = named(plan.graph, current.op)
                yield Cause(
                    current.op,
                    CauseKind.CONSTANT,
                    f"{where} reads a constant of shape {dims(source.shape)}, which stays NHWC in a cluster of NCHW",
                    "constants with one value for each channel, and no layer on them",
                    f"a constant of shape {dims(source.shape)} read by {where}",
                    f"put a constant with one value for each channel in place of {where}, as first operand",
                    Applicability.UNSAFE,
                )
            before = [writers[v] for v in current.inputs if v in writers]
            pending += [n for n in before if id(n) not in seen]
            seen.update(map(id, before))


def layout(plan: Plan, hazard: Hazard) -> Iterator[Cause]:
    """What keeps the readers of a hazard's node, or the node itself, out of the cluster."""
    for part, node in nodes(plan, hazard.place):
        position = {id(n): i for i, n in enumerate(part.nodes)}
        n = position.get(id(node))
        if n is None:
            continue
        if not part.decision.verdicts[n].layout or _is_bad(part, n):
            yield from _why_not(plan, part, n, set())
        for v in node.outputs:
            for i in part.readers.get(v, ()):
                yield from _why_not(plan, part, i, set())
            if part.subgraph.values[v].external_output:
                yield _leaves(plan, part.subgraph.values[v])


def _is_bad(part: PartitionPlan, n: int) -> bool:
    cluster = part.decision.cluster_of.get(n)
    return cluster is not None and bool(cluster.broken_by)


def _why_not(plan: Plan, part: PartitionPlan, n: int, seen: set[int]) -> Iterator[Cause]:
    """Why a node is not part of a live cluster."""
    if n in seen:
        return
    seen.add(n)
    verdict = part.decision.verdicts[n]
    if verdict.unmet or not verdict.layout:
        yield _incapable(plan, part, n)
        return
    if verdict.layout is Layout.EXIT:
        return
    cluster = part.decision.cluster_of.get(n)
    broken = cluster.broken_by.get(n) or cluster.broken_by.get(cluster.leader) if cluster else _NOT_INSIDE
    if broken is not None:
        yield from _why_broken(plan, part, n, broken, seen)


def _why_broken(plan: Plan, part: PartitionPlan, n: int, broken: Break, seen: set[int]) -> Iterator[Cause]:
    """Why a node that could run in NCHW does not."""
    node = part.nodes[n]
    if broken.node is not None:
        yield from _why_not(plan, part, broken.node, seen)
        return
    if broken.value is not None:
        for i in part.readers.get(broken.value, ()):
            yield from _why_not(plan, part, i, seen)
        if part.subgraph.values[broken.value].external_output:
            yield _leaves(plan, part.subgraph.values[broken.value])
        return
    producers = part.writers
    for value in part.subgraph.dynamic_inputs(node):
        if value.is_external and value.id not in producers:
            yield _enters(plan, node, value)
        elif value.is_external:
            yield _leaves(plan, value)
        elif value.id in producers and not part.decision.verdicts[producers[value.id]].layout & _RUNS:
            yield from _ended(plan, part, producers[value.id], n, seen)
        elif value.id in producers:
            yield from _why_not(plan, part, producers[value.id], seen)


_NOT_INSIDE = Break(BreakCause.PRODUCER)
_RUNS = Layout.NCHW | Layout.ENTRY


def _ended(plan: Plan, part: PartitionPlan, producer: int, n: int, seen: set[int]) -> Iterator[Cause]:
    """A node that reads what another gives out in NHWC for good."""
    if part.decision.verdicts[producer].layout is not Layout.EXIT:
        yield from _why_not(plan, part, producer, seen)
        return
    reader, end = named(plan.graph, part.nodes[n].op), named(plan.graph, part.nodes[producer].op)
    yield Cause(
        part.nodes[n].op,
        CauseKind.CROSSING,
        f"{reader} reads {end}, too, which has turned its value back to NHWC",
        "operands that are all inside the cluster, or all outside",
        f"{reader} reads both",
        f"let {reader} read both operands through DEPTH_TO_SPACE",
    )


def _incapable(plan: Plan, part: PartitionPlan, n: int) -> Cause:
    node, rule, verdict = part.nodes[n], rule_of(part.conditions[n]), part.decision.verdicts[n]
    fix, applicability = rule.remedy(node, part.subgraph)
    where = named(plan.graph, node.op)
    required, actual = rule.all_words(verdict)
    return Cause(
        node.op,
        CauseKind.OPERATOR,
        f"{where} cannot run in NCHW ({rule.code})",
        required or "an operator that can run in NCHW",
        f"{actual or type_of(plan.graph.operators[node.op])} at {where}",
        f"at {where}: {fix}",
        applicability,
    )


def _leaves(plan: Plan, value: Value) -> Cause:
    used = where_used(plan.graph, value.tensor) if value.tensor is not None else "an output"
    producer = plan.graph.producer(value.tensor) if value.tensor is not None else None
    return Cause(
        producer.index if producer else None,
        CauseKind.CROSSING,
        f"its map is {used}, with no pooling and no DEPTH_TO_SPACE in between",
        "MEAN or SUM over H and W, or DEPTH_TO_SPACE, in front of every output",
        f"a map of shape {dims(value.shape)}, {used}",
        "end the branch with GlobalAveragePooling2D(keepdims=True) and a Reshape, or with tf.nn.depth_to_space",
    )


def _enters(plan: Plan, node: Node, value: Value) -> Cause:
    where = named(plan.graph, node.op)
    source = (
        where_used(plan.graph, value.tensor)
        if value.tensor is not None and value.tensor in plan.graph.inputs
        else "computed by TFLite"
    )
    return Cause(
        node.op,
        CauseKind.CROSSING,
        f"{where} reads a value from outside the cluster, {source}",
        "operands that are all inside the cluster",
        f"a value of shape {dims(value.shape)}, {source}, at {where}",
        f"let {where} read the other operand through DEPTH_TO_SPACE, or start that branch with the stem",
    )
