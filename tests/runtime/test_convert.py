"""xnnlint convert: the .tflite file that comes out is sparse where the model is pruned, and runs."""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from tests.cli.program import spawn
from tests.models import FIXTURES
from xnnlint.cli import app as cli
from xnnlint.linter.engine import check_model
from xnnlint.loaders import load
from xnnlint.model.graph import Graph
from xnnlint.reporters.json_document import published_schema
from xnnlint.runtime import tensorflow_converter as convert
from xnnlint.runtime.verify import choose, verify_each
from xnnlint.xnnpack.plan import Outcome
from xnnlint.xnnpack.profile import DEFAULT_CPU, DEFAULT_RUNTIME, load_profile

# tf_keras's archive, its legacy file, the same with pruning wrappers, and Keras 3's archive.
GUIDES = ("guide_sparse.keras", "guide_sparse.h5", "guide_wrapped.h5", "guide_keras3.keras")


def run(capsys: Any, monkeypatch: Any, *arguments: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["xnnlint", "convert", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code, *capsys.readouterr()


def graph(path: Path) -> Graph:
    return load(path).main


def pointwise_filters(graph: Graph) -> list[Any]:
    """The filters of 1x1 convolutions, through the DENSIFY and DEQUANTIZE that stand in front of encoded ones."""
    makers = {output: op for op in graph.operators for output in op.outputs}
    found = []
    for op in graph.operators:
        if op.type == "CONV_2D" and graph.tensors[op.inputs[1]].shape[1:3] == (1, 1):
            tensor = op.inputs[1]
            while tensor in makers:
                tensor = makers[tensor].inputs[0]
            found.append(graph.tensors[tensor])
    return found


# --- with TensorFlow -------------------------------------------------------------------------------------------------


@pytest.mark.tensorflow
@pytest.mark.judge
@pytest.mark.parametrize("name", GUIDES)
def test_a_pruned_model_becomes_a_sparse_file_that_runs(name, tmp_path, capsys, monkeypatch):
    target = tmp_path / "model.tflite"
    exit_code, out, error = run(capsys, monkeypatch, str(FIXTURES / name), "-o", str(target))
    assert exit_code == 0 and "sparse: 2 of 2 1x1 convolutions" in out and f"wrote {target}" in error
    assert [tensor.sparsity is not None for tensor in pointwise_filters(graph(target))] == [True, True]
    # Nothing of the pruning wrappers is left: a mask would be multiplied, a threshold compared.
    assert {op.type for op in graph(target).operators} <= {
        "DENSIFY", "PAD", "CONV_2D", "DEPTHWISE_CONV_2D", "MEAN", "RESHAPE", "FULLY_CONNECTED",
        "SHAPE", "STRIDED_SLICE", "PACK",
    }  # fmt: skip
    (seen,) = verify_each([str(target)], choose(seeds=1))
    assert seen.agrees and seen.observation.outcome == "sparse" and seen.observation.spmm == 2


@pytest.mark.tensorflow
def test_programs_get_one_document_and_nobody_the_log_of_tensorflow(tmp_path):
    target = tmp_path / "model.tflite"
    model = str(FIXTURES / "guide_sparse.keras")
    done = spawn("convert", model, "-o", str(target), "--format", "json", timeout=300)
    document = json.loads(done.stdout)
    jsonschema.Draft202012Validator(published_schema("report")).validate(document)
    assert [(model["path"], model["outcome"]) for model in document["models"]] == [(str(target), "sparse")]
    assert done.stderr == f"xnnlint: wrote {target}, {target.stat().st_size} bytes\n"


@pytest.mark.tensorflow
def test_wrappers_in_an_archive_are_stripped(tmp_path):
    import tensorflow_model_optimization as tfmot
    import tf_keras as keras

    model = keras.models.load_model(FIXTURES / "guide_sparse.keras", compile=False)
    sparsity = tfmot.sparsity.keras
    wrapped = sparsity.prune_low_magnitude(
        model,
        pruning_policy=sparsity.PruneForLatencyOnXNNPack(),
        pruning_schedule=sparsity.ConstantSparsity(0.8, 0),
    )
    wrapped.save(tmp_path / "wrapped.keras")
    (tmp_path / "model.tflite").write_bytes(convert.convert(tmp_path / "wrapped.keras"))
    report = check_model(tmp_path / "model.tflite", load_profile(DEFAULT_RUNTIME, DEFAULT_CPU))
    assert report.plan is not None and report.plan.outcome is Outcome.SPARSE
    assert report.plan.summary.pointwise_zeros >= 0.79 * report.plan.summary.pointwise_params


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["guide_sparse.keras", "guide_keras3.keras"])
def test_the_batch_is_as_it_is_asked_for(name, tmp_path):
    for batch, signature in ((None, -1), (3, 3)):
        (tmp_path / "model.tflite").write_bytes(convert.convert(FIXTURES / name, batch=batch))
        converted = graph(tmp_path / "model.tflite")
        assert converted.tensors[converted.inputs[0]].shape_signature == (signature, 32, 32, 3)


@pytest.mark.tensorflow
@pytest.mark.judge
@pytest.mark.parametrize("package", ["tf_keras", "keras"])
def test_a_fixed_batch_stays_fixed(package, tmp_path):
    keras = pytest.importorskip(package)
    image = keras.Input((8, 8, 4), batch_size=2)
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(8, 1, activation="relu")(image))
    keras.Model(image, keras.layers.Dense(3)(pooled)).save(tmp_path / "model.keras")
    target = tmp_path / "model.tflite"
    for batch, expected in ((None, 2), (3, 3)):
        target.write_bytes(convert.convert(tmp_path / "model.keras", batch=batch))
        converted = graph(target)
        sizes = {converted.tensors[t].shape_signature[0] for t in (*converted.inputs, *converted.outputs)}
        assert sizes == {expected}
        (seen,) = verify_each([str(target)], choose(seeds=1))
        assert seen.agrees


@pytest.mark.tensorflow
@pytest.mark.judge
@pytest.mark.parametrize(("name", "option"), [("guide_sparse.keras", "--float16"), ("guide_keras3.keras", "--fp16")])
def test_weights_can_be_stored_as_float16(name, option, tmp_path, capsys, monkeypatch):
    target = tmp_path / "model.tflite"
    exit_code, _, _ = run(capsys, monkeypatch, str(FIXTURES / name), "-o", str(target), option)
    filters = pointwise_filters(graph(target))
    assert exit_code == 0 and [(t.dtype, t.sparsity is not None) for t in filters] == [("FLOAT16", True)] * 2
    (seen,) = verify_each([str(target)], choose(seeds=1))
    assert seen.agrees and seen.observation.outcome == "sparse"


def of_two_inputs(layers):
    """Inputs and outputs in no order of their names, a layer in training, and an inner model."""
    inner = layers.Input((16, 16, 3))
    left, right = (layers.Input((16, 16, 3), name=name) for name in ("second", "first"))
    x = layers.Dropout(0.3)(layers.Conv2D(8, 1, name="b")(left), training=True)
    y = import_module("tf_keras").Model(inner, layers.BatchNormalization()(layers.Conv2D(8, 1, name="a")(inner)))(right)
    return [left, right], [layers.GlobalAveragePooling2D()(layers.Add()([x, y])), layers.Flatten(name="a_flat")(y)]


@pytest.mark.tensorflow
def test_the_file_is_the_one_of_from_keras_model():
    import tensorflow as tf
    import tf_keras as keras

    model = keras.Model(*of_two_inputs(keras.layers))
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]
    assert convert.to_tflite(model) == bytes(converter.convert())


@pytest.mark.tensorflow
def test_a_model_with_a_table_is_converted(tmp_path):
    """The table is no variable."""
    import tf_keras as keras

    words = keras.layers.Input((4,), dtype="string")
    rows = keras.layers.Embedding(6, 3)(keras.layers.StringLookup(vocabulary=["a", "b"])(words))
    (tmp_path / "model.tflite").write_bytes(convert.to_tflite(keras.Model(words, rows)))
    assert "HASHTABLE" in {op.type for op in graph(tmp_path / "model.tflite").operators}


@pytest.mark.tensorflow
@pytest.mark.judge
def test_keras_3_converts_inner_models_called_twice_and_dropout_in_training(tmp_path, capsys, monkeypatch):
    """Two inputs with names of their own, one backbone for both, and Monte Carlo dropout: as in inference, as
    `from_keras_model` converts it, and as the forecast of the .keras file says, operator by operator."""
    import keras

    layers, rng = keras.layers, np.random.default_rng(0)
    image = layers.Input((24, 40, 3))
    x = layers.Conv2D(8, 3, 2, activation="relu")(layers.ZeroPadding2D(1)(image))
    x = layers.Conv2D(16, 1, activation="relu")(layers.DepthwiseConv2D(3, padding="same")(x))
    x = layers.Dropout(0.3)(x, training=True)
    inner = keras.Model(image, layers.GlobalAveragePooling2D()(x), name="backbone")
    left, right = (layers.Input((24, 40, 3), name=name) for name in ("left", "right"))
    model = keras.Model([left, right], layers.Dense(4)(layers.Subtract()([inner(left), inner(right)])))
    pointwise = inner.layers[4]
    kernel, bias = pointwise.get_weights()
    kernel.reshape(-1)[rng.permutation(kernel.size)[: kernel.size * 4 // 5]] = 0
    pointwise.set_weights([kernel, bias])
    model.save(tmp_path / "twice.keras")

    target = tmp_path / "model.tflite"
    code, _, _ = run(capsys, monkeypatch, str(tmp_path / "twice.keras"), "-o", str(target))
    (seen,) = verify_each([str(target)], choose(seeds=1))
    assert code == 0 and seen.agrees and (seen.observation.outcome, seen.observation.spmm) == ("sparse", 2)
    forecast = check_model(tmp_path / "twice.keras", load_profile()).plan
    assert [k.kernel for k in forecast.operators] == [k.kernel for k in seen.plan.operators]


@pytest.mark.tensorflow
@pytest.mark.judge
def test_weights_that_would_be_misread_are_stored_dense(tmp_path, capsys, monkeypatch):
    """Dense layers pruned in blocks of 1x4, which the converter stores sparse behind a DEQUANTIZE, without DENSIFY."""
    import tf_keras as keras

    layers, rng = keras.layers, np.random.default_rng(0)
    x = inputs = layers.Input((64,))
    for units in (128, 64):
        x = layers.Dense(units, activation="relu")(x)
    model = keras.Model(inputs, layers.Dense(10)(x))
    for layer in model.layers[1:3]:
        kernel, bias = layer.get_weights()
        blocks = kernel.T.reshape(-1, 4).copy()
        blocks[rng.permutation(len(blocks))[: len(blocks) * 17 // 20]] = 0
        layer.set_weights([blocks.reshape(kernel.T.shape).T, bias])
    model.save(tmp_path / "blocks.keras")

    raw, target = tmp_path / "raw.tflite", tmp_path / "model.tflite"
    raw.write_bytes(convert.convert(tmp_path / "blocks.keras", float16=True))
    assert not check_model(raw, load_profile()).plan.is_correct, "as TensorFlow converts it"
    code, out, error = run(capsys, monkeypatch, str(tmp_path / "blocks.keras"), "--fp16", "-o", str(target))
    assert code == 0 and "Outputs are correct" in out and "LiteRT would misread them" in error
    before, after = verify_each([str(raw), str(target)], choose(seeds=1))
    assert before.agrees and before.broken is not None, "no kernel gets it right"
    assert after.exit_code == 0 and after.observation.outcome == "dense"


@pytest.mark.tensorflow
def test_a_model_that_is_not_pruned_is_written_and_found_dense(tmp_path, capsys, monkeypatch):
    import tf_keras as keras

    model = keras.models.load_model(FIXTURES / "guide_sparse.keras", compile=False)
    for layer in model.layers:
        if type(layer).__name__ == "Conv2D":
            layer.set_weights([np.ones_like(w) for w in layer.get_weights()])
    model.save(tmp_path / "dense.keras")
    target = tmp_path / "model.tflite"
    exit_code, out, _ = run(capsys, monkeypatch, str(tmp_path / "dense.keras"), "-o", str(target))
    assert exit_code == 0 and target.exists() and "dense: 0 of 2" in out
    assert [tensor.sparsity for tensor in pointwise_filters(graph(target))] == [None, None]


@pytest.mark.tensorflow
def test_a_failed_conversion_leaves_the_target_as_it_was(tmp_path, capsys, monkeypatch):
    target = tmp_path / "model.tflite"
    target.write_bytes(b"before")

    def fails(*_: object) -> None:
        raise RuntimeError("no such operator\nand much more")

    monkeypatch.setattr(convert, "_converter", fails)
    exit_code, _, error = run(capsys, monkeypatch, str(FIXTURES / "guide_sparse.keras"), "-o", str(target))
    assert exit_code == 2 and "could not convert it (RuntimeError: no such operator)" in error
    assert target.read_bytes() == b"before" and [p.name for p in tmp_path.iterdir()] == ["model.tflite"]


@pytest.mark.tensorflow
def test_a_full_disk_leaves_the_target_as_it_was(tmp_path, capsys, monkeypatch):
    target = tmp_path / "model.tflite"
    target.write_bytes(b"before")
    monkeypatch.setattr(convert, "convert", lambda *_, **__: (FIXTURES / "guide_sparse.tflite").read_bytes())

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    exit_code, _, error = run(capsys, monkeypatch, str(FIXTURES / "guide_sparse.keras"), "-o", str(target))
    assert exit_code == 2 and "not written: No space left" in error
    assert target.read_bytes() == b"before" and [p.name for p in tmp_path.iterdir()] == ["model.tflite"]


# --- without it ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["tensorflow", "tf_keras", "tensorflow_model_optimization"])
def test_without_tensorflow_it_says_what_to_install(missing, tmp_path, capsys, monkeypatch):
    from types import ModuleType

    for name in ("tensorflow", "tf_keras"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, missing, None)
    target = tmp_path / "model.tflite"
    exit_code, out, error = run(capsys, monkeypatch, str(FIXTURES / "guide_wrapped.h5"), "-o", str(target))
    assert exit_code == 2 and out == "" and not target.exists()
    assert f"needs {missing}" in error and "pip install 'xnnlint[tf]'" in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("model", "target", "sentence"),
    [
        ("model.keras", "model.keras", "is the model itself"),
        ("model.keras", "missing/model.tflite", "its folder does not exist"),
        ("nothing.keras", "model.tflite", "nothing.keras"),
        ("model.tflite", "other.tflite", "model.tflite"),
        ("config.json", "model.tflite", "config.json"),
    ],
)
def test_unclear_calls_are_refused_before_tensorflow_is_asked_for(
    model, target, sentence, tmp_path, capsys, monkeypatch
):
    for name in ("guide_sparse.keras", "guide_sparse.tflite"):
        (tmp_path / f"model{Path(name).suffix}").write_bytes((FIXTURES / name).read_bytes())
    (tmp_path / "config.json").write_text('{"class_name": "Sequential", "config": {"name": "m", "layers": []}}')
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    exit_code, _, error = run(capsys, monkeypatch, model, "-o", target)
    assert exit_code == 2 and sentence in error and "pip install" not in error and "Traceback" not in error
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
