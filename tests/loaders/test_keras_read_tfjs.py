"""TensorFlow.js layers models, and .keras archives with weights that are not read."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xnnlint.errors import ModelError
from xnnlint.loaders import load
from xnnlint.model.weights import decode

RNG = np.random.default_rng(0)
KERNEL = RNG.normal(size=(1, 1, 3, 4)).astype(np.float32)
BIAS = RNG.normal(size=4).astype(np.float32)
LAYER = {
    "class_name": "Conv2D",
    "config": {"name": "conv", "filters": 4, "kernel_size": [1, 1], "batch_input_shape": [None, 8, 8, 3]},
}
TOPOLOGY = {
    "keras_version": "2.4.0",
    "model_config": {"class_name": "Sequential", "config": {"name": "net", "layers": [LAYER]}},
}


def write(folder: Path, weights: list[dict[str, Any]], data: bytes, cuts: tuple[int, ...] = ()) -> Path:
    """model.json and its shards, which begin at the places where the data is cut."""
    ends = [*cuts, len(data)]
    names = [f"shard{number}.bin" for number in range(len(ends))]
    for name, start, end in zip(names, [0, *cuts], ends, strict=True):
        (folder / name).write_bytes(data[start:end])
    manifest = [{"paths": names, "weights": weights}]
    entry = {"format": "layers-model", "modelTopology": TOPOLOGY, "weightsManifest": manifest}
    (folder / "model.json").write_text(json.dumps(entry))
    return folder / "model.json"


def stored(dtype: str = "float32", **quantization: Any) -> list[dict[str, Any]]:
    more = {"quantization": {"dtype": dtype, **quantization}} if quantization else {}
    return [
        {"name": "conv/kernel", "shape": [1, 1, 3, 4], "dtype": "float32", **more},
        {"name": "conv/bias", "shape": [4], "dtype": "float32"},
    ]


def kernel_of(path: Path) -> np.ndarray:
    graph = load(path).main
    (conv,) = (op for op in graph.operators if op.type == "CONV_2D")
    return np.moveaxis(decode(graph, conv.inputs[1]), 0, -1)


def test_weights_are_put_together_from_shards(tmp_path: Path) -> None:
    path = write(tmp_path, stored(), KERNEL.tobytes() + BIAS.tobytes(), cuts=(10, 31))
    assert (kernel_of(path) == KERNEL).all()


def test_quantized_weights(tmp_path: Path) -> None:
    numbers = RNG.integers(0, 256, KERNEL.shape).astype(np.uint8)
    path = write(tmp_path, stored("uint8", scale=0.5, min=-3.0), numbers.tobytes() + BIAS.tobytes())
    assert np.allclose(kernel_of(path), numbers * 0.5 - 3.0)


def test_a_shard_is_missing(tmp_path: Path) -> None:
    path = write(tmp_path, stored(), KERNEL.tobytes() + BIAS.tobytes())
    (tmp_path / "shard0.bin").unlink()
    with pytest.raises(ModelError, match=r"'shard0.bin'.*is missing"):
        load(path)


def test_other_folders_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(64))
    path = write(tmp_path / "inner", stored(), KERNEL.tobytes() + BIAS.tobytes())
    path.write_text(path.read_text().replace("shard0.bin", "../secret.bin"))
    with pytest.raises(ModelError, match="is missing"):
        load(path)


def test_weights_end_behind_the_last_shard(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="end behind the last shard"):
        load(write(tmp_path, stored(), KERNEL.tobytes()))


def test_a_graph_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text(json.dumps({"format": "graph-model", "modelTopology": {"node": []}}))
    with pytest.raises(ModelError, match=r"TensorFlow\.js graph model"):
        load(tmp_path / "model.json")


def test_pickled_weights_are_named_and_not_loaded(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("config.json", json.dumps(TOPOLOGY["model_config"]))
        archive.writestr("metadata.json", json.dumps({"keras_version": "2.12.0"}))
        archive.writestr("model.weights.npz", b"PK\x05\x06" + bytes(18))
    with pytest.raises(ModelError, match=r"pickled objects in model\.weights\.npz, which are never loaded"):
        load(tmp_path / "m.keras")
