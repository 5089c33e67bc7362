"""From a Keras model to the graph of the .tflite file that TensorFlow's converter would make of it.

The forecast is for the export that a user of sparse inference does: weights pruned as they are, float32,
`tf.lite.Optimize.EXPERIMENTAL_SPARSITY`, the batch as the model has it.
"""

from __future__ import annotations

import math
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from xnnlint.errors import NotSupported
from xnnlint.keras.config_values import shape_of_input
from xnnlint.keras.description import KerasModel, Layer, TensorRef
from xnnlint.keras.lower.call_order import calls_by_depth
from xnnlint.keras.lower.calls import lower_call
from xnnlint.keras.lower.converter.rewrite import rewrite
from xnnlint.keras.lower.forgotten_sizes import forget_sizes
from xnnlint.keras.lower.known_shapes import is_loop, known_shape
from xnnlint.keras.lower.layer_scope import Builder, Misfit, NotConverted, Scope, fits_a_file, normalize
from xnnlint.keras.lower.operator_order import order
from xnnlint.keras.lower.program import Node, Program, Value
from xnnlint.keras.lower.stored_weights import Encoding, is_encoded, uses_blocks
from xnnlint.keras.lower.variables import put_first
from xnnlint.model.converter_storage import BLOCK
from xnnlint.model.graph import Graph, Model, Operator, Tensor

if TYPE_CHECKING:
    import numpy as np

_BYTES = {"FLOAT32": 4, "INT32": 4, "INT64": 8, "BOOL": 1}
_ROLES = {"CALL_ONCE": ("init",), "WHILE": ("cond", "body")}
_KEEP_SIZES = ("CONCATENATION", "LOGISTIC", "RELU", "SOFTMAX", "TANH")
_INPUT_TYPES = ("BOOL", "FLOAT16", "FLOAT64", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32")
_OTHER_PRECISIONS = ("bfloat16", "float16", "float64")
# The version of FULLY_CONNECTED that reads weights in blocks; XNNPACK does not take it.
_BLOCK_VERSION = 8


def lower(
    keras_model: KerasModel, *, path: str, format: str, assume_pruned: float | None = None, at_end: bool = False
) -> Model:
    """Lowers a model; nothing is executed, and weights are computed when they are asked for.

    Args:
        keras_model: as a reader gives it.
        path: as the user gave it.
        format: "keras", "h5", "saved_model" or "live".
        assume_pruned: the share of zeros that the kernel of every 1x1 Conv2D is taken to have, the smallest weights
            being zero; None to take kernels as they are.
        at_end: whether kernels in pruning wrappers are taken as they are once the wrappers' schedules end.

    Returns:
        A model with one graph. Operators are named after the layers ("backbone/conv1" in a nested model). A layer that
        is not known here is a CUSTOM operator with its class as custom code, and `unknown` of the model says why; one
        with code of the user's, and without weights, is taken to give out what it gets, as far as that fits.
    """
    program = _lowered(keras_model, assume_pruned, keep=True, at_end=at_end)
    if program.misfit:
        program = _lowered(keras_model, assume_pruned, keep=False, at_end=at_end)
    forget_sizes(program)
    order(program)
    rewrite(program)
    _forget_sizes(program)
    for called in (part for node in program.nodes for part in node.called):
        order(called)
        rewrite(called)
    put_first(program)
    notes = _precision_notes(keras_model)
    if not keras_model.has_weights:
        notes.insert(0, "The file holds no weights: the forecast is for the structure alone.")
    schedules = tuple(("/".join(part.path), part.schedule) for part in keras_model.all_layers() if part.schedule)
    may_be_asked = bool(schedules) and assume_pruned is None and not at_end
    return Model(
        path=path,
        format=format,
        graphs=_graphs(program, keras_model.name),
        notes=notes,
        unknown=program.unknown,
        behind=program.behind,
        cures=program.cures,
        layers={layer.name: _what(layer) for layer in keras_model.all_layers()},
        kept=tuple(program.kept),
        unsure=frozenset(program.unsure),
        schedules=schedules,
        at_end=partial(lower, keras_model, path=path, format=format, at_end=True) if may_be_asked else None,
        wrapped=tuple("/".join(part.path) for part in keras_model.all_layers() if part.pruning),
    )


def _what(layer: Layer) -> str:
    """A layer's class, and its function or activation."""
    more = layer.config.get("function", layer.config.get("activation"))
    return f"{layer.class_name} {more}" if isinstance(more, str) else layer.class_name


def _lowered(keras_model: KerasModel, assume_pruned: float | None, *, keep: bool, at_end: bool) -> Program:
    """Every layer's operators; with `keep`, layers of unknown effect give out what they get where they can."""
    program = Program()
    builder = Builder(program, keras_model.dialect, assume_pruned, keras_model.has_weights, keep, at_end)
    formats = (layer.config.get("data_format") for layer in keras_model.all_layers())
    builder.channels_first = any(said == "channels_first" for said in formats)
    inputs = _inputs(keras_model)
    program.inputs = list(inputs.values())
    program.outputs = _Calls(builder, keras_model, builder.inner("", keras_model.name), "").run(inputs)
    return program


def _forget_sizes(program: Program) -> None:
    """Takes from outputs the sizes that the converter does not know: those where a computed shape has -1.

    Keras 2 writes Reshape((-1, classes)) like that where the batch is dynamic.
    """
    partly: dict[Value, Any] = {}
    for node in program.nodes:
        if node.type == "RESHAPE":
            packed = node.inputs[1].producer if len(node.inputs) > 1 and node.inputs[1] is not None else None
            sizes = packed.inputs if packed is not None and packed.type == "PACK" else []
            numbers = [v.constant.array.reshape(-1).tolist() if v is not None and v.constant else None for v in sizes]
            shape = node.output.shape
            if [-1] in numbers and shape is not None and len(shape) == len(numbers):
                partly[node.output] = tuple(None if n == [-1] else d for n, d in zip(numbers, shape, strict=True))
        elif node.type in _KEEP_SIZES and node.output.shape is not None:
            shapes = [partly[v] for v in node.inputs if v in partly and len(partly[v]) == len(node.output.shape)]
            if shapes:
                pairs = zip(node.output.shape, *shapes, strict=True)
                partly[node.output] = tuple(None if None in sizes else size for size, *sizes in pairs)
    pending = [value for value in program.outputs if value in partly]
    while pending:
        value = pending.pop()
        shape = partly.pop(value, None)
        if shape is not None:
            value.shape = shape
            producer = value.producer
            pending += [v for v in producer.inputs if v in partly] if producer is not None else []


def _precision_notes(model: KerasModel) -> list[str]:
    """What to say of layers that compute in 16 or 64 bits."""
    found = {_policy(layer) for layer in model.all_layers() if layer.class_name != "InputLayer"}
    mixed = sorted(name for name in found if name.startswith("mixed_"))
    others = sorted(found.intersection(_OTHER_PRECISIONS))
    if not mixed and not others:
        return []
    named = [f"mixed precision ({', '.join(mixed)})"] if mixed else []
    return [
        f"The model computes in {', '.join(named + others)}, which the converter does not take: build it with"
        " the policy float32 for the export. The forecast is for that."
    ]


def _policy(layer: Layer) -> str:
    """The name of a layer's dtype policy."""
    dtype = layer.config.get("dtype")
    if isinstance(dtype, dict):
        config = dtype.get("config")
        dtype = config.get("name") if isinstance(config, dict) else None
    return dtype if isinstance(dtype, str) else ""


def _inputs(model: KerasModel) -> dict[TensorRef, Value]:
    """The tensors that go in, with the shapes of their InputLayers."""
    values: dict[TensorRef, Value] = {}
    for ref in model.inputs:
        config = model.layer(ref.layer).config
        dtype = str(config.get("dtype")).upper()
        dtype = dtype if dtype in _INPUT_TYPES else "FLOAT32"
        # Keras 3 calls them inputs, inputs_1 and so on where a model is called with a list.
        number = f"_{len(values)}" if values else ""
        name = normalize(ref.layer) if model.dialect == "keras2" else f"inputs{number}"
        values[ref] = Value(shape_of_input(config), dtype, name=name)
    return values


class _Calls:
    """One call of a model: its layers' calls, each once its inputs are there."""

    def __init__(self, builder: Builder, model: KerasModel, prefix: str, label: str, training: Any = None) -> None:
        self.builder, self.model, self.prefix, self.label, self.training = builder, model, prefix, label, training
        self.layers = {layer.name: layer for layer in model.layers}
        self.results: dict[tuple[str, int], list[Value]] = {}
        # Calls that depend on a layer of unknown effect, and those of such layers.
        self.unsure: set[tuple[str, int]] = set()
        # Calls of layers of unknown effect -> the first such layer, where they are unknown because of its shape.
        self.origins: dict[tuple[str, int], str] = {}

    def run(self, inputs: dict[TensorRef, Value]) -> list[Value]:
        """The model's outputs for given inputs."""
        for ref, value in inputs.items():
            self.results[ref.layer, ref.call] = [value]
        needed = self._needed()
        for call in self._order():
            if call in needed:
                self._compute(call)
        return [self._value(ref) for ref in self.model.outputs]

    def _order(self) -> list[tuple[str, int]]:
        """All calls, in the order in which they are made."""
        if self.model.dialect == "keras3" and not self.model.sequential:
            return calls_by_depth(self.model, self._before)
        return [(layer.name, number) for layer in self.model.layers for number in range(len(layer.calls))]

    def _needed(self) -> set[tuple[str, int]]:
        """Calls that an output depends on."""
        needed: set[tuple[str, int]] = set()
        pending = [(ref.layer, ref.call) for ref in self.model.outputs]
        while pending:
            call = pending.pop()
            if call not in needed and call not in self.results:
                needed.add(call)
                pending += self._before(call)
        return needed

    def _before(self, call: tuple[str, int]) -> list[tuple[str, int]]:
        calls = self.layers[call[0]].calls
        return [(r.layer, r.call) for r in calls[call[1]].inputs()] if call[1] < len(calls) else []

    def _compute(self, call: tuple[str, int]) -> None:
        """Computes a call, and first those that it depends on; files list layers in order nearly always."""
        stack, entered = [call], set()
        while stack:
            top = stack[-1]
            missing = [c for c in self._before(top) if c not in self.results and c not in entered]
            if top in self.results or (top in entered and not missing) or not missing:
                stack.pop()
                if top not in self.results:
                    self.results[top] = self._lower(*top)
            else:
                entered.add(top)
                stack += missing[::-1]

    def _lower(self, name: str, number: int) -> list[Value]:
        layer = self.layers[name]
        if number >= len(layer.calls):
            return [Value(None, name=normalize(name))]
        call = layer.calls[number]
        program = self.builder.program
        is_unsure = any((ref.layer, ref.call) in self.unsure for ref in call.inputs())
        args, kwargs = self._filled(list(call.args)), self._filled(call.kwargs)
        label = f"{self.label}{name}"
        if is_unsure:
            program.unsure.add(label)
            self.unsure.add((name, number))
        if layer.model is not None:
            training = kwargs.get("training")
            training = self.training if training is None else training
            return self._nested(layer, number, label, training)
        prefix = self.prefix if layer.is_operation else self.builder.inner(self.prefix, name)
        scope = Scope(self.builder, layer, prefix, label, self.training)
        added = len(program.nodes)
        try:
            return lower_call(scope, args, kwargs)
        except NotSupported as reason:
            del program.nodes[added:]
            program.misfit |= bool(program.kept) and is_unsure and isinstance(reason, Misfit)
            self.unsure.add((name, number))
            inputs = [self._value(ref) for ref in call.inputs()]
            origin = next((self.origins[c] for c in self._before((name, number)) if c in self.origins), None)
            if origin is None or all(value.shape is not None for value in inputs):
                origin = label
                program.unknown.setdefault(label, str(reason))
                if isinstance(reason, NotConverted):
                    program.cures.setdefault(label, reason.cure)
            else:
                program.behind[label] = origin
            self.origins[name, number] = origin
            return self._opaque(scope, inputs)

    def _nested(self, layer: Layer, number: int, label: str, training: Any) -> list[Value]:
        model = layer.model
        assert model is not None
        inner = _Calls(self.builder, model, self.builder.inner(self.prefix, layer.name), f"{label}/", training)
        given = dict(zip(model.inputs, layer.calls[number].inputs(), strict=False))
        inner.unsure = {(ref.layer, ref.call) for ref, got in given.items() if (got.layer, got.call) in self.unsure}
        outputs = inner.run({ref: self._value(got) for ref, got in given.items()})
        if any((ref.layer, ref.call) in inner.unsure for ref in model.outputs):
            self.unsure.add((layer.name, number))
        return outputs

    def _opaque(self, scope: Scope, inputs: list[Value]) -> list[Value]:
        """A layer of which nothing is known but who reads it, and what those were built for.

        Most layers that people write themselves do something in training only, or something to single elements.
        """
        layer = scope.layer
        readers = self._readers.get(layer.name, [])
        count = 1 + max((ref.output for ref, _ in readers), default=0)
        shape = next((o.build_shape for _, o in readers if o.build_shape is not None and len(o.calls) == 1), None)
        if shape is None:
            shape = known_shape(layer, [value.shape for value in inputs])
        if not fits_a_file(shape):
            shape = None
        program = self.builder.program
        may_keep = self.builder.keep and layer.opaque and not layer.weights and len(inputs) == count == 1
        if may_keep and (shape is None or inputs[0].shape is None or shape[1:] == inputs[0].shape[1:]):
            program.kept.append(scope.label)
            return inputs
        shapes = [shape if count == 1 else None] * count
        if is_loop(layer):
            return scope.ops("WHILE", inputs, shapes, "while")
        return scope.ops("CUSTOM", inputs, shapes, "custom", custom_code=layer.class_name)

    @cached_property
    def _readers(self) -> dict[str, list[tuple[TensorRef, Layer]]]:
        """Who reads each layer's outputs."""
        readers: dict[str, list[tuple[TensorRef, Layer]]] = {}
        for layer in self.model.layers:
            for call in layer.calls:
                for ref in call.inputs():
                    readers.setdefault(ref.layer, []).append((ref, layer))
        return readers

    def _value(self, ref: TensorRef) -> Value:
        outputs = self.results.get((ref.layer, ref.call)) or [Value(None, name=normalize(ref.layer))]
        return outputs[min(ref.output, len(outputs) - 1)]

    def _filled(self, item: Any) -> Any:
        """Arguments with values where the config has tensors."""
        if isinstance(item, TensorRef):
            return self._value(item)
        if isinstance(item, (list, tuple)):
            return [self._filled(part) for part in item]
        if isinstance(item, dict):
            return {key: self._filled(part) for key, part in item.items()}
        return item


def _graphs(program: Program, name: str) -> list[Graph]:
    """The main graph, and behind it condition and body of each loop."""
    functions = [part for node in program.nodes for part in node.called]
    names = [f"{node.name}/{role}" for node in program.nodes if node.called for role in _ROLES[node.type]]
    places = {id(part): 1 + number for number, part in enumerate(functions)}
    main = _Assembly(program, places).graph(name)
    return [main, *(_Assembly(part, {}).graph(called) for part, called in zip(functions, names, strict=True))]


class _Assembly:
    """Turns a program into a graph: tensors get numbers, and sparse weights their encoding."""

    def __init__(self, program: Program, places: dict[int, int]) -> None:
        self.program = program
        # Of the graphs that operators call, by id.
        self.places = places
        self.tensors: list[Tensor] = []
        self.operators: list[Operator] = []
        self.ids: dict[Any, int] = {}
        self.unpacked: dict[Any, int] = {}

    def graph(self, name: str) -> Graph:
        """The graph."""
        inputs = tuple(self._tensor(value) for value in self.program.inputs)
        for node in self.program.nodes:
            self._add(node)
        outputs = tuple(self._tensor(value) for value in self.program.outputs)
        return Graph(self.tensors, self.operators, inputs, outputs, name)

    def _add(self, node: Node) -> None:
        inputs = [-1 if value is None else self._tensor(value) for value in node.inputs]
        version = node.version
        if is_encoded(node):
            inputs[1] = self._encode(node)
            version = _BLOCK_VERSION if uses_blocks(node) else version
        outputs = tuple(self._tensor(value) for value in node.outputs)
        attributes = node.attributes
        if node.called:
            called = zip(_ROLES[node.type], node.called, strict=True)
            attributes = {f"{role}_subgraph_index": self.places[id(part)] for role, part in called}
        self._operator(node.type, tuple(inputs), outputs, node.name, attributes, node.custom_code, version)

    def _operator(
        self,
        type_: str,
        inputs: tuple[int, ...],
        outputs: tuple[int, ...],
        name: str,
        attributes: dict[str, Any],
        custom_code: str = "",
        version: int = 1,
    ) -> None:
        index = len(self.operators)
        self.operators.append(Operator(index, type_, inputs, outputs, attributes, custom_code, version, name))

    def _tensor(self, value: Value) -> int:
        if value.key not in self.ids:
            self.ids[value.key] = self._new(value)
        return self.ids[value.key]

    def _new(self, value: Value) -> int:
        shape = value.shape if value.shape is not None else ()
        tensor = Tensor(
            index=len(self.tensors),
            name=value.name,
            dtype=value.dtype,
            shape=tuple(1 if n is None else n for n in shape),
            shape_signature=tuple(-1 if n is None else n for n in shape),
            has_rank=value.shape is not None,
            is_variable=value.is_variable,
        )
        if value.constant is not None:
            tensor.stored = partial(_flat, value)
            tensor.stored_bytes = math.prod(tensor.shape) * _BYTES[value.dtype]
        self.tensors.append(tensor)
        return tensor.index

    def _encode(self, node: Node) -> int:
        """The tensor that an operator with sparse weights reads: behind a DENSIFY, or the weights in blocks."""
        weights = node.inputs[1]
        assert weights is not None and weights.constant is not None
        if weights.key in self.unpacked:
            return self.unpacked[weights.key]
        dense = self.tensors[self.ids[weights.key]]
        blocks = uses_blocks(node)
        encoding = Encoding(weights.constant, BLOCK if blocks else 1)
        dense.stored = partial(getattr, encoding, "values")
        dense.sparsity = encoding.sparsity(dense.shape)
        dense.stored_bytes = (math.prod(dense.shape) - weights.constant.zeros) * _BYTES["FLOAT32"]
        if blocks:
            self.unpacked[weights.key] = dense.index
            return dense.index
        unpacked = Tensor(len(self.tensors), f"{dense.name}/densified", dense.dtype, dense.shape, dense.shape)
        self.tensors.append(unpacked)
        self._operator("DENSIFY", (dense.index,), (unpacked.index,), node.name, {})
        self.unpacked[weights.key] = unpacked.index
        return unpacked.index


def _flat(value: Value) -> np.ndarray:
    """A constant's values as the file would hold them."""
    import numpy as np

    assert value.constant is not None
    array = value.constant.array
    if array.size and not any(array.strides):  # One number for all, where nobody knows them.
        return np.broadcast_to(array.flat[0], array.size)
    array = np.ascontiguousarray(array).reshape(-1)
    array.flags.writeable = False
    return array
