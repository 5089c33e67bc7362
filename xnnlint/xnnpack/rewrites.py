"""What `xnn_subgraph_optimize` does to a subgraph before the layout pass, in its order.

Sources (google/XNNPACK): src/runtime.c `propagate_rank`; src/subgraph.c `xnn_subgraph_clean_up`, `xnn_subgraph_fusion`,
`optimize_common_subgraphs_iter`. Only what can change an operator list or a layout decision is modelled.
"""

from __future__ import annotations

from math import inf, isclose, prod

from xnnlint.xnnpack.ir import Node, NodeType, Subgraph, Value
from xnnlint.xnnpack.known_constants import propagate, static_scalars
from xnnlint.xnnpack.lookup_tables import fuse_into_lookup_tables
from xnnlint.xnnpack.profile import Profile

CLAMPING = frozenset(
    {
        NodeType.AVERAGE_POOLING_2D,
        NodeType.CONVOLUTION_2D,
        NodeType.DECONVOLUTION_2D,
        NodeType.DEPTHWISE_CONVOLUTION_2D,
        NodeType.FULLY_CONNECTED,
        NodeType.MAX_POOLING_2D,
    }
)
PADDED = frozenset({NodeType.CONVOLUTION_2D, NodeType.DEPTHWISE_CONVOLUTION_2D})
MEANS = {NodeType.SUM: NodeType.MEAN, NodeType.SUM_SQUARED: NodeType.MEAN_SQUARED}
SQUARED = {NodeType.MEAN: NodeType.MEAN_SQUARED, NodeType.SUM: NodeType.SUM_SQUARED}


def optimize(subgraph: Subgraph, profile: Profile) -> Node | None:
    """Rewrite a subgraph in place as the runtime does before it decides on layouts.

    Returns:
        The node at which the runtime crashes, None where it doesn't.
    """
    subgraph.counts_repeats = not profile["repeated_input_counts_once"]
    dead_branches = profile["dead_branches"]
    if dead_branches == "removed":
        clean_up(subgraph)
    else:
        _remove_unread_nodes(subgraph)
    orphan = _first_orphan(subgraph)
    if orphan is not None and dead_branches == "crash":
        return orphan
    has_loop = profile["common_subgraph_loop"]
    _fuse(subgraph, profile)
    if profile["lookup_tables"]:
        fuse_into_lookup_tables(subgraph)
    known = static_scalars(subgraph) if has_loop else {}
    while has_loop and _simplify(subgraph, profile, known):
        clean_up(subgraph)
    return None


def _remove_unread_nodes(subgraph: Subgraph) -> None:
    """What older versions do in place of `clean_up`: one look at each value; what its producer reads still counts."""
    counts = subgraph.consumer_counts()
    unread = [n for n in subgraph.nodes if len(n.outputs) == 1 and not counts[n.outputs[0]]]
    for node in unread:
        for v in node.inputs if subgraph.counts_repeats else set(node.inputs):
            subgraph.lost_readers[v] = subgraph.lost_readers.get(v, 0) + 1
    subgraph.nodes = [n for n in subgraph.nodes if not any(n is u for u in unread)]


def _first_orphan(subgraph: Subgraph) -> Node | None:
    """The producer of the first value whose only reader was removed."""
    counts, producers = subgraph.consumer_counts(), {v: n for n in subgraph.nodes for v in n.outputs}
    orphans = [v for v, lost in subgraph.lost_readers.items() if lost == counts[v] == 1 and v in producers]
    return producers[min(orphans)] if orphans else None


def clean_up(subgraph: Subgraph) -> None:
    """Drop nodes whose outputs nobody reads, then sort stably so that producers come first."""
    nodes = subgraph.nodes
    while True:
        counts = subgraph.consumer_counts()
        alive = [n for n in nodes if len(n.outputs) > 1 or any(counts[v] for v in n.outputs)]
        if len(alive) == len(nodes):
            break
        nodes = subgraph.nodes = alive
    produced = {v for node in nodes for v in node.outputs}
    # A variable that is read and assigned is there from the start: reads may come before or behind the assignment.
    ready = {v.id for v in subgraph.values if v.external_input or v.id not in produced}
    ordered: list[Node] = []
    pending = nodes
    while pending:
        waiting = []
        for node in pending:
            if all(v in ready for v in node.inputs):
                ordered.append(node)
                ready.update(node.outputs)
            else:
                waiting.append(node)
        if len(waiting) == len(pending):
            break
        pending = waiting
    subgraph.nodes = ordered


class _Sweep:
    """Producers and consumer counts at the start of a sweep over the nodes.

    The runtime computes them once per sweep, too, and marks removed nodes as invalid until the sweep ends.
    """

    def __init__(self, subgraph: Subgraph) -> None:
        self.subgraph = subgraph
        self.counts = subgraph.consumer_counts()
        self.producers = {v: n for n in subgraph.nodes for v in n.outputs}
        self.removed: set[int] = set()
        self.renamed: dict[int, int] = {}

    def producer(self, value: int) -> Node | None:
        node = self.producers.get(value)
        return None if node is None or id(node) in self.removed else node

    def remove(self, node: Node) -> None:
        self.removed.add(id(node))

    def is_removed(self, node: Node) -> bool:
        return id(node) in self.removed

    def read_instead(self, old: int, new: int) -> None:
        """Let every reader of one value read another."""
        for node in self.subgraph.nodes:
            if old in node.inputs:
                node.inputs = [new if v == old else v for v in node.inputs]

    def finish(self) -> None:
        if self.removed:
            self.subgraph.nodes = [n for n in self.subgraph.nodes if id(n) not in self.removed]


def _fuse(subgraph: Subgraph, profile: Profile) -> None:
    """`xnn_subgraph_fusion`: pads into convolutions, copies into their neighbours, values in the order of their ids.

    Before the common-subgraph loop existed, it folded clamps into their producers, too; among them the binary operators
    that clamp their own output, as long as there were such.
    """
    old = None if profile["common_subgraph_loop"] else profile
    sweep = _Sweep(subgraph)
    keep_order = profile["copies_keep_order"]
    consumers: dict[int, Node] = {}
    for node in subgraph.nodes:
        for v in node.inputs:
            consumers.setdefault(v, node)
    for value in subgraph.values:
        producer, consumer = sweep.producer(value.id), consumers.get(value.id)
        if sweep.counts[value.id] != 1 or producer is None or consumer is None or sweep.is_removed(consumer):
            continue
        if old is not None and _is_clamp(consumer) and _merge_clamp(sweep, consumer, _clamps(producer, old)):
            sweep.producers[producer.outputs[0]] = producer
            continue
        if producer.type == NodeType.CONSTANT_PAD and consumer.type in PADDED:
            if _fuse_pad(value, producer, consumer):
                consumers[consumer.inputs[0]] = consumer
                sweep.remove(producer)
        elif consumer.type == NodeType.COPY and not value.is_external:
            if keep_order and not _may_move(sweep, consumer.outputs[0], producer, consumer):
                continue
            producer.outputs[producer.outputs.index(value.id)] = consumer.outputs[0]
            sweep.producers[consumer.outputs[0]] = producer
            sweep.remove(consumer)
        elif producer.type == NodeType.COPY and not value.is_external:
            if keep_order and not _may_move(sweep, producer.inputs[0], producer, consumer):
                continue
            consumer.inputs[consumer.inputs.index(value.id)] = producer.inputs[0]
            consumers[producer.inputs[0]] = consumer
            sweep.remove(producer)
    sweep.finish()


def _may_move(sweep: _Sweep, value: int, producer: Node, consumer: Node) -> bool:
    """`can_reorder_use`: whether nobody between two nodes reads or writes a value that one of them gets instead of the
    other. Only a variable, which is read and assigned in one partition, can be in the way."""
    between = False
    for node in sweep.subgraph.nodes:
        if node is consumer:
            return True
        if between and not sweep.is_removed(node) and value in (*node.inputs, *node.outputs):
            return False
        between = between or node is producer
    return True


def _fuse_pad(value: Value, pad: Node, conv: Node) -> bool:
    """PAD in front of a convolution becomes the convolution's own padding."""
    pre, post = pad.params["pre"], pad.params["post"]
    spatial = value.rank == 4 and not (pre[0] or post[0] or pre[3] or post[3])
    # Zero padding of fp16 values is never fused: the runtime compares fp32 and 8-bit pad values only.
    zero = (value.dtype == "fp32" and pad.params["value"] == 0) or value.dtype in ("qint8", "quint8")
    if not spatial or not zero or conv.params["same_padding"]:
        return False
    top, right, bottom, left = conv.params["padding"]
    conv.params["padding"] = (top + pre[1], right + post[2], bottom + post[1], left + pre[2])
    conv.inputs[0] = pad.inputs[0]
    return True


def _is_clamp(node: Node) -> bool:
    return node.type == NodeType.UNARY and node.operator == "clamp"


def _clamps(node: Node, profile: Profile) -> bool:
    """Whether a node can clamp its own output."""
    binary = node.type == NodeType.BINARY and node.operator in ("add", "divide", "multiply", "subtract")
    return node.type in CLAMPING or (binary and not profile["binary_activation_as_clamp_node"])


def _merge_clamp(sweep: _Sweep, node: Node, can_clamp: bool | None = None) -> bool:
    """Fold a clamp into a producer that can clamp its own output, if nobody else reads between."""
    producer = sweep.producer(node.inputs[0])
    if producer is None or sweep.counts[node.inputs[0]] > 1:
        return False
    low, high = node.params["min"], node.params["max"]
    if _is_clamp(producer):
        bounds = producer.params["min"], producer.params["max"]
        producer.params["min"], producer.params["max"] = (min(max(b, low), high) for b in bounds)
    elif producer.type in CLAMPING if can_clamp is None else can_clamp:
        least, most = (min(max(b, low), high) for b in producer.activation)
        producer.activation = least, most
    else:
        return False
    producer.outputs[0] = node.outputs[0]
    sweep.remove(node)
    return True


def _drop_clamp_without_bounds(sweep: _Sweep, node: Node) -> bool:
    """clamp(-inf, inf) is bypassed, or becomes a copy where an output must be written."""
    if node.params["min"] != -inf or node.params["max"] != inf:
        return False
    source, target = (sweep.subgraph.values[v] for v in (node.inputs[0], node.outputs[0]))
    if target.external_output:
        producer = sweep.producer(source.id)
        if source.external_output or producer is None:
            node.type, node.operator, node.params = NodeType.COPY, "", {}
            return True
        producer.outputs[producer.outputs.index(source.id)] = target.id
        source, target = target, source
    sweep.remove(node)
    sweep.read_instead(target.id, source.id)
    return True


def _min_max_to_clamp(sweep: _Sweep, node: Node, known: dict[int, int]) -> bool:
    """max/min against a static scalar, or against what is known to be 0 or 1 throughout, becomes a clamp."""
    if node.operator not in ("maximum", "minimum"):
        return False
    first, second = (sweep.subgraph.values[v] for v in node.inputs)

    def is_scalar(value: Value) -> bool:
        return value.id in known or (value.is_static and value.elements == 1)

    if is_scalar(first) and not is_scalar(second):
        first, second = second, first
    elif not is_scalar(second):
        return False
    if second.rank > first.rank:
        return False
    bound = float(known[second.id]) if second.id in known else second.scalar()
    if bound is None:
        return False
    low, high = (bound, inf) if node.operator == "maximum" else (-inf, bound)
    node.type, node.operator, node.params = NodeType.UNARY, "clamp", {"min": low, "max": high}
    node.inputs = [first.id]
    return True


def _scaled_sum_to_mean(sweep: _Sweep, node: Node) -> bool:
    """sum(x) / n and sum(x) * (1 / n) become mean(x), n being the number of elements summed."""
    if node.operator not in ("multiply", "divide"):
        return False
    total, scale = (sweep.subgraph.values[v] for v in node.inputs)
    if not (scale.is_static and scale.elements == 1):
        total, scale = scale, total
    producer = sweep.producer(total.id)
    found = scale.scalar()
    if found is None or producer is None or producer.type not in MEANS:
        return False
    shape = sweep.subgraph.values[producer.inputs[0]].shape
    count = prod(shape[a] for a in producer.params["axes"])
    if not isclose(found, 1 / count if node.operator == "multiply" else count, rel_tol=1e-7):
        return False
    node.type, node.operator, node.params = MEANS[producer.type], "", dict(producer.params)
    node.inputs = producer.inputs[:]
    return True


def _square(node: Node) -> bool:
    """mul(x, x) becomes square(x)."""
    if node.operator != "multiply" or node.inputs[0] != node.inputs[1]:
        return False
    node.type, node.operator, node.params = NodeType.UNARY, "square", {}
    node.inputs = node.inputs[:1]
    return True


def _reduce_of_square(sweep: _Sweep, node: Node) -> bool:
    """mean/sum(square(x)) becomes mean/sum of squares of x."""
    producer = sweep.producer(node.inputs[0])
    if producer is None or producer.type != NodeType.UNARY or producer.operator != "square":
        return False
    node.type = SQUARED[node.type]
    node.inputs = producer.inputs[:]
    return True


def _merge_reshape(sweep: _Sweep, node: Node) -> bool:
    """reshape(reshape(x)) becomes one; a reshape of a constant, or to the shape that is there already, goes away."""
    value, target = (sweep.subgraph.values[v] for v in (node.inputs[0], node.outputs[0]))
    if sweep.counts[value.id] != 1:
        return False
    producer = sweep.producer(value.id)
    if producer is not None and producer.type == NodeType.RESHAPE:
        node.inputs = producer.inputs[:]
        sweep.remove(producer)
        return True
    known = value.is_static or (value.static_shape and tuple(node.params["new_shape"]) == value.shape)
    if not known or target.external_output:
        return False
    value.shape = tuple(node.params["new_shape"])
    sweep.remove(node)
    sweep.read_instead(target.id, value.id)
    return True


def _simplify(subgraph: Subgraph, profile: Profile, known: dict[int, int]) -> bool:
    """One sweep of `optimize_common_subgraphs_iter`; whether anything changed.

    Args:
        known: values that are 0 or 1 throughout; gets what the sweep finds.
    """
    changed = False
    sweep = _Sweep(subgraph)
    for node in subgraph.nodes:
        if sweep.is_removed(node):
            continue
        if node.type in (NodeType.UNARY, NodeType.BINARY):
            inputs = (subgraph.values[v] for v in node.inputs)
            if all(v.static_shape or v.is_static for v in inputs):
                subgraph.values[node.outputs[0]].static_shape = True
        propagate(node, known)
        if node.type == NodeType.BINARY:
            changed |= (
                _square(node)
                or (profile["scaled_sum_to_mean"] and _scaled_sum_to_mean(sweep, node))
                or (profile["min_max_scalar_to_clamp"] and _min_max_to_clamp(sweep, node, known))
            )
        elif _is_clamp(node):
            changed |= _merge_clamp(sweep, node) or _drop_clamp_without_bounds(sweep, node)
        elif node.type in SQUARED:
            changed |= _reduce_of_square(sweep, node)
        elif node.type == NodeType.RESHAPE and 0 not in node.params["new_shape"]:
            subgraph.values[node.outputs[0]].static_shape = True
            changed |= _merge_reshape(sweep, node)
    sweep.finish()
    return changed


def inline_quantization(subgraph: Subgraph, profile: Profile) -> None:
    """After the layout pass: fully-connected nodes quantize their own dynamic inputs, and the convert in front goes.

    Source: google/XNNPACK src/subgraph.c `xnn_subgraph_optimize_packed_lhs`.
    """
    if not profile["inlined_quantization"]:
        return
    sweep = _Sweep(subgraph)
    for node in subgraph.nodes:
        if node.type not in (NodeType.FULLY_CONNECTED, NodeType.BATCH_MATRIX_MULTIPLY):
            continue
        source = subgraph.values[node.inputs[0]]
        convert = sweep.producer(source.id)
        if source.dtype == "qdint8" and convert is not None:
            node.inputs[0] = convert.inputs[0]
            node.params["inlined_input"] = source.dtype
            sweep.counts[source.id] -= 1
            if not sweep.counts[source.id]:
                sweep.remove(convert)
    sweep.finish()
