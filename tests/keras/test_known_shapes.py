"""Layers that are not lowered, and what is behind them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from xnnlint.linter.engine import find
from xnnlint.loaders import load
from xnnlint.xnnpack.planner import make_plan
from xnnlint.xnnpack.profile import load_profile

LAYERS = [
    ("LSTM", {"units": 5}),
    ("LSTM", {"units": 5, "return_sequences": True}),
    ("GRU", {"units": 7}),
    ("SimpleRNN", {"units": 2, "return_sequences": True}),
    ("Conv1DTranspose", {"filters": 4, "kernel_size": 3, "dilation_rate": 2}),
]


@pytest.mark.tensorflow
@pytest.mark.parametrize("dialect", ["keras", "tf_keras"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_shapes_are_those_of_keras(dialect: str, wrapped: bool, tmp_path: Path) -> None:
    import importlib

    keras = importlib.import_module(dialect)
    for name, config in LAYERS if not wrapped else LAYERS[:4]:
        layer = getattr(keras.layers, name)(**config)
        made = keras.layers.Bidirectional(layer) if wrapped else layer
        inputs = keras.Input((10, 3))
        model = keras.Model(inputs, keras.layers.ReLU()(made(inputs)))
        path = tmp_path / "m.keras"
        model.save(path)
        read = load(path)
        (relu,) = (op for op in read.main.operators if op.type == "RELU")
        assert read.main.tensors[relu.inputs[0]].shape == (1, *model.output_shape[1:]), (name, config)
        assert list(read.unknown) == [made.name] and not read.behind


def sequential(*layers: dict[str, Any]) -> dict[str, Any]:
    """The config of a Keras 2 model; its first layer has the input's shape."""
    return {"class_name": "Sequential", "config": {"name": "net", "layers": list(layers)}}


def layer(class_name: str, name: str, **config: Any) -> dict[str, Any]:
    return {"class_name": class_name, "config": {"name": name, **config}}


def test_one_unknown_layer_is_one_finding(tmp_path: Path) -> None:
    """Nobody knows its shape here, and so nothing of the layers behind it."""
    after = [layer("Conv2D", f"conv{n}", filters=4, kernel_size=[1, 1]) for n in range(5)]
    shape = [None, 4, 8, 8, 3]
    odd = layer("ConvLSTM2D", "odd", filters=4, kernel_size=[3, 3], batch_input_shape=shape)
    (tmp_path / "m.json").write_text(json.dumps(sequential(odd, *after)))
    model = load(tmp_path / "m.json")
    (told,) = (f for f in find(make_plan(model, load_profile())) if f.rule == "XNN403")
    assert told.location.name == "odd"
    assert told.actual.endswith("its shape is needed for conv0, conv1 and 3 more")
    assert set(model.behind) == {f"conv{n}" for n in range(5)} and set(model.behind.values()) == {"odd"}
