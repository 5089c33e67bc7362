"""XNN502: a model that asks for float16 arithmetic."""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.linter.findings import Applicability, Finding, Severity
from xnnlint.linter.rule import Rule
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.fp16 import METADATA, allows_fp16
from xnnlint.xnnpack.plan import Plan, pointwise_ops
from xnnlint.xnnpack.waiver import FP32

HALF = "fp16accfp16"
CONSEQUENCES = {
    "dense": "runs it dense",
    "breaks": "crashes, or gives NaN",
    "sparse": "runs it sparse in float16",
}


class HalfPrecisionInference(Rule):
    """The file allows float16 arithmetic, and with it the sparse path is lost.

    ## What it does
    Reads the file's metadata entry $metadata. If it says $half, runtimes compute in float16 on CPUs that can (newer ARM
    cores), without being asked.

    ## Why it matters
    Runtimes since LiteRT 2.2 turn all values into float16 before padding is merged into convolutions, so that no stem
    is left and the model runs dense. LiteRT 2.1 crashes on float32 sparse weights, and gives NaN on float16 ones. CPUs
    without float16 arithmetic ignore the entry, so that one file is sparse on one phone and dense on the next. Float16
    weights (not arithmetic) do not have this problem.

    ## Example
    ```python
    converter.target_spec._experimental_supported_accumulation_type = tf.dtypes.float16
    ```

    ## Use instead
    ```python
    converter.target_spec.supported_types = [tf.float16]  # float16 weights, float32 arithmetic
    ```

    ## Fix safety
    Safe: results get more precise.

    ## References
    - google-ai-edge/LiteRT, tflite/delegates/xnnpack/xnnpack_delegate.cc, `Subgraph::Create`: the metadata, and the
      rewrite to float16 (6eb86b09, 2026-07-23)
    - google/XNNPACK, src/subgraph.c, `xnn_subgraph_fusion`: float16 padding is not merged
    """

    code = "XNN502"
    name = "half-precision-inference"
    condition = Condition.FULL_PRECISION
    severity = Severity.WARNING
    summary = "metadata that allows float16 arithmetic costs the sparse path on CPUs that have it"
    limits = {"metadata": METADATA, "half": HALF}

    def check(self, plan: Plan) -> Iterable[Finding]:
        if not allows_fp16(plan.model.metadata) or not pointwise_ops(plan.graph):
            return
        here = bool(plan.profile["fp16_arithmetic"])
        consequence = plan.profile["fp16_inference"]
        if consequence == "sparse":
            return
        where = f"{plan.profile.cpu_title} computes in float16, and" if here else "on CPUs with float16 arithmetic"
        yield self.finding(
            f"the file allows float16 arithmetic: {where} this runtime {CONSEQUENCES[consequence]}",
            severity=Severity.ERROR if here else Severity.WARNING,
            required=f"no metadata entry {METADATA} that says {HALF}",
            actual=bytes(plan.model.metadata[METADATA]).rstrip(b"\0").decode("utf-8", "replace"),
            fix="convert without an accumulation type of float16; float16 weights are fine",
            applicability=Applicability.SAFE,
            waivers=[FP32] if here else (),
        )
