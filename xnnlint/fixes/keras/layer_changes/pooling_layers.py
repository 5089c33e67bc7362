"""Safe changes of poolings: keepdims=True with a Flatten behind it, which is right on every runtime."""

from __future__ import annotations

import copy

from xnnlint.fixes.change import CannotChange, Change, Exactness
from xnnlint.fixes.keras.config_scope import Entry, Scope, beside, name_of
from xnnlint.fixes.keras.layer_code import code
from xnnlint.fixes.keras.layer_fixer import LayerFixer, Match, Stage
from xnnlint.xnnpack.conditions.condition import Condition

GLOBAL = "GlobalAveragePooling2D"
_RESHAPES = ("Flatten", "Reshape")
# What a pooling can be the reason for, at it or at who reads it.
AT_POOLINGS = frozenset(
    {
        Condition.POOLING_SHAPE,
        Condition.POOLING_AXES,
        Condition.REDUCE_INPUT,
        Condition.NCHW_KERNEL,
        Condition.ELEMENTWISE_OPERAND,
        Condition.BRANCH_END,
        Condition.CLUSTER_END,
        Condition.CONSUMER_INSIDE,
        Condition.DELEGATED,
        Condition.MAP_BEFORE_FULLY_CONNECTED,
        Condition.RIGHT_RESULTS,
        Condition.LOADS_AND_RUNS,
    }
)


class KeepPoolingDimensions(LayerFixer):
    """A global pooling without keepdims: sets it, and gives its readers the shape that they had."""

    name = "pooling-keepdims"
    stage = Stage.POOLINGS
    fulfils = AT_POOLINGS | {Condition.POLICY_END, Condition.POLICY_LAYER}

    def match(self, scope: Scope, entry: Entry) -> Match | None:
        if entry["class_name"] != GLOBAL or entry["config"].get("keepdims") or not _is_channels_last(entry):
            return None
        return self.found(scope, entry, *scope.readers(entry))

    def apply(self, match: Match) -> Change:
        scope, entry = match.scope, match.entry
        if scope.calls(entry) != 1:
            raise CannotChange(f"{name_of(entry)!r} is called {scope.calls(entry)} times")
        readers = scope.readers(entry)
        concerned = [e for e in readers if e["class_name"] in _RESHAPES]
        before = (code(entry), *(code(e) for e in concerned))
        map_shape = scope.shape_into(entry)
        shape = [map_shape[0], 1, 1, map_shape[3]] if map_shape is not None and len(map_shape) == 4 else None
        entry["config"]["keepdims"] = True
        gates = [e for e in readers if _makes_gate(scope, e)]
        if gates and len(gates) == len(readers) and not scope.is_output(entry):
            for reshape in gates:
                for reader in scope.readers(reshape):
                    scope.reads(reader, shape)
                scope.remove(reshape)
            text = f"set keepdims=True and drop the Reshape behind it ({', '.join(name_of(e) for e in gates)})"
            return self.change(match, text, before, (code(entry),))
        if readers and len(concerned) == len(readers) and not scope.is_output(entry):
            for reader in readers:
                scope.reads(reader, shape)
            return self.change(match, "set keepdims=True", before, (code(entry), *(code(e) for e in concerned)))
        flatten = flatten_behind(scope, entry, shape)
        return self.change(match, "set keepdims=True and flatten behind it", before[:1], (code(entry), code(flatten)))


class PoolGlobally(LayerFixer):
    """An AveragePooling2D over the whole map, which ends no cluster, becomes a global pooling, which does."""

    name = "average-pooling-of-the-whole-map"
    stage = Stage.POOLINGS
    exactness = Exactness.ROUNDING
    fulfils = AT_POOLINGS | {Condition.POLICY_END, Condition.POLICY_LAYER}

    def match(self, scope: Scope, entry: Entry) -> Match | None:
        if entry["class_name"] != "AveragePooling2D" or not _is_channels_last(entry) or scope.calls(entry) != 1:
            return None
        shape = scope.shape_into(entry)
        size, padding = entry["config"].get("pool_size"), entry["config"].get("padding")
        # With padding TensorFlow averages over what is there, so that a window as large as the map is all of it.
        if shape is None or len(shape) != 4 or shape[1:3] != size or padding not in ("valid", "same"):
            return None
        if padding == "same" and entry["config"].get("strides") != size:
            return None
        return self.found(scope, entry, *back_to_convolution(scope, entry), *scope.readers(entry))

    def apply(self, match: Match) -> Change:
        scope, entry = match.scope, match.entry
        before = code(entry)
        shape = scope.shape_into(entry) or [None] * 4
        become_global(entry)
        after = [code(entry)]
        readers = scope.readers(entry)
        text = "pool globally, which is the same over the whole map"
        if not readers or scope.is_output(entry) or any(e["class_name"] not in _RESHAPES for e in readers):
            reshaped = reshape_behind(scope, entry, [shape[0], 1, 1, shape[3]])
            after.append(code(reshaped))
            text += ", and reshape behind it"
        return self.change(match, text, (before,), tuple(after))


class FlattenBehindPooling(LayerFixer):
    """A pooling with keepdims whose readers take it as it is: the runtime reports a wrong shape to them."""

    name = "pooling-without-reshape"
    stage = Stage.POOLINGS
    fulfils = AT_POOLINGS

    def match(self, scope: Scope, entry: Entry) -> Match | None:
        if entry["class_name"] != GLOBAL or not entry["config"].get("keepdims") or not _is_channels_last(entry):
            return None
        readers = scope.readers(entry)
        if scope.calls(entry) != 1 or (readers and all(e["class_name"] in _RESHAPES for e in readers)):
            return None
        return self.found(scope, entry)

    def apply(self, match: Match) -> Change:
        scope, entry = match.scope, match.entry
        before = code(entry)
        shape = scope.shape_into(entry) or _shape_by_sources(scope, entry)
        if shape is None or len(shape) != 4 or shape[3] is None:
            raise CannotChange(f"the file does not say how many channels {name_of(entry)!r} pools")
        if shape[0] is not None:
            raise CannotChange("with a fixed batch the converter folds a Flatten and the Reshape back away")
        # A Reshape alone asks the pooling for its shape, which is the wrong one.
        kept = [shape[0], 1, 1, shape[3]]
        reshaped = reshape_behind(scope, entry, kept)
        flatten = flatten_behind(scope, entry, kept)
        scope.reads(reshaped, [shape[0], shape[3]])
        text = "flatten directly behind it, and reshape back"
        after = (code(entry), code(flatten), code(reshaped))
        return self.change(match, text, (before,), after)


def flatten_behind(scope: Scope, entry: Entry, shape: list[int | None] | None) -> Entry:
    """A Flatten, which the converter writes with a constant shape even where the batch is unknown."""
    name = scope.fresh(f"{name_of(entry)}_flatten")
    new = beside(entry, "Flatten", name, {"data_format": "channels_last"})
    scope.insert_behind(entry, new, shape)
    return new


def reshape_behind(scope: Scope, entry: Entry, shape: list[int | None]) -> Entry:
    """A Reshape to (1, 1, C), which a pooling with keepdims has already."""
    name = scope.fresh(f"{name_of(entry)}_reshape")
    new = beside(entry, "Reshape", name, {"target_shape": [1, 1, shape[3]]})
    scope.insert_behind(entry, new, shape)
    return new


def become_global(entry: Entry) -> None:
    kept = {key: entry["config"][key] for key in ("name", "trainable", "dtype") if key in entry["config"]}
    entry["class_name"] = GLOBAL
    entry["config"] = {**copy.deepcopy(kept), "data_format": "channels_last", "keepdims": True}


def _makes_gate(scope: Scope, reshape: Entry) -> bool:
    """Whether a layer is the Reshape((1, 1, C)) of squeeze-and-excite, before 1x1 convolutions that end in a gate."""
    target = reshape["config"].get("target_shape")
    if reshape["class_name"] != "Reshape" or not isinstance(target, list) or target[:2] != [1, 1] or len(target) != 3:
        return False
    if scope.calls(reshape) != 1 or scope.is_output(reshape):
        return False
    readers = scope.readers(reshape)
    return bool(readers) and all(_is_pointwise(e) for e in readers) and all(_ends_in_gate(scope, e) for e in readers)


def _ends_in_gate(scope: Scope, entry: Entry) -> bool:
    seen = {name_of(entry)}
    pending = [entry]
    while pending:
        for reader in scope.readers(pending.pop()):
            if reader["class_name"] == "Multiply":
                return True
            if name_of(reader) not in seen:
                seen.add(name_of(reader))
                pending.append(reader)
    return False


def _is_pointwise(entry: Entry) -> bool:
    return bool(entry["class_name"] == "Conv2D" and entry["config"].get("kernel_size") == [1, 1])


def _is_channels_last(entry: Entry) -> bool:
    return entry["config"].get("data_format") in (None, "channels_last")


def back_to_convolution(scope: Scope, entry: Entry) -> list[Entry]:
    """The layers in front, back to the convolution that a BatchNormalization and an activation are folded into."""
    found: list[Entry] = []
    for _ in range(6):
        sources = scope.sources(entry)
        if not sources:
            break
        entry = sources[0]
        found.append(entry)
        if "Conv" in entry["class_name"]:
            break
    return found


def _shape_by_sources(scope: Scope, entry: Entry) -> list[int | None] | None:
    """Legacy files note no shapes; the channels are those of the convolution in front."""
    keeping = ("BatchNormalization", "ReLU", "Activation", "Dropout", "LeakyReLU", "ELU", "Multiply", "ZeroPadding2D",
               "DepthwiseConv2D", "Add", "TFOpLambda")  # fmt: skip
    for _ in range(64):
        sources = scope.sources(entry)
        if not sources:
            return None
        entry = sources[0]
        if entry["class_name"] in ("Conv2D", "SeparableConv2D"):
            return [None, None, None, entry["config"].get("filters")]
        if entry["class_name"] not in keeping or entry["config"].get("depth_multiplier", 1) != 1:
            return None
    return None


FIXERS: tuple[LayerFixer, ...] = (PoolGlobally(), KeepPoolingDimensions(), FlattenBehindPooling())
