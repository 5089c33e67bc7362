"""What the page's script reads: everything about the operators, in one JSON document.

`xnnlint report --format json` prints the same for programs; `reporters/graphs.schema.json` is its published schema.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from xnnlint.linter.fault_words import fault_words
from xnnlint.linter.known_rules import every_rule
from xnnlint.reporters.finding_words import condition, place, remedy
from xnnlint.reporters.json_document import SCHEMA_VERSION, tool
from xnnlint.reporters.page.picture import MARKS, TITLES
from xnnlint.reporters.page.words import HINT, alone_sentence, cluster_sentence
from xnnlint.reporters.styled_lines import name, safe
from xnnlint.xnnpack.layout import THRESHOLD

if TYPE_CHECKING:
    from xnnlint.linter.findings import Finding, ModelReport
    from xnnlint.reporters.page.graph_facts import GraphFacts, OperatorFacts
    from xnnlint.reporters.page.times import TimeSeries
    from xnnlint.xnnpack.profile import Profile


def island_text(models: Sequence[dict[str, Any]]) -> str:
    """The document, so that nothing in it ends the element that it stands in."""
    text = json.dumps({"hint": HINT, **_document(models)}, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def graphs_document(models: Iterable[tuple[ModelReport, Profile, GraphFacts, Sequence[TimeSeries]]]) -> dict[str, Any]:
    """The same for programs: names are whole, and it says which models these are."""
    data = [
        {
            "path": report.path,
            "profile": {"runtime": profile.runtime, "cpu": profile.cpu},
            "outcome": None if report.outcome is None else report.outcome.value,
            **model_data(report, facts, series, f"m{number}", str),
        }
        for number, (report, profile, facts, series) in enumerate(models)
    ]
    return {"schema_version": SCHEMA_VERSION, "tool": tool(), **_document(data)}


def _document(models: Sequence[dict[str, Any]]) -> dict[str, Any]:
    rules = {finding["rule"] for model in models for finding in model["findings"]}
    return {
        "threshold": THRESHOLD,
        "kernels": {runs.value: title for runs, title in TITLES.items()},
        "marks": {mark.value: title for mark, title in MARKS.items()},
        "rules": _rules(rules),
        "models": models,
    }


def model_data(
    report: ModelReport,
    facts: GraphFacts,
    series: Sequence[TimeSeries],
    key: str,
    spelled: Callable[[str], str] = name,
) -> dict[str, Any]:
    """One model.

    Args:
        key: what its elements in the page are called by.
        spelled: how names from the file are written.
    """
    return {
        "key": key,
        "series": [
            {"title": s.title, "measured": s.is_measured, "total": None if s.total is None else _rounded(s.total)}
            for s in series
        ],
        "operators": [_operator(op, series, spelled) for op in facts.operators],
        "edges": [list(edge) for edge in facts.edges],
        "clusters": [
            {"words": cluster_sentence(c), "elements": c.elements, "zeros": c.zeros, "passes": c.has_enough}
            for c in facts.clusters
        ],
        "alone": alone_sentence(),
        "findings": [_finding(finding) for finding in report.findings],
    }


def _operator(op: OperatorFacts, series: Sequence[TimeSeries], spelled: Callable[[str], str]) -> dict[str, Any]:
    made = {
        "op": op.op,
        "name": spelled(op.name),
        "type": safe(op.type),
        "runs": op.runs.value,
        "kernels": [safe(kernel) for kernel in op.kernels],
        "partition": op.partition,
        "cluster": op.cluster,
        "inputs": list(op.inputs),
        "outputs": list(op.outputs),
        "weights": " x ".join(map(str, op.weights)),
        "elements": op.elements,
        "zeros": op.zeros,
        "macs": op.macs,
        "sparse_macs": op.sparse_macs,
        "pointwise": op.is_pointwise,
        "times": [_rounded(s.of[op.op]) if op.op in s.of else None for s in series],
        "guess": any(op.op in s.guessed for s in series),
        "findings": list(op.findings),
        "wrong": [safe(fault_words(hazard.fault)) for hazard in op.hazards],
        "mark": op.mark and op.mark.value,
    }
    # What is not there takes no room; a 0 is there.
    return {
        key: value for key, value in made.items() if value is not None and value is not False and value not in ("", [])
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "name": finding.name,
        "severity": finding.severity.value,
        "where": place(finding),
        "what": condition(finding),
        "fix": remedy(finding),
    }


def _rules(codes: set[str]) -> dict[str, dict[str, Any]]:
    rules = [rule for rule in every_rule() if rule.code in codes]
    return {rule.code: {"summary": rule.summary, "sources": list(rule.references)} for rule in rules}


def _rounded(number: float) -> float:
    return round(float(number), 2)
