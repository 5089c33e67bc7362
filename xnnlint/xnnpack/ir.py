"""XNNPACK's own view of a delegate partition: values and nodes, as `xnn_define_*` would create them.

Names follow XNNPACK (google/XNNPACK, include/xnnpack.h and src/xnnpack/subgraph.h): a *value* is an edge of the
subgraph, a *node* an operation. The delegate model (`lowering`) builds a `Subgraph`; `rewrites` and `layout` change it
the way `xnn_subgraph_optimize` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import Flag, auto
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

if TYPE_CHECKING:
    import numpy as np

INF = float("inf")


class NodeType:
    """Node types, named as `enum xnn_node_type` without its prefix."""

    FULLY_CONNECTED = "fully_connected"
    CONVOLUTION_2D = "convolution_2d"
    DEPTHWISE_CONVOLUTION_2D = "depthwise_convolution_2d"
    DECONVOLUTION_2D = "deconvolution_2d"
    DEPTH_TO_SPACE_2D = "depth_to_space_2d"
    SPACE_TO_DEPTH_2D = "space_to_depth_2d"
    GLOBAL_AVERAGE_POOLING_2D = "global_average_pooling_2d"
    BINARY = "binary_elementwise"
    UNARY = "unary_elementwise"
    RESIZE_BILINEAR = "static_resize_bilinear_2d"
    MEAN = "static_mean"
    MEAN_SQUARED = "static_mean_squared"
    SUM = "static_sum"
    SUM_SQUARED = "static_sum_squared"
    REDUCE_MAX = "static_reduce_max"
    REDUCE_MIN = "static_reduce_min"
    CONSTANT_PAD = "static_constant_pad"
    RESHAPE = "static_reshape"
    EXPAND_DIMS = "static_expand_dims"
    COPY = "copy"
    CONVERT = "convert"
    CONCATENATE = "concatenate"
    EVEN_SPLIT = "even_split"
    SOFTMAX = "softmax"
    SLICE = "static_slice"
    TRANSPOSE = "static_transpose"
    AVERAGE_POOLING_2D = "average_pooling_2d"
    MAX_POOLING_2D = "max_pooling_2d"
    ARGMAX_POOLING_2D = "argmax_pooling_2d"
    UNPOOLING_2D = "unpooling_2d"
    BATCH_MATRIX_MULTIPLY = "batch_matrix_multiply"
    OTHER = "other"


REDUCTIONS = (NodeType.MEAN, NodeType.MEAN_SQUARED, NodeType.SUM, NodeType.SUM_SQUARED)
"""Node types that end a cluster where they reduce a map."""


class Layout(Flag):
    """What the layout pass may do with a node (`XNN_LAYOUT_FLAG_*` in src/subgraph.c).

    `NCHW`: runs in NCHW. `ENTRY`: reads NHWC, can write NCHW. `EXIT`: reads NCHW, can write NHWC.
    """

    NONE = 0
    NCHW = auto()
    ENTRY = auto()
    EXIT = auto()


class Value(Struct, eq=False):
    """A value of the XNNPACK subgraph.

    Attributes:
        id: place in the subgraph's list of values; XNNPACK visits values in this order.
        dtype: "fp32", "fp16", "qint8", "quint8", "qcint8", "qdint8", "int32", ...: the part after `xnn_datatype_`.
        shape: dimensions when the delegate was applied (dynamic ones count as 1).
        tensor: index of the TFLite tensor it stands for, None for values that only XNNPACK has.
        data: gives the static values as a flat array in the shape's order, decoded as the runtime decodes them (fp16
            stays float16), none of them where they are in another file; None for a value computed at run time.
        external_input, external_output: whether the value crosses the border of the partition.
        nchw: set by the layout pass.
    """

    id: int
    dtype: str
    shape: tuple[int, ...]
    tensor: int | None = None
    data: Callable[[], np.ndarray] | None = None
    external_input: bool = False
    external_output: bool = False
    nchw: bool = False
    static_shape: bool = False
    tensor_name: str = ""

    @property
    def is_static(self) -> bool:
        return self.data is not None

    @property
    def is_external(self) -> bool:
        return self.external_input or self.external_output

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def elements(self) -> int:
        count = 1
        for dim in self.shape:
            count *= dim
        return count

    def scalar(self) -> float | None:
        """The only element; None where it has others, is computed at run time, or has its data in another file."""
        if self.data is None or self.elements != 1:
            return None
        data = self.data()
        return float(data.reshape(-1)[0]) if data.size else None


class Node(Struct, eq=False):
    """A node of the XNNPACK subgraph.

    Attributes:
        type: one of `NodeType`.
        inputs, outputs: value ids, by slot.
        op: index of the TFLite operator it was made from; nodes added by the delegate carry that of their origin.
        operator: for unary and binary nodes `xnn_unary_*` / `xnn_binary_*` without the prefix ("clamp", "add", ...).
        params: by type, named as in `struct xnn_node`:
            convolution_2d, depthwise_convolution_2d: `padding` (top, right, bottom, left), `kernel`, `stride` (h, w),
                `dilation` (h, w), `groups`, `group_input_channels`, `group_output_channels` or `depth_multiplier`,
                `input_channels`; `same_padding` where XNNPACK still has to compute TensorFlow SAME padding;
            reduce: `axes` (normalised, each once, in the model's order), `keep_dims`, `repeats_axes` where the model
                names one twice;
            static_constant_pad: `pre`, `post` (by dimension), `value`;
            static_reshape: `new_shape` (0 = infer / keep);
            clamp: `min`, `max`; static_resize_bilinear_2d: `new_height`, `new_width`;
            concatenate: `axis`; depth_to_space_2d: `block_size`; pools: as convolutions.
        activation: output range (min, max) of nodes that clamp their own output.
    """

    type: str
    inputs: list[int]
    outputs: list[int]
    op: int
    operator: str = ""
    params: dict[str, Any] = field(default_factory=dict)
    activation: tuple[float, float] = (-INF, INF)

    def __repr__(self) -> str:
        name = f"{self.type}:{self.operator}" if self.operator else self.type
        return f"<Node {name} op{self.op} {self.inputs}->{self.outputs}>"


class Subgraph(Struct):
    """One delegate partition as an XNNPACK subgraph; `nodes` is in execution order.

    `sparse_hint` is XNN_FLAG_HINT_SPARSE_INFERENCE: some node of the partition reads a weight that was stored sparse.
    `counts_repeats` and `lost_readers` (value id -> readers that were removed and still count) are quirks of the
    consumer counts of older versions.
    """

    values: list[Value]
    nodes: list[Node]
    sparse_hint: bool = False
    counts_repeats: bool = False
    lost_readers: dict[int, int] = field(default_factory=dict)
    _computed_from: dict[tuple[tuple[str, ...], int], set[int]] = field(default_factory=dict)

    def copy(self) -> Subgraph:
        """A copy whose nodes and values can be changed; static data is shared."""
        # Written out: `dataclasses.replace` takes ten times as long, and a search for fixes copies a lot.
        nodes = [
            Node(n.type, n.inputs[:], n.outputs[:], n.op, n.operator, dict(n.params), n.activation) for n in self.nodes
        ]
        values = [
            Value(
                v.id,
                v.dtype,
                v.shape,
                v.tensor,
                v.data,
                v.external_input,
                v.external_output,
                v.nchw,
                v.static_shape,
                v.tensor_name,
            )
            for v in self.values
        ]
        return Subgraph(values, nodes, self.sparse_hint, self.counts_repeats, dict(self.lost_readers))

    def new_value(self, dtype: str, shape: tuple[int, ...], **fields: Any) -> Value:
        value = Value(id=len(self.values), dtype=dtype, shape=shape, **fields)
        self.values.append(value)
        return value

    def producers(self) -> dict[int, int]:
        """Value id -> index of the node that writes it."""
        return {v: n for n, node in enumerate(self.nodes) for v in node.outputs}

    def computed_from(self, types: tuple[str, ...]) -> set[int]:
        """Ids of the values that nodes of some types write, or that are computed from such values.

        Kept for as long as no node is added or removed: conditions ask it of every node of a subgraph.
        """
        return self._kept(types, ())

    def computed_from_inputs(self) -> set[int]:
        """Ids of the values that come from outside, or that are computed from such values; kept likewise."""
        return self._kept((), (v.id for v in self.values if v.external_input))

    def _kept(self, types: tuple[str, ...], first: Iterable[int]) -> set[int]:
        key = types, len(self.nodes)
        if key not in self._computed_from:
            found = set(first)
            for node in self.nodes:
                if node.type in types or not found.isdisjoint(node.inputs):
                    found.update(node.outputs)
            self._computed_from[key] = found
        return self._computed_from[key]

    def consumer_counts(self) -> dict[int, int]:
        """Value id -> number of nodes that read it (each once, or each time), plus one for an external output.

        Source: `xnn_subgraph_analyze_consumers_and_producers` in XNNPACK src/subgraph.c.
        """
        counts = dict.fromkeys(range(len(self.values)), 0)
        counts.update((v, lost) for v, lost in self.lost_readers.items() if v < len(self.values))
        for node in self.nodes:
            for v in node.inputs if self.counts_repeats else set(node.inputs):
                counts[v] += 1
        for value in self.values:
            if value.external_output:
                counts[value.id] += 1
        return counts

    def consumers(self, value: int) -> Iterator[Node]:
        for node in self.nodes:
            if value in node.inputs:
                yield node

    def dynamic_inputs(self, node: Node) -> list[Value]:
        """Inputs of a node that are computed at run time, in slot order, repeats kept."""
        return [self.values[v] for v in node.inputs if not self.values[v].is_static]
