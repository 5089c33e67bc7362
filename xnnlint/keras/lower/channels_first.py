"""Layers with data_format="channels_first": TFLite has channels last, so that a map is transposed and back around each.

Keras does it itself where TensorFlow has no such operator on a CPU (`_preprocess_conv2d_input` of
tf_keras/src/backend.py, `_transpose_spatial_inputs` of keras/src/backend/tensorflow/nn.py), and the converter does it
around the others (`LayoutAssignmentPass` of tensorflow/tensorflow
compiler/mlir/tensorflow/transforms/layout_optimization.cc). Which of these stay is found out by the rewrites.
"""

from __future__ import annotations

from collections.abc import Callable

from xnnlint.errors import NotSupported
from xnnlint.keras.config_values import Options
from xnnlint.keras.lower.layer_scope import Scope, shape_of
from xnnlint.keras.lower.layout_moves import order_of_the_converter
from xnnlint.keras.lower.program import Step, Value

NOT_CONVERTED = ("with data_format='channels_first'", "build the model with channels_last")
_TO_LAST, _TO_FIRST = [0, 2, 3, 1], [0, 3, 1, 2]


def says_channels_first(config: Options) -> bool:
    """Whether a layer's data format is that.

    Raises:
        NotSupported: it is neither of the two that there are.
    """
    said = config.given("data_format")
    if said not in (None, "channels_last", "channels_first"):
        raise NotSupported(f"its data_format is {said!r}")
    return bool(said == "channels_first")


def is_channels_first(scope: Scope, x: Value) -> bool:
    """Whether channels are the axis behind the batch.

    Raises:
        NotSupported: they are, and the input is no map; or the data format is none.
    """
    first = says_channels_first(scope.config)
    if first and x.shape is not None and len(x.shape) != 4:
        raise NotSupported(f"its data_format is channels_first, and its input has {len(x.shape)} dimensions")
    return first


def around(scope: Scope, x: Value, at: str | Step, emit: Callable[[Value], Value]) -> Value:
    """A map with channels first through operators that have them last.

    Args:
        at: the operation that the converter transposes around, or the name of the two that Keras writes.
        emit: adds the operators.
    """
    y = emit(_transposed(scope, x, _TO_LAST, at))
    return _transposed(scope, y, _TO_FIRST, at)


def _transposed(scope: Scope, x: Value, order: list[int], at: str | Step) -> Value:
    shape = shape_of(x, 4)
    if isinstance(at, Step):
        axes = order_of_the_converter(order)
    else:
        at = scope.step(at)
        axes = scope.integers(order, f"{at.name.removeprefix(scope.prefix + '/')}/perm")
    return scope.op("TRANSPOSE", [x, axes], tuple(shape[d] for d in order), at)
