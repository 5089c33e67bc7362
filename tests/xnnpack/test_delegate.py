"""What the delegate takes, why it refuses the rest, and how TFLite then splits the graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from tests.xnnpack.delegate_cases import CASES, Case
from xnnlint.linter.fault_words import fault_words
from xnnlint.loaders import load
from xnnlint.model.graph import Graph, Operator, Tensor
from xnnlint.modelbuilder.builder import ModelBuilder, Value
from xnnlint.modelbuilder.patterns import PATTERNS
from xnnlint.xnnpack.claims import delegate
from xnnlint.xnnpack.define import define
from xnnlint.xnnpack.delegate.delegation import Delegation, Failure, Partition
from xnnlint.xnnpack.lowering import lower
from xnnlint.xnnpack.planner import make_plan
from xnnlint.xnnpack.profile import Fact, Profile, load_profile
from xnnlint.xnnpack.waiver import Waiver, WaiverKind

BY_NAME = {case.name: case for case in CASES}


def graph_of(model: bytes, folder: Path) -> Graph:
    path = folder / "model.tflite"
    path.write_bytes(model)
    return load(path).main


def delegated(model: bytes, folder: Path, assume: tuple[Waiver, ...] = ()) -> tuple[Graph, Delegation]:
    graph = graph_of(model, folder)
    return graph, delegate(graph, load_profile(), assume)


def failure(graph: Graph, delegation: Delegation, profile: Profile | None = None) -> Failure | None:
    return define(graph, delegation, profile or load_profile()).failure


def type_of(graph: Graph, op: int) -> str:
    return graph.operators[op].custom_code or graph.operators[op].type


def op_named(graph: Graph, kind: str) -> int:
    return next(op.index for op in graph.operators if op.type == kind)


def tensors_of(graph: Graph, kind: str) -> set[int]:
    return {t for op in graph.operators if op.type == kind for t in op.outputs}


def tflite_ops(graph: Graph, delegation: Delegation) -> list[str]:
    return [type_of(graph, entry) for entry in delegation.schedule if isinstance(entry, int)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_refuses_exactly_what_breaks_a_condition(case: Case, tmp_path: Path) -> None:
    graph, delegation = delegated(case.build(), tmp_path)
    assert {type_of(graph, op): r.condition for op, r in delegation.rejected.items()} == case.refused
    assert all(r.required and r.actual for r in delegation.rejected.values())


@pytest.mark.parametrize("case", [c for c in CASES if c.fails], ids=lambda case: case.name)
def test_names_the_operator_that_cannot_be_defined(case: Case, tmp_path: Path) -> None:
    graph, delegation = delegated(case.build(), tmp_path)
    found = failure(graph, delegation)
    assert found is not None
    assert type_of(graph, found.op) == case.name.split(":")[0]
    assert case.fails in fault_words(found.fault)


@pytest.mark.parametrize("case", [c for c in CASES if not c.fails], ids=lambda case: case.name)
def test_finds_no_failure_where_there_is_none(case: Case, tmp_path: Path) -> None:
    assert failure(*delegated(case.build(), tmp_path)) is None


@pytest.mark.parametrize(
    ("name", "required", "actual"),
    [
        ("RESHAPE:computed shape", "constant shape tensor", "computed by PACK"),
        ("PAD:int64", "INT32", "INT64"),
        ("CONV_2D:TANH", "RELU6", "TANH"),
        ("CONV_2D:filter computed", "constant filter", "computed by NEG"),
        ("CONV_2D:filter given", "constant filter", "an input of the model"),
        ("MAX_POOL_2D:stride above filter", "strides up to the filter's size", "filter 2x2, stride 3x3"),
        ("CONCATENATION:6", "2 to 5 inputs", "6 inputs"),
        ("SOFTMAX:beta 2", "beta 1", "2"),
        ("SQUEEZE", "an operator that XNNPACK supports", "SQUEEZE"),
        ("Mystery", "an operator that XNNPACK supports", "Mystery"),
        ("SLICE:size -1", "sizes above 0", "[1, -1, 4, 6]"),
        ("FULLY_CONNECTED:version 8", "behind DENSIFY", "version 8"),
    ],
)
def test_says_what_is_required_and_what_is_there(name: str, required: str, actual: str, tmp_path: Path) -> None:
    graph, delegation = delegated(BY_NAME[name].build(), tmp_path)
    reason = next(r for op, r in delegation.rejected.items() if type_of(graph, op) == name.split(":")[0])
    assert required in reason.required
    assert actual in reason.actual


# -- partitions --------------------------------------------------------------------------------------------------------


def test_a_refused_operator_makes_two_partitions(tmp_path: Path) -> None:
    graph, delegation = delegated(BY_NAME["POW"].build(), tmp_path)
    first, power, last = delegation.schedule
    assert isinstance(first, Partition) and isinstance(last, Partition)
    assert [type_of(graph, op) for op in first.ops] == ["RELU"]
    assert power == op_named(graph, "POW")
    assert [type_of(graph, op) for op in last.ops] == ["ABS"]
    assert first.inputs == list(graph.inputs) and last.outputs == list(graph.outputs)
    assert first.outputs == [graph.operators[first.ops[0]].outputs[0]]
    assert last.inputs == [graph.operators[power].outputs[0]]


def test_an_operator_of_a_later_place_joins_an_earlier_partition(tmp_path: Path) -> None:
    g = ModelBuilder()
    x = g.input((1, 4, 6, 3))
    power = g.binary("POW", g.unary("RELU", x), x)
    g.output(g.binary("ADD", power, g.unary("NEG", x)))
    graph, delegation = delegated(g.build(), tmp_path)
    kinds = [[type_of(graph, op) for op in p.ops] for p in delegation.partitions]
    assert kinds == [["RELU", "NEG"], ["ADD"]]
    assert delegation.partitions[0].outputs == sorted(tensors_of(graph, "RELU") | tensors_of(graph, "NEG"))


def test_a_tensor_read_elsewhere_is_an_output_even_if_read_inside(tmp_path: Path) -> None:
    g = ModelBuilder()
    x = g.unary("RELU", g.input((1, 4, 6, 3)))
    g.output(g.unary("NEG", x), g.binary("POW", x, x))
    graph, delegation = delegated(g.build(), tmp_path)
    (partition,) = delegation.partitions
    assert [type_of(graph, op) for op in partition.ops] == ["RELU", "NEG"]
    assert partition.outputs == sorted(tensors_of(graph, "RELU") | tensors_of(graph, "NEG"))


# -- weights behind DENSIFY and DEQUANTIZE ----------------------------------------------------------------------------


def convolution(storage: str) -> bytes:
    g = ModelBuilder()
    g.output(g.conv2d(g.input((1, 4, 6, 8)), 4, zeros=0.75, storage=storage))
    return g.build()


@pytest.mark.parametrize(
    ("storage", "unpacked", "hint"),
    [
        ("dense", set(), False),
        ("sparse", {"DENSIFY"}, True),
        ("fp16", set(), False),
        ("int8", {"DEQUANTIZE"}, False),
        ("sparse_fp16", {"DENSIFY"}, True),
        ("sparse_int8", {"DENSIFY", "DEQUANTIZE"}, True),
    ],
)
def test_unpacks_stored_weights(storage: str, unpacked: set[str], hint: bool, tmp_path: Path) -> None:
    graph, delegation = delegated(convolution(storage), tmp_path)
    (partition,) = delegation.partitions
    assert {u.kind for u in delegation.unpacked.values()} == unpacked
    assert partition.sparse_hint is hint
    assert delegation.skipped == {op.index for op in graph.operators if op.type in ("DENSIFY", "DEQUANTIZE")}
    assert delegation.sparse_weights == (
        tensors_of(graph, "DENSIFY") | tensors_of(graph, "DEQUANTIZE") if hint else set()
    )
    assert not delegation.unwritten


def test_fp16_weights_are_handed_over_as_they_are(tmp_path: Path) -> None:
    graph, delegation = delegated(convolution("sparse_fp16"), tmp_path)
    assert delegation.aliases == dict(zip(tensors_of(graph, "DEQUANTIZE"), tensors_of(graph, "DENSIFY"), strict=True))


def test_fp16_weights_of_another_reader_are_expanded(tmp_path: Path) -> None:
    g = ModelBuilder()
    x = g.input((1, 4, 6, 8))
    weights = g.weight((4, 1, 1, 8), 8, storage="fp16")
    g.output(g.conv2d(x, 4, weights=weights), g.unary("NEG", weights))
    graph, delegation = delegated(g.build(), tmp_path)
    assert delegation.aliases == {}
    assert set(delegation.unpacked) == tensors_of(graph, "DEQUANTIZE")


@pytest.mark.parametrize(("storage", "unwritten"), [("sparse", False), ("fp16", False), ("sparse_fp16", True)])
def test_only_the_last_unpacking_goes_back_to_tflite(storage: str, unwritten: bool, tmp_path: Path) -> None:
    g = ModelBuilder()
    x = g.unary("RELU", g.input((1, 4, 6, 8)))
    g.output(g.conv2d(x, 4, zeros=0.75, storage=storage, fused="TANH"))
    graph, delegation = delegated(g.build(), tmp_path)
    assert "CONV_2D" in tflite_ops(graph, delegation)
    assert ("DEQUANTIZE" in tflite_ops(graph, delegation)) is (storage != "sparse")
    assert ("DENSIFY" in tflite_ops(graph, delegation)) is (storage == "sparse")
    assert delegation.unwritten == (tensors_of(graph, "DENSIFY") if unwritten else set())


def test_the_hint_belongs_to_the_partition_that_reads_the_weight(tmp_path: Path) -> None:
    g = ModelBuilder()
    x = g.conv2d(g.input((1, 4, 6, 8)), 8)
    x = g.binary("POW", x, x)
    g.output(g.conv2d(x, 4, zeros=0.75, storage="sparse"))
    _, delegation = delegated(g.build(), tmp_path)
    assert [p.sparse_hint for p in delegation.partitions] == [False, True]


def test_a_chain_gives_the_hint_to_the_first_partition_too(tmp_path: Path) -> None:
    g = ModelBuilder()
    x = g.conv2d(g.input((1, 4, 6, 8)), 8)
    x = g.binary("POW", x, x)
    g.output(g.conv2d(x, 4, zeros=0.75, storage="sparse_fp16"))
    _, delegation = delegated(g.build(), tmp_path)
    assert [p.sparse_hint for p in delegation.partitions] == [True, True]


# -- variables and waivers ---------------------------------------------------------------------------------------------


def test_a_waived_operator_joins_its_neighbours(tmp_path: Path) -> None:
    model = BY_NAME["SQUEEZE"].build()
    graph = graph_of(model, tmp_path)
    squeeze = op_named(graph, "SQUEEZE")
    waivers = Waiver(WaiverKind.DELEGATED, squeeze), Waiver(WaiverKind.COMPATIBLE, 0)
    delegation = delegate(graph, load_profile(), waivers)
    (partition,) = delegation.partitions
    assert delegation.rejected == {} and delegation.assumed == {squeeze} and failure(graph, delegation) is None
    assert [type_of(graph, op) for op in partition.ops] == ["RELU", "SQUEEZE", "ABS"]


def test_waiving_one_link_of_a_chain_leaves_the_others(tmp_path: Path) -> None:
    graph = graph_of(BY_NAME["RESHAPE:computed shape"].build(), tmp_path)
    reshape = op_named(graph, "RESHAPE")
    delegation = delegate(graph, load_profile(), [Waiver(WaiverKind.DELEGATED, reshape)])
    assert {type_of(graph, op) for op in delegation.rejected} == {"SHAPE", "STRIDED_SLICE", "PACK"}
    last = delegation.partitions[-1]
    assert [type_of(graph, op) for op in last.ops] == ["RESHAPE", "ABS"]


def test_a_dynamic_batch_counts_as_stored(tmp_path: Path) -> None:
    g = ModelBuilder()
    g.output(g.conv2d(g.input((1, 4, 6, 8)), 4))
    graph, delegation = delegated(g.build(dynamic_batch=True), tmp_path)
    assert graph.tensors[graph.inputs[0]].is_dynamic
    assert delegation.rejected == {} and len(delegation.partitions) == 1


def test_a_waived_operator_may_have_types_that_xnnpack_lacks(tmp_path: Path) -> None:
    graph = graph_of(BY_NAME["PAD:int64"].build(), tmp_path)
    pad = op_named(graph, "PAD")
    delegation = delegate(graph, load_profile(), [Waiver(WaiverKind.DELEGATED, pad)])
    assert failure(graph, delegation) is None and len(delegation.partitions) == 1


@pytest.mark.parametrize("shape", [(1, 0, 6, 8)])
def test_a_map_of_another_shape_is_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    g = ModelBuilder()
    x = g.input(shape)
    weights, bias = g.weight((4, 1, 1, 8), 8), g.bias(4)
    y: tuple[Value, ...] = g.op("CONV_2D", [x, weights, bias], [(1, 4, 6, 4)], version=1)
    g.output(*y)
    _, delegation = delegated(g.build(), tmp_path)
    assert len(delegation.rejected) == 1 and delegation.partitions == []


# -- the real runtime --------------------------------------------------------------------------------------------------


def assert_runtime_agrees(models: dict[str, bytes], folder: Path) -> None:
    """Operators that TFLite runs itself, in order, and the number of partitions that run anything."""
    pytest.importorskip("ai_edge_litert")
    from xnnlint.runtime.observe import observe

    paths = {}
    for number, (name, model) in enumerate(models.items()):
        path = folder / f"{number}.tflite"
        path.write_bytes(model)
        paths[str(path)] = name
    wrong = {}
    # Which operators are delegated doesn't depend on the CPU; the host's own is the fastest.
    cpu = "x86-avx" if host_has_avx() else "auto"
    for seen in observe(list(paths), cpu=cpu, reference=False, seeds=(0,)):
        graph = load(seen.path).main
        delegation = delegate(graph, load_profile())
        if seen.status != "ran":
            if failure(graph, delegation) is None and make_plan(load(seen.path), load_profile()).runs:
                wrong[paths[seen.path]] = f"{seen.status}: {seen.error}"
            continue
        observed = ([name.split()[0] for name in seen.tflite_ops], seen.kernel_indices.count(0))
        defined = define(graph, delegation, load_profile())
        busy = [subgraph for subgraph in defined.subgraphs if subgraph.nodes]
        predicted = (tflite_ops(graph, delegation), len(busy))
        if defined.failure is not None or observed != predicted:
            wrong[paths[seen.path]] = f"observed {observed}, predicted {predicted}, failure {defined.failure}"
    assert wrong == {}


def host_has_avx() -> bool:
    from xnnlint.runtime import targets

    try:
        return targets.host().cpu == "x86-avx"
    except Exception:
        return False


@pytest.mark.judge
def test_the_runtime_agrees_on_every_case(tmp_path: Path) -> None:
    assert_runtime_agrees({case.name: case.build() for case in CASES if case.runs}, tmp_path)


# tests/difftest has half of the same models run in each run of the tests, and compares how many operators are left to
# TFLite.
@pytest.mark.more
@pytest.mark.judge
def test_the_runtime_agrees_on_every_pattern(tmp_path: Path) -> None:
    assert_runtime_agrees({p.name: p.build() for p in PATTERNS.values()}, tmp_path)


def test_random_bytes_as_custom_options_are_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    for length in (0, 3, 24, 40):
        g = ModelBuilder()
        x = g.input((1, 4, 6, 3))
        g.output(g.custom_op("MaxUnpooling2D", [x, x], [(1, 8, 12, 3)], rng.bytes(length))[0])
        _, delegation = delegated(g.build(), tmp_path)
        assert {r.condition for r in delegation.rejected.values()} <= {"pool-stride", "fused-activation", "padding"}
        assert delegation.partitions == []


def variable_graph(read_shape: tuple[int, ...] = (1, 4, 6, 3)) -> Graph:
    """x -> ASSIGN_VARIABLE, READ_VARIABLE -> NEG."""
    shape = (1, 4, 6, 3)
    tensors = [
        Tensor(index, "", dtype, dims)
        for index, (dtype, dims) in enumerate(
            [("FLOAT32", shape), ("RESOURCE", ()), ("FLOAT32", read_shape), ("FLOAT32", shape)]
        )
    ]
    operators = [
        Operator(0, "VAR_HANDLE", (), (1,)),
        Operator(1, "ASSIGN_VARIABLE", (1, 0), ()),
        Operator(2, "READ_VARIABLE", (1,), (2,)),
        Operator(3, "NEG", (2,), (3,)),
    ]
    return Graph(tensors, operators, (0,), (3,))


def test_variables_are_delegated_with_their_handle() -> None:
    graph = variable_graph()
    delegation = delegate(graph, load_profile())
    (partition,) = delegation.partitions
    assert partition.ops == [0, 1, 2, 3] and delegation.rejected == {}
    subgraph = lower(graph, partition, delegation, load_profile())
    assert [n.type for n in subgraph.nodes] == ["copy", "copy", "unary_elementwise"]
    variable = next(v for v in subgraph.values if v.tensor == 1)
    assert (variable.dtype, variable.shape) == ("fp32", (1, 4, 6, 3))
    assert variable.external_input and variable.external_output


def test_a_variable_of_two_shapes_is_refused() -> None:
    delegation = delegate(variable_graph((1, 4, 18)), load_profile())
    assert {op: r.condition for op, r in delegation.rejected.items()} == {2: "variable"}


# -- other runtimes ----------------------------------------------------------------------------------------------------


def with_facts(**changes: object) -> Profile:
    profile = load_profile()
    return replace(profile, facts=profile.facts | {name: Fact(value, "test", "run") for name, value in changes.items()})


@pytest.mark.parametrize(
    ("name", "facts", "refused"),
    [
        ("LOG", {"undelegated_operators": ["LOG"]}, {"LOG": "operator-type"}),
        ("GELU", {"undelegated_options": [["GELU", "approximate", True]]}, {}),
        ("GELU:approximate", {"undelegated_options": [["GELU", "approximate", True]]}, {"GELU": "option"}),
        ("CONV_2D:fp16 filter", {"fp16_filter_with_fp32_bias": False}, {"CONV_2D": "bias"}),
        ("CONV_2D:fp16 filter", {"filter_and_bias_types_checked": False}, {}),
        ("CONV_2D:fp16 bias", {"fp16_weights_handed_over": False}, {}),
        ("RESHAPE:-1", {"reshape_to_one_unknown_dimension": True}, {}),
        ("SUM", {"reduce_as_global_pooling": True}, {"SUM": "axes"}),
        ("MEAN", {"reduce_as_global_pooling": True}, {}),
        ("MEAN", {"mean_needs_keep_dims": True}, {"MEAN": "keep-dims"}),
        ("FULLY_CONNECTED:weights given", {"dynamic_fully_connected": True}, {}),
    ],
)
def test_facts_of_other_runtimes(name: str, facts: dict[str, object], refused: dict[str, str], tmp_path: Path) -> None:
    graph = graph_of(BY_NAME[name].build(), tmp_path)
    delegation = delegate(graph, with_facts(**facts))
    assert {type_of(graph, op): r.condition for op, r in delegation.rejected.items()} == refused


def test_weights_of_two_types_that_are_not_checked_fail_to_load(tmp_path: Path) -> None:
    profile = with_facts(filter_and_bias_types_checked=False, depthwise_fp16_filter_with_fp32_bias=False)
    for name, fails in (("CONV_2D:fp16 bias", True), ("CONV_2D:fp16", False), ("DEPTHWISE_CONV_2D:fp16", True)):
        graph = graph_of(BY_NAME[name].build(), tmp_path)
        assert (failure(graph, delegate(graph, profile), profile) is not None) is fails, name


@pytest.mark.parametrize(("axes", "pooled"), [((1, 2), True), ((2, 1), True), ((-2, -3), False), ((1, 2, 3), False)])
def test_global_pooling_of_old_delegates(axes: tuple[int, ...], pooled: bool, tmp_path: Path) -> None:
    g = ModelBuilder()
    g.output(g.mean(g.input((1, 4, 6, 3)), axes, keep_dims=True))
    graph, profile = graph_of(g.build(), tmp_path), with_facts(reduce_as_global_pooling=True)
    delegation = delegate(graph, profile)
    (node,) = lower(graph, delegation.partitions[0], delegation, profile).nodes
    assert node.type == ("global_average_pooling_2d" if pooled else "static_mean")
    assert node.params["keep_dims"] is True
