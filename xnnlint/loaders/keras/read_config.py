"""From a model's config, as Keras stores it in JSON, to a `KerasModel` without weights.

Two dialects say the same in different words (functional.py and node.py of keras-team/tf-keras; functional.py and
serialization_lib.py of keras-team/keras). A call of a layer is, in Keras 2, a nest of [layer, call, output, kwargs];
in Keras 3, {"args": ..., "kwargs": ...} with tensors marked "__keras_tensor__". Nothing here looks up a class or runs
code: a Lambda's code stays the text that it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from xnnlint.keras.config_values import shape_in, shape_of_input
from xnnlint.keras.description import Call, KerasModel, Layer, PruningSchedule, TensorRef
from xnnlint.loaders.keras.read_known_layers import KNOWN_LAYERS

# A list takes up to some thirty times as much in memory as in JSON. Real configs take some 1 kB for each layer.
_MAX_JSON = 32 << 20
_MAX_JSON_PARTS = 800_000
_MAX_LAYERS = 50_000
_MAX_CALLS = 50_000  # of layers, in models that are called again and again
_MAX_OUTPUTS = 10_000  # of one layer
_MAX_DEPTH = 32

_CONSTANT = "_CONSTANT_VALUE"
_BUILT_IN_MODULES = ("keras", "tf_keras", "tensorflow", "tensorflow_model_optimization")
_MODELS = ("Functional", "Model", "Sequential")
_PRUNING_WRAPPER = "PruneLowMagnitude"
_OPAQUE_WRAPPERS = ("TimeDistributed", "Wrapper", "SpectralNormalization")

DAMAGED = "the file is damaged, or written by a program other than Keras"
SAVE_AS_FUNCTIONAL = (
    "build it with the Functional API, pass it as module:function, or convert it with tf.lite.TFLiteConverter and"
    " check the .tflite file"
)


class Unreadable(Exception):
    """A model that cannot be read.

    Args:
        problem: what is wrong, without a final full stop.
        advice: what to do about it, without a final full stop; may be empty.
    """

    def __init__(self, problem: str, advice: str = "") -> None:
        self.problem = problem
        self.advice = advice
        super().__init__(problem)


def parse_json(text: bytes | str, what: str) -> Any:
    """JSON of bounded size.

    Raises:
        Unreadable: it is no JSON, too large or nested too deeply.
    """
    data = text.encode() if isinstance(text, str) else text
    if len(data) > _MAX_JSON or sum(data.count(mark) for mark in (b"[", b"{", b",")) > _MAX_JSON_PARTS:
        raise Unreadable(f"{what} is larger than any model's: {len(data):,} bytes")
    try:
        return json.loads(data, object_hook=_tuple_or_dict)
    except RecursionError:
        raise Unreadable(f"{what} is nested too deeply", DAMAGED) from None
    except ValueError as error:
        # Says the position, but never the text.
        raise Unreadable(f"{what} is not valid JSON ({error})", DAMAGED) from None


def _tuple_or_dict(value: dict[str, Any]) -> Any:
    """SavedModels, and some arguments elsewhere, mark tuples (json_utils.py of keras-team/tf-keras)."""
    if value.get("class_name") == "__tuple__" and isinstance(value.get("items"), list):
        return tuple(value["items"])
    return value


def read_model(entry: Any, keras_version: str = "") -> KerasModel:
    """A model from its config, with layers that have no weights yet.

    Args:
        entry: {"class_name": ..., "config": {...}, ...} as in config.json or the attribute "model_config".
        keras_version: the version that the file names, if it does.

    Raises:
        Unreadable: it is no model, or one without a graph of layers.
    """
    try:
        model = _Reader(entry, keras_version).model(entry, (), 0)
    except RecursionError:
        raise Unreadable("the config is nested too deeply", DAMAGED) from None
    if (calls := _calls(model)) > _MAX_CALLS:
        raise Unreadable(
            f"with its models called again and again it would take {calls:,} layer calls; up to {_MAX_CALLS:,} are read"
        )
    if model.layers[0].added and shape_of_input(model.layers[0].config) is None:
        raise Unreadable(
            f"the shape of the input of {model.name!r} is unknown, since the model has never been built",
            "begin it with keras.Input(shape), or call model.build(shape) before saving",
        )
    return model


def _calls(model: KerasModel) -> int:
    """How many calls of layers one call of a model takes, those of the models in it each time that they are called."""
    return sum(
        max(len(layer.calls), 1) * (_calls(layer.model) if layer.model is not None else 1) for layer in model.layers
    )


def _dialect(entry: Any, keras_version: str) -> str:
    if version := re.match(r"[0-9]{1,3}\b", keras_version):
        return "keras3" if int(version[0]) >= 3 else "keras2"
    return "keras3" if '"batch_shape"' in json.dumps(entry) or "__keras_tensor__" in json.dumps(entry) else "keras2"


class _Reader:
    def __init__(self, entry: Any, keras_version: str) -> None:
        self.dialect = _dialect(entry, keras_version)
        self.layers = 0

    def model(self, entry: Any, path: tuple[str, ...], depth: int) -> KerasModel:
        config = _model_config(entry)
        if depth > _MAX_DEPTH:
            raise Unreadable("models are nested too deeply", DAMAGED)
        layers = config["layers"]
        self.layers += len(layers)
        if self.layers > _MAX_LAYERS:
            raise Unreadable(f"it claims more than {_MAX_LAYERS:,} layers")
        name = str(config.get("name") or entry.get("class_name") or "model")
        if "input_layers" in config and "output_layers" in config:
            return _Functional(self, name, config, path, depth).read()
        return self.sequential(name, entry, config, path, depth)

    def sequential(self, name: str, entry: Any, config: Any, path: tuple[str, ...], depth: int) -> KerasModel:
        layers = [self.layer(part, path, depth) for part in config["layers"]]
        _refuse_duplicates(layers)
        if not layers or layers[0].class_name != "InputLayer":
            layers.insert(0, self._input_layer(entry, config, layers, path))
        if len(layers) < 2:
            raise Unreadable(f"the model {name!r} has no layers", DAMAGED)
        for before, layer in pairwise(layers):
            layer.calls = [Call((TensorRef(before.name),))]
        first, last = TensorRef(layers[0].name), TensorRef(layers[-1].name)
        return KerasModel(
            name,
            self.dialect,
            layers,
            inputs=[first],
            outputs=[last],
            sequential=True,
        )

    def _input_layer(self, entry: Any, config: Any, layers: list[Layer], path: tuple[str, ...]) -> Layer:
        """The one that a Sequential leaves out when its first layer knows the shape of its input."""
        shape = _input_shape(entry, config, layers)
        key = "batch_shape" if self.dialect == "keras3" else "batch_input_shape"
        name = f"{layers[0].name}_input" if layers else "input"
        return Layer(name, "InputLayer", {"name": name, key: shape, "dtype": "float32"}, path=(*path, name), added=True)

    def layer(self, entry: Any, path: tuple[str, ...], depth: int) -> Layer:
        """A layer without its calls."""
        if not isinstance(entry, dict) or not isinstance(entry.get("class_name"), str):
            raise Unreadable(f"the config of a layer in {_place(path)} is damaged", DAMAGED)
        class_name = entry["class_name"]
        if class_name.split(">")[-1] == _PRUNING_WRAPPER:
            return self._pruned(entry, path, depth)
        config = _config(entry, path)
        name = entry.get("name") or config.get("name")
        if not isinstance(name, str) or not name:
            raise Unreadable(f"a {class_name} in {_place(path)} has no name", DAMAGED)
        layer = Layer(
            name=name,
            class_name=class_name,
            config=config,
            path=(*path, name),
            module=str(entry.get("module") or ""),
            build_shape=shape_in(_build_shape(entry)),
        )
        if class_name == "InputLayer" and shape_of_input(config) is None:
            # Keras 3 has lists of them for inputs that are nests of tensors.
            raise Unreadable(f"the shape of the input {name!r} is damaged or no single shape", DAMAGED)
        if _is_model(class_name, config):
            layer.model = self.model(entry, layer.path, depth + 1)
        elif class_name in _MODELS:
            raise Unreadable(f"the model {name!r} in {_place(path)} is saved without its layers", DAMAGED)
        else:
            layer.opaque = _why_opaque(entry, config)
        return layer

    def _pruned(self, entry: Any, path: tuple[str, ...], depth: int) -> Layer:
        config = _config(entry, path)
        inner = config.get("layer")
        layer = self.layer(inner, path, depth + 1) if depth < _MAX_DEPTH else None
        if layer is None or layer.model is not None:
            raise Unreadable(f"a pruning wrapper in {_place(path)} wraps no layer", DAMAGED)
        layer.pruning = True
        layer.schedule = _schedule(config)
        layer.wrapper = str(entry.get("name") or config.get("name") or f"prune_low_magnitude_{layer.name}")
        layer.build_shape = layer.build_shape or shape_in(_build_shape(entry))
        if "batch_input_shape" in config:
            layer.config = {**layer.config, "batch_input_shape": config["batch_input_shape"]}
        return layer


def _schedule(config: dict[str, Any]) -> PruningSchedule | None:
    """How a pruning wrapper prunes; None for a schedule of the user's own."""
    stored = config.get("pruning_schedule")
    inner = stored.get("config") if isinstance(stored, dict) else None
    if not isinstance(stored, dict) or not isinstance(inner, dict):
        return None
    kind = stored.get("class_name")
    final = inner.get({"PolynomialDecay": "final_sparsity", "ConstantSparsity": "target_sparsity"}.get(str(kind), ""))
    if not isinstance(final, (int, float)) or isinstance(final, bool) or not 0 <= final <= 1:
        return None
    end, block = inner.get("end_step"), config.get("block_size")
    return PruningSchedule(str(kind), float(final), end if type(end) is int else -1, _two(block) or (1, 1))


def _two(value: Any) -> tuple[int, int] | None:
    is_pair = isinstance(value, (list, tuple)) and len(value) == 2 and all(type(n) is int and n > 0 for n in value)
    return (value[0], value[1]) if is_pair else None


class _Functional:
    """A Functional model: its layers, then their calls."""

    def __init__(self, reader: _Reader, name: str, config: Any, path: tuple[str, ...], depth: int) -> None:
        self.reader, self.name, self.config, self.path = reader, name, config, path
        self.layers = [reader.layer(entry, path, depth) for entry in config["layers"]]
        _refuse_duplicates(self.layers)
        # What the file calls each: a wrapped layer has its wrapper's name there.
        self.by_name = {layer.wrapper or layer.name: layer for layer in self.layers}
        self.own_name = {layer.name: layer for layer in self.layers}
        # Calls of nested models are counted from 1 where the model's own construction was call 0.
        self.first_call: dict[str, int] = {}

    def read(self) -> KerasModel:
        for layer, entry in zip(self.layers, self.config["layers"], strict=True):
            nodes = entry.get("inbound_nodes") or []
            if not isinstance(nodes, list):
                raise Unreadable(f"the calls of layer {layer.name!r} are damaged", DAMAGED)
            layer.calls = [self._call(layer, node) for node in nodes]
            if self.reader.dialect == "keras3" and "module" not in entry:
                _mark_operation(layer)
        ends = {key: self._ends(self.config[key]) for key in ("input_layers", "output_layers")}
        self._renumber(ends)
        inputs, outputs = (self._check(_flatten(ends[key])) for key in ("input_layers", "output_layers"))
        for layer in self.layers:
            for call in layer.calls:
                self._check(call.inputs())
        self._refuse_circles()
        if not inputs or not outputs:
            raise Unreadable(f"the model {self.name!r} has no inputs or no outputs", DAMAGED)
        return KerasModel(
            self.name,
            self.reader.dialect,
            self.layers,
            inputs,
            outputs,
        )

    def _refuse_circles(self) -> None:
        """No call may read what is computed from it."""
        ways = {(x.name, n): call.inputs() for x in self.layers for n, call in enumerate(x.calls)}
        readers: dict[tuple[str, int], list[tuple[str, int]]] = {}
        missing: dict[tuple[str, int], int] = {}
        for call, refs in ways.items():
            sources = {(ref.layer, ref.call) for ref in refs} & ways.keys()
            missing[call] = len(sources)
            for source in sources:
                readers.setdefault(source, []).append(call)
        ready = [call for call, count in missing.items() if not count]
        while ready:
            for reader in readers.get(ready.pop(), ()):
                missing[reader] -= 1
                if not missing[reader]:
                    ready.append(reader)
        stuck = next((name for (name, _), count in missing.items() if count), None)
        if stuck is not None:
            raise Unreadable(f"the layers of the model {self.name!r} go round in a circle at {stuck!r}", DAMAGED)

    # Calls

    def _call(self, layer: Layer, node: Any) -> Call:
        if isinstance(node, dict) and "args" in node and "kwargs" in node and isinstance(node["args"], (list, tuple)):
            args = tuple(self._value(arg, keras2=False) for arg in node["args"])
            kwargs = self._value(node["kwargs"], keras2=False)
            if isinstance(kwargs, dict):
                return Call(args, kwargs)
        elif (call := self._keras2_call(node)) is not None:
            return call
        raise Unreadable(f"a call of layer {layer.name!r} is damaged", DAMAGED)

    def _keras2_call(self, node: Any) -> Call | None:
        """Every tensor of the first argument carries the other arguments; they are the same ones each time."""
        kwargs: dict[str, Any] = {}

        def first_argument(item: Any) -> Any:
            if isinstance(item, list) and 3 <= len(item) <= 4 and isinstance(item[0], str):
                if len(item) == 4 and isinstance(item[3], dict) and not kwargs:
                    kwargs.update({key: self._value(value, keras2=True) for key, value in item[3].items()})
                if item[0] == _CONSTANT:
                    return self._value(item[2], keras2=True)
                return self._ref(item[:3])
            if isinstance(item, list):
                return [first_argument(part) for part in item]
            if isinstance(item, dict):
                return {key: first_argument(part) for key, part in item.items()}
            raise Unreadable("a call has something else than tensors as its inputs", DAMAGED)

        inputs = first_argument(node)
        # A constant that is the whole node keeps its axes.
        whole = isinstance(node, list) and bool(node) and isinstance(node[0], str)
        if isinstance(inputs, list) and len(inputs) == 1 and not whole:
            inputs = inputs[0]
        return Call((inputs,), kwargs) if inputs != [] else None

    def _value(self, value: Any, keras2: bool) -> Any:
        """An argument: tensors as references, and the constants that JSON cannot hold as what they were."""
        if isinstance(value, list):
            if keras2 and self._is_ref(value):
                return self._ref(value)
            return [self._value(part, keras2) for part in value]
        if isinstance(value, tuple):
            return tuple(self._value(part, keras2) for part in value)
        if not isinstance(value, dict):
            return value
        class_name = value.get("class_name")
        if class_name == "__keras_tensor__":
            config = value.get("config")
            history = config.get("keras_history") if isinstance(config, dict) else None
            return self._ref(history)
        if isinstance(class_name, str) and class_name in _CONSTANTS:
            return _CONSTANTS[class_name](value, lambda part: self._value(part, keras2))
        return {key: self._value(part, keras2) for key, part in value.items()}

    def _is_ref(self, value: Any) -> bool:
        return (
            isinstance(value, list)
            and len(value) == 3
            and isinstance(value[0], str)
            and value[0] in self.by_name
            and all(type(number) is int for number in value[1:])
        )

    def _ref(self, value: Any) -> TensorRef:
        if not self._is_ref(value) or value[1] < 0 or value[2] < 0:
            name = value[0] if isinstance(value, list) and value and isinstance(value[0], str) else "?"
            raise Unreadable(f"a tensor comes from {name!r}, which the model {self.name!r} does not hold", DAMAGED)
        if value[2] >= _MAX_OUTPUTS:
            raise Unreadable(f"a tensor is output {value[2]} of layer {value[0]!r}", DAMAGED)
        layer = self.by_name[value[0]]
        if layer.model is not None:
            self.first_call[layer.name] = min(value[1], self.first_call.get(layer.name, value[1]))
        return TensorRef(layer.name, value[1], value[2])

    def _ends(self, value: Any) -> Any:
        if self._is_ref(value):
            return self._ref(value)
        if isinstance(value, list):
            parts = [self._ends(part) for part in value]
            # Keras 2 has a list around a single tensor.
            return parts[0] if len(parts) == 1 and self.reader.dialect == "keras2" else parts
        if isinstance(value, dict):
            return {str(key): self._ends(part) for key, part in value.items()}
        raise Unreadable(f"the inputs or outputs of the model {self.name!r} are damaged", DAMAGED)

    def _renumber(self, ends: dict[str, Any]) -> None:
        shifted = {name: first for name, first in self.first_call.items() if first}
        if not shifted:
            return

        def shift(value: Any) -> Any:
            if isinstance(value, TensorRef):
                return TensorRef(value.layer, value.call - shifted.get(value.layer, 0), value.output)
            if isinstance(value, (list, tuple)):
                return type(value)(shift(part) for part in value)
            if isinstance(value, dict):
                return {key: shift(part) for key, part in value.items()}
            return value

        for layer in self.layers:
            layer.calls = [Call(shift(call.args), shift(call.kwargs)) for call in layer.calls]
        for key, value in ends.items():
            ends[key] = shift(value)

    def _check(self, refs: list[TensorRef]) -> list[TensorRef]:
        for ref in refs:
            layer = self.own_name[ref.layer]
            if ref.call >= max(len(layer.calls), 1):
                raise Unreadable(f"layer {ref.layer!r} is called {len(layer.calls)} times, and call {ref.call} is used")
        return refs


def _slice(value: Any, inner: Callable[[Any], Any]) -> Any:
    config = value.get("config")
    config = config if isinstance(config, dict) else value
    return slice(*(inner(config.get(key)) for key in ("start", "stop", "step")))


def _shape(value: Any, inner: Callable[[Any], Any]) -> Any:
    items = value.get("items", value.get("config"))
    return tuple(inner(part) for part in items) if isinstance(items, (list, tuple)) else ()


def _array(value: Any, inner: Callable[[Any], Any]) -> Any:
    config = value.get("config")
    return inner(config.get("value")) if isinstance(config, dict) else None


# Values that JSON has no words for (serialization_lib.py of both, json_utils.py of tf-keras).
_CONSTANTS: dict[str, Callable[[Any, Callable[[Any], Any]], Any]] = {
    "__slice__": _slice,
    "__ellipsis__": lambda value, inner: ...,
    "TensorShape": _shape,
    "__tensor__": _array,
    "__numpy__": _array,
    "__bytes__": _array,
}


def _flatten(value: Any) -> list[TensorRef]:
    """In the order of tf.nest and of keras.tree: dictionaries by sorted keys."""
    if isinstance(value, TensorRef):
        return [value]
    parts = [value[key] for key in sorted(value)] if isinstance(value, dict) else value
    return [ref for part in parts for ref in _flatten(part)]


def _mark_operation(layer: Layer) -> None:
    """Legacy files of Keras 3 do not say whether an Add is the layer or the function; only layers can be trainable."""
    is_layer = "trainable" in layer.config or ("dtype" in layer.config and layer.class_name in KNOWN_LAYERS)
    if layer.model is None and not is_layer:
        layer.module = "keras.src.ops"
        layer.opaque = ""


def _refuse_duplicates(layers: list[Layer]) -> None:
    seen = set()
    for layer in layers:
        for name in {layer.name, layer.wrapper or layer.name}:
            if name in seen:
                raise Unreadable(f"two layers are named {name!r}", DAMAGED)
            seen.add(name)


def _model_config(entry: Any) -> Any:
    """The config of a model, with its list of layers.

    Raises:
        Unreadable: it has none, and what to do about it.
    """
    if not isinstance(entry, dict) or not isinstance(entry.get("class_name"), str):
        raise Unreadable("the config describes no Keras model", DAMAGED)
    config = entry.get("config")
    if isinstance(config, list):
        # A Sequential before Keras 2.2.3.
        config = {"name": "sequential", "layers": config}
    if not _has_layers(config):
        name = entry["class_name"]
        if name in _MODELS:
            raise Unreadable(f"the config of this {name} model lists no layers", DAMAGED)
        raise Unreadable(
            f"{name} is a subclassed model: the file holds its weights, but not its graph of layers", SAVE_AS_FUNCTIONAL
        )
    return config


def _has_layers(config: Any) -> bool:
    return isinstance(config, dict) and isinstance(config.get("layers"), list)


def _is_model(class_name: str, config: dict[str, Any]) -> bool:
    """Whether a layer is a model; a custom layer may have a list of layers too, and do with it what it likes."""
    graph = class_name == "Sequential" or "input_layers" in config or "build_input_shape" in config
    return _has_layers(config) and graph


def _config(entry: Any, path: tuple[str, ...]) -> dict[str, Any]:
    config = entry.get("config")
    if isinstance(config, list):
        # A Sequential before Keras 2.2.3.
        return {"name": entry.get("name", entry["class_name"].lower()), "layers": config}
    if not isinstance(config, dict):
        raise Unreadable(f"the config of a {entry['class_name']} in {_place(path)} is damaged", DAMAGED)
    return config


def _why_opaque(entry: Any, config: dict[str, Any]) -> str:
    class_name, module = entry["class_name"], str(entry.get("module") or "")
    short = class_name.split(">")[-1]
    if module or entry.get("registered_name"):
        # Newer files have no module for a custom class, but the name under which it was registered.
        built_in = module.split(".")[0] in _BUILT_IN_MODULES
    else:
        built_in = class_name in KNOWN_LAYERS
    if not built_in:
        return f"custom layer {short}"
    if short == "Lambda":
        return "Lambda"
    if short.startswith("Quantize"):
        return f"quantization wrapper {short}"
    if short in _OPAQUE_WRAPPERS or short.startswith("Cluster"):
        return f"{short} wrapper"
    if _is_quantized(config.get("dtype")) or config.get("quantization_config"):
        return f"{short} quantized by Keras"
    return ""


def _is_quantized(dtype: Any) -> bool:
    """Keras 3's QuantizedDTypePolicy and its like: kernels are integers, with scales of their own."""
    if isinstance(dtype, dict):
        return "Quantized" in str(dtype.get("class_name"))
    return isinstance(dtype, str) and dtype.startswith(("int8_from", "int4_from", "float8_from"))


def _input_shape(entry: Any, config: Any, layers: list[Layer]) -> list[int | None] | None:
    """Shape of a Sequential's input, batch first; None if nobody said it."""
    if layers:
        inner = layers[0].model
        for first in (layers[0].config, inner.layers[0].config if inner is not None else {}):
            if (known := shape_of_input(first)) is not None:
                return list(known)
    for shape in (config.get("build_input_shape"), _build_shape(entry), layers[0].build_shape if layers else None):
        if (known := shape_in(shape)) is not None:
            return list(known)
    return None


def _build_shape(entry: Any) -> Any:
    build = entry.get("build_config") if isinstance(entry, dict) else None
    return build.get("input_shape") if isinstance(build, dict) else None


def _place(path: tuple[str, ...]) -> str:
    return "/".join(path) or "the model"
