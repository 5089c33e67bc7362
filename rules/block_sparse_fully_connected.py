"""XNN402: a FULLY_CONNECTED with block-sparse weights."""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.linter.findings import Finding, Severity
from xnnlint.linter.rule import Rule, locate
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.fault import FaultKind
from xnnlint.xnnpack.plan import Plan

from .operator_not_delegated import BLOCK_SPARSE_VERSION


class BlockSparseFullyConnected(Rule):
    """A FULLY_CONNECTED's weights are stored block-sparse, and TFLite's own sparse kernel runs it, not XNNPACK.

    ## What it does
    Reports FULLY_CONNECTED operators of version $version, which the converter writes for weights that were pruned in
    blocks of 1x4 (float) or 1x16 (int8).

    ## Why it matters
    This is for information: behind the last pooling such an operator does no harm, and its zeros are used. It has no
    part in XNNPACK's sparse mode: it does not switch it on, and its zeros do not count there. Between convolutions it
    splits the graph (XNN401).

    ## Example
    ```python
    prune_low_magnitude(layers.Dense(1024), block_size=(1, 4))
    ```

    ## Use instead
    Nothing, if the layer stands at the end. Between convolutions, a 1x1 Conv2D that is pruned without blocks.

    ## Fix safety
    There is nothing to fix.

    ## References
    - google-ai-edge/LiteRT, tflite/converter/transforms/dense_to_sparse_pass.cc: block formats of FULLY_CONNECTED
    - google-ai-edge/LiteRT, tflite/delegates/xnnpack/xnnpack_delegate.cc, `VisitFullyConnectedNode`: refuses
      version $version
    """

    code = "XNN402"
    name = "block-sparse-fully-connected"
    condition = Condition.UNPACKED_WEIGHTS
    severity = Severity.NOTE
    summary = "block-sparse FULLY_CONNECTED weights run in TFLite's own kernel, outside of XNNPACK"
    limits = {"version": str(BLOCK_SPARSE_VERSION)}

    def check(self, plan: Plan) -> Iterable[Finding]:
        misread = {hazard.op for hazard in plan.hazards if hazard.kind is FaultKind.SPARSE_ENCODING}
        for op in plan.graph.operators:
            if op.index in misread:
                continue
            if op.type != "FULLY_CONNECTED" or op.version < BLOCK_SPARSE_VERSION or op.index not in plan.tflite_ops:
                continue
            weights = plan.graph.input_tensor(op, 1)
            if weights is None or weights.sparsity is None:
                continue
            yield self.finding(
                "its weights are stored sparse in themselves, so TFLite's own sparse kernel runs it, not XNNPACK",
                actual=f"FULLY_CONNECTED version {op.version} with {weights.dtype.lower()} weights",
                location=locate(plan, op.index),
            )
