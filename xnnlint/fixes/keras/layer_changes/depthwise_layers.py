"""Changes that put a 3x3 depthwise convolution in the place of what has no NCHW kernel, with weights that do the same.

A depthwise convolution whose kernel is zero but for its middle scales a map; one of stride 2 picks every second pixel,
or averages four. Safe ones are frozen (trainable=False), so that training keeps them.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from xnnlint.fixes.change import CannotChange, Change, Exactness
from xnnlint.fixes.keras.config_scope import Entry, Scope, beside, name_of
from xnnlint.fixes.keras.layer_changes.pixel_layers import number_argument
from xnnlint.fixes.keras.layer_code import code
from xnnlint.fixes.keras.layer_fixer import LayerFixer, Match, Stage
from xnnlint.linter.findings import Applicability
from xnnlint.xnnpack.conditions.condition import Condition

Shape = list[int | None]
_NESTED = "it is in a nested model, to which no weights can be added"
# Of a window of 3x3 pixels: the middle; and the four that pooling 2x2 sees, with one row and column before them.
_MIDDLE = np.pad([[1.0]], 1)
_FOUR = np.pad(np.full((2, 2), 0.25), ((1, 0), (1, 0)))
_NINE = np.full((3, 3), 1 / 9)


class _Depthwise(LayerFixer):
    """What these changes share."""

    def matched(self, scope: Scope, entry: Entry, *others: Entry) -> Match | None:
        """A match, where weights can be put in and the shape of the map is known."""
        if scope.path or scope.calls(entry) != 1 or entry["config"].get("data_format") == "channels_first":
            return None
        return self.found(scope, entry, *others) if _map(scope, entry) else None


class PoolingToDepthwise(_Depthwise):
    """A pooling by 2 becomes a depthwise convolution of stride 2 that averages four pixels: for an average the same."""

    fulfils = frozenset({Condition.NCHW_KERNEL, Condition.DELEGATED, Condition.POLICY_LAYER})

    def __init__(self, class_name: str) -> None:
        self.class_name = class_name
        average = class_name == "AveragePooling2D"
        self.name = "average-pooling-to-depthwise" if average else "max-pooling-to-depthwise"
        self.stage = Stage.DEPTHWISE if average else Stage.UNSAFE
        self.applicability = Applicability.SAFE if average else Applicability.UNSAFE
        self.exactness = Exactness.ROUNDING if average else Exactness.DIFFERENT

    def match(self, scope: Scope, entry: Entry) -> Match | None:
        config = entry["config"]
        if entry["class_name"] != self.class_name or (config.get("strides") or config.get("pool_size")) != [2, 2]:
            return None
        match = self.matched(scope, entry)
        if match is None or self._padding(scope, entry) is not None:
            return match
        shape = _map(scope, entry)
        even = shape is not None and all(d is not None and d % 2 == 0 for d in shape[1:3])
        sizes = ([2, 2],) if self.applicability is Applicability.SAFE else ([2, 2], [3, 3])
        fits = config.get("pool_size") in sizes and (config.get("pool_size") == [2, 2] or config["padding"] == "same")
        return match if even and fits else None

    def apply(self, match: Match) -> Change:
        scope, entry = match.scope, match.entry
        shape = _map(scope, entry)
        assert shape is not None
        pad, kernel = self._padding(scope, entry), _NINE
        before, after = [code(entry)], []
        if pad is None:
            pad, kernel = _pad_before(scope, entry, shape), _FOUR
            shape = _grown(shape)
        else:
            before.insert(0, code(pad))
        after.append(code(pad))
        safe = self.applicability is Applicability.SAFE
        _become(entry, strides=2, padding="valid", bias=False, frozen=safe)
        scope.reads(entry, shape)
        after.append(_code(entry, "1/4 for rows and columns 1 and 2, else 0" if kernel is _FOUR else "1/9"))
        text = "average four pixels by a depthwise convolution of stride 2" if kernel is _FOUR else ""
        text = text or "average nine pixels by a depthwise convolution of stride 2"
        effect = "" if safe else "it averages, at first, where the pooling took the largest pixel"
        weights = {scope.label(entry): _weights(kernel, shape)}
        return self.change(match, text, tuple(before), tuple(after), effect=effect, weights=weights)

    def _padding(self, scope: Scope, entry: Entry) -> Entry | None:
        """A ZeroPadding2D(1) in front of a max pooling of 3x3, which can stay."""
        config, sources = entry["config"], scope.sources(entry)
        if self.class_name != "MaxPooling2D" or config.get("pool_size") != [3, 3] or config.get("padding") != "valid":
            return None
        pad = sources[0] if len(sources) == 1 else None
        if pad is None or pad["class_name"] != "ZeroPadding2D" or pad["config"].get("padding") != [[1, 1], [1, 1]]:
            return None
        return pad if scope.calls(pad) == 1 and scope.readers(pad) == [entry] and not scope.is_output(pad) else None


class StridedPointwise(_Depthwise):
    """A 1x1 convolution of stride 2 reads every second pixel: a depthwise convolution in front of it can pick those."""

    name = "strided-pointwise"
    stage = Stage.DEPTHWISE
    fulfils = frozenset({Condition.POINTWISE, Condition.POLICY_LAYER})

    def match(self, scope: Scope, entry: Entry) -> Match | None:
        config = entry["config"]
        if entry["class_name"] != "Conv2D" or config.get("kernel_size") != [1, 1] or config.get("strides") != [2, 2]:
            return None
        if config.get("groups", 1) != 1 or config.get("dilation_rate", [1, 1]) != [1, 1]:
            return None
        return self.matched(scope, entry)

    def apply(self, match: Match) -> Change:
        scope, entry = match.scope, match.entry
        shape, before = _map(scope, entry), code(entry)
        assert shape is not None
        half = [shape[0], *(None if d is None else (d + 1) // 2 for d in shape[1:3]), shape[3]]
        picked = _new(scope, entry, "pick", strides=2, padding="valid")
        scope.insert_before(entry, picked, half)
        pad = _pad_before(scope, picked, shape)
        entry["config"]["strides"] = [1, 1]
        scope.reads(entry, half)
        after = (code(pad), _code(picked, "1 in the middle, else 0"), code(entry))
        weights = {scope.label(picked): _weights(_MIDDLE, shape)}
        return self.change(match, "pick every second pixel in front of it", (before,), after, weights=weights)


class NegatedSubtract(_Depthwise):
    """a - b is a + (-b), and a sum runs in a sparse cluster."""

    name = "subtract-to-add"
    stage = Stage.DEPTHWISE
    fulfils = frozenset({Condition.BINARY_OPERATOR, Condition.NCHW_KERNEL})

    def match(self, scope: Scope, entry: Entry) -> Match | None:
        inputs = scope.inputs(entry)
        return self.matched(scope, entry) if _subtracts(entry) and len(inputs) == 2 and inputs[0] != inputs[1] else None

    def apply(self, match: Match) -> Change:
        scope, entry = match.scope, match.entry
        before, shape = code(entry), _map(scope, entry)
        assert shape is not None
        negated = _new(scope, entry, "negated")
        scope.insert_on(entry, 1, negated, shape)
        if entry["class_name"] == "TFOpLambda":
            entry["config"]["function"] = _SUMS[entry["config"]["function"]]
        else:
            entry["class_name"] = "Add"
            if entry.get("registered_name"):
                entry["registered_name"] = "Add"
        after = (_code(negated, "-1 in the middle, else 0"), code(entry))
        weights = {scope.label(negated): _weights(-_MIDDLE, shape)}
        return self.change(match, "add what is subtracted, negated", (before,), after, weights=weights)


class SumOfTheSame(_Depthwise):
    """Add()([x, x]) is 2 * x; the runtime does not take a value that is read twice."""

    name = "sum-of-the-same"
    stage = Stage.DEPTHWISE
    fulfils = frozenset({Condition.OPERANDS_DIFFER, Condition.BINARY_OPERATOR})

    def match(self, scope: Scope, entry: Entry) -> Match | None:
        if entry["class_name"] != "Add" or not _is_layer(entry):
            return None
        inputs = scope.inputs(entry)
        return self.matched(scope, entry) if len(inputs) == 2 and inputs[0] == inputs[1] else None

    def apply(self, match: Match) -> Change:
        scope, entry = match.scope, match.entry
        before, shape = code(entry), _map(scope, entry)
        assert shape is not None
        scope.keep_first_input(entry)
        _become(entry, padding="same", bias=False, frozen=True)
        _one_shape(entry, shape)
        weights = {scope.label(entry): _weights(2 * _MIDDLE, shape)}
        return self.change(match, "double it", (before,), (_code(entry, "2 in the middle, else 0"),), weights=weights)


class AverageToHalfSum(_Depthwise):
    """Average()([a, b]) is the half of a sum."""

    name = "average-to-half-sum"
    stage = Stage.DEPTHWISE
    fulfils = frozenset(
        {Condition.ELEMENTWISE_OPERAND, Condition.BINARY_OPERATOR, Condition.NCHW_KERNEL, Condition.DELEGATED}
    )

    def match(self, scope: Scope, entry: Entry) -> Match | None:
        if entry["class_name"] != "Average" or not _is_layer(entry):
            return None
        inputs = scope.inputs(entry)
        return self.matched(scope, entry) if len(inputs) == 2 and inputs[0] != inputs[1] else None

    def apply(self, match: Match) -> Change:
        scope, entry = match.scope, match.entry
        before, shape = code(entry), _map(scope, entry)
        assert shape is not None
        entry["class_name"] = "Add"
        half = _new(scope, entry, "half")
        scope.insert_behind(entry, half, shape)
        after = (code(entry), _code(half, "1/2 in the middle, else 0"))
        weights = {scope.label(half): _weights(0.5 * _MIDDLE, shape)}
        return self.change(match, "halve a sum", (before,), after, weights=weights)


class ScaledMap(_Depthwise):
    """x * 0.5 and the like, and Rescaling, on a map: a scale and a shift are a depthwise convolution."""

    name = "scale-to-depthwise"
    stage = Stage.DEPTHWISE
    fulfils = frozenset(
        {Condition.ELEMENTWISE_OPERAND, Condition.BINARY_OPERATOR, Condition.NCHW_KERNEL, Condition.POLICY_LAYER}
    )

    def match(self, scope: Scope, entry: Entry) -> Match | None:
        return self.matched(scope, entry) if _scale_and_shift(entry) is not None else None

    def apply(self, match: Match) -> Change:
        scope, entry = match.scope, match.entry
        before, shape, factors = code(entry), _map(scope, entry), _scale_and_shift(entry)
        assert shape is not None and factors is not None
        scale, shift = factors
        if (found := number_argument(entry)) is not None:
            is_lambda = entry["class_name"] == "TFOpLambda"
            node = [[*found.tensor, {}]] if is_lambda else {"args": [found.tensor], "kwargs": {}}
            entry["inbound_nodes"] = [node]
        entry.update({key: value for key, value in _KERAS_OWN.items() if key in entry})
        _become(entry, padding="same", bias=bool(shift), frozen=True)
        _one_shape(entry, shape)
        weights = _weights(scale * _MIDDLE, shape)
        told = f"{scale:g} in the middle, else 0"
        if shift:
            weights = (*weights, np.full(weights[0].shape[2], shift, "float32"))
            told += f"; bias: {shift:g}"
        text = "scale it by a depthwise convolution"
        return self.change(match, text, (before,), (_code(entry, told),), weights={scope.label(entry): weights})


class NormalizationWithoutConvolution(_Depthwise):
    """A BatchNormalization that no convolution takes in gets one that changes nothing."""

    name = "normalization-behind-depthwise"
    stage = Stage.DEPTHWISE
    fulfils = frozenset({Condition.ELEMENTWISE_OPERAND, Condition.BINARY_OPERATOR})

    def match(self, scope: Scope, entry: Entry) -> Match | None:
        if entry["class_name"] != "BatchNormalization" or entry["config"].get("axis") not in (3, -1, [3], [-1]):
            return None
        return self.matched(scope, entry)

    def apply(self, match: Match) -> Change:
        scope, entry = match.scope, match.entry
        before, shape = code(entry), _map(scope, entry)
        assert shape is not None
        same = _new(scope, entry, "input")
        scope.insert_before(entry, same, shape)
        weights = {scope.label(same): _weights(_MIDDLE, shape)}
        after = (_code(same, "1 in the middle, else 0"), code(entry))
        return self.change(match, "put a convolution in front that takes it in", (before,), after, weights=weights)


# --- layers ----------------------------------------------------------------------------------------------------------

_KERAS_OWN = {"module": "keras.layers", "registered_name": None}


def _scale_and_shift(entry: Entry) -> tuple[float, float] | None:
    """What a layer multiplies by and then adds, if it does just that, with one number each."""
    if entry["class_name"] == "Rescaling":
        scale, shift = (entry["config"].get(key, default) for key, default in (("scale", 1.0), ("offset", 0.0)))
        return (float(scale), float(shift)) if {type(scale), type(shift)} <= {int, float} else None
    found = number_argument(entry)
    if found is None or (found.kind == "div" and not found.value):
        return None
    if found.kind in ("add", "sub"):
        return 1.0, found.value if found.kind == "add" else -found.value
    return found.value if found.kind == "mul" else 1 / found.value, 0.0


_SUMS = {"math.subtract": "math.add", "__operators__.sub": "__operators__.add"}


def _subtracts(entry: Entry) -> bool:
    """Whether it is a Subtract, of layers or of operations, or a TFOpLambda that does the same."""
    if entry["class_name"] == "TFOpLambda":
        return entry["config"].get("function") in _SUMS
    own = entry.get("module", "keras.layers") in ("keras.layers", "keras.src.ops.numpy")
    return entry["class_name"] == "Subtract" and own


def _is_layer(entry: Entry) -> bool:
    """Whether it is a layer of that name; Keras 3 has operations called the same."""
    return entry.get("module", "keras.layers") == "keras.layers" and "name" in entry["config"]


def _map(scope: Scope, entry: Entry) -> Shape | None:
    """The shape of the map that a layer reads: [N, H, W, C], the last three known and H and W above 1."""
    shape = scope.known.shapes.get(scope.label(entry)) or scope.shape_into(entry)
    if shape is None or len(shape) != 4 or any(type(d) is not int for d in shape[1:]):
        return None
    return list(shape) if all(d is not None and d > 1 for d in shape[1:3]) else None


def _new(scope: Scope, entry: Entry, what: str, *, strides: int = 1, padding: str = "same") -> Entry:
    """A frozen depthwise convolution in the words in which the file has `entry`."""
    name = scope.fresh(f"{name_of(entry)}_{what}")
    new = beside(entry, "DepthwiseConv2D", name, _config(strides, padding, bias=False))
    new["config"]["trainable"] = False
    return new


def _become(entry: Entry, *, padding: str, bias: bool, frozen: bool, strides: int = 1) -> None:
    """Makes a depthwise convolution of a layer, which keeps its name and its place."""
    kept = {key: copy.deepcopy(entry["config"][key]) for key in ("trainable", "dtype") if key in entry["config"]}
    entry["class_name"] = "DepthwiseConv2D"
    entry["config"] = {"name": name_of(entry), **kept, **_config(strides, padding, bias=bias)}
    if frozen:
        entry["config"]["trainable"] = False


def _config(strides: int, padding: str, *, bias: bool) -> dict[str, Any]:
    return {
        "kernel_size": [3, 3],
        "strides": [strides, strides],
        "padding": padding,
        "depth_multiplier": 1,
        "data_format": "channels_last",
        "dilation_rate": [1, 1],
        "activation": "linear",
        "use_bias": bias,
    }


def _one_shape(entry: Entry, shape: Shape) -> None:
    """Where the file notes what several inputs were, it is one now."""
    build = entry.get("build_config")
    if isinstance(build, dict) and "input_shape" in build:
        build["input_shape"] = list(shape)
    elif isinstance(build, dict):
        entry["build_config"] = {"input_shape": list(shape)}


def _pad_before(scope: Scope, entry: Entry, shape: Shape) -> Entry:
    name = scope.fresh(f"{name_of(entry)}_pad")
    pad = beside(entry, "ZeroPadding2D", name, {"padding": [[1, 1], [1, 1]], "data_format": "channels_last"})
    pad["config"].pop("trainable", None)
    scope.insert_before(entry, pad, _grown(shape))
    return pad


def _grown(shape: Shape) -> Shape:
    return [shape[0], *(None if d is None else d + 2 for d in shape[1:3]), shape[3]]


def _weights(kernel: np.ndarray, shape: Shape) -> tuple[np.ndarray, ...]:
    """A kernel of shape [3, 3, C, 1], the same for every channel."""
    channels = shape[3]
    if channels is None:
        raise CannotChange("the file does not say how many channels it reads")
    return (np.tile(kernel[:, :, None, None], (1, 1, channels, 1)).astype("float32"),)


def _code(entry: Entry, kernel: str) -> str:
    frozen = ", trainable=False" if entry["config"].get("trainable") is False else ""
    return f"{code(entry)[:-1]}{frozen})  # kernel: {kernel}"


FIXERS: tuple[LayerFixer, ...] = (
    PoolingToDepthwise("AveragePooling2D"),
    StridedPointwise(),
    NegatedSubtract(),
    SumOfTheSame(),
    AverageToHalfSum(),
    ScaledMap(),
    NormalizationWithoutConvolution(),
    PoolingToDepthwise("MaxPooling2D"),
)
