"""A quantized file computed in float32: what its integers mean, without the rounding between its operators.

TFLite's kernels, optimized kernels and XNNPACK round differently, and none of them is the truth; how far they lie from
this, and from each other, says how much of a difference is rounding.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import numpy as np
from msgspec.structs import replace

from xnnlint.errors import XnnlintError
from xnnlint.loaders.tflite import read_tflite
from xnnlint.model.graph import Graph, Operator, Quantization, Tensor
from xnnlint.model.weights import decode, trace
from xnnlint.modelbuilder.graph_file import write_graphs

_UNPACKING, _FLOATS = ("DENSIFY", "DEQUANTIZE"), ("FLOAT32", "FLOAT16")
_INTEGERS = ("INT4", "INT8", "UINT8", "INT16", "INT32", "INT64")
_LIMITS = {"INT8": (-128, 127), "UINT8": (0, 255), "INT16": (-32768, 32767)}


def output_scales(path: str) -> dict[int, Quantization]:
    """How the main subgraph's outputs are quantized, by tensor, of those that are per tensor."""
    graph = read_tflite.load(path).main
    found = ((t, graph.tensors[t].quantization) for t in graph.outputs if t >= 0)
    return {t: q for t, q in found if q is not None and len(q.scale) == 1 and graph.tensors[t].dtype in _LIMITS}


def float_file(path: str) -> bytes | None:
    """The file in float32, with inputs of their own types and the same indices; None where that cannot be written: of
    custom operators, variables, several subgraphs, or sparse weights that no DENSIFY unpacks."""
    try:
        model = read_tflite.load(path)
        return write_graphs([_Floats(model.main).graph()]) if len(model.graphs) == 1 else None
    except (_Impossible, XnnlintError, ValueError, KeyError):
        return None


class _Impossible(Exception):
    pass


class _Floats:
    def __init__(self, graph: Graph) -> None:
        self.source = graph
        # Weights that are stored sparse, or as float16, up to the operator that reads them.
        self.unpacked = {t for op in graph.operators if op.type in _UNPACKING for t in op.inputs if self._is_weight(t)}
        self.tensors = [self._tensor(tensor) for tensor in graph.tensors]
        self.operators: list[Operator] = []

    def graph(self) -> Graph:
        inputs = {t: self._from_integers(t) for t in self.source.inputs if self._is_quantized(t)}
        for op in self.source.operators:
            self._add(op, tuple(inputs.get(t, t) for t in op.inputs))
        operators = [replace(op, index=index) for index, op in enumerate(self.operators)]
        return Graph(self.tensors, operators, self.source.inputs, self.source.outputs, self.source.name)

    def _is_quantized(self, tensor: int) -> bool:
        stored = self.source.tensors[tensor] if tensor >= 0 else None
        return stored is not None and stored.dtype in _INTEGERS and stored.quantization is not None

    def _is_weight(self, tensor: int) -> bool:
        """Whether it is a floating-point constant, or one that a DENSIFY unpacked."""
        source, _ = trace(self.source, tensor)
        return source is not None and source.dtype in _FLOATS

    def _tensor(self, tensor: Tensor) -> Tensor:
        quantization = tensor.quantization
        if tensor.is_variable or tensor.is_external or tensor.dtype == "RESOURCE":
            raise _Impossible
        if tensor.index in self.unpacked:
            data = None if tensor.stored is None else partial(_floats, self.source, tensor)
            return replace(tensor, dtype="FLOAT32", sparsity=None, stored=data)
        if tensor.sparsity is not None and (quantization is None or tensor.dtype not in _INTEGERS):
            raise _Impossible
        if quantization is None or tensor.dtype not in _INTEGERS:
            return tensor
        if quantization.details or not quantization.scale:
            raise _Impossible
        if tensor.index in self.source.inputs:
            return replace(tensor, quantization=None)
        data = None if tensor.stored is None else partial(_dequantized, self.source, tensor, quantization)
        return replace(tensor, dtype="FLOAT32", quantization=None, sparsity=None, stored=data)

    def _new(self, like: Tensor, dtype: str = "FLOAT32") -> int:
        index = len(self.tensors)
        self.tensors.append(replace(like, index=index, dtype=dtype, quantization=None, stored=None))
        return index

    def _constant(self, value: float) -> int:
        index = len(self.tensors)
        self.tensors.append(Tensor(index, "", "FLOAT32", (), stored=lambda: np.array([value], np.float32)))
        return index

    def _op(self, type_: str, inputs: Iterable[int], output: int, version: int = 1) -> int:
        self.operators.append(Operator(0, type_, tuple(inputs), (output,), version=version))
        return output

    def _from_integers(self, tensor: int) -> int:
        """An input's numbers: what its integers mean."""
        stored = self.source.tensors[tensor]
        assert stored.quantization is not None
        zero, scale = stored.quantization.zero_point[0], stored.quantization.scale[0]
        number = self._new(stored)
        attributes = {"in_data_type": stored.dtype, "out_data_type": "FLOAT32"}
        self.operators.append(Operator(0, "CAST", (tensor,), (number,), attributes))
        moved = self._op("SUB", (number, self._constant(zero)), self._new(stored))
        return self._op("MUL", (moved, self._constant(scale)), self._new(stored))

    def _add(self, op: Operator, inputs: tuple[int, ...]) -> None:
        if op.type == "CUSTOM" or op.attributes.get("weights_format", "DEFAULT") != "DEFAULT":
            raise _Impossible
        if op.type in _UNPACKING and (self._is_quantized(op.inputs[0]) or op.inputs[0] in self.unpacked):
            self._op("MUL", (inputs[0], self._constant(1.0)), op.outputs[0])
            return
        raw = tuple(self._new(self.tensors[t]) if self._has_limits(t) else t for t in op.outputs)
        if op.type == "QUANTIZE":
            raw = (inputs[0],)
        else:
            self.operators.append(replace(op, inputs=inputs, outputs=raw))
        for unlimited, tensor in zip(raw, op.outputs, strict=True):
            if unlimited != tensor:
                self._limit(unlimited, tensor)

    def _has_limits(self, tensor: int) -> bool:
        return self._is_quantized(tensor) and self.source.tensors[tensor].dtype in _LIMITS

    def _limit(self, unlimited: int, tensor: int) -> None:
        """As integers the numbers end where their type does."""
        stored = self.source.tensors[tensor]
        assert stored.quantization is not None
        zero, scale = stored.quantization.zero_point[0], stored.quantization.scale[0]
        low, high = ((limit - zero) * scale for limit in _LIMITS[stored.dtype])
        above = self._op("MAXIMUM", (unlimited, self._constant(low)), self._new(self.tensors[tensor]))
        self._op("MINIMUM", (above, self._constant(high)), tensor)


def _floats(graph: Graph, tensor: Tensor) -> np.ndarray:
    return decode(graph, tensor.index).astype(np.float32).reshape(-1)


def _dequantized(graph: Graph, tensor: Tensor, quantization: Quantization) -> np.ndarray:
    values = decode(graph, tensor.index).astype(np.float64)
    shape = [1] * values.ndim
    if len(quantization.scale) > 1:
        shape[quantization.quantized_dimension] = -1
    scale, zero = (np.array(numbers).reshape(shape or 1) for numbers in (quantization.scale, quantization.zero_point))
    numbers: np.ndarray = ((values - zero) * scale).astype(np.float32)
    return numbers.reshape(-1)
