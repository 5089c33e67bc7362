"""A model of which some weights that are stored sparse are stored dense instead."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from xnnlint.model.graph import Graph, Model, Tensor
from xnnlint.model.weights import MAX_DECODED_BYTES, dense_values

if TYPE_CHECKING:
    import numpy as np


def decoded(model: Model, tensors: Collection[int]) -> Model:
    """The model with constants of its main graph stored dense; operators and tensors keep their indices.

    Args:
        tensors: which.
    """
    graph = model.main
    changed = [_dense(t) if t.index in tensors and t.sparsity is not None else t for t in graph.tensors]
    # Float weights in blocks have a version of their own.
    operators = [
        replace(op, version=1)
        if op.type == "FULLY_CONNECTED" and op.inputs[1] in tensors and changed[op.inputs[1]].dtype == "FLOAT32"
        else op
        for op in graph.operators
    ]
    main = Graph(changed, operators, graph.inputs, graph.outputs, graph.name)
    return replace(model, graphs=[main, *model.graphs[1:]])


def _dense(tensor: Tensor) -> Tensor:
    # The values are only decoded where somebody asks for them.
    stored: Callable[[], np.ndarray] = partial(_values, tensor)
    return replace(tensor, sparsity=None, stored=stored)


def _values(tensor: Tensor) -> np.ndarray:
    return dense_values(tensor, MAX_DECODED_BYTES).reshape(-1)
