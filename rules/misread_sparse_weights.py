"""XNN404: sparse-encoded weights whose reader does not know the encoding."""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.linter.fault_words import fault_words
from xnnlint.linter.findings import Applicability, Finding
from xnnlint.linter.rule import Rule, locate
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.fault import FaultKind
from xnnlint.xnnpack.plan import Outcome, Plan
from xnnlint.xnnpack.sparse_readers import FLOAT_BLOCK, INTEGER_BLOCK, MOST_BLOCKS

from ._file_causes import DECODED, STORE_DENSE_FIX, stored_words
from .operator_not_delegated import BLOCK_SPARSE_VERSION


class MisreadSparseWeights(Rule):
    """Weights are stored sparse without a DENSIFY, and the operator that reads them takes the stored part for all.

    ## What it does
    Finds tensors that are stored sparse and read by something other than DENSIFY or a kernel of TFLite that knows
    their format. Such kernels are those of FULLY_CONNECTED, where TFLite itself runs it, with float32 weights as single
    values or in blocks of 1x$float_block, and with int8 weights in blocks of 1x$integer_block (no more than $most of
    them in a row).

    ## Why it matters
    The values that are stored are read as if they were the dense tensor, and beyond their end: the outputs are
    wrong or NaN, without any error, or the process crashes where the reading leaves the file. The converter writes such
    files of Dense layers that were pruned in blocks, or so far that most blocks are zero: with dynamic-range
    quantization as FULLY_CONNECTED of version 12, which XNNPACK takes (it refuses version $version only), and with
    float16 weights behind a DEQUANTIZE, which no kernel gets right. CPU and release make no difference: seen in LiteRT
    1.0 to 2.3.

    ## Example
    ```python
    prune_low_magnitude(layers.Dense(512), block_size=(1, 16))
    converter.optimizations = [tf.lite.Optimize.DEFAULT, tf.lite.Optimize.EXPERIMENTAL_SPARSITY]
    ```

    ## Use instead
    The same file with these weights stored dense, as `xnnlint fix` makes it, and `xnnlint convert` from the start. Or
    convert without float16 and dynamic-range quantization: TFLite's own kernel gets float32 weights in blocks right.

    ## Fix safety
    Safe: the weights stay the same.

    ## References
    - google-ai-edge/LiteRT, tflite/converter/transforms/dense_to_sparse_pass.cc: no DENSIFY for weights in the blocks
      of FULLY_CONNECTED, be there a DEQUANTIZE or not
    - google-ai-edge/LiteRT, tflite/converter/tools/versioning/op_version.cc, `GetBuiltinOperatorVersion`: version 12
      comes before version $version
    - google-ai-edge/LiteRT, tflite/delegates/xnnpack/xnnpack_delegate.cc, `VisitNode`: refuses version $version;
      `PrepareOpsToDelegate`: a comment that sparse tensors without Densify are not handled
    - google-ai-edge/LiteRT, tflite/kernels/fully_connected.cc, `EvalFloat`, `EvalQuantized`, `EvalHybrid`
    - google-ai-edge/LiteRT, tflite/kernels/dequantize.cc, `Eval`: looks at no encoding
    """

    code = "XNN404"
    name = "misread-sparse-weights"
    condition = Condition.KNOWN_ENCODING
    summary = "weights stored sparse without DENSIFY are read as if they were dense"
    limits = {
        "version": str(BLOCK_SPARSE_VERSION),
        "float_block": str(FLOAT_BLOCK),
        "integer_block": str(INTEGER_BLOCK),
        "most": str(MOST_BLOCKS),
    }

    def check(self, plan: Plan) -> Iterable[Finding]:
        for hazard in plan.hazards:
            if hazard.kind is not FaultKind.SPARSE_ENCODING:
                continue
            op = plan.graph.operators[hazard.place]
            # What happens in a subgraph happens at the operator that calls it.
            who, read = "an operator of its subgraph", ""
            if hazard.fault.subject.index in op.inputs:
                who = f"{'TFLite' if op.index in plan.tflite_ops else 'XNNPACK'}'s {op.custom_code or op.type}"
                read = f", read by {op.type} version {op.version}"
            comes = "the model fails" if hazard.outcome is Outcome.FAILS else "the outputs are wrong, without any error"
            yield self.finding(
                f"{who} does not know how its weights are stored, and {comes}: {fault_words(hazard.fault)}",
                required=DECODED,
                actual=stored_words(plan, hazard) + read,
                location=locate(plan, op.index),
                fix=STORE_DENSE_FIX,
                applicability=Applicability.SAFE,
            )
