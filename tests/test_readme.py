"""The README's transcripts are real: what follows a `$ xnnlint` line is what the program prints at 80 columns.

`XNNLINT_UPDATE_README=1 python -m pytest tests/test_readme.py` writes them anew.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import sys
from pathlib import Path

import pytest

from xnnlint import cli
from xnnlint.runtime.availability import availability

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
TRANSCRIPT = re.compile(r"(?<=```console\n)\$ xnnlint ([^\n]*)\n(.*?)(?=```)", re.DOTALL)

# The last digits of errors of the size of fp32 rounding depend on the machine.
ROUNDING = re.compile(r"\d\.\de-0[67]")


class Screen(io.TextIOWrapper):
    """A terminal of 80 columns without colour, or a pipe."""

    terminal = True

    def isatty(self) -> bool:
        return self.terminal


def printed(command: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a command prints; it may end in `| head -n N`."""
    command, _, lines = command.partition(" | head -n ")
    screen = Screen(io.BytesIO(), encoding="utf-8")
    screen.terminal = not lines
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(sys, "argv", ["xnnlint", *shlex.split(command)])
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit):
        cli.main()
    screen.flush()
    output = screen.buffer.getvalue().decode().splitlines(keepends=True)
    return "".join(output[: int(lines) if lines else None])


def compare_transcripts(monkeypatch: pytest.MonkeyPatch, judged: bool) -> int:
    """Compare the README's transcripts that need the real runtime, or those that do not; how many there are."""
    text = README.read_text(encoding="utf-8")
    found = [m for m in TRANSCRIPT.finditer(text) if m[1].startswith("verify") is judged]
    real = {m[0]: f"$ xnnlint {m[1]}\n{printed(m[1], monkeypatch)}" for m in found}
    monkeypatch.undo()
    if os.environ.get("XNNLINT_UPDATE_README"):
        README.write_text(TRANSCRIPT.sub(lambda m: real.get(m[0], m[0]), text), encoding="utf-8")
    else:
        for written, output in real.items():
            differ = "run XNNLINT_UPDATE_README=1 python -m pytest tests/test_readme.py"
            assert ROUNDING.sub("#", written) == ROUNDING.sub("#", output), differ
    return len(found)


def test_the_transcripts_of_the_readme_are_what_is_printed(monkeypatch):
    assert compare_transcripts(monkeypatch, judged=False) >= 3


@pytest.mark.judge
def test_the_transcripts_of_the_readme_are_what_runs(monkeypatch):
    here = availability().cpus["auto"]
    if (here.cpu, here.litert, here.emulated) != ("x86-sse", "2.3.0", True):
        pytest.skip("the transcripts were made with LiteRT 2.3.0 on x86-sse, emulated")
    assert compare_transcripts(monkeypatch, judged=True) >= 1


@pytest.mark.parametrize("command", ["check", "verify"])
def test_every_option_is_in_the_readme(command, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["xnnlint", command, "--help"])
    with pytest.raises(SystemExit):
        cli.main()
    options = set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help"}
    text = README.read_text(encoding="utf-8")
    text = text[text.index(f"## xnnlint {command}") :]
    assert options and [option for option in sorted(options) if option not in text] == []


def test_every_file_that_the_readme_links_to_is_there():
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README.read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
