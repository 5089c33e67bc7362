"""Real configs with values changed at random: read, lowered, planned and reported, or refused in one sentence."""

from __future__ import annotations

import copy
import gzip
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import xnnlint
from xnnlint.errors import ModelError
from xnnlint.linter.findings import ModelReport
from xnnlint.reporters.json import document
from xnnlint.xnnpack.profile import load_profile

CASES = json.loads(gzip.decompress(Path(__file__).with_name("keras_lowering_cases.json.gz").read_bytes()))
VALUES: list[Any] = [
    None, True, 0, 1, -1, 2, 255, 1 << 31, 1 << 63, 0.5, 1e308, "", "same", "valid", "relu", "channels_first", "x", [],
    [0], [1, 1], [-1, -1], [None], [1, 1 << 40], [[1, 1], [1, 1]], [1, 2, 3, 4], {}, {"class_name": "x", "config": {}},
    {"class_name": "__keras_tensor__"}, [["a", 0, 0, {}]],
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


@pytest.mark.parametrize("group", range(10))
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
