"""Configuration files: which one holds, what its keys do, what is refused, and what `xnnlint config` says of it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from tests.cli.program import run
from tests.models import FIXTURES, ROOT
from xnnlint.config.applied import apply
from xnnlint.config.keys import BY_NAME, KEYS, overridable
from xnnlint.config.selection import Selection, is_reported, known_rules
from xnnlint.config.settings import Resolver
from xnnlint.errors import XnnlintError
from xnnlint.linter.budgets import BudgetBroken
from xnnlint.linter.engine import check_model
from xnnlint.linter.findings import Finding, ModelReport, Severity
from xnnlint.loaders.globs import compiled, matches
from xnnlint.model.graph import Graph, Model, Operator
from xnnlint.reporters import json_document
from xnnlint.xnnpack.plan import Kernel, Outcome, Plan, Summary
from xnnlint.xnnpack.profile import load_profile

# Two 1x1 convolutions, half of their weights zero: too few for the sparse path, which is XNN301's matter.
HALF = FIXTURES / "guide_half.tflite"
SPARSE = FIXTURES / "guide_sparse.tflite"
WRONG = FIXTURES / "runtime_bugs" / "add_const_1111.tflite"
PYPROJECT = '[project]\nname = "a"\n\n[tool.xnnlint]\n'


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with a dense, a sparse and a wrong model, and no configuration yet; it is the current one."""
    (tmp_path / "models" / "old").mkdir(parents=True)
    shutil.copy(HALF, tmp_path / "models" / "half.tflite")
    shutil.copy(SPARSE, tmp_path / "models" / "sparse.tflite")
    shutil.copy(WRONG, tmp_path / "models" / "old" / "wrong.tflite")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def call(capsys, monkeypatch):
    return lambda *arguments: run(capsys, monkeypatch, *map(str, arguments))


@pytest.fixture
def told(call):
    """The JSON document of a check."""

    def check(*arguments) -> dict:
        document = json.loads(call("check", *arguments, "--format", "json")[1])
        jsonschema.Draft202012Validator(json_document.published_schema("report")).validate(document)
        return document

    return check


def rules(document: dict) -> dict[str, list[str]]:
    return {Path(m["path"]).name: [f["rule"] for f in m["findings"]] for m in document["models"]}


# --- which file holds ------------------------------------------------------------------------------------------------


def test_the_nearest_file_holds_as_a_whole(project, told):
    (project / "pyproject.toml").write_text(PYPROJECT + 'ignore = ["XNN3"]\ncpu = "x86-sse"\n')
    document = told("models/half.tflite")
    assert rules(document) == {"half.tflite": []}
    assert document["models"][0]["suppressed"] == {"ignored": 1, "baseline": 0}
    assert document["profile"]["cpu"] == "x86-sse"
    (project / "models" / "xnnlint.toml").write_text('fail-on = "note"\n')
    document = told("models/half.tflite")
    assert rules(document) == {"half.tflite": ["XNN301"]}
    assert document["profile"]["cpu"] == "arm64"


def test_a_file_of_ours_comes_before_the_shared_one_of_the_same_folder(project, told):
    (project / "pyproject.toml").write_text(PYPROJECT + 'cpu = "x86-avx"\n')
    (project / "xnnlint.toml").write_text('cpu = "x86-sse"\n')
    assert told("models/half.tflite")["profile"]["cpu"] == "x86-sse"


@pytest.mark.parametrize(
    "text", ['[project]\nname = "a"\n', '[project]\ndependencies = ["xnnlint"]\n', "[tool.xnnlint-other]\ncpu = 3\n"]
)
def test_a_shared_file_without_our_table_does_not_count(project, told, text):
    (project / "xnnlint.toml").write_text('cpu = "x86-sse"\n')
    (project / "models" / "pyproject.toml").write_text(text)
    assert told("models/half.tflite")["profile"]["cpu"] == "x86-sse"


def test_a_file_of_the_user_s_choice_instead_of_the_nearest_one(project, told):
    (project / "xnnlint.toml").write_text('cpu = "x86-avx"\n')
    (project / "ci").mkdir()
    # Its patterns count from the current folder, as with other linters, and not from where it lies.
    text = 'cpu = "x86-sse"\n[per-file-ignores]\n"models/half*" = ["XNN3"]\n'
    (project / "ci" / "strict.toml").write_text(text)
    document = told("models/half.tflite", "--config", "ci/strict.toml")
    assert (document["profile"]["cpu"], rules(document)) == ("x86-sse", {"half.tflite": []})


def test_isolated_looks_at_no_file(project, told, call):
    (project / "xnnlint.toml").write_text("this is = wrong [")
    assert told("models/half.tflite", "--isolated")["profile"]["cpu"] == "arm64"
    assert told("models/half.tflite", "--isolated", "--config", 'cpu="x86-sse"')["profile"]["cpu"] == "x86-sse"
    code, out, err = call("check", "models/half.tflite", "--isolated", "--config", "xnnlint.toml")
    assert (code, out) == (2, "")
    assert "--isolated" in err


def test_options_come_over_keys_on_the_command_line_over_files_over_defaults(project, told):
    (project / "xnnlint.toml").write_text('cpu = "x86-avx"\nruntime = "litert-2.1"\nignore = ["XNN3"]\n')
    arguments = ["models/half.tflite", "--config", 'cpu = "x86-sse"']
    document = told(*arguments)
    assert (document["profile"]["runtime"], document["profile"]["cpu"]) == ("litert-2.1", "x86-sse")
    assert rules(document) == {"half.tflite": []}
    document = told(*arguments, "--cpu", "arm64", "--select", "ALL")
    assert (document["profile"]["runtime"], document["profile"]["cpu"]) == ("litert-2.1", "arm64")
    assert rules(document) == {"half.tflite": ["XNN301"]}


def test_models_of_one_run_may_have_different_settings(project, told, call):
    (project / "models" / "old" / "xnnlint.toml").write_text('cpu = "x86-avx"\n')
    document = told("models/half.tflite", "models/old/wrong.tflite")
    assert document["profile"]["cpu"] == "arm64"
    assert [m.get("profile", {}).get("cpu") for m in document["models"]] == [None, "x86-avx"]
    # Without the sparse path nothing goes wrong.
    assert [m["outcome"] for m in document["models"]] == ["dense", "dense"]
    out = call("check", "models/half.tflite", "models/old/wrong.tflite")[1]
    assert "Predicted for litert-2.3 on arm64; models/old/wrong.tflite: for litert-2.3 on x86-avx." in out


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "parts"),
    [
        ('runtimes = "x"', 1, ["'runtimes'", "did you mean runtime"]),
        ('runtime = "litert-2.4"', 1, ["runtime: 'litert-2.4'", "did you mean litert-2."]),
        ('cpu = "arm"', 1, ["cpu: 'arm' is none of", "did you mean arm64"]),
        ('\nignore = ["XNN999"]', 2, ["ignore: no rule 'XNN999'", "did you mean XNN9"]),
        ('select = [\n  "XNN1",\n  "XNN777",\n]', 3, ["select: no rule 'XNN777'"]),
        ('select = ["pooling-keepdim"]', 1, ["did you mean pooling-keepdims"]),
        ('select = "XNN1"', 1, ["select: 'XNN1' is no list", '["XNN1"]']),
        ("ignore = [3]", 1, ["ignore: 3"]),
        ('[severity]\nXNN301 = "warn"', 2, ["XNN301 = 'warn' is none of error, warning, note"]),
        ('[severity]\nXNN301 = "off"', 2, ["`ignore` is what silences a rule"]),
        ('[severity]\nXNN39 = "note"', 2, ["severity: no rule 'XNN39'"]),
        ("# budgets\n[budget]\nmin-spmm-mac = 1", 3, ["'budget.min-spmm-mac'", "did you mean budget.min-spmm-macs"]),
        ("[budget]\nmin-zeros = 80", 2, ["budget.min-zeros: 80 is no share"]),
        ('[budget]\nmin-zeros = "many%"', 2, ["budget.min-zeros", "is no share"]),
        ("budget.max-partitions = true", 1, ["budget.max-partitions", "is no count"]),
        ("budget = 3", 1, ["budget: it is a table"]),
        ("fail-on = 3", 1, ["fail-on: 3 is none of"]),
        ('require-sparse = "yes"', 1, ["require-sparse: 'yes' is neither true nor false"]),
        ('[per-file-ignores]\n"a*" = ["XNN2",\n  "XNN77"]', 3, ["per-file-ignores: no rule 'XNN77'"]),
        ('[[overrides]]\ncpu = "arm64"', 1, ["overrides: it needs `files`"]),
        ('[[overrides]]\nfiles = ["a"]\n[[overrides]]\nfiles = ["b"]\njobs = 3', 5, ["overrides.jobs", "all models"]),
        ('[[overrides]]\nfiles = ["b"]\ncpus = 3', 3, ["unknown key 'overrides.cpus'", "did you mean cpu"]),
        ("overrides = 3", 0, ["write [[overrides]]"]),
        ("jobs = -1", 1, ["jobs: -1"]),
        ('[fix]\nignore = ["insert-reshap"]', 2, ["fix.ignore: no fix 'insert-reshap'"]),
        ('[verify]\ncpu = "z80"', 2, ["verify.cpu: 'z80' is none of auto"]),
        ("[verify]\nseeds = 0", 2, ["verify.seeds"]),
        ("runtime = ", 1, ["no valid TOML"]),
        ('runtime = "a"\nruntime = "b"', 2, ["no valid TOML"]),
    ],
)
def test_what_is_wrong_is_reported_with_file_line_and_key(project, call, text, line, parts):
    (project / "xnnlint.toml").write_text(text)
    code, out, err = call("check", "models/half.tflite")
    assert (code, out) == (2, "")
    where = f"xnnlint.toml:{line}: " if line else "xnnlint.toml: "
    assert err.startswith(f"xnnlint: error: {where}")
    assert err.count("\n") == 1
    assert all(part in err for part in parts), err
    assert "itself failed" not in err


ODD = [
    "0",
    "-1",
    "1.5",
    "nan",
    "inf",
    "9" * 5000,
    "true",
    '""',
    '"x"',
    "[]",
    "[[]]",
    "[{}]",
    "{}",
    "{a = []}",
    "{a = 3}",
]
ODD += ["1979-05-27", '{"" = [""]}', '["\\u0000"]', '"%"', '"nan%"', "{XNN1 = {}}", '[["ALL"]]']


@pytest.mark.parametrize("value", ODD, ids=range(len(ODD)))
def test_no_value_of_any_key_is_a_mistake_of_ours(project, value):
    for table in ("", "[[overrides]]\nfiles = ['*']\n"):
        for name in [*BY_NAME, "overrides", "budget", "verify", "fix"]:
            (project / "xnnlint.toml").write_text(f"{table}{name} = {value}\n")
            with contextlib.suppress(XnnlintError):
                settings = Resolver().for_model("models/half.tflite")
                assert json.loads(json_document.dumps({k: str(v) for k, v in settings.values.items()}))
                assert isinstance(settings.unreported(), list)


def test_lines_are_found_in_a_shared_file(project, call):
    (project / "pyproject.toml").write_text('[tool.other]\nselect = ["XNN999"]\n' + PYPROJECT + 'select = ["XNN999"]\n')
    assert call("check", "models/half.tflite")[2].startswith("xnnlint: error: pyproject.toml:7: select: no rule")


@pytest.mark.parametrize(
    ("option", "value", "part"),
    [
        ("--select", "XNN999", "--select: no rule 'XNN999'"),
        ("--ignore", "XNN1,nonsense", "--ignore: no rule 'nonsense'"),
        ("--config", "missing.toml", "missing.toml: the configuration cannot be read: no such file"),
        ("--config", "cpu=arm64", "text needs quotes of its own: --config 'cpu=\"arm64\"'"),
        ("--config", "budget.min-zeros = 80%", "--config 'budget.min-zeros=\"80%\"'"),
        ("--config", "budgets.min-zeros=1", "unknown key 'budgets'"),
        ("--config", "pyproject.toml", "pyproject.toml: it has no table [tool.xnnlint]"),
        ("--jobs", "many", "--jobs: 'many' is no number"),
    ],
)
def test_a_wrong_option_is_reported_before_anything_is_checked(project, call, option, value, part):
    (project / "pyproject.toml").write_text("[project]\n")
    code, out, err = call("check", "models/half.tflite", option, value)
    assert (code, out) == (2, "")
    assert part in err


def test_a_wrong_file_of_any_model_stops_the_run_before_the_first_one(project, call):
    (project / "models" / "old" / "xnnlint.toml").write_text("nonsense = 1")
    code, out, err = call("check", "models/half.tflite", "models/old/wrong.tflite")
    assert (code, out) == (2, "")
    assert f"{Path('models', 'old', 'xnnlint.toml')}:1: unknown key 'nonsense'" in err


@pytest.mark.parametrize("data", [b"\xff\xfe", b'cpu = "\xff"'])
def test_a_file_that_is_no_text(project, call, data):
    (project / "xnnlint.toml").write_bytes(data)
    code, out, err = call("check", "models/half.tflite")
    assert (code, out) == (2, "")
    assert "xnnlint.toml: the configuration is not UTF-8" in err


def test_a_byte_order_mark_and_windows_line_ends_are_fine(project, told):
    (project / "xnnlint.toml").write_bytes(b'\xef\xbb\xbfcpu = "x86-sse"\r\nignore = []\r\n')
    assert told("models/half.tflite")["profile"]["cpu"] == "x86-sse"


# --- selecting -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layers", "told"),
    [
        ([], True),
        ([Selection(("XNN3",))], True),
        ([Selection(("XNN1",))], False),
        ([Selection((), ())], False),
        ([Selection(None, ("XNN",))], False),
        ([Selection(None, ("zeros-at-or-below-two-thirds",))], False),
        ([Selection(("XNN301",), ("XNN3",))], True),
        ([Selection(("XNN3",), ("XNN301",))], False),
        ([Selection(("XNN3",), ("XNN3",))], False),
        ([Selection(("ALL",), ("XNN",))], False),
        ([Selection(("xnn301",))], True),
        ([Selection(None, ("XNN3",)), Selection(("ALL",))], True),
        ([Selection(("XNN1",)), Selection(None, ("XNN1",))], False),
        ([Selection(("XNN3",)), Selection(None, ("XNN2",))], True),
        ([Selection(("ALL",)), Selection(None, ("XNN301",))], False),
    ],
)
def test_the_longer_selector_and_the_later_place_win(layers, told):
    assert is_reported("XNN301", "zeros-at-or-below-two-thirds", layers) is told


@pytest.mark.parametrize(
    ("layers", "told"),
    [
        ([Selection(("XNN",))], True),
        ([Selection(("XNN",), ("XNB",))], False),
        ([Selection(None, ("ALL",))], False),
        ([Selection(None, ("budget-broken",)), Selection(("XNN",))], False),
        ([Selection(None, ("XNB",)), Selection(("XNB101",))], True),
    ],
)
def test_a_budget_is_reported_unless_it_is_ignored(layers, told):
    assert is_reported("XNB101", "budget-broken", layers) is told


def test_every_rule_can_be_meant_by_code_and_by_name(project):
    for rule in known_rules():
        for selector in (rule.code, rule.name):
            settings = Resolver(given={"ignore": (selector,)}).for_model("m.tflite")
            assert [r.code for r in known_rules() if not settings.reports(r.code, r.name)] == [rule.code]


def test_ignoring_silences_the_finding_and_not_the_outcome(project, call, told):
    path = "models/old/wrong.tflite"
    (before,) = told(path)["models"]
    assert before["outcome"] == "wrong-results"
    grave = {f["rule"] for f in before["findings"] if f["severity"] == "error"}
    (after,) = told(path, "--ignore", ",".join(grave))["models"]
    assert not grave & {f["rule"] for f in after["findings"]}
    assert after["suppressed"]["ignored"] == sum(f["rule"] in grave for f in before["findings"])
    assert {k: after[k] for k in ("outcome", "kernels", "summary")} == {
        k: before[k] for k in ("outcome", "kernels", "summary")
    }
    code, out, err = call("check", path, "--ignore", "ALL")
    assert (code, err) == (0, "")
    assert "wrong-results: outputs will be wrong" in out
    assert re.search(r"Not shown: \d+ findings? ignored\.", out)
    # What asks for the outcome itself is not silenced.
    assert call("check", path, "--ignore", "ALL", "--require-sparse")[0] == 1


def test_findings_that_are_not_shown_are_counted_among_the_changes_that_are_needed(call):
    model = str(FIXTURES / "patterns" / "body_depthwise_5x5.tflite")
    report = check_model(model, load_profile("litert-2.3", "arm64"))
    needed = [f.rule for f in report.findings if f.unlocks and f.unlocks.in_smallest_set]
    out = call("check", model, "--ignore", ",".join(needed), "--isolated")[1]
    assert "No set of changes" not in out
    assert "it unlocks" not in out


def test_files_of_a_pattern_have_rules_of_their_own(project, told):
    text = 'select = ["XNN3"]\n[per-file-ignores]\n"models/*.tflite" = ["XNN301"]\n"wrong.tflite" = ["XNN9"]\n'
    (project / "xnnlint.toml").write_text(text)
    assert rules(told("models/half.tflite")) == {"half.tflite": []}
    # Whatever is selected on the command line.
    assert rules(told("models/half.tflite", "--select", "XNN301")) == {"half.tflite": []}
    wrong = told("models/old/wrong.tflite", "--select", "ALL")
    assert not [rule for rule in rules(wrong)["wrong.tflite"] if rule.startswith("XNN9")]
    assert wrong["models"][0]["suppressed"]["ignored"] > 0


def test_overrides_set_keys_for_some_models_the_later_over_the_earlier(project, told):
    (project / "xnnlint.toml").write_text(
        'ignore = ["XNN3"]\n'
        '[[overrides]]\nfiles = ["models/*"]\ncpu = "x86-avx"\nselect = ["XNN301"]\n'
        '[[overrides]]\nfiles = ["half.tflite"]\ncpu = "x86-sse"\nbudget.min-spmm-operators = 1\n'
    )
    document = told("models")
    found = {Path(m["path"]).name: m for m in document["models"]}
    cpus = {name: m.get("profile", document["profile"])["cpu"] for name, m in found.items()}
    assert cpus == {"half.tflite": "x86-sse", "sparse.tflite": "x86-avx", "wrong.tflite": "x86-avx"}
    assert rules(document)["half.tflite"] == ["XNN301", "XNB101"]


def test_a_severity_of_the_team_s_own(project, told, call):
    assert call("check", "models/half.tflite")[0] == 1
    (project / "xnnlint.toml").write_text('[severity]\nXNN3 = "note"\nXNN301 = "warning"\n')
    document = told("models/half.tflite")
    assert [f["severity"] for f in document["models"][0]["findings"]] == ["warning"]
    assert call("check", "models/half.tflite")[0] == 0
    assert call("check", "models/half.tflite", "--fail-on", "warning")[0] == 1


def test_fail_on_and_require_sparse(project, call):
    (project / "xnnlint.toml").write_text('fail-on = "never"\n')
    assert call("check", "models/half.tflite")[0] == 0
    assert call("check", "models/half.tflite", "--fail-on", "error")[0] == 1
    (project / "xnnlint.toml").write_text('require-sparse = true\nignore = ["ALL"]\n')
    assert call("check", "models/sparse.tflite")[0] == 0
    assert call("check", "models/half.tflite")[0] == 1
    assert call("check", "models/half.tflite", "--no-require-sparse")[0] == 0


# --- budgets ---------------------------------------------------------------------------------------------------------

OPERATORS = [Operator(0, "CONV_2D", (), ()), Operator(1, "CUSTOM", (), (), custom_code="Mine")]


def plan(outcome=Outcome.SPARSE, summary=Summary(10, 4, 1000, 899, 800, 640, 3), tflite=(1,)) -> Plan:  # noqa: B008
    """4 of 10 convolutions with 899 of 1000 MACs run SpMM; 640 of 800 weights are zero; 3 partitions."""
    graph = Graph([], [], (), ())
    graph.operators = OPERATORS
    kernels = [Kernel(op, "c", "CONV_2D", "Convolution (NCHW, F32) SPMM", 0, True) for op in range(4)]
    profile = load_profile("litert-2.3", "arm64")
    return Plan(
        Model("m.tflite", "tflite", [graph]), graph, profile, outcome, [], kernels, list(tflite), summary=summary
    )


@pytest.mark.parametrize(
    ("budget", "required", "actual"),
    [
        ({"min-spmm-macs": 0.899}, "", ""),
        ({"min-spmm-macs": 0.9}, "SpMM for at least 90% of the 1x1 MACs", "89.9%"),
        ({"min-spmm-macs": 0.8990001}, "SpMM for at least 89.90001% of the 1x1 MACs", "89.9%"),
        ({"min-spmm-operators": 4}, "", ""),
        ({"min-spmm-operators": 5}, "at least 5 operators that run SpMM", "4"),
        ({"min-zeros": 0.8}, "", ""),
        ({"min-zeros": 0.81}, "at least 81% zeros in 1x1 weights", "80%"),
        ({"max-partitions": 3}, "", ""),
        ({"max-partitions": 1}, "at most 1 delegate partition", "3"),
        ({"max-tflite-operators": 1}, "", ""),
        ({"max-tflite-operators": 0}, "at most 0 operators that XNNPACK does not take", "1 (Mine)"),
    ],
)
def test_a_broken_budget_is_a_finding_with_both_values(budget, required, actual):
    found = list(BudgetBroken().check_budgets(plan(), budget))
    assert [(f.required, f.actual) for f in found] == ([(required, actual)] if required else [])
    assert all(f.severity is Severity.ERROR and next(iter(budget)) in f.message for f in found)


@pytest.mark.parametrize("outcome", [Outcome.WRONG_RESULTS, Outcome.FAILS])
def test_what_runs_sparse_and_wrong_keeps_no_budget(outcome):
    budgets = {"min-spmm-macs": 0.1, "min-spmm-operators": 1}
    found = list(BudgetBroken().check_budgets(plan(outcome), budgets))
    assert [f.actual for f in found] == [f"0%: the outcome is {outcome.value}", f"0: the outcome is {outcome.value}"]


def test_shares_of_nothing_are_kept():
    nothing = plan(Outcome.DENSE, Summary(0, 0, 0, 0, 0, 0, 1))
    assert not list(BudgetBroken().check_budgets(nothing, {"min-spmm-macs": 1.0, "min-zeros": 1.0}))


def test_every_budget_of_the_configuration_is_checked():
    names = {key.name.partition(".")[2] for key in KEYS if key.name.startswith("budget.")}
    limits = {name: 0.999 if name in ("min-spmm-macs", "min-zeros") else 99 * name.startswith("min") for name in names}
    found = list(BudgetBroken().check_budgets(plan(), limits))
    assert {f.message.split()[2] for f in found} == names


def test_a_broken_budget_fails_the_run_and_a_kept_one_does_not(project, call, told):
    # The real runtime runs both 1x1 convolutions of the one model with SpMM, and none of the other's.
    (project / "xnnlint.toml").write_text('ignore = ["XNN"]\n[budget]\nmin-spmm-macs = "90%"\nmin-spmm-operators = 2\n')
    assert call("check", "models/sparse.tflite")[0] == 0
    assert call("check", "models/half.tflite")[0] == 1
    found = told("models/half.tflite")["models"][0]["findings"]
    assert [(f["rule"], f["name"], f["severity"]) for f in found] == [("XNB101", "budget-broken", "error")] * 2
    assert call("check", "models/half.tflite", "--config", "budget.min-spmm-macs=0", "--ignore", "XNB101")[0] == 0
    text = 'ignore = ["XNN"]\n[severity]\nXNB101 = "warning"\n[budget]\nmin-zeros = 0.9\n'
    (project / "xnnlint.toml").write_text(text)
    code, out, _ = call("check", "models/sparse.tflite")
    assert code == 0
    assert "XNB101     warning: needs at least 90% zeros" in out


def test_graver_findings_come_first_once_budgets_are_in():
    report = ModelReport("m.tflite", "tflite", plan(), [Finding("XNN101", "a", Severity.WARNING, "m")])
    settings = Resolver(True, ["budget.min-spmm-operators=5"]).for_model("m.tflite")
    assert [f.rule for f in apply(report, settings).findings] == ["XNB101", "XNN101"]


# --- patterns --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "path", "matched"),
    [
        ("*.tflite", "a.tflite", True),
        ("*.tflite", "deep/in/a.tflite", True),
        ("old", "x/old/a.tflite", True),
        ("models/*.tflite", "models/a.tflite", True),
        ("models/*.tflite", "models/b/a.tflite", False),
        ("models/**/*.tflite", "models/a.tflite", True),
        ("models/**/*.tflite", "models/b/c/a.tflite", True),
        ("models/**", "models/b/c/a.tflite", True),
        ("models", "models/b/a.tflite", True),
        ("models/b", "models/b/a.tflite", True),
        ("models/b/", "models/b/a.tflite", True),
        ("./models/b", "models/b/a.tflite", True),
        ("**/b/*", "models/b/a.tflite", True),
        ("a?.tflite", "ab.tflite", True),
        ("a?.tflite", "a/.tflite", False),
        ("[ab].tflite", "b.tflite", True),
        ("[!ab].tflite", "b.tflite", False),
        ("[!ab].tflite", "c.tflite", True),
        ("a[.tflite", "a[.tflite", True),
        ("a+(b).tflite", "a+(b).tflite", True),
        ("A.tflite", "a.tflite", False),
    ],
)
def test_patterns_mean_what_people_expect(pattern, path, matched):
    assert matches(pattern, path) is matched


def test_a_pattern_is_always_a_regular_expression_that_compiles():
    for pattern in ("[", "[]", "[!]", "[]a]", "[a-", "[\\]", "***", "a**b", "[[:alpha:]]", "[z-a]x", "\n*"):
        assert not compiled(pattern).fullmatch("no such name") or pattern == "***"


# --- xnnlint config --------------------------------------------------------------------------------------------------


def test_config_tells_every_value_and_where_it_is_from(project, call):
    (project / "pyproject.toml").write_text(
        PYPROJECT
        + 'ignore = ["XNN3"]\n[tool.xnnlint.budget]\nmin-spmm-macs = "90%"\n'
        + '[[tool.xnnlint.overrides]]\nfiles = ["models/old/*"]\ncpu = "x86-sse"\n'
    )
    arguments = ["models/old/new.tflite", "--config", "jobs=4"]
    code, out, err = call("config", *arguments, "--format", "json")
    assert (code, err) == (0, "")
    schema = json.loads((ROOT / "xnnlint" / "reporters" / "config.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(json.loads(out))
    assert json.loads(out)["not_told"][0] == "XNN301"
    settings = json.loads(out)["settings"]
    assert list(settings) == [key.name for key in KEYS]
    assert settings["ignore"] == {"value": ["XNN3"], "source": "pyproject.toml", "line": 5}
    assert settings["budget.min-spmm-macs"] == {"value": 0.9, "source": "pyproject.toml", "line": 7}
    assert settings["cpu"] == {"value": "x86-sse", "source": "pyproject.toml", "line": 10}
    assert settings["jobs"] == {"value": 4, "source": "command line", "line": None}
    assert settings["runtime"] == {"value": "litert-2.3", "source": "default", "line": None}
    code, text, _ = call("config", *arguments)
    assert code == 0
    assert re.search(r'^ignore = \["XNN3"\] +# pyproject.toml:5$', text, re.MULTILINE)
    assert re.search(r"^jobs = 4 +# command line$", text, re.MULTILINE)
    assert re.search(r"^# Not reported: XNN301, XNN302", text, re.MULTILINE)


def test_what_config_prints_is_a_configuration_with_the_same_values(project, call):
    (project / "xnnlint.toml").write_text(
        'select = ["XNN3", "XNN203"]\nexclude = ["a \\"b\\"", "é"]\n[severity]\nXNN301 = "note"\n'
        '[per-file-ignores]\n"models/*" = ["XNN1"]\n[verify]\nseeds = 5\n'
    )
    printed = call("config")[1]
    before = json.loads(call("config", "--format", "json")[1])["settings"]
    (project / "xnnlint.toml").write_text(printed)
    after = json.loads(call("config", "--format", "json")[1])["settings"]
    assert {k: v["value"] for k, v in after.items()} == {k: v["value"] for k, v in before.items()}


# --- the other commands ----------------------------------------------------------------------------------------------


def test_verify_takes_its_own_table_and_the_exclusions(project, call, monkeypatch):
    from xnnlint.runtime import verify

    asked = []

    def choose(*arguments):
        asked.append(arguments[:4])
        raise verify.XnnlintError("enough")

    monkeypatch.setattr(verify, "choose", choose)
    (project / "xnnlint.toml").write_text(
        'cpu = "x86-avx"\n[verify]\ncpu = "x86-sse"\nseeds = 7\nlitert-version = "2.1.0"\n'
    )
    assert call("verify", "models")[0] == 2
    assert call("verify", "models", "--cpu", "arm64", "--seeds", "1")[0] == 2
    assert call("verify", "models", "--isolated")[0] == 2
    assert asked == [(None, "x86-sse", "2.1.0", 7), (None, "arm64", "2.1.0", 1), (None, "auto", None, 3)]
    excluded = Resolver(given={"exclude": ("old",)}).excluded
    found = verify.runnable(["models"], excluded)
    assert [Path(one.path).name for one in found] == ["half.tflite", "sparse.tflite"]


def test_fix_plans_for_the_runtime_and_cpu_of_the_configuration(project, call, monkeypatch):
    from xnnlint.fixes.keras import config_search as repair

    asked = []

    def stop(model, options):
        asked.append(options.profile.name)
        raise repair.XnnlintError("enough")

    monkeypatch.setattr(repair, "repair", stop)
    shutil.copy(FIXTURES / "guide_sparse.keras", project / "models" / "m.keras")
    (project / "xnnlint.toml").write_text('runtime = "litert-2.1"\nexclude = ["m.keras"]\n')
    call("fix", "models/m.keras", "--diff")
    call("fix", "models/m.keras", "--diff", "--cpu", "x86-sse", "--isolated")
    assert asked == ["litert-2.1 on arm64", "litert-2.3 on x86-sse"]
    assert call("fix", "models/m.keras", "--diff", "--force-exclude")[0] == 0
    assert len(asked) == 2


def test_fixes_of_the_configuration_hold_unless_the_options_name_some(project, call, monkeypatch):
    from xnnlint.fixes.tflite import file_fixer as repair
    from xnnlint.fixes.tflite.known_fixes import names

    asked = []

    class Fixer:
        def __init__(self, options, proof):
            asked.append((options.select, options.ignore))

        def fix(self, *arguments, **options):
            raise repair.XnnlintError("enough")

        def __exit__(self, *what):
            pass

    monkeypatch.setattr(repair, "FileFixer", Fixer)
    first, second, third, *_ = names()
    (project / "xnnlint.toml").write_text(f'[fix]\nselect = ["{first}", "{second}"]\nignore = ["{second}"]\n')
    call("fix", "models/half.tflite", "--diff")
    call("fix", "models/half.tflite", "--diff", "--select", third)
    call("fix", "models/half.tflite", "--diff", "--ignore", third)
    assert asked == [((first, second), (second,)), ((third,), ()), ((first, second), (third,))]
    # A Keras model has no such fixes, and is no error for that.
    shutil.copy(FIXTURES / "guide_sparse.keras", project / "m.keras")
    assert call("fix", "m.keras", "--diff")[0] == 0


def test_models_of_the_configuration_are_checked_where_no_path_is_given(project, call, told):
    code, out, err = call("check")
    assert (code, out) == (2, "")
    assert err == "xnnlint: error: no PATH is given, such as . for this folder, and no `models` in a configuration\n"
    (project / "maker.py").write_text("def make():\n    return 3\n")
    (project / "xnnlint.toml").write_text('models = ["models/old", "models/s*.tflite", "maker:make"]\n')
    os.chdir(project / "models")
    document = told("--allow-code")
    assert [m["path"] for m in document["models"]] == ["old/wrong.tflite", "sparse.tflite", "maker:make"]
    assert document["models"][2]["error"].startswith("maker:make: int is no Keras model")


# --- in step ---------------------------------------------------------------------------------------------------------


def test_the_documentation_has_each_key_with_its_values_and_default():
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([^`]+)` \| (.+?) \| (.+?) \| (.+?) \|$", text, re.MULTILINE)
    documented = {name: (takes, default, meaning) for name, takes, default, meaning in rows}
    assert list(documented) == [key.name for key in KEYS]
    for key in KEYS:
        takes, default, meaning = documented[key.name]
        assert (takes, meaning) == (key.takes, key.meaning)
        shown = "" if key.default is None else json.dumps(key.default)
        assert default.strip("`") == (shown or "-")


def test_every_example_of_the_documentation_is_a_valid_configuration(project):
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    examples = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert len(examples) >= 2
    for example in examples:
        if example.startswith("allow-code"):
            continue  # the user's own settings, which are another file
        shared = "[tool.xnnlint" in example
        (project / ("pyproject.toml" if shared else "xnnlint.toml")).write_text(example)
        assert Resolver().for_run().sources["runtime"] is not None
        used = [s for s in Resolver().for_model("models/half.tflite").sources.values() if s.place != "default"]
        assert used
        (project / "xnnlint.toml").unlink(missing_ok=True)


def test_what_overrides_can_set_is_documented():
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if line.startswith("In `overrides`"))
    assert re.findall(r"`([a-z-]+)`", line.partition(":")[2]) == list(
        dict.fromkeys(key.name.partition(".")[0] for key in overridable())
    )


def test_keys_for_the_run_are_those_that_overrides_refuse():
    assert all(not key.for_run for key in overridable())
    assert BY_NAME["jobs"].for_run


def test_without_a_configuration_nothing_is_parsed(project):
    code = (
        "import sys; from xnnlint.cli import app as cli; sys.argv = ['xnnlint', 'check', 'models/sparse.tflite']\n"
        "try: cli.main()\n"
        "except SystemExit: pass\n"
        "heavy = ('tomllib', 'tomli', 'rich', 'pydantic')\n"
        "print('loaded:', [m for m in heavy if m in sys.modules])\n"
    )
    (project / "pyproject.toml").write_text('[project]\nname = "a"\n')
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout.splitlines()[-1] == "loaded: []", done.stderr
