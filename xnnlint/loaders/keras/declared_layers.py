"""What the user declares of layers whose code is not read: custom layers and Lambdas.

`identity` and `elementwise` are words for what such a layer is. `module:function` names code of the user's that is
imported and called with the layer's config, and gives the layers of Keras's own that stand in its place. It runs only
where the user names it: see `runs_code`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xnnlint.errors import XnnlintError
from xnnlint.keras.description import Declared, KerasModel, Layer
from xnnlint.loaders.keras.read_config import parse_json
from xnnlint.loaders.keras.read_variables import variable_names

WORDS = tuple(word.value for word in Declared)


def runs_code(what: str) -> bool:
    """Whether a declaration names code."""
    return ":" in what


def declare(model: KerasModel, layers: Mapping[str, str]) -> list[str]:
    """Notes in a model what is declared of its layers.

    Args:
        layers: what a layer is, by its name or by the name of its class; the name of one layer goes first.

    Returns:
        Sentences on what was taken from the declarations.

    Raises:
        XnnlintError: code that is named cannot be imported, fails, or gives no layers.
    """
    told: dict[tuple[str, str], int] = {}
    for layer in model.all_layers():
        key = next((name for name in _names(layer) if name in layers), None) if layer.opaque else None
        if key is not None:
            layer.declared = _meaning(layers[key], layer)
            told[key, layers[key]] = told.get((key, layers[key]), 0) + 1
    return [
        f"{key} ({count} layer{'s' * (count != 1)}) is taken for {what}, as declared under `layers`."
        for (key, what), count in told.items()
    ]


def _names(layer: Layer) -> tuple[str, ...]:
    """What a layer may be declared by; registered classes have their package in front in legacy files."""
    return "/".join(layer.path), layer.name, layer.class_name, layer.class_name.rpartition(">")[2]


def _meaning(what: str, layer: Layer) -> Declared | tuple[Layer, ...]:
    if not runs_code(what):
        return Declared(what)
    from xnnlint.loaders.keras.read_live import call_named

    made = call_named(what, dict(layer.config))
    stand_ins = getattr(made, "layers", made)
    if not isinstance(stand_ins, (list, tuple)):
        stand_ins = [stand_ins]
    pending = list(layer.weights.values())
    found = []
    for number, part in enumerate(stand_ins):
        inner = _layer(part, layer, number, what)
        names = variable_names(inner)
        inner.weights, pending = dict(zip(names, pending, strict=False)), pending[len(names) :]
        if inner.class_name != "InputLayer":
            found.append(inner)
    return tuple(found)


def _layer(part: Any, layer: Layer, number: int, what: str) -> Layer:
    """A layer of Keras, or its class and config as a dict, as the reader describes layers."""
    if isinstance(part, dict):
        class_name, config = part.get("class_name"), part.get("config")
    else:
        class_name = type(part).__name__
        config = part.get_config() if hasattr(part, "get_config") else None
    if not isinstance(class_name, str) or not isinstance(config, dict):
        raise XnnlintError(f"{what}: gives {part!r}, where layers are wanted, or dicts with class_name and config")
    import json

    plain = parse_json(json.dumps(config, default=str), f"the config from {what}")
    name = f"{layer.name}_{number}"
    return Layer(name, class_name, {**plain, "name": name}, path=(*layer.path[:-1], name))
