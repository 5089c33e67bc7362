"""Convert a Keras model for XNNPACK's sparse mode, with TensorFlow (the `tf` extra).

This is one of the few places where a model is really loaded: conversion needs TensorFlow to build it. Lambda layers are
refused by Keras' safe mode.
"""

from __future__ import annotations

import os
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from xnnlint.errors import ModelError, XnnlintError

if TYPE_CHECKING:
    from xnnlint.keras.description import KerasModel

# In the error of TensorFlow's converter where a list of unknown sizes is filled in a loop.
_OF_LOOPS = ("TensorListReserve", "TensorListStack", "element_shape")
_FROM_JSON = "save it as .keras or .h5 (of TensorFlow.js: tensorflowjs_converter --output_format=keras)"
_INSTALL = "pip install 'xnnlint[tf]'"


def convert(path: str | os.PathLike[str], *, float16: bool = False, batch: int | None = None) -> bytes:
    """The .tflite file that TensorFlow makes of a Keras model with EXPERIMENTAL_SPARSITY.

    Pruning wrappers are stripped. The batch stays as the model has it, dynamic or fixed, unless a size is given.

    Args:
        path: a .keras or .h5 file, or a SavedModel folder, whose default signature is converted as it is.
        float16: store float weights as float16; XNNPACK computes in float32 all the same.
        batch: a fixed batch size.

    Raises:
        XnnlintError: TensorFlow is not installed.
        ModelError: the file is no such model, or TensorFlow cannot load or convert it.
    """
    model: Any = SavedModel(os.fspath(path)) if is_saved_model(path) else load(path)
    try:
        return to_tflite(model, float16=float16, batch=batch)
    except XnnlintError:
        raise
    except Exception as error:  # TensorFlow raises whatever its layers raise.
        if batch is None and any(word in str(error) for word in _OF_LOOPS):
            problem = "TensorFlow cannot convert its loop (an LSTM or GRU, say) with a dynamic batch"
            raise ModelError(os.fspath(path), problem, "fix the batch: --batch 1") from error
        raise ModelError(os.fspath(path), f"TensorFlow could not convert it ({first_line(error)})") from error


class SavedModel(Struct, frozen=True):
    """A SavedModel folder, whoever wrote it."""

    path: str


def is_saved_model(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a SavedModel folder."""
    return Path(path, "saved_model.pb").is_file()


def load(path: str | os.PathLike[str]) -> Any:
    """A Keras model as the Keras that wrote it loads it, without pruning wrappers.

    Args:
        path: a .keras or .h5 file.

    Raises:
        XnnlintError: TensorFlow is not installed.
        ModelError: the file is no Keras model, or Keras cannot load it.
    """
    described = _describe(path)
    if Path(path).suffix.lower() == ".json":
        # A bare architecture, or a model of TensorFlow.js: neither is a file that Keras loads.
        raise ModelError(os.fspath(path), "Keras loads no model from JSON", _FROM_JSON)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    _import("tensorflow")
    try:
        return _strip_pruning(_load(os.fspath(path), described), described)
    except XnnlintError:
        raise
    except Exception as error:  # Keras raises whatever its layers raise.
        raise ModelError(os.fspath(path), f"Keras could not load it ({first_line(error)})") from error


def to_tflite(model: Any, *, float16: bool = False, batch: int | None = None) -> bytes:
    """A model in memory, converted with EXPERIMENTAL_SPARSITY; raises what TensorFlow raises."""
    tf = _import("tensorflow")
    with tempfile.TemporaryDirectory(prefix="xnnlint-") as folder:
        converter = _converter(tf, model, batch, folder)
        converter.optimizations = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]
        if float16:
            converter.optimizations.append(tf.lite.Optimize.DEFAULT)
            converter.target_spec.supported_types = [tf.float16]
        return bytes(converter.convert())


def _describe(path: str | os.PathLike[str]) -> KerasModel:
    """The model as data: it says which Keras wrote it, and refuses files that are no Keras model."""
    from xnnlint.loaders.keras.read_file import read

    format_, described = read(path)
    if format_ not in ("keras", "h5"):
        raise ModelError(os.fspath(path), f"this is a {format_} model", "convert what Keras saved as .keras or .h5")
    return described


def _import(name: str) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise XnnlintError(f"converting needs {name} ({error}); install it with {_INSTALL}") from None


def _load(path: str, described: KerasModel) -> Any:
    if described.dialect == "keras3":
        return _import("keras").saving.load_model(path, compile=False)
    keras = _import("tf_keras")
    if not _is_pruned(described):
        return keras.models.load_model(path, compile=False)
    with _import("tensorflow_model_optimization").sparsity.keras.prune_scope():
        return keras.models.load_model(path, compile=False)


def _is_pruned(described: KerasModel) -> bool:
    return any(layer.pruning or (layer.model is not None and _is_pruned(layer.model)) for layer in described.layers)


def _strip_pruning(model: Any, described: KerasModel) -> Any:
    if not _is_pruned(described):
        return model
    # TFMOT masks the weights at the end of an epoch; a file of a training that was stopped before may have others
    # (tensorflow_model_optimization/python/core/sparsity/keras/pruning_callbacks.py, UpdatePruningStep).
    for layer in model.submodules:
        if hasattr(layer, "pruning_obj"):
            layer.pruning_obj.weight_mask_op()
    return _import("tensorflow_model_optimization").sparsity.keras.strip_pruning(model)


def _converter(tf: Any, model: Any, batch: int | None, folder: str) -> Any:
    """A converter for the model; Keras 3 models go through a SavedModel in `folder`, which freezes weights."""
    if isinstance(model, SavedModel):
        return _of_saved_model(tf, model.path, batch)
    specs = [
        tf.TensorSpec([tensor.shape[0] if batch is None else batch, *tensor.shape[1:]], tensor.dtype, tensor.name)
        for tensor in model.inputs
    ]
    if not type(model).__module__.startswith("tf_keras"):
        _save_for_inference(model, specs, folder)
        return tf.lite.TFLiteConverter.from_saved_model(folder)
    served = _serving(tf, model, specs)
    if served is not None:
        return tf.lite.TFLiteConverter.from_keras_model(served)
    if batch is None:
        return tf.lite.TFLiteConverter.from_keras_model(model)
    call = tf.function(lambda *tensors: model(list(tensors) if len(tensors) > 1 else tensors[0], training=False))
    return tf.lite.TFLiteConverter.from_concrete_functions([call.get_concrete_function(*specs)], model)


def _serving(tf: Any, model: Any, specs: list[Any]) -> Any:
    """What a tf_keras model computes at inference, and its variables, without its layers; None where it needs more of
    them than variables, such as the table of a StringLookup.

    The converter saves what it is given. Of a model each layer's functions would be traced for that, which takes two
    thirds of a conversion, and none is used: the file is the same, to the byte.

    Source: tensorflow/lite/python/lite.py, `TFLiteKerasModelConverterV2._convert_keras_to_saved_model`, 2.21; the
    function is that of tf_keras/src/saving/legacy/saving_utils.py, `trace_model_call`.
    """

    def serve(*tensors: Any) -> dict[str, Any]:
        outputs = model(tf.nest.pack_sequence_as(model.input, tensors), training=False)
        return dict(zip(model.output_names, tf.nest.flatten(outputs), strict=True))

    served = tf.Module()
    served.model_variables = model.variables
    served.serve = tf.function(serve, input_signature=specs)
    own = {id(variable.handle) for variable in model.variables}
    captured = served.serve.get_concrete_function().captured_inputs
    return served if all(tensor.dtype != tf.resource or id(tensor) in own for tensor in captured) else None


def _save_for_inference(model: Any, specs: list[Any], folder: str) -> None:
    """A SavedModel of a Keras 3 model that computes what it computes at inference: `model.export` would keep a layer in
    training that was called so, Dropout with its random numbers, unlike `from_keras_model` and Keras' own export.

    Source: keras/src/export/litert.py, `LiteRTExporter.export`, keras 3.15.
    """
    keras = _import("keras")
    archive = keras.export.ExportArchive()
    archive.track(model)
    # A Sequential model has one input, and no structure of inputs.
    given = specs[0] if isinstance(model, keras.Sequential) else keras.tree.pack_sequence_as(model.input, specs)
    archive.add_endpoint("serve", partial(model.__call__, training=False), input_signature=[given])
    archive.write_out(folder, verbose=False)


def _of_saved_model(tf: Any, path: str, batch: int | None) -> Any:
    """Of the default signature, or of the only one.

    Raises:
        ModelError: it has none of these.
    """
    loaded = tf.saved_model.load(path)
    names = list(loaded.signatures)
    name = "serving_default" if "serving_default" in names or len(names) != 1 else names[0]
    if name not in names:
        raise ModelError(path, f"it has no signature serving_default ({', '.join(names) or 'none at all'})")
    function = loaded.signatures[name]
    if batch is None:
        return tf.lite.TFLiteConverter.from_saved_model(path, signature_keys=[name])
    specs = {
        argument: tf.TensorSpec([batch, *spec.shape[1:]] if spec.shape.rank else spec.shape, spec.dtype, argument)
        for argument, spec in function.structured_input_signature[1].items()
    }
    call = tf.function(lambda **tensors: function(**tensors))
    return tf.lite.TFLiteConverter.from_concrete_functions([call.get_concrete_function(**specs)], loaded)


def first_line(error: Exception) -> str:
    """What an error of another library says, in short."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
