"""Two reports side by side: which operators belong together, and what counts as better and worse."""

from __future__ import annotations

import time

import pytest

from tests.linter.test_speed import HAND, checked
from xnnlint.linter.comparison import Aspect, Change, Comparison, Side, compare, matched

WORSE_WITHOUT_SPARSE_WEIGHTS = [Aspect.OUTCOME, Aspect.SPMM, Aspect.TIME, Aspect.FINDINGS]


def compared(before: str, after: str) -> Comparison:
    return compare(checked(before), checked(after))


def side(op: int, name: str, kind: str = "CONV_2D", shape: tuple[int, ...] = (1, 8, 8, 4)) -> Side:
    return Side(op, name, kind, shape, (4, 1, 1, 4), ("kernel",), None, None)


def names(pairs) -> list[tuple[str | None, str | None]]:
    return [(before and before.name, after and after.name) for before, after in ((p.before, p.after) for p in pairs)]


def test_storing_zeros_sparse_is_better() -> None:
    found = compared("guide_dense_zeros.tflite", "guide_sparse.tflite")
    # By HAND, GEMM takes 6 and SPMM 1 of the operators' microseconds, everything else 2: 26 and 16.
    assert found.gain is not None and found.gain.ratio == 26 / 16
    assert found.changes == {
        Aspect.OUTCOME: Change.BETTER,
        Aspect.SPMM: Change.BETTER,
        Aspect.TIME: Change.BETTER,
        Aspect.SIZE: Change.BETTER,
        Aspect.FINDINGS: Change.BETTER,
    }
    assert found.worse(Aspect) == []
    assert [finding.rule for finding in found.lost] == ["XNN302"]
    assert found.gained == ()


def test_the_other_way_round_it_is_worse() -> None:
    found = compared("guide_sparse.tflite", "guide_dense_zeros.tflite")
    assert found.worse(WORSE_WITHOUT_SPARSE_WEIGHTS) == WORSE_WITHOUT_SPARSE_WEIGHTS
    assert found.worse([Aspect.OUTCOME]) == [Aspect.OUTCOME]
    assert [finding.rule for finding in found.gained] == ["XNN302"]


def test_a_model_is_as_good_as_itself() -> None:
    found = compared("guide_sparse.tflite", "guide_sparse.tflite")
    assert set(found.changes.values()) == {Change.SAME}
    assert not any(pair.is_new_kernel for pair in found.operators)
    assert all(pair.before == pair.after for pair in found.operators)


def test_kernels_and_zeros_of_each_operator() -> None:
    found = compared("guide_unpruned.tflite", "guide_sparse.tflite")
    pairs = {pair.name: pair for pair in found.operators}
    for name in ("conv2d_1", "conv2d_2"):
        before, after = pairs[name].before, pairs[name].after
        assert before is not None and after is not None
        assert not before.runs_spmm and after.runs_spmm
        assert before.zeros == 0.0
        assert after.zeros is not None and 0.75 <= after.zeros <= 0.82  # the guide prunes to 75 or 80%


def test_times_on_two_cpus_are_not_compared() -> None:
    found = compare(checked("guide_sparse.tflite"), checked("guide_sparse.tflite", profile=None, cpu="x86-avx"))
    assert found.gain is None
    assert found.changes[Aspect.TIME] is Change.UNKNOWN
    assert found.worse([Aspect.TIME, Aspect.OUTCOME]) == [Aspect.OUTCOME]


def test_operators_are_known_by_name_and_shape_first() -> None:
    before = [side(0, "a"), side(1, "b", shape=(1, 4, 4, 4)), side(2, "b")]
    after = [side(5, "b"), side(6, "a"), side(7, "b", shape=(1, 4, 4, 4))]
    assert [(p.before and p.before.op, p.after and p.after.op) for p in matched(before, after)] == [
        (2, 5),
        (0, 6),
        (1, 7),
    ]


def test_another_exporter_gives_other_names() -> None:
    before = [side(0, "conv2d"), side(1, "conv2d_1"), side(2, "relu", kind="RELU")]
    after = [side(0, "torch_0"), side(1, "torch_1"), side(2, "pool", kind="MEAN")]
    assert names(matched(before, after)) == [
        ("conv2d", "torch_0"),
        ("conv2d_1", "torch_1"),
        (None, "pool"),
        ("relu", None),
    ]


def test_another_input_size_keeps_the_names() -> None:
    before, after = [side(0, "a")], [side(3, "a", shape=(1, 16, 16, 4))]
    assert names(matched(before, after)) == [("a", "a")]


@pytest.mark.parametrize("same_names", [True, False])
def test_matching_is_linear(same_names: bool) -> None:
    def seconds(count: int) -> float:
        before = [side(i, f"a{i}") for i in range(count)]
        after = [side(i, f"a{i}" if same_names else f"b{i}") for i in range(count)]
        began = time.process_time()
        assert sum(1 for _ in matched(before, after)) == count
        return time.process_time() - began

    seconds(1_000)
    small, large = min(seconds(3_000) for _ in range(3)), min(seconds(30_000) for _ in range(2))
    assert large < 60 * max(small, 0.001)  # ten times the operators; squared it would be 100 times


def test_rates_by_hand_are_used() -> None:
    # What the other tests count with.
    assert HAND.families["gemm"].rates == {"call": 6.0}
