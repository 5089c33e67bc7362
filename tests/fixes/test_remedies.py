"""What a check asks of the fixes: which fit at a finding's place, and what all of them together would do."""

from __future__ import annotations

import shutil

import pytest

from tests.fixes.fix_case import pattern
from tests.models import FIXTURES
from xnnlint.fixes.change_search import Budget
from xnnlint.fixes.check_fixes import add_fixes
from xnnlint.fixes.remedies import ask_unsafe_fixes, remedies, what_fix_would_do
from xnnlint.fixes.request import FixRequest
from xnnlint.fixes.result import Repair
from xnnlint.fixes.tflite.file_search import search
from xnnlint.fixes.tflite.rescue import STORE_DENSE
from xnnlint.linter.engine import check_model
from xnnlint.linter.findings import Applicability, Finding, ModelReport
from xnnlint.modelbuilder.builder import ModelBuilder
from xnnlint.modelbuilder.building_blocks import tail, trunk
from xnnlint.reporters.fix_text import repair_lines
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.plan import Outcome
from xnnlint.xnnpack.profile import load_profile

pytest.importorskip("ai_edge_litert", reason="the editor needs the verify extra")

PROFILE = load_profile("litert-2.3", "x86-sse")
# A pattern, the condition that a finding names, and the fixes that fit there; the first is the one to name.
PLACES = [
    ("pw_stride_2", Condition.POINTWISE, ["stride-before-pointwise"]),
    ("concat_2", Condition.NCHW_KERNEL, ["concatenate-by-adding"]),
    ("dw_pad_0_1", Condition.DEPTHWISE, ["zero-taps", "padding-on-all-sides"]),
    ("weights_dense", Condition.STORED_SPARSE, ["encode-zeros"]),
    ("max_pool_2x2", Condition.NCHW_KERNEL, ["maximum-in-steps", "average-instead-of-maximum"]),
    # Its weights are not zero enough to go tap by tap.
    ("conv_3x3", Condition.NCHW_KERNEL, []),
]


def checked(path) -> ModelReport:
    report = check_model(path, PROFILE)
    assert report.error is None and report.plan is not None
    return report


def finding(report: ModelReport, condition: Condition) -> Finding:
    return next(f for f in report.findings if f.condition is condition)


@pytest.mark.parametrize(("name", "condition", "fixes"), PLACES, ids=[name for name, *_ in PLACES])
def test_the_fixes_that_fit_at_a_place_are_named_safe_ones_first(tmp_path, name, condition, fixes):
    path = tmp_path / "model.tflite"
    path.write_bytes(pattern(name)())
    report = checked(path)
    found = remedies(report.plan).of(finding(report, condition))
    assert [remedy.fix for remedy in found] == fixes
    assert all(
        remedy.title and bool(remedy.effect) == (remedy.applicability is Applicability.UNSAFE) for remedy in found
    )
    assert path.read_bytes() == pattern(name)()


def test_a_model_that_is_wrong_can_be_rescued(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(pattern("conv_3x3")())
    report = checked(path)
    found = remedies(report.plan).of(finding(report, Condition.RIGHT_RESULTS))
    assert {"leave-through-depth-to-space", "store-dense"} <= {remedy.fix for remedy in found}


def test_layers_have_remedies_too():
    report = checked(FIXTURES / "guide_no_keepdims.keras")
    (remedy,) = remedies(report.plan).of(finding(report, Condition.POOLING_SHAPE))
    assert (remedy.fix, remedy.applicability) == ("pooling-keepdims", Applicability.SAFE)
    assert remedy.title == "set keepdims=True and flatten behind it"


def test_what_cannot_be_fixed_says_so(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(pattern("pw_stride_2")())
    report = checked(path)
    path.unlink()
    known = remedies(report.plan)
    assert known.missing
    assert known.of(report.findings[0]) == ()


def test_the_search_says_what_fix_would_do_and_writes_nothing(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(pattern("pw_stride_2")())
    report = checked(path)
    result = what_fix_would_do(path, PROFILE)
    assert result.complete and result.remaining == []
    assert (result.before.plan.outcome, result.after.plan.outcome) == (Outcome.WRONG_RESULTS, Outcome.SPARSE)
    (change,) = result.answers(finding(report, Condition.POINTWISE))
    assert (change.fix, change.is_safe) == ("stride-before-pointwise", True)
    assert result.answers(finding(report, Condition.POOLING_SHAPE)) == []
    assert [file.name for file in tmp_path.iterdir()] == ["model.tflite"]


@pytest.mark.parametrize(("name", "spmm"), [("stem_pad_0_1", 1), ("conv_3x3_valid", None)])
def test_unsafe_fixes_are_named_where_they_do_more(name, spmm):
    done = Repair(search(pattern(name)(), "model.tflite", FixRequest(PROFILE), show=False))
    assert done.remaining
    ask_unsafe_fixes(done, FixRequest(PROFILE))
    lines = " ".join("".join(span.text for span in line) for line in repair_lines(done, 200))
    assert ("--unsafe-fixes makes it sparse: 1 of 1" in lines) == (spmm is not None)
    assert ("only with --unsafe-fixes" in lines) == (spmm is not None)
    assert (done.with_unsafe and len(done.with_unsafe.spmm)) == spmm
    asked = Repair(search(pattern(name)(), "model.tflite", FixRequest(PROFILE, unsafe=True), show=False))
    ask_unsafe_fixes(asked, FixRequest(PROFILE, unsafe=True))
    assert asked.with_unsafe is None and "not-asked" not in {item.why.value for item in asked.not_made}


def test_what_was_stored_dense_to_be_right_is_not_to_be_stored_sparse():
    request = FixRequest(PROFILE, select=(STORE_DENSE,))
    result = search(pattern("conv_3x3")(), "model.tflite", request, show=False)
    assert [change.fix for change in result.changes] == [STORE_DENSE]
    assert Condition.STORED_SPARSE in {f.condition for f in result.findings}
    assert {f.condition for f in result.remaining} == {Condition.NCHW_KERNEL}


def two_images() -> bytes:
    """One branch runs sparse; the stem of the other has the wrong stride."""
    g = ModelBuilder(7)
    tail(g, trunk(g))
    x = g.conv2d(g.pad(g.input((1, 24, 40, 3))), 8, 3, 1, fused="RELU")
    tail(g, g.conv2d(g.depthwise(x, fused="RELU"), 16, zeros=0.8, storage="sparse"))
    return g.build()


def test_what_keeps_the_rest_of_a_sparse_model_dense_is_named():
    done = Repair(search(two_images(), "model.tflite", FixRequest(PROFILE, select=("encode-zeros",)), show=False))
    assert done.after.plan.outcome is Outcome.SPARSE and len(done.after.spmm) == 1 and not done.remaining
    lines = ["".join(span.text for span in line) for line in repair_lines(done, 200)]
    assert [line for line in lines if line.startswith("dense   XNN101 at conv2d_1: ")]


def test_end_of_the_sparse_part_is_named_where_nothing_else_keeps_the_rest_dense():
    g = ModelBuilder(7)
    y = g.depth_to_space(g.conv2d(trunk(g), 24, zeros=0.8, storage="sparse"))
    g.output(g.conv2d(y, 6, zeros=0.8, storage="sparse", name="behind"))
    done = Repair(search(g.build(), "model.tflite", FixRequest(PROFILE, select=("encode-zeros",)), show=False))
    assert (len(done.after.spmm), len(done.after.pointwise)) == (2, 3)
    lines = ["".join(span.text for span in line) for line in repair_lines(done, 200)]
    assert [line for line in lines if line.startswith("dense   XNN305 at behind")], lines


def test_what_stands_in_the_way_no_longer_is_solved(tmp_path):
    """The cluster ends in front of both poolings, whose axes are of no matter then."""
    path = tmp_path / "model.tflite"
    path.write_bytes(pattern("mean_keep_height_then_width")())
    report = checked(path)
    add_fixes(report, PROFILE)
    poolings = [f for f in report.findings if f.condition is Condition.POOLING_AXES]
    assert len(poolings) == 2
    assert {f.remedy.applicability for f in poolings if f.remedy} == {Applicability.SAFE}


def test_a_budget_ends_the_search(tmp_path):
    """One attempt finds what helps; whether it needs all of that is not tried."""
    path = tmp_path / "model.tflite"
    path.write_bytes((FIXTURES / "guide_dense_zeros.tflite").read_bytes())
    whole = what_fix_would_do(path, PROFILE)
    part = what_fix_would_do(path, PROFILE, budget=Budget(attempts=1))
    assert whole.complete and not part.complete
    assert part.after.plan.outcome is Outcome.SPARSE
    assert {change.key for change in whole.changes} <= {change.key for change in part.changes}


def test_a_keras_model_that_is_not_pruned_is_planned_as_if_it_were(tmp_path):
    path = tmp_path / "model.keras"
    shutil.copy(FIXTURES / "guide_no_keepdims.keras", path)
    result = what_fix_would_do(path, PROFILE)
    assert [change.place for change in result.changes] == ["global_average_pooling2d"]
    assert result.answers(finding(checked(path), Condition.POOLING_SHAPE)) == list(result.changes)
