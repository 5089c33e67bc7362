"""Calls of layers: which lowering a call goes to, and how its arguments reach it."""

from __future__ import annotations

from typing import Any

from xnnlint.errors import NotSupported
from xnnlint.keras.description import Declared, Layer

# What registers the lowerings.
from xnnlint.keras.lower import (  # noqa: F401
    activations,
    array_functions,
    group_normalization,
    merging_layers,
    normalization_layers,
    sequence_layers,
    shape_layers,
    volume_layers,
    weighted_layers,
)
from xnnlint.keras.lower.attention_layers import ATTENTION
from xnnlint.keras.lower.functions import KERAS3_OPERATIONS, TF_FUNCTIONS, call_function
from xnnlint.keras.lower.layer_scope import Scope
from xnnlint.keras.lower.program import Value
from xnnlint.keras.lower.recurrent_layers import RECURRENT
from xnnlint.keras.lower.registry import LAYERS


def lower_call(scope: Scope, args: list[Any], kwargs: dict[str, Any]) -> list[Value]:
    """Adds the operators of one call of a layer.

    Args:
        args, kwargs: of the call, with values where the config has tensors.

    Returns:
        The layer's outputs.

    Raises:
        NotSupported: it, or its use, is not known here.
    """
    result = _lower(scope, args, kwargs)
    return result if isinstance(result, list) else [result]


def _lower(scope: Scope, args: list[Any], kwargs: dict[str, Any]) -> Value | list[Value]:
    layer = scope.layer
    name = layer.class_name
    if layer.declared is not None:
        return _declared(scope, layer.declared, args)
    if layer.opaque:
        raise NotSupported(f"it is a {layer.opaque}")
    if name in ("TFOpLambda", "SlicingOpLambda"):
        function = TF_FUNCTIONS.get(str(layer.config.get("function")))
        if function is None:
            raise NotSupported(f"the function {layer.config.get('function')!r} is not known here")
        return call_function(scope, function, args, kwargs)
    if layer.is_operation:
        if name not in KERAS3_OPERATIONS:
            raise NotSupported(f"the operation {name} is not known here")
        ignored = ("name",) if name == "Cast" else ("name", "dtype")
        options = {k: v for k, v in layer.config.items() if k not in ignored}
        return call_function(scope, KERAS3_OPERATIONS[name], args, {**options, **kwargs})
    for functions in (ATTENTION, RECURRENT):
        if name in functions:
            return call_function(scope, functions[name], args, kwargs)
    lowering = LAYERS.get(name)
    if lowering is None:
        raise NotSupported(f"the lowering of {name} is not known here")
    if not lowering.same_in_training and scope.in_training(args, kwargs):
        raise NotSupported("it is called with training=True")
    tensors = _tensors(args)
    if any(x.shape == () for x in tensors):
        raise NotSupported("its input has no batch")
    return lowering.emit(scope, [_as_float(scope, x) for x in tensors])


def _declared(scope: Scope, declared: Declared | tuple[Layer, ...], args: list[Any]) -> Value | list[Value]:
    """What stands in the place of a layer by the user's word."""
    tensors = _tensors(args)
    if isinstance(declared, tuple):
        found: Value | list[Value] = tensors
        for layer in declared:
            given = found if isinstance(found, list) else [found]
            found = _lower(Scope(scope.builder, layer, scope.prefix, scope.label, scope.training), [given], {})
        return found
    x = tensors[0] if tensors else None
    if x is None or (declared is Declared.IDENTITY and len(tensors) != 1):
        raise NotSupported(f"it has {len(tensors)} inputs, and is declared to be the {declared.value}")
    if declared is Declared.IDENTITY:
        return x
    if any(other.shape != x.shape for other in tensors):
        raise NotSupported("its inputs have different shapes, and it is declared to be elementwise")
    if len(tensors) == 1:
        # Any operator on single elements will do: XNNPACK runs this one in either layout in every version.
        return scope.op("ABS", [x], x.shape, "Abs")
    for other in tensors[1:]:
        x = scope.op("ADD", [x, other], x.shape, "add")
    return x


def _as_float(scope: Scope, x: Value) -> Value:
    """An input as layers compute with it: floating point numbers are cast by all (`autocast`), others by Rescaling."""
    if x.dtype == "FLOAT32" or x.shape is None:
        return x
    if x.dtype not in ("FLOAT16", "FLOAT64") and scope.layer.class_name != "Rescaling":
        raise NotSupported(f"its input is of type {x.dtype}")
    return scope.op("CAST", [x], x.shape, "Cast", {"in_data_type": x.dtype, "out_data_type": "FLOAT32"})


def _tensors(args: list[Any]) -> list[Value]:
    """The tensors of the first argument."""
    found: list[Value] = []
    pending: list[Any] = [args[0]] if args else []
    while pending:
        item = pending.pop()
        if isinstance(item, Value):
            found.append(item)
        elif isinstance(item, dict):
            pending += list(item.values())[::-1]
        elif isinstance(item, (list, tuple)):
            pending += list(item)[::-1]
    return found
