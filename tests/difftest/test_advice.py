"""Advice that is followed comes true: the real runtime judges a sample; `difftest advice` does all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.difftest.advice import FixJudge, Judge, Kind, main, promise_of
from tests.difftest.advice_editor import follow
from tests.difftest.hunt import pattern_cases, random_cases
from tests.rules.case_parts import computed_shape, middle
from tests.rules.case_parts import model as built
from xnnlint.linter.engine import find
from xnnlint.loaders.tflite.read_tflite import load_bytes
from xnnlint.modelbuilder.builder import ModelBuilder, Value
from xnnlint.modelbuilder.building_blocks import pruned, trunk
from xnnlint.modelbuilder.flatwriter import table
from xnnlint.xnnpack.planner import make_plan
from xnnlint.xnnpack.profile import load_profile

TORCH = Path(__file__).parents[1] / "data" / "torch_nchw.tflite"
# One of each kind of condition that can be fulfilled, and what was contradicted once.
SAMPLE = (
    *("exit_none", "mean_axes_1_3", "mean_keep_pad", "mean_keep_softmax", "pw_tanh", "sub_xx"),
    *("const_map_pointwise", "break_pow", "break_dilated_space_to_batch", "break_expand_reshape", "se_no_keep_dims"),
    *("fc_nokeep_reshape", "concat_6", "int8_full", "fp16_bias_fp32_filter", "weights_int8_direct"),
)
SEEDS = (
    *(900032, 900203, 910049, 920077, 920280, 4200093, 4300096, 4300223, 4400169, 4500216, 4500225, 4500243),
    *(8000012, 8000076, 8000163, 8100007, 8100011, 8300010),
)


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge(load_profile("litert-2.3", "x86-sse")) as made:
        yield made


def detector() -> bytes:
    """Two maps with two heads each, none of which ends the cluster."""
    g = ModelBuilder(7)
    first = trunk(g)
    second = pruned(g, g.depthwise(g.pad(first), 3, (2, 2), padding="VALID"), 24)
    g.output(*(pruned(g, x, filters) for x in (first, second) for filters in (8, 12)))
    return g.build()


@pytest.mark.judge
def test_the_sample_comes_true(judge: Judge) -> None:
    cases = [case for case in pattern_cases() if case.name in SAMPLE]
    cases += [random_cases(seed, 1)[0] for seed in SEEDS]
    before = judge.figures.true[Kind.SET]
    for case in cases:
        judge.judge(case.name, case.make()[0])
    assert judge.figures.contradicted == {}
    assert judge.figures.true[Kind.SET] - before == len(cases)


def gated(dynamic: bool) -> Callable[[ModelBuilder, Value], Value]:
    """Squeeze-and-excite through dense layers; the shape of the map computed at run time where the batch is dynamic."""

    def part(g: ModelBuilder, x: Value) -> Value:
        s = g.fully_connected(g.mean(x), 4, fused="RELU")
        s = g.unary("LOGISTIC", g.fully_connected(s, x.shape[3]))
        shape = (1, 1, 1, x.shape[3])
        if dynamic:
            target = computed_shape(g, s, shape[1:])
            return g.binary("MUL", x, g.op("RESHAPE", [s, target], [shape], table("ReshapeOptions"))[0])
        return g.binary("MUL", x, g.reshape(s, shape))

    return part


def expanded(g: ModelBuilder, x: Value) -> Value:
    """The same through 1x1 convolutions, the dimensions given back by tf.expand_dims."""
    s = g.expand_dims(g.expand_dims(g.mean(x), 1), 1)
    return g.binary("MUL", x, g.unary("LOGISTIC", pruned(g, pruned(g, s, 4), x.shape[3], "NONE")))


@pytest.mark.judge
@pytest.mark.parametrize(
    "part", [gated(False), gated(True), expanded], ids=["reshape", "computed-shape", "expand-dims"]
)
def test_a_gate_on_a_vector_is_one_change_that_comes_true(
    judge: Judge, part: Callable[[ModelBuilder, Value], Value]
) -> None:
    data = built(middle(part))
    findings = find(make_plan(load_bytes(data, "gate"), judge.profile))
    assert len([f for f in findings if f.unlocks is not None and f.unlocks.in_smallest_set]) == 1
    before = judge.figures.true[Kind.SET]
    judge.judge(f"gate {part}", data)
    assert not [name for name in judge.figures.not_followed if name.startswith("gate")]
    assert judge.figures.contradicted == {} and judge.figures.true[Kind.SET] == before + 1


@pytest.mark.judge
def test_all_heads_of_a_detector_need_an_end(judge: Judge) -> None:
    data = detector()
    plan = make_plan(load_bytes(data, "detector"), judge.profile)
    findings = find(plan)
    promise = promise_of(plan, findings)
    assert promise is not None
    assert promise.rules == "4 XNN202"
    assert promise.is_all_or_none
    assert all(f.unlocks is not None and not f.unlocks.alone for f in promise.findings)
    judge.judge("detector", data)
    assert judge.figures.contradicted == {}
    # At one head alone, as it was advised before:
    one = Path(judge.scratch.name) / "one.tflite"
    one.write_bytes(follow(data, "detector", plan, promise.findings[:1]).data)
    assert judge.observer(one).outcome == "wrong-results"


@pytest.mark.judge
def test_the_first_end_that_can_run_lays_out_what_stands_elsewhere(judge: Judge) -> None:
    """Nothing is laid out while the MEAN reads a SUB. With an ADD there, the stem is, and only one of its readers."""
    g = ModelBuilder()
    x = trunk(g)
    x = g.binary("MUL", x, g.constant(np.linspace(0.5, 1.5, 240, dtype=np.float32).reshape(1, 12, 20, 1)))
    g.output(g.mean(g.binary("SUB", pruned(g, x, 16), x), keep_dims=True))
    data = g.build()
    plan = make_plan(load_bytes(data, "late"), judge.profile)
    promise = promise_of(plan, find(plan))
    assert promise is not None
    assert promise.rules == "1 XNN105 + 1 XNN106"
    assert promise.is_all_or_none
    judge.judge("late", data)
    assert judge.figures.contradicted == {}
    (one,) = (finding for finding in promise.findings if finding.rule == "XNN106")
    path = Path(judge.scratch.name) / "one_of_late.tflite"
    path.write_bytes(follow(data, "late", plan, (one,)).data)
    assert judge.observer(path).outcome == "wrong-results"


@pytest.mark.judge
def test_a_stem_behind_a_cluster_is_not_advised(judge: Judge) -> None:
    """A convolution of int8 weights is no part of a cluster; as a stem it would read what lies in NCHW as NHWC."""
    case = random_cases(8300090, 1)[0]
    data = case.make()[0]
    plan = make_plan(load_bytes(data, case.name), judge.profile)
    findings = find(plan)
    assert promise_of(plan, findings) is None
    advised = {("XNN301", 10), ("XNN101", 15), ("XNN106", 16), ("XNN110", 13)}
    before = [f for f in findings if (f.rule, f.location.op) in advised]
    assert len(before) == len(advised)
    path = Path(judge.scratch.name) / "stem.tflite"
    path.write_bytes(follow(data, case.name, plan, before).data)
    assert judge.observer(path).outcome == "wrong-results"


@pytest.mark.judge
def test_what_a_check_says_of_fix_is_what_fix_does() -> None:
    with FixJudge(load_profile("litert-2.3", "x86-sse")) as judge:
        judge.judge("torch", TORCH.read_bytes())
        judge.judge("detector", detector())
        for case in pattern_cases():
            if case.name in SAMPLE[:6]:
                judge.judge(case.name, case.make()[0])
    assert judge.figures.contradicted == {}
    assert judge.figures.silent == {}
    assert len(judge.figures.made_sparse) >= 6
    assert judge.figures.promised >= 6


@pytest.mark.judge
def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--graphs", "2", "--seed", "900001"]) == 0
    assert capsys.readouterr().out.startswith("2 models: ")
