"""What --assume-pruned says, with figures counted by hand."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

import xnnlint
from tests.models import FIXTURES
from xnnlint.linter.engine import check_model
from xnnlint.linter.wanted import Wanted
from xnnlint.loaders import load
from xnnlint.model.macs import total_macs
from xnnlint.modelbuilder.builder import ModelBuilder
from xnnlint.modelbuilder.flatwriter import table
from xnnlint.reporters.value_words import pruned_sentence
from xnnlint.xnnpack.plan import Outcome
from xnnlint.xnnpack.profile import load_profile


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
    (forecast,) = xnnlint.lint(path, assume_pruned=share).if_pruned
    assert pruned_sentence(forecast).startswith(f"If {share:.0%} of every 1x1 kernel is pruned, {says}")
    assert xnnlint.lint(path).if_pruned == ()


@pytest.mark.parametrize("share", [0.5, 0.8])
def test_a_tflite_file_is_forecast_as_its_keras_model_is(share: float) -> None:
    """The unpruned file, and the pruned Keras model read as one with as many zeros."""
    (file,) = xnnlint.lint(FIXTURES / "guide_unpruned.tflite", assume_pruned=share).if_pruned
    (keras,) = xnnlint.lint(FIXTURES / "guide_keras3.keras", assume_pruned=share).if_pruned
    # guide_keras3 has 80% zeros, which it keeps.
    assert (file.outcome, file.spmm, file.pointwise_convs) == (
        (Outcome.SPARSE, 2, 2) if share == 0.8 else (Outcome.DENSE, 0, 2)
    )
    assert (keras.outcome, keras.spmm) == (Outcome.SPARSE, 2)
    if share == 0.8:
        assert file.macs == keras.macs
        assert file.gain is not None and keras.gain is not None
        assert file.gain.ratio == pytest.approx(keras.gain.ratio, rel=0.05)


def test_several_shares_leave_the_report_of_the_model_as_it_is() -> None:
    wanted = Wanted((0.5, 0.7, 0.9))
    profile = load_profile("litert-2.3", "x86-sse")
    for name in ("guide_unpruned.tflite", "guide_sparse.keras"):
        report = check_model(FIXTURES / name, profile, wanted=wanted)
        assert report.plan is not None and report.plan.summary is not None
        share = report.plan.summary.pointwise_zeros / report.plan.summary.pointwise_params
        assert share == (0 if name.startswith("guide_unpruned") else 0.8)
        assert [forecast.share for forecast in report.if_pruned] == [0.5, 0.7, 0.9]
    half, seven, nine = check_model(FIXTURES / "guide_unpruned.tflite", profile, wanted=wanted).if_pruned
    assert (half.outcome, half.spmm, half.gain) == (Outcome.DENSE, 0, None)
    assert seven.gain is not None and nine.gain is not None
    assert 1 < seven.gain.ratio < nine.gain.ratio


def test_a_kernel_keeps_the_zeros_that_it_has() -> None:
    """guide_sparse has 80% already: pruning to 70% is nothing new."""
    profile = load_profile("litert-2.3", "x86-sse")
    report = check_model(FIXTURES / "guide_sparse.tflite", profile, wanted=Wanted((0.7, 0.8, 0.9)))
    assert report.speed is not None and report.speed.now is not None
    ratios = [forecast.gain.ratio for forecast in report.if_pruned if forecast.gain is not None]
    assert ratios[0] == ratios[1] == report.speed.now.ratio < ratios[2]


def test_pruning_does_not_help_where_there_is_no_sparse_path() -> None:
    report = check_model(FIXTURES / "guide_unpruned.tflite", load_profile(cpu="x86-avx"), wanted=Wanted((0.8,)))
    (forecast,) = report.if_pruned
    assert (forecast.outcome, forecast.gain) == (Outcome.DENSE, None)
    assert pruned_sentence(forecast).endswith("the model runs dense all the same: pruning alone gains nothing.")
