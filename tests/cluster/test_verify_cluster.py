"""`verify` on a cluster, ended by SIGTERM in the middle and gone on with: each model has one line, the right one."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.cli.program import spawn
from tests.models import FIXTURES

pytest.importorskip("distributed")

MODELS = sorted(FIXTURES.glob("guide_*.tflite"))


def said(text: str) -> list[dict]:
    found = [json.loads(line) for line in text.splitlines()]
    for line in found:
        (line["observed"] or {}).pop("seconds", None)
    return sorted(found, key=lambda line: line["path"])


@pytest.mark.more
@pytest.mark.judge
def test_a_verify_that_was_stopped_and_resumed_says_what_a_local_one_says(tmp_path):
    for model in MODELS:
        shutil.copy(model, tmp_path)
    lines, call = tmp_path / "verified.jsonl", ("verify", ".", "--seeds", "1", "--format", "jsonl")
    resumed = (*call, "--resume", lines.name, "--engine", "dask", "--jobs", "2")
    child = subprocess.Popen(
        [sys.executable, "-m", "xnnlint", *resumed],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    while child.poll() is None and (not lines.exists() or lines.read_bytes().count(b"\n") < 3):
        time.sleep(0.1)
    child.send_signal(signal.SIGTERM)
    assert child.wait(60) == 128 + signal.SIGTERM
    assert child.stderr is not None and child.stderr.read() == ""
    there = lines.read_bytes().count(b"\n")
    assert 3 <= there < len(MODELS)
    second = spawn(*resumed, cwd=tmp_path, timeout=300)
    local = spawn(*call, cwd=tmp_path, timeout=300)
    assert (second.returncode, second.stderr) == (local.returncode, local.stderr)
    assert said(second.stdout) == said(lines.read_text()) == said(local.stdout)
    assert len(local.stdout.splitlines()) == len(MODELS)
