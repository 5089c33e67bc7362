"""What the XNNPACK delegate does with a graph before anything is lowered: claims, unpacking, partitions.

Source: google-ai-edge/LiteRT tflite/delegates/xnnpack/xnnpack_delegate.cc `Delegate::PrepareOpsToDelegate` and the
first half of `Subgraph::Create`, read at f674577 (2026-08-21).
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct, field

from xnnlint.model.graph import Graph, Operator
from xnnlint.xnnpack.acceptance import refusal
from xnnlint.xnnpack.delegate.accept_checks import Scope
from xnnlint.xnnpack.delegate.delegation import Delegation, Partition, Unpacking
from xnnlint.xnnpack.delegate.partition import Subset, partition
from xnnlint.xnnpack.delegate.rejection import Rejection
from xnnlint.xnnpack.profile import Profile
from xnnlint.xnnpack.waiver import Waiver, WaiverKind

_FP16_CONSUMERS = ("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D")
SPARSE_DTYPES = ("FLOAT16", "INT8", "FLOAT32")


class _Claims(Struct):
    """State of the walk over the execution plan."""

    scope: Scope
    producers: dict[int, Unpacking] = field(default_factory=dict)
    unpack_ops: set[int] = field(default_factory=set)
    to_unpack: set[int] = field(default_factory=set)
    sparse_weights: set[int] = field(default_factory=set)
    delegated: set[int] = field(default_factory=set)
    rejected: dict[int, Rejection] = field(default_factory=dict)


def delegate(graph: Graph, profile: Profile, assume: Iterable[Waiver] = ()) -> Delegation:
    """Which operators the delegate takes, into which partitions.

    Args:
        assume: those of kind `DELEGATED` treat an operator as accepted whatever stands against it.
    """
    assumed = frozenset(op for kind, op in assume if kind is WaiverKind.DELEGATED)
    claims = _claim(graph, profile, assumed)
    claimed = claims.delegated | claims.unpack_ops
    subsets = partition(graph, claimed)
    aliases = claims.scope.aliases
    unpacked = {t: claims.producers[t] for t in claims.to_unpack if t not in aliases}
    skipped = frozenset(claims.unpack_ops)
    partitions: list[Partition] = []
    schedule: list[Partition | int] = []
    for subset in subsets:
        if not subset.delegated:
            schedule.extend(subset.ops)
            continue
        partitions.append(_partition(graph, subset, len(partitions), claims, unpacked))
        schedule.append(partitions[-1])
    return Delegation(
        partitions=partitions,
        rejected=claims.rejected,
        unpacked=unpacked,
        skipped=skipped,
        sparse_weights=frozenset(claims.sparse_weights),
        aliases=dict(aliases),
        unwritten=_unwritten(graph, skipped, claimed),
        schedule=schedule,
        assumed=assumed & claimed,
        variables=dict(claims.scope.variables),
    )


def _claim(graph: Graph, profile: Profile, assumed: frozenset[int]) -> _Claims:
    claims = _Claims(Scope(graph, profile))
    for op in graph.operators:
        if op.index in assumed:
            _accept(claims, op)
        elif _claim_dequantize(claims, op) or _claim_densify(claims, op):
            continue
        elif (reason := refusal(claims.scope, op)) is None:
            _accept(claims, op)
        else:
            claims.rejected[op.index] = reason
            # Only the direct producers are handed back to TFLite: a DENSIFY before the DEQUANTIZE stays claimed.
            claims.unpack_ops -= {claims.producers[t].op for t in op.inputs if t in claims.producers}
    for variable in claims.scope.variables:
        handle = graph.producer(variable)
        if handle is not None:
            claims.delegated.add(handle.index)
            claims.rejected.pop(handle.index, None)
    return claims


def _accept(claims: _Claims, op: Operator) -> None:
    claims.delegated.add(op.index)
    claims.to_unpack.update(t for t in op.inputs if t in claims.scope.quasi_static)


def _claim_dequantize(claims: _Claims, op: Operator) -> bool:
    scope, graph = claims.scope, claims.scope.graph
    if op.type != "DEQUANTIZE" or len(op.inputs) != 1 or len(op.outputs) != 1 or op.inputs[0] < 0:
        return False
    source, target = graph.tensors[op.inputs[0]], graph.output_tensor(op)
    stored_int8 = source.dtype == "INT8" and source.quantization is not None and bool(source.quantization.scale)
    if source.sparsity is not None or not scope.is_static(source.index) or target.dtype != "FLOAT32":
        return False
    if source.dtype != "FLOAT16" and not stored_int8:
        return False
    handed_over = source.dtype == "FLOAT16" and scope.profile["fp16_weights_handed_over"]
    if handed_over and _reads_fp16(graph, target.index):
        scope.aliases[target.index] = source.index
    _unpack(claims, op)
    if source.index in scope.quasi_static:
        claims.to_unpack.add(source.index)
    if source.index in claims.sparse_weights:
        claims.sparse_weights.add(target.index)
    return True


def _reads_fp16(graph: Graph, tensor: int) -> bool:
    """Whether all readers take an fp16 weight as it is, and none reads it as its data."""
    return all(op.type in _FP16_CONSUMERS and op.inputs[0] != tensor for op in graph.consumers(tensor))


def _claim_densify(claims: _Claims, op: Operator) -> bool:
    graph = claims.scope.graph
    if op.type != "DENSIFY" or len(op.inputs) != 1 or len(op.outputs) != 1 or op.inputs[0] < 0:
        return False
    source, target = graph.tensors[op.inputs[0]], graph.output_tensor(op)
    if not (source.is_constant or source.is_external) or source.sparsity is None:
        return False
    if source.dtype not in SPARSE_DTYPES or target.dtype != source.dtype:
        return False
    _unpack(claims, op)
    claims.sparse_weights.add(target.index)
    return True


def _unpack(claims: _Claims, op: Operator) -> None:
    claims.unpack_ops.add(op.index)
    claims.producers[op.outputs[0]] = Unpacking(op.index, op.type, op.inputs[0])
    claims.scope.quasi_static.add(op.outputs[0])


def _partition(graph: Graph, subset: Subset, index: int, claims: _Claims, unpacked: dict[int, Unpacking]) -> Partition:
    sparse_hint = any(t in claims.sparse_weights for op in subset.ops for t in graph.operators[op].inputs)
    hidden = unpacked.keys() | claims.scope.aliases.keys()

    def crosses(tensor: int) -> bool:
        stored = graph.tensors[tensor]
        return tensor not in hidden and not stored.is_constant and not stored.is_external

    return Partition(
        index,
        subset.ops,
        sparse_hint,
        inputs=[t for t in subset.inputs if crosses(t)],
        outputs=[t for t in subset.outputs if crosses(t) and graph.tensors[t].dtype != "RESOURCE"],
    )


def _unwritten(graph: Graph, skipped: frozenset[int], claimed: set[int]) -> frozenset[int]:
    outputs = {t for op in skipped for t in graph.operators[op].outputs}
    return frozenset(
        t for t in outputs if t in graph.outputs or any(op.index not in claimed for op in graph.consumers(t))
    )
