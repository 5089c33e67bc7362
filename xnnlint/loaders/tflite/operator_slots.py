"""What every operator must have so that TFLite prepares it at all: its inputs, its output, the rank of its weights.

A file that lacks them is damaged: the runtime says so before it runs anything, and nothing can be said of it.
Source: google-ai-edge/LiteRT tflite/kernels, `Prepare` of each (`TF_LITE_ENSURE` of NumInputs and NumOutputs,
`GetInputSafe`, `GetOutputSafe`); conv.cc, depthwise_conv.cc, transpose_conv.cc and fully_connected.cc of the filters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from xnnlint.model.graph import Operator, Tensor

# Operators that need no input or give no output.
_FREE = frozenset(
    ("CUSTOM", "DELEGATE", "CALL", "CALL_ONCE", "VAR_HANDLE", "ASSIGN_VARIABLE", "IF", "WHILE", "HASHTABLE_IMPORT")
) | {"HASHTABLE", "STABLEHLO_WHILE", "STABLEHLO_CASE", "STABLEHLO_CUSTOM_CALL", "STABLEHLO_COMPOSITE"}  # fmt: skip
_BINARY = ("ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "POW", "SQUARED_DIFFERENCE", "FLOOR_DIV", "FLOOR_MOD")
_COMPARING = ("EQUAL", "NOT_EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "LOGICAL_AND", "LOGICAL_OR")
_REDUCING = ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "REDUCE_ANY", "REDUCE_ALL", "ARG_MAX", "ARG_MIN")
_BY_SIZE = ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "TILE", "BROADCAST_TO", "FILL", "EXPAND_DIMS", "REVERSE_V2")
_WITH_TABLE = ("PAD", "MIRROR_PAD", "TRANSPOSE", "GATHER", "GATHER_ND", "SPLIT", "PRELU", "BATCH_MATMUL", "TOPK_V2")
_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
_TWO = (*_BINARY, *_COMPARING, *_REDUCING, *_BY_SIZE, *_WITH_TABLE, *_WEIGHTED)
_THREE = ("TRANSPOSE_CONV", "PADV2", "SLICE", "SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND", "SPLIT_V", "SELECT_V2")
_INPUTS = {**dict.fromkeys(_TWO, 2), **dict.fromkeys(_THREE, 3), "STRIDED_SLICE": 4}
_FILTER_RANK = {"CONV_2D": 4, "DEPTHWISE_CONV_2D": 4, "TRANSPOSE_CONV": 4, "FULLY_CONNECTED": 2}
# The input and the output of these have as many dimensions as the filter, where the file tells them.
_MAPS = ("CONV_2D", "DEPTHWISE_CONV_2D", "AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D", "DEPTH_TO_SPACE")
_MAP_RANK = 4


def problem(op: Operator, tensors: Sequence[Tensor]) -> str:
    """What an operator lacks, as the end of a sentence; "" for nothing."""
    if op.type in _FREE or op.type.startswith("BUILTIN_"):
        return ""
    least = _INPUTS.get(op.type, 1)
    present = sum(t >= 0 for t in op.inputs[:least])
    if present < least:
        return f"{op.type} needs {least} inputs and has {present}"
    if not op.outputs:
        return f"{op.type} has no output"
    if op.type in ("DENSIFY", "DEQUANTIZE"):
        stored, unpacked = tensors[op.inputs[0]], tensors[op.outputs[0]]
        if stored.shape != unpacked.shape and stored.has_rank and unpacked.has_rank:
            return f"{op.type} makes {list(unpacked.shape)} of {list(stored.shape)}"
    if op.type == "RESHAPE" and sum(t >= 0 for t in op.inputs) == 1:
        shape, wanted = tensors[op.inputs[0]].shape, tuple(op.attributes.get("new_shape", ()))
        if -1 not in wanted and math.prod(wanted) != math.prod(shape):
            return f"RESHAPE makes {list(wanted)} of {list(shape)}"
    rank = _FILTER_RANK.get(op.type)
    weights = tensors[op.inputs[1]] if rank is not None else None
    if weights is not None and weights.rank != rank:
        return f"{op.type} has weights of {weights.rank} dimensions instead of {rank}"
    if op.type in _MAPS:
        for tensor in (tensors[op.inputs[0]], tensors[op.outputs[0]]):
            if tensor.has_rank and tensor.rank not in (0, _MAP_RANK):
                return f"{op.type} has a map of {tensor.rank} dimensions instead of {_MAP_RANK}"
    return ""
