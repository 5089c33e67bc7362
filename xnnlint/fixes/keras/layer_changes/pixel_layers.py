"""Changes of what a layer computes on every pixel: upsampling, activations, constants."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from xnnlint.fixes.change import Change, Exactness
from xnnlint.fixes.keras.config_scope import Entry, Scope
from xnnlint.fixes.keras.layer_code import code
from xnnlint.fixes.keras.layer_fixer import LayerFixer, Match, Stage
from xnnlint.linter.findings import Applicability
from xnnlint.xnnpack.conditions.condition import Condition

# The closest activation that has an NCHW kernel on every runtime.
_CLOSEST = {
    "gelu": "swish",
    "mish": "swish",
    "softplus": "relu",
    "selu": "elu",
    "softsign": "tanh",
    "exponential": "elu",
    "celu": "elu",
    "squareplus": "relu",
    "hard_tanh": "tanh",
    "log_sigmoid": "relu",
    "softmax": "sigmoid",
}
# The closest one that TFMOT's pruning policy takes: relu, relu6, leaky_relu, elu or sigmoid.
_ON_POLICY_LIST = {
    "swish": "relu",
    "silu": "relu",
    "hard_swish": "relu",
    "hard_silu": "relu",
    "gelu": "relu",
    "mish": "relu",
    "softplus": "relu",
    "squareplus": "relu",
    "log_sigmoid": "relu",
    "selu": "elu",
    "celu": "elu",
    "exponential": "elu",
    "tanh": "elu",
    "hard_tanh": "elu",
    "softsign": "elu",
    "hard_sigmoid": "sigmoid",
    "softmax": "sigmoid",
}
# Operators with a number, by what tf_keras and Keras 3 call them.
_ARITHMETIC = {
    "math.multiply": "mul",
    "__operators__.mul": "mul",
    "Multiply": "mul",
    "math.divide": "div",
    "math.truediv": "div",
    "__operators__.truediv": "div",
    "Divide": "div",
    "TrueDivide": "div",
    "math.add": "add",
    "__operators__.add": "add",
    "Add": "add",
    "math.subtract": "sub",
    "__operators__.sub": "sub",
    "Subtract": "sub",
}


class BilinearUpsampling(LayerFixer):
    """XNNPACK has no nearest-neighbour resizing."""

    name = "upsampling-bilinear"
    stage = Stage.UNSAFE
    applicability = Applicability.UNSAFE
    exactness = Exactness.DIFFERENT
    fulfils = frozenset({Condition.DELEGATED, Condition.NCHW_KERNEL, Condition.RESIZE_BILINEAR, Condition.POLICY_LAYER})

    def match(self, scope: Scope, entry: Entry) -> Match | None:
        config = entry["config"]
        if entry["class_name"] != "UpSampling2D" or config.get("interpolation", "nearest") == "bilinear":
            return None
        return self.found(scope, entry) if config.get("data_format") in (None, "channels_last") else None

    def apply(self, match: Match) -> Change:
        entry, before = match.entry, code(match.entry)
        was = entry["config"].get("interpolation", "nearest")
        entry["config"]["interpolation"] = "bilinear"
        effect = f"pixels are interpolated, where {was} resizing took over others"
        return self.change(match, "resize bilinearly", (before,), (code(entry),), effect=effect)


class PolicyActivation(LayerFixer):
    """An Activation that is not on the list of TFMOT's pruning policy."""

    name = "activation-on-policy-list"
    stage = Stage.UNSAFE
    applicability = Applicability.UNSAFE
    exactness = Exactness.DIFFERENT
    fulfils = frozenset({Condition.POLICY_LAYER})

    def match(self, scope: Scope, entry: Entry) -> Match | None:
        if entry["class_name"] != "Activation" or str(entry["config"].get("activation")) not in _ON_POLICY_LIST:
            return None
        return self.found(scope, entry)

    def apply(self, match: Match) -> Change:
        return _replace_activation(self, match, _ON_POLICY_LIST)


class ClosestLayerActivation(LayerFixer):
    """An activation without an NCHW kernel."""

    name = "activation-closest"
    stage = Stage.UNSAFE
    applicability = Applicability.UNSAFE
    exactness = Exactness.DIFFERENT
    fulfils = frozenset(
        {Condition.NCHW_KERNEL, Condition.UNARY_OPERATOR, Condition.BINARY_OPERATOR, Condition.DELEGATED}
    )

    def match(self, scope: Scope, entry: Entry) -> Match | None:
        activation = entry["config"].get("activation")
        return self.found(scope, entry) if isinstance(activation, str) and activation in _CLOSEST else None

    def apply(self, match: Match) -> Change:
        return _replace_activation(self, match, _CLOSEST)


class ConstantOfFourDimensions(LayerFixer):
    """`x * 0.5`, `x / 6` on a pooled vector of shape [N, 1, 1, C]: the number must have four dimensions, like that.

    Keras keeps such an operator as a layer whose arguments are in the config: a TFOpLambda, or an operation of Keras 3.
    """

    name = "constant-of-four-dimensions"
    stage = Stage.CONSTANTS
    fulfils = frozenset({Condition.ELEMENTWISE_OPERAND, Condition.RIGHT_RESULTS, Condition.LOADS_AND_RUNS})

    def match(self, scope: Scope, entry: Entry) -> Match | None:
        found = number_argument(entry)
        if found is None or found.kind not in ("mul", "add", "div") or not _is_on_vector(scope, entry):
            return None
        return self.found(scope, entry)

    def apply(self, match: Match) -> Change:
        entry, before = match.entry, code(match.entry)
        found = number_argument(entry)
        assert found is not None
        constant: Any = [[[[found.value]]]]
        if entry["class_name"] != "TFOpLambda":
            constant = {"class_name": "__numpy__", "config": {"value": constant, "dtype": "float32"}}
        found.arguments[found.place] = constant
        return self.change(match, "give the constant the shape [1, 1, 1, 1]", (before,), (code(entry),))


class NumberArgument(Struct, frozen=True):
    """The number in a layer such as `x * 0.5`.

    Attributes:
        kind: "mul", "div", "add" or "sub".
        arguments, place: where the number is in the config.
        tensor: how the layer refers to what else it reads.
    """

    kind: str
    value: float
    arguments: Any
    place: Any
    tensor: Any


def number_argument(entry: Entry) -> NumberArgument | None:
    """The number that a layer adds to a tensor, multiplies it by, and so on; None where it is no such layer."""
    operation = str(entry.get("module", "")).startswith("keras.src.ops")
    key = entry["config"].get("function") if entry["class_name"] == "TFOpLambda" else entry["class_name"]
    kind, nodes = _ARITHMETIC.get(str(key)), entry.get("inbound_nodes")
    if kind is None or not isinstance(nodes, list) or len(nodes) != 1:
        return None
    node = nodes[0]
    if entry["class_name"] == "TFOpLambda":
        if not isinstance(node, list) or len(node) != 4 or [type(node[0]), type(node[3])] != [str, dict]:
            return None
        value = node[3].get("y")
        return NumberArgument(kind, value, node[3], "y", node[:3]) if _is_number(value) else None
    arguments = node.get("args") if operation and isinstance(node, dict) else None
    if not isinstance(arguments, list) or len(arguments) != 2:
        return None
    places = [place for place, argument in enumerate(arguments) if _is_number(argument)]
    if len(places) != 1 or (places == [0] and kind in ("sub", "div")):
        return None  # 3 - x and 3 / x are other operators.
    place = places[0]
    tensor = arguments[1 - place]
    return NumberArgument(kind, arguments[place], arguments, place, tensor) if isinstance(tensor, dict) else None


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _replace_activation(fixer: LayerFixer, match: Match, closest: dict[str, str]) -> Change:
    entry, before = match.entry, code(match.entry)
    was = entry["config"]["activation"]
    entry["config"]["activation"] = closest[was]
    effect = f"{closest[was]} is another function than {was}"
    return fixer.change(match, f'use "{closest[was]}"', (before,), (code(entry),), effect=effect)


def _is_on_vector(scope: Scope, entry: Entry) -> bool:
    """Whether it works on what a pooling left; on a map the constant must come first, which Keras cannot say."""
    shape = scope.shape_into(entry)
    if shape is not None:
        return len(shape) == 4 and shape[1:3] == [1, 1]
    for _ in range(32):
        sources = scope.sources(entry)
        if not sources:
            return False
        entry = sources[0]
        if entry["class_name"] == "GlobalAveragePooling2D":
            return bool(entry["config"].get("keepdims"))
    return False


FIXERS: tuple[LayerFixer, ...] = (
    ConstantOfFourDimensions(),
    BilinearUpsampling(),
    PolicyActivation(),
    ClosestLayerActivation(),
)
