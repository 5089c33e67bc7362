"""Fixes of .tflite files are chosen by time: what is made, what is not since it does not pay, and what is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.program import run
from tests.models import FIXTURES
from xnnlint.errors import XnnlintError
from xnnlint.modelbuilder.builder import ModelBuilder
from xnnlint.runtime.ratio import Ratio
from xnnlint.runtime.targets import Target
from xnnlint.runtime.timing import NotTimed
from xnnlint.xnnpack.plan import Outcome
from xnnlint.xnnpack.profile import load_profile

pytest.importorskip("ai_edge_litert", reason="the editor needs the verify extra")

from xnnlint.fixes.judge import Judge
from xnnlint.fixes.not_made import Why
from xnnlint.fixes.request import FixRequest
from xnnlint.fixes.result import Measured
from xnnlint.fixes.tflite.file_fixer import FileFixer
from xnnlint.fixes.tflite.file_proof import Prover
from xnnlint.fixes.tflite.file_search import FileResult, search

PROFILE = load_profile("litert-2.3", "x86-sse")


def network(channels: int = 16, size: int = 64, stem: str = "SAME", blocks: int = 1) -> bytes:
    """A stem of stride 2, then depthwise and pruned 1x1 convolutions of so many channels, stored dense."""
    builder = ModelBuilder()
    image = builder.input((1, size, size, 3))
    x = builder.conv2d(builder.pad(image) if stem == "VALID" else image, 16, 3, 2, stem, fused="RELU")
    for _ in range(blocks):
        x = builder.conv2d(builder.depthwise(x, fused="RELU"), channels, zeros=0.8, fused="RELU")
    builder.output(builder.fully_connected(builder.mean(x), 5))
    return builder.build()


def fixed(data: bytes, **options) -> FileResult:
    return search(data, "model.tflite", FixRequest(PROFILE, **options))


def kinds(result: FileResult) -> set[str]:
    return {change.fix for change in result.changes}


@pytest.fixture
def dear(tmp_path) -> str:
    """A model whose stem in parts takes longer than its one small 1x1 convolution gains."""
    path = tmp_path / "dear.tflite"
    path.write_bytes(network())
    return str(path)


# --- the choice ------------------------------------------------------------------------------------------------------


def test_what_does_not_pay_is_not_made():
    result = fixed(network())
    assert not result.changes
    assert result.after.data is result.before.data
    declined = result.declined
    assert declined.version.plan.outcome is Outcome.SPARSE
    assert len(declined.version.spmm) == 1
    assert declined.gain.ratio < 1
    assert declined.gain.sparse.total == pytest.approx(declined.version.microseconds)
    assert declined.gain.dense.total == pytest.approx(result.before.microseconds)
    assert declined.measured is None


def test_it_is_made_all_the_same_where_that_was_asked_for():
    result = fixed(network(), even_if_slower=True)
    assert result.declined is None
    assert result.after.plan.outcome is Outcome.SPARSE
    assert {change.key for change in result.changes} == {c.key for c in fixed(network()).declined.version.changes}


def test_the_same_stem_pays_in_front_of_more():
    result = fixed(network(channels=64, blocks=6))
    assert result.declined is None
    assert len(result.after.spmm) == 6
    assert result.gain.ratio > 1
    assert kinds(result) & {"entry-in-parts", "entry-by-picking"}


def test_a_free_stem_is_preferred_to_one_in_parts():
    data = network(channels=64, blocks=6)
    safe, unsafe = fixed(data), fixed(data, unsafe=True)
    assert "padding-on-all-sides" in kinds(unsafe)
    assert not kinds(unsafe) & {"entry-in-parts", "entry-by-picking"}
    assert len(unsafe.after.spmm) == len(safe.after.spmm) == 6
    assert unsafe.after.microseconds < safe.after.microseconds


def test_a_free_stem_makes_pay_what_does_not_with_one_in_parts():
    """The changes of `test_what_does_not_pay_is_not_made`, with a stem that costs nothing."""
    result = fixed(network(), unsafe=True)
    assert kinds(result) == {"padding-on-all-sides", "encode-zeros"}
    assert result.gain.ratio > 1


def test_unsafe_changes_are_not_made_where_safe_ones_are_as_fast():
    data = network(stem="VALID", channels=64, blocks=3)
    assert kinds(fixed(data, unsafe=True)) == {"encode-zeros"}


def test_many_changes_that_only_together_pay_are_found():
    """Of thirteen filters each alone makes nothing sparse."""
    result = fixed(network(stem="VALID", channels=64, blocks=13))
    assert [change.fix for change in result.changes] == ["encode-zeros"] * 13
    assert len(result.after.spmm) == 13


def test_of_two_parts_of_a_model_only_the_one_that_gains_is_changed():
    """Two networks side by side, each with a stem of its own: in one the stem is dearer than what is behind it."""
    builder = ModelBuilder()
    for channels, blocks in ((16, 1), (64, 6)):
        x = builder.conv2d(builder.input((1, 64, 64, 3)), 16, 3, 2, "SAME", fused="RELU", name=f"stem_{channels}")
        for _ in range(blocks):
            x = builder.conv2d(builder.depthwise(x, fused="RELU"), channels, zeros=0.8, fused="RELU")
        builder.output(builder.fully_connected(builder.mean(x), 5))
    data = builder.build()
    result, everything = fixed(data), fixed(data, even_if_slower=True)
    assert len(everything.after.spmm) == 7
    assert len(result.after.spmm) == 6
    assert "stem_16" not in {change.place for change in result.changes}
    assert result.after.microseconds < everything.after.microseconds


def test_a_wrong_model_is_made_right_by_the_faster_way():
    """Dense where the map is small, whatever could be sparse; the sparse way is there for who wants it."""
    data = (FIXTURES / "patterns" / "body_max_pool.tflite").read_bytes()
    result, sparse = fixed(data), fixed(data, even_if_slower=True)
    assert result.before.plan.outcome is Outcome.WRONG_RESULTS
    assert (result.after.plan.outcome, sparse.after.plan.outcome) == (Outcome.DENSE, Outcome.SPARSE)
    assert result.after.microseconds < sparse.after.microseconds
    assert result.declined is None


def test_without_rates_of_a_cpu_the_scaled_ones_are_taken():
    assert Judge.of("x86-sse").rates.measured
    assert not Judge.of("arm64").rates.measured
    assert Judge.of("x86-avx").rates.cpu == "arm64"


# --- what is said ----------------------------------------------------------------------------------------------------


def test_the_report_says_what_does_not_pay_with_the_figures(capsys, monkeypatch, tmp_path, dear):
    target = tmp_path / "fixed.tflite"
    _, out, _ = run(capsys, monkeypatch, "fix", dear, "-o", str(target), "--cpu", "x86-sse")
    words = " ".join(out.split())
    assert "nothing is changed, since it does not pay" in words
    declined = fixed(network()).declined
    assert f"it is predicted to be {declined.gain.ratio:.2f} times as fast then" in words
    assert "--even-if-slower" in words
    assert f"{target.name}, unchanged" in words
    assert target.read_bytes() == Path(dear).read_bytes()


def test_programs_get_the_same_figures(capsys, monkeypatch, dear):
    _, out, _ = run(capsys, monkeypatch, "fix", dear, "--diff", "--cpu", "x86-sse", "--format", "json")
    (document,) = json.loads(out)["models"]
    assert document["time"] is None
    declined = document["declined"]
    assert (declined["outcome"], declined["spmm"], declined["measured"]) == ("sparse", 1, None)
    assert declined["predicted"]["value"] < 1
    assert declined["predicted"]["cpu"] == "x86-sse"
    before, after = (declined["predicted"][f"{side}_microseconds"] for side in ("before", "after"))
    assert before / after == pytest.approx(declined["predicted"]["value"])


def test_without_a_proof_the_time_is_predicted_only(capsys, monkeypatch, tmp_path, dear):
    arguments = ("fix", dear, "-o", str(tmp_path / "fixed.tflite"), "--no-proof", "--even-if-slower")
    _, out, _ = run(capsys, monkeypatch, *arguments)
    words = " ".join(out.split())
    assert "slower predicted to be 0." in words
    assert "on arm64 (not measured there yet), and not measured: --no-proof" in words
    assert (tmp_path / "fixed.tflite").exists()


# --- what is measured ------------------------------------------------------------------------------------------------


def as_measured(monkeypatch, *ratios: float) -> list[FileResult]:
    """Lets timing find these ratios, one after the other; returns what was timed."""
    seen: list[FileResult] = []

    def measure(self, result):
        seen.append(result)
        ratio = Ratio(ratios[len(seen) - 1], ratios[len(seen) - 1] - 0.02, ratios[len(seen) - 1] + 0.02)
        return Measured(ratio, 100 * ratio.value, 100.0, "here", "x86-sse", "native")

    monkeypatch.setattr(Prover, "measure", measure)
    return seen


@pytest.fixture
def gaining(tmp_path) -> str:
    path = tmp_path / "gaining.tflite"
    path.write_bytes(network(stem="VALID", channels=64, blocks=3))
    return str(path)


@pytest.mark.judge
def test_what_is_measured_to_be_slower_is_written_as_it_was(monkeypatch, tmp_path, gaining):
    as_measured(monkeypatch, 0.9)
    target = tmp_path / "fixed.tflite"
    with FileFixer(FixRequest(PROFILE)) as fixer:
        done = fixer.fix(gaining, str(target))
    assert not done.changes
    assert target.read_bytes() == Path(gaining).read_bytes()
    assert done.declined.measured.ratio.value == 0.9
    assert done.declined.gain.ratio > 1


@pytest.mark.judge
def test_fewer_changes_are_tried_where_all_are_slower(monkeypatch, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(network(channels=64, blocks=6))
    seen = as_measured(monkeypatch, 0.9, 1.2)
    with FileFixer(FixRequest(PROFILE, unsafe=True)) as fixer:
        done = fixer.fix(str(path), str(tmp_path / "fixed.tflite"))
    assert len(seen) == 2
    assert done.written
    assert done.measured.ratio.value == 1.2
    assert ("padding-on-all-sides", "with it, the model was measured to be slower") in done.refused
    assert "padding-on-all-sides" not in {change.fix for change in done.changes}
    left = [item for item in done.not_made if item.fix == "padding-on-all-sides"]
    assert [(item.why, item.detail) for item in left] == [(Why.SLOWER, "measured")]


@pytest.mark.judge
def test_it_is_written_where_that_was_asked_for_or_the_model_was_wrong(monkeypatch, tmp_path, gaining):
    as_measured(monkeypatch, 0.9, 0.5)
    wrong = str(FIXTURES / "patterns" / "body_max_pool.tflite")
    with FileFixer(FixRequest(PROFILE, even_if_slower=True)) as fixer:
        assert fixer.fix(gaining, str(tmp_path / "asked.tflite")).written
    with FileFixer(FixRequest(PROFILE)) as fixer:
        assert fixer.fix(wrong, str(tmp_path / "right.tflite")).written


@pytest.mark.judge
def test_where_nothing_can_be_timed_the_prediction_stands_and_the_report_says_so(
    capsys, monkeypatch, tmp_path, gaining
):
    def refuse(target: Target):
        raise NotTimed("times under emulation tell nothing; time on a native target")

    monkeypatch.setattr("xnnlint.fixes.tflite.file_proof.timed_library", refuse)
    target = tmp_path / "fixed.tflite"
    code, out, _ = run(capsys, monkeypatch, "fix", gaining, "-o", str(target), "--cpu", "x86-sse")
    words = " ".join(out.split())
    assert code == 0
    assert "faster predicted to be" in words
    assert "and not measured: times under emulation tell nothing" in words
    assert target.exists()


@pytest.mark.judge
def test_the_proof_measures_both_and_the_report_ends_with_the_ratio(capsys, monkeypatch, tmp_path):
    """A network of which nobody doubts that it gains: 28x28 pixels, 128 channels, 80% zeros."""
    path, target = tmp_path / "model.tflite", tmp_path / "fixed.tflite"
    path.write_bytes(network(stem="VALID", channels=128, size=56, blocks=8))
    code, out, _ = run(capsys, monkeypatch, "fix", str(path), "-o", str(target), "--cpu", "x86-sse", "--format", "json")
    (document,) = json.loads(out)["models"]
    assert code == 0
    measured, predicted = document["time"]["measured"], document["time"]["predicted"]
    if measured is None:
        pytest.skip(document["not_measured"])
    assert measured["cpu"] == "x86-sse"
    assert 1 < measured["low"] <= measured["value"] <= measured["high"]
    # What else the machine does meets both, but not alike.
    assert measured["value"] == pytest.approx(predicted["value"], rel=0.6)
    assert measured["before_microseconds"] / measured["after_microseconds"] == pytest.approx(measured["value"])


@pytest.mark.judge
def test_a_model_that_does_not_run_before_is_not_timed(tmp_path):
    failing = FIXTURES / "guide_drq_sparse.tflite"
    with FileFixer(FixRequest(PROFILE)) as fixer:
        done = fixer.fix(str(failing), str(tmp_path / "fixed.tflite"))
    assert done.before.plan.outcome is Outcome.FAILS
    assert done.written
    assert done.measured is None
    assert "before" in done.not_measured
    assert done.result.gain is None


def test_a_search_makes_a_bounded_number_of_attempts(monkeypatch):
    """One with many places takes no more attempts than one with few times a small factor."""
    from xnnlint.fixes.tflite import file_search

    made = 0
    real = file_search._FileSearch.attempt

    def attempt(self, selection):
        nonlocal made
        made += 1
        return real(self, selection)

    monkeypatch.setattr(file_search._FileSearch, "attempt", attempt)
    fixed(network(channels=16, blocks=40, stem="SAME"), unsafe=True)
    assert made <= 100


def test_trouble_with_one_file_is_a_sentence(tmp_path):
    with FileFixer(FixRequest(PROFILE)) as fixer, pytest.raises(XnnlintError):
        fixer.fix(str(tmp_path / "missing.tflite"))
