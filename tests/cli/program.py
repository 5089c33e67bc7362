"""The program as a user calls it, in this process or in one of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.models import ROOT
from xnnlint.cli import app as cli


def run(capsys, monkeypatch, *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one call of the program, in this process."""
    monkeypatch.setattr(sys, "argv", ["xnnlint", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code, *capsys.readouterr()


def spawn(*arguments: str, **options) -> subprocess.CompletedProcess:
    """The same in a process of its own."""
    options = {"capture_output": True, "text": True, "timeout": 60, "cwd": ROOT} | options
    return subprocess.run([sys.executable, "-m", "xnnlint", *arguments], **options)
