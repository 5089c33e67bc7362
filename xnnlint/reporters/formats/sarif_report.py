"""SARIF 2.1.0 (OASIS), for GitHub code scanning and other viewers.

A model has no lines: a result's place is its file and, as logical locations, the layer and its operator. Fixes are
text, in the message and in the result's properties, since SARIF's own `fixes` are replacements of bytes. Messages
follow 3.11 of the standard: braces are doubled, and no text is read as a link.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xnnlint.reporters.check_report import KeepingReport, ReportSetting
from xnnlint.reporters.finding_words import outcome_of, sentence
from xnnlint.reporters.json_document import dumps
from xnnlint.reporters.source_paths import uri
from xnnlint.reporters.styled_lines import name, safe
from xnnlint.version import __version__

if TYPE_CHECKING:
    from xnnlint.linter.findings import Finding, ModelReport
    from xnnlint.linter.rule import Rule
    from xnnlint.reporters.check_report import ModelJudgement

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
ROOT = "%SRCROOT%"
FINGERPRINT = "xnnlint/v1"
# The one fingerprint that code scanning looks at, beside rule and file. Where it is missing, the upload computes it
# from the file's line, which is one for all findings of a model, and changes with its first bytes
# (github/codeql-action, src/fingerprints.ts, 0225834c).
LINE_HASH = "primaryLocationLineHash"
_ACCEPTED = "in the baseline"


class SarifReport(KeepingReport):
    """One log, at the end."""

    name = "sarif"

    def __init__(self, setting: ReportSetting) -> None:
        self._setting = setting
        self._rules: dict[str, dict[str, Any]] = {}
        self._artifacts: list[dict[str, Any]] = []
        self._results: list[dict[str, Any]] = []
        self._notifications: list[dict[str, Any]] = []

    def taken(self, model: ModelReport, judged: ModelJudgement) -> dict[str, Any]:
        from xnnlint.linter.baseline import fingerprints

        findings = [*model.accepted, *model.findings]
        results = []
        for number, (finding, fingerprint) in enumerate(zip(findings, fingerprints(findings), strict=True)):
            entry = result(finding, outcome_of(model), fingerprint)
            if number < len(model.accepted):
                entry["suppressions"] = [{"kind": "external", "status": "accepted", "justification": _ACCEPTED}]
            results.append(entry)
        return {
            "artifact": artifact(model, self._setting.root),
            "problems": [message(problem) for problem in [model.error, *judged.failures] if problem],
            "rules": {finding.rule: descriptor(finding) for finding in findings},
            "results": results,
        }

    def put(self, taken: dict[str, Any]) -> str:
        place = taken["artifact"]["location"] | {"index": len(self._artifacts)}
        self._artifacts.append(taken["artifact"])
        where = {"artifactLocation": place}
        for problem in taken["problems"]:
            self._notifications.append(
                {"level": "error", "message": problem, "locations": [{"physicalLocation": where}]}
            )
        for entry in taken["results"]:
            code = entry["ruleId"]
            self._rules.setdefault(code, taken["rules"][code])
            entry["ruleIndex"] = list(self._rules).index(code)
            entry["locations"][0]["physicalLocation"]["artifactLocation"] = place
            self._results.append(entry)
        return ""

    def end(self, exit_code: int) -> str:
        profile = self._setting.profile
        run = {
            "tool": {
                "driver": {
                    "name": "xnnlint",
                    "version": __version__,
                    "semanticVersion": __version__,
                    "rules": list(self._rules.values()),
                }
            },
            # Uploads of other runtimes or CPUs do not replace each other.
            "automationDetails": {"id": f"xnnlint/{profile.runtime}/{profile.cpu}/"},
            "invocations": [
                {
                    "executionSuccessful": exit_code in (0, 1),
                    "exitCode": exit_code,
                    "toolExecutionNotifications": self._notifications,
                }
            ],
            # Without a URI: where the checkout is, is the viewer's to know, and no machine's path is written.
            "originalUriBaseIds": {ROOT: {"description": {"text": "The root of the source tree."}}},
            "artifacts": self._artifacts,
            "results": self._results,
            "properties": {"runtime": profile.runtime, "cpu": profile.cpu},
        }
        return dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}) + "\n"


def message(text: str) -> dict[str, str]:
    """A plain text message that says what it says: no placeholders, no links, nothing invisible."""
    return {"text": safe(text).replace("{", "{{").replace("}", "}}").replace("](", "] (")}


def artifact(model: ModelReport, root: str) -> dict[str, Any]:
    """A model's file, with its outcome."""
    reference, relative = uri(model.path, root)
    properties: dict[str, Any] = {"outcome": outcome_of(model)}
    summary = model.plan.summary if model.plan is not None else None
    if summary is not None:
        properties |= {"pointwiseConvs": int(summary.pointwise_convs), "spmm": int(summary.spmm)}
    return {
        "location": {"uri": reference} | ({"uriBaseId": ROOT} if relative else {}),
        "roles": ["analysisTarget"],
        "properties": properties,
    }


def result(finding: Finding, outcome: str, fingerprint: str) -> dict[str, Any]:
    """One finding; the number of its rule, and of its file, are known once it is put into the report."""
    properties: dict[str, Any] = {"outcome": outcome}
    if finding.location.op is not None:
        properties["operator"] = finding.location.op
    for key, value in (("required", finding.required), ("actual", finding.actual)):
        if value:
            properties[key] = safe(value)
    if finding.unlocks is not None:
        properties["unlocks"] = {
            "alone": int(finding.unlocks.alone),
            "withOthers": int(finding.unlocks.with_others),
            "inSmallestSet": bool(finding.unlocks.in_smallest_set),
            "allOrNone": bool(finding.unlocks.all_or_none),
        }
    if (fix := finding.remedy) is not None:
        properties["fix"] = {"title": safe(fix.title), "applicability": fix.applicability.value}
    # GitHub shows no result without a line; in a binary file there is only the first.
    location: dict[str, Any] = {"physicalLocation": {"artifactLocation": {}, "region": {"startLine": 1}}}
    logical = logical_locations(finding)
    if logical:
        location["logicalLocations"] = logical
    return {
        "ruleId": finding.rule,
        "ruleIndex": -1,
        "level": finding.severity.value,
        "message": message(sentence(finding)),
        "locations": [location],
        "partialFingerprints": {FINGERPRINT: fingerprint, LINE_HASH: fingerprint},
        "properties": properties,
    }


def logical_locations(finding: Finding) -> list[dict[str, str]]:
    """The layer by its name, and its operator by type and number."""
    where, found = finding.location, []
    layer = where.name or where.tensor
    if layer:
        found.append({"kind": "layer", "name": name(layer), "fullyQualifiedName": safe(layer)})
    if where.op is not None:
        operator = f"{safe(where.type)}#{where.op}"
        path = f"subgraph{where.subgraph}/{operator}"
        found.append({"kind": "operator", "name": operator, "fullyQualifiedName": path})
    return found


def descriptor(finding: Finding) -> dict[str, Any]:
    """What is said of a rule: its documentation, if the rule is known."""
    rule = _rule_of(finding.rule)
    if rule is None:
        return {"id": finding.rule, "name": finding.name, "shortDescription": {"text": finding.name}}
    first, _, _ = rule.documentation.partition("\n\n")
    return {
        "id": rule.code,
        "name": rule.name,
        "shortDescription": {"text": rule.summary},
        "fullDescription": {"text": " ".join(first.split())},
        "help": {"text": rule.documentation, "markdown": rule.documentation},
        "defaultConfiguration": {"level": rule.severity.value},
        "properties": {"tags": ["xnnpack", "sparse-inference"]},
    }


def _rule_of(code: str) -> Rule | None:
    from xnnlint.linter.known_rules import find_any_rule

    return find_any_rule(code)
