"""Models for pages: a large one, and one whose names are markup."""

from __future__ import annotations

from pathlib import Path

from xnnlint.modelbuilder.builder import ModelBuilder
from xnnlint.modelbuilder.building_blocks import pruned, tail, trunk

MARKUP = "</script><img src=x onerror=document.title=1><b>&amp"


def write_large(file: Path, operators: int) -> Path:
    """A residual network of at least so many operators that data goes through."""
    g = ModelBuilder()
    x = trunk(g, 16, 16)
    for _ in range(operators // 4):
        branch = g.depthwise(pruned(g, x, 16), fused="RELU")
        x = g.binary("ADD", pruned(g, branch, 16, "NONE"), x)
    tail(g, x)
    file.write_bytes(g.build())
    return file


def write_markup(file: Path) -> Path:
    """A sparse network whose layers have names that a browser would run, were they not taken as text."""
    g = ModelBuilder()
    x = trunk(g)
    x = g.conv2d(x, 16, zeros=0.8, storage="sparse", fused="RELU", name=MARKUP)
    tail(g, x)
    file.write_bytes(g.build())
    return file
