"""Layers whose configuration holds something else than Keras writes are unknown, and nothing stumbles over them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.models import FIXTURES
from xnnlint.keras.lower.to_graph import lower
from xnnlint.linter.engine import check_model
from xnnlint.loaders.keras.read_file import read
from xnnlint.xnnpack.profile import load_profile

LSTM = {"module": "keras.layers", "class_name": "LSTM", "config": {"name": "lstm", "units": 4}}
DAMAGED: dict[str, tuple[str, dict[str, Any]]] = {
    "a wrapped layer without a name": ("Bidirectional", {"layer": {**LSTM, "class_name": {}}}),
    "a wrapped layer that is a list": ("Bidirectional", {"layer": [LSTM]}),
    "a wrapped layer of no configuration": ("Bidirectional", {"layer": {**LSTM, "config": None}}),
    "a module that is a number": ("Bidirectional", {"layer": {**LSTM, "module": 3}}),
    "a way to merge that is a dict": ("Bidirectional", {"layer": LSTM, "merge_mode": {}}),
    "units that are a list": ("LSTM", {"units": [4]}),
    "an activation that is a number": ("GRU", {"units": 4, "activation": 7}),
    "steps unrolled by a word": ("SimpleRNN", {"units": 4, "unroll": "yes", "go_backwards": {}}),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_the_layer_is_unknown(name: str, tmp_path: Path) -> None:
    _check(*DAMAGED[name], [1, 5, 3], tmp_path)


@pytest.mark.parametrize("kind", ["Reshape", "Flatten", "Dense", "Conv2D", "GlobalAveragePooling2D", "ReLU", "Softmax"])
def test_a_layer_needs_a_batch(kind: str, tmp_path: Path) -> None:
    config = {"target_shape": [4], "units": 2, "filters": 2, "kernel_size": [1, 1]}
    _check(kind, config, [], tmp_path)


def test_attention_needs_something_to_attend_to(tmp_path: Path) -> None:
    path = _write("MultiHeadAttention", {"num_heads": 2, "key_dim": 8}, [1, 4, 8], tmp_path)
    model = json.loads(path.read_text())
    history = {"shape": [1, 4, 8], "dtype": "float32", "keras_history": ["input_1", 0, 0]}
    arguments = [1000000, {"class_name": "__keras_tensor__", "config": history}]
    model["config"]["layers"][1]["inbound_nodes"] = [{"args": arguments, "kwargs": {}}]
    path.write_text(json.dumps(model))
    report = check_model(path, load_profile("litert-2.3", "arm64"))
    assert report.error is None
    assert [f.location.name for f in report.findings if f.rule == "XNN403"] == ["damaged"]


def test_a_variable_of_words_is_no_weight() -> None:
    _, model = read(FIXTURES / "guide_keras3.keras")
    convolution = next(layer for layer in model.layers if layer.class_name == "Conv2D")
    shape = convolution.weights["kernel"]().shape
    convolution.weights["kernel"] = lambda: np.full(shape, b"x")
    lowered = lower(model, path="model.keras", format="keras")
    assert [op.name for op in lowered.main.operators if op.custom_code] == [convolution.name]


@pytest.mark.parametrize("kind", ["Conv1DTranspose", "Conv2DTranspose", "Conv2D", "Dense"])
def test_more_filters_than_any_file_can_hold(kind: str, tmp_path: Path) -> None:
    shape = [1, 4, 8] if "1D" in kind else [1, 4, 4, 8]
    _check(kind, {"filters": 10**30, "units": 10**30, "kernel_size": 3, "strides": 2}, shape, tmp_path)


@pytest.mark.parametrize("steps", [0, -3])
@pytest.mark.parametrize("unroll", [True, False])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
def test_a_loop_needs_steps(kind: str, unroll: bool, steps: int, tmp_path: Path) -> None:
    _check(kind, {"units": 4, "unroll": unroll, "return_sequences": True}, [1, steps, 3], tmp_path)


def _check(kind: str, config: dict[str, Any], shape: list[int], tmp_path: Path) -> None:
    report = check_model(_write(kind, config, shape, tmp_path), load_profile("litert-2.3", "arm64"))
    assert "itself failed" not in (report.error or "")
    assert report.error or [f.location.name for f in report.findings if f.rule == "XNN403"] == ["damaged"]


def _write(kind: str, config: dict[str, Any], shape: list[int], tmp_path: Path) -> Path:
    start = {"name": "input_1", "batch_shape": shape, "dtype": "float32"}
    layers = [
        {"class_name": "InputLayer", "config": start, "name": "input_1", "inbound_nodes": []},
        {
            "class_name": kind,
            "config": {"name": "damaged", "dtype": "float32", **config},
            "name": "damaged",
            "inbound_nodes": [[["input_1", 0, 0, {}]]],
        },
    ]
    ends = {"input_layers": [["input_1", 0, 0]], "output_layers": [["damaged", 0, 0]]}
    model = {"class_name": "Functional", "config": {"name": "m", "layers": layers, **ends}, "backend": "tensorflow"}
    path = tmp_path / "model.json"
    path.write_text(json.dumps(model))
    return path


@pytest.mark.parametrize("shape", [[1, 1 << 64, 2, 3], [1, 65536, 65536, 2]], ids=["a size", "a product of sizes"])
@pytest.mark.parametrize("kind", ["Flatten", "Reshape", "ZeroPadding2D", "ReLU"])
def test_sizes_that_no_file_can_hold(kind: str, shape: list[int], tmp_path: Path) -> None:
    path = _write(kind, {"target_shape": [-1], "padding": 1}, shape, tmp_path)
    report = check_model(path, load_profile("litert-2.3", "arm64"))
    assert "itself failed" not in (report.error or "")
