"""Keeps what TensorFlow logs about itself away from stderr; errors come through."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_FILTER = Path(__file__).with_name("log_filter_child.py")
_STDERR = 2
_SECONDS = 5
"""To wait for the last line; whoever else still has the stream keeps it open."""


@contextmanager
def errors_only() -> Iterator[None]:
    """Let nothing but errors through to stderr, from C++ and from Python."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # errors and worse
    try:
        before = os.dup(_STDERR)
    except OSError:  # stderr is closed
        yield
        return
    passing = subprocess.Popen([sys.executable, "-I", "-S", str(_FILTER)], stdin=subprocess.PIPE)
    assert passing.stdin is not None
    os.dup2(passing.stdin.fileno(), _STDERR)
    passing.stdin.close()
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(before, _STDERR)
        os.close(before)
        with suppress(subprocess.TimeoutExpired):
            passing.wait(_SECONDS)
