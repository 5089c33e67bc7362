"""Reads the legacy .h5 files of Keras: the config is an attribute of the file, and the weights have names.

Each layer of the outermost model has a group under "model_weights", and its attribute "weight_names" lists the
variables: the trainable ones of all layers in it first, then the others (hdf5_format.py of keras-team/tf-keras,
legacy_h5_format.py of keras-team/keras). A nested model's variables are all in its one group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from xnnlint.keras.description import KerasModel, Layer
from xnnlint.loaders.keras.read_config import DAMAGED, Unreadable, parse_json, read_model
from xnnlint.loaders.keras.read_hdf5 import File, Node
from xnnlint.loaders.keras.read_mapped import map_file
from xnnlint.loaders.keras.read_variables import apply_masks, is_pruning_variable, reader, short_name, variable_names

if TYPE_CHECKING:
    import numpy as np

Variable = Callable[[], "np.ndarray"]

PUT_TOGETHER = (
    "save the whole model with model.save(), or put its model.to_json() as config.json next to the weights as"
    " model.weights.h5, and pass the folder"
)
# Statistics and the like, which come after all trainable variables.
_NOT_TRAINABLE = ("moving_mean", "moving_variance", "mean", "variance", "count")


def read_h5(path: str) -> KerasModel:
    """Reads a legacy .h5 file.

    Raises:
        Unreadable: it holds no model.
        Hdf5Error: it is damaged, or not HDF5.
    """
    root = File(map_file(path)).root
    config = root.attributes.get("model_config")
    if not isinstance(config, str):
        if {"layer_names", "layer_names0"} & set(root.attributes) or "layers" in root.links or "vars" in root.links:
            raise Unreadable("this file holds weights only, without the model", PUT_TOGETHER)
        raise Unreadable("this HDF5 file holds no Keras model", PUT_TOGETHER)
    version = root.attributes.get("keras_version")
    model = read_model(parse_json(config, "its model_config"), version if isinstance(version, str) else "")
    weights = root.find("model_weights")
    if weights is None:
        raise Unreadable("the file holds no weights", DAMAGED)
    for layer in model.layers:
        group = weights.find(layer.wrapper or layer.name)
        if group is not None:
            _attach(path, layer, group)
    return model


def _attach(path: str, layer: Layer, group: Node) -> None:
    variables = {}
    for name in weight_names(group):
        node = group.find(name)
        if node is None:
            raise Unreadable(f"the variable {name!r} of layer {layer.name!r} is missing", DAMAGED)
        variables[name] = reader(path, node, f"{name} of layer {layer.name!r}")
    if layer.model is not None:
        share_out(layer.model, variables)
    else:
        name_variables(layer, variables)


def weight_names(group: Node) -> list[str]:
    """The attribute weight_names, which is cut into weight_names0, weight_names1, ... where it is long."""
    listed = group.attributes.get("weight_names")
    if isinstance(listed, list):
        return [str(name) for name in listed]
    found: list[str] = []
    for index in range(len(group.attributes)):
        part = group.attributes.get(f"weight_names{index}")
        if not isinstance(part, list):
            break
        found += map(str, part)
    return found


def name_variables(layer: Layer, variables: dict[str, Variable]) -> None:
    """Gives a layer the variables that a file lists under their full names ("conv/kernel:0")."""
    own = {name: variable for name, variable in variables.items() if is_pruning_variable(short_name(layer, name))}
    short: dict[str, Variable] = {}
    for name, variable in variables.items():
        if layer.wrapper and name in own:
            continue
        key = short_name(layer, name)
        # A layer of layers has several kernels: query/kernel.
        short[key if key not in short and variable_names(layer) else "/".join(_inner_path(layer, name))] = variable
    if layer.wrapper:
        masks = [variable for name, variable in own.items() if short_name(layer, name).startswith("mask")]
        apply_masks(layer, short, masks)
    else:
        layer.weights = short
    missing = [name for name in variable_names(layer) if name not in layer.weights]
    if missing and layer.weights:
        raise Unreadable(f"layer {layer.name!r} is a {layer.class_name} without {missing[0]}", DAMAGED)


def _inner_path(layer: Layer, stored: str) -> list[str]:
    parts = stored.split(":")[0].split("/")
    return parts[parts.index(layer.name) + 1 :] or parts if layer.name in parts else parts


def share_out(model: KerasModel, variables: dict[str, Variable]) -> None:
    """Shares out a nested model's variables among its layers: by the layer in the name, or else by their order."""
    layers = [layer for layer in model.all_layers() if layer.model is None]
    by_layer: dict[str, dict[str, Variable]] = {}
    for name, variable in variables.items():
        for part in name.split("/")[:-1]:
            by_layer.setdefault(part, {})[name] = variable
    names = [layer.name for layer in layers]
    wanted = [layer for layer in layers if variable_names(layer)]
    if len(set(names)) == len(names) and all(layer.name in by_layer for layer in wanted):
        for layer in layers:
            found = dict(by_layer.get(layer.name, {}))
            if layer.wrapper:
                found |= by_layer.get(layer.wrapper, {})
            name_variables(layer, found)
    else:
        _by_order(wanted, list(variables.values()))


def _by_order(layers: Iterable[Layer], variables: list[Variable]) -> None:
    """As Keras itself does it, for files in which names of variables are not those of their layers."""
    slots = [(layer, name) for layer in layers for name in variable_names(layer)]
    frozen = [slot for slot in slots if slot[1] in _NOT_TRAINABLE or slot[0].config.get("trainable") is False]
    slots = [slot for slot in slots if slot not in frozen] + frozen
    if len(slots) != len(variables) or any(layer.wrapper for layer, _ in slots):
        raise Unreadable("the weights of a nested model cannot be kept apart", "save it as .keras")
    for (layer, name), variable in zip(slots, variables, strict=True):
        layer.weights[name] = variable
