"""What `xnnlint fix` says where nothing, or not everything, could be done."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fixes.fix_case import PRUNED
from xnnlint.modelbuilder.builder import ModelBuilder

pytest.importorskip("ai_edge_litert", reason="the editor needs the verify extra")

from xnnlint.fixes.request import FixRequest
from xnnlint.fixes.tflite.file_fixer import FileFixer
from xnnlint.reporters.fix_text import repair_lines
from xnnlint.reporters.styled_lines import Span
from xnnlint.xnnpack.profile import load_profile


def told(g: ModelBuilder, folder: Path) -> str:
    """The report, each line unwrapped."""
    path = folder / "model.tflite"
    path.write_bytes(g.build())
    with FileFixer(FixRequest(load_profile("litert-2.3", "x86-sse")), proof=False) as fixer:
        lines = repair_lines(fixer.fix(str(path)), 10_000)
    return "\n".join("".join(p.text if isinstance(p, Span) else p for p in line) for line in lines)


def test_strided_1x1_convolutions_among_larger_ones(tmp_path: Path) -> None:
    """As in ResNet18, whose pruned shortcuts no change makes sparse."""
    g = ModelBuilder(1)
    x = g.conv2d(g.pad(g.input((1, 32, 32, 3))), 16, 3, 2, fused="RELU")
    beside = g.conv2d(g.pad(x), 32, 3, 2, fused="RELU")
    x = g.binary("ADD", beside, g.conv2d(x, 32, 1, 2, zeros=PRUNED))
    g.output(g.fully_connected(g.mean(g.conv2d(x, 32, 3, padding="SAME")), 5))
    text = told(g, tmp_path)
    assert "dense   XNN304 at" in text and "has stride 2x2 at" in text
    assert "2 CONV_2D of larger kernels around" in text and "in place of those of larger kernels" in text


def test_what_is_said_of_several_places_is_said_once(tmp_path: Path) -> None:
    g = ModelBuilder(1)
    x = g.conv2d(g.pad(g.input((1, 32, 32, 3))), 16, 3, 2, fused="RELU")
    for _ in range(3):
        x = g.softmax(g.conv2d(x, 16, zeros=PRUNED))
    g.output(x)
    (line,) = [line for line in told(g, tmp_path).splitlines() if "no NCHW kernel for SOFTMAX" in line]
    assert line.startswith("remains XNN110 at softmax and 1 more: ")
