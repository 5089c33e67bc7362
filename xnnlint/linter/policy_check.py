"""`xnnlint check --policy`: TFMOT's pruning policy beside the forecast for the runtime.

The policy (`PruneForLatencyOnXNNPack`) decides whether training may prune a Keras model for XNNPACK; the runtime
decides what comes of it. They differ both ways, so each layer that the policy refuses is looked up in the plan.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
from collections.abc import Iterable
from enum import Enum
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from xnnlint.errors import XnnlintError
from xnnlint.keras.policy.verdicts import PolicyVerdict, Refusal, Stage, judge
from xnnlint.linter.engine import check_made, check_model, sentence
from xnnlint.linter.fault_words import fault_words
from xnnlint.linter.findings import Finding, Location, ModelReport
from xnnlint.linter.rule import Rule
from xnnlint.linter.rule_registry import rule_of
from xnnlint.linter.wanted import NOTHING, Wanted
from xnnlint.loaders import is_callable, lowered, read_callable
from xnnlint.xnnpack.plan import Outcome
from xnnlint.xnnpack.waiver import Waiver, WaiverKind

if TYPE_CHECKING:
    from xnnlint.model.graph import Operator
    from xnnlint.xnnpack.plan import Plan
    from xnnlint.xnnpack.profile import Profile

_HARM = {Outcome.WRONG_RESULTS: "gives wrong results", Outcome.FAILS: "fails"}
_NOT_KERAS = "the pruning policy judges Keras layers, and this is no Keras model; pass the .keras or .h5 file"


class Does(str, Enum):
    """What the runtime does with a layer, the best first."""

    SPARSE = "sparse"
    NOTHING = "no-operator"
    ABLE = "able"
    DENSE = "dense"
    TFLITE = "tflite"
    BREAKS = "breaks"
    UNKNOWN = "unknown"


class RuntimeView(Struct, frozen=True):
    """What the runtime does with a layer: in one word, and as the end of a sentence that starts with "the runtime"."""

    does: Does
    text: str


class PolicyCase(Struct, frozen=True):
    """What a policy rule is asked about: the policy's verdict, and the plan where there is one."""

    verdict: PolicyVerdict
    plan: Plan | None


class PolicyRule(Rule):
    """A condition of the pruning policy; these rules are asked only with `--policy`."""

    def check(self, plan: Plan) -> Iterable[Finding]:
        return ()

    def check_policy(self, case: PolicyCase) -> Iterable[Finding]:
        """Every place where the policy refuses, or where the runtime does otherwise."""
        raise NotImplementedError


@cache
def policy_rules() -> tuple[PolicyRule, ...]:
    """The rules of the family XNP, sorted by code."""
    package = importlib.import_module("xnnlint.rules.policy")
    rules: dict[str, PolicyRule] = {}
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        for item in vars(importlib.import_module(module.name)).values():
            if isinstance(item, type) and issubclass(item, PolicyRule) and "code" in vars(item):
                rules[item.code] = item()
    return tuple(rules[code] for code in sorted(rules))


def check_with_policy(
    path: str | os.PathLike[str],
    profile: Profile,
    *,
    require_sparse: bool = False,
    wanted: Wanted = NOTHING,
) -> ModelReport:
    """`engine.check_model`, with the policy's findings before the others.

    `policy` of the report is the policy's verdict, `error` why there is none, as for what is no Keras model.
    """
    from xnnlint.loaders.keras.read_file import format_of, read

    place = os.fspath(path)
    try:
        if is_callable(path):
            format_, model = "live", read_callable(place)
        elif not format_of(path, _head(place)):
            # Only what is a model can be one of the wrong kind.
            report = check_model(path, profile)
            return ModelReport(place, error=report.error or f"{place}: {_NOT_KERAS}")
        else:
            format_, model = read(path)
    except (XnnlintError, OSError) as error:
        return ModelReport(place, error=sentence(error, path))
    make = partial(lowered, model, place, format_, wanted.read_as_pruned, dict(wanted.layers))
    report = check_made(path, make, profile, require_sparse=require_sparse, wanted=wanted)
    report.policy = judge(model)
    if report.error is not None:
        # The policy looks at layers alone: it has an answer where no forecast can be made.
        report.policy_notes = (f"No forecast for the runtime: {report.error}",)
        report.error, report.format = None, format_
    case = PolicyCase(report.policy, report.plan)
    report.findings = [f for rule in policy_rules() for f in rule.check_policy(case)] + report.findings
    return report


def runtime_view(refusal: Refusal, plan: Plan | None) -> RuntimeView:
    """What the runtime does with a layer that the policy refuses.

    Where the policy misses a start or an end, that is a matter of the whole model.
    """
    if plan is None:
        return RuntimeView(Does.UNKNOWN, "was not asked: there is no forecast")
    if refusal.stage is not Stage.BETWEEN:
        return _of_model(plan)
    views = [_of_operator(plan, op) for op in _operators(plan, refusal.path)]
    if not views:
        return RuntimeView(Does.NOTHING, "does not see it: the converter leaves no operator of it")
    return max(views, key=lambda view: list(Does).index(view.does))


def locate_layer(refusal: Refusal, plan: Plan | None) -> Location:
    """Where a layer is: by its path, and by its operator where it is a single one."""
    operators = _operators(plan, refusal.path) if plan is not None else []
    op = operators[0].index if len(operators) == 1 else None
    return Location(op=op, name=refusal.path, type=refusal.class_name)


def _operators(plan: Plan, path: str) -> list[Operator]:
    """Operators of a layer, or of all layers of a nested model."""
    return [op for op in plan.graph.operators if op.name == path or op.name.startswith(f"{path}/")]


def _of_model(plan: Plan) -> RuntimeView:
    summary = plan.summary
    if plan.outcome is Outcome.SPARSE and summary is not None:
        count = f"{summary.spmm} of {summary.pointwise_convs} 1x1 convolutions"
        return RuntimeView(Does.SPARSE, f"runs the model sparse all the same ({count})")
    if plan.outcome is Outcome.DENSE:
        return RuntimeView(Does.DENSE, "runs the model dense")
    word = "fails on the model" if plan.outcome is Outcome.FAILS else "gives wrong results"
    return RuntimeView(Does.BREAKS, word)


def _of_operator(plan: Plan, operator: Operator) -> RuntimeView:
    op = operator.index
    if operator.type == "CUSTOM":
        return RuntimeView(Does.UNKNOWN, "gets an operator that is not known here")
    hazard = next((hazard for hazard in plan.hazards if hazard.op == op), None)
    if hazard is not None:
        return RuntimeView(Does.BREAKS, f"goes wrong there: {fault_words(hazard.fault)}")
    if op in plan.tflite_ops:
        return RuntimeView(Does.TFLITE, f"does not give it to XNNPACK ({operator.type})")
    kernels = [kernel for kernel in plan.operators if kernel.op == op]
    if kernels and all(kernel.nchw for kernel in kernels):
        return RuntimeView(Does.SPARSE, f"runs it in the sparse cluster ({operator.type})")
    for part in plan.partitions:
        judged = [j for j in zip(part.nodes, part.conditions, part.decision.verdicts, strict=True) if j[0].op == op]
        from_cluster = any(part.subgraph.values[node.inputs[0]].nchw for node, *_ in judged if node.inputs)
        unmet = [(condition, unmet) for _, condition, verdict in judged for unmet in verdict.unmet]
        if unmet:
            required, actual = rule_of(unmet[0][0]).words(unmet[0][1])
            why = f"needs {required}, gets {actual}"
            if _is_to_blame(plan, op):
                return RuntimeView(Does.BREAKS, f"{_HARM[plan.outcome]} because of it: it {why}")
            return RuntimeView(Does.DENSE, f"cannot run it in a sparse cluster: {why}")
        if judged and from_cluster:
            return RuntimeView(Does.SPARSE, f"ends the sparse cluster with it ({operator.type})")
        if judged:
            return RuntimeView(Does.ABLE, f"can run it in a sparse cluster ({operator.type}), and does not here")
    return RuntimeView(Does.NOTHING, f"makes it part of another operator ({operator.type})")


def _is_to_blame(plan: Plan, op: int) -> bool:
    """Whether a model that goes wrong would be right if this operator could run in a cluster."""
    if plan.is_correct or plan.planner is None:
        return False
    return plan.planner.plan([Waiver(WaiverKind.COMPATIBLE, op)]).is_correct


def _head(path: str) -> bytes:
    """The first bytes of a file, by which formats are told apart; none of what is no regular file."""
    if not Path(path).is_file():
        return b""
    with Path(path).open("rb") as file:
        return file.read(64)
