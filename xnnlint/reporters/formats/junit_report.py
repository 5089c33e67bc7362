"""JUnit XML, which GitLab, Jenkins and most other CI systems show as tests: a suite a model, a test case a rule.

The first case of a suite, "outcome", fails where the model cannot be read or fails for other reasons than a finding.
Every rule that was asked is a case, so that one that is fixed shows as passed and not as gone.
Form: jenkinsci/xunit-plugin, src/main/resources, junit-10.xsd.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from xnnlint.reporters.check_report import KeepingReport, ReportSetting
from xnnlint.reporters.finding_words import outcome_of, sentence
from xnnlint.reporters.source_paths import from_root
from xnnlint.reporters.styled_lines import safe

if TYPE_CHECKING:
    from xnnlint.linter.findings import Finding, ModelReport
    from xnnlint.linter.rule import Rule
    from xnnlint.reporters.check_report import ModelJudgement


class JunitReport(KeepingReport):
    """One file, at the end."""

    name = "junit"

    def __init__(self, setting: ReportSetting) -> None:
        self._root = setting.root
        self._suites: list[ElementTree.Element] = []

    def taken(self, model: ModelReport, judged: ModelJudgement) -> dict[str, Any]:
        return {"suite": _as_plain(suite(model, judged, _asked(model, judged), self._root))}

    def put(self, taken: dict[str, Any]) -> str:
        self._suites.append(_from_plain(taken["suite"]))
        return ""

    def end(self, exit_code: int) -> str:
        return document(self._suites)


def document(suites: Iterable[ElementTree.Element]) -> str:
    """The whole file; all of it is printable, so every XML parser takes it."""
    root = ElementTree.Element("testsuites", name="xnnlint")
    root.extend(suites)
    for count in ("tests", "failures", "errors"):
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in root)))
    ElementTree.indent(root)
    return f"<?xml version='1.0' encoding='utf-8'?>\n{ElementTree.tostring(root, encoding='unicode')}\n"


def suite(model: ModelReport, judged: ModelJudgement, rules: Iterable[Rule], root: str) -> ElementTree.Element:
    """The test suite of one model.

    Args:
        rules: those that were asked, found or not.
        root: the folder that the file's path counts from.
    """
    path = safe(model.path)
    of_model = {"classname": path, "file": safe(from_root(model.path, root) or model.path)}
    element = ElementTree.Element("testsuite", name=path)
    outcome = ElementTree.SubElement(element, "testcase", of_model, name="outcome")
    if model.error is not None:
        _failed(outcome, "error", "cannot be read", [safe(model.error)])
    elif judged.failures:
        _failed(outcome, "failure", outcome_of(model), [safe(failure) for failure in judged.failures])
    else:
        ElementTree.SubElement(outcome, "system-out").text = outcome_of(model)
    if model.error is None:
        names = {rule.code: rule.name for rule in rules} | {f.rule: f.name for f in model.findings}
        for code, name in sorted(names.items()):
            case = ElementTree.SubElement(element, "testcase", of_model, name=f"{code} {name}")
            _rule(case, [f for f in model.findings if f.rule == code], judged)
    cases = element.findall("testcase")
    element.set("tests", str(len(cases)))
    element.set("failures", str(sum(case.find("failure") is not None for case in cases)))
    element.set("errors", str(sum(case.find("error") is not None for case in cases)))
    return element


def _as_plain(element: ElementTree.Element) -> list[Any]:
    """An element as values of JSON: its tag, attributes, text and parts."""
    return [element.tag, element.attrib, element.text, [_as_plain(part) for part in element]]


def _from_plain(values: list[Any]) -> ElementTree.Element:
    tag, attributes, text, parts = values
    element = ElementTree.Element(tag, attributes)
    element.text = text
    element.extend(map(_from_plain, parts))
    return element


def _rule(case: ElementTree.Element, findings: Sequence[Finding], judged: ModelJudgement) -> None:
    if not findings:
        return
    sentences = [f"{finding.severity.value}: {sentence(finding)}" for finding in findings]
    grave = [finding for finding in findings if judged.is_grave(finding)]
    if grave:
        _failed(case, "failure", grave[0].severity.value, sentences)
    else:
        ElementTree.SubElement(case, "system-out").text = "\n".join(sentences)


def _failed(case: ElementTree.Element, tag: str, kind: str, sentences: Sequence[str]) -> None:
    more = f" (and {len(sentences) - 1} more)" if len(sentences) > 1 else ""
    element = ElementTree.SubElement(case, tag, type=kind, message=sentences[0] + more)
    element.text = "\n".join(sentences)


def _asked(model: ModelReport, judged: ModelJudgement) -> list[Rule]:
    """The rules that would have been reported."""
    from xnnlint.linter.policy_check import policy_rules
    from xnnlint.linter.rule_registry import all_rules

    rules = [*all_rules(), *(policy_rules() if model.policy is not None else ())]
    return [rule for rule in rules if judged.reports(rule.code, rule.name)]
