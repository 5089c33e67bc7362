"""What `check` says of speed: which models have a gain, and how much by rates with which one can count by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.models import FIXTURES
from xnnlint.cost.profile import CostProfile, Family, Rest, WholeErrors, shipped_profile
from xnnlint.linter.engine import check_model
from xnnlint.linter.findings import ModelReport
from xnnlint.linter.wanted import Wanted
from xnnlint.reporters.value_words import if_fixed_sentence, now_sentence
from xnnlint.xnnpack.plan import Outcome
from xnnlint.xnnpack.profile import load_profile


def rates(cpu: str = "arm64", **microseconds: float) -> CostProfile:
    """A profile in which every operator takes 2 microseconds, those of some families other times; no more."""
    shipped = shipped_profile("x86-sse")
    assert shipped is not None
    families = {name: Family({"call": microseconds.get(name, 2.0)}, 0.0, 100, 1.0, 10.0) for name in shipped.families}
    return CostProfile(cpu, "By hand", "2026-01-02", "2.3.0", families, Rest(), WholeErrors(0.0, 0.0))


HAND = rates(gemm=6.0, spmm=1.0)
# The guide's model runs nine operators: stem, two depthwise and two 1x1 convolutions, MEAN, RESHAPE, and RESHAPE and
# GEMV of the classifier.
DENSE, SPARSE = 7 * 2 + 2 * 6, 7 * 2 + 2 * 1


def checked(name: str, profile: CostProfile | None = HAND, cpu: str = "arm64") -> ModelReport:
    report = check_model(FIXTURES / name, load_profile(cpu=cpu), wanted=Wanted(cost_profile=profile))
    assert report.error is None
    return report


def test_the_gain_of_a_sparse_model() -> None:
    speed = checked("guide_sparse.tflite").speed
    assert speed is not None and speed.now is not None
    assert (speed.now.dense.total, speed.now.sparse.total) == (DENSE, SPARSE)
    assert speed.now.ratio == DENSE / SPARSE == 1.625
    assert speed.now.dense.pointwise == 12 / DENSE
    assert speed.prediction == speed.now.sparse
    assert speed.if_fixed is None


def test_the_line_about_it() -> None:
    assert now_sentence(checked("guide_sparse.tflite")) == "About 1.6x as fast as dense (1.6 to 1.6)."


def test_slower_is_said_plainly() -> None:
    slow = checked("guide_sparse.tflite", rates(gemm=1.0, spmm=6.0))
    # 16 microseconds dense, 26 sparse.
    assert now_sentence(slow) == "Slower than dense: 0.6x as fast (0.6 to 0.6)."
    same = checked("guide_sparse.tflite", rates())
    assert now_sentence(same).startswith("About as fast as dense (1.0 to 1.0")


@pytest.mark.parametrize(
    ("name", "zeros"), [("guide_dense_zeros.tflite", None), ("guide_half.tflite", 0.8), ("guide_unpruned.tflite", 0.8)]
)
def test_what_a_dense_model_would_reach(name: str, zeros: float | None) -> None:
    speed = checked(name).speed
    assert speed is not None and speed.now is None and speed.if_fixed is not None
    assert speed.prediction.total == DENSE
    assert (speed.if_fixed.ratio, speed.if_fixed.share) == (DENSE / SPARSE, zeros)


def test_the_line_about_that() -> None:
    assert if_fixed_sentence(checked("guide_dense_zeros.tflite")) == (
        "If fixed, at most about 1.6x as fast as dense (1.6 to 1.6)."
    )
    assert if_fixed_sentence(checked("guide_half.tflite")) == (
        "If fixed, at most about 1.6x as fast as dense (1.6 to 1.6; with 80% zeros)."
    )
    slow = checked("guide_half.tflite", rates(gemm=1.0, spmm=6.0))
    assert if_fixed_sentence(slow) == "Even if fixed slower than dense: 0.6x as fast (0.6 to 0.6; with 80% zeros)."


def test_wrong_results_are_no_gain() -> None:
    """The model has times, and what mends it a gain."""
    report = checked("patterns/body_max_pool.tflite")
    assert report.plan is not None and report.plan.outcome is Outcome.WRONG_RESULTS
    assert report.speed is not None and report.speed.now is None
    assert report.speed.if_fixed is not None and report.speed.if_fixed.outcome is Outcome.SPARSE
    assert now_sentence(report) == ""


def test_a_model_that_fails_has_no_times(tmp_path: Path) -> None:
    report = checked("runtime_bugs/weights_sparse_int8_direct.tflite")
    assert report.plan is not None and report.plan.outcome is Outcome.FAILS
    assert (report.speed, report.size) == (None, None)


def test_float_instead_of_int8_is_another_dense_model() -> None:
    """A gain over dense float would be none over the int8 that the model has."""
    speed = checked("guide_int8.tflite").speed
    assert speed is not None and (speed.now, speed.if_fixed) == (None, None)


@pytest.mark.parametrize("profile", [None, HAND])
def test_no_figures_for_cpus_without_the_sparse_path(profile: CostProfile | None) -> None:
    assert checked("guide_sparse.tflite", profile, "x86-avx").speed is None


def test_figures_say_that_nobody_measured_on_arm_until_somebody_did() -> None:
    assert "; not measured on ARM)" in now_sentence(checked("guide_sparse.tflite", None))
    assert "; with 80% zeros; not measured on ARM)" in if_fixed_sentence(checked("guide_half.tflite", None))
    assert "measured" not in now_sentence(checked("guide_sparse.tflite", None, "x86-sse"))
    assert "measured" not in now_sentence(checked("guide_sparse.tflite", HAND))


def test_rates_of_another_cpu_are_not_used() -> None:
    other = replace(HAND, cpu="x86-sse")
    assert now_sentence(checked("guide_sparse.tflite", other)) == now_sentence(checked("guide_sparse.tflite", None))
