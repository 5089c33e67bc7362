"""Rules of other packages: found by their entry points, held to the form of a rule, and never left out silently."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.models import ROOT

EXAMPLE = Path(__file__).parent / "example_rules"
SMALL = ROOT / "fixtures" / "guide_sparse.tflite"  # its input is 32x32x3

RULE = '''
from xnnlint.linter.findings import Severity
from xnnlint.linter.rule import NodeRule, Rule

class Mine(Rule):
    """Something of ours."""

    code = "ACME007"
    name = "of-our-own"
    severity = Severity.NOTE
    summary = "something of ours must be right"

    def check(self, plan):
        yield self.finding("it is not")
'''


def announce(folder: Path, *entries: str, package: str = "acme-rules", **modules: str) -> Path:
    """A package as pip would have put it into a folder: modules, and the metadata with its entry points."""
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text)
    info = folder / f"{package.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[xnnlint.rules]\n" + "".join(f"{entry}\n" for entry in entries))
    return folder


def run(folder: Path, *arguments: str) -> tuple[int, str, str]:
    """The program, with a folder of packages."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
    done = subprocess.run(
        [sys.executable, "-m", "xnnlint", *arguments], capture_output=True, text=True, env=environment, timeout=60
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(params=["module", "class"])
def example(request, tmp_path) -> Path:
    """The example package, announced as a module and as a class."""
    entry = {"module": "acme = acme_rules", "class": "acme = acme_rules:InputTooLarge"}[request.param]
    return announce(tmp_path, entry, acme_rules=(EXAMPLE / "acme_rules.py").read_text())


def test_a_rule_of_another_package_is_asked_listed_and_explained(example):
    code, out, err = run(example, "check", str(SMALL), "--format", "json")
    assert (code, err) == (0, "")
    (model,) = json.loads(out)["models"]
    assert [(f["rule"], f["severity"], f["actual"]) for f in model["findings"]] == [("ACME001", "warning", "3072")]
    assert model["outcome"] == "sparse"
    assert run(example, "check", str(SMALL), "--fail-on", "warning")[0] == 1
    listed = run(example, "rules")[1]
    assert "ACME001" in listed and "XNN104" in listed
    assert "more than 768 elements" in run(example, "explain", "acme001")[1]
    assert "did you mean ACME001" in run(example, "explain", "ACME002")[2]


def test_its_documentation_is_in_sarif(example):
    out = run(example, "check", str(SMALL), "--format", "sarif")[1]
    (rule,) = json.loads(out)["runs"][0]["tool"]["driver"]["rules"]
    assert rule["id"] == "ACME001"
    assert "## Why it matters" in rule["help"]["text"]


@pytest.mark.slow
def test_the_example_installs_with_pip(tmp_path):
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(tmp_path), str(EXAMPLE)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    assert "ACME001" in run(tmp_path, "rules")[1]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("", "import no_such_module\n"), "cannot be loaded (ModuleNotFoundError: No module named 'no_such_module')"),
        (("", "def ("), "cannot be loaded (SyntaxError: "),
        (("", "raise SystemExit(0)\n"), "cannot be loaded (SystemExit: 0)"),
        (("class Mine(Rule)", "class Mine"), "has no rule"),
        (("class Mine(Rule)", "class Mine(NodeRule)"), "only xnnlint's own decide about layouts"),
        (('code = "ACME007"', 'code = "XNN104"'), "whose code XNN104 begins as only xnnlint's own do"),
        (('code = "ACME007"', "code = 7"), "whose code 7 is not letters and digits"),
        (('name = "of-our-own"', 'name = "Mine"'), "whose name 'Mine' is not words with hyphens"),
        (('"of-our-own"', '"wrong-results"'), "two rules share the name wrong-results (acme-rules and xnnlint)"),
        (("summary =", "summery ="), "without a summary"),
        (("Severity.NOTE", '"note"'), "whose severity is none"),
        (("of ours.", "of ours for $5."), "cannot be made (ValueError: "),
    ],
)
def test_a_rule_that_cannot_be_used_stops_the_run_with_a_reason(tmp_path, change, problem):
    old, new = change
    announce(tmp_path, "acme = mine", mine=RULE.replace(old, new, 1) if old else new + RULE)
    code, out, err = run(tmp_path, "check", str(SMALL))
    assert (code, out) == (2, "")
    assert err.startswith("xnnlint: error: ") and err.count("\n") == 1
    assert problem in err
    assert "acme-rules" in err


@pytest.mark.parametrize("command", [["rules"], ["explain", "XNN104"], ["check", str(SMALL), "--format", "json"]])
def test_no_command_does_without_a_rule_that_cannot_be_loaded(tmp_path, command):
    announce(tmp_path, "acme = mine", mine="import no_such_module\n")
    code, out, err = run(tmp_path, *command)
    assert (code, out) == (2, "")
    assert "acme-rules" in err and "no_such_module" in err


def test_an_entry_point_that_leads_nowhere(tmp_path):
    announce(tmp_path, "acme = mine:Missing", mine=RULE)
    code, _, err = run(tmp_path, "check", str(SMALL))
    assert code == 2
    assert "entry point xnnlint.rules: acme = mine:Missing" in err


def test_two_packages_with_the_same_code(tmp_path):
    announce(tmp_path, "one = mine", package="one", mine=RULE)
    announce(tmp_path, "two = other", package="two", other=RULE.replace("of-our-own", "of-another"))
    code, out, err = run(tmp_path, "check", str(SMALL))
    assert (code, out) == (2, "")
    assert err == "xnnlint: error: two rules share the code ACME007 (one and two)\n"


def test_a_rule_that_fails_is_named_and_hides_no_other_file(tmp_path):
    announce(tmp_path, "acme = mine", mine=RULE.replace('yield self.finding("it is not")', "return 1 / 0"))
    code, out, err = run(tmp_path, "check", str(SMALL), str(SMALL.with_name("guide_half.tflite")), "--format", "json")
    assert code == 2
    assert len(json.loads(out)["models"]) == 2
    assert err.splitlines() == [
        f"xnnlint: error: {path}: the rule ACME007 of acme-rules failed (ZeroDivisionError: division by zero)"
        for path in (SMALL, SMALL.with_name("guide_half.tflite"))
    ]


def test_the_rule_of_the_page_on_own_rules_works(tmp_path):
    page = (ROOT / "docs" / "own-rules.md").read_text(encoding="utf-8")
    (entry,) = re.findall(r"(?m)^acme = \"(.*)\"$", page)
    (module,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    announce(tmp_path, f"acme = {entry}", **{entry: module})
    split = ROOT / "fixtures" / "patterns" / "body_act_relu_threshold.tflite"
    code, out, err = run(tmp_path, "check", str(split), str(SMALL), "--format", "json", "--fail-on", "never")
    assert (code, err) == (0, "")
    told = [[f for f in model["findings"] if f["rule"] == "ACME002"] for model in json.loads(out)["models"]]
    assert [len(findings) for findings in told] == [1, 0]
    assert int(told[0][0]["actual"]) > 1
    assert "Values are copied" in run(tmp_path, "explain", "too-many-partitions")[1]


def test_a_rule_that_ends_the_program_is_a_failed_rule_and_the_run_fails(tmp_path):
    ending = RULE.replace('yield self.finding("it is not")', "import sys; sys.exit(0)")
    code, _, err = run(announce(tmp_path, "acme = acme_ending", acme_ending=ending), "check", "--isolated", str(SMALL))
    assert code == 2 and "the rule ACME007 of acme-rules failed (SystemExit: 0)" in err


def test_a_rule_that_kills_costs_the_model_alone(tmp_path):
    killing = RULE.replace(
        'yield self.finding("it is not")',
        "import os; os.kill(os.getpid(), 9) if plan.model.path.endswith('one.tflite') else None; return []",
    )
    for name in ("one", "two"):
        (tmp_path / f"{name}.tflite").write_bytes(SMALL.read_bytes())
    models = [str(tmp_path / f"{name}.tflite") for name in ("one", "two")]
    folder = announce(tmp_path, "acme = acme_killing", acme_killing=killing)
    code, out, err = run(folder, "check", "--isolated", "--format", "json", *models)
    assert code == 2 and "one.tflite: the process that checked it ended by SIGKILL" in err
    assert json.loads(out)["models"][1]["outcome"] == "sparse"


def test_what_a_rule_prints_is_not_in_the_report(tmp_path):
    printing = "import os; print('loaded'); os.write(1, b'raw')\n" + RULE.replace(
        'yield self.finding("it is not")', "print('checked'); yield self.finding('it is not')"
    )
    folder = announce(tmp_path, "acme = acme_printing", acme_printing=printing.replace("os.write(1, b'raw')", "0"))
    _, out, err = run(folder, "check", "--isolated", "--format", "json", str(SMALL))
    assert json.loads(out)["models"] and "loaded" in err and "checked" in err


def test_a_package_with_rules_is_imported_by_one_process(tmp_path):
    said = "import sys; print('imported', file=sys.stderr)\n" + RULE
    folder = announce(tmp_path, "acme = said_rules", said_rules=said)
    code, out, err = run(folder, "check", str(SMALL), "--no-cache", "--format", "concise")
    assert (code, err.count("imported")) == (0, 1)
    assert "ACME007" in out
