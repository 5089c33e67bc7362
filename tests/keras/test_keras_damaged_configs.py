"""Real configs with values changed at random: read, lowered, planned and reported, or refused in one sentence."""

from __future__ import annotations

import copy
import gzip
import json
import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import xnnlint
from tests.models import DATA, FIXTURES
from tests.rounds import some
from xnnlint.errors import ModelError
from xnnlint.keras.lower.layer_scope import Scope
from xnnlint.keras.lower.program import Value
from xnnlint.keras.lower.registry import LAYERS, Lowering
from xnnlint.keras.lower.to_graph import lower
from xnnlint.linter.findings import ModelReport
from xnnlint.loaders.keras.read_config import Unreadable, read_model
from xnnlint.loaders.keras.read_known_layers import KNOWN_LAYERS
from xnnlint.reporters.formats.json_report import document
from xnnlint.xnnpack.profile import load_profile

CASES = json.loads(gzip.decompress((DATA / "keras_lowering_cases.json.gz").read_bytes()))
VALUES: list[Any] = [
    None, True, 0, 1, -1, 2, 255, 1 << 31, 1 << 63, 0.5, 1e308, "", "same", "valid", "relu", "channels_first", "x", [],
    [0], [1, 1], [-1, -1], [None], [1, 1 << 40], [[1, 1], [1, 1]], [1, 2, 3, 4], {}, {"class_name": "x", "config": {}},
    {"class_name": "__keras_tensor__"}, [["a", 0, 0, {}]], False, 3, (1 << 31) - 1, 1e400, 2.0, 10**30, [0.5, "a"],
    [[1], [2, 3]], [[[0, 1]]], [3, 1, 2], {"value": 3}, {"config": {"value": [1, 2]}}, {"config": "relu"},
    {"class_name": ["a"], "config": {}}, {"class_name": "ReLU", "config": {"max_value": "a"}},
]  # fmt: skip
PER_GROUP = 40


def places(part: Any) -> Iterator[tuple[Any, Any]]:
    """Every container below, with each key or index of it."""
    items = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for key, value in items:
        yield part, key
        yield from places(value)


def damaged(config: Any, chance: random.Random) -> Any:
    config = copy.deepcopy(config)
    for _ in range(chance.choice([1, 1, 2, 5])):
        container, key = chance.choice(list(places(config)))
        if chance.random() < 0.8:
            container[key] = copy.deepcopy(chance.choice(VALUES))
        else:
            del container[key]
        if not config:
            break
    return config


@pytest.mark.parametrize("group", some(range(10), 3))
def test_damaged_configs(group: int, tmp_path: Path) -> None:
    read = refused = 0
    for number in range(PER_GROUP):
        chance = random.Random(f"{group}/{number}")
        case = chance.choice(CASES)
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps(damaged(case["config"], chance)))
        try:
            report: ModelReport = xnnlint.lint(path, assume_pruned=chance.choice([None, 0.8]))
        except ModelError as error:
            refused += 1
            assert "\n" not in str(error) and str(path) in str(error)
        else:
            read += 1
            assert json.dumps(document(load_profile(), [report]))
    assert read > 5 and refused > 5, "neither is the rule"


def places_in_layers(config: Any) -> Iterator[tuple[Any, Any]]:
    """Those in the configs of layers and in the arguments of their calls, but for which tensors they read."""
    for layer in config["config"]["layers"]:
        yield from places(layer["config"])
        for container, key in places(layer.get("inbound_nodes") or []):
            if isinstance(container, dict) or not isinstance(container[0], str):
                yield container, key


def test_damaged_layers() -> None:
    """Nothing but a layer's options is changed, so that most get as far as being lowered; no constant fails later."""
    unknown = 0
    for number in range(500):
        chance = random.Random(f"layers/{number}")
        case = chance.choice(CASES)
        config = copy.deepcopy(case["config"])
        container, key = chance.choice(list(places_in_layers(config)))
        container[key] = copy.deepcopy(chance.choice(VALUES))
        try:
            read = read_model(config, case["keras_version"])
        except Unreadable:
            continue
        read.has_weights = False
        model = lower(read, path="model", format="keras", assume_pruned=chance.choice([None, 0.8]))
        assert all("\n" not in reason and len(reason) < 200 for reason in model.unknown.values())
        unknown += bool(model.unknown)
        for tensor in model.main.tensors:
            if tensor.stored is not None and math.prod(tensor.shape) < 1 << 20:
                assert tensor.stored().size <= math.prod(tensor.shape)
    assert unknown > 50


def test_a_mistake_of_ours_is_no_unknown_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    def mistake(scope: Scope, tensors: list[Value]) -> Value:
        raise TypeError("a mistake")

    monkeypatch.setitem(LAYERS, "Conv2D", Lowering(mistake, same_in_training=True))
    with pytest.raises(TypeError, match="a mistake"):
        xnnlint.lint(FIXTURES / "guide_keras3.keras")


def test_every_layer_that_is_lowered_is_known_to_be_keras_s_own() -> None:
    """A file that does not say where a class comes from is read by these names. LayerScale is known by its module."""
    assert set(LAYERS) - KNOWN_LAYERS <= {"LayerScale"}


def test_a_tensor_of_an_output_that_no_layer_has(tmp_path: Path) -> None:
    """Nothing is made room for by a number in a file."""
    case = next(case for case in CASES if case["name"] == "keras2_plain")
    config = copy.deepcopy(case["config"])
    config["config"]["output_layers"][0][2] = 1 << 40
    path = tmp_path / "config_of_model.json"
    path.write_text(json.dumps(config))
    with pytest.raises(ModelError, match=f"a tensor is output {1 << 40} of layer"):
        xnnlint.lint(path)


def test_a_convolution_without_filters(tmp_path: Path) -> None:
    """No weights are no share of zeros."""
    config = copy.deepcopy(next(case for case in CASES if case["name"] == "body_se_hard_sigmoid")["config"])
    next(la for la in config["config"]["layers"] if la["config"]["name"] == "conv2d_1")["config"]["filters"] = 0
    path = tmp_path / "config_of_model.json"
    path.write_text(json.dumps(config))
    report = xnnlint.lint(path, assume_pruned=0.5)
    assert report.plan is not None and report.plan.outcome.value == "dense"
