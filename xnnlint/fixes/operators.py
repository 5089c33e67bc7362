"""Changes of what a layer computes on every pixel: upsampling, activations, constants."""

from __future__ import annotations

from typing import Any

from xnnlint.findings import Applicability

from .change import Change, Fixer, Match
from .code import code
from .scope import Entry, Scope

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
_MULTIPLY = ("math.multiply", "__operators__.mul", "math.add", "__operators__.add")


class BilinearUpsampling(Fixer):
    """XNNPACK has no nearest-neighbour resizing."""

    name = "upsampling-bilinear"
    applicability = Applicability.UNSAFE

    def match(self, scope: Scope, entry: Entry) -> Match | None:
        config = entry["config"]
        if entry["class_name"] != "UpSampling2D" or config.get("interpolation", "nearest") == "bilinear":
            return None
        return self.found(scope, entry) if config.get("data_format") in (None, "channels_last") else None

    def apply(self, match: Match) -> Change:
        entry, before = match.entry, code(match.entry)
        was = entry["config"].get("interpolation", "nearest")
        entry["config"]["interpolation"] = "bilinear"
        return Change(
            match.scope.label(entry),
            self.name,
            self.applicability,
            "resize bilinearly",
            (before,),
            (code(entry),),
            f"pixels are interpolated, where {was} resizing took over others",
        )


class PolicyActivation(Fixer):
    """An Activation that is not on the list of TFMOT's pruning policy."""

    name = "activation-on-policy-list"
    applicability = Applicability.UNSAFE
    rules = ("XNP103",)

    def match(self, scope: Scope, entry: Entry) -> Match | None:
        if entry["class_name"] != "Activation" or str(entry["config"].get("activation")) not in _ON_POLICY_LIST:
            return None
        return self.found(scope, entry)

    def apply(self, match: Match) -> Change:
        return _replace_activation(self, match, _ON_POLICY_LIST)


class ClosestActivation(Fixer):
    """An activation without an NCHW kernel."""

    name = "activation-closest"
    applicability = Applicability.UNSAFE
    rules = ("XNN",)

    def match(self, scope: Scope, entry: Entry) -> Match | None:
        activation = entry["config"].get("activation")
        return self.found(scope, entry) if isinstance(activation, str) and activation in _CLOSEST else None

    def apply(self, match: Match) -> Change:
        return _replace_activation(self, match, _CLOSEST)


class ConstantOfFourDimensions(Fixer):
    """`x * 0.5` on a pooled vector of shape [N, 1, 1, C]: the number must have four dimensions, like the vector.

    tf_keras keeps such an operator as a TFOpLambda whose arguments are in the config.
    """

    name = "constant-of-four-dimensions"
    applicability = Applicability.SAFE

    def match(self, scope: Scope, entry: Entry) -> Match | None:
        if entry["class_name"] != "TFOpLambda" or entry["config"].get("function") not in _MULTIPLY:
            return None
        arguments = _arguments(entry)
        if arguments is None or type(arguments.get("y")) not in (int, float) or not _is_on_vector(scope, entry):
            return None
        return self.found(scope, entry)

    def apply(self, match: Match) -> Change:
        entry, before = match.entry, code(match.entry)
        arguments = _arguments(entry)
        assert arguments is not None
        arguments["y"] = [[[[arguments["y"]]]]]
        return Change(
            match.scope.label(entry),
            self.name,
            self.applicability,
            "give the constant the shape [1, 1, 1, 1]",
            (before,),
            (code(entry),),
        )


def _replace_activation(fixer: Fixer, match: Match, closest: dict[str, str]) -> Change:
    entry, before = match.entry, code(match.entry)
    was = entry["config"]["activation"]
    entry["config"]["activation"] = closest[was]
    return Change(
        match.scope.label(entry),
        fixer.name,
        fixer.applicability,
        f'use "{closest[was]}"',
        (before,),
        (code(entry),),
        f"{closest[was]} is another function than {was}",
    )


def _arguments(entry: Entry) -> dict[str, Any] | None:
    """The keyword arguments of the only call of a TFOpLambda."""
    nodes = entry.get("inbound_nodes")
    if not isinstance(nodes, list) or len(nodes) != 1 or not isinstance(nodes[0], list):
        return None
    node = nodes[0] if nodes[0] and isinstance(nodes[0][0], str) else None
    return node[3] if node is not None and len(node) == 4 and isinstance(node[3], dict) else None


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
