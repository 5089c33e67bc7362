"""A plain `check` that is read without typer means what typer makes of it, and imports none of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.models import FIXTURES, ROOT
from xnnlint.cli import check_command, plain_check, program

MODEL = str(FIXTURES / "guide_sparse.tflite")


def by_typer(words: list[str], monkeypatch) -> check_command.CheckOptions:
    seen = []
    monkeypatch.setattr(check_command, "run", lambda options: seen.append(options) or 0)
    program.app(words, standalone_mode=False)
    (options,) = seen
    return options


def calls() -> list[list[str]]:
    flags = [["m.tflite", flag] for flag in plain_check.FLAGS]
    values = {"--fail-on": "note", "--format": "json", "-f": "sarif"}
    texts = [["m.tflite", name, values.get(name, "x")] for name in plain_check.TEXTS]
    joined = [[f"{name}={values.get(name, 'x=y')}", "a", "b"] for name in plain_check.TEXTS if name.startswith("--")]
    lists = [[name, "a,b", "m.tflite", f"{name}=c"] for name in plain_check.LISTS]
    mixed = [[], ["-"], ["a", "-", "b"], ["-f", "json", "-o", "-", "-f", "text"], ["-q", "-q", "a"], ["-j", "0", "a"]]
    mixed += [["--no-require-sparse", "--require-sparse", "a"], ["", "a"], ["--output=", "a"]]
    return [*flags, *texts, *joined, *lists, *mixed]


@pytest.mark.parametrize("words", calls(), ids=" ".join)
def test_a_plain_call_means_what_typer_makes_of_it(words, monkeypatch):
    read = plain_check.options_of(["check", *words])
    assert read is not None
    assert read == by_typer(["check", *words], monkeypatch)


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["-h"],
        ["a", "--no-such-option"],
        ["-qv"],
        ["-fjson"],
        ["-f=json"],
        ["--for", "json"],
        ["-f", "no-such-format"],
        ["--fail-on", "everything"],
        ["--output"],
        ["--output", "--quiet"],
        ["--quiet=1"],
        ["--", "-a.tflite"],
        ["--watch", "a"],
        ["--write-baseline", "a"],
    ],
    ids=" ".join,
)
def test_any_other_call_is_left_to_typer(words):
    assert plain_check.options_of(["check", *words]) is None


@pytest.mark.parametrize("words", [[], ["fix", "a"], ["--version"], ["a.tflite", "check"]])
def test_other_commands_are_left_to_typer(words):
    assert not plain_check.is_meant(words)


def test_a_shell_that_completes_is_left_to_typer(monkeypatch):
    assert plain_check.is_meant(["check", "a"]) == (sys.platform != "win32")
    monkeypatch.setenv("_XNNLINT_COMPLETE", "complete_bash")
    assert not plain_check.is_meant(["check", "a"])


@pytest.mark.skipif(sys.platform == "win32", reason="click expands patterns there")
def test_a_plain_check_imports_no_typer():
    code = (
        "import sys; from xnnlint.cli import app as cli; sys.argv = ['xnnlint', 'check', sys.argv[1]]\n"
        "try: cli.main()\n"
        "except SystemExit as end: print('code:', end.code, sorted({'typer', 'click', 'rich'} & {*sys.modules}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, MODEL], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "code: 0 []"
