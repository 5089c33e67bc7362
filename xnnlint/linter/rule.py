"""What a rule is, and how rules are found.

A rule is one condition of sparse inference: its documentation (the class docstring, in fixed sections), its check and
its fix in words. Node rules also decide: the layout pass asks their `judge` which nodes can run in NCHW, so what a rule
explains is what the plan used.
"""

from __future__ import annotations

import importlib
import math
import pkgutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, ClassVar

from xnnlint.linter.findings import Applicability, Finding, Fix, Location, Severity
from xnnlint.xnnpack.ir import Layout, Node, Subgraph

if TYPE_CHECKING:
    from xnnlint.xnnpack.plan import Plan, Waiver
    from xnnlint.xnnpack.profile import Profile

SECTIONS = ("What it does", "Why it matters", "Example", "Use instead", "Fix safety", "References")


@dataclass(frozen=True, slots=True)
class Unmet:
    """A condition that does not hold: the value the runtime requires and the value the model has, in a user's words."""

    required: str
    actual: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the layout pass may do with a node, and, where that is nothing, every reason why not."""

    layout: Layout = Layout.NONE
    unmet: tuple[Unmet, ...] = ()


def verdict(layout: Layout, *conditions: tuple[bool, str, object]) -> Verdict:
    """`layout` if all conditions hold, else every one that does not.

    Args:
        conditions: (holds, required value, actual value).
    """
    unmet = tuple(Unmet(required, str(actual)) for holds, required, actual in conditions if not holds)
    return Verdict(Layout.NONE, unmet) if unmet else Verdict(layout)


class Rule:
    """One condition; subclass it in a module of `rules/` and give it a code, a name and a docstring.

    Class attributes:
        code: stable, "XNN" and three digits.
        name: the problem in kebab case, not the remedy.
        severity: of its findings, unless a finding says otherwise.
        summary: one line for tables.
        limits: what the `$names` in the docstring stand for, so that a number is written once.
        package: the package that a rule of someone else comes from; see `plugins`.
    """

    code: ClassVar[str]
    name: ClassVar[str]
    severity: ClassVar[Severity] = Severity.ERROR
    summary: ClassVar[str]
    limits: ClassVar[Mapping[str, str]] = {}
    package: str = ""

    def check(self, plan: Plan) -> Iterable[Finding]:
        """Every place in the model where the condition does not hold."""
        raise NotImplementedError

    def finding(
        self,
        message: str,
        *,
        severity: Severity | None = None,
        required: str = "",
        actual: str = "",
        location: Location | None = None,
        fix: str = "",
        applicability: Applicability = Applicability.MANUAL,
        waivers: Iterable[Waiver] = (),
    ) -> Finding:
        """A finding of this rule.

        Args:
            waivers: the conditions that would be fulfilled if this were fixed, for planning again; see `xnnpack.plan`.
        """
        return Finding(
            rule=self.code,
            name=self.name,
            severity=severity or self.severity,
            message=message,
            required=required,
            actual=actual,
            location=location or Location(),
            fix=Fix(fix, applicability) if fix else None,
            waivers=frozenset(waivers),
        )

    @property
    def documentation(self) -> str:
        """One sentence on the problem, then `SECTIONS`, each under a `## ` head."""
        import inspect
        from string import Template

        return Template(inspect.cleandoc(type(self).__doc__ or "")).substitute(self.limits)


class NodeRule(Rule):
    """A condition on single XNNPACK nodes, asked by the layout pass for every node that it `applies` to.

    Class attributes:
        stands_before_others: whether it turns down nodes of any kind, so that other rules are asked about them, too.
    """

    stands_before_others: ClassVar[bool] = False

    def applies(self, node: Node, subgraph: Subgraph) -> bool:
        """Whether this rule is the one that judges the node; the first by code decides."""
        raise NotImplementedError

    def judge(self, node: Node, subgraph: Subgraph, profile: Profile) -> Verdict:
        """Whether the node can run in NCHW, and if not, every reason."""
        raise NotImplementedError

    def describe(self, node: Node, subgraph: Subgraph) -> str:
        """One sentence on what stops the node, for the finding's message."""
        raise NotImplementedError

    def remedy(self, node: Node, subgraph: Subgraph) -> tuple[str, Applicability]:
        """The fix in words, and whether it is safe."""
        raise NotImplementedError

    def check(self, plan: Plan) -> Iterable[Finding]:
        """One finding for each operator with a node that this rule turned down, where a cluster could be."""
        seen: set[int] = set()
        for part in plan.partitions:
            at_maps = nodes_at_maps(part.nodes, part.subgraph)
            for node, rule, verdict in zip(part.nodes, part.rules, part.decision.verdicts, strict=True):
                if rule.stands_before_others:
                    rule, verdict = self._behind(node, part.subgraph, plan.profile)
                if rule is not self or not verdict.unmet or node.params.get("assumed"):
                    continue
                if node.op in seen or id(node) not in at_maps:
                    continue
                seen.add(node.op)
                fix, applicability = self.remedy(node, part.subgraph)
                yield self.finding(
                    self.describe(node, part.subgraph),
                    required="; ".join(u.required for u in verdict.unmet),
                    actual="; ".join(u.actual for u in verdict.unmet),
                    location=locate(plan, node.op),
                    fix=fix,
                    applicability=applicability,
                    waivers=_waivers(node),
                )

    def _behind(self, node: Node, subgraph: Subgraph, profile: Profile) -> tuple[NodeRule, Verdict]:
        """What would be said of a node if the rule that stands before all others were content."""
        rule = next(r for r in node_rules() if not r.stands_before_others and r.applies(node, subgraph))
        # Conversions to and from 8-bit values go together with them.
        asked = rule is self and node.operator != "convert"
        return rule, rule.judge(node, subgraph, profile) if asked else Verdict()


def _waivers(node: Node) -> list[Waiver]:
    """What a fix of a node fulfils; a value read twice would keep the cluster dense even then."""
    twice = len(set(node.inputs)) < len(node.inputs)
    return [("compatible", node.op), *([("once", node.op)] if twice else [])]


def nodes_at_maps(nodes: Sequence[Node], subgraph: Subgraph) -> set[int]:
    """`id` of every node at a map of more than one pixel (or a sequence, where an image became one), or before one.

    The others stand behind the last pooling, where no cluster can be and nothing stops one.
    """
    found: set[int] = set()
    maps = {v.id for v in subgraph.values if math.prod(v.shape[1:-1]) > 1 and not v.is_static}
    for node in reversed(nodes):
        if any(v in maps for v in (*node.inputs, *node.outputs)):
            found.add(id(node))
            maps.update(v for v in node.inputs if not subgraph.values[v].is_static)
    return found


def locate(plan: Plan, op: int) -> Location:
    """Where an operator of the planned graph is."""
    operator = plan.graph.operators[op]
    return Location(op=op, name=operator.name, type=operator.custom_code or operator.type)


def _modules(package: str) -> Iterable[str]:
    root = importlib.import_module(package)
    return (f"{package}.{module.name}" for module in pkgutil.iter_modules(root.__path__) if module.name[0] != "_")


@cache
def all_rules() -> tuple[Rule, ...]:
    """Every rule of `rules/` sorted by code, then those of other packages.

    Raises:
        XnnlintError: two rules share a code or a name, or one of another package cannot be loaded. A rule of `rules/`
            that cannot be imported stops the run, too.
    """
    from xnnlint.linter.plugins import check_clashes, plugin_rules

    rules = [*own_rules(), *sorted(plugin_rules(), key=lambda rule: rule.code)]
    check_clashes(rules)
    return tuple(rules)


@cache
def own_rules() -> tuple[Rule, ...]:
    """Every rule of `rules/`, sorted by code."""
    rules: list[Rule] = []
    for module in _modules("xnnlint.rules"):
        for item in vars(importlib.import_module(module)).values():
            if isinstance(item, type) and issubclass(item, Rule) and item.__module__ == module and "code" in vars(item):
                rules.append(item())
    return tuple(sorted(rules, key=lambda rule: rule.code))


@cache
def node_rules() -> tuple[NodeRule, ...]:
    """The rules that judge nodes, in the order in which they are asked."""
    return tuple(rule for rule in own_rules() if isinstance(rule, NodeRule))


def find_rule(code_or_name: str) -> Rule | None:
    """A rule by its code or name, whatever the case."""
    wanted = code_or_name.strip().lower()
    return next((r for r in all_rules() if wanted in (r.code.lower(), r.name)), None)
