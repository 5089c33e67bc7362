"""A file without STABLEHLO_COMPOSITE operators: each replaced by the operators that decompose it.

That is what LiteRT's compiled model makes of them before anything is delegated; fixes change what is delegated, so they
start from there. Source: google-ai-edge/LiteRT tflite/core/subgraph.cc `Subgraph::InlineCompositeNodes`.
"""

from __future__ import annotations

from copy import copy
from typing import Any

from xnnlint.fixes.tflite import object_api as schema
from xnnlint.fixes.tflite.editor import Edit
from xnnlint.xnnpack.inlining import COMPOSITE, DEEPEST, MOST_OPERATORS


def without_composites(data: bytes, path: str) -> Edit:
    """An edit of the file with its main subgraph's composites replaced; of the same bytes where it has none.

    Operators come in the order of `xnnpack.inlining.inlined`.

    Raises:
        ModelError: the file cannot be changed without loss.
    """
    edit = Edit.open(data, path)
    if not any(op.type == COMPOSITE for op in edit.main.operators):
        return edit
    for _ in range(DEEPEST):
        graph = edit.main.raw
        if not any(_decomposition(edit, op) for op in graph.operators) or len(graph.operators) > MOST_OPERATORS:
            break
        graph.operators = [made for op in graph.operators for made in _replaced(edit, op)]
    return Edit.open(schema.write(edit.model, identifier=edit.has_identifier), path)


def _decomposition(edit: Edit, op: Any) -> Any:
    """The subgraph that stands for an operator, or None."""
    options = op.builtinOptions2
    if edit.type_of(op) != COMPOSITE or options is None:
        return None
    number = options.decompositionSubgraphIndex
    inner = edit.graphs[number].raw if 0 < number < len(edit.graphs) else None
    return inner if inner is not None and _fits(op, inner) else None


def _fits(op: Any, inner: Any) -> bool:
    return len(_slots(op.inputs)) >= len(_slots(inner.inputs)) and len(_slots(op.outputs)) >= len(_slots(inner.outputs))


def _slots(tensors: Any) -> list[int]:
    return [] if tensors is None else [int(t) for t in tensors]


def _replaced(edit: Edit, op: Any) -> list[Any]:
    import numpy as np

    inner = _decomposition(edit, op)
    if inner is None:
        return [op]
    tensors = edit.main.raw.tensors
    places = {index: len(tensors) + index for index in range(len(inner.tensors))}
    places |= zip(_slots(inner.inputs), _slots(op.inputs), strict=False)
    places |= zip(_slots(inner.outputs), _slots(op.outputs), strict=False)
    tensors += [copy(tensor) for tensor in inner.tensors]
    made = []
    for part in inner.operators or ():
        part = copy(part)
        for name in ("inputs", "outputs"):
            setattr(part, name, np.array([places.get(t, t) for t in _slots(getattr(part, name))], np.int32))
        made.append(part)
    return made
