"""The one graph: operators and tensors of a model, as lists and as nodes of a networkx graph.

Every loader builds this graph, and everything after the loaders reads only this. Operator types and attributes carry
the names and units of the TFLite schema (tensorflow/lite/schema/schema.fbs), whatever file they came from.

Neighbours come from plain lists. What takes an algorithm (what depends on what, branches, cuts, order) is asked of
networkx, whose import is half of the time that a cold check takes: so it is imported by the first such question.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from xnnlint.model.exporter import Exporter

if TYPE_CHECKING:
    import networkx as nx
    import numpy as np

BLOCKWISE = "BlockwiseQuantization"
OP = "op"
TENSOR = "tensor"


class Quantization(Struct, frozen=True):
    """Affine quantization of a tensor: real = scale * (stored - zero_point), per tensor or per channel.

    Where `details` names another scheme of the schema (`BLOCKWISE`, "MultiAxisQuantization"), scale and
    zero_point are empty; of blocks `block_size` elements share a scale.
    """

    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    quantized_dimension: int = 0
    details: str = ""
    block_size: int = 0


class SparseDimension(Struct, frozen=True):
    """One level of a sparse tensor's traversal: `DENSE` with a size, or `SPARSE_CSR` with segments and indices."""

    format: str
    dense_size: int = 0
    segments: np.ndarray | None = None
    indices: np.ndarray | None = None


class Sparsity(Struct, frozen=True):
    """How a sparse-encoded tensor is stored (SparsityParameters of the TFLite schema)."""

    traversal_order: tuple[int, ...]
    block_map: tuple[int, ...]
    dims: tuple[SparseDimension, ...]


class Tensor(Struct, eq=False):
    """A value of the graph.

    Attributes:
        index: its index in its subgraph.
        name: the name in the file, "" where it has none.
        dtype: TensorType of the TFLite schema by name, such as "FLOAT32".
        shape: dimensions as stored; a dynamic dimension is stored as 1 by TFLite.
        shape_signature: dimensions with -1 for the dynamic ones; equal to `shape` where the file has no signature.
        has_rank: False where the file says that not even the rank is known.
        is_constant: True where the file holds data for it.
        is_variable: True for a stateful tensor.
        is_variant: True for one that holds tensors of other types (variant_tensors).
        is_external: True where the data is in another file, which is not read; such a tensor is not `is_constant`.
        stored: gives the stored values as a flat, read-only numpy array, zero-copy, in file order; for a sparse-encoded
            tensor only the values that are stored. None for a tensor without data.
        stored_bytes: size of the stored values in the file, in bytes.
        mapped: gives what the file holds from the first stored value on, as `stored` does: what is read by an operator
            that takes sparse values for dense ones. None where it is not read from a file.
        mapped_bytes: from the first stored value to the end of the file's last page: what can be read of a mapped file.
    """

    index: int
    name: str
    dtype: str
    shape: tuple[int, ...]
    shape_signature: tuple[int, ...] = ()
    has_rank: bool = True
    quantization: Quantization | None = None
    sparsity: Sparsity | None = None
    is_variable: bool = False
    is_variant: bool = False
    is_external: bool = False
    stored: Callable[[], np.ndarray] | None = None
    stored_bytes: int = 0
    mapped: Callable[[], np.ndarray] | None = None
    mapped_bytes: int = 0

    @property
    def is_constant(self) -> bool:
        return self.stored is not None

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def is_dynamic(self) -> bool:
        """Whether any dimension is only known at run time."""
        return not self.has_rank or any(d < 0 for d in self.shape_signature)

    def __repr__(self) -> str:
        return f"<Tensor {self.index} {self.name!r} {self.dtype}{list(self.shape)}>"


class Operator(Struct, eq=False):
    """An operator of the graph.

    Attributes:
        index: its index in its subgraph, which is also its place in the execution order.
        type: BuiltinOperator of the TFLite schema by name, such as "CONV_2D"; "CUSTOM" for custom operators.
        inputs: tensor indices by input slot; -1 for an optional input that is absent.
        outputs: tensor indices by output slot.
        attributes: the builtin options, named as in the schema (`stride_h`, `keep_dims`, ...), enums by name ("SAME").
        custom_code: the name of a custom operator, else "".
        version: the operator's version in the file.
        has_intermediates: whether it names intermediate tensors, or inputs that it changes.
        name: what a person calls it: the Keras layer's name, or what the names in the file say.
    """

    index: int
    type: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    attributes: dict[str, Any] = field(default_factory=dict)
    custom_code: str = ""
    version: int = 1
    name: str = ""
    has_intermediates: bool = False

    def __repr__(self) -> str:
        return f"<Operator {self.index} {self.custom_code or self.type} {self.name!r}>"


class Ends(tuple[int, ...]):
    """The inputs or outputs of a graph: a tuple that is quick to say whether a tensor is one of them."""

    @cached_property
    def _members(self) -> frozenset[int]:
        return frozenset(self)

    def __contains__(self, tensor: object) -> bool:
        return tensor in self._members


class Graph:
    """One subgraph of a model. It does not change once it is built."""

    def __init__(
        self,
        tensors: list[Tensor],
        operators: list[Operator],
        inputs: tuple[int, ...],
        outputs: tuple[int, ...],
        name: str = "",
    ) -> None:
        self.name = name
        self.tensors = tensors
        self.operators = operators
        self.inputs = Ends(inputs)
        self.outputs = Ends(outputs)
        self._producers: dict[int, int] = {}
        self._consumers: dict[int, list[int]] = {}
        for op in operators:
            for tensor in _present(op.outputs):
                self._producers.setdefault(tensor, op.index)
            for tensor in dict.fromkeys(_present(op.inputs)):
                self._consumers.setdefault(tensor, []).append(op.index)

    def producer(self, tensor: int) -> Operator | None:
        """The operator that writes a tensor, or None for constants and graph inputs."""
        index = self._producers.get(tensor)
        return None if index is None else self.operators[index]

    def consumers(self, tensor: int) -> list[Operator]:
        """The operators that read a tensor, each once, in execution order."""
        return [self.operators[i] for i in self._consumers.get(tensor, ())]

    def input_tensor(self, op: Operator, slot: int) -> Tensor | None:
        """The tensor in an input slot, or None where the slot is absent or left out."""
        if slot >= len(op.inputs) or op.inputs[slot] < 0:
            return None
        return self.tensors[op.inputs[slot]]

    def output_tensor(self, op: Operator, slot: int = 0) -> Tensor:
        """The tensor that an operator writes in a slot."""
        return self.tensors[op.outputs[slot]]

    @cached_property
    def nx(self) -> nx.MultiDiGraph:
        """The graph for networkx's algorithms.

        Its nodes are `("op", index)` and `("tensor", index)`, each with its `Operator` or `Tensor` as attribute `data`;
        an edge into or out of an operator carries the slot as attribute `slot`. Built once, on the first use.
        """
        import networkx as nx

        graph = nx.MultiDiGraph()
        graph.add_nodes_from(((TENSOR, t.index), {"data": t}) for t in self.tensors)
        graph.add_nodes_from(((OP, o.index), {"data": o}) for o in self.operators)
        for op in self.operators:
            here = (OP, op.index)
            graph.add_edges_from(((TENSOR, t), here, {"slot": slot}) for slot, t in enumerate(op.inputs) if t >= 0)
            graph.add_edges_from((here, (TENSOR, t), {"slot": slot}) for slot, t in enumerate(op.outputs) if t >= 0)
        return graph

    def upstream(self, op: int) -> list[Operator]:
        """An operator and all that it depends on, nearest first."""
        return self._reached((OP, op), reverse=True)

    def downstream(self, tensor: int) -> list[Operator]:
        """All operators that depend on a tensor, nearest first."""
        return self._reached((TENSOR, tensor), reverse=False)

    def needed(self, tensors: Iterable[int]) -> set[int]:
        """These tensors and all that they are computed from; absent ones (-1) are left out.

        By neighbours, since every check asks for what the outputs need.
        """
        found: set[int] = set()
        pending = _present(tensors)
        while pending:
            tensor = pending.pop()
            if tensor not in found:
                found.add(tensor)
                producer = self.producer(tensor)
                pending += _present(producer.inputs) if producer is not None else []
        return found

    def _reached(self, start: tuple[str, int], *, reverse: bool) -> list[Operator]:
        import networkx as nx

        way = nx.bfs_edges(self.nx, start, reverse=reverse)
        nodes = [start, *(node for _, node in way)]
        return [self.operators[index] for kind, index in nodes if kind == OP]

    def __repr__(self) -> str:
        return f"<Graph {self.name!r}: {len(self.operators)} operators, {len(self.tensors)} tensors>"


def _present(tensors: Iterable[int]) -> list[int]:
    """The tensors of some slots, without the optional ones that are absent."""
    return [tensor for tensor in tensors if tensor >= 0]


class Signature(Struct, frozen=True):
    """A named entry point: argument name -> tensor index, in one subgraph; and how many of each the file lists."""

    key: str
    subgraph: int
    inputs: dict[str, int]
    outputs: dict[str, int]
    input_count: int = 0
    output_count: int = 0


class Model(Struct):
    """A model file as read.

    Attributes:
        path: as the user gave it.
        format: "tflite", "keras", "h5", "saved_model" or "live".
        graphs: the subgraphs.
        signatures: named entry points.
        metadata: names of the file's metadata entries -> their bytes, such as "reduced_precision_support".
        description: the file's own description, may be "".
        exporter: the program that wrote it.
        notes: what a person should know about the reading of the file, a sentence each.
        unknown: the layers of a Keras model of which nobody knows what the converter makes, and why; each is a
            CUSTOM operator of that name, or one of `kept`.
        layers: what each layer of a Keras model is, by name: its class, and its function or activation, as in
            "Activation hard_sigmoid" or "TFOpLambda math.truediv".
        kept: those of them that are taken to give out what they get; there is no operator of theirs.
        behind: layers that cannot be looked at, each a CUSTOM operator, too -> the unknown one whose shape they need.
        cures: those of them that the converter refuses -> what to do about that.
        unsure: the layers that depend on one of unknown effect.
        declared: (layer, what it is) as the user said of layers whose code is not read.
        schedules: (layer, how it is being pruned, in words of `keras.description.PruningSchedule`) of a Keras model.
        at_end: gives the model with its kernels as they are once these schedules end; None without schedules.
        wrapped: the layers of a Keras model that are still in PruneLowMagnitude wrappers.
        assume_pruned: the share of zeros, 0 to 1, that every 1x1 kernel of a Keras model was given for the forecast;
            None where weights are what the file has.
    """

    path: str
    format: str
    graphs: list[Graph]
    signatures: list[Signature] = field(default_factory=list)
    metadata: dict[str, bytes] = field(default_factory=dict)
    description: str = ""
    exporter: Exporter = Exporter.UNKNOWN
    notes: list[str] = field(default_factory=list)
    unknown: dict[str, str] = field(default_factory=dict)
    behind: dict[str, str] = field(default_factory=dict)
    cures: dict[str, str] = field(default_factory=dict)
    layers: dict[str, str] = field(default_factory=dict)
    kept: tuple[str, ...] = ()
    unsure: frozenset[str] = frozenset()
    declared: tuple[tuple[str, str], ...] = ()
    schedules: tuple[tuple[str, Any], ...] = ()
    at_end: Callable[[], Model] | None = None
    wrapped: tuple[str, ...] = ()
    assume_pruned: float | None = None

    @property
    def entry(self) -> int:
        """Index of the subgraph that runs unless another signature is asked for: that of the first signature."""
        return self.signatures[0].subgraph if self.signatures else 0

    @property
    def main(self) -> Graph:
        return self.graphs[self.entry]

    def operators(self) -> Iterator[tuple[Graph, Operator]]:
        """Every operator of every subgraph."""
        for graph in self.graphs:
            for op in graph.operators:
                yield graph, op
