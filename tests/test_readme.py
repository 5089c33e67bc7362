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

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
TRANSCRIPT = re.compile(r"(?<=```console\n)\$ xnnlint ([^\n]*)\n(.*?)(?=```)", re.DOTALL)


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


def test_the_transcripts_of_the_readme_are_what_is_printed(monkeypatch):
    text = README.read_text(encoding="utf-8")
    real = TRANSCRIPT.sub(lambda m: f"$ xnnlint {m[1]}\n{printed(m[1], monkeypatch)}", text)
    monkeypatch.undo()
    assert len(TRANSCRIPT.findall(text)) >= 3
    if os.environ.get("XNNLINT_UPDATE_README"):
        README.write_text(real, encoding="utf-8")
    else:
        assert text == real, "run XNNLINT_UPDATE_README=1 python -m pytest tests/test_readme.py"


def test_every_file_that_the_readme_links_to_is_there():
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README.read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_option_of_check_is_in_the_readme(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["xnnlint", "check", "--help"])
    with pytest.raises(SystemExit):
        cli.main()
    options = set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help"}
    text = README.read_text(encoding="utf-8")
    assert [option for option in sorted(options) if option not in text] == []
