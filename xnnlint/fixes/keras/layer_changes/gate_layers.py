"""Squeeze-and-excite whose gate is computed of a vector: the same gate of 1x1 convolutions.

The pooling keeps its dimensions then, so that no shape is computed at run time, and the gate stays in the cluster.
"""

from __future__ import annotations

from xnnlint.fixes.change import Change, Exactness
from xnnlint.fixes.keras.config_scope import Entry, Scope, name_of
from xnnlint.fixes.keras.layer_changes.class_changes import become_pointwise, can_become, is_pointwise, shown
from xnnlint.fixes.keras.layer_changes.pixel_layers import number_argument
from xnnlint.fixes.keras.layer_changes.pooling_layers import AT_POOLINGS, GLOBAL, back_to_convolution
from xnnlint.fixes.keras.layer_fixer import LayerFixer, Match, Stage
from xnnlint.xnnpack.conditions.condition import Condition

_ELEMENTWISE = ("Activation", "ReLU", "LeakyReLU", "ELU", "Dropout", "Rescaling")
_PRODUCTS = ("Multiply", "math.multiply", "__operators__.mul")
_EXPANDING = ("expand_dims", "ExpandDims")
# Layers between a pooling and the product.
_LONGEST = 16


class GateOfConvolutions(LayerFixer):
    """The layers that give the pooled vector its dimensions back go, and Dense layers become 1x1 convolutions."""

    name = "gate-of-convolutions"
    stage = Stage.POOLINGS
    exactness = Exactness.ROUNDING
    fulfils = AT_POOLINGS | {Condition.OUTPUT_OUTSIDE}

    def match(self, scope: Scope, entry: Entry) -> Match | None:
        if entry["class_name"] != GLOBAL or entry["config"].get("data_format") not in (None, "channels_last"):
            return None
        chain = _chain(scope, entry)
        changed = [e for e in chain[1:-1] if _restores(e) or e["class_name"] == "Dense"]
        # What the gate is computed of is found where it leaves the cluster.
        return self.found(scope, entry, *chain[1:], *back_to_convolution(scope, entry)) if changed else None

    def apply(self, match: Match) -> Change:
        scope, entry = match.scope, match.entry
        chain = _chain(scope, entry)
        concerned = [e for e in chain[:-1] if e is entry or _restores(e) or e["class_name"] == "Dense"]
        before = shown(concerned)
        map_shape = scope.shape_into(entry)
        batch = map_shape[0] if map_shape else None
        channels = map_shape[-1] if map_shape else None
        entry["config"]["keepdims"] = True
        weights, kept = {}, [entry]
        for layer in chain[1:]:
            if _restores(layer):
                scope.remove(layer)
                continue
            if layer is not chain[-1]:
                scope.reads(layer, [batch, 1, 1, channels])
            if layer["class_name"] == "Dense":
                weights[scope.label(layer)] = become_pointwise(scope, layer)
                kept.append(layer)
            channels = layer["config"].get("filters", channels)
        text = "set keepdims=True, and compute the gate by 1x1 convolutions of the same weights"
        if not weights:
            gone = ", ".join(name_of(e) for e in concerned if _restores(e))
            text = f"set keepdims=True and drop what gives the dimensions back behind it ({gone})"
        given = {label: arrays for label, arrays in weights.items() if arrays}
        return self.change(match, text, before, shown(kept), weights=given)


def _chain(scope: Scope, pooling: Entry) -> list[Entry]:
    """The layers from a pooling to the product that its gate goes into; the pooling alone where that is not so."""
    chain, layer = [pooling], pooling
    while len(chain) < _LONGEST:
        readers = scope.readers(layer)
        if len(readers) != 1 or scope.is_output(layer) or scope.calls(layer) != 1:
            break
        layer = readers[0]
        chain.append(layer)
        if _is_product(layer) and len(scope.sources(layer)) > 1:
            return chain
        if len(scope.sources(layer)) != 1 or not _may_stand(scope, layer):
            break
    return [pooling]


def _may_stand(scope: Scope, entry: Entry) -> bool:
    """Whether a layer computes the same of a vector and of a map of one pixel, or can be made to."""
    if entry["class_name"] == "Dense":
        return can_become(scope, entry)
    activation = entry["config"].get("activation")
    if entry["class_name"] in _ELEMENTWISE:
        return bool(activation != "softmax")
    return _restores(entry) or is_pointwise(entry) or number_argument(entry) is not None


def _is_product(entry: Entry) -> bool:
    return entry["class_name"] in _PRODUCTS or entry["config"].get("function") in _PRODUCTS


def _restores(entry: Entry) -> bool:
    """Whether a layer only gives a vector dimensions of one."""
    target = entry["config"].get("target_shape")
    if entry["class_name"] == "Reshape":
        return isinstance(target, (list, tuple)) and len(target) == 3 and list(target[:2]) == [1, 1]
    return entry["class_name"] in _EXPANDING or entry["config"].get("function") in _EXPANDING


FIXERS: tuple[LayerFixer, ...] = (GateOfConvolutions(),)
