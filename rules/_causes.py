"""Why the sparse path goes wrong at a place: the operator that stops it, and what to change there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from itertools import chain

from msgspec import Struct

from xnnlint.linter.fault_words import fault_words
from xnnlint.linter.findings import Applicability
from xnnlint.linter.rule_registry import rule_of
from xnnlint.model.graph import Graph, Operator
from xnnlint.xnnpack.conditions.reduce_input import SPATIAL
from xnnlint.xnnpack.fault import FaultKind, Wrong
from xnnlint.xnnpack.fp16 import METADATA
from xnnlint.xnnpack.ir import REDUCTIONS, Layout, Node, NodeType, Value
from xnnlint.xnnpack.layout import Break, BreakCause
from xnnlint.xnnpack.plan import Hazard, PartitionPlan, Plan, is_pointwise
from xnnlint.xnnpack.windows import same_padding_total

from ._sizes import known_before_the_run, only_batch_is_unknown, sizes_are_known
from ._text import by, dims, listed, named, type_of, where_used

SQUEEZE_FIX = "let a 1x1 convolution read the pooled value first, as in a squeeze-and-excite block"
AXES_FIX = f"pool over axes {dims(SPATIAL)}: GlobalAveragePooling2D"
MENDED = {
    Wrong.FIRST_PART_UNREAD: (
        "a split of which the first part is read",
        "one whose first part nothing reads",
        "take the part with a slice (x[..., a:b]), not a split",
    ),
    Wrong.NO_SUCH_AXIS: ("axes of the value", "an axis that it does not have", "name the axes of the value only"),
    Wrong.AXIS_REPEATED: ("each axis once", "an axis named twice", "name each axis once"),
}
"""What delegation fails over though every type is right -> as in a finding: required, actual, fix."""
DECODED = "weights stored dense, or sparse where a DENSIFY unpacks them"
STORE_DENSE_FIX = "store these weights dense; nothing is lost, since no kernel uses their zeros"
FLOAT_FIX = "convert with float32 or float16 weights instead of dynamic-range quantization"


class CauseKind(Enum):
    """What kind of thing stops the sparse path."""

    OPERATOR = "operator"
    """An operator without an NCHW kernel."""
    CROSSING = "crossing"
    """A value that leaves or enters the cluster."""
    KEEP_DIMS = "keepdims"
    """A pooling with keepdims, of which the runtime reports a wrong shape."""
    AXES = "axes"
    """A pooling over other axes than height and width."""
    VECTOR = "vector"
    """A fully-connected operator on a pooled vector."""
    CONSTANT = "constant"
    """A layer on a constant map."""
    QUANTIZED = "quantized"
    """int8 weights that are stored sparse, for float32 values."""
    UNWRITTEN = "unwritten"
    """Weights that nobody unpacks."""
    ENCODING = "encoding"
    """Sparse-encoded weights whose reader does not know the encoding."""
    FP16 = "fp16"
    """float16 arithmetic."""
    BIAS = "bias"
    """Biases of another type than the weights."""
    DEAD_BRANCH = "dead-branch"
    """Operators that nobody reads."""
    UNDEFINED = "undefined"
    """What XNNPACK cannot define."""
    PADDING = "padding"
    """SAME padding below 0."""
    OUTPUT = "output"
    """An output to which LiteRT cannot bind a buffer."""
    TFLITE = "tflite"
    """An operator that TFLite refuses."""
    LOADING = "loading"
    """What keeps the runtime from loading the file."""
    UNKNOWN = "unknown"

    @property
    def is_of_sparse_path(self) -> bool:
        """Whether the model would be right if it ran dense."""
        return self not in _SPARSE_OR_DENSE


_SPARSE_OR_DENSE = (
    CauseKind.OUTPUT,
    CauseKind.PADDING,
    CauseKind.UNDEFINED,
    CauseKind.DEAD_BRANCH,
    CauseKind.TFLITE,
    CauseKind.LOADING,
)


class Cause(Struct, frozen=True):
    """What stops the sparse path at a place.

    Attributes:
        op: the operator at fault; None where it is an output or input of the model.
        text: what it does, to be put behind "since" or "because".
        required, actual: as in a finding.
        fix: what to change, in words.
    """

    op: int | None
    kind: CauseKind
    text: str
    required: str
    actual: str
    fix: str
    applicability: Applicability = Applicability.UNSAFE


def cause_of(plan: Plan, hazard: Hazard) -> Cause:
    """The first cause of a hazard that can be told."""
    if hazard.kind is FaultKind.LOADING:
        return _not_loaded(plan, hazard)
    if hazard.op is None and not hazard.of_output:
        return _of_file(hazard)
    direct = _DIRECT.get(hazard.kind)
    if direct is not None:
        return direct(plan, hazard)
    of_order = hazard.kind in (FaultKind.LAYOUT, FaultKind.BOUNDARY)
    causes = chain(_constants(plan, hazard), () if of_order else _shapes(plan, hazard), _layout(plan, hazard))
    return next(causes, None) or _unknown(plan, hazard)


def _of_file(hazard: Hazard) -> Cause:
    """What no single operator of the main subgraph is to blame for."""
    text = fault_words(hazard.fault)
    required = "a file that the runtime loads"
    return Cause(None, CauseKind.UNDEFINED, text, required, text, "convert the model again", Applicability.MANUAL)


def broken_by(plan: Plan, kind: CauseKind) -> set[int]:
    """Operators that are a cause of the given kind for any hazard of the plan."""
    causes = (cause_of(plan, hazard) for hazard in plan.hazards)
    return {cause.op for cause in causes if cause.kind is kind and cause.op is not None}


def _nodes(plan: Plan, op: int) -> Iterator[tuple[PartitionPlan, Node]]:
    """The nodes made from an operator; those at which the run got into trouble first."""
    for part in plan.partitions:
        troubles = [t.node for t in part.execution.troubles if t.node.op == op] if part.execution else []
        yield from ((part, node) for node in [*troubles, *(n for n in part.nodes if n.op == op)])


# -- wrong shapes


def _shapes(plan: Plan, hazard: Hazard) -> Iterator[Cause]:
    """The pooling that gives a wrong shape, or the fully-connected operator that cannot work with a vector."""
    for op in plan.graph.upstream(hazard.place):
        for part, node in _nodes(plan, op.index):
            if node.type in REDUCTIONS:
                yield from _pooling(plan, part, node)
    for part, node in _nodes(plan, hazard.place):
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


# -- data in the wrong order


def _constants(plan: Plan, hazard: Hazard) -> Iterator[Cause]:
    """Layers in a cluster whose only input is a constant, which stays NHWC."""
    for part, node in _nodes(plan, hazard.place):
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


def _layout(plan: Plan, hazard: Hazard) -> Iterator[Cause]:
    """What keeps the readers of a hazard's node, or the node itself, out of the cluster."""
    for part, node in _nodes(plan, hazard.place):
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


def _bias(plan: Plan, hazard: Hazard) -> Cause:
    where = named(plan.graph, hazard.place)
    return Cause(
        hazard.place,
        CauseKind.BIAS,
        "this runtime's sparse kernel reads the float32 biases beside float16 weights as float16",
        "weights and biases of one type",
        f"float16 weights and float32 biases at {where}",
        "convert with float32 weights",
        Applicability.MANUAL,
    )


def _padding(plan: Plan, hazard: Hazard) -> Cause:
    """The convolution itself; 'valid' padding reads the same, behind a padding of the dimension that needs one."""
    part, node = next((p, n) for p, n in _nodes(plan, hazard.place) if n.params.get("same_padding"))
    where, p = named(plan.graph, hazard.place), node.params
    size = part.subgraph.values[node.inputs[0]].shape[1:3]
    total = [max(0, t) for t in map(same_padding_total, size, p["kernel"], p["stride"], p["dilation"])]
    sides = tuple((t // 2, t - t // 2) for t in total)
    behind = f" behind ZeroPadding2D({sides})" if any(total) else ""
    return Cause(
        hazard.place,
        CauseKind.PADDING,
        fault_words(hazard.fault),
        "'same' padding only where the kernel reaches the end of the map",
        f"'same' padding of a {by(p['kernel'])} kernel at stride {by(p['stride'])} on a map of {by(size)} at {where}",  # type: ignore[arg-type]
        f"at {where}: padding='valid'{behind}, which computes the same",
        Applicability.SAFE,
    )


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


# -- what the delegate does


def _delegation(plan: Plan, hazard: Hazard) -> Cause:
    op = plan.graph.operators[hazard.place]
    where, text = named(plan.graph, op.index), fault_words(hazard.fault)
    sparse = plan.delegation.sparse_weights if plan.delegation else frozenset()
    if any(t in sparse and plan.graph.tensors[t].dtype == "INT8" for t in op.inputs if t >= 0):
        return Cause(
            op.index,
            CauseKind.QUANTIZED,
            "its weights are int8 and stored sparse, its values float32, and XNNPACK takes the weights before they "
            "are unpacked",
            "float32 or float16 weights where they are stored sparse",
            "int8 weights of dynamic-range quantization, stored sparse",
            FLOAT_FIX,
            Applicability.MANUAL,
        )
    dead = [] if plan.profile["dead_branches"] == "removed" else _unread(plan.graph)
    if dead:
        return Cause(
            op.index,
            CauseKind.DEAD_BRANCH,
            f"{text}, {named(plan.graph, dead[-1])}",
            "operators whose output is read, or an output of the model",
            f"nothing reads {named(plan.graph, dead[-1])}",
            f"drop {named(plan.graph, dead[-1])} and what only leads to it",
            Applicability.SAFE,
        )
    if hazard.fault.wrong in MENDED:
        required, actual, fix = MENDED[hazard.fault.wrong]
        return Cause(op.index, CauseKind.UNDEFINED, text, required, f"{actual} at {where}", fix, Applicability.SAFE)
    return Cause(
        op.index,
        CauseKind.UNDEFINED,
        text,
        "operators that XNNPACK can define once its delegate has taken them",
        f"{text} at {where}",
        f"convert {where} with values, weights and biases of one float type",
        Applicability.MANUAL,
    )


def _unread(graph: Graph) -> list[int]:
    """Operators whose outputs nobody reads."""
    return [
        op.index
        for op in graph.operators
        if op.outputs and not any(t in graph.outputs or graph.consumers(t) for t in op.outputs if t >= 0)
    ]


def _unwritten(plan: Plan, hazard: Hazard) -> Cause:
    rejected = plan.delegation.rejected if plan.delegation else {}
    op = plan.graph.operators[hazard.place]
    # The hazard may be told of the DEQUANTIZE; at fault is the operator that reads what it writes.
    readers = [op, *(reader for t in op.outputs for reader in plan.graph.consumers(t))]
    op = next((reader for reader in readers if reader.index in rejected), op)
    rejection, where = rejected.get(op.index), named(plan.graph, op.index)
    return Cause(
        op.index,
        CauseKind.UNWRITTEN,
        f"XNNPACK leaves {where} to TFLite, but takes the DENSIFY that unpacks its float16 weights, and never runs it",
        rejection.required if rejection else "an operator that XNNPACK takes",
        f"{rejection.actual if rejection else type_of(op)} at {where}",
        f"at {where}: change the operator so that XNNPACK takes it, or convert with float32 weights",
        Applicability.MANUAL,
    )


def _encoding(plan: Plan, hazard: Hazard) -> Cause:
    where = named(plan.graph, hazard.place)
    return Cause(
        hazard.op,
        CauseKind.ENCODING,
        fault_words(hazard.fault),
        DECODED,
        f"{stored_words(plan, hazard)} at {where}",
        STORE_DENSE_FIX,
        Applicability.SAFE,
    )


def stored_words(plan: Plan, hazard: Hazard) -> str:
    """How the weights that are misread are stored: type, shape, bytes."""
    index, graphs = hazard.fault.subject.index, [plan.graph, *(called.plan.graph for called in plan.called)]
    # Of a hazard in a subgraph the operator is the one that calls it.
    here = index in plan.graph.operators[hazard.place].inputs
    tensor = next(g.tensors[index] for g in graphs[not here :] if index < len(g.tensors) and g.tensors[index].sparsity)
    return f"{tensor.dtype.lower()} weights {dims(tensor.shape)}, of which {tensor.stored_bytes:,} bytes are stored"


def _half(plan: Plan, hazard: Hazard) -> Cause:
    return Cause(
        hazard.place,
        CauseKind.FP16,
        f"the file allows float16 arithmetic, which {plan.profile.cpu_title} has, and this runtime's sparse kernels do "
        "not work with it",
        "float32 arithmetic",
        f"a metadata entry {METADATA}",
        "convert without an accumulation type of float16",
        Applicability.SAFE,
    )


def _output(plan: Plan, hazard: Hazard) -> Cause:
    text, wrong = fault_words(hazard.fault), hazard.fault.wrong
    where = "" if hazard.op is None else named(plan.graph, hazard.op)
    if wrong in (Wrong.INPUT_IS_OUTPUT, Wrong.UNREAD_INPUT_IS_OUTPUT):
        return Cause(
            hazard.op,
            CauseKind.OUTPUT,
            text,
            "outputs that are no inputs",
            "an input that is an output, too" + (f", at {where}" if wrong is Wrong.INPUT_IS_OUTPUT else ""),
            "leave the input out of the model's outputs",
            Applicability.SAFE,
        )
    if wrong is Wrong.UNREAD_WEIGHT_IS_OUTPUT:
        return Cause(
            hazard.op,
            CauseKind.OUTPUT,
            text,
            "outputs that are computed",
            f"a weight, unpacked at {where}",
            "leave the weight out of the model's outputs",
            Applicability.SAFE,
        )
    return Cause(
        hazard.place,
        CauseKind.OUTPUT,
        text,
        "outputs whose shape is known before the run",
        f"a computed shape at {where}",
        known_before_the_run(plan) + _another_behind(plan, hazard.op, where),
        Applicability.SAFE,
    )


def _another_behind(plan: Plan, op: int | None, where: str) -> str:
    """The other way, where the batch alone is unknown: XNNPACK tells the shapes of what it runs. Of a RESHAPE it knows
    the number of elements, and so the batch; behind a RESIZE of a computed size it has nothing to tell."""
    reshapes = op is not None and plan.graph.operators[op].type == "RESHAPE"
    follow = f", or let another operator follow {where}, such as the activation"
    return follow if reshapes and only_batch_is_unknown(plan.graph) else ""


def _names(plan: Plan, hazard: Hazard) -> Cause:
    kind, name = hazard.fault.required, hazard.fault.actual
    return Cause(
        hazard.op,
        CauseKind.OUTPUT,
        fault_words(hazard.fault),
        f"{kind} with a name each, in the signature or without one",
        f"{kind} that share a name, such as {name!r}",
        f"name the {kind}: convert with a signature, or give the tensors other names",
        Applicability.SAFE,
    )


def _refused_by_tflite(plan: Plan, hazard: Hazard) -> Cause:
    where, rank, asked = named(plan.graph, hazard.place), hazard.fault.required, hazard.fault.actual
    text = fault_words(hazard.fault)
    if hazard.fault.wrong is not Wrong.BROADCAST_TO_FEWER:
        required, fix = "operators that TFLite can set up", f"convert {where} again"
        return Cause(hazard.place, CauseKind.TFLITE, text, required, text, fix, Applicability.MANUAL)
    return Cause(
        hazard.place,
        CauseKind.TFLITE,
        text,
        f"a BROADCAST_TO to {rank} dimensions or more",
        f"{asked} at {where}",
        known_before_the_run(plan) + ("" if sizes_are_known(plan.graph) else ", for which the converter leaves it out"),
        Applicability.SAFE,
    )


# Custom operators that stand for a part of the model which another tool took out: what that is, and what to check.
_COMPILED = {
    "edgetpu-custom-op": ("an Edge TPU", "the Edge TPU compiler"),
    "ethos-u": ("an Arm Ethos-U", "Vela"),
    "DISPATCH_OP": ("a neural processor", "LiteRT's compiler plugin"),
}
_LOADING: dict[Wrong, tuple[str, str]] = {
    Wrong.TENSOR_TYPE: ("tensors of types that LiteRT knows", "run it with LiteRT's Interpreter, or a newer LiteRT"),
    Wrong.VARIABLE_TENSOR: (
        "no variable tensors",
        "give the state to the model as an input and take it as an output, or run it with LiteRT's Interpreter",
    ),
    Wrong.VARIANT_TENSOR: ("no variant tensors", "run it with LiteRT's Interpreter"),
    Wrong.INTERMEDIATE_TENSORS: ("no intermediate tensors", "run it with LiteRT's Interpreter"),
    Wrong.NO_KERNEL: ("operators of which the runtime has the kernels", "run it with a newer LiteRT, or convert again"),
    Wrong.SIGNATURE: ("signatures with all inputs and outputs of their subgraph", "convert the model again"),
}
"""What is required, and the fix."""


def _not_loaded(plan: Plan, hazard: Hazard) -> Cause:
    text, wrong, name = fault_words(hazard.fault), hazard.fault.wrong, hazard.fault.subject
    where = "" if hazard.op is None else f" at {named(plan.graph, hazard.op)}"
    if wrong is not Wrong.NO_CUSTOM_KERNEL:
        required, fix = _LOADING[wrong]
        if wrong is Wrong.VARIABLE_TENSOR and plan.model.format != "tflite":
            # The one layer that becomes one with variables (`keras/lower/recurrent_layers.py`).
            fix = "build it with unroll=True, or the model with Keras 3"
    elif name in _COMPILED:
        device, tool = _COMPILED[name]
        text = f"it is compiled for {device} ({name})"
        required, fix = "a file for the CPU", f"check the file that {tool} was given"
    elif name.startswith("Flex"):
        text = f"it needs TensorFlow's own operator {name.removeprefix('Flex')} (Flex), which LiteRT does not bring"
        required, fix = "operators that LiteRT brings", "convert without SELECT_TF_OPS"
    else:
        required = "operators that LiteRT brings"
        fix = f'where your application brings {name}, name it: custom-operators = ["{name}"] in [tool.xnnlint]'
    return Cause(hazard.op, CauseKind.LOADING, text, required, f"{text}{where}", fix, Applicability.MANUAL)


def _unknown(plan: Plan, hazard: Hazard) -> Cause:
    text = fault_words(hazard.fault)
    return Cause(
        hazard.place,
        CauseKind.UNKNOWN,
        text,
        "operators that agree on shapes and on the order of the data in memory",
        text,
        "change what the other findings name",
    )


# Faults of which the place itself says the cause.
_DIRECT: dict[FaultKind, Callable[[Plan, Hazard], Cause]] = {
    FaultKind.DELEGATION: _delegation,
    FaultKind.UNWRITTEN_WEIGHTS: _unwritten,
    FaultKind.OUTPUT: _output,
    FaultKind.SPARSE_ENCODING: _encoding,
    FaultKind.NAMES: _names,
    FaultKind.TFLITE: _refused_by_tflite,
    FaultKind.FP16: _half,
    FaultKind.BIAS: _bias,
    FaultKind.PADDING: _padding,
}
