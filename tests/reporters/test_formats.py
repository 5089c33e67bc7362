"""Every output format, read back by a parser or held against a schema that is not ours."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from html import unescape
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote_to_bytes

import jsonschema
import junitparser
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from pre_commit.commands.validate_config import validate_config
from pre_commit.commands.validate_manifest import validate_manifest
from pydantic import ValidationError
from sarif_pydantic import Sarif

from tests.models import FIXTURES
from tests.rounds import every
from xnnlint.cli import app as cli
from xnnlint.cli.report_files import ReportFiles
from xnnlint.cli.work import with_line
from xnnlint.errors import XnnlintError
from xnnlint.linter.findings import Applicability, Finding, Fix, Location, ModelReport, Severity, Unlock
from xnnlint.model.graph import Graph, Model
from xnnlint.reporters import json_document, source_paths
from xnnlint.reporters import styled_lines as layout
from xnnlint.reporters.check_formats import format_names, new_report, report_class
from xnnlint.reporters.check_report import ModelJudgement, ReportSetting
from xnnlint.reporters.model_record import record_of
from xnnlint.reporters.model_row import Checked
from xnnlint.reporters.styled_lines import plain, safe
from xnnlint.xnnpack.plan import Outcome, Plan, Summary
from xnnlint.xnnpack.profile import load_profile

PROFILE = load_profile()
FORMS = tuple(form for form in format_names() if not report_class(form).writes_itself)
OF_MANY = tuple(form for form in FORMS if not report_class(form).of_one_graph)

HOSTILE = {
    "terminal": "\x1b]0;owned\x07\x1b[2J\x9b1m",
    "lines": "a\r\nb\n\nc\u2028d",
    "command": "::error::pwned",
    "command behind a space": "x ::error file=a::pwned",
    "old command": "a ##[error]pwned",
    "cdata": "]]><!--&amp;<b>&#0;",
    "table": "a|b\\|c",
    "code": "``a`b```",
    "html": "<script>alert(1)</script><img src=x>",
    "links": "[a](http://x.y) https://evil.example ![i](j) www.evil.example <http://z>",
    "emphasis": "**a** __b__ ~~c~~ # d",
    "placeholders": "{0} {{1}} [text](1)",
    "nul": "a\0b",
    "surrogate": "caf\udce9",
    "bidi": "\u202egpj.exe",
    "no character": "\ufffe\uffff",
    "percent": "100%0A,b=c:d%",
    "long": "n" * 5_000,
    "spaces": "  a  ",
}


def finding(rule="XNN104", severity=Severity.ERROR, **fields) -> Finding:
    names = {"XNN104": "depthwise-convolution-without-nchw-kernel", "XNN303": "not-pruned"}
    return Finding(rule, names.get(rule, "a-rule"), severity, **{"message": "it cannot run in NCHW", **fields})


def report(*findings: Finding, path="model.tflite", outcome=Outcome.DENSE) -> ModelReport:
    graph = Graph([], [], (), ())
    plan = Plan(Model(path, "tflite", [graph]), graph, PROFILE, outcome, summary=Summary(14, 0, 1000, 0, 800, 640, 1))
    return ModelReport(path, "tflite", plan, list(findings))


def hostile_report(name: str) -> ModelReport:
    return report(
        finding(
            message=f"{name} cannot run",
            required=name,
            actual=name,
            location=Location(3, name, "CUSTOM" + name),
            fix=Fix(name, Applicability.UNSAFE),
        ),
        finding("XNN303", Severity.NOTE, message="it is not pruned"),
        path=f"models/{name}.tflite",
    )


def written(form: str, *models: ModelReport, judged: ModelJudgement | None = None, exit_code=1, **options) -> str:
    """A whole report, as it is written to a file."""
    told = new_report(form, ReportSetting(PROFILE, root=str(Path.cwd()), **options))
    judged = judged or ModelJudgement()
    added = (told.add_row(checked(model)) if told.takes_rows else told.add(model, judged) for model in models)
    parts = [told.begin(), *added, told.end(exit_code)]
    return "".join(part if isinstance(part, str) else "".join(f"{plain(line)}\n" for line in part) for part in parts)


def checked(model: ModelReport) -> Checked:
    """A model as the process that checked it hands it over."""
    return with_line(record_of(model, PROFILE, exit_code=1, settings="0" * 16))


MODELS = (
    report(
        finding(
            required="padding 1",
            actual="padding 0",
            location=Location(4, "conv_dw_4", "DEPTHWISE_CONV_2D"),
            unlocks=Unlock(3, 0.25, 14, True),
            fix=Fix("pad it", Applicability.UNSAFE),
        ),
        finding(location=Location(9, "conv_dw_9", "DEPTHWISE_CONV_2D")),
        finding("XNN303", Severity.NOTE, message="the model is not pruned"),
        path="a.tflite",
    ),
    report(path="fine.tflite", outcome=Outcome.SPARSE),
    ModelReport("gone.tflite", error="gone.tflite: no such file or directory"),
)


# --- every format ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_names_from_a_model_can_do_nothing_in_any_format(form, name):
    output = written(form, hostile_report(name))
    assert all(c.isprintable() or c == "\n" for c in output)
    output.encode()  # no lone surrogate is left
    if form not in ("github", "json", "jsonl"):
        # What a CI runner would read as a command of ours; GitHub's own format is made of them.
        assert not [line for line in output.splitlines() if line.lstrip().startswith("::") or "##[" in line]


@pytest.mark.parametrize("form", OF_MANY)
def test_a_report_without_models_is_one(form):
    output = written(form, exit_code=0)
    assert (output == "") == (form in ("text", "concise", "github", "jsonl"))
    assert "Traceback" not in output


MARKUP = "`|\\*_[](){}<>&#:%;,=!~^$@\n\r .a0-"
ANY_NAME = st.text(st.characters(exclude_categories=()), max_size=40) | st.text(MARKUP, max_size=40)


@settings(max_examples=150, deadline=None)
@given(ANY_NAME)
def test_any_name_comes_through_every_format_as_text(name):
    model = hostile_report(name)
    shown = safe(name)
    for form in FORMS:
        output = written(form, model)
        assert all(c.isprintable() or c == "\n" for c in output)
        output.encode()
    assert parsed_command(written("github", model).splitlines()[0])[2].count(shown) >= 1
    assert junit_root(model)[0].get("name") == safe(f"models/{name}.tflite")
    assert tables(markdown(model))[1][1][4].split() == f"Unsafe fix: {shown}".split()
    assert tables(markdown(model))[0][1][0].split() == layout.name(f"models/{name}.tflite").split()
    (result, _) = json.loads(written("sarif", model))["runs"][0]["results"]
    if shown:
        assert result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] == shown


def junit_root(model: ModelReport) -> ElementTree.Element:
    return ElementTree.fromstring(written("junit", model))


# --- concise ---------------------------------------------------------------------------------------------------------


def test_concise_is_one_line_a_finding():
    assert written("concise", *MODELS).splitlines() == [
        "a.tflite:conv_dw_4: XNN104 it cannot run in NCHW (needs padding 1; has padding 0)",
        "a.tflite:conv_dw_9: XNN104 it cannot run in NCHW",
        "a.tflite: XNN303 the model is not pruned",
    ]


def test_a_layer_without_a_name_is_named_by_its_operator():
    told = written("concise", report(finding(location=Location(7, "", "ADD"))))
    assert told.startswith("model.tflite:ADD#7: XNN104 ")


# --- SARIF -----------------------------------------------------------------------------------------------------------


def sarif(*models: ModelReport, **options) -> dict:
    """The one run of a valid SARIF file."""
    text = written("sarif", *models, **options)
    assert text.isascii()
    document = json.loads(text)
    Sarif.model_validate(document)
    assert document["version"] == "2.1.0"
    return document["runs"][0]


def test_the_reader_would_find_mistakes():
    document = json.loads(written("sarif", *MODELS))
    document["runs"][0]["results"][0]["level"] = "fatal"
    with pytest.raises(ValidationError):
        Sarif.model_validate(document)


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_sarif_is_valid_whatever_the_names(name):
    first = sarif(hostile_report(name))["results"][0]
    logical = {place["kind"]: place["fullyQualifiedName"] for place in first["locations"][0]["logicalLocations"]}
    assert logical["layer"] == safe(name)
    message = first["message"]["text"]
    # SARIF 3.11.5 and 3.11.6: placeholders and links.
    assert not re.search(r"(?<!\{)\{(\{\{)*(?!\{)|(?<!\})\}(\}\})*(?!\})", message)
    assert not re.search(r"\[[^\]]*\]\(", message)


def test_sarif_tells_all_there_is():
    run = sarif(*MODELS, exit_code=2)
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["XNN104", "XNN303"]
    assert "## Why it matters" in rules[0]["help"]["markdown"]
    assert rules[0]["fullDescription"]["text"].endswith(".")
    assert [(r["ruleId"], r["level"]) for r in run["results"]] == [
        ("XNN104", "error"),
        ("XNN104", "error"),
        ("XNN303", "note"),
    ]
    assert all(rules[r["ruleIndex"]]["id"] == r["ruleId"] for r in run["results"])
    first = run["results"][0]
    assert first["message"]["text"] == (
        "conv_dw_4 (DEPTHWISE_CONV_2D #4): it cannot run in NCHW (needs padding 1; has padding 0). Unsafe fix: pad it"
    )
    place = first["locations"][0]
    assert place["physicalLocation"] == {
        "artifactLocation": {"uri": "a.tflite", "uriBaseId": "%SRCROOT%", "index": 0},
        "region": {"startLine": 1},
    }
    assert [(p["kind"], p["name"]) for p in place["logicalLocations"]] == [
        ("layer", "conv_dw_4"),
        ("operator", "DEPTHWISE_CONV_2D#4"),
    ]
    assert first["properties"] == {
        "outcome": "dense",
        "operator": 4,
        "required": "padding 1",
        "actual": "padding 0",
        "unlocks": {"alone": 3, "withOthers": 14, "inSmallestSet": True, "allOrNone": False},
        "fix": {"title": "pad it", "applicability": "unsafe"},
    }
    assert "logicalLocations" not in run["results"][2]["locations"][0]
    assert [a["properties"]["outcome"] for a in run["artifacts"]] == ["dense", "sparse", "unreadable"]
    invocation = run["invocations"][0]
    assert (invocation["executionSuccessful"], invocation["exitCode"]) == (False, 2)
    told = invocation["toolExecutionNotifications"]
    assert [n["message"]["text"] for n in told] == ["gone.tflite: no such file or directory"]
    assert told[0]["locations"][0]["physicalLocation"]["artifactLocation"]["index"] == 2


@pytest.mark.parametrize("key", ["xnnlint/v1", "primaryLocationLineHash"])
def test_a_finding_keeps_its_fingerprint_and_shares_it_with_no_other(key):
    def marks(*models):
        return [r["partialFingerprints"][key] for r in sarif(*models)["results"]]

    assert marks(*MODELS) == marks(*MODELS)
    assert max(Counter(marks(*MODELS)).values()) == 1


def test_accepted_findings_are_suppressed_in_sarif():
    known = report(finding(location=Location(1, "conv_1", "CONV_2D")), path="a.tflite")
    known.accepted = [finding("XNN303", Severity.NOTE)]
    results = sarif(known)["results"]
    assert [(r["ruleId"], [s["status"] for s in r.get("suppressions", [])]) for r in results] == [
        ("XNN303", ["accepted"]),
        ("XNN104", []),
    ]


def test_a_fingerprint_outlives_another_order_of_the_operators():
    def mark(op):
        return sarif(report(finding(location=Location(op, "conv_1", "CONV_2D"))))["results"][0]["partialFingerprints"]

    assert mark(1) == mark(7)


def test_what_fails_besides_the_findings_is_in_sarif():
    run = sarif(MODELS[1], judged=ModelJudgement(failures=("fine.tflite: does not run sparse",)))
    told = run["invocations"][0]["toolExecutionNotifications"]
    assert [n["message"]["text"] for n in told] == ["fine.tflite: does not run sparse"]
    assert run["invocations"][0]["executionSuccessful"] is True


def test_uris_are_relative_to_the_source_root_and_encoded(tmp_path, monkeypatch):
    inside = tmp_path / "checkout" / "sub"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    root = source_paths.source_root({"GITHUB_WORKSPACE": str(tmp_path / "checkout")})
    assert root == str(tmp_path / "checkout")
    assert source_paths.source_root({"GITHUB_WORKSPACE": "/somewhere/else"}) == str(inside)
    assert source_paths.source_root({}) == str(inside)
    assert source_paths.uri("m.tflite", root) == ("sub/m.tflite", True)
    assert source_paths.uri("../a b:c#%é.tflite", root) == ("a%20b%3Ac%23%25%C3%A9.tflite", True)
    assert source_paths.uri("pkg.models:make", root) == ("sub/pkg.models%3Amake", True)
    outside, relative = source_paths.uri("../../other.tflite", root)
    assert (outside, relative) == (f"file://{tmp_path}/other.tflite", False)
    raw = os.fsdecode(b"caf\xe9.tflite")
    assert unquote_to_bytes(source_paths.uri(raw, root)[0]) == b"sub/caf\xe9.tflite"


# --- GitHub ----------------------------------------------------------------------------------------------------------


def parsed_command(line: str) -> tuple[str, dict[str, str], str]:
    """A workflow command as the runner reads it (actions/runner, src/Runner.Common/ActionCommand.cs, TryParseV2)."""
    line = line.lstrip()
    assert line.startswith("::")
    head, separator, data = line[2:].partition("::")
    assert separator
    command, _, properties = head.partition(" ")
    found = {}
    for entry in properties.split(","):
        key, equals, value = entry.strip().partition("=")
        assert key and equals and value, line
        found[key] = unescaped(value, {"%0D": "\r", "%0A": "\n", "%3A": ":", "%2C": ",", "%25": "%"})
    return command, found, unescaped(data, {"%0D": "\r", "%0A": "\n", "%25": "%"})


def unescaped(text: str, escapes: dict[str, str]) -> str:
    for code, char in escapes.items():
        text = text.replace(code, char)
    return text


def test_github_annotations_read_back():
    commands = [parsed_command(line) for line in written("github", *MODELS).splitlines()]
    assert [(kind, fields["file"]) for kind, fields, _ in commands] == [
        ("error", "a.tflite"),
        ("error", "a.tflite"),
        ("notice", "a.tflite"),
        ("error", "gone.tflite"),
    ]
    assert commands[0][1]["title"] == "XNN104 depthwise-convolution-without-nchw-kernel"
    assert commands[0][2].startswith("conv_dw_4 (DEPTHWISE_CONV_2D #4): it cannot run in NCHW (needs padding 1;")
    assert commands[3][2] == "gone.tflite: no such file or directory"


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_name_stays_within_its_github_annotation(name):
    lines = written("github", hostile_report(name)).splitlines()
    assert len(lines) == 2
    kind, fields, message = parsed_command(lines[0])
    assert kind == "error"
    assert set(fields) == {"file", "title"}
    if len(name) < 100:
        assert f"{safe(name)} cannot run".strip() in message
    assert fields["file"] == safe(os.path.normpath(f"models/{name}.tflite"))


# --- JUnit -----------------------------------------------------------------------------------------------------------


def junit(*models: ModelReport, **options):
    """The report as junitparser reads it: only what that knows is in it, and its totals are those of the cases."""
    text = written("junit", *models, **options)
    read = junitparser.JUnitXml.fromstring(text.encode())
    known = {"testsuites", "testsuite", "testcase", "failure", "error", "skipped", "system-out", "system-err"}
    assert {element.tag for element in read._elem.iter()} <= known | {"properties", "property"}
    totals = read.tests, read.failures, read.errors
    read.update_statistics()
    assert (read.tests, read.failures, read.errors) == totals
    return read


def test_junit_has_a_suite_a_model_and_a_case_a_rule():
    read = junit(*MODELS)
    assert [suite.name for suite in read] == ["a.tflite", "fine.tflite", "gone.tflite"]
    counts = [(suite.failures, suite.errors) for suite in read]
    assert counts == [(1, 0), (0, 0), (0, 1)]
    assert (read.failures, read.errors) == (1, 1)
    cases = {case.name: case for case in next(iter(read))}
    blocked = cases["XNN104 depthwise-convolution-without-nchw-kernel"]
    assert [type(r).__name__ for r in blocked.result] == ["Failure"]
    assert blocked.result[0].text.count("it cannot run in NCHW") == 2
    assert blocked.result[0].message.endswith("(and 1 more)")
    assert cases["outcome"].is_passed
    # What is found below --fail-on passes, and is told.
    assert cases["XNN303 not-pruned"].is_passed
    assert "the model is not pruned" in cases["XNN303 not-pruned"].system_out
    # A rule that found nothing is a test that passed, not one that is gone.
    assert cases["XNN902 fails-at-run-time"].is_passed
    gone = list(list(read)[2])
    assert [(case.name, type(case.result[0]).__name__) for case in gone] == [("outcome", "Error")]


def test_junit_fails_as_the_run_does():
    strict = junit(MODELS[0], judged=ModelJudgement(Severity.NOTE))
    assert strict.failures == 2
    assert junit(MODELS[0], judged=ModelJudgement(None)).failures == 0
    demanded = junit(MODELS[1], judged=ModelJudgement(failures=("fine.tflite: does not run sparse",)))
    failed = [case for suite in demanded for case in suite if not case.is_passed]
    assert [(case.name, case.result[0].message) for case in failed] == [("outcome", "fine.tflite: does not run sparse")]


def test_junit_has_no_case_for_a_rule_that_was_not_asked():
    read = junit(MODELS[1], judged=ModelJudgement(reports=lambda code, name: code != "XNN902"))
    names = [case.name.partition(" ")[0] for case in next(iter(read))]
    assert "XNN902" not in names
    assert "XNN901" in names


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_junit_is_valid_whatever_the_names(name):
    read = junit(hostile_report(name))
    suite = next(iter(read))
    assert suite.name == safe(f"models/{name}.tflite")
    (failed,) = [case for case in suite if case.result]
    if len(name) < 100:
        assert f"{safe(name)} cannot run".strip() in failed.result[0].text


# --- Markdown --------------------------------------------------------------------------------------------------------


def markdown(*models: ModelReport, **options):
    """The tokens of the report, as markdown-it reads it with GitHub's tables."""
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    return parser.parse(written("markdown", *models, **options))


def tables(tokens) -> list[list[list[str]]]:
    """The text of every cell of every table."""
    found, inside = [], False
    for token in tokens:
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type in ("th_open", "td_open"):
            inside = True
        elif token.type == "inline" and inside:
            found[-1][-1].append("".join(child.content for child in token.children))
            inside = False
    return found


def test_markdown_has_a_row_a_model_and_a_table_of_findings():
    models, findings = tables(markdown(*MODELS))
    assert models == [
        ["Model", "Check", "Outcome", "SpMM", "Zeros", "Speed", "Findings"],
        ["a.tflite", "fail", "dense", "0 of 14", "80%", "", "2 errors, 1 note"],
        ["fine.tflite", "pass", "sparse", "0 of 14", "80%", "", "no findings"],
        ["gone.tflite", "unreadable", "", "", "", "", ""],
    ]
    assert findings[0] == ["Severity", "Rule", "Where", "What", "Fix"]
    assert findings[1][2:] == [
        "conv_dw_4 (DEPTHWISE_CONV_2D #4)",
        "it cannot run in NCHW (needs padding 1; has padding 0)",
        "Unsafe fix: pad it",
    ]
    text = written("markdown", *MODELS)
    assert text.startswith("## xnnlint: 3 models: 1 sparse, 1 dense, 1 unreadable; 2 errors, 1 note\n")
    assert "gone.tflite: no such file or directory" in text


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_markdown_shows_a_hostile_name_as_it_is(name):
    tokens = markdown(hostile_report(name))
    inline = [child for token in tokens if token.type == "inline" for child in token.children]
    # Of ours are only the words "fail" in bold and names in code.
    assert {child.type for child in inline} <= {"text", "code_inline", "strong_open", "strong_close", "text_special"}
    assert not [token for token in tokens if "html" in token.type]
    models, findings = tables(tokens)
    assert [len(row) for row in (*models, *findings)] == [7, 7, 5, 5, 5]
    if len(name) < 100:
        assert findings[1][4].strip() == f"Unsafe fix: {safe(name)}".strip()
        assert findings[1][3].startswith(f"{safe(name)} cannot run".strip())


def test_nothing_becomes_a_link_on_github():
    # GitHub links bare addresses, too, which this parser does not.
    text = written("markdown", hostile_report(HOSTILE["links"]))
    assert "://" not in text
    assert "www." not in text
    assert "https://evil.example" in unescape(text)


def test_findings_alike_share_a_row():
    many = [finding(location=Location(i, f"conv_{i}", "CONV_2D")) for i in range(14)]
    many.append(finding(location=Location(14, "conv_14", "CONV_2D"), actual="stride 3"))
    _, findings = tables(markdown(report(*many)))
    assert len(findings) == 3
    assert findings[1][2].startswith("conv_0 (CONV_2D #0), ")
    assert findings[1][2].endswith("conv_9 (CONV_2D #9) and 4 more")


def test_a_summary_never_outgrows_what_github_shows():
    one = report(*[finding(message=f"{i} {'x' * 900}") for i in range(40)])
    text = written("markdown", *[one] * 60)
    assert len(text.encode()) < 1024 * 1024
    assert re.search(r"The findings of \d+ more models are left out", text)
    assert text.count("| `model.tflite` |") == 60


# --- JSON and statistics ---------------------------------------------------------------------------------------------


def test_statistics_in_the_formats_that_have_them():
    document = json.loads(written("json", *MODELS, statistics=True))
    jsonschema.Draft202012Validator(json_document.published_schema("report")).validate(document)
    name = "depthwise-convolution-without-nchw-kernel"
    assert document["statistics"] == [
        {"findings": 2, "models": 1, "rule": "XNN104", "name": name},
        {"findings": 1, "models": 1, "rule": "XNN303", "name": "not-pruned"},
    ]
    assert "statistics" not in json.loads(written("json", *MODELS))
    for form in ("text", "concise"):
        assert (
            "findings  models  rule\n"
            "       2       1  XNN104  depthwise-convolution-without-nchw-kernel\n"
            "       1       1  XNN303  not-pruned\n"
        ) in written(form, *MODELS, statistics=True)
    *_, rules = tables(markdown(*MODELS, statistics=True))
    assert rules[1:] == [["2", "1", f"XNN104 {name}"], ["1", "1", "XNN303 not-pruned"]]


# --- text ------------------------------------------------------------------------------------------------------------


def test_verbose_tells_each_finding_with_its_condition_and_source():
    told = " ".join(written("text", MODELS[0], verbose=True).split())
    assert told.count("XNN104 error") == 2
    assert "rule a depthwise convolution must be 3x3 with padding 1" in told
    assert "source google/XNNPACK, src/subgraph.c, `xnn_check_nchw_compatibility`" in told
    assert "XNN104 error" not in written("text", MODELS[0])
    assert "source" not in written("text", MODELS[0])


# --- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture
def call(capsys, monkeypatch, tmp_path):
    """Runs `xnnlint check` in a folder with models that pass, fail, and cannot be read."""
    for name, source in (("sparse", "guide_sparse"), ("half", "guide_half"), ("noted", "guide_keepdims_false")):
        (tmp_path / f"{name}.tflite").write_bytes((FIXTURES / f"{source}.tflite").read_bytes())
    (tmp_path / "bad.tflite").write_bytes(b"no model")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["xnnlint", "check", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return end.value.code, *capsys.readouterr()

    return run


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["sparse.tflite"], 0),
        (["half.tflite"], 1),
        (["noted.tflite"], 0),
        (["noted.tflite", "--fail-on", "note"], 1),
        (["noted.tflite", "half.tflite", "--fail-on", "never"], 0),
        (["half.tflite", "--exit-zero"], 0),
        (["half.tflite", "--quiet"], 1),
        (["half.tflite", "--require-sparse", "--exit-zero"], 0),
        (["bad.tflite"], 2),
        (["bad.tflite", "--exit-zero"], 2),
        (["."], 2),
    ],
)
def test_the_exit_code_does_not_depend_on_the_format(call, arguments, code):
    forms = FORMS if [argument.endswith(".tflite") for argument in arguments].count(True) == 1 else OF_MANY
    seen = {form: call(*arguments, "--format", form) for form in forms}
    assert {form: result[0] for form, result in seen.items()} == dict.fromkeys(forms, code)
    # What is wrong with a file is on stderr, whatever is on stdout.
    assert len({tuple(re.findall("xnnlint: .*", result[2])) for result in seen.values()}) == 1


def test_several_reports_at_once(call):
    code, out, _ = call("half.tflite", "-f", "concise", "--report", "sarif=x.sarif", "--report", "junit=x.xml")
    assert code == 1
    assert out.startswith("half.tflite:")
    assert json.loads(Path("x.sarif").read_text())["runs"][0]["invocations"][0]["exitCode"] == 1
    assert "<testsuites" in Path("x.xml").read_text()
    assert call("half.tflite", "-f", "json", "-o", "x.json")[:2] == (1, "")
    assert json.loads(Path("x.json").read_text())["models"][0]["path"] == "half.tflite"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--report", "sarif"], "FORMAT=FILE"),
        (["--report", "yaml=x.yaml"], "FORMAT=FILE"),
        (["--report", "sarif=-"], "reports go to files"),
        (["--report", "sarif=no/such/x.sarif"], "no folder"),
        (["-o", "sparse.tflite"], "would take the place of a model"),
        (["-o", "."], "this is none"),
        (["-o", "x", "--report", "json=./x"], "two reports"),
        (["--format", "sarif", "--statistics"], "--statistics goes with"),
        (["--quiet", "--verbose"], "contradict"),
        (["--format", "yaml"], "'yaml' is not one of"),
    ],
)
def test_a_report_that_cannot_be_is_reported_before_anything_is_checked(call, arguments, problem):
    before = {path.name: path.read_bytes() for path in Path().iterdir()}
    code, out, err = call("sparse.tflite", *arguments)
    assert (code, out) == (2, "")
    assert problem in err
    assert {path.name: path.read_bytes() for path in Path().iterdir()} == before


def test_a_report_replaces_the_last_one_whole_or_not_at_all(tmp_path, monkeypatch):
    target = tmp_path / "x.sarif"
    target.write_text("the last one")
    monkeypatch.setattr("xnnlint.atomic.commit", lambda *a: (_ for _ in ()).throw(OSError(28, "No space left")))
    outputs = ReportFiles("sarif", str(target), [], ReportSetting(PROFILE))
    outputs.add(MODELS[0], ModelJudgement())
    with pytest.raises(XnnlintError, match="No space left"):
        outputs.end(1)
    assert target.read_text() == "the last one"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.skipif(sys.platform == "win32", reason="no such devices")
def test_a_report_can_go_to_a_device(call):
    assert call("sparse.tflite", "-f", "json", "-o", "/dev/null") == (0, "", "")


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="no such device")
def test_dev_stdout_goes_on_where_stdout_is(tmp_path):
    with (tmp_path / "out.txt").open("w") as out:
        out.write("before\n")
        out.flush()
        command = [sys.executable, "-m", "xnnlint", "check", str(FIXTURES / "guide_half.tflite"), "-q"]
        subprocess.run([*command, "-f", "concise", "--report", "github=/dev/stdout"], stdout=out, timeout=60)
    lines = (tmp_path / "out.txt").read_text().splitlines()
    assert lines[0] == "before"
    assert lines[1].endswith("; has 50.0% (320 of 640 weights))")
    assert lines[2].startswith("::error file=")


def test_quiet_tells_only_what_fails(call):
    code, out, _ = call("sparse.tflite", "half.tflite", "noted.tflite", "-q")
    assert code == 1
    assert [line.split()[:2] for line in out.splitlines()] == [["model", "outcome"], ["half.tflite", "dense"]]
    assert "sparse.tflite" not in out
    assert "noted.tflite" not in out
    assert "3 models" not in out
    assert call("sparse.tflite", "-q") == (0, "", "")
    # A program that reads a document gets all of it.
    assert len(json.loads(call("sparse.tflite", "half.tflite", "-q", "-f", "json")[1])["models"]) == 2


def test_a_file_gets_text_without_colour_and_without_a_terminal_in_mind(call, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    _, out, _ = call("half.tflite", "--report", "text=x.txt")
    assert "\x1b[" in out
    assert "\x1b[" not in Path("x.txt").read_text()
    assert Path("x.txt").read_text() == re.sub(r"\x1b\[[0-9;]*m", "", out)


def test_the_summary_of_a_job_goes_on_where_others_began_it(call, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(Path("summary.md").resolve()))
    Path("summary.md").write_text("# Tests\n\nAll passed.\n\n")
    for _ in range(2):
        call("half.tflite", "--report", f"markdown={Path('summary.md').resolve()}", "--report", "markdown=own.md")
    own = Path("own.md").read_text()
    assert Path("summary.md").read_text() == f"# Tests\n\nAll passed.\n\n{own}{own}"


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes")
@pytest.mark.parametrize("form", every(3, FORMS))
def test_a_file_with_a_hostile_name(form, tmp_path):
    name = b"\x1b[31m]]>|`::error::\xe9\n.tflite"
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))).write_bytes((FIXTURES / "guide_half.tflite").read_bytes())
    done = subprocess.run(
        [sys.executable, "-m", "xnnlint", "check", ".", "-f", form], cwd=tmp_path, capture_output=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (1, b"")
    shown = done.stdout.decode()
    assert all(c.isprintable() or c == "\n" for c in shown)


@pytest.mark.skipif(not Path("/bin/bash").exists(), reason="needs bash")
@pytest.mark.parametrize("form", every(3, OF_MANY))
def test_a_reader_that_leaves_early_is_no_error(form):
    files = f"{FIXTURES}/guide_half.tflite {FIXTURES}/guide_int8.tflite"
    done = subprocess.run(
        f"{sys.executable} -m xnnlint check {files} -f {form} | :; echo ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "1\n"
    # Beside lines for programs, what the run comes to is on stderr.
    assert re.sub(r"2 models: .*\n", "", done.stderr) == ""


# --- docs/ci.md ------------------------------------------------------------------------------------------------------

CI = (FIXTURES.parent / "docs" / "ci.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(yaml|sh)\n(.*?)```", CI, re.DOTALL)
COMMANDS = re.findall(r"(?m)^\s*(?:- )?(?:run: )?(xnnlint check .*)$", "".join(text for _, text in BLOCKS))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_page_on_ci_runs(command, tmp_path):
    (tmp_path / "models").mkdir()
    for name in ("guide_sparse", "guide_half"):
        (tmp_path / "models" / f"{name}.tflite").write_bytes((FIXTURES / f"{name}.tflite").read_bytes())
    summary = str(tmp_path / "summary.md")
    arguments = [text.replace("$GITHUB_STEP_SUMMARY", summary) for text in command.split()[1:]]
    done = subprocess.run(
        [sys.executable, "-m", "xnnlint", *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0 if "--exit-zero" in command else 1, "")
    files = [text.partition("=")[2] for text in arguments if "=" in text]
    files += [file for option, file in pairwise(arguments) if option == "--output"]
    assert all((tmp_path / file).stat().st_size for file in files)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["models", *(Path(file).name for file in files)])


def test_the_recipes_on_ci_are_yaml_and_what_pre_commit_takes(tmp_path):
    assert len(COMMANDS) == 6
    recipes = [yaml.safe_load(text) for kind, text in BLOCKS if kind == "yaml"]
    assert [list(recipe)[-1] for recipe in recipes] == ["jobs", "xnnlint", "repos", "repos"]
    for recipe in recipes[2:]:
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(recipe))
        assert validate_config([str(tmp_path / "config.yaml")]) == 0
    hooks = FIXTURES.parent / ".pre-commit-hooks.yaml"
    assert validate_manifest([str(hooks)]) == 0
    known = {hook["id"] for hook in yaml.safe_load(hooks.read_text())}
    assert {hook["id"] for recipe in recipes[2:] for repo in recipe["repos"] for hook in repo["hooks"]} <= known


def test_the_page_on_ci_names_every_format():
    assert sorted(re.findall(r"(?m)^\| `([\w-]+)` \|", CI)) == sorted(format_names())
