"""Who reads a sparse-encoded tensor, and what comes of it.

DENSIFY decodes every encoding, and the delegate does what DENSIFY would. TFLite's own FULLY_CONNECTED knows the two
formats that the converter writes for it. Nobody else looks at the encoding: the delegate, which refuses FULLY_CONNECTED
of version 8 and takes every other version, DEQUANTIZE and all other kernels read what is stored as if it were the
dense tensor, and go on behind its end.

Sources, read at f674577 (2026-08-21) of google-ai-edge/LiteRT: tflite/kernels/fully_connected.cc `EvalFloat`,
`EvalQuantized`, `EvalHybrid`, `PopulateLedgerData`; tflite/kernels/densify.cc `Eval`; tflite/kernels/dequantize.cc
`Eval`; tflite/core/subgraph.cc `SetTensorParametersReadOnly`, which checks no sizes of sparse tensors;
tflite/delegates/xnnpack/xnnpack_delegate.cc `PrepareOpsToDelegate` (its comment on sparse tensors without Densify),
`VisitNode`. Seen in runs: tests/xnnpack/test_sparse_readers.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from xnnlint.model import sparse
from xnnlint.model.graph import Graph, Operator, Tensor
from xnnlint.xnnpack.fault import Fault, TensorRef, Wrong
from xnnlint.xnnpack.plan import Hazard, Outcome, Plan

DENSIFIED = ("FLOAT32", "FLOAT16", "INT8")
FLOAT_BLOCK, INTEGER_BLOCK = 4, 16
"""Blocks along the input channels of a FULLY_CONNECTED that its kernels for float and for int8 weights take."""
MOST_BLOCKS = 255
"""The largest number of a block, and of blocks in a row, that the kernel for float values and int8 weights can note."""
_WEIGHTS = 1
_BITS = {"FLOAT32": 32, "INT32": 32, "FLOAT16": 16, "BFLOAT16": 16, "INT16": 16, "INT4": 4, "UINT4": 4, "INT2": 2}


def encoding_hazards(plan: Plan, mattering: set[int]) -> Iterator[Hazard]:
    """What goes wrong at the readers of sparse-encoded tensors, sparse or dense.

    Args:
        mattering: tensors on which an output of the model depends.
    """
    graph, delegation = plan.graph, plan.delegation
    unpacking = delegation.skipped if delegation is not None else frozenset()
    for tensor in graph.tensors:
        if tensor.sparsity is None or not tensor.is_constant:
            continue
        for op in graph.consumers(tensor.index):
            if op.index in unpacking or not mattering.intersection(op.outputs):
                continue
            fault = _own_kernel(graph, op, tensor) if op.index in plan.tflite_ops else _as_stored(tensor)
            if fault is not None:
                yield Hazard(op.index, fault, _outcome(fault, plan))


def decoders(graph: Graph, tensor: Tensor) -> list[Operator]:
    """The operators that decode a sparse-encoded tensor for others."""
    return [op for op in graph.consumers(tensor.index) if op.type == "DENSIFY"]


def _outcome(fault: Fault, plan: Plan) -> Outcome:
    """What lies behind the file in memory is not the file's: on some systems nothing, and the process dies."""
    dies = fault.wrong is Wrong.READ_PAST_FILE and plan.profile["dies_behind_file"]
    return Outcome.FAILS if dies or fault.wrong is Wrong.ENCODING_REFUSED else Outcome.WRONG_RESULTS


def _own_kernel(graph: Graph, op: Operator, tensor: Tensor) -> Fault | None:
    """What TFLite's own kernel makes of a sparse-encoded input."""
    if op.type == "DENSIFY":
        types = " or ".join(DENSIFIED)
        return None if tensor.dtype in DENSIFIED else _fault(Wrong.ENCODING_REFUSED, types, tensor.dtype, tensor)
    if op.type == "FULLY_CONNECTED" and graph.input_tensor(op, _WEIGHTS) is tensor:
        values = graph.input_tensor(op, 0)
        if tensor.dtype == "FLOAT32":
            return _unless_in_blocks(tensor, (1, FLOAT_BLOCK))
        if tensor.dtype == "INT8" and values is not None and values.dtype == "FLOAT32":
            return _hybrid(tensor)
        if tensor.dtype == "INT8":
            return _unless_in_blocks(tensor, (INTEGER_BLOCK,))
    if op.type == "LSTM" and tensor.dtype == "INT8":
        return _hybrid(tensor)  # tflite/kernels/lstm.cc `copy_ledger`; no converter writes it, and none was run.
    return _as_stored(tensor)


def _unless_in_blocks(tensor: Tensor, sizes: tuple[int, ...]) -> Fault | None:
    """Kernels that look at the encoding refuse what they do not know, once they run."""
    if _block(tensor) in sizes:
        return None
    return _fault(Wrong.ENCODING_REFUSED, " or ".join(map(_blocks, sizes)), _blocks(_block(tensor)), tensor)


def _hybrid(tensor: Tensor) -> Fault | None:
    """The kernel for float values and int8 weights asks for nothing, and takes all for blocks of 16; where it cannot
    note a block's number, it goes on with what it has noted so far (`EvalHybrid` drops the error)."""
    assert tensor.sparsity is not None
    block, level = _block(tensor), tensor.sparsity.dims[1]
    if level.indices is None or level.segments is None:
        return _fault(Wrong.BLOCKS_MISREAD, _blocks(INTEGER_BLOCK), _blocks(None), tensor)
    if block != INTEGER_BLOCK:
        past = _past_file(tensor, INTEGER_BLOCK * len(level.indices))
        return past or _fault(Wrong.BLOCKS_MISREAD, _blocks(INTEGER_BLOCK), _blocks(block), tensor)
    largest = max(int(level.indices.max(initial=0)), int((level.segments[1:] - level.segments[:-1]).max(initial=0)))
    if largest > MOST_BLOCKS:
        return _fault(Wrong.BLOCKS_MISREAD, f"up to {MOST_BLOCKS} blocks a row", f"{largest} blocks", tensor)
    return None


def _block(tensor: Tensor) -> int | None:
    """The size of the blocks of a matrix, 1 for none; None for another encoding than the converter's
    (`SupportedSparsityFormat`: rows dense, then compressed columns)."""
    assert tensor.sparsity is not None
    dims = tensor.sparsity.dims
    if tensor.rank != 2 or len(dims) not in (2, 3) or dims[0].indices is not None or dims[1].indices is None:
        return None
    if tuple(tensor.sparsity.traversal_order[:2]) != (0, 1) or tuple(tensor.sparsity.block_map) not in ((), (1,)):
        return None
    return dims[2].dense_size if len(dims) == 3 else 1


def _blocks(size: int | None) -> str:
    if size is None:
        return "another format"
    return "single values" if size == 1 else f"blocks of 1x{size}"


def _as_stored(tensor: Tensor) -> Fault | None:
    """The stored values read as the dense tensor; None where they are just that."""
    if _is_all_in_order(tensor):
        return None
    needed = (math.prod(tensor.shape) * _BITS.get(tensor.dtype, 8) + 7) // 8
    return _past_file(tensor, needed) or _fault(Wrong.STORED_READ_AS_DENSE, needed, tensor.stored_bytes, tensor)


def _past_file(tensor: Tensor, needed: int) -> Fault | None:
    past = needed > tensor.mapped_bytes
    return _fault(Wrong.READ_PAST_FILE, needed, tensor.mapped_bytes, tensor) if past else None


def _is_all_in_order(tensor: Tensor) -> bool:
    """Whether every value is stored, in the order of the dense tensor."""
    import numpy as np

    assert tensor.sparsity is not None
    elements = math.prod(tensor.shape)
    if sparse.count_stored(tensor.sparsity) != elements:
        return False
    return bool(np.array_equal(sparse.positions(tensor.sparsity, tensor.shape), np.arange(elements)))


def _fault(wrong: Wrong, required: object, actual: object, tensor: Tensor) -> Fault:
    return Fault(wrong, required, actual, TensorRef(tensor.index, tensor.name))
