"""A 1x1 convolution as the head behind a global pooling becomes a Dense layer of the same weights."""

from __future__ import annotations

from xnnlint.fixes.change import Change, Exactness
from xnnlint.fixes.keras.config_scope import Entry, Scope
from xnnlint.fixes.keras.layer_changes.class_changes import become_dense, can_become, is_pointwise, shown
from xnnlint.fixes.keras.layer_changes.pooling_layers import AT_POOLINGS, GLOBAL
from xnnlint.fixes.keras.layer_fixer import LayerFixer, Match, Stage

_THROUGH = ("Activation", "Dropout", "ReLU", "Softmax")
_LONGEST = 8


class DenseHead(LayerFixer):
    """Where everything behind the head is flattened, it may as well begin flat.

    Then no pooling keeps its dimensions, of which the runtime gets the shape wrong.
    """

    name = "dense-head"
    stage = Stage.POOLINGS
    exactness = Exactness.ROUNDING
    fulfils = AT_POOLINGS

    def match(self, scope: Scope, entry: Entry) -> Match | None:
        if not is_pointwise(entry) or not can_become(scope, entry) or scope.is_output(entry):
            return None
        front, tail = _front(scope, entry), _tail(scope, entry)
        return self.found(scope, entry, *front, *tail) if front and tail else None

    def apply(self, match: Match) -> Change:
        scope, entry = match.scope, match.entry
        front, tail = _front(scope, entry), _tail(scope, entry)
        pooling = front[-1]
        before = shown([pooling, *(e for e in front if e["class_name"] == "Reshape"), entry])
        map_shape = scope.shape_into(pooling)
        batch, channels = (map_shape[0], map_shape[-1]) if map_shape else (None, None)
        pooling["config"]["keepdims"] = False
        for layer in front[:-1]:
            if layer["class_name"] == "Reshape":
                scope.remove(layer)
            else:
                scope.reads(layer, [batch, channels])
        scope.reads(entry, [batch, channels])
        for layer in tail:
            scope.reads(layer, [batch, entry["config"]["filters"]])
        arrays = become_dense(scope, entry)
        weights = {scope.label(entry): arrays} if arrays else {}
        text = "pool without keepdims, and put a Dense layer of the same weights in its place"
        return self.change(match, text, before, shown([pooling, entry]), weights=weights)


def _front(scope: Scope, entry: Entry) -> list[Entry]:
    """From the convolution back to the pooling, the last one; nothing where there is none, or others read it too."""
    found: list[Entry] = []
    layer = entry
    while len(found) < _LONGEST:
        sources = scope.sources(layer)
        if len(sources) != 1 or len(scope.readers(sources[0])) != 1 or scope.is_output(sources[0]):
            break
        layer = sources[0]
        found.append(layer)
        if scope.calls(layer) != 1:
            break
        if layer["class_name"] == GLOBAL:
            return found if layer["config"].get("data_format") in (None, "channels_last") else []
        if layer["class_name"] != "Dropout" and not _is_unit(layer):
            break
    return []


def _tail(scope: Scope, entry: Entry) -> list[Entry]:
    """From behind the convolution to what flattens its output; nothing where that is not so."""
    found: list[Entry] = []
    layer = entry
    while len(found) < _LONGEST:
        readers = scope.readers(layer)
        if len(readers) != 1 or len(scope.sources(readers[0])) != 1 or scope.calls(readers[0]) != 1:
            break
        layer = readers[0]
        found.append(layer)
        target = layer["config"].get("target_shape")
        if layer["class_name"] == "Flatten" or (layer["class_name"] == "Reshape" and len(target or ()) == 1):
            return found
        if layer["class_name"] not in _THROUGH or scope.is_output(layer):
            break
    return []


def _is_unit(entry: Entry) -> bool:
    target = entry["config"].get("target_shape")
    return entry["class_name"] == "Reshape" and len(target or ()) == 3 and list(target[:2]) == [1, 1]


FIXERS: tuple[LayerFixer, ...] = (DenseHead(),)
