"""What the delegate makes of a graph, as records.

Source of the notions: google-ai-edge/LiteRT tflite/delegates/xnnpack/xnnpack_delegate.cc class `Delegate` and
`Subgraph::Create`, tflite/graph_info.h `NodeSubset`.
"""

from __future__ import annotations

from msgspec import Struct, field

from xnnlint.xnnpack.delegate.rejection import Rejection
from xnnlint.xnnpack.fault import Fault


class Unpacking(Struct, frozen=True):
    """A tensor that the delegate computes from constants when it is applied.

    Attributes:
        op: the DEQUANTIZE or DENSIFY operator that writes it in the file.
        kind: "DEQUANTIZE" or "DENSIFY".
        source: the tensor that it reads, a constant or itself unpacked.
    """

    op: int
    kind: str
    source: int


class Failure(Struct, frozen=True):
    """Why applying the delegate makes the whole model fail to load."""

    op: int
    fault: Fault


class Partition(Struct):
    """One delegate kernel, which becomes one XNNPACK subgraph.

    Attributes:
        index: place among the delegate's partitions, in execution order.
        ops: operator indices in the order of lowering, skipped unpacking operators among them.
        sparse_hint: whether an operator of it reads a weight that was stored sparse (XNN_FLAG_HINT_SPARSE_INFERENCE).
        inputs: tensors computed elsewhere (external inputs), ascending.
        outputs: tensors read elsewhere or by the model's user (external outputs), ascending.
    """

    index: int
    ops: list[int]
    sparse_hint: bool
    inputs: list[int]
    outputs: list[int]


class Delegation(Struct):
    """What the delegate makes of a graph.

    Attributes:
        partitions: the delegate's kernels in execution order.
        rejected: operator index -> why TFLite runs it itself.
        unpacked: tensor -> how the delegate computes it when it is applied.
        skipped: unpacking operators that the delegate claims and never executes.
        sparse_weights: tensors that come out of a DENSIFY, directly or through a DEQUANTIZE.
        aliases: fp32 tensor -> the fp16 tensor that XNNPACK gets in its place.
        unwritten: tensors that are read but never written, since their DENSIFY or DEQUANTIZE is claimed and skipped.
        schedule: the whole execution plan; each entry a `Partition`, or the index of an operator that TFLite runs.
        assumed: operators that are delegated only because the caller asked what that would change.
        variables: resource tensor -> a tensor of the type and shape that the variable has.
    """

    partitions: list[Partition]
    rejected: dict[int, Rejection]
    unpacked: dict[int, Unpacking]
    skipped: frozenset[int]
    sparse_weights: frozenset[int]
    aliases: dict[int, int]
    unwritten: frozenset[int]
    schedule: list[Partition | int]
    assumed: frozenset[int] = frozenset()
    variables: dict[int, int] = field(default_factory=dict)
