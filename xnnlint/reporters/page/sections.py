"""The parts of the page that are there without its script: verdict, picture, findings, comparison."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

from xnnlint.linter.comparison import Change
from xnnlint.linter.speed import gain_once_fixed
from xnnlint.reporters.causes import why_lines
from xnnlint.reporters.compare_words import fact_rows, finding_sentence, operator_rows, time_note, verdict
from xnnlint.reporters.finding_words import (
    condition,
    counted,
    group,
    impersonal,
    outcome_of,
    percent,
    place,
    remedy,
    share_text,
)
from xnnlint.reporters.headline import headline, meaning
from xnnlint.reporters.next_steps import steps
from xnnlint.reporters.page.graph_facts import Mark
from xnnlint.reporters.page.markup import Child, element, table
from xnnlint.reporters.page.picture import AREAS, MARKS, TITLES, areas_shown, marks_shown
from xnnlint.reporters.styled_lines import name, plain, safe

if TYPE_CHECKING:
    from xnnlint.linter.comparison import Aspect, Comparison
    from xnnlint.linter.findings import Finding, ModelReport
    from xnnlint.reporters.page.graph_facts import GraphFacts
    from xnnlint.xnnpack.profile import Profile

_WIDE = 100_000  # columns: a sentence is one line
_MARKS = {Change.BETTER: "better", Change.WORSE: "worse", Change.SAME: "same", Change.UNKNOWN: ""}
_SHOWN_PLACES = 12
_MOST_OPERATORS = 500


def verdict_part(report: ModelReport, profile: Profile) -> Element:
    """The outcome, what it means, and what to do: what the text report says before the findings."""
    if report.error is not None:
        said = element("p", safe(report.error), class_="headline")
        return element("div", said, class_="verdict unreadable")
    (first,) = headline(report, profile, None, failed=False)
    words = plain(first).removeprefix(f"{safe(report.path)}: ")
    more = [*meaning(report, profile, _WIDE, for_pipe=True, verbose=True), *why_lines(report, _WIDE, for_pipe=True)[:1]]
    sentences = [sentence for line in more if (sentence := plain(line).strip())]
    todo = [
        element("li", element("code", step.command), f" {step.why}" if step.why else "")
        for step in steps(report)
        if step.command
    ]
    return element(
        "div",
        element("p", element("strong", words), class_="headline"),
        *(element("p", sentence) for sentence in sentences),
        *([element("ul", *todo, class_="next")] if todo else []),
        class_=f"verdict {outcome_of(report)}",
    )


# --- several models --------------------------------------------------------------------------------------------------


def overview(reports: Sequence[tuple[str, ModelReport]]) -> Element:
    """A row for each model, with a link to its part; (key, report)."""
    heads = ("Model", "Outcome", "SpMM", "Zeros", "Speed", "Findings")
    made = table(heads, (_overview_row(key, report) for key, report in reports), "All models")
    return element("section", element("h2", "Models"), made, class_="card")


def _overview_row(key: str, report: ModelReport) -> Iterator[Child]:
    outcome = outcome_of(report)
    summary = report.plan.summary if report.plan is not None else None
    gain = report.speed.now if report.speed is not None else None
    yield element("a", name(report.path), href=f"#{key}")
    yield element("span", outcome, class_=f"badge {outcome}")
    yield "" if summary is None else f"{summary.spmm} of {summary.pointwise_convs}"
    yield percent(summary.pointwise_zeros, summary.pointwise_params) if summary and summary.pointwise_params else ""
    yield "" if gain is None else f"{gain.ratio:.1f} ({gain.low:.1f} to {gain.high:.1f})"
    yield str(len(report.findings)) if report.error is None else ""


# --- the graph -------------------------------------------------------------------------------------------------------


def ribbon(facts: GraphFacts, label: str) -> Element:
    """All operators in the order in which they run, in a strip: where the sparse part begins and ends."""
    count = max(len(facts.operators), 1)
    strips, at = [], 0
    for runs, operators in groupby(facts.operators, key=lambda op: op.runs):
        size = len(list(operators))
        strip = element("rect", x=at, y=0, width=size, height=1)
        strip.set("class", f"strip {runs.value}")
        strips.append(strip)
        at += size
    drawn = element("svg", *strips, preserveAspectRatio="none", aria_hidden="true")
    drawn.set("viewBox", f"0 0 {count} 1")
    ticks = [
        element("i", class_=op.mark.value, style=f"left: {100 * (n + 0.5) / count:.2f}%")
        for n, op in enumerate(facts.operators)
        if op.mark in (Mark.WRONG, Mark.BLOCKER)
    ]
    ticked = element("div", *ticks, class_="ticks", aria_hidden="true")
    return element(
        "div", ticked, drawn, class_="ribbon xnnlint-graph", role="img", aria_label=f"{label}: {counts(facts)}"
    )


def counts(facts: GraphFacts) -> str:
    """How many operators each class has."""
    found = [(title, len(facts.of_class(runs))) for runs, title in TITLES.items()]
    return ", ".join(f"{title}: {count}" for title, count in found if count)


def legend(facts: GraphFacts) -> Element:
    """What colours and signs mean, of those that are there."""
    entries = [
        element("li", element("span", class_=f"swatch {runs.value}"), f"{title}: {len(facts.of_class(runs))}")
        for runs, title in TITLES.items()
        if facts.of_class(runs)
    ]
    entries += [
        element("li", element("span", class_=f"swatch area-{kind}"), AREAS[kind]) for kind in areas_shown(facts)
    ]
    entries += [element("li", element("span", class_=f"sign-{mark.value}"), MARKS[mark]) for mark in marks_shown(facts)]
    return element("ul", *entries, class_="legend xnnlint-graph", aria_label="Key")


# --- findings --------------------------------------------------------------------------------------------------------


def findings_part(report: ModelReport, key: str) -> Element | None:
    """Every finding, with what its fix unlocks; None where there are none."""
    if not report.findings:
        return None
    heads = ("Finding", "Where", "What", "Fix", "Unlocks alone", "Times as fast as dense then", "With the others")
    rows = (_finding_row(findings, report, key) for findings in group(report.findings))
    made = table(heads, rows, "Findings, and what each fix unlocks")
    return element("section", element("h3", "Findings and fixes"), made, class_="findings")


def _finding_row(findings: Sequence[Finding], report: ModelReport, key: str) -> Iterator[Child]:
    first = findings[0]
    severity = element("span", first.severity.value, class_=f"badge {first.severity.value}")
    yield element("span", severity, f" {first.rule} {first.name}")
    yield _places(findings, key)
    yield condition(first) if len(findings) == 1 else condition(first, impersonal(first, "this one"))
    fixes = list(dict.fromkeys(filter(None, map(remedy, findings))))
    yield "; ".join(fixes[:3]) + (f"; and {len(fixes) - 3} more" if len(fixes) > 3 else "")
    unlocks = first.unlocks
    convolutions = counted(unlocks.alone, "1x1 convolution") if unlocks is not None else ""
    yield "" if unlocks is None else f"{convolutions}, {share_text(unlocks.alone_macs)} of their MACs"
    yield _gain_alone(first, report)
    yield "" if unlocks is None or not unlocks.in_smallest_set else counted(unlocks.with_others, "1x1 convolution")


def _gain_alone(finding: Finding, report: ModelReport) -> str:
    """What mending this one brings, at most; "" where it brings nothing, or the model is too large to be planned for
    each."""
    plan, unlocks = report.plan, finding.unlocks
    if plan is None or plan.planner is None or report.speed is None or unlocks is None or not unlocks.alone:
        return ""
    if len(plan.graph.operators) > _MOST_OPERATORS:
        return ""
    gain = gain_once_fixed(plan, finding.waivers, report.speed.prediction.profile)
    return "" if gain is None else f"{gain.ratio:.1f} ({gain.low:.1f} to {gain.high:.1f})"


def _places(findings: Sequence[Finding], key: str) -> Element:
    """Links to the operators; the script opens their panel."""
    links: list[Child] = []
    for finding in findings[:_SHOWN_PLACES]:
        where = place(finding)
        if where:
            op = finding.location.op
            links += [", "] if links else []
            links.append(where if op is None else element("a", where, href=f"#{key}-{op}", class_="to-op"))
    if len(findings) > _SHOWN_PLACES:
        links.append(f" and {len(findings) - _SHOWN_PLACES} more")
    return element("span", *links)


# --- before and after ------------------------------------------------------------------------------------------------


def comparison_part(
    compared: Comparison, worse: list[Aspect], before: Element | None, after: Element | None
) -> Element:
    """Two models side by side.

    Args:
        worse: the aspects in which the second is worse.
        before, after: their ribbons.
    """
    heads = ("", "Before", "After", "", "Change")
    rows = ((row.title, row.before, row.after, row.note, _MARKS[row.change]) for row in fact_rows(compared))
    strips = [
        element("figure", element("figcaption", f"{title}: {name(path)}"), strip)
        for title, path, strip in (
            ("Before", compared.before.path, before),
            ("After", compared.after.path, after),
        )
        if strip is not None
    ]
    note = time_note(compared)
    return element(
        "section",
        element("h2", "Before and after"),
        element("p", element("strong", verdict(compared, worse)), class_="headline"),
        element("div", *strips, class_="strips"),
        table(heads, rows, "Before and after"),
        *([element("p", note, class_="faint")] if note else []),
        *_operators_that_differ(compared),
        *_findings("Findings lost", compared.lost),
        *_findings("Findings gained", compared.gained),
        class_="card",
    )


def _operators_that_differ(compared: Comparison) -> Iterator[Element]:
    rows = [row[:5] for row in operator_rows(compared)]
    if rows:
        cells = ((name(row[0]), *map(safe, row[1:])) for row in rows)
        made = table(("Name", "Before", "After", "Zeros", "us"), cells, "Operators that differ")
        yield _folded(f"Operators that differ: {len(rows)}", made)


def _findings(title: str, findings: Sequence[Finding]) -> Iterator[Element]:
    if findings:
        items: Iterable[Child] = (element("li", safe(finding_sentence(finding))) for finding in findings)
        yield _folded(f"{title}: {len(findings)}", element("ul", *items))


def _folded(title: str, body: Element) -> Element:
    return element("details", element("summary", title), body)
