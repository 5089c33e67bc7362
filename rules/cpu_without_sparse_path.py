"""XNN501: a CPU, or a build, on which XNNPACK's sparse path is switched off."""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.linter.findings import Finding
from xnnlint.linter.rule import Rule
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.plan import Plan, pointwise_ops
from xnnlint.xnnpack.waiver import CPU


class CpuWithoutSparsePath(Rule):
    """On the chosen CPU the runtime never switches to sparse kernels.

    ## What it does
    Reports models with 1x1 convolutions when the profile's CPU (`--cpu`), or the build of the runtime, has no sparse
    path.

    ## Why it matters
    On x86 with AVX XNNPACK turns its sparse path off: the sparse kernels for x86 are written for SSE, and dense ones
    are expected to be faster. The file runs dense with correct outputs, which hides wrong results: a model that
    computes nonsense on a phone passes every test on a desktop computer. Check with the CPU of the device.

    ## Example
    ```
    xnnlint check model.tflite --cpu x86-avx
    ```

    ## Use instead
    ```
    xnnlint check model.tflite --cpu arm64
    ```

    ## Fix safety
    There is nothing to change in the model.

    ## References
    - google/XNNPACK, src/xnnpack/hardware-config.h, `xnn_is_chw_compatible_config`: AVX is left out (cfbed0a7,
      2020-12-08)
    - google/XNNPACK, CMakeLists.txt, XNNPACK_ENABLE_SPARSE: builds without it never run sparse
    """

    code = "XNN501"
    name = "cpu-without-sparse-path"
    condition = Condition.SPARSE_CPU
    summary = "on x86 with AVX the sparse path is off by design"

    def check(self, plan: Plan) -> Iterable[Finding]:
        if plan.profile.sparse_cpu or not pointwise_ops(plan.graph):
            return
        yield self.finding(
            f"XNNPACK does not run sparse kernels on {plan.profile.cpu_title}; wrong results do not show there either",
            required="a CPU with the sparse path, such as arm64",
            actual=plan.profile.cpu_title,
            fix="run on ARM, or store the weights dense for this CPU; check with --cpu for the device that matters",
            waivers=[CPU],
        )
