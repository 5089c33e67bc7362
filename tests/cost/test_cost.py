"""The cost model: counts by hand, the fit, profiles, predictions, and real times as the judge."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from tests.models import FIXTURES
from xnnlint import cost
from xnnlint.calibration import fit
from xnnlint.calibration.measure import Sample
from xnnlint.cost.plan_work import xnnpack_work
from xnnlint.cost.profile import CostProfile, Family, Rest, WholeErrors, read_profile, shipped_profile
from xnnlint.cost.spmm import SpmmWeights, lane_use, passes, spmm_weights
from xnnlint.cost.work import TILES, Work
from xnnlint.errors import XnnlintError
from xnnlint.loaders import load
from xnnlint.loaders.tflite.read_tflite import load_bytes
from xnnlint.modelbuilder.builder import ModelBuilder
from xnnlint.xnnpack.plan import Outcome, Plan
from xnnlint.xnnpack.planner import make_plan
from xnnlint.xnnpack.profile import load_profile

SSE = load_profile("litert-2.3", "x86-sse")


def network(zeros: float = 0.8, storage: str = "sparse", size: int = 28, filters: int = 64) -> bytes:
    """PAD, stem, depthwise, two 1x1 convolutions, MEAN, classifier."""
    g = ModelBuilder()
    x = g.conv2d(g.pad(g.input((1, size, size, 3))), 16, 3, 2, fused="RELU")
    x = g.depthwise(x, 3, fused="RELU")
    x = g.conv2d(x, filters, zeros=zeros, storage=storage, fused="RELU")
    x = g.conv2d(x, filters, zeros=zeros, storage=storage, fused="RELU")
    g.output(g.fully_connected(g.mean(x), 10))
    return g.build()


def planned(data: bytes, cpu: str = "x86-sse") -> Plan:
    return make_plan(load_bytes(data, "model.tflite"), load_profile("litert-2.3", cpu))


def works(plan: Plan) -> list[Work]:
    return [item.work for item in xnnpack_work(plan, TILES["x86-sse"])]


# -- counts


@pytest.mark.parametrize(
    ("pixels", "walks", "use"),
    [(49, 3, 49 / 96), (196, 7, 196 / 224), (784, 25, 784 / 800), (1, 1, 1 / 32), (31, 5, 31 / 160), (32, 1, 1.0)],
)
def test_passes_over_the_non_zeros(pixels: int, walks: int, use: float) -> None:
    assert passes(pixels) == walks
    assert lane_use(pixels) == pytest.approx(use)


def test_lane_use_as_the_issue_has_it() -> None:
    assert [round(100 * lane_use(side * side)) for side in (7, 14, 28)] == [51, 88, 98]


def test_scattered_weights_are_walked_one_by_one() -> None:
    weights = np.zeros((8, 6), np.float32)
    weights[[0, 3, 5], [1, 2, 3]] = 1
    assert spmm_weights(weights) == SpmmWeights(3, 3, 1)


@pytest.mark.parametrize("block", [2, 4])
def test_blocks_of_output_channels_are_walked_together(block: int) -> None:
    weights = np.zeros((8, 6), np.float32)
    weights[:block, 1] = 1
    weights[4 : 4 + block, [2, 5]] = 1
    assert spmm_weights(weights) == SpmmWeights(3 * block, 3, block)


def test_blocks_that_are_less_than_nine_tenths_full_are_none() -> None:
    weights = np.zeros((8, 10), np.float32)
    weights[:4, :5] = 1
    weights[0, [0, 1]] = 0  # 18 of 20: exactly nine tenths
    assert spmm_weights(weights).block == 4
    weights[0, 2] = 0  # 17 of 20, and of the pairs 17 of 20, too
    assert spmm_weights(weights).block == 1


def test_channels_that_are_left_over_stand_alone() -> None:
    weights = np.ones((5, 3), np.float32)
    assert spmm_weights(weights) == SpmmWeights(15, 6, 4)


def test_counts_of_a_sparse_network() -> None:
    plan = planned(network(zeros=0.75, size=28, filters=32))
    assert plan.outcome is Outcome.SPARSE
    by_family = {work.family: work.counts for work in works(plan)}
    # 14x14 = 196 pixels: six tiles of 32 and one of 4.
    nonzeros = 32 * 32 // 4
    assert by_family["spmm"]["wide"] == nonzeros * 6
    assert by_family["spmm"]["small"] == nonzeros
    assert by_family["spmm"]["half"] == 0
    assert by_family["spmm"]["outputs"] == 32 * 7
    # The stem writes 14x14x16 in tiles of 2x2x4, the depthwise convolution 16 maps of 14 rows, two at once.
    assert by_family["stem"]["tiles"] == 7 * 7 * 4
    assert by_family["depthwise_nchw:3x3s1"]["tiles"] == 16 * 7 * 4
    assert by_family["reduce_lines"]["elements"] == 196 * 32


def test_counts_of_the_dense_network() -> None:
    plan = planned(network(storage="dense", size=28, filters=32))
    assert plan.outcome is Outcome.DENSE
    gemm = [work.counts for work in works(plan) if work.family == "gemm"]
    # 196 rows in tiles of 4, 32 columns in tiles of 8.
    assert [counts["steps"] for counts in gemm] == [49 * 4 * 16, 49 * 4 * 32]
    by_family = {work.family: work.counts for work in works(plan)}
    assert by_family["igemm"]["steps"] == 49 * 2 * 27
    # Ten columns would waste six of sixteen: the kernel of two columns, four steps at once, takes them.
    assert by_family["gemm_narrow"]["steps"] == 5 * 32 // 4
    assert by_family["depthwise_nhwc:9"]["vectors"] == 196 * 4
    assert by_family["reduce_columns"]["elements"] == 196 * 32


def test_one_row_is_a_kernel_of_its_own() -> None:
    g = ModelBuilder()
    g.output(g.fully_connected(g.input((1, 32)), 16))
    *_, work = works(planned(g.build()))
    assert work.family == "gemv"
    assert work.counts["steps"] == 2 * 32


@pytest.mark.parametrize(
    ("amounts", "runs"),
    [
        # Height and width: every pixel of 3 channels is a copy.
        (((0, 0), (2, 2), (2, 2), (0, 0)), 14 * 16),
        # Height alone: a row of pixels is.
        (((0, 0), (2, 2), (0, 0), (0, 0)), 14),
        (((0, 0), (0, 0), (0, 0), (0, 1)), 120),
    ],
)
def test_copies_of_a_padded_map(amounts: list[tuple[int, int]], runs: int) -> None:
    g = ModelBuilder()
    g.output(g.pad(g.input((1, 10, 12, 3)), amounts))
    (work,) = works(planned(g.build()))
    assert work.counts["runs"] == runs


def test_runs_of_a_gate() -> None:
    """A factor for each channel is one run for each pixel in NHWC."""
    g = ModelBuilder()
    x = g.input((1, 4, 5, 8))
    g.output(g.binary("MUL", x, g.random_constant((1, 1, 1, 8))), g.binary("ADD", x, x))
    product, total = works(planned(g.build()))
    assert product.counts["runs"] == 20
    assert total.counts["runs"] == 1


# -- predictions


def test_more_zeros_never_take_longer() -> None:
    totals = [cost.predict(planned(network(zeros=zeros))) for zeros in (0.7, 0.75, 0.8, 0.85, 0.9, 0.95)]
    times = [prediction.total for prediction in totals if prediction is not None]
    assert len(times) == len(totals)
    assert times == sorted(times, reverse=True)
    assert times[0] > times[-1]


def test_larger_maps_take_longer() -> None:
    times = [cost.predict(planned(network(size=size, storage="dense"))) for size in (16, 28, 56, 112)]
    totals = [prediction.total for prediction in times if prediction is not None]
    assert totals == sorted(totals)
    assert len(set(totals)) == 4


def test_a_prediction_names_every_operator() -> None:
    plan = planned(network())
    prediction = cost.predict(plan)
    assert prediction is not None
    assert [c.kernel for c in prediction.operators] == [kernel.kernel for kernel in plan.operators]
    assert prediction.total == pytest.approx(sum(c.microseconds for c in prediction.operators) + prediction.rest)
    assert prediction.low < prediction.total < prediction.high
    assert prediction.guessed == 0
    assert 0 < prediction.pointwise < 1


def test_the_gain_is_the_dense_time_over_the_sparse_one() -> None:
    plan = planned(network(size=112, zeros=0.9))
    gained = cost.gain(plan)
    assert gained is not None
    stored_dense = cost.predict(planned(network(size=112, zeros=0.9, storage="dense")))
    assert stored_dense is not None
    assert gained.dense.total == pytest.approx(stored_dense.total)
    assert gained.ratio == pytest.approx(gained.dense.total / gained.sparse.total)
    assert 1 < gained.low < gained.ratio < gained.high


def test_a_model_that_runs_dense_gains_nothing() -> None:
    gained = cost.gain(planned(network(storage="dense")))
    assert gained is not None
    assert (gained.ratio, gained.low, gained.high) == (1.0, 1.0, 1.0)


def test_pruning_more_gains_more() -> None:
    rows = cost.gain_if_pruned(planned(network(size=112, storage="dense", zeros=0)))
    assert [row.share for row in rows] == [0.7, 0.8, 0.9]
    assert [row.outcome for row in rows] == [Outcome.SPARSE] * 3
    assert 1 < rows[0].ratio < rows[1].ratio < rows[2].ratio


def test_an_assumed_share_is_what_a_file_with_it_has() -> None:
    (assumed,) = cost.gain_if_pruned(planned(network(size=112, storage="dense", zeros=0)), (0.8,))
    real = cost.gain(planned(network(size=112, zeros=0.8)))
    assert real is not None
    assert assumed.ratio == pytest.approx(real.ratio, rel=0.01)


def test_pruning_below_the_threshold_changes_nothing() -> None:
    (row,) = cost.gain_if_pruned(planned(network(storage="dense", zeros=0)), (0.5,))
    assert row.outcome is Outcome.DENSE
    assert row.ratio == 1.0


def test_a_cpu_without_the_sparse_path_has_no_figures() -> None:
    plan = planned(network(), "x86-avx")
    assert cost.predict(plan) is None
    assert cost.gain(plan) is None
    assert cost.gain_if_pruned(plan) == ()


def test_figures_for_arm_say_that_nobody_measured_there() -> None:
    arm, sse = cost.gain(planned(network(size=112), "arm64")), cost.gain(planned(network(size=112)))
    assert arm is not None and sse is not None
    assert sse.measured_on_cpu
    assert not arm.measured_on_cpu
    assert arm.sparse.profile.scaling is not None and arm.sparse.profile.scaling.sources
    # What is published for ARM is less than what is measured here, and says less.
    assert arm.ratio < sse.ratio
    assert arm.high / arm.low > sse.high / sse.low


def test_what_tflite_runs_itself_is_a_guess() -> None:
    g = ModelBuilder()
    x = g.op("SIGN", [g.input((1, 8, 8, 4))], [(1, 8, 8, 4)])[0]
    g.output(g.unary("LOGISTIC", x))
    prediction = cost.predict(planned(g.build()))
    assert prediction is not None
    assert [c.is_guess for c in prediction.operators] == [False, True]
    assert prediction.operators[1].partition is None
    assert prediction.guessed > 0


# -- the fit and the file


def samples(count: int = 60) -> list[Sample]:
    """Operators of 3 us, and 0.01 us for each of what they have much of; every tenth was disturbed."""
    rng = random.Random(0)
    made = []
    for number in range(count):
        much, other = rng.randint(100, 20_000), rng.randint(1, 1000)
        disturbed = 5.0 if number % 10 == 0 else 1.0
        counts = {"call": 1, "much": much, "other": other}
        made.append(Sample(Work("kind", counts), (3 + 0.01 * much) * disturbed, f"network {number % 12}"))
    return made


def test_the_fit_finds_the_rates_though_some_runs_were_disturbed() -> None:
    family = fit.fit_families(samples()).families["kind"]
    assert family.rates["much"] == pytest.approx(0.01, rel=0.02)
    assert family.rates["call"] == pytest.approx(3, rel=0.2)
    assert all(rate >= 0 for rate in family.rates.values())
    assert family.samples == 60


def test_a_profile_is_read_as_it_was_saved(tmp_path: Path) -> None:
    family = Family({"call": 1.5, "much": 0.25}, 0.125, 12, 1.5, 80.0)
    rest, errors = Rest(1.0, 2.0, 0.5, 0.25), WholeErrors(0.05, 0.075)
    profile = CostProfile("x86-sse", "Some CPU", "2026-01-02", "2.3.0", {"kind": family}, rest, errors)
    profile.save(tmp_path / "profile.json")
    assert read_profile(tmp_path / "profile.json") == profile


def test_other_processors_make_the_interval_of_a_ratio_wider_and_not_that_of_a_time() -> None:
    plan = make_plan(load(str(FIXTURES / "guide_sparse.tflite")), load_profile(cpu="x86-sse"))
    shipped = shipped_profile("x86-sse")
    assert shipped is not None and shipped.errors.elsewhere > 0
    own = replace(shipped, errors=replace(shipped.errors, elsewhere=0.0))
    here, there = cost.gain(plan, own), cost.gain(plan, shipped)
    assert here is not None and there is not None
    assert there.low < here.low < there.ratio == here.ratio < here.high < there.high
    times = [cost.predict(plan, rates) for rates in (own, shipped)]
    assert times[0] is not None and times[1] is not None
    assert (times[0].low, times[0].total, times[0].high) == (times[1].low, times[1].total, times[1].high)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1}', '{"format": 99}'])
def test_a_file_that_is_no_profile_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "profile.json"
    path.write_text(text)
    with pytest.raises(XnnlintError, match=r"profile\.json"):
        read_profile(path)


def test_the_shipped_profile_knows_where_it_is_from() -> None:
    profile = shipped_profile("x86-sse")
    assert profile is not None and profile.measured
    assert profile.cpu_model and profile.date and profile.litert
    assert {"spmm", "gemm", "igemm", "stem", "pad", "depthwise_nchw:3x3s1"} <= profile.families.keys()
    assert all(0 < family.error < 1 for family in profile.families.values() if family.samples > 20)
    assert shipped_profile("x86-avx") is None


def test_a_profile_of_ones_own_is_used_instead() -> None:
    profile = shipped_profile("x86-sse")
    assert profile is not None
    doubled = {
        name: replace(family, rates={count: 2 * rate for count, rate in family.rates.items()})
        for name, family in profile.families.items()
    }
    mine = replace(profile, families=doubled, rest=Rest())
    plan = planned(network())
    ours, own = cost.predict(plan), cost.predict(plan, mine)
    assert ours is not None and own is not None
    assert own.total == pytest.approx(2 * (ours.total - ours.rest))


# -- the judge


@pytest.mark.judge
def test_real_times_are_near_the_predicted_ones(tmp_path: Path) -> None:
    """The shipped rates are another machine's; what has to hold everywhere is which variant is faster, and roughly by
    how much."""
    from xnnlint.runtime import targets
    from xnnlint.runtime.timing import time_models

    target = targets.resolve("x86-sse")
    if target.emulated:
        pytest.skip("AVX cannot be masked here, and emulated times tell nothing")
    paths = []
    for storage in ("dense", "sparse"):
        paths.append(tmp_path / f"{storage}.tflite")
        paths[-1].write_bytes(network(0.9, storage, size=56, filters=64))
    dense, sparse = time_models(paths, target, rounds=30)
    assert dense.error is None and sparse.error is None
    plan = planned(paths[1].read_bytes())
    assert [operator.name for operator in sparse.operators] == [kernel.kernel for kernel in plan.operators]
    gained = cost.gain(plan)
    assert gained is not None
    measured = sum(o.microseconds for o in dense.operators) / sum(o.microseconds for o in sparse.operators)
    assert gained.ratio / 2 < measured < gained.ratio * 2
    assert measured > 1.2


@pytest.mark.judge
def test_calibration_measures_this_machine(tmp_path: Path) -> None:
    from xnnlint.calibration.calibrate import calibrate
    from xnnlint.runtime import targets

    pytest.importorskip("scipy")
    target = targets.resolve("x86-sse")
    if target.emulated:
        pytest.skip("AVX cannot be masked here, and emulated times tell nothing")
    seen: list[tuple[int, int]] = []
    made = calibrate(target, networks=2, rounds=6, progress=lambda done, of: seen.append((done, of)))
    assert made.failed == ()
    assert seen[-1][0] == seen[-1][1] > 0
    profile = made.profile
    assert (profile.cpu, profile.litert, profile.measured) == ("x86-sse", target.release.version, True)
    assert {"gemm", "spmm", "depthwise_nchw:3x3s1"} <= profile.families.keys()
    profile.save(tmp_path / "mine.json")
    prediction = cost.predict(planned(network()), read_profile(tmp_path / "mine.json"))
    assert prediction is not None
    assert prediction.total > 0
