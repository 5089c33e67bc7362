"""Dilated convolutions, which Keras writes by SPACE_TO_BATCH_ND. See `rewrite` for the sources."""

from __future__ import annotations

from xnnlint.keras.lower.converter.constants import CONVOLUTIONS
from xnnlint.keras.lower.program import Node
from xnnlint.keras.lower.rewriter import Rewriter


def dilated(rewriter: Rewriter, node: Node) -> bool:
    """ConvertTFDilatedConvOp: with a fixed batch a convolution is dilated instead of put into the batch and back.

    Only where nothing else reads what is put into the batch; a sequence becomes a row and back in between.
    """
    squeeze = rewriter.producer(node, 0, "SQUEEZE")
    conv = rewriter.producer(squeeze or node, 0, *CONVOLUTIONS)
    expand = rewriter.producer(conv, 0, "EXPAND_DIMS") if conv is not None and squeeze is not None else None
    spread = rewriter.producer(expand or conv, 0, "SPACE_TO_BATCH_ND") if conv is not None else None
    if conv is None or spread is None or (squeeze is None) != (expand is None):
        return False
    if any(made is not None and rewriter.uses(made.output) != 1 for made in (spread, expand, conv, squeeze)):
        return False
    x, out = spread.inputs[0], node.output.shape
    block, around, crops = spread.constant(1), spread.constant(2), node.constant(2)
    if x is None or not x.is_static or not x.shape or not out or block is None or around is None or crops is None:
        return False
    factors = block.array.tolist()
    same = int(around.array.sum()) > int(crops.array.sum())
    height, width = factors if len(factors) == 2 else (1, factors[0])
    dilation = {"dilation_h_factor": height, "dilation_w_factor": width, "padding": "SAME" if same else "VALID"}
    rewriter.replace(spread.output, x)
    conv.attributes = {**conv.attributes, **dilation}
    if squeeze is not None and expand is not None:
        expand.output.shape, squeeze.output.shape = (x.shape[0], 1, *x.shape[1:]), out
        conv.output.shape = (out[0], 1, *out[1:])
        return rewriter.replace(node.output, squeeze.output)
    conv.output.shape = out
    return rewriter.replace(node.output, conv.output)
