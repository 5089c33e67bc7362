"""Ways around what some runtimes fail over, sparse or not."""

from __future__ import annotations

from xnnlint.fixes.tflite.batch import fix_batch
from xnnlint.fixes.tflite.editor import UNPACKING, Op
from xnnlint.fixes.tflite.graph_questions import plain_bias
from xnnlint.fixes.tflite.map_pooling import add_reshape
from xnnlint.fixes.tflite.operator_change import CannotChange, View
from xnnlint.xnnpack.computed_shapes import shapes_at_run_time
from xnnlint.xnnpack.plan import Outcome

FILTER, BIAS = 1, 2
_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")


def dead_branch(view: View) -> list[Op]:
    """The operators on which no output depends.

    LiteRT 1.2 to 2.0 end the process over two or more in a row (google/XNNPACK src/subgraph.c `xnn_subgraph_fusion` and
    `xnn_subgraph_clean_up`, mended by fd15d8d8). Operators without outputs, and those of variables, are no such branch.
    """
    graph = view.graph
    needed, pending = set[int](), [t for t in graph.outputs if t >= 0]
    while pending:
        tensor = pending.pop()
        if tensor not in needed:
            needed.add(tensor)
            producer = graph.producer(tensor)
            pending += [t for t in producer.inputs if t >= 0] if producer is not None else []
    return [op for op in graph.operators if op.outputs and _is_plain(view, op) and not needed.intersection(op.outputs)]


def remove_dead_branch(view: View) -> str:
    dead = dead_branch(view)
    for op in dead:
        view.graph.remove(op)
    return f"remove {len(dead)} operators whose results nobody reads"


def mixed_types(view: View) -> list[Op]:
    """Operators with an fp32 filter and a bias that is stored as fp16, which LiteRT 1.1 to 1.3 fail to load
    (google-ai-edge/LiteRT tflite/delegates/xnnpack/xnnpack_delegate.cc, mended by bee71230)."""
    return [
        op
        for op in view.of_type(*_WEIGHTED)
        if len(op.inputs) > BIAS
        and _stored_type(view, op.inputs[FILTER]) == "FLOAT32"
        and _stored_type(view, op.inputs[BIAS]) == "FLOAT16"
    ]


def give_plain_biases(view: View) -> str:
    for op in mixed_types(view):
        plain_bias(view, op)
    return "store its bias as fp32, like its filter"


def unbound_outputs(view: View) -> list[Op]:
    """Operators at which LiteRT has no buffer for an output: those that compute its shape, and those that read an
    input that is an output, too (`OutcomeJudge` in xnnlint.xnnpack.outcome has the source)."""
    found = (view.op(hazard.op) for hazard in view.plan.hazards if hazard.of_output)
    return [op for op in found if op is not None]


def reshape_outputs(view: View) -> str:
    """Behind a RESHAPE to a constant shape an output has a buffer of its own."""
    graph, of_one = view.graph, view.settings.get("batch") == 1
    shapes = shapes_at_run_time(view.plan.graph) if of_one else {}
    for hazard in view.plan.hazards:
        op = view.op(hazard.op) if hazard.of_output and hazard.outcome is Outcome.FAILS else None
        for slot, tensor in enumerate(op.outputs if op is not None else ()):
            if op is not None and tensor in graph.outputs:
                if of_one:
                    graph.set_shape(tensor, shapes.get(tensor, graph.shape(tensor)))
                    fix_batch(graph)
                elif sum(size < 0 for size in graph.signature(tensor)) > 1:
                    raise CannotChange("more than its batch is dynamic (--batch 1 may help)")
                computed, told = graph.displace(op, "_computed", slot=slot)
                add_reshape(view, op, computed, told)
    for tensor in set(graph.outputs) & set(graph.inputs):
        copy = graph.add_like(tensor, "_copy")
        add_reshape(view, graph.operators[-1], tensor, copy)
        graph.give_instead(tensor, copy)
    return "RESHAPE to a constant shape in front of its outputs, for which LiteRT has a buffer then"


def _stored_type(view: View, tensor: int) -> str:
    producer = view.graph.producer(tensor) if tensor >= 0 else None
    if producer is not None and producer.type in UNPACKING:
        return _stored_type(view, producer.inputs[0])
    return view.graph.dtype(tensor) if tensor >= 0 else ""


def _is_plain(view: View, op: Op) -> bool:
    """Whether an operator does nothing but to compute its outputs."""
    touched = (*op.inputs, *op.outputs)
    return not any(t >= 0 and view.graph.tensors[t].isVariable for t in touched) and not op.type.startswith(
        ("CALL", "VAR_HANDLE", "ASSIGN", "READ_VARIABLE", "WHILE", "IF", "HASHTABLE")
    )
