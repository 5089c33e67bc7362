"""What --assume-pruned says, with figures counted by hand."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

import xnnlint
from tests.models import FIXTURES
from xnnlint.loaders import load
from xnnlint.model.macs import total_macs
from xnnlint.modelbuilder.builder import ModelBuilder
from xnnlint.modelbuilder.flatwriter import table


def counted(folder: Path, g: ModelBuilder) -> int:
    path = folder / "model.tflite"
    path.write_bytes(g.build())
    return total_macs(load(path).main)


def test_macs_of_each_kind(tmp_path: Path) -> None:
    g = ModelBuilder()
    x = g.input((1, 8, 6, 4))
    conv = g.conv2d(x, 10, 3, 2)  # 3x2 places of 10 filters with 3x3x4 weights
    depthwise = g.depthwise(x, 3, padding="SAME")  # 8x6 places of 4 channels with 3x3 weights
    grouped = g.conv2d(x, 6, groups=2)  # 8x6 places of 6 filters with 2 weights
    up = g.transpose_conv(x, 5, 2, 2)  # every one of the 8x6 places meets 5 filters of 2x2x4
    dense = g.fully_connected(g.reshape(x, (1, 192)), 7)
    g.output(conv, depthwise, grouped, up, dense)
    conv_macs, depthwise_macs, grouped_macs = 3 * 2 * 10 * 36, 8 * 6 * 4 * 9, 8 * 6 * 6 * 2
    assert counted(tmp_path, g) == conv_macs + depthwise_macs + grouped_macs + 8 * 6 * 5 * 16 + 7 * 192


def test_macs_of_a_matrix_product(tmp_path: Path) -> None:
    g = ModelBuilder()
    x = g.input((2, 3, 5))
    y = g.constant(np.ones((2, 5, 4), np.float32))
    g.output(g.op("BATCH_MATMUL", [x, y], [(2, 3, 4)], table("BatchMatMulOptions"))[0])
    assert counted(tmp_path, g) == 2 * 3 * 4 * 5


@pytest.mark.parametrize(
    ("share", "says"),
    [
        # The guide's model (32x32): stem 16x16 places of 8 filters with 27 weights, depthwise 16x16x8 with 9, then
        # 8 to 16 at 16x16, depthwise 8x8x16 with 9, 16 to 32 at 8x8, and 32 to 10.
        (
            0.8,
            f"2 of 2 1x1 convolutions go sparse, {(32768 + 32768) / (55296 + 18432 + 32768 + 9216 + 32768 + 320):.0%}",
        ),
        (0.5, "the model runs dense all the same"),
    ],
)
def test_the_sentence(share: float, says: str, tmp_path: Path) -> None:
    path = tmp_path / "guide.json"
    with zipfile.ZipFile(FIXTURES / "guide_keras3.keras") as archive:
        path.write_bytes(archive.read("config.json"))
    report = xnnlint.lint(path, assume_pruned=share)
    assert report.plan is not None
    assert report.plan.model.notes[-1].startswith(f"If {share:.0%} of every 1x1 kernel is pruned, {says}")
    without = xnnlint.lint(path).plan
    assert without is not None and not any("pruned" in note for note in without.model.notes)
