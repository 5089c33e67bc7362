"""Servers of the tests in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.models import ROOT


@contextmanager
def served(module: str, *arguments: str) -> Iterator[str]:
    """The address of a server: a module that prints its port, and serves until it is killed."""
    command = [sys.executable, "-m", module, *arguments]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert child.stdout is not None
        yield f"http://127.0.0.1:{int(child.stdout.readline())}"
    finally:
        child.kill()
        child.wait()
