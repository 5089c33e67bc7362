"""Budgets: limits that a team sets for its models in the configuration, checked against the plan."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from xnnlint.linter.findings import Finding
from xnnlint.linter.rule import Rule

if TYPE_CHECKING:
    from xnnlint.xnnpack.plan import Plan


class BudgetBroken(Rule):
    """A limit of the configuration does not hold for the model.

    ## What it does
    Reports each key of `[tool.xnnlint.budget]` that the model breaks, with the value that the key asks for and the one
    that the model has. Without such keys it says nothing.

    - min-spmm-macs: share of the multiply-accumulates of all 1x1 convolutions that SpMM runs
    - min-spmm-operators: operators that run SpMM
    - min-zeros: share of zeros among the weights of all 1x1 convolutions
    - max-partitions: parts into which XNNPACK takes the model
    - max-tflite-operators: operators that XNNPACK does not take

    A model that gives wrong results or fails runs nothing sparse as far as budgets go. One without 1x1 convolutions
    keeps the budgets on shares: there is nothing that could run dense.

    ## Why it matters
    A model seldom turns dense all at once. One more layer that the sparse path stops at, or one training run that
    pruned less, and it is somewhat slower; a budget in CI shows in which change that happened.

    ## Example
    ```
    [tool.xnnlint.budget]
    min-spmm-macs = "90%"
    ```

    ## Use instead
    Make the changes that the other findings name, or set the limit that the team now accepts.

    ## Fix safety
    There is no fix of its own.

    ## References
    - xnnlint, docs/configuration.md
    """

    code = "XNB101"
    name = "budget-broken"
    summary = "the model must keep the budgets of the configuration"

    def check(self, plan: Plan) -> Iterable[Finding]:
        """Nothing: budgets are in the configuration, not in the model; see `check_budgets`."""
        return ()

    def check_budgets(self, plan: Plan, budgets: Mapping[str, float]) -> Iterable[Finding]:
        """A finding for each budget that does not hold.

        Args:
            budgets: names as in the table of the configuration, with their limits.
        """
        for name, limit in budgets.items():
            broken = _CHECKS[name](plan, limit)
            if broken is not None:
                required, actual = broken
                yield self.finding(f"the budget {name} is broken", required=required, actual=actual)


def budget_rules() -> tuple[BudgetBroken, ...]:
    return (BudgetBroken(),)


Told = tuple[str, str]


def _spmm_macs(plan: Plan, limit: float) -> Told | None:
    summary = plan.summary
    total = summary.pointwise_macs if summary is not None else 0
    share = summary.spmm_macs / total if summary is not None and total else 1.0
    share = share if plan.is_correct else 0.0
    if share >= limit or not total:
        return None
    wanted, has = _percents(limit, share)
    return f"SpMM for at least {wanted} of the 1x1 MACs", f"{has}{_why(plan)}"


def _spmm_operators(plan: Plan, limit: float) -> Told | None:
    count = len(plan.spmm_ops) if plan.is_correct else 0
    if count >= limit:
        return None
    return f"at least {_counted(limit, 'operator')} that {'runs' if limit == 1 else 'run'} SpMM", f"{count}{_why(plan)}"


def _zeros(plan: Plan, limit: float) -> Told | None:
    summary = plan.summary
    if summary is None or not summary.pointwise_params:
        return None
    share = summary.pointwise_zeros / summary.pointwise_params
    if share >= limit:
        return None
    wanted, has = _percents(limit, share)
    return f"at least {wanted} zeros in 1x1 weights", has


def _partitions(plan: Plan, limit: float) -> Told | None:
    count = plan.summary.partitions if plan.summary is not None else len(plan.partitions)
    return None if count <= limit else (f"at most {_counted(limit, 'delegate partition')}", str(count))


def _tflite_operators(plan: Plan, limit: float) -> Told | None:
    count = len(plan.tflite_ops)
    if count <= limit:
        return None
    operators = [plan.graph.operators[op] for op in plan.tflite_ops]
    types = list(dict.fromkeys(operator.custom_code or operator.type for operator in operators))
    named = ", ".join(types[:3]) + (", ..." if len(types) > 3 else "")
    return f"at most {_counted(limit, 'operator')} that XNNPACK does not take", f"{count} ({named})"


_CHECKS: dict[str, Callable[[Plan, float], Told | None]] = {
    "min-spmm-macs": _spmm_macs,
    "min-spmm-operators": _spmm_operators,
    "min-zeros": _zeros,
    "max-partitions": _partitions,
    "max-tflite-operators": _tflite_operators,
}


def _why(plan: Plan) -> str:
    return "" if plan.is_correct else f": the outcome is {plan.outcome.value}"


def _percents(limit: float, share: float) -> Told:
    """Both with as many digits as tell them apart: what is just below 90% is not shown as 90%."""
    for digits in range(3, 17):
        texts = f"{100 * limit:.{digits}g}%", f"{100 * share:.{digits}g}%"
        if texts[0] != texts[1]:
            return texts
    return f"{100 * limit!r}%", f"{100 * share!r}%"


def _counted(number: float, noun: str) -> str:
    return f"{int(number)} {noun}{'' if number == 1 else 's'}"
