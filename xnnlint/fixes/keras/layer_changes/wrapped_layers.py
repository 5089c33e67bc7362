"""TFMOT's pruning wrappers are taken off, as `strip_pruning` does it."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from xnnlint.fixes.change import CannotChange, Change
from xnnlint.fixes.keras.config_scope import Entry, Scope, name_of
from xnnlint.fixes.keras.layer_changes.class_changes import shown
from xnnlint.fixes.keras.layer_fixer import LayerFixer, Match, Stage
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.layout import passes_zeros_test

# What a layer's entry says of the layer itself; the rest of a wrapper's entry is about its place in the model.
_OF_LAYER = ("module", "class_name", "config", "registered_name", "build_config")
_FIRST_SHAPE = "batch_input_shape"
_WHOLE_MODEL = ""


class StripPruning(LayerFixer):
    """All layers of a model leave their wrappers at once, since one that stays lets the whole be exported wrong.

    `strip_pruning` (prune.py of tensorflow/model-optimization) gives out the wrapped layers as they are, and applies no
    mask: after a training with `UpdatePruningStep` the zeros are in the weights. Where they are not there yet, taking
    the wrappers off would change the outputs, and the model is left alone; as is one that is still to be pruned.
    """

    name = "strip-pruning"
    stage = Stage.WRAPPERS
    fulfils = frozenset({Condition.WRAPPERS_STRIPPED})

    def match(self, scope: Scope, entry: Entry) -> Match | None:
        first = next(filter(is_wrapper, scope.layers)) if is_wrapper(entry) else None
        return Match(scope, entry, frozenset({_WHOLE_MODEL})) if entry is first else None

    def apply(self, match: Match) -> Change:
        scope = match.scope
        wrappers = [entry for entry in scope.layers if is_wrapper(entry)]
        inside = [entry["config"]["layer"] for entry in wrappers]
        if not passes_zeros_test(*reversed(scope.known.zeros)):
            raise CannotChange("too few of its 1x1 weights are zero yet, and its wrappers are what prunes it")
        unmasked = scope.known.unmasked()
        for layer in inside:
            if scope.label(layer) in unmasked:
                raise CannotChange(
                    f"{name_of(layer)!r} has weights that its mask has not made zero yet: load the model, run it once,"
                    " which applies the masks, and save it again"
                )
        place = scope.label(match.entry)
        before = tuple(f"prune_low_magnitude({line})" for line in shown(inside))
        scope.rename({name_of(wrapper): name_of(layer) for wrapper, layer in zip(wrappers, inside, strict=True)})
        for wrapper, layer in zip(wrappers, inside, strict=True):
            _take_off(wrapper, layer)
        several = "s" * (len(wrappers) > 1)
        text = f"take the pruning wrapper{several} off {len(wrappers)} layer{several}"
        return replace(self.change(match, text, before, shown(wrappers)), site=place, place=place)


def is_wrapper(entry: Entry) -> bool:
    """Whether an entry is a pruning wrapper."""
    return str(entry["class_name"]).split(">")[-1] == "PruneLowMagnitude"


def _take_off(wrapper: Entry, layer: Entry) -> None:
    """Turns a wrapper's entry into that of its layer, at the same place in the model."""
    shape: Any = wrapper["config"].get(_FIRST_SHAPE)
    if shape is not None:
        layer["config"].setdefault(_FIRST_SHAPE, shape)
    if "name" in wrapper:
        wrapper["name"] = name_of(layer)
    wrapper |= {key: layer[key] for key in _OF_LAYER if key in layer and key in wrapper}


FIXERS = (StripPruning(),)
