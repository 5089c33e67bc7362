"""`xnnlint convert` of SavedModels that Keras knows nothing of, and of recurrent layers."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from tests.models import FIXTURES
from xnnlint.errors import ModelError
from xnnlint.loaders import load
from xnnlint.loaders.tflite.read_tflite import load_bytes
from xnnlint.runtime.tensorflow_converter import convert

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tf.Module with one pruned 1x1 convolution."""
    import numpy as np
    import tensorflow as tf

    kernel = np.random.default_rng(0).normal(size=(1, 1, 8, 16)).astype(np.float32)
    kernel[np.abs(kernel) < 1.3] = 0

    class Net(tf.Module):
        def __init__(self):
            super().__init__()
            self.kernel = tf.Variable(kernel)

        @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 8], tf.float32, name="x")])
        def __call__(self, x):
            return {"y": tf.nn.conv2d(x, self.kernel, 1, "SAME")}

    folder = tmp_path_factory.mktemp("saved") / "net"
    net = Net()
    tf.saved_model.save(net, str(folder), signatures=net.__call__)
    return folder


def test_check_names_the_command(saved_model: Path) -> None:
    with pytest.raises(ModelError, match=r"no Keras metadata.*xnnlint convert .*net -o net\.tflite"):
        load(saved_model)


@pytest.mark.parametrize(("batch", "signature"), [(None, -1), (1, 1)])
def test_saved_model_is_converted_with_sparse_weights(saved_model: Path, batch: int | None, signature: int) -> None:
    graph = load_bytes(convert(saved_model, batch=batch), "m.tflite").main
    assert [op.type for op in graph.operators] == ["DENSIFY", "CONV_2D"]
    assert graph.tensors[graph.inputs[0]].shape_signature == (signature, 8, 8, 8)


def test_folder_without_a_signature(tmp_path: Path) -> None:
    import tensorflow as tf

    tf.saved_model.save(tf.Module(), str(tmp_path))
    with pytest.raises(ModelError, match="no signature serving_default"):
        convert(tmp_path)


def test_json_is_no_file_that_keras_loads(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_text(zipfile.ZipFile(FIXTURES / "guide_sparse.keras").read("config.json").decode())
    with pytest.raises(ModelError, match=r"no model from JSON.*save it as \.keras or \.h5"):
        convert(path)


def test_recurrent_layer_with_a_dynamic_batch_asks_for_a_fixed_one(tmp_path: Path) -> None:
    import keras

    model = keras.Sequential([keras.Input((4, 3)), keras.layers.LSTM(5, recurrent_dropout=0.1)])
    path = tmp_path / "lstm.keras"
    model.save(path)
    with pytest.raises(ModelError, match=r"dynamic batch.*--batch 1"):
        convert(path)
    assert "WHILE" in {op.type for op in load_bytes(convert(path, batch=1), "m.tflite").main.operators}
