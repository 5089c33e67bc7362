"""STABLEHLO_COMPOSITE operators replaced by the subgraphs that decompose them, as the runtime does on loading.

One that the delegate takes whole stays: it is the custom operator of its name then, which the delegate treats alike.

Source: google-ai-edge/LiteRT tflite/core/subgraph.cc `Subgraph::InlineCompositeNodes`, `ReplaceNodeWithSubgraph`.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from xnnlint.model.graph import Graph, Model, Operator, Tensor
from xnnlint.xnnpack.attention import ATTENTION, objections

COMPOSITE = "STABLEHLO_COMPOSITE"
# A file can claim a composite that holds itself, or a hundred others that hold a hundred more.
DEEPEST, MOST_OPERATORS = 50, 250_000


def has_composites(graph: Graph) -> bool:
    """Whether there is anything to inline."""
    return any(op.type == COMPOSITE for op in graph.operators)


def inlined(model: Model, graph: Graph) -> Graph:
    """A graph whose composites are replaced, those in their decompositions, too; the same graph where it has none.

    Tensors of the graph keep their indices, and those of decompositions follow them; operators are numbered anew. A
    composite that cannot be replaced (one that holds itself, say) stays.
    """
    if not has_composites(graph):
        return graph
    tensors, operators = list(graph.tensors), graph.operators
    for _ in range(DEEPEST):
        if not any(_decomposition(model, op) for op in operators) or len(operators) > MOST_OPERATORS:
            break
        operators = [made for op in operators for made in _replaced(model, op, tensors)]
    operators = [replace(op, index=index) for index, op in enumerate(operators)]
    return Graph(tensors, operators, graph.inputs, graph.outputs, graph.name)


def _decomposition(model: Model, op: Operator) -> Graph | None:
    """The subgraph that stands for an operator; None where it is no composite, or has no such subgraph."""
    number = int(op.attributes.get("decomposition_subgraph_index", -1)) if op.type == COMPOSITE else -1
    if not 0 < number < len(model.graphs):
        return None
    inner = model.graphs[number]
    fits = len(op.inputs) >= len(inner.inputs) and len(op.outputs) >= len(inner.outputs)
    return inner if fits else None


def _replaced(model: Model, op: Operator, tensors: list[Tensor]) -> Iterator[Operator]:
    """What an operator becomes, with its inner composites as they are; adds the tensors of its decomposition."""
    inner = _decomposition(model, op)
    if inner is None:
        yield op
        return
    if op.attributes.get("name") == ATTENTION and not any(objections(tensors, op)):
        options = bytes(op.attributes.get("composite_attributes") or ())
        yield replace(op, type="CUSTOM", custom_code=ATTENTION, attributes={"custom_options": options})
        return
    offset = len(tensors)
    tensors += [replace(tensor, index=offset + tensor.index) for tensor in inner.tensors]
    places = {tensor.index: offset + tensor.index for tensor in inner.tensors}
    places |= zip(inner.inputs, op.inputs, strict=False)
    places |= zip(inner.outputs, op.outputs, strict=False)
    for part in inner.operators:
        inputs, outputs = (tuple(places.get(t, t) for t in slots) for slots in (part.inputs, part.outputs))
        yield replace(part, inputs=inputs, outputs=outputs)
