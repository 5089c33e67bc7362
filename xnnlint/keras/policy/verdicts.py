"""What TFMOT's `PruneForLatencyOnXNNPack` says of a Keras model, from its config.

A static model of tensorflow/model-optimization, sparsity/keras/pruning_policy.py (6fbc2ce, the same in release 0.8.1):
the same search over the same graph, so the same verdict. The policy raises for the first thing that it meets; here
everything is collected. Where tf_keras decides what the policy sees: engine/node.py of keras-team/tf-keras.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from msgspec import Struct

from xnnlint.keras.description import KerasModel, Layer
from xnnlint.keras.policy.supported_layers import (
    CONVOLUTIONS,
    POOLING,
    Unmet,
    class_of,
    is_prunable,
    stem_shortcomings,
    unmet_of_layer,
)

NO_START = (
    "Could not find `Conv2D 3x3` layer with stride 2x2, `input filters == 3` and `VALID` padding and "
    "preceding `ZeroPadding2D` with `padding == 1` in all input branches of the model"
)
NO_END = "Could not find a `GlobalAveragePooling2D` layer in all output branches"
_TO_VECTOR = (POOLING, "GlobalMaxPooling2D", "Flatten")
_UNSUPPORTED = "Layer {} is not supported for the PruneForLatencyOnXNNPack pruning policy"


class Stage(str, Enum):
    """Which of the policy's three searches refuses, in their order."""

    START = "start"
    END = "end"
    BETWEEN = "between"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A layer that the policy refuses.

    Attributes:
        path: names of the enclosing models and of the layer, joined by "/".
        class_name: what the policy calls it.
        required, actual: what the policy demands and what the layer has, in a user's words.
        reached: whether the policy gets as far as this layer; else it stops at an earlier stage, and would refuse this
            layer once that is fixed.
    """

    stage: Stage
    path: str
    class_name: str
    required: str
    actual: str
    reached: bool = True
    layer: Layer | None = field(default=None, compare=False, repr=False)


class PolicyVerdict(Struct, frozen=True):
    """The answer for a whole model.

    Attributes:
        message: of the ValueError that the policy raises, "" where it takes the model. Where several layers could be
            the first, which one it names depends on the order of a Python set: this is the first one in the file.
        possible: every message that could come, "" for none.
        refusals: everything that it refuses or would refuse, in the order of the stages and of the file.
        prunable: paths of the layers that it prunes: those that are 1x1 Conv2D, wherever they are.
        start, end: paths of the layers between which it looks.
        notes: what a person should know about the answer, a sentence each.
    """

    message: str
    possible: frozenset[str]
    refusals: tuple[Refusal, ...]
    prunable: tuple[str, ...]
    start: tuple[str, ...]
    end: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def takes(self) -> bool:
        """Whether `prune_low_magnitude(model, pruning_policy=PruneForLatencyOnXNNPack())` goes through."""
        return not self.message


def judge(model: KerasModel) -> PolicyVerdict:
    """The policy's verdict on a model, with everything that it refuses."""
    return _Judge(model).verdict()


def unsupported_paths(model: KerasModel) -> list[str]:
    """Paths of all layers that are not on the policy's list, wherever they are, those of nested models too."""
    return list(_Judge(model).unmet)


class _Wiring:
    """Who feeds whom, as the policy sees it: layer by layer, all calls of a layer together.

    Layers are known by their paths. A nested model is a layer of its own, and the layers in it have connections of
    their own; only the policy's step into a nested Sequential leads from one to the other.
    """

    def __init__(self, model: KerasModel) -> None:
        self.layers: dict[str, Layer] = {}
        self.producers: dict[str, list[str]] = {}
        self._readers: dict[str, list[str]] = {}
        self._add(model)

    def _add(self, model: KerasModel) -> None:
        paths = {layer.name: path_of(layer) for layer in model.layers}
        for layer in model.layers:
            self.layers[paths[layer.name]] = layer
            self._readers.setdefault(paths[layer.name], [])
        for layer in model.layers:
            path = paths[layer.name]
            inputs = dict.fromkeys(paths[ref.layer] for call in layer.calls for ref in call.inputs())
            self.producers[path] = list(inputs)
            for source in inputs:
                self._readers.setdefault(source, []).append(path)
            if layer.model is not None:
                self._add(layer.model)

    def consumers(self, path: str) -> list[str]:
        """Readers of a layer; in the place of a nested Sequential, the first layer in it (`_get_consumers`)."""
        return list(dict.fromkeys(self._entered(reader) for reader in self._readers[path]))

    def _entered(self, path: str) -> str:
        model = self.layers[path].model
        if model is None or not model.sequential:
            return path
        first = next((layer for layer in model.layers if layer.class_name != "InputLayer"), None)
        return path if first is None else self._entered(path_of(first))

    def lookup(
        self, sources: Iterable[str], stop: Callable[[str], object], following: Callable[[str], list[str]]
    ) -> tuple[set[str], list[str]]:
        """`_lookup_layers`: the layers at which a search stops, and those at which it ends without stopping.

        The policy takes a search with such an end for one that found nothing.
        """
        found, dead_ends = set(), []
        for path in self.reach(sources, stop, following):
            if stop(path):
                found.add(path)
            elif not following(path):
                dead_ends.append(path)
        return found, dead_ends

    def reach(
        self, sources: Iterable[str], stop: Callable[[str], object], following: Callable[[str], list[str]]
    ) -> dict[str, None]:
        """Everything on the way up to where `stop` holds, that included."""
        seen = dict.fromkeys(sources)
        pending = list(seen)
        while pending:
            path = pending.pop()
            if not stop(path):
                new = [other for other in following(path) if other not in seen]
                seen.update(dict.fromkeys(new))
                pending += new
        return seen


class _Judge:
    def __init__(self, model: KerasModel) -> None:
        self.model = model
        self.wiring = wiring = _Wiring(model)
        self.order = {path: number for number, path in enumerate(wiring.layers)}
        self.unmet: dict[str, Unmet] = {}
        for path, layer in wiring.layers.items():
            unmet = unmet_of_layer(layer, self._feeding(path))
            if unmet is not None:
                self.unmet[path] = unmet
        self.inputs = list(dict.fromkeys(path_of(model.layer(ref.layer)) for ref in model.inputs))
        self.outputs = list(dict.fromkeys(path_of(model.layer(ref.layer)) for ref in model.outputs))

    def verdict(self) -> PolicyVerdict:
        start, no_start = self.wiring.lookup(self.inputs, self._is_start, self.wiring.consumers)
        end, no_end = self.wiring.lookup(self.outputs, self._is_end, self._producers)
        refusals: list[Refusal] = []
        possible = {""}
        if no_start or not start:
            possible = {NO_START}
            refusals += self._without_start()
        if no_end or not end:
            possible = {NO_END} if possible == {""} else possible
            refusals += [_after(r, no_start) for r in self._without_end(no_end)]
        stopped = possible != {""}
        if not stopped:
            possible = self._messages_between(start, end)
        begin = self._likely_starts() if no_start or not start else start
        refusals += self._between(begin, self._likely_ends() if no_end or not end else end, reached=not stopped)
        message = next(iter(possible)) if stopped else self._first(refusals, possible)
        return PolicyVerdict(
            message=message,
            possible=frozenset(possible),
            refusals=tuple(refusals),
            prunable=tuple(path for path, layer in self.wiring.layers.items() if is_prunable(layer)),
            start=() if no_start else self._in_order(start),
            end=() if no_end else self._in_order(end),
            notes=tuple(self._notes(possible)),
        )

    # --- the three searches ------------------------------------------------------------------------------------------

    def _is_start(self, path: str) -> bool:
        """`_start_layer_stop_fn`."""
        layer = self.wiring.layers[path]
        is_convolution = class_of(layer) in CONVOLUTIONS and not layer.pruning
        return is_convolution and not stem_shortcomings(layer, self._feeding(path), self._channels_into(path))

    def _is_end(self, path: str) -> bool:
        """`_end_layer_stop_fn`; keepdims is not looked at since 33a3718 (2021-06-23)."""
        layer = self.wiring.layers[path]
        return class_of(layer) == POOLING and not layer.pruning

    def _messages_between(self, start: Collection[str], end: Collection[str]) -> set[str]:
        """Every message that the last search may raise: it visits layers in the order of a set.

        It gives up without a message at a layer that nothing reads, such as the last one of a nested Sequential, even
        if it has not seen everything; with luck that comes first.
        """
        seen = self.wiring.reach(self._readers_of(start), lambda p: p in end or p in self.unmet, self.wiring.consumers)
        messages = {_message(self.wiring.layers[p]) for p in seen if p in self.unmet and p not in end}
        gives_up = any(p not in end and p not in self.unmet and not self.wiring.consumers(p) for p in seen)
        return messages | {""} if gives_up or not messages else messages

    def _between(self, start: Iterable[str], end: Collection[str], *, reached: bool) -> Iterator[Refusal]:
        """Unsupported layers between start and end."""
        seen = self.wiring.reach(self._readers_of(start), lambda p: p in end, self.wiring.consumers)
        for path in self._in_order(p for p in seen if p in self.unmet and p not in end):
            yield self._refusal(Stage.BETWEEN, path, self.unmet[path], reached=reached)

    def _without_start(self) -> Iterator[Refusal]:
        """For each input that reaches an output without a stem: the first convolution there, or the input itself."""
        for entry in self.inputs:
            found, dead_ends = self.wiring.lookup([entry], self._is_start, self.wiring.consumers)
            if found and not dead_ends:
                continue
            candidates = self._first_convolutions([entry])
            for path in candidates:
                layer = self.wiring.layers[path]
                unmet = stem_shortcomings(layer, self._feeding(path), self._channels_into(path))
                if layer.pruning and unmet is None:
                    unmet = Unmet("a Conv2D that is not wrapped", "wrapped in PruneLowMagnitude")
                if unmet is not None:
                    yield self._refusal(Stage.START, path, unmet)
            if not candidates or all(self._is_start(path) for path in candidates):
                required = "ZeroPadding2D(1) and a 3x3 Conv2D of stride 2 between this input and every output"
                yield self._refusal(Stage.START, entry, Unmet(required, self._way_out(dead_ends)))

    def _without_end(self, dead_ends: Iterable[str]) -> Iterator[Refusal]:
        """For each output that reaches an input without a pooling: the layer that gives it."""
        required = f"a {POOLING} on every way to this output"
        for path in self.outputs:
            found, open_ends = self.wiring.lookup([path], self._is_end, self._producers)
            if open_ends or not found:
                way = self._back_from(path)
                yield self._refusal(Stage.END, path, Unmet(required, self._instead_of_pooling(way, found)))

    def _instead_of_pooling(self, way: Iterable[str], found: Collection[str]) -> str:
        """What is on the way to an output that some input reaches without a pooling."""
        nested = [self.wiring.layers[path].model for path in way]
        if any(class_of(layer) == POOLING for model in nested if model for layer in model.all_layers()):
            return "only one inside of a nested model, where the policy does not look"
        ends = self._likely_ends()
        other = [p for p in self._in_order(way) if p in ends and not self._is_end(p)]
        if other:
            return ", ".join(f"{self.wiring.layers[p].class_name} {p}" for p in other)
        return "one on some of the ways only" if found else "none"

    # --- helpers -----------------------------------------------------------------------------------------------------

    def _feeding(self, path: str) -> Layer | None:
        """The layer that feeds another one, where it is the only one.

        What a pruning wrapper holds has no connections of its own.
        """
        sources = self.wiring.producers[path]
        if self.wiring.layers[path].pruning or len(sources) != 1:
            return None
        return self.wiring.layers[sources[0]]

    def _producers(self, path: str) -> list[str]:
        return self.wiring.producers[path]

    def _readers_of(self, paths: Iterable[str]) -> list[str]:
        return list(dict.fromkeys(reader for path in paths for reader in self.wiring.consumers(path)))

    def _first_convolutions(self, sources: Iterable[str]) -> tuple[str, ...]:
        def is_convolution(path: str) -> bool:
            return class_of(self.wiring.layers[path]) in CONVOLUTIONS

        seen = self.wiring.reach(sources, is_convolution, self.wiring.consumers)
        return self._in_order(path for path in seen if is_convolution(path))

    def _likely_starts(self) -> tuple[str, ...]:
        """Where there is no start: the first convolutions behind the inputs, or the inputs if there are none."""
        return self._first_convolutions(self.inputs) or tuple(self.inputs)

    def _likely_ends(self) -> set[str]:
        """Where there is no end: the last poolings, and what else makes a vector of a map."""
        return {
            path for path, layer in self.wiring.layers.items() if class_of(layer) in _TO_VECTOR and self._is_last(path)
        }

    def _is_last(self, path: str) -> bool:
        """Whether a pooling stands before no other one, and is no gate of one either."""
        behind = self.wiring.reach(self.wiring.consumers(path), lambda p: False, self.wiring.consumers)
        return not any(class_of(self.wiring.layers[p]) in (*_TO_VECTOR, "Multiply") for p in behind if p != path)

    def _back_from(self, path: str) -> dict[str, None]:
        return self.wiring.reach([path], self._is_end, self._producers)

    def _way_out(self, dead_ends: Iterable[str]) -> str:
        ends = ", ".join(self._in_order(dead_ends))
        return f"it reaches {ends} without one" if ends else "none"

    def _channels_into(self, path: str) -> int | None:
        return _channels_of_input(self.wiring, path)

    def _refusal(self, stage: Stage, path: str, unmet: Unmet, *, reached: bool = True) -> Refusal:
        layer = self.wiring.layers[path]
        return Refusal(stage, path, shown_class(layer), unmet.required, unmet.actual, reached, layer)

    def _in_order(self, paths: Iterable[str]) -> tuple[str, ...]:
        return tuple(sorted(set(paths), key=self.order.__getitem__))

    def _first(self, refusals: list[Refusal], possible: Collection[str]) -> str:
        """The message for the first layer in the file among those that can come first."""
        for refusal in refusals:
            if refusal.layer is not None and (message := _message(refusal.layer)) in possible:
                return message
        return ""

    def _notes(self, possible: Collection[str]) -> Iterator[str]:
        if self.model.dialect == "keras3":
            yield "TFMOT takes tf_keras models only; this is its verdict on the same layers built with tf_keras."
        if len(possible) > 1:
            yield (
                "Which layer the policy names, or whether it sees one at all, changes from run to run: it visits layers"
                " in the order of a Python set."
            )
        wrapped = sum(layer.pruning for layer in self.wiring.layers.values())
        if wrapped:
            are = "layer is" if wrapped == 1 else "layers are"
            yield f"{wrapped} {are} wrapped in PruneLowMagnitude already, and stay as they are."
        custom = sorted({layer.class_name for layer in self.wiring.layers.values() if layer.opaque})
        if custom:
            yield f"Taken for unsupported, since only their names are in the file: {', '.join(custom)}."


def path_of(layer: Layer) -> str:
    return "/".join(layer.path) or layer.name


def shown_class(layer: Layer) -> str:
    """The name of the class of the object that the policy is given."""
    return "PruneLowMagnitude" if layer.pruning else layer.class_name.split(">")[-1]


def _message(layer: Layer) -> str:
    return _UNSUPPORTED.format(shown_class(layer))


def _after(refusal: Refusal, earlier: object) -> Refusal:
    return Refusal(
        refusal.stage,
        refusal.path,
        refusal.class_name,
        refusal.required,
        refusal.actual,
        reached=not earlier,
        layer=refusal.layer,
    )


def _channels_of_input(wiring: _Wiring, path: str) -> int | None:
    """Channels of the map that a layer is given; None where the file leaves it open."""
    layer = wiring.layers[path]
    if layer.build_shape:
        return layer.build_shape[-1]
    sources = wiring.producers[path]
    return _channels_of_output(wiring, sources[0]) if sources else None


_CHANNEL_KEEPERS = """
ZeroPadding2D Rescaling BatchNormalization Normalization Activation ReLU LeakyReLU ELU PReLU Dropout SpatialDropout2D
GaussianNoise Cropping2D Resizing MaxPooling2D AveragePooling2D UpSampling2D RandomFlip RandomRotation RandomZoom
RandomTranslation RandomContrast RandomBrightness RandomCrop CenterCrop Add Multiply TFOpLambda
"""
_KEEPS_CHANNELS = frozenset(_CHANNEL_KEEPERS.split())


def _channels_of_output(wiring: _Wiring, path: str) -> int | None:
    layer = wiring.layers[path]
    config = layer.config
    if layer.class_name == "InputLayer":
        shape = config.get("batch_shape") or config.get("batch_input_shape")
        return shape[-1] if isinstance(shape, (list, tuple)) and shape else None
    filters = config.get("filters")
    if isinstance(filters, int):
        return filters
    if layer.class_name == "Concatenate":
        parts = [_channels_of_output(wiring, ref) for ref in wiring.producers[path]]
        # Calls of a layer on one tensor several times are not kept apart here.
        calls = [call.inputs() for call in layer.calls]
        alike = len(calls) == 1 and len(calls[0]) == len(parts)
        return sum(p for p in parts if p is not None) if alike and None not in parts else None
    return _channels_of_input(wiring, path) if layer.class_name in _KEEPS_CHANNELS else None
