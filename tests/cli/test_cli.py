"""The command line: arguments, exit codes, what goes to stdout and what to stderr."""

from __future__ import annotations

import functools
import inspect
import json
import os
import re
import subprocess
import sys
import typing
from pathlib import Path

import jsonschema
import pytest

from tests.cli.program import run, spawn
from tests.models import ROOT
from xnnlint import __version__
from xnnlint.cli import program
from xnnlint.errors import ModelError, XnnlintError
from xnnlint.linter import engine
from xnnlint.linter.findings import Finding, Location, Severity, Unlock
from xnnlint.linter.rule import Rule
from xnnlint.model.graph import Graph, Model
from xnnlint.reporters import json_document
from xnnlint.xnnpack.plan import Outcome, Plan, Summary
from xnnlint.xnnpack.profile import cpus, runtimes

# --- a machine with fake parts: the file's name says what is in it ----------------------------------------------------


class FakeRule(Rule):
    """Something is wrong.

    ## What it does
    Says so
    in two lines.

        code(stays,
             as_it_is)
    - an item
    """

    code = "XNN999"
    name = "something-is-wrong"
    severity = Severity.ERROR
    summary = "something must be right"

    def check(self, plan):
        for severity in Severity:
            if severity.value in plan.model.path:
                unlocks = Unlock(1, 1.0, 1, True) if "unpruned" in plan.model.path else None
                finding = self.finding("it is wrong", severity=severity, location=Location(0, "conv", "CONV_2D"))
                yield Finding(**{k: getattr(finding, k) for k in Finding.__slots__} | {"unlocks": unlocks})


def fake_load(path, **_) -> Model:
    path = os.fspath(path)
    if "broken" in path:
        raise ModelError(path, "the file is cut off", "download it again")
    if "denied" in path:
        raise PermissionError(13, "Permission denied", path)
    if "bug" in path:
        raise KeyError("tensor 7")
    return Model(path, "tflite", [Graph([], [], (), ())])


def fake_plan(model: Model, profile) -> Plan:
    outcome = next((o for o in Outcome if o.value in model.path), Outcome.SPARSE)
    return Plan(model, model.main, profile, outcome, summary=Summary(1, int(outcome is Outcome.SPARSE), 9, 9, 9, 8, 1))


@pytest.fixture
def machine(monkeypatch):
    monkeypatch.setattr(engine, "find_models", list)
    monkeypatch.setattr(engine, "load", fake_load)
    monkeypatch.setattr(engine, "make_plan", fake_plan)
    monkeypatch.setattr(engine, "all_rules", lambda: (FakeRule(),))
    monkeypatch.setattr(engine, "add_unlocks", lambda plan, findings: list(findings))
    monkeypatch.setattr("xnnlint.linter.rule_registry.all_rules", lambda: (FakeRule(),))
    monkeypatch.setattr("xnnlint.linter.policy_check.policy_rules", tuple)
    monkeypatch.setattr("xnnlint.linter.budgets.budget_rules", tuple)


@pytest.fixture
def call(machine, capsys, monkeypatch):
    return lambda *arguments: run(capsys, monkeypatch, *arguments)


ANSWER = "xnnlint: error: unknown runtime or CPU 'z80'; known are " + ", ".join([*runtimes(), *cpus()]) + "\n"


# --- exit codes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["fine.tflite"], 0),
        (["note.tflite"], 0),
        (["warning.tflite"], 0),
        (["error.tflite"], 1),
        (["fine.tflite", "error.tflite"], 1),
        (["warning.tflite", "--fail-on", "warning"], 1),
        (["note.tflite", "--fail-on", "warning"], 0),
        (["note.tflite", "--fail-on", "note"], 1),
        (["error.tflite", "--fail-on", "never"], 0),
        (["broken.tflite"], 2),
        (["broken.tflite", "--fail-on", "never"], 2),
        (["error.tflite", "broken.tflite", "fine.tflite"], 2),
        (["dense.tflite"], 0),
        (["dense.tflite", "--require-sparse"], 1),
        (["sparse.tflite", "--require-sparse"], 0),
        (["dense.tflite", "--require-sparse", "--fail-on", "never"], 0),
    ],
)
@pytest.mark.parametrize("form", ["text", "json"])
def test_exit_codes(call, arguments, code, form):
    assert call("check", *arguments, "--format", form)[0] == code


def test_require_sparse_makes_what_is_missing_an_error(call):
    code, out, err = call("check", "dense-unpruned-note.tflite", "--require-sparse", "--format", "json")
    assert code == 1
    assert [f["severity"] for f in json.loads(out)["models"][0]["findings"]] == ["error"]
    assert err == "xnnlint: error: dense-unpruned-note.tflite: does not run sparse, which --require-sparse demands\n"
    code, out, err = call("check", "dense-unpruned-note.tflite", "--format", "json")
    assert (code, err) == (0, "")
    assert [f["severity"] for f in json.loads(out)["models"][0]["findings"]] == ["note"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["check"],
        ["check", "m.tflite", "--format", "yaml"],
        ["check", "m.tflite", "--fail-on", "sometimes"],
        ["check", "m.tflite", "--no-such-option"],
        ["check", "m.tflite", "--runtime", "litert-99"],
        ["check", "m.tflite", "--cpu", "z80"],
        ["no-such-command"],
        ["explain"],
        ["explain", "XNN000"],
    ],
)
def test_a_wrong_call_is_2_with_a_reason_and_an_empty_stdout(call, arguments):
    code, out, err = call(*arguments)
    assert code == 2
    assert out == ""
    assert "rror" in err
    assert "Traceback" not in err


def test_an_unknown_runtime_is_answered_with_those_that_exist(call):
    assert "litert-2.3" in call("check", "m.tflite", "--runtime", "litert-99")[2]


# --- bad input, with the real loader ---------------------------------------------------------------------------------


@pytest.fixture
def bad_files(tmp_path):
    (tmp_path / "empty.tflite").write_bytes(b"")
    (tmp_path / "noise.tflite").write_bytes(bytes(range(7, 256)) * 9)
    (tmp_path / "cut.tflite").write_bytes(b"\x1c\0\0\0TFL3" + b"\0" * 8)
    (tmp_path / "zip.tflite").write_bytes(b"PK\x03\x04" + b"\0" * 60)
    (tmp_path / "notes.txt").write_text("not a model")
    (tmp_path / "folder").mkdir()
    return tmp_path


BAD = ["empty.tflite", "noise.tflite", "cut.tflite", "zip.tflite", "notes.txt", "folder", "missing.tflite"]


@pytest.mark.parametrize("bad", BAD)
def test_bad_input_is_2_and_one_sentence_that_names_the_file(bad_files, capsys, monkeypatch, bad):
    path = str(bad_files / bad)
    code, out, err = run(capsys, monkeypatch, "check", path)
    assert (code, out) == (2, "")
    assert err.startswith(f"xnnlint: error: {path}: ")
    assert err.count("\n") == 1
    assert "xnnlint itself failed" not in err


def test_bad_input_does_not_keep_the_others_from_being_checked(bad_files, capsys, monkeypatch):
    code, out, err = run(capsys, monkeypatch, "check", *(str(bad_files / bad) for bad in BAD), "--format", "json")
    models = json.loads(out)["models"]
    assert code == 2
    assert [Path(m["path"]).name for m in models] == BAD
    assert all(m["error"] for m in models)
    assert len(err.splitlines()) == len(BAD)


# --- output ----------------------------------------------------------------------------------------------------------


def test_the_text_of_several_files_one_of_them_unreadable(call):
    code, out, err = call("check", "error.tflite", "broken.tflite", "sparse.tflite")
    assert code == 2
    assert out == (
        "model          outcome        SpMM      gain    findings   next\n"
        "error.tflite   sparse         1 of 1            1 error    by hand\n"
        "sparse.tflite  sparse         1 of 1            none\n"
        "Predicted for litert-2.3 on arm64.\n"
        "next: by hand = you change it where it is made.\n"
        "More on one of them: xnnlint check MODEL; on all: --verbose\n"
        "\n"
        "3 models: 2 sparse, 1 unreadable. 1 error. Exit code 2.\n"
    )
    assert err == "xnnlint: error: broken.tflite: the file is cut off; download it again\n"


def test_a_single_unreadable_file_is_one_sentence_and_nothing_else(call):
    assert call("check", "broken.tflite") == (
        2,
        "",
        "xnnlint: error: broken.tflite: the file is cut off; download it again\n",
    )


def test_an_error_of_the_system_names_the_file(call):
    assert call("check", "denied.tflite")[2] == "xnnlint: error: denied.tflite: permission denied\n"


def test_a_mistake_of_ours_is_reported_as_such_and_hides_no_other_file(call):
    code, out, err = call("check", "bug.tflite", "error.tflite", "--format", "json")
    assert code == 2
    assert err.startswith("xnnlint: error: bug.tflite: xnnlint itself failed (KeyError: 'tensor 7'); please report")
    assert [m["error"] is None for m in json.loads(out)["models"]] == [False, True]


def test_json_is_one_valid_document_and_nothing_else(call):
    _, out, _ = call("check", "./wrong-results.tflite", "broken.tflite", "a/../error.tflite", "--format", "json")
    document = json.loads(out)
    jsonschema.Draft202012Validator(json_document.published_schema("report")).validate(document)
    assert [m["path"] for m in document["models"]] == ["./wrong-results.tflite", "broken.tflite", "a/../error.tflite"]
    assert [m["outcome"] for m in document["models"]] == ["wrong-results", None, "sparse"]


def test_the_chosen_runtime_and_cpu_are_in_the_document(call):
    _, out, _ = call("check", "m.tflite", "--cpu", "x86-avx", "--format", "json")
    assert json.loads(out)["profile"]["cpu"] == "x86-avx"


# --- rules, explain, profiles ----------------------------------------------------------------------------------------


def test_rules_as_text_and_json(call):
    code, out, _ = call("rules")
    assert code == 0
    assert out == (
        "XNN999     error    something-is-wrong\n           something must be right\n"
        "\nMore on a rule: xnnlint explain XNN999\n"
    )
    listed = json.loads(call("rules", "--format", "json")[1])["rules"]
    assert listed == [
        {
            "code": "XNN999",
            "name": "something-is-wrong",
            "severity": "error",
            "summary": "something must be right",
            "fixes": {},
        }
    ]


@pytest.mark.parametrize("asked", ["XNN999", "xnn999", "something-is-wrong"])
def test_explain_by_code_and_by_name(call, asked):
    code, out, _ = call("explain", asked)
    assert code == 0
    assert out == (
        "XNN999 something-is-wrong (error)\n\nSomething is wrong.\n\n"
        "## What it does\nSays so in two lines.\n\n    code(stays,\n         as_it_is)\n- an item\n"
    )


@pytest.mark.parametrize(("asked", "meant"), [("XNN998", "XNN999"), ("something-wrong", "something-is-wrong")])
def test_explain_suggests_what_was_meant(call, asked, meant):
    code, _, err = call("explain", asked)
    assert code == 2
    assert f"did you mean {meant}" in err


def test_profiles_as_text_and_json(call):
    code, out, _ = call("profiles")
    assert code == 0
    assert len(out.splitlines()) <= 24
    assert "litert-2.3 " in out and "x86-avx " in out and " = " not in out
    assert "sparse_inference = no  (seen in a run)" in call("profiles", "x86-avx")[1]
    only = json.loads(call("profiles", "x86-avx", "--format", "json")[1])
    assert [cpu["name"] for cpu in only["cpus"]] == ["x86-avx"] and "runtimes" not in only
    assert call("profiles", "z80")[::2] == (2, ANSWER)
    data = json.loads(call("profiles", "--format", "json")[1])
    assert {"litert-2.3"} <= {r["name"] for r in data["runtimes"]}


def test_rules_are_marked_and_filtered(capsys, monkeypatch):
    ask = functools.partial(run, capsys, monkeypatch, "rules")
    listed = json.loads(ask("--format", "json")[1])["rules"]
    # As docs/fix-tflite.md and docs/commands.md have it: padding can be written otherwise in both kinds of files,
    # resizing in .tflite files alone, and a CPU cannot be changed.
    fixes = {rule["code"]: rule["fixes"] for rule in listed}
    assert fixes["XNN104"] == {"tflite": "safe", "keras": "safe"}
    assert fixes["XNN107"] == {"tflite": "safe", "keras": "unsafe"}
    assert fixes["XNN501"] == {}
    assert "\nXNN104 [*] error    depthwise-convolution-without-nchw-kernel\n" in ask()[1]
    some = json.loads(ask("--fixable", "--format", "json")[1])["rules"]
    assert [rule for rule in listed if rule["fixes"]] == some and len(some) < len(listed)
    assert {rule["severity"] for rule in json.loads(ask("--severity", "note", "-f", "json")[1])["rules"]} == {"note"}
    named = json.loads(ask("xnn30", "stem", "-f", "json")[1])["rules"]
    assert [rule["code"] for rule in named][:2] == ["XNN101", "XNN301"]
    assert ask("nothing-like-this")[0] == 2


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("check --runtime litert-2.", "litert-2.3"),
        ("compare --cpu x86-a", "x86-avx"),
        ("check --select XNN101,XNN30", "XNN101,XNN301"),
        ("check --format sa", "sarif"),
        ("explain wrong", "wrong-results"),
        ("profiles ar", "arm64"),
    ],
)
def test_a_shell_completes_values(words, completed):
    environment = {"_XNNLINT_COMPLETE": "complete_bash", "COMP_WORDS": f"xnnlint {words}", "COMP_CWORD": "3"}
    environment["COMP_CWORD"] = str(len(words.split()))
    program = "import sys; sys.argv[0] = 'xnnlint'; from xnnlint.cli.app import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | environment, capture_output=True, text=True, cwd=ROOT
    )
    assert completed in done.stdout.split(), done.stderr


@pytest.mark.parametrize("share", ["0.9", "90%"])
def test_a_share_is_a_number_or_percent(capsys, monkeypatch, share):
    model = str(ROOT / "fixtures" / "guide_no_keepdims.keras")
    out = run(capsys, monkeypatch, "check", model, "--assume-pruned", share, "--format", "json")[1]
    summary = json.loads(out)["models"][0]["summary"]
    assert summary["pointwise_zeros"] / summary["pointwise_params"] == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize("share", ["80", "-0.1", "nan", "80%%", "much", "%"])
def test_what_is_no_share_is_reported_in_words(call, share):
    code, out, err = call("check", "fine.keras", "--assume-pruned", share)
    assert (code, out) == (2, "")
    assert err == f"xnnlint: error: --assume-pruned {share}: a share from 0 to 1 is needed, such as 0.8 or 80%\n"


# --- the process -----------------------------------------------------------------------------------------------------


def test_version_and_help():
    assert spawn("--version").stdout == f"xnnlint {__version__}\n"
    shown = spawn("--help")
    assert shown.returncode == 0
    assert all(command in shown.stdout for command in ("check", "rules", "explain", "profiles"))


COMMANDS = (
    "check",
    "fix",
    "convert",
    "verify",
    "bench",
    "report",
    "compare",
    "calibrate",
    "config",
    "rules",
    "explain",
    "profiles",
    "clean",
)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_a_terminal_and_says_everything_in_words(command):
    shown = spawn(*([command] if command else []), "--help", env=os.environ | {"COLUMNS": "80", "TERM": "xterm"}).stdout
    assert max(map(len, shown.splitlines())) <= 80
    if not command:
        listed = re.findall(r"^  (\w+) +(.*)$", shown.partition("Commands:")[2], re.MULTILINE)
        assert [name for name, _ in listed] == list(COMMANDS)
        assert all(about.endswith(".") and not about.endswith("...") for _, about in listed)
    # No types of Python, and no defaults that are empty or in brackets of brackets.
    assert not re.search(r"list\[|<str>|<int>|<float>|default: (\(|-|\])", shown)


def test_arguments_are_what_click_8_1_takes():
    # `TypeError: 'default' is not supported for nargs=-1` for every call, with any typer that imports that click.
    for command in program.app.registered_commands:
        hints = typing.get_type_hints(command.callback, include_extras=True)
        for parameter in inspect.signature(command.callback).parameters.values():
            kinds = [type(kind).__name__ for kind in getattr(hints[parameter.name], "__metadata__", ())]
            assert "ArgumentInfo" not in kinds or not isinstance(parameter.default, list)


HEAVY = ("numpy", "pydantic", "networkx", "rich", "flatbuffers", "tflite", "tensorflow", "keras", "ai_edge_litert")


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["check", "--help"], ["profiles"]])
def test_what_needs_no_model_imports_nothing_heavy(arguments):
    code = (
        "import sys; from xnnlint.cli import app as cli; sys.argv = ['xnnlint', *sys.argv[1:]]\n"
        "try: cli.main()\n"
        "except SystemExit: pass\n"
        f"print('loaded:', [m for m in {HEAVY} if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "loaded: []"


def test_a_reader_that_leaves_early_is_no_error():
    done = subprocess.run(
        f"{sys.executable} -m xnnlint profiles | head -n 1; echo ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "0"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_an_error_in_one_sentence():
    with Path("/dev/full").open("w") as full:
        done = spawn("profiles", stdout=full, stderr=subprocess.PIPE, capture_output=False)
    assert done.returncode == 2
    assert done.stderr.splitlines() == ["xnnlint: error: cannot write the output: No space left on device"]


def test_a_closed_stdout_is_not_a_crash():
    done = subprocess.run(
        f"{sys.executable} -m xnnlint profiles >&-",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_rule_that_cannot_be_loaded_stops_the_run(call, monkeypatch):
    def broken():
        raise XnnlintError("two rules share the code XNN101 or the name x")

    monkeypatch.setattr("xnnlint.linter.rule_registry.all_rules", broken)
    code, out, err = call("check", "fine.tflite")
    assert (code, out) == (2, "")
    assert err == "xnnlint: error: two rules share the code XNN101 or the name x\n"
