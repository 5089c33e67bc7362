"""Reads .keras archives and folders with the same files: config.json, metadata.json, model.weights.h5 or its shards.

The weights lie in a tree that follows the model's, where a layer is called after its class, counted in the order of
the model's layers: layers/conv2d_1/vars/0 (saving_lib.py of keras-team/keras and of keras-team/tf-keras). Nothing is
extracted.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xnnlint.keras.description import KerasModel, Layer
from xnnlint.loaders.keras import read_zip
from xnnlint.loaders.keras.read_config import DAMAGED, Unreadable, parse_json, read_model
from xnnlint.loaders.keras.read_hdf5 import File, Node
from xnnlint.loaders.keras.read_mapped import map_file
from xnnlint.loaders.keras.read_variables import apply_masks, inner_name, number_variables, reader, variable_names

if TYPE_CHECKING:
    import numpy as np

CONFIG = "config.json"
METADATA = "metadata.json"
WEIGHTS = "model.weights.h5"
SHARDS = "model.weights.json"
# `NpzIOStore` in keras-team/keras src/saving/saving_lib.py keeps dictionaries in it.
_PICKLED = "model.weights.npz"

_MAX_JSON = 32 << 20
_MAX_SHARDS = 10_000
# Where the layers of a model are, from the newest releases to TensorFlow 2.12's.
_CONTAINERS = ("layers", "_layer_checkpoint_dependencies")
_MAX_INNER = 3_000

Variable = Callable[[], "np.ndarray"]


def read_archive(path: str) -> KerasModel:
    """Reads a .keras archive.

    Raises:
        Unreadable: it is none, or cannot be read.
        Hdf5Error: its weights cannot be read.
    """
    data = map_file(path)
    members = read_zip.members(data)
    if CONFIG not in members:
        raise Unreadable(
            f"this zip archive holds no {CONFIG}, so that it is no Keras model", "unpack it, if there is a model inside"
        )

    def get(name: str) -> memoryview | None:
        member = members.get(name)
        return None if member is None else read_zip.contents(data, member)

    for name in (CONFIG, METADATA):
        if name in members and members[name].size > _MAX_JSON:
            raise Unreadable(f"{name} claims {members[name].size:,} bytes: more than any model's", DAMAGED)
    return _read(path, get)


def read_folder(path: str) -> KerasModel:
    """Reads an unpacked archive: a folder with config.json; one without weights is a bare architecture.

    Raises:
        Unreadable: it cannot be read.
        Hdf5Error: its weights cannot be read.
    """

    def get(name: str) -> memoryview | None:
        file = Path(path, name)
        return map_file(os.fspath(file)) if file.is_file() else None

    return _read(path, get, weightless=True)


def _read(path: str, get: Callable[[str], memoryview | None], weightless: bool = False) -> KerasModel:
    config = parse_json(bytes(get(CONFIG) or b""), CONFIG)
    metadata = parse_json(bytes(get(METADATA) or b"{}"), METADATA)
    version = metadata.get("keras_version") if isinstance(metadata, dict) else None
    model = read_model(config, version if isinstance(version, str) else "")
    groups = _groups(get)
    if groups is None:
        if get(_PICKLED) is not None:
            problem = f"its weights are pickled objects in {_PICKLED}, which are never loaded"
            raise Unreadable(problem, "save the model again, with its weights in HDF5, as is the default")
        if not weightless:
            raise Unreadable(f"the archive holds no {WEIGHTS}", DAMAGED)
        model.has_weights = False
    else:
        _Weights(path, groups).read(model)
    return model


def stored_places(root: Node, model: KerasModel) -> Iterator[tuple[KerasModel, dict[str, str]]]:
    """Where a file (model.weights.h5) has the layers of a model, and of each model in it: by name, the path of a group.

    Raises:
        Unreadable: it holds more or fewer layers than there are.
    """
    weights = _Weights("", lambda path: [node] if (node := root.find(path)) is not None else [])
    weights.note_repeated(model)
    pending = [(model, "")]
    while pending:
        model, prefix = pending.pop()
        places = weights.places(model, prefix)
        yield model, places
        pending += [(x.model, f"{places[x.name]}/") for x in model.layers if x.model is not None and x.name in places]


def _groups(get: Callable[[str], memoryview | None]) -> Callable[[str], list[Node]] | None:
    """A function that finds the groups at a path: one, or one in each shard that has a part of it."""
    data = get(WEIGHTS)
    if data is not None:
        root = File(data).root
        return lambda path: [node] if (node := root.find(path)) is not None else []
    listed = get(SHARDS)
    if listed is None:
        return None
    roots = [File(_shard(get, name)).root for name in _shard_names(parse_json(bytes(listed), SHARDS))]
    return lambda path: [node for root in roots if (node := root.find(path)) is not None]


def _shard(get: Callable[[str], memoryview | None], name: str) -> memoryview:
    data = get(name) if Path(name).name == name else None
    if data is None:
        raise Unreadable(f"the file {name!r}, named in {SHARDS}, is missing", "copy all files of the model")
    return data


def _shard_names(listed: Any) -> list[str]:
    places = listed.get("weight_map") if isinstance(listed, dict) else None
    if not isinstance(places, dict):
        raise Unreadable(f"{SHARDS} is damaged", DAMAGED)
    names: dict[str, None] = {}
    for place in places.values():
        names.update(dict.fromkeys(map(str, place if isinstance(place, list) else [place])))
    if len(names) > _MAX_SHARDS:
        raise Unreadable(f"{SHARDS} names {len(names):,} files", DAMAGED)
    return list(names)


class _Weights:
    """Brings the weights of a file to the layers of a model."""

    def __init__(self, path: str, groups: Callable[[str], list[Node]]) -> None:
        self.path = path
        self.groups = groups
        self.repeated: set[int] = set()
        self.known: dict[tuple[str, str], dict[str, Variable]] = {}

    def read(self, model: KerasModel) -> None:
        self.note_repeated(model)
        self._model(model, "")

    def note_repeated(self, model: KerasModel) -> None:
        """Finds the layers that are in several models."""
        seen = set()
        for layer in model.all_layers():
            if _key(layer) in seen:
                self.repeated.add(id(layer))
            seen.add(_key(layer))

    def _model(self, model: KerasModel, prefix: str | None) -> None:
        places = {} if prefix is None else self.places(model, prefix)
        for layer in saved_layers(model):
            place = places.get(layer.name)
            if layer.model is not None:
                self._model(layer.model, None if place is None else f"{place}/")
            elif place is not None:
                layer.weights = self._layer(layer, place)
                self.known.setdefault(_key(layer), layer.weights)
            elif variable_names(layer):
                # A layer that is in two models is stored once, where it is met first.
                if _key(layer) not in self.known:
                    raise Unreadable(f"the weights of layer {layer.name!r} are missing", DAMAGED)
                layer.weights = self.known[_key(layer)]

    def places(self, model: KerasModel, prefix: str) -> dict[str, str]:
        """Where each layer is, by its name: the class, and its number among the layers of that class.

        Newer releases of Keras 3 write down the layer's name too, which settles it. Keras 2 counts only what it stores,
        and so leaves out layers that it has met in another model; early releases of it count some layers twice.
        """
        container = next((name for name in _CONTAINERS if self.groups(f"{prefix}{name}")), None)
        if container is None:
            return {}
        prefix = f"{prefix}{container}/"
        found = {name: node for group in self.groups(prefix) for name, node in _members(group)}
        by_class: dict[str, list[Layer]] = {}
        for layer in saved_layers(model):
            if not layer.is_operation:
                by_class.setdefault(group_name(layer), []).append(layer)
        places = {}
        for base, layers in by_class.items():
            names = sorted((name for name in found if _is_numbered(name, base)), key=lambda name: (len(name), name))
            own = {self._own_name(found[name]): name for name in names}
            numbered = self._numbered(base, layers, names, model.dialect)
            for layer in layers:
                name = own.get(layer.wrapper or layer.name) or numbered.get(layer.name)
                if name in found:
                    places[layer.name] = f"{prefix}{name}"
        return places

    def _numbered(self, base: str, layers: list[Layer], names: list[str], dialect: str) -> dict[str, str]:
        if dialect == "keras3":
            return {layer.name: f"{base}_{index}" if index else base for index, layer in enumerate(layers)}
        if len(names) < len(layers):
            layers = [layer for layer in layers if id(layer) not in self.repeated]
        if len(names) != len(layers) and layers and layers[0].class_name in WITHOUT_VARIABLES:
            return {}  # Layers that were put into the config need no place among the weights.
        if len(names) != len(layers):
            raise Unreadable(
                f"it holds the weights of {len(names)} layers called {base}, and there are {len(layers)}", DAMAGED
            )
        return {layer.name: name for layer, name in zip(layers, names, strict=True)}

    def _own_name(self, node: Node) -> Any:
        variables = node.find("vars")
        return None if variables is None else variables.attributes.get("name")

    def _layer(self, layer: Layer, place: str) -> dict[str, Variable]:
        own = self._variables(f"{place}/vars", layer)
        if not layer.wrapper:
            inner = {} if variable_names(layer) else self._inner(place, layer)
            return {**number_variables(layer, own), **inner}
        # Of each pruned weight the wrapper has the weight itself, a mask and a threshold; the step comes last.
        count = (len(own) - 1) // 3
        apply_masks(
            layer,
            number_variables(layer, self._variables(f"{place}/layer/vars", layer)),
            own[count : count + 2 * count : 2],
        )
        return layer.weights

    def _variables(self, place: str, layer: Layer) -> list[Variable]:
        nodes = {name: node for group in self.groups(place) for name, node in _members(group) if name.isdigit()}
        names = [str(index) for index in range(len(nodes))]
        if any(name not in nodes for name in names):
            raise Unreadable(f"the variables of layer {layer.name!r} are not all there", DAMAGED)
        return [reader(self.path, nodes[name], f"variable {name} of layer {layer.name!r}") for name in names]

    def _inner(self, place: str, layer: Layer) -> dict[str, Variable]:
        """The variables of a layer's own layers (query_dense/0), for layers that are known by nothing else."""
        found: dict[str, Variable] = {}
        pending, visited = [""], 0
        while pending:
            visited += 1
            if visited > _MAX_INNER or len(pending) > _MAX_INNER:
                raise Unreadable(f"layer {layer.name!r} holds more layers than any", DAMAGED)
            prefix = pending.pop(0)
            if prefix:
                inside = self._variables(f"{place}/{prefix}vars", layer)
                found |= {inner_name(layer, prefix, str(index)): variable for index, variable in enumerate(inside)}
            for group in self.groups(f"{place}/{prefix}"):
                pending += [f"{prefix}{name}/" for name, _ in _members(group) if name != "vars"]
        return found


def _members(group: Node) -> list[tuple[str, Node]]:
    # A group may contain itself.
    group.file.step(len(group.links))
    return [(name, group.file.node(address)) for name, address in group.links.items()]


def _key(layer: Layer) -> tuple[str, str]:
    return layer.name, layer.class_name


def saved_layers(model: KerasModel) -> list[Layer]:
    """The layers of a model as Keras counts them: a Sequential's InputLayer is none."""
    return [layer for layer in model.layers if not (model.sequential and layer.class_name == "InputLayer")]


def group_name(layer: Layer) -> str:
    """What archives call the layers of its class, but for their number."""
    return _snake_case("PruneLowMagnitude" if layer.wrapper else layer.class_name.split(">")[-1])


# Layers that have no variables in any configuration, among those that `xnnlint fix` may add or take away.
WITHOUT_VARIABLES = frozenset(
    {
        "Activation",
        "AveragePooling2D",
        "Flatten",
        "GlobalAveragePooling2D",
        "MaxPooling2D",
        "ReLU",
        "Reshape",
        "UpSampling2D",
        "ZeroPadding2D",
    }
)


def _is_numbered(name: str, base: str) -> bool:
    return name == base or (name.startswith(f"{base}_") and name[len(base) + 1 :].isdecimal())


def _snake_case(name: str) -> str:
    """As Keras turns a class's name into a layer's (to_snake_case in naming.py)."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
