"""Random models, their recipes, the hunt and the shrinking; and the hunt itself over fixed seeds, judged by LiteRT."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
import tflite

from tests.difftest import hunt as hunt_module
from tests.difftest.__main__ import main
from tests.difftest.compare import Prediction, compare, convolutions, plan_predictor
from tests.difftest.generate import random_model, random_recipe
from tests.difftest.hunt import Case, Tally, hunt, pattern_cases, random_cases
from tests.difftest.recipe import CONSTANT_SHAPES, STEPS, Recipe, Session, build, zero_count
from tests.difftest.shrink import shrink
from tests.difftest.writer import ENCODINGS, SMOOTH_REFUSED, SMOOTH_UNARY
from tests.rounds import every, some
from xnnlint.modelbuilder.builder import ModelBuilder
from xnnlint.modelbuilder.pattern_registry import pattern
from xnnlint.modelbuilder.patterns import PATTERNS
from xnnlint.runtime.execution import Execution
from xnnlint.runtime.observation import Observation

FIXED_SEEDS = 320
CHUNKS = 8
FIRST_CHUNKS = 2


def operators(model: bytes) -> list[int]:
    parsed = tflite.Model.GetRootAs(model, 0)
    subgraph = parsed.Subgraphs(0)
    codes = [parsed.OperatorCodes(subgraph.Operators(i).OpcodeIndex()) for i in range(subgraph.OperatorsLength())]
    return [max(code.BuiltinCode(), code.DeprecatedBuiltinCode()) for code in codes]


# -- random models -------------------------------------------------------------------------------------------


def test_a_seed_is_a_model() -> None:
    assert random_model(11) == random_model(11)
    assert random_model(11)[0] != random_model(12)[0]


@pytest.mark.parametrize("seed", range(12))
def test_a_recipe_survives_json_and_gives_the_same_file(seed: int) -> None:
    model, recipe = random_model(seed)
    assert build(Recipe.from_json(recipe.to_json())) == model


@pytest.mark.parametrize("seed", range(12))
def test_any_step_can_be_dropped(seed: int) -> None:
    recipe = random_recipe(seed)
    for step in recipe.steps:
        smaller = recipe.without({step["id"]})
        assert len(smaller.steps) == len(recipe.steps) - 1
        assert operators(build(smaller))
    empty = recipe.without({step["id"] for step in recipe.steps})
    assert operators(build(empty)) == [tflite.BuiltinOperator.RELU]


def test_dropping_a_step_leaves_the_weights_of_others_alone() -> None:
    recipe = Recipe(
        seed=5,
        inputs=[[1, 8, 9, 4]],
        steps=[
            {"id": 0, "op": "unary", "in": [-1], "code": "TANH"},
            {"id": 1, "op": "conv2d", "in": [0], "filters": 6, "kernel": [1, 1], "zeros": 0.5, "storage": "dense"},
        ],
        outputs=[1],
    )
    whole, part = Session(recipe), Session(recipe.without({0}))
    for session in (whole, part):
        for step in session.recipe.steps:
            session.apply(step)
    kernels = [next(t.data for t in s.builder.tensors if t.name.endswith("kernel")) for s in (whole, part)]
    assert kernels[0].tobytes() == kernels[1].tobytes()


def test_a_step_that_does_not_apply_hands_its_input_on() -> None:
    recipe = Recipe(inputs=[[1, 4, 4, 3]], outputs=[1])
    recipe.steps = [
        {"id": 0, "op": "depth_to_space", "in": [-1], "block": 2},  # 3 channels aren't a multiple of 4
        {"id": 1, "op": "unary", "in": [0], "code": "ABS"},
    ]
    assert operators(build(recipe)) == [tflite.BuiltinOperator.ABS]


@pytest.mark.parametrize(
    ("zeros", "size", "expected"),
    [
        ("2/3", 96, 64),
        ("2/3-1", 96, 63),
        ("2/3+1", 96, 65),
        ("2/3", 100, 66),
        (0.8, 100, 80),
        (0.0, 7, 0),
        ("2/3+1", 1, 1),
    ],
)
def test_zero_count(zeros: float | str, size: int, expected: int) -> None:
    assert zero_count(zeros, size) == expected


def test_random_models_cover_what_they_should() -> None:
    recipes = [random_recipe(seed) for seed in range(700)]
    steps = [step for recipe in recipes for step in recipe.steps]
    assert {step["op"] for step in steps} == {*STEPS, "part"}
    assert {step["what"] for step in steps if step["op"] == "refused"} >= set(SMOOTH_REFUSED)
    assert {step["code"] for step in steps if step["op"] == "unary"} >= set(SMOOTH_UNARY)
    assert {step["shape"] for step in steps if step["op"] == "constant"} == set(CONSTANT_SHAPES)
    storages = {step["storage"] for step in steps if step["op"] == "conv2d" and "storage" in step}
    assert storages == {"sparse", "dense", "fp16", "sparse_fp16", "int8", "sparse_int8", "int8_direct"}
    encodings = {(step["storage"], step["block"]) for step in steps if "block" in step and "storage" in step}
    assert encodings == ENCODINGS.keys()
    zeros = {step.get("zeros") for step in steps if step["op"] == "conv2d"}
    assert {"2/3", "2/3-1", "2/3+1", 0.0} <= zeros
    assert {len(step["in"]) for step in steps if step["op"] == "concat"} == {2, 3, 4, 5, 6}
    assert any(step["op"] == "binary" and step["in"][0] == step["in"][1] for step in steps)
    axes = {tuple(sorted(a % 4 for a in s["axes"])) for s in steps if s["op"] == "reduce"}
    assert len(axes) == 15, "every set of axes"
    for feature in ("shuffle_operators", "shuffle_tensors"):
        assert 0.15 < sum(getattr(r, feature) is not None for r in recipes) / len(recipes) < 0.4
    assert any(recipe.dynamic_batch for recipe in recipes)
    assert any(len(recipe.inputs) > 1 for recipe in recipes)
    assert any(len(recipe.outputs) > 2 for recipe in recipes)
    sizes = Counter(recipe.inputs[0][1] == recipe.inputs[0][2] for recipe in recipes)
    assert not sizes[True], "equal height and width would hide layout errors"


def test_two_patterns_cannot_share_a_name() -> None:
    with pytest.raises(ValueError, match="base"):
        pattern("base", "base", "again")(lambda g: None)
    assert PATTERNS["base"].text != "again"


@pytest.mark.judge
def test_random_models_run_in_the_dense_reference(tmp_path: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    from xnnlint.runtime.references import dense_copy

    path = tmp_path / "model.tflite"

    resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    for seed in range(150):
        path.write_bytes(random_model(seed)[0])
        # What TFLite's own kernels would misread is stored dense for them.
        data = dense_copy(str(path)) or path.read_bytes()
        interpreter = Interpreter(model_content=data, experimental_op_resolver_type=resolver)
        interpreter.allocate_tensors()
        interpreter.invoke()


# -- comparing -----------------------------------------------------------------------------------------------

OBSERVED = Observation(
    path="model.tflite",
    status="ran",
    error=None,
    kernels=("Convolution (NCHW, F32) SPMM", "Clamp (NC)"),
    kernel_indices=(0, 1),
    tflite_ops=("SQUEEZE",),
    outputs=(),
    reference="kernels",
    reference_error=None,
    litert="2.3.0",
    cpu="x86-sse",
    execution=Execution.MASKED,
    outcome="sparse",
    undecided=None,
    seconds=0.1,
)
PREDICTED = Prediction("sparse", ("Convolution (NCHW, F32) SPMM", "Clamp (NC)"), 1)


@pytest.mark.parametrize(
    ("prediction", "changes", "differs"),
    [
        (PREDICTED, {}, ()),
        (replace(PREDICTED, outcome="dense"), {}, ("outcome",)),
        (replace(PREDICTED, operators=("Convolution (NCHW, F32) SPMM",)), {}, ("operators",)),
        (replace(PREDICTED, operators=("Clamp (NC)", "Convolution (NHWC, F32) IGEMM")), {}, ("kernels", "operators")),
        (replace(PREDICTED, tflite_ops=0), {}, ("tflite-ops",)),
        (Prediction(None, error="no"), {}, ("error",)),
        (replace(PREDICTED, outcome="fails"), {"outcome": "fails", "kernels": None, "tflite_ops": None}, ()),
        (PREDICTED, {"outcome": None, "undecided": "no reference"}, ()),
    ],
)
def test_compare(prediction: Prediction, changes: dict[str, Any], differs: tuple[str, ...]) -> None:
    assert compare("m", prediction, msgspec.structs.replace(OBSERVED, **changes)).differs == differs


def test_convolutions_are_picked_by_name() -> None:
    names = ("Convolution (NHWC, F32) DWConv", "Add (ND)", "Fully Connected (NC, F32) GEMM", "Max Pooling (NHWC, F32)")
    assert convolutions(names) == (names[0], names[2])


# -- the hunt ------------------------------------------------------------------------------------------------


class FakeObserver:
    """Observes OBSERVED, whatever the model; counts."""

    asked = 0

    def __init__(self, **options: Any) -> None:
        pass

    def __call__(self, path: Path) -> Observation:
        assert path.read_bytes()[4:8] == b"TFL3"
        FakeObserver.asked += 1
        return OBSERVED

    def close(self) -> None:
        pass


@pytest.fixture
def fake_observer(monkeypatch: pytest.MonkeyPatch) -> type[FakeObserver]:
    monkeypatch.setattr(hunt_module, "Observer", FakeObserver)
    FakeObserver.asked = 0
    return FakeObserver


def test_a_hunt_keeps_disagreements_with_both_views(fake_observer: type[FakeObserver], tmp_path: Path) -> None:
    tally = hunt(random_cases(3, 4), lambda path: replace(PREDICTED, outcome="dense"), tmp_path, jobs=2)
    assert sorted(line["name"] for line in tally.disagreements) == ["3", "4", "5", "6"]
    place = tmp_path / "disagreements" / "5"
    views = json.loads((place / "views.json").read_text())
    assert (views["predicted"]["outcome"], views["observed"]["outcome"]) == ("dense", "sparse")
    recipe = Recipe.from_json((place / "recipe.json").read_text())
    assert build(recipe) == (place / "model.tflite").read_bytes() == random_model(5)[0]


def test_a_hunt_goes_on_where_it_was_stopped(fake_observer: type[FakeObserver], tmp_path: Path) -> None:
    def predict(path: Path) -> Prediction:
        return PREDICTED

    hunt(random_cases(0, 3), predict, tmp_path)
    with (tmp_path / "progress.jsonl").open("a") as log:
        log.write('{"name": "3", "predi')  # killed while writing
    assert fake_observer.asked == 3
    tally = hunt(random_cases(0, 5), predict, tmp_path)
    assert fake_observer.asked == 5
    assert [line["name"] for line in tally.lines] == ["0", "1", "2", "3", "4"]
    again = hunt(random_cases(0, 5), predict, tmp_path)
    assert fake_observer.asked == 5
    assert len(again.lines) == 5


def test_an_error_that_the_weights_hide_is_looked_for_with_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wrong = replace(PREDICTED, outcome="wrong-results")
    answers = iter([OBSERVED, OBSERVED, msgspec.structs.replace(OBSERVED, outcome="wrong-results")])
    asked: list[bytes] = []

    class Hiding(FakeObserver):
        def __call__(self, path: Path) -> Observation:
            asked.append(path.read_bytes())
            return next(answers)

    monkeypatch.setattr(hunt_module, "Observer", Hiding)
    tally = hunt(random_cases(2, 1), lambda path: wrong, tmp_path)
    assert tally.lines[0]["hidden"] == 2, "the second of the other weights showed it"
    assert not tally.disagreements
    assert "1 predicted wrong results show only with other random weights" in tally.summary()
    assert len(set(asked)) == 3
    assert len({tuple(operators(model)) for model in asked}) == 1, "the same graph"


def test_an_error_that_no_weights_show_is_a_disagreement(fake_observer: type[FakeObserver], tmp_path: Path) -> None:
    tally = hunt(random_cases(2, 1), lambda path: replace(PREDICTED, outcome="wrong-results"), tmp_path)
    assert fake_observer.asked == 1 + hunt_module.OTHER_WEIGHTS
    assert tally.lines[0]["differs"] == ["outcome"]


def test_summary_says_how_many_of_what() -> None:
    tally = Tally(
        [
            {"name": "1", "predicted": "sparse", "observed": "sparse", "spmm": 4, "undecided": None, "differs": []},
            {
                "name": "2",
                "predicted": "dense",
                "observed": "fails",
                "spmm": None,
                "undecided": None,
                "differs": ["outcome"],
            },
            {"name": "3", "predicted": "dense", "observed": None, "spmm": 0, "undecided": "timeout: x", "differs": []},
        ]
    )
    text = tally.summary()
    assert "3 models: 1 sparse, 1 fails, 1 undecided; 4 SpMM operators" in text
    assert "disagreements: 1 in outcome, 0 in convolution" in text
    assert "undecided: 1 timeout (3)" in text
    assert "  2: predicted dense, observed fails; outcome" in text


def test_a_planner_that_breaks_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object) -> None:
        raise KeyError("surprise")

    monkeypatch.setattr("xnnlint.xnnpack.planner.make_plan", broken)
    path = tmp_path / "model.tflite"
    path.write_bytes(random_model(0)[0])
    prediction = plan_predictor("litert-2.3", "x86-sse")(path)
    assert prediction.outcome is None
    assert prediction.error == "KeyError: 'surprise'"


def test_models_can_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--write", str(tmp_path), "--graphs", "2", "--seed", "8"]) == 0
    assert (tmp_path / "8.tflite").read_bytes() == random_model(8)[0]
    assert (tmp_path / "9.json").exists()
    assert "2 models" in capsys.readouterr().out


# -- shrinking -----------------------------------------------------------------------------------------------


def seed_with(op: str) -> Recipe:
    for seed in range(500):
        recipe = random_recipe(seed)
        if len(recipe.steps) > 12 and any(step["op"] == op for step in recipe.steps):
            return recipe
    raise AssertionError(f"no random graph with {op}")


@pytest.mark.parametrize("op", ["softmax", "transpose_conv", "concat"])
def test_shrinking_leaves_what_is_needed(op: str) -> None:
    code = {
        "softmax": tflite.BuiltinOperator.SOFTMAX,
        "transpose_conv": tflite.BuiltinOperator.TRANSPOSE_CONV,
        "concat": tflite.BuiltinOperator.CONCATENATION,
    }[op]
    small = shrink(seed_with(op), lambda model: code in operators(model))
    assert [step["op"] for step in small.steps] == [op]
    assert (small.shuffle_operators, small.shuffle_tensors, small.dynamic_batch) == (None, None, False)
    assert len(small.outputs) == 1


def test_shrinking_keeps_two_things_that_belong_together() -> None:
    def both(model: bytes) -> bool:
        found = operators(model)
        return tflite.BuiltinOperator.MEAN in found and tflite.BuiltinOperator.DEPTHWISE_CONV_2D in found

    recipe = next(r for r in map(random_recipe, range(100)) if len(r.steps) > 15 and both(build(r)))
    small = shrink(recipe, both)
    assert sorted(step["op"] for step in small.steps) == ["depthwise", "reduce"]


def test_shrinking_needs_a_disagreement() -> None:
    with pytest.raises(ValueError, match="doesn't disagree"):
        shrink(random_recipe(0), lambda model: False)


# -- prediction and real runtime -----------------------------------------------------------------------------


def judged(cases: list[Case], folder: Path) -> list[dict[str, Any]]:
    from xnnlint.runtime import targets

    predictor = plan_predictor("litert-2.3", targets.resolve().cpu)
    tally = hunt(cases, predictor, folder, seeds=(0, 1))
    assert len(tally.lines) == len(cases)
    assert not any(line["undecided"] for line in tally.lines), tally.summary()
    assert not tally.disagreements, tally.summary()
    return tally.lines


@pytest.mark.judge
@pytest.mark.parametrize("chunk", some(range(CHUNKS), FIRST_CHUNKS))
def test_random_models_do_what_was_predicted(chunk: int, tmp_path: Path) -> None:
    count = FIXED_SEEDS // CHUNKS
    lines = judged(random_cases(chunk * count, count), tmp_path)
    assert sum(line["observed"] != "dense" for line in lines) > count // 5, "too few live clusters to show anything"


@pytest.mark.judge
@pytest.mark.parametrize("chunk", every(2, range(CHUNKS)))
def test_hand_made_models_do_what_was_predicted(chunk: int, tmp_path: Path) -> None:
    lines = judged(pattern_cases()[chunk::CHUNKS], tmp_path)
    outcomes = Counter(line["observed"] for line in lines)
    assert min(outcomes[o] for o in ("sparse", "dense", "wrong-results", "fails")) >= 2


@pytest.mark.judge
@pytest.mark.parametrize(("before", "outcome"), [("RELU", "sparse"), ("NONE", "wrong-results")])
def test_a_clamp_that_changes_nothing_may_miss_elements(before: str, outcome: str, tmp_path: Path) -> None:
    """The pooling reports a shape with 14 channels of 31, and the RELU behind it works in place on that many."""

    def build_one() -> tuple[bytes, None]:
        g = ModelBuilder()
        x = g.conv2d(g.pad(g.input((1, 25, 29, 3))), 14, kernel=3, stride=2)
        x = g.conv2d(x, 31, zeros=0.8, storage="sparse", fused=before)
        x = g.unary("RELU", g.mean(x, keep_dims=True))
        x = g.mean(g.conv2d(x, 6, zeros=0.8, storage="sparse"))
        g.output(g.fully_connected(x, 5))
        return g.build(), None

    (line,) = judged([Case("model", build_one)], tmp_path)
    assert line["observed"] == outcome
