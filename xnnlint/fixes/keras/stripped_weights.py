"""The weights of a model file without its pruning wrappers: each layer has its own, and what the wrappers had is gone.

In archives a wrapper's group holds that of its layer as "layer" (`save_own_variables` and `_walk_trackable` in
src/saving/saving_lib.py of keras-team/tf-keras), and the groups are numbered by class, so that a layer that leaves its
wrapper gives those of its class behind it new numbers. In .h5 files a wrapper's group lists the variables of its layer
and its own ones; a nested model's group those of all layers in it (hdf5_format.py of keras-team/tf-keras).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence, Set

from msgspec.structs import replace

from xnnlint.fixes.keras.hdf5_links import Hdf5Edit, attribute_of_texts, other_messages
from xnnlint.fixes.keras.new_weights import AGAIN, LISTED, WEIGHTS_GROUP, listed_weights
from xnnlint.keras.description import KerasModel, Layer
from xnnlint.loaders.keras.read_archive import group_name, saved_layers, stored_places
from xnnlint.loaders.keras.read_config import Unreadable
from xnnlint.loaders.keras.read_h5 import weight_names
from xnnlint.loaders.keras.read_hdf5 import Node
from xnnlint.loaders.keras.read_variables import is_pruning_variable

Off = Collection[tuple[str, ...]]
"""Paths of layers that leave their wrappers."""
_STEP = "pruning_step"
_NAMES = "weight_names"


def taken_off(before: KerasModel, after: KerasModel) -> frozenset[tuple[str, ...]]:
    """The layers that left their wrappers from one model to the other."""
    wrapped = {layer.path for layer in after.all_layers() if layer.wrapper}
    return frozenset(layer.path for layer in before.all_layers() if layer.wrapper and layer.path not in wrapped)


def without_wrappers(model: KerasModel, off: Off) -> KerasModel:
    """The model once these have left."""
    layers = [_stripped(layer, off) for layer in model.layers]
    return replace(model, layers=layers)


def _stripped(layer: Layer, off: Off) -> Layer:
    inside = None if layer.model is None else without_wrappers(layer.model, off)
    return replace(layer, wrapper="" if layer.path in off else layer.wrapper, model=inside)


def strip_archive(data: bytes, before: KerasModel, off: Off) -> bytes:
    """The weights of an archive (model.weights.h5) without wrappers.

    Raises:
        Unreadable: the file is not laid out as Keras does it.
        Hdf5Error: it is damaged.
    """
    edit = Hdf5Edit(data)
    root = edit.file().root
    for model, places in stored_places(root, before):
        if any(layer.path in off for layer in model.layers):
            _renumber(edit, root, model, places, off)
    return edit.finish()


def _renumber(edit: Hdf5Edit, root: Node, model: KerasModel, places: Mapping[str, str], off: Off) -> None:
    """Gives the layers of one model their places anew, those that left with what their wrappers hold."""
    around, _, name = next(iter(places.values())).rpartition("/")[0].rpartition("/")
    parent = root.find(around)
    container = None if parent is None else parent.find(name)
    if parent is None or container is None:
        raise Unreadable("its weights are not where Keras puts them", AGAIN)
    members = dict(container.links)
    addresses = {layer: members.pop(place.rpartition("/")[2]) for layer, place in places.items()}
    count: Counter[str] = Counter()
    for layer in saved_layers(model):
        if layer.name not in addresses:
            continue
        address = addresses[layer.name]
        if layer.path in off:
            layer, address = replace(layer, wrapper=""), root.file.node(address).links.get("layer", 0)
        base = group_name(layer)
        number, count[base] = count[base], count[base] + 1
        place = f"{base}_{number}" if number else base
        if not address or place in members:
            raise Unreadable(f"the weights of layer {layer.name!r} are not where Keras puts them", AGAIN)
        members[place] = address
    edit.replace(parent, name, edit.group(members, other_messages(container)))


def strip_h5(data: bytes, before: KerasModel, off: Off) -> bytes:
    """A legacy .h5 file without wrappers; its config stays.

    Raises:
        Unreadable: the file is not laid out as Keras does it.
        Hdf5Error: it is damaged.
    """
    edit = Hdf5Edit(data)
    root = edit.file().root
    group, listed = listed_weights(root)
    members, names = dict(group.links), {}
    for layer in before.layers:
        inside = [layer] if layer.model is None else list(layer.model.all_layers())
        wrappers = {part.wrapper for part in inside if part.path in off}
        own = group.find(layer.wrapper or layer.name)
        if not wrappers or own is None:
            continue
        members.pop(layer.wrapper or layer.name)
        members[layer.name] = _own_variables(edit, own, layer, wrappers)
        names[layer.wrapper] = layer.name
    messages = [
        *other_messages(group, [LISTED]),
        attribute_of_texts(LISTED, [names.get(name, name) for name in listed]),
    ]
    edit.replace(root, WEIGHTS_GROUP, edit.group(members, messages))
    return edit.finish()


def _own_variables(edit: Hdf5Edit, group: Node, layer: Layer, wrappers: Set[str]) -> int:
    """Adds a group with the variables of another that are no wrapper's; returns its address."""
    kept, steps = {}, 0
    for name in weight_names(group):
        *around, last = name.split(":")[0].split("/")
        if is_pruning_variable(last) and not wrappers.isdisjoint(around):
            steps += last == _STEP
        elif (node := group.find(name)) is not None:
            kept[name] = node.address
    if steps != len(wrappers):
        raise Unreadable(f"the variables of {layer.name!r} cannot be told from those of its pruning wrappers", AGAIN)
    listed = [name for name in group.attributes if name.startswith(_NAMES)]
    messages = [*other_messages(group, listed), attribute_of_texts(_NAMES, list(kept))]
    return _tree(edit, {tuple(name.split("/")): address for name, address in kept.items()}, messages)


def _tree(edit: Hdf5Edit, found: Mapping[tuple[str, ...], int], messages: Sequence[tuple[int, bytes]] = ()) -> int:
    """Adds groups within groups, by the paths of what is in them."""
    inner: dict[str, dict[tuple[str, ...], int]] = {}
    members = {}
    for (first, *rest), address in found.items():
        if rest:
            inner.setdefault(first, {})[tuple(rest)] = address
        else:
            members[first] = address
    members |= {name: _tree(edit, parts) for name, parts in inner.items()}
    return edit.group(members, messages)
