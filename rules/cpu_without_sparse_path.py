"""XNN501: a CPU, or a build, on which XNNPACK's sparse path is switched off."""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.findings import Finding
from xnnlint.rule import Rule
from xnnlint.xnnpack.plan import WHOLE_MODEL, Plan, pointwise_ops


class CpuWithoutSparsePath(Rule):
    """On the chosen CPU the runtime never switches to sparse kernels."""

    code = "XNN501"
    name = "cpu-without-sparse-path"
    summary = "on x86 with AVX the sparse path is off by design"

    def check(self, plan: Plan) -> Iterable[Finding]:
        if plan.profile.sparse_cpu or not pointwise_ops(plan.graph):
            return
        yield self.finding(
            f"XNNPACK does not run sparse kernels on {plan.profile.cpu_title}",
            required="a CPU with the sparse path, such as arm64",
            actual=plan.profile.cpu_title,
            fix="run on ARM, or store the weights dense for this CPU; check with --cpu for the device that matters",
            waivers=[("cpu", WHOLE_MODEL)],
        )
