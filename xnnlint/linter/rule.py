"""What a rule is.

A rule reports one condition of sparse inference: its documentation (the class docstring, in fixed sections), its check
and its fix in words. A node rule has the words for a condition of `xnnlint.xnnpack.conditions`, which the layout pass
asks which nodes can run in NCHW, so what a rule explains is what the plan used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from msgspec.structs import replace

from xnnlint.linter.findings import Applicability, Finding, Fix, Location, Severity
from xnnlint.xnnpack.conditions.node_condition import NodeCondition, Precedence, Unmet, Verdict
from xnnlint.xnnpack.conditions.registry import judge
from xnnlint.xnnpack.ir import Node, Subgraph
from xnnlint.xnnpack.waiver import Waiver, WaiverKind

if TYPE_CHECKING:
    from xnnlint.model.exporter import Exporter
    from xnnlint.xnnpack.conditions.condition import Condition
    from xnnlint.xnnpack.plan import Plan
    from xnnlint.xnnpack.profile import Profile

SECTIONS = ("What it does", "Why it matters", "Example", "Use instead", "Fix safety", "References")


class Rule:
    """One condition; subclass it in a module of `rules/` and give it a code, a name and a docstring.

    Class attributes:
        code: stable, "XNN" and three digits.
        name: the problem in kebab case, not the remedy.
        severity: of its findings, unless a finding says otherwise.
        summary: one line for tables.
        condition: the condition that it reports, by which fixes find it; None for a rule that no fix knows.
        of_whole_graph: whether every operator of the model has a part in what it reports, so that a layer of unknown
            effect could change it.
        terms: phrases of its fixes -> the same in PyTorch's words, for models that were exported from there.
        severity_everywhere: of its findings in one report for all runtimes, where that is another.
        limits: what the `$names` in the docstring stand for, so that a number is written once.
        package: the package that a rule of someone else comes from; see `plugins`.
    """

    code: ClassVar[str]
    name: ClassVar[str]
    severity: ClassVar[Severity] = Severity.ERROR
    summary: ClassVar[str]
    condition: ClassVar[Condition | None] = None
    of_whole_graph: ClassVar[bool] = False
    severity_everywhere: ClassVar[Severity | None] = None
    limits: ClassVar[Mapping[str, str]] = {}
    terms: ClassVar[Mapping[str, str]] = {}
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
            waivers: the conditions that would be fulfilled if this were fixed, for planning again.
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
            condition=self.condition,
        )

    def in_terms_of(self, exporter: Exporter, finding: Finding) -> Finding:
        """A finding with its fix in the words of who wrote the model; Keras's, where that is not known."""
        if finding.fix is None or not self.terms or not exporter.is_of_pytorch:
            return finding
        title = finding.fix.title
        for phrase in sorted(self.terms, key=len, reverse=True):
            title = title.replace(phrase, self.terms[phrase])
        return replace(finding, fix=replace(finding.fix, title=title))

    @property
    def documentation(self) -> str:
        """One sentence on the problem, then `SECTIONS`, each under a `## ` head."""
        import inspect
        from string import Template

        return Template(inspect.cleandoc(type(self).__doc__ or "")).substitute(self.limits)

    @property
    def references(self) -> tuple[str, ...]:
        """The sources of the condition, an entry each, as the documentation has them."""
        _, _, entries = self.documentation.partition("## References")
        return tuple(" ".join(entry.split()) for entry in re.split(r"\n+- ", entries)[1:])


class NodeRule(Rule):
    """The words for a condition on single XNNPACK nodes, which the layout pass asks about every node.

    Class attributes:
        node_condition: that condition.
    """

    node_condition: ClassVar[type[NodeCondition]] = NodeCondition

    def __init_subclass__(cls) -> None:
        # One of another package may lack it; `plugins` refuses that in a sentence.
        if hasattr(cls, "node_condition"):
            cls.condition = cls.node_condition.key

    def words(self, unmet: Unmet) -> tuple[str, str]:
        """What the runtime requires and what the model has, in a user's words."""
        raise NotImplementedError

    def describe(self, node: Node, subgraph: Subgraph) -> str:
        """One sentence on what stops the node, for the finding's message."""
        raise NotImplementedError

    def remedy(self, node: Node, subgraph: Subgraph) -> tuple[str, Applicability]:
        """The fix in words, and whether it is safe."""
        raise NotImplementedError

    def check(self, plan: Plan) -> Iterable[Finding]:
        """One finding for each operator with a node that its condition turned down, where a cluster could be."""
        seen: set[int] = set()
        for part in plan.partitions:
            at_maps = part.at_maps
            judged = zip(part.nodes, part.conditions, part.decision.verdicts, strict=True)
            for n, (node, condition, verdict) in enumerate(judged):
                if condition.precedence is Precedence.BEFORE_ALL and not self._judges(condition):
                    condition, verdict = self._behind(node, part.subgraph, plan.profile)
                if not self._judges(condition) or not verdict.unmet or node.params.get("assumed"):
                    continue
                if node.op in seen or n not in at_maps:
                    continue
                seen.add(node.op)
                fix, applicability = self.remedy(node, part.subgraph)
                required, actual = self.all_words(verdict)
                yield self.finding(
                    self.describe(node, part.subgraph),
                    required=required,
                    actual=actual,
                    location=locate(plan, node.op),
                    fix=fix,
                    applicability=applicability,
                    waivers=_waivers(node),
                )

    def all_words(self, verdict: Verdict) -> tuple[str, str]:
        """`words` of everything that a node lacks, in one line each, nothing twice."""
        words = [self.words(unmet) for unmet in verdict.unmet]
        required, actual = (dict.fromkeys(column) for column in zip(*words, strict=True)) if words else ({}, {})
        return "; ".join(required), "; ".join(actual)

    def _judges(self, condition: NodeCondition) -> bool:
        return isinstance(condition, self.node_condition)

    def _behind(self, node: Node, subgraph: Subgraph, profile: Profile) -> tuple[NodeCondition, Verdict]:
        """What would be said of a node if the condition that stands before all others were fulfilled."""
        behind = judge(node, subgraph, profile, of_its_kind=True)
        # Conversions to and from 8-bit values go together with them.
        return behind.condition, behind.verdict if node.operator != "convert" else Verdict()


def _waivers(node: Node) -> list[Waiver]:
    """What a fix of a node fulfils; a value read twice would keep the cluster dense even then."""
    twice = len(set(node.inputs)) < len(node.inputs)
    return [Waiver(WaiverKind.COMPATIBLE, node.op), *([Waiver(WaiverKind.ONCE, node.op)] if twice else [])]


def locate(plan: Plan, op: int | None) -> Location:
    """Where an operator of the planned graph is; None is the whole model."""
    if op is None:
        return Location()
    operator = plan.graph.operators[op]
    return Location(op=op, name=operator.name, type=operator.custom_code or operator.type)
