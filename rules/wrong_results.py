"""XNN901: the sparse path runs, and its results are wrong."""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.findings import Applicability, Finding
from xnnlint.rule import Rule, locate
from xnnlint.xnnpack.plan import Outcome, Plan


class WrongResults(Rule):
    """The runtime computes wrong numbers here, and reports no error."""

    code = "XNN901"
    name = "wrong-results"
    summary = "data laid out in one order is read in the other; the outputs are wrong and nothing reports it"
    outcome = Outcome.WRONG_RESULTS
    message = "the outputs are wrong from here on, and the runtime reports no error"
    required = "operators that agree on the order of the data in memory"

    def check(self, plan: Plan) -> Iterable[Finding]:
        for hazard in plan.hazards:
            if hazard.outcome is self.outcome:
                yield self.finding(
                    f"{self.message}: {hazard.text}",
                    required=self.required,
                    actual=hazard.text,
                    location=locate(plan, hazard.op),
                    fix=self._fix(hazard.kind),
                    applicability=Applicability.UNSAFE,
                )

    def _fix(self, kind: str) -> str:
        return FIXES.get(kind, "fix what the other findings name, or convert without EXPERIMENTAL_SPARSITY: dense is right")


FIXES = {
    "shape": "put a Reshape directly behind the pooling with keepdims, or drop keepdims",
    "axes": "pool over height and width, axes [1, 2], only",
    "unwritten-weights": "give the operator float32 weights, or convert without EXPERIMENTAL_SPARSITY",
    "delegation": "convert with float32 or float16 weights instead of dynamic-range quantization",
    "overflow": "pool over height and width, axes [1, 2], and put a Reshape directly behind it",
    "refused": "put a Reshape directly behind the pooling with keepdims, or drop keepdims",
}
