"""What the delegate, TFLite or LiteRT make of the file itself: what they refuse, misread or cannot bind."""

from __future__ import annotations

from xnnlint.linter.fault_words import fault_words
from xnnlint.linter.findings import Applicability
from xnnlint.model.graph import Graph
from xnnlint.xnnpack.fault import Wrong
from xnnlint.xnnpack.fp16 import METADATA
from xnnlint.xnnpack.plan import Hazard, Plan
from xnnlint.xnnpack.windows import same_padding_total

from ._cause import Cause, CauseKind
from ._layout_causes import nodes
from ._sizes import known_before_the_run, only_batch_is_unknown, sizes_are_known
from ._text import by, dims, named, type_of

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


def bias(plan: Plan, hazard: Hazard) -> Cause:
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


def padding(plan: Plan, hazard: Hazard) -> Cause:
    """The convolution itself; 'valid' padding reads the same, behind a padding of the dimension that needs one."""
    part, node = next((p, n) for p, n in nodes(plan, hazard.place) if n.params.get("same_padding"))
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


def delegation(plan: Plan, hazard: Hazard) -> Cause:
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


def unwritten(plan: Plan, hazard: Hazard) -> Cause:
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


def encoding(plan: Plan, hazard: Hazard) -> Cause:
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


def half(plan: Plan, hazard: Hazard) -> Cause:
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


def output(plan: Plan, hazard: Hazard) -> Cause:
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


def names(plan: Plan, hazard: Hazard) -> Cause:
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


def refused_by_tflite(plan: Plan, hazard: Hazard) -> Cause:
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


def not_loaded(plan: Plan, hazard: Hazard) -> Cause:
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
