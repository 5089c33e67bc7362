"""Reads SavedModel folders that Keras 2 or tf_keras wrote.

keras_metadata.pb holds the config of the model, as JSON (saved_metadata.proto of keras-team/tf-keras), and the
checkpoint next to it the weights. A layer is the member layer-N of its model, N being its place among the model's
layers (`_layer_checkpoint_dependencies` in functional.py). The TensorFlow graph itself is not read.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xnnlint.keras.description import KerasModel, Layer
from xnnlint.loaders.keras.read_bundle import Bundle, Objects
from xnnlint.loaders.keras.read_config import DAMAGED, Unreadable, parse_json, read_model
from xnnlint.loaders.keras.read_mapped import map_file
from xnnlint.loaders.keras.read_protobuf import fields, text, view
from xnnlint.loaders.keras.read_variables import apply_masks, inner_name, variable_names

if TYPE_CHECKING:
    import numpy as np

Variable = Callable[[], "np.ndarray"]

METADATA = "keras_metadata.pb"
# Members that name what others name too.
_LISTS = ("keras_api", "variables", "trainable_variables", "non_trainable_variables")
_MODELS = ("_tf_keras_network", "_tf_keras_sequential", "_tf_keras_model")


def read_saved_model(path: str) -> KerasModel:
    """Reads a SavedModel folder.

    Raises:
        Unreadable: it holds no Keras model, or is damaged.
    """
    file = Path(path, METADATA)
    if not file.is_file():
        raise Unreadable("this SavedModel holds no Keras metadata, so that its layers are unknown", _convert(path))
    model = read_model(_config(map_file(os.fspath(file)), path), "2")
    bundle = Bundle(os.fspath(Path(path, "variables", "variables")))
    _Weights(path, bundle, bundle.objects()).model(model, 0)
    return model


def _convert(path: str) -> str:
    """The command that makes something of it that can be checked."""
    return f"convert it: xnnlint convert {path} -o {Path(path).resolve().name}.tflite"


def _config(message: memoryview, path: str) -> Any:
    """The config of the outermost model."""
    for field, node in fields(message):
        parts = dict(fields(view(node))) if field == 1 else {}
        if text(parts.get(3, 0)) != "root":
            continue
        metadata = parse_json(bytes(view(parts.get(5, 0))), "the metadata of its outermost model")
        if text(parts.get(4, 0)) in _MODELS and isinstance(metadata, dict):
            return metadata
        break
    raise Unreadable("the Keras metadata of this SavedModel describes no model", _convert(path))


class _Weights:
    def __init__(self, path: str, bundle: Bundle, objects: Objects) -> None:
        self.path, self.bundle, self.objects = path, bundle, objects

    def model(self, model: KerasModel, node: int) -> None:
        children = self.objects.children(node)
        layers = [layer for layer in model.layers if not (model.sequential and layer.class_name == "InputLayer")]
        for index, layer in enumerate(layers):
            child = children.get(f"layer-{index}")
            if child is None:
                if variable_names(layer) or layer.model is not None:
                    raise Unreadable(f"the weights of layer {layer.name!r} are missing", DAMAGED)
            elif layer.model is not None:
                self.model(layer.model, child)
            else:
                self.layer(layer, child)

    def layer(self, layer: Layer, node: int) -> None:
        own = self.readers(node, "")
        if not layer.wrapper:
            # Normalization has each statistic twice, once for what it adapts to.
            names = [name for name in variable_names(layer) if name in own]
            layer.weights = {name: own[name] for name in names} if names else own | self.inner(layer, node)
            return
        inside = self.objects.children(node).get("layer")
        weights = {} if inside is None else self.readers(inside, "")
        apply_masks(layer, weights, [own[name] for name in sorted(own) if name.startswith("mask")])

    def readers(self, node: int, prefix: str) -> dict[str, Variable]:
        return {
            f"{prefix}{name}": self.bundle.reader(self.path, key) for name, key in self.objects.variables(node).items()
        }

    def inner(self, layer: Layer, node: int) -> dict[str, Variable]:
        """The variables of a layer's own layers (query/kernel), for layers that are known by nothing else."""
        found: dict[str, Variable] = {}
        for name, child in self.objects.children(node).items():
            if name not in _LISTS:
                inside = self.readers(child, "")
                found |= {inner_name(layer, f"{name}/", variable): read for variable, read in inside.items()}
        return found
