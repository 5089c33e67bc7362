"""Which layer becomes what: each lowering says it itself, by a decorator.

To add a Keras layer, write the function that adds its operators, in the module of its kind (`weighted_layers`,
`normalization_layers`, `sequence_layers`, `volume_layers`, `attention_layers`, `shape_layers`, `activations`,
`merging_layers`), and put `@layer("GroupNormalization")` on it, with every name that the class has in either dialect.
A function (`tf.*` of Keras 2, `keras.ops` of Keras 3) is added in `functions` or `array_functions` by `named`, with
what each dialect calls it. What it reads from the config it reads by `Options`, which refuses what cannot be.

Then its case: a model with it in tests/keras/make_keras_lowering_models.py, of which the real converter says what
becomes of it (tests/keras/make_keras_lowering_cases.py). Two facts more stand elsewhere: which classes are Keras's own,
of which loaders/keras/read_known_layers.py has all (a test fails for a layer that it lacks), and what the variables of
a layer with weights are called (`variable_names` in loaders/keras/read_variables.py). What the pruning policy supports
is TFMOT's list, whatever is known here (policy/supported_layers.py).
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from xnnlint.errors import NotSupported
from xnnlint.keras.config_values import Options
from xnnlint.keras.lower.layer_scope import Scope
from xnnlint.keras.lower.program import Value

OneInput = Callable[[Scope, Value], Value]
ManyInputs = Callable[[Scope, list[Value]], Value]
Activation = Callable[[Scope, Value, Options], Value]


class Lowering(Struct, frozen=True):
    """What a layer becomes.

    Attributes:
        emit: adds the operators of one call.
        same_in_training: whether training=True changes nothing.
    """

    emit: ManyInputs
    same_in_training: bool


LAYERS: dict[str, Lowering] = {}
# Those that may stand as the activation of another layer, too.
ACTIVATION_LAYERS: dict[str, Activation] = {}


def layer(*names: str, same_in_training: bool = True) -> Callable[[OneInput], OneInput]:
    """Says of a function that it lowers a layer with one input.

    Args:
        names: of its class.
        same_in_training: whether training=True changes nothing.
    """

    def decorate(emit: OneInput) -> OneInput:
        def emit_one(scope: Scope, tensors: list[Value]) -> Value:
            if len(tensors) != 1:
                raise NotSupported(f"it has {len(tensors)} inputs")
            return emit(scope, tensors[0])

        LAYERS.update(dict.fromkeys(names, Lowering(emit_one, same_in_training)))
        return emit

    return decorate


def merging_layer(*names: str) -> Callable[[ManyInputs], ManyInputs]:
    """Says of a function that it lowers a layer with several inputs."""

    def decorate(emit: ManyInputs) -> ManyInputs:
        LAYERS.update(dict.fromkeys(names, Lowering(emit, same_in_training=True)))
        return emit

    return decorate


def activation_layer(name: str) -> Callable[[Activation], Activation]:
    """Says of a function that it lowers a layer which may also be the activation of another one."""

    def decorate(emit: Activation) -> Activation:
        ACTIVATION_LAYERS[name] = emit
        layer(name)(lambda scope, x: emit(scope, x, scope.config))
        return emit

    return decorate
