"""XNN401: an operator that XNNPACK does not take, so that the graph falls apart there."""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.linter.findings import Applicability, Finding
from xnnlint.linter.rule import Rule, locate
from xnnlint.model.graph import Graph, Operator
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.delegate.delegation import Delegation
from xnnlint.xnnpack.delegate.rejection import Objection, Rejection
from xnnlint.xnnpack.plan import Plan
from xnnlint.xnnpack.waiver import Waiver, WaiverKind

from ._branches import BY_SELECTION, has_pixels, takes_channels
from ._gates import Gate, gates
from ._pytorch import POINTWISE, POOLED, RESIZED, SQUARED
from ._sizes import fixed_sizes
from ._text import listed, type_of

BLOCK_SPARSE_VERSION = 8
# Operators that run in NCHW once what the delegate objects to is out of them.
IN_CLUSTER = ("ADD", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "MUL")
# Input slots that hold a shape, a size or a place, and no data.
SHAPE_SLOTS = {
    "BROADCAST_TO": (1,),
    "FILL": (0,),
    "RESHAPE": (1,),
    "RESIZE_BILINEAR": (1,),
    "RESIZE_NEAREST_NEIGHBOR": (1,),
    "SLICE": (1, 2),
    "STRIDED_SLICE": (1, 2, 3),
    "TILE": (1,),
    "TRANSPOSE_CONV": (0,),
}
PADDED_WITH_ZEROS = "pad with zeros in the convolution that reads it: padding='same'"
KEPT_MAP = "keep the value a map: leave out what takes a dimension away, and what gives it back"
INSTEAD = {
    "RESIZE_NEAREST_NEIGHBOR": "use bilinear resizing: UpSampling2D(interpolation='bilinear')",
    "SQUEEZE": "use Reshape or Flatten",
    "EXPAND_DIMS": "use Reshape, or keepdims=True in the pooling in front of it",
    "MIRROR_PAD": PADDED_WITH_ZEROS,
    "PADV2": PADDED_WITH_ZEROS,
    "CONCATENATION": "add the values instead of concatenating them",
    "MAX_POOL_2D": "use a 3x3 depthwise convolution of the same stride in its place",
    "AVERAGE_POOL_2D": "use a 3x3 depthwise convolution of the same stride in its place",
    "SOFTMAX": "apply the softmax behind the pooling, or outside the model",
    "SPACE_TO_BATCH_ND": "use no dilation",
    "BATCH_TO_SPACE_ND": "use no dilation",
    "GREATER": "use ReLU without a threshold",
    "CAST": "use ReLU without a threshold",
    "EXP": "use an activation that this runtime's XNNPACK takes, such as ReLU6",
    "POW": "use tf.square, or a multiplication",
    "LEAKY_RELU": "use ReLU in place of LeakyReLU(0)",
}

BY_CONDITION = {
    Objection.FUSED_ACTIVATION: "put the activation into an operator of its own, or use ReLU or ReLU6",
    Objection.BIAS: "convert with float32 weights, or with a newer converter, which makes the biases float16, too",
}


class OperatorNotDelegated(Rule):
    """TFLite runs an operator itself, which cuts the graph into parts that XNNPACK sees one by one.

    ## What it does
    Reports every operator that the XNNPACK delegate refuses and that stands where a cluster runs, or would run, with
    the first condition that it fails. Operators that compute a shape at run time (SHAPE, STRIDED_SLICE, PACK, ...) are
    reported together with the operator that uses the shape, as one finding.

    ## Why it matters
    A cluster never spans two parts. The part in front has no cluster end any more, the part behind no stem, and both
    run dense. Operators behind the last pooling do no harm.

    ## Example
    ```python
    image = keras.Input((224, 224, 3))  # batch size unknown
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Reshape((1, 1, 64))(x)  # becomes SHAPE, STRIDED_SLICE, PACK, RESHAPE
    ```

    ## Use instead
    ```python
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    ```
    or a fixed batch size: `keras.Input((224, 224, 3), batch_size=1)`.

    ## Fix safety
    A fixed batch size is safe for use with that batch size. Replacing an operator is unsafe unless it computes the
    same.

    ## References
    - google-ai-edge/LiteRT, tflite/delegates/xnnpack/xnnpack_delegate.cc, `Subgraph::VisitNode` and the `Visit*Node`
      functions: what is accepted
    - google-ai-edge/LiteRT, tflite/graph_info.cc, `PartitionGraphIntoIndependentNodeSubsets`: the parts
    """

    code = "XNN401"
    name = "operator-not-delegated"
    condition = Condition.DELEGATED
    terms = {**POOLED, **RESIZED, **SQUARED, **POINTWISE}
    summary = "an operator that the delegate refuses splits the graph; a cluster never spans two partitions"

    def check(self, plan: Plan) -> Iterable[Finding]:
        delegation = plan.delegation
        if delegation is None or plan.failure is not None:
            return
        chains = shape_chains(plan.graph, delegation)
        in_chains = {op for chain in chains.values() for op in chain}
        dilations = _dilations(plan.graph, delegation)
        of_gates = {member.index: gate for gate in gates(plan.graph) for member in gate.members}
        for op, rejection in delegation.rejected.items():
            gate = of_gates.get(op)
            if gate is not None and op != gate.last.index and gate.last.index in delegation.rejected:
                continue
            if op in chains:
                yield self._chain(plan, plan.graph.operators[op], chains[op], gate)
            elif op in in_chains or op in dilations.values():
                continue
            elif plan.graph.operators[op].name not in plan.model.unknown | plan.model.behind:
                behind = [Waiver(WaiverKind.DELEGATED, dilations[op])] if op in dilations else []
                fix, applicability = _fix(plan.graph, plan.graph.operators[op], rejection), Applicability.UNSAFE
                if _unmakes_map(plan.graph, plan.graph.operators[op]):
                    behind.append(Waiver(WaiverKind.COMPATIBLE, op))
                if gate is not None:
                    behind, (fix, applicability) = _taken(plan, gate, ()), gate.fix(plan)
                yield self.finding(
                    "XNNPACK does not take this operator, so the graph is split here and TFLite runs it",
                    required=rejection.required,
                    actual=rejection.actual,
                    location=locate(plan, op),
                    fix=fix,
                    applicability=applicability,
                    waivers=[Waiver(WaiverKind.DELEGATED, op), *behind],
                )

    def _chain(self, plan: Plan, user: Operator, chain: list[int], gate: Gate | None) -> Finding:
        types = [type_of(plan.graph.operators[i]) for i in chain]
        waivers: list[Waiver] = [Waiver(WaiverKind.DELEGATED, i) for i in (*chain, user.index)]
        fix, applicability = fixed_sizes(plan), Applicability.SAFE
        if gate is not None:
            waivers, (fix, applicability) = _taken(plan, gate, chain), gate.fix(plan)
        return self.finding(
            f"{listed(types, 4)} in front of it compute a shape at run time, so XNNPACK takes none of them and the "
            "graph is split here",
            required="a constant shape",
            actual=f"a shape computed by {len(chain)} operators",
            location=locate(plan, user.index),
            fix=fix,
            applicability=applicability,
            waivers=waivers,
        )


def shape_chains(graph: Graph, delegation: Delegation) -> dict[int, list[int]]:
    """Operators whose shape is computed at run time -> the refused operators that compute it, in execution order."""
    chains = {}
    for op in delegation.rejected:
        user = graph.operators[op]
        pending = [user.inputs[s] for s in SHAPE_SLOTS.get(user.type, ()) if s < len(user.inputs)]
        found: set[int] = set()
        while pending:
            tensor = pending.pop()
            producer = graph.producer(tensor) if tensor >= 0 else None
            if producer is None or producer.index in found:
                continue
            found.add(producer.index)
            if producer.type != "SHAPE":
                pending += producer.inputs
        if any(graph.operators[i].type == "SHAPE" for i in found):
            chains[op] = sorted(i for i in found if i in delegation.rejected)
    # A link of a longer chain is no chain of its own.
    links = {i for chain in chains.values() for i in chain}
    return {op: chain for op, chain in chains.items() if op not in links}


def _dilations(graph: Graph, delegation: Delegation) -> dict[int, int]:
    """SPACE_TO_BATCH_ND -> the BATCH_TO_SPACE_ND that undoes it behind a convolution: one dilation in two operators."""
    pairs = {}
    for op in delegation.rejected:
        first = graph.operators[op]
        for between in graph.consumers(first.outputs[0]) if first.type == "SPACE_TO_BATCH_ND" else ():
            for last in graph.consumers(between.outputs[0]):
                if last.type == "BATCH_TO_SPACE_ND" and last.index in delegation.rejected:
                    pairs[op] = last.index
    return pairs


def _taken(plan: Plan, gate: Gate, chain: Iterable[int]) -> list[Waiver]:
    """What it takes for a gate to be part of a cluster, and of XNNPACK's part of the graph."""
    rejected = plan.delegation.rejected if plan.delegation else {}
    refused = [*chain, *(op.index for op in gate.members if op.index in rejected)]
    return [*(Waiver(WaiverKind.DELEGATED, op) for op in refused), *gate.waivers(plan)]


def _unmakes_map(graph: Graph, op: Operator) -> bool:
    """Whether an operator takes a dimension from a map, or gives it back, so that leaving it out joins both sides."""
    return op.type in ("SQUEEZE", "EXPAND_DIMS") and any(has_pixels(graph, t) for t in (op.inputs[0], op.outputs[0]))


def _fix(graph: Graph, op: Operator, rejection: Rejection) -> str:
    if rejection.condition in BY_CONDITION and op.type in IN_CLUSTER:
        return BY_CONDITION[rejection.condition]
    if op.type == "FULLY_CONNECTED" and op.version >= BLOCK_SPARSE_VERSION:
        return "prune it without blocks, or not at all, so that its weights are not stored block-sparse"
    if takes_channels(graph, op):
        return BY_SELECTION
    if _unmakes_map(graph, op):
        return KEPT_MAP
    return INSTEAD.get(
        op.type, "replace it by an operator that XNNPACK has an NCHW kernel for, or move it behind the cluster's end"
    )
