"""Planning again and again: what each assumption changes, and what is done only once."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from xnnlint.loaders.tflite.read_tflite import load_bytes
from xnnlint.modelbuilder.builder import ModelBuilder, Value
from xnnlint.modelbuilder.building_blocks import pruned, stem, tail, trunk
from xnnlint.xnnpack import define
from xnnlint.xnnpack.fault import Wrong
from xnnlint.xnnpack.operators import OPERATORS
from xnnlint.xnnpack.plan import Outcome, Plan
from xnnlint.xnnpack.planner import Planner, make_plan
from xnnlint.xnnpack.profile import PORTABLE, load_profile
from xnnlint.xnnpack.waiver import CPU, ENCODED, FLOAT, FP32, Waiver, WaiverKind

Fill = Callable[[ModelBuilder], object]
HALF = {"reduced_precision_support": b"fp16accfp16"}


def planner(
    fill: Fill, runtime: str = "litert-2.3", cpu: str = "arm64", metadata: dict[str, bytes] | None = None
) -> Planner:
    g = ModelBuilder(7)
    fill(g)
    return Planner(load_bytes(g.build(metadata=metadata), "made.tflite"), load_profile(runtime, cpu))


def types(plan: Plan, ops: frozenset[int] | set[int]) -> list[str]:
    return [plan.graph.operators[op].type for op in sorted(ops)]


def op(plan: Plan, kind: str) -> int:
    return next(o.index for o in plan.graph.operators if o.type == kind)


def behind_trunk(part: Callable[[ModelBuilder, Value], Value]) -> Fill:
    return lambda g: tail(g, pruned(g, part(g, trunk(g)), 24))


# -- what an assumption changes: most models have two 1x1 convolutions, the first in the trunk -------------------------


def _max_pool(g: ModelBuilder, x: Value) -> Value:
    return g.pool("MAX_POOL_2D", x)


def _pow(g: ModelBuilder, x: Value) -> Value:
    return g.binary("POW", g.unary("LOGISTIC", x), g.constant(1.5))


def _dense(g: ModelBuilder) -> None:
    x = g.conv2d(g.depthwise(stem(g), fused="RELU"), 16, fused="RELU", zeros=0.8, storage="dense")
    tail(g, x)


def test_nothing_assumed_is_the_model_as_it_is() -> None:
    made = planner(behind_trunk(lambda g, x: g.unary("RELU", x)))
    plan = made.plan()
    assert plan.outcome is Outcome.SPARSE and types(plan, plan.spmm_ops) == ["CONV_2D", "CONV_2D"]
    assert plan.assumed == frozenset() and plan.planner is made
    assert made.spmm(()) == plan.spmm_ops


def test_a_compatible_operator_makes_the_model_right_and_sparse() -> None:
    made = planner(behind_trunk(_max_pool))
    plan = made.plan()
    assert plan.outcome is Outcome.WRONG_RESULTS
    assert [h.fault.wrong for h in plan.hazards] == [Wrong.READS_WRONG_ORDER]
    assert made.spmm(()) == frozenset(), "what is wrong brings nothing"
    assumed = Waiver(WaiverKind.COMPATIBLE, op(plan, "MAX_POOL_2D"))
    assert len(made.spmm((assumed,))) == 2 and made.plan((assumed,)).outcome is Outcome.SPARSE


def test_a_waiver_of_another_operator_changes_nothing() -> None:
    made = planner(behind_trunk(_max_pool))
    for other in ("CONV_2D", "MEAN"):
        assert made.plan((Waiver(WaiverKind.COMPATIBLE, op(made.plan(), other)),)).outcome is Outcome.WRONG_RESULTS


def test_a_delegated_operator_joins_the_parts() -> None:
    made = planner(behind_trunk(_pow))
    plan = made.plan()
    assert len(plan.partitions) == 2 and plan.tflite_ops == [op(plan, "POW")] and not plan.spmm_ops
    joined = made.plan((Waiver(WaiverKind.DELEGATED, op(plan, "POW")),))
    assert len(joined.partitions) == 1 and joined.tflite_ops == [] and len(joined.spmm_ops) == 2


def test_a_cluster_end_behind_a_map_lets_it_leave() -> None:
    def fill(g: ModelBuilder) -> None:
        x = trunk(g)
        g.output(pruned(g, x, 24), g.mean(x))

    made = planner(fill)
    plan = made.plan()
    assert plan.outcome is not Outcome.SPARSE
    (out, _) = plan.graph.outputs
    assert len(made.spmm((Waiver(WaiverKind.EXIT, out),))) == 2


def test_a_stem_in_front_of_an_input_lets_it_in() -> None:
    def fill(g: ModelBuilder) -> None:
        tail(g, pruned(g, g.depthwise(g.input((1, 12, 20, 8))), 16))

    made = planner(fill)
    (image,) = made.graph.inputs
    assert made.spmm(()) == frozenset() and len(made.spmm((Waiver(WaiverKind.ENTRY, image),))) == 1


def test_a_reshape_behind_a_pooling_with_keepdims_saves_its_shape() -> None:
    made = planner(lambda g: g.output(pruned(g, g.mean(trunk(g), keep_dims=True), 5, "NONE")))
    plan = made.plan()
    pooled = plan.graph.operators[op(plan, "MEAN")].outputs[0]
    assert plan.outcome is Outcome.FAILS and plan.hazards[0].fault.wrong is Wrong.OTHER_CHANNELS
    # The classifier stands behind the reshape then, outside of the cluster.
    assert len(made.spmm((Waiver(WaiverKind.RESHAPE, pooled),))) == 1


def test_a_value_read_once_does_not_break_the_cluster() -> None:
    made = planner(behind_trunk(lambda g, x: g.binary("ADD", x, x)))
    assert made.spmm(()) == frozenset()
    assert len(made.spmm((Waiver(WaiverKind.ONCE, op(made.plan(), "ADD")),))) == 2


def test_pruned_weights_count_as_zero() -> None:
    made = planner(lambda g: tail(g, g.conv2d(trunk(g), 64, fused="RELU", zeros=0.4, storage="sparse")))
    convolutions = [o.index for o in made.graph.operators if o.type == "CONV_2D"]
    # 128 weights, 102 of them zero, and 1,024, 410 of them: 512 of 1,152 are too few.
    assert made.spmm(()) == frozenset()
    assert len(made.spmm((Waiver(WaiverKind.PRUNED, convolutions[-1]),))) == 2


def test_stored_sparse_and_a_cpu_with_the_sparse_path_are_each_needed() -> None:
    assert len(planner(_dense).spmm((ENCODED,))) == 1
    elsewhere = planner(_dense, cpu="x86-avx")
    assert elsewhere.spmm((ENCODED,)) == elsewhere.spmm((CPU,)) == frozenset()
    assert len(elsewhere.spmm((ENCODED, CPU))) == 1


def test_float_in_place_of_int8_weights() -> None:
    def fill(g: ModelBuilder) -> None:
        x = g.depthwise(stem(g), fused="RELU")
        tail(g, g.conv2d(x, 16, zeros=0.8, storage="sparse_int8_direct", fused="RELU"))

    made = planner(fill)
    plan = made.plan()
    assert plan.outcome is Outcome.FAILS and plan.failure is not None and plan.partitions == []
    assert plan.failure.fault.wrong is Wrong.FILTER_WITHOUT_DATA
    assert len(made.spmm((FLOAT,))) == 1


def test_fp32_in_place_of_fp16_arithmetic() -> None:
    made = planner(behind_trunk(lambda g, x: g.unary("RELU", x)), cpu="arm64-fp16", metadata=HALF)
    assert made.spmm(()) == frozenset() and len(made.spmm((FP32,))) == 2


# -- what is done once, and what is not hidden -------------------------


def test_a_partition_is_lowered_once_for_all_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    lowered: list[int] = []
    whole = define.lower
    monkeypatch.setattr(
        define, "lower", lambda graph, part, *rest: lowered.append(part.index) or whole(graph, part, *rest)
    )
    made = planner(behind_trunk(_pow))
    for assumed in ((), (ENCODED,), (Waiver(WaiverKind.PRUNED, 3),), ()):
        made.plan(assumed)
        made.spmm(assumed)
    assert lowered == [0, 1]


def test_plans_do_not_change_each_other() -> None:
    made = planner(behind_trunk(_max_pool))
    before = made.plan()
    kernels, hazards = [k.kernel for k in before.operators], list(before.hazards)
    made.plan((Waiver(WaiverKind.COMPATIBLE, op(before, "MAX_POOL_2D")), ENCODED, CPU))
    again = made.plan()
    assert [k.kernel for k in again.operators] == kernels and again.hazards == hazards


def test_a_mistake_in_lowering_is_no_layer_of_another_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """An assumed layer of which no node can be made is an elementwise operator; one that we get wrong is a mistake."""

    def wrong(*_: object) -> None:
        raise TypeError("a mistake of ours")

    made = planner(behind_trunk(lambda g, x: g.conv2d(x, 8, fused="TANH")))
    refused = next(iter(made.plan().delegation.rejected))
    monkeypatch.setitem(OPERATORS, "CONV_2D", replace(OPERATORS["CONV_2D"], lower=wrong))
    with pytest.raises(TypeError, match="a mistake of ours"):
        Planner(made.model, made.profile).plan((Waiver(WaiverKind.DELEGATED, refused),))


def test_portable_is_the_worst_of_all_runtimes() -> None:
    """A pooling without keepdims is not delegated in the oldest runtime, and ends the cluster in the others."""
    g = ModelBuilder(7)
    g.output(g.reshape(g.mean(trunk(g)), (1, 16)))
    model = load_bytes(g.build(), "made.tflite")
    assert make_plan(model, load_profile()).outcome is Outcome.SPARSE
    worst = make_plan(model, load_profile(PORTABLE))
    assert (worst.outcome, worst.profile.runtime) == (Outcome.DENSE, "tf-2.4")
    assert worst.summary is not None and worst.summary.spmm == 0
