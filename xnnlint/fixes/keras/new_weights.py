"""Brings the weights of layers that were put in to a model file, so that Keras loads each where it belongs.

Archives call a layer after its class and count layers of a class in the model's order, so a new layer gives those
behind it new numbers; .h5 files list the layers in that order. See read_archive.py and read_h5.py for the formats.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from xnnlint.fixes.keras.hdf5_links import Hdf5Edit, attribute_of_texts, other_messages
from xnnlint.fixes.keras.layer_order import keras_order
from xnnlint.keras.description import KerasModel
from xnnlint.loaders.keras.read_config import Unreadable
from xnnlint.loaders.keras.read_hdf5 import Node

if TYPE_CHECKING:
    import numpy as np

# By the name of a layer of the outermost model, its weights in the order of its variables.
NewWeights = Mapping[str, "tuple[np.ndarray, ...]"]
_CONTAINERS = ("layers", "_layer_checkpoint_dependencies")
# The classes with weights of layers that changes put in, or turn others into; as archives call them.
_WEIGHTED = {"DepthwiseConv2D": "depthwise_conv2d", "Conv2D": "conv2d", "Dense": "dense"}
# Classes without weights whose layers changes turn into others, as archives call them.
_COUNTED = {
    "Add": "add",
    "Average": "average",
    "Concatenate": "concatenate",
    "Rescaling": "rescaling",
    "Subtract": "subtract",
    "TFOpLambda": "tf_op_lambda",
}
_VARIABLES = {"DepthwiseConv2D": ("depthwise_kernel:0", "bias:0")}
_USUAL_VARIABLES = ("kernel:0", "bias:0")
WEIGHTS_GROUP = "model_weights"
LISTED = "layer_names"
_OPTIMIZER = "optimizer_weights"
AGAIN = "save the model again with Keras, as .keras"


def reshaped(before: KerasModel, new: NewWeights) -> list[str]:
    """The layers whose weights get another shape, for which the state of an optimizer does not fit any more."""
    stored = {layer.name: [load().shape for load in layer.weights.values()] for layer in before.layers}
    return [name for name, weights in new.items() if stored.get(name) and stored[name] != [w.shape for w in weights]]


def into_archive(data: bytes, before: KerasModel, after: KerasModel, new: NewWeights) -> bytes:
    """The weights of an archive (model.weights.h5) with those of new layers.

    Args:
        data: the file.
        before, after: the model without and with the new layers.
        new: their weights.

    Raises:
        Unreadable: the file is not laid out as Keras does it.
        Hdf5Error: it is damaged.
    """
    edit = Hdf5Edit(data)
    root = edit.file().root
    container = next((name for name in _CONTAINERS if name in root.links), None)
    group = root.find(container) if container else None
    if container is None or group is None:
        raise Unreadable("its weights are not where Keras puts them", AGAIN)
    members = dict(group.links)
    addresses: dict[tuple[str, str], int] = {}
    for class_name, base in _WEIGHTED.items():
        old, stored = _names(before, class_name), _numbered(members, base)
        if len(old) != len(stored):
            raise Unreadable(
                f"it holds the weights of {len(stored)} layers {class_name}, and there are {len(old)}", AGAIN
            )
        addresses |= {(class_name, name): members.pop(place) for name, place in zip(old, stored, strict=True)}
    classes = {layer.name: layer.class_name for layer in after.layers}
    for name, weights in new.items():
        variables = edit.group({str(index): edit.dataset(array) for index, array in enumerate(weights)})
        addresses[classes[name], name] = edit.group({"vars": variables})
    for class_name, base in _WEIGHTED.items():
        for index, name in enumerate(_names(after, class_name)):
            members[f"{base}_{index}" if index else base] = addresses[class_name, name]
    for class_name, base in _COUNTED.items():
        _count_anew(edit, members, base, *(_count(model, class_name) for model in (before, after)))
    edit.replace(root, container, edit.group(members, other_messages(group)))
    if reshaped(before, new) and "optimizer" in root.links:
        # Keras does not load a model whose optimizer has a state of another shape; without one it starts anew.
        edit.replace(root, "optimizer", edit.group({"vars": edit.group({})}))
    return edit.finish()


def into_h5(data: bytes, before: KerasModel, after: KerasModel, new: NewWeights) -> bytes:
    """A legacy .h5 file with the weights of new layers; its config stays.

    Raises:
        Unreadable: the file is not laid out as Keras does it.
        Hdf5Error: it is damaged.
    """
    edit = Hdf5Edit(data)
    root = edit.file().root
    group, listed = listed_weights(root)
    members = dict(group.links)
    classes = {layer.name: layer.class_name for layer in after.layers}
    for name, weights in new.items():
        variables = _VARIABLES.get(classes[name], _USUAL_VARIABLES)[: len(weights)]
        inner = edit.group({v: edit.dataset(array) for v, array in zip(variables, weights, strict=True)})
        names = attribute_of_texts("weight_names", [f"{name}/{variable}" for variable in variables])
        members[name] = edit.group({name: inner}, [names])
    order = [layer.name for layer in keras_order(after) if layer.name in {*listed, *new}]
    messages = [*other_messages(group, [LISTED]), attribute_of_texts(LISTED, order)]
    edit.replace(root, WEIGHTS_GROUP, edit.group(members, messages))
    if reshaped(before, new) and _OPTIMIZER in root.links:
        # Keras would load it as far as it fits.
        edit.replace(root, _OPTIMIZER, edit.group({}, [attribute_of_texts("weight_names", [])]))
    return edit.finish()


def listed_weights(root: Node) -> tuple[Node, list[str]]:
    """The group of a legacy .h5 file that has the weights, and the layers that it lists.

    Raises:
        Unreadable: the file is not laid out as Keras does it.
    """
    group = root.find(WEIGHTS_GROUP)
    listed = None if group is None else group.attributes.get(LISTED)
    if group is None or not isinstance(listed, list):
        raise Unreadable("its weights are not where Keras puts them", AGAIN)
    return group, list(map(str, listed))


def _count_anew(edit: Hdf5Edit, members: dict[str, int], base: str, before: int, after: int) -> None:
    """tf_keras stores a group for every layer, with weights or without, and counts those of a class."""
    if before != sum(_is_numbered(name, base) for name in members):
        return
    for index in range(min(before, after), max(before, after)):
        name = f"{base}_{index}" if index else base
        if index < after:
            members[name] = edit.group({"vars": edit.group({})})
        else:
            del members[name]


def _count(model: KerasModel, class_name: str) -> int:
    return sum(layer.class_name == class_name for layer in model.layers)


def _names(model: KerasModel, class_name: str) -> list[str]:
    return [layer.name for layer in keras_order(model) if layer.class_name == class_name and not layer.wrapper]


def _numbered(members: Iterable[str], base: str) -> list[str]:
    return sorted((name for name in members if _is_numbered(name, base)), key=lambda name: (len(name), name))


def _is_numbered(name: str, base: str) -> bool:
    return name == base or (name.startswith(f"{base}_") and name[len(base) + 1 :].isdecimal())
