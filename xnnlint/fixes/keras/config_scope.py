"""The config of one model as JSON that can be changed in place: layers found, inserted and taken out.

Both dialects say which tensor a layer reads in nested lists (functional.py and node.py of keras-team/tf-keras;
functional.py of keras-team/keras). Here only the references matter: a list [layer, call, output, ...], in Keras 3 the
"keras_history" of a "__keras_tensor__". What is not changed keeps the words and the order that the file has.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from xnnlint.fixes.change import CannotChange

if TYPE_CHECKING:
    import numpy as np

    from xnnlint.fixes.short_clusters import ShortCluster

Entry = dict[str, Any]
Weights = Mapping[str, Mapping[str, "Callable[[], np.ndarray]"]]
_TENSOR = "__keras_tensor__"
_CONTAINERS = ("Functional", "Model", "Sequential")


class Known(Struct, frozen=True):
    """What a config alone does not say, by the labels of layers.

    Attributes:
        shapes: what layers read, from the plan, for files that do not note it.
        parts: what concatenations read, part by part.
        weights: the variables of layers, for changes that give them another shape; none where a change is only tried.
        zeros: (weights, zeros) of all 1x1 kernels, as they are; none where they are assumed.
        short: the convolutions in front of which copies of a pixel would give their cluster enough zeros.
        unmasked: finds the layers in pruning wrappers whose weights are not zero everywhere where their masks are.
    """

    shapes: Mapping[str, list[int | None]] = field(default_factory=dict)
    parts: Mapping[str, list[list[int | None]]] = field(default_factory=dict)
    weights: Weights = field(default_factory=dict)
    zeros: tuple[int, int] = (0, 0)
    short: Mapping[str, ShortCluster] = field(default_factory=dict)
    unmasked: Callable[[], Collection[str]] = frozenset


class Scope(Struct):
    """One model in the config.

    Attributes:
        config: of the model, changed in place.
        path: names of the models around its layers; the outermost model is left out.
        known: what else is known of its layers.
    """

    config: dict[str, Any]
    path: tuple[str, ...] = ()
    known: Known = field(default_factory=Known)

    @property
    def is_sequential(self) -> bool:
        return "input_layers" not in self.config

    @property
    def layers(self) -> list[Entry]:
        found: list[Entry] = self.config["layers"]
        return found

    @property
    def is_keras3(self) -> bool:
        return any(_TENSOR in str(entry.get("inbound_nodes")) for entry in self.layers)

    @property
    def is_of_keras3(self) -> bool:
        """Whether Keras 3 wrote it; a Sequential says so only by its input, or by the types of its layers."""
        return self.is_keras3 or any(
            "batch_shape" in entry["config"] or "DTypePolicy" in str(entry["config"].get("dtype"))
            for entry in self.layers
        )

    def names(self) -> set[str]:
        return {name_of(entry) for entry in self.layers}

    def entry(self, name: str) -> Entry:
        """The layer of a name.

        Raises:
            CannotChange: there is none.
        """
        for entry in self.layers:
            if name_of(entry) == name:
                return entry
        raise CannotChange(f"there is no layer {name!r}")

    def label(self, entry: Entry) -> str:
        """What findings call a layer."""
        return "/".join((*self.path, name_of(entry)))

    def fresh(self, name: str) -> str:
        """A name that no layer of the model has."""
        taken, number, wanted = self.names(), 1, name
        while wanted in taken:
            wanted, number = f"{name}_{number}", number + 1
        return wanted

    # Neighbours

    def calls(self, entry: Entry) -> int:
        return 1 if self.is_sequential else len(entry.get("inbound_nodes") or ())

    def readers(self, entry: Entry) -> list[Entry]:
        """The layers that read what a layer gives, each once."""
        if self.is_sequential:
            at = self.layers.index(entry) + 1
            return self.layers[at : at + 1]
        name = name_of(entry)
        return [e for e in self.layers if _refers(e.get("inbound_nodes"), name)]

    def sources(self, entry: Entry) -> list[Entry]:
        """The layers whose outputs a layer reads, in order, over all its calls."""
        if self.is_sequential:
            at = self.layers.index(entry)
            return self.layers[at - 1 : at] if at else []
        return [self.entry(ref[0]) for ref, _ in self._references(entry.get("inbound_nodes"))]

    def is_output(self, entry: Entry) -> bool:
        if self.is_sequential:
            return self.layers[-1] is entry
        name = name_of(entry)
        return _refers(self.config["output_layers"], name)

    def shape_into(self, entry: Entry) -> list[int | None] | None:
        """The shape that a layer reads, batch first, as far as the file says it."""
        if not self.is_sequential:
            for _, tensor in self._references(entry.get("inbound_nodes")):
                if tensor is not None and isinstance(tensor.get("shape"), list):
                    return list(tensor["shape"])
        build = entry.get("build_config")
        shape = build.get("input_shape") if isinstance(build, dict) else None
        if isinstance(shape, list) and shape and all(d is None or type(d) is int for d in shape):
            return list(shape)
        shape = self.known.shapes.get(self.label(entry))
        return None if shape is None else list(shape)

    def shape_behind(self, entry: Entry) -> list[int | None] | None:
        """The shape that a layer gives, batch first, as far as the file says it."""
        if self.is_sequential:
            readers = self.readers(entry)
            return self.shape_into(readers[0]) if readers else None
        name = name_of(entry)
        shapes = (t.get("shape") for ref, t in self._all_references() if ref[0] == name and t is not None)
        found = next((list(shape) for shape in shapes if isinstance(shape, list)), None)
        single = (reader for reader in self.readers(entry) if len(self.sources(reader)) == 1)
        return found or next((shape for reader in single if (shape := self.shape_into(reader)) is not None), None)

    # Changes

    def insert_behind(self, entry: Entry, new: Entry, shape: list[int | None] | None) -> None:
        """Puts a layer where every reader of `entry` reads it instead; `shape` is what `entry` gives."""
        self._require_one_call(entry)
        if self.is_sequential:
            self.layers.insert(self.layers.index(entry) + 1, new)
            return
        pattern = None
        name = name_of(entry)
        for ref, tensor in [*self._all_references()]:
            if ref[0] == name:
                pattern = pattern or tensor
                ref[0] = name_of(new)
        new["inbound_nodes"] = [self._call(name, pattern, shape)]
        self.layers.insert(self.layers.index(entry) + 1, new)

    def insert_before(self, entry: Entry, new: Entry, shape: list[int | None] | None) -> None:
        """Puts a layer between `entry` and what it reads; `shape` is what the new layer gives."""
        self._require_one_call(entry)
        at = self.layers.index(entry)
        if self.is_sequential:
            if at == 0:
                _move_input_shape(entry, new)
        else:
            refs = list(self._references(entry["inbound_nodes"]))
            if len(refs) != 1:
                raise CannotChange(f"{name_of(entry)!r} reads more than one tensor")
            ref, tensor = refs[0]
            self._reads(new, ref, tensor)
            ref[:3] = [name_of(new), 0, 0]
            if tensor is not None and shape is not None:
                tensor["shape"] = shape
        self.layers.insert(at, new)

    def inputs(self, entry: Entry) -> list[list[Any]]:
        """What a layer reads, as [layer, call, output], in order, over all its calls."""
        return [ref[:3] for ref, _ in self._references(entry.get("inbound_nodes"))] if not self.is_sequential else []

    def insert_on(self, entry: Entry, index: int, new: Entry, shape: list[int | None]) -> None:
        """Puts a layer between `entry` and one of the tensors that it reads; `shape` is that of both."""
        self._require_one_call(entry)
        ref, tensor = list(self._references(entry["inbound_nodes"]))[index]
        self._reads(new, ref, tensor)
        ref[:3] = [name_of(new), 0, 0]
        if tensor is not None:
            tensor["shape"] = list(shape)
        self.layers.insert(self.layers.index(entry), new)

    def insert_beside(self, entry: Entry, new: Entry) -> None:
        """Puts a layer in that reads what `entry` reads, and that nobody reads yet."""
        self._require_one_call(entry)
        refs = list(self._references(entry["inbound_nodes"]))
        if len(refs) != 1:
            raise CannotChange(f"{name_of(entry)!r} reads more than one tensor")
        self._reads(new, *refs[0])
        self.layers.insert(self.layers.index(entry), new)

    def outputs_read(self, entry: Entry) -> list[int]:
        """Which outputs of a layer are read."""
        name = name_of(entry)
        return sorted({ref[2] for ref, _ in self._all_references() if ref[0] == name})

    def replace(self, entry: Entry, others: Mapping[int, Entry]) -> None:
        """Lets who reads an output of a layer read the layer that is given for it, and takes the layer out."""
        name = name_of(entry)
        for ref, _ in [*self._all_references()]:
            if ref[0] == name:
                ref[:3] = [name_of(others[ref[2]]), 0, 0]
        self.layers.remove(entry)

    def keep_first_input(self, entry: Entry) -> None:
        """Lets a layer that reads a list of tensors read only the first, and not as a list."""
        self._require_one_call(entry)
        self._reads(entry, *next(iter(self._references(entry["inbound_nodes"]))))

    def remove(self, entry: Entry) -> None:
        """Takes a layer out that is called once, on one tensor."""
        self._require_one_call(entry)
        if not self.is_sequential:
            refs = list(self._references(entry["inbound_nodes"]))
            if len(refs) != 1 or self.is_output(entry):
                raise CannotChange(f"{name_of(entry)!r} is an output, or reads more than one tensor")
            source, name = refs[0][0][:3], name_of(entry)
            for ref, _ in [*self._all_references()]:
                if ref[0] == name:
                    ref[:3] = source
        elif len(self.layers) < 3 or self.layers[0] is entry:
            raise CannotChange(f"{name_of(entry)!r} is the first layer")
        self.layers.remove(entry)

    def reads(self, entry: Entry, shape: list[int | None] | None) -> None:
        """Notes the shape that a layer reads now, where the file notes it."""
        if shape is None:
            return
        build = entry.get("build_config")
        if isinstance(build, dict) and isinstance(build.get("input_shape"), list):
            build["input_shape"] = list(shape)
        if not self.is_sequential:
            for _, tensor in self._references(entry.get("inbound_nodes")):
                if tensor is not None:
                    tensor["shape"] = list(shape)

    def rename(self, names: Mapping[str, str]) -> None:
        """Lets who reads layers, or gives their outputs, know them by other names."""
        if self.is_sequential:
            return
        for ref, _ in [*self._all_references()]:
            ref[0] = names.get(ref[0], ref[0])

    def _require_one_call(self, entry: Entry) -> None:
        if self.calls(entry) != 1:
            raise CannotChange(f"{name_of(entry)!r} is called {self.calls(entry)} times")

    def _reads(self, entry: Entry, ref: list[Any], tensor: Entry | None) -> None:
        """Lets a layer read a tensor, and nothing else; arguments of its call are dropped."""
        source = list(ref[:3])
        entry["inbound_nodes"] = [self._call(source[0], tensor, None if tensor is None else tensor.get("shape"))]
        for own, _ in self._references(entry["inbound_nodes"]):
            own[:3] = source

    def _call(self, name: str, pattern: Entry | None, shape: list[int | None] | None) -> Any:
        if not self.is_keras3:
            return [[name, 0, 0, {}]]
        tensor = copy.deepcopy(pattern) if pattern is not None else {"dtype": "float32"}
        tensor |= {"shape": shape or [None] * 4, "keras_history": [name, 0, 0]}
        return {"args": [{"class_name": _TENSOR, "config": tensor}], "kwargs": {}}

    def _all_references(self) -> Iterator[tuple[list[Any], Entry | None]]:
        names = self.names()
        for entry in self.layers:
            yield from _references(entry.get("inbound_nodes"), names)
        yield from _references(self.config["output_layers"], names)

    def _references(self, value: Any) -> Iterator[tuple[list[Any], Entry | None]]:
        """Every [layer, call, output] in a value, with the Keras 3 tensor around it, if there is one."""
        yield from _references(value, self.names())


def _references(value: Any, names: set[str]) -> Iterator[tuple[list[Any], Entry | None]]:
    if isinstance(value, dict):
        config = value.get("config")
        if value.get("class_name") == _TENSOR and isinstance(config, dict):
            if isinstance(config.get("keras_history"), list):
                yield config["keras_history"], config
            return
        value = list(value.values())
    if not isinstance(value, list):
        return
    if len(value) >= 3 and isinstance(value[0], str) and value[0] in names and type(value[1]) is type(value[2]) is int:
        yield value, None
        value = value[3:]
    for part in value:
        yield from _references(part, names)


def _refers(value: Any, name: str) -> bool:
    """Whether a value refers to an output of a layer."""
    return any(ref[0] == name for ref, _ in _references(value, {name}))


def scopes(document: dict[str, Any], path: tuple[str, ...] = (), known: Known | None = None) -> Iterator[Scope]:
    """Every model of a config, the outermost first."""
    config = document["config"]
    if not isinstance(config, dict):
        return
    known = known or Known()
    yield Scope(config, path, known)
    for entry in config["layers"]:
        inner = entry.get("config")
        if entry.get("class_name") in _CONTAINERS and isinstance(inner, dict) and isinstance(inner.get("layers"), list):
            yield from scopes(entry, (*path, name_of(entry)), known)


def name_of(entry: Entry) -> str:
    return str(entry.get("name") or entry["config"].get("name") or "")


def beside(entry: Entry, class_name: str, name: str, config: dict[str, Any]) -> Entry:
    """A layer of Keras's own in the words in which the file has `entry`."""
    kept = {key: copy.deepcopy(entry["config"][key]) for key in ("trainable", "dtype") if key in entry["config"]}
    new: Entry = {}
    for key in entry:
        if key in ("module", "registered_name", "build_config", "inbound_nodes"):
            new[key] = {"module": "keras.layers", "registered_name": None, "build_config": {}, "inbound_nodes": []}[key]
        elif key == "class_name":
            new[key] = class_name
        elif key == "config":
            new[key] = {"name": name, **kept, **config}
        elif key == "name":
            new[key] = name
    new.pop("build_config", None)
    return new


def _move_input_shape(old: Entry, new: Entry) -> None:
    """A Sequential's first layer may say the shape of the model's input."""
    for key in ("batch_input_shape", "batch_shape"):
        if key in old["config"]:
            new["config"][key] = old["config"].pop(key)
