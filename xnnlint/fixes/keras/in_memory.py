"""`fix` for a model in memory, of Keras 3 or tf_keras: a new model comes back, and the old one stays as it is.

Only here is Keras used, and only that of the model itself: to save it, to build the new one and to copy weights.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

from xnnlint.errors import XnnlintError
from xnnlint.fixes.keras.config_search import ConfigRepair, repair
from xnnlint.fixes.request import FixRequest
from xnnlint.xnnpack.profile import DEFAULT_CPU, DEFAULT_RUNTIME, load_profile


def fix_model(
    model: Any,
    *,
    unsafe_fixes: bool = False,
    assume_pruned: float | None = None,
    goal: str = "runtime",
    runtime: str = DEFAULT_RUNTIME,
    cpu: str = DEFAULT_CPU,
) -> tuple[Any, ConfigRepair]:
    """A new model that runs sparse as far as layers can be changed, and what was changed.

    Args:
        model: a Functional or Sequential model of Keras 3 or tf_keras, built.
        unsafe_fixes: whether what the model computes may change, so that it must be trained again.
        assume_pruned: the share of zeros to plan for; None for 0.8 where the model is not pruned yet.
        goal: "runtime", or "policy" for a model that TFMOT's pruning policy takes, too.

    Returns:
        The new model, not compiled, with the weights of the old one; and the `Repair`. Without changes it is a copy.

    Raises:
        XnnlintError: the model cannot be saved, read or built again.
    """
    if not all(hasattr(model, name) for name in ("save", "layers", "get_config")):
        raise XnnlintError(f"{type(model).__name__} is no Keras model")
    if goal not in ("runtime", "policy"):
        raise XnnlintError(f"the goal {goal!r} is not known; it is 'runtime' or 'policy'")
    options = FixRequest(load_profile(runtime, cpu), unsafe_fixes, assume_pruned=assume_pruned, policy=goal == "policy")
    with tempfile.TemporaryDirectory(prefix="xnnlint-") as folder:
        path = str(Path(folder, "model.keras"))
        try:
            model.save(path)
        except Exception as error:
            raise XnnlintError(f"the model {model.name!r} cannot be saved ({error})") from error
        done = repair(path, options)
    done.result.path = str(model.name)
    try:
        config = copy.deepcopy(done.after.document["config"])
        fixed = type(model).from_config(config, custom_objects=_user_objects(model, config))
    except Exception as error:
        raise XnnlintError(f"the model {model.name!r} cannot be built from its changed config ({error})") from error
    _carry_over(model, fixed, set(done.after.new_weights))
    for name, weights in done.after.new_weights.items():
        fixed.get_layer(name).set_weights(list(weights))
    return fixed, done


def _with_wrapped(layers: list[Any]) -> list[Any]:
    """Layers, and those in their pruning wrappers."""
    return [*layers, *(layer.layer for layer in layers if type(layer).__name__ == "PruneLowMagnitude")]


def _user_objects(model: Any, config: Any) -> dict[str, Any]:
    """The user's classes and functions that the model has, by the names that a config calls them.

    Code is not taken from the config: what that has of functions refers to those of the model's own layers.
    """
    found: dict[str, Any] = {}
    entries = {str(e["config"].get("name")): e for e in config["layers"] if isinstance(e.get("config"), dict)}
    for layer in _with_wrapped(model.layers):
        entry = entries.get(layer.name, {})
        kind = type(layer)
        if isinstance(getattr(layer, "layers", None), list) and "layers" in entry.get("config", {}):
            found |= _user_objects(layer, entry["config"])
        elif kind.__name__ == "Lambda" and callable(getattr(layer, "function", None)):
            name = f"xnnlint_function_of_{layer.name}"
            found[name] = layer.function
            _refer(entry["config"], name, is_keras3=not kind.__module__.startswith("tf_keras."))
        elif not kind.__module__.startswith(("keras.", "tf_keras.")):
            found |= {kind.__name__: kind, str(entry.get("registered_name") or kind.__name__): kind}
        activation = getattr(layer, "activation", None)
        if callable(activation) and not str(getattr(activation, "__module__", "")).startswith(("keras.", "tf_keras.")):
            name = f"xnnlint_activation_of_{layer.name}"
            found[name] = activation
            if "activation" in entry.get("config", {}):
                entry["config"]["activation"] = name if kind.__module__.startswith("tf_keras.") else _function(name)
    return found


def _refer(config: Any, name: str, *, is_keras3: bool) -> None:
    """Lets the config of a Lambda refer to a function by name, as each Keras does (`Lambda.from_config`)."""
    if is_keras3:
        config["function"] = _function(name)
    else:
        config |= {"function": name, "function_type": "function", "module": "__main__"}


def _function(name: str) -> dict[str, Any]:
    """How a config of Keras 3 refers to a function of the user's."""
    return {"class_name": "function", "config": name, "module": "builtins", "registered_name": name}


def _carry_over(old: Any, new: Any, given: Collection[str] = ()) -> None:
    """Copies weights by the names of layers, in nested models too; new layers, and those in `given`, have their own."""
    by_name = {layer.name: layer for layer in _with_wrapped(old.layers)}
    for layer in new.layers:
        source = by_name.get(layer.name)
        if source is None or layer.name in given:
            continue
        if isinstance(getattr(layer, "layers", None), list):
            _carry_over(source, layer)
        elif layer.weights and source.weights:
            layer.set_weights(source.get_weights())
