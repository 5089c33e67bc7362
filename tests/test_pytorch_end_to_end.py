"""docs/pytorch_end_to_end.py: PyTorch, pruning, export, fix, verify and bench, each checked by the script itself."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.models import ROOT

SCRIPT = ROOT / "docs" / "pytorch_end_to_end.py"
HAS_TORCH = all(find_spec(name) is not None for name in ("torch", "litert_torch"))


# Not marked `judge`: a judged test that is skipped fails CI, and CI is without PyTorch. `.ci/nightly` runs it.
@pytest.mark.torch
@pytest.mark.skipif(not HAS_TORCH, reason="PyTorch's export needs the torch extra; .ci/nightly has it")
def test_the_script_ends_well(tmp_path):
    done = subprocess.run([sys.executable, str(SCRIPT), str(tmp_path)], capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "fixed.tflite").stat().st_size < (tmp_path / "exported.tflite").stat().st_size


def test_the_page_shows_what_the_script_does():
    page = (ROOT / "docs" / "pytorch.md").read_text(encoding="utf-8")
    script = SCRIPT.read_text(encoding="utf-8")
    for name in ("prune.l1_unstructured", "prune.remove", "to_channel_last_io", "litert_torch.convert"):
        assert name in page and name in script
    for command in ("fix", "verify", "bench"):
        assert f"$ xnnlint {command} " in page and f'"{command}"' in script
