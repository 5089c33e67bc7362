"""What a person calls an operator: the Keras layer's name, from the tensor names in the file.

TFLite operators have no names, tensors have. The converter names an operator's output after every TensorFlow operation
that it fused into it, "/"-scoped and ";"-joined: `net/bn/FusedBatchNormV3;net/expand/Conv2D;net/project/Conv2D1`.
The rule, in order:

1. Of the ";" parts the last one that ends in the operator's own TensorFlow operation counts (`net/project/Conv2D1` for
   CONV_2D; the parts before it come from constants that several layers share), else the first one.
2. The trailing operation goes (`Conv2D1`, `resize/ResizeBilinear`), and so do the scopes that all operators have in
   common (`StatefulPartitionedCall`, the model's name). What is left is the layer: `project`, nested `block/project`.
3. Keras 3 enters every scope twice, so that all of a file's scopes end in `_1`; then that ending goes too.
4. The converter renames a model's outputs (`StatefulPartitionedCall:0`, `Identity`). There weights and bias give the
   name of the layer.
5. Without any of these it is the tensor's name, and without that the type and the index, as `CONV_2D_12`.

What unpacks a weight (DENSIFY, DEQUANTIZE) is called like the operator that reads it; the loader sees to that.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_MAX_LENGTH = 80

# The TensorFlow operations that become these operators; others are named by the first part.
_OWN_OPERATION = {
    "CONV_2D": re.compile(r"(Conv2D|convolution|separable_conv2d|Conv1D)[_\d]*"),
    "DEPTHWISE_CONV_2D": re.compile(r"(depthwise|DepthwiseConv2d\w*)[_\d]*"),
    "TRANSPOSE_CONV": re.compile(r"(conv2d_transpose|conv_transpose|Conv2DBackpropInput)[_\d]*"),
    "FULLY_CONNECTED": re.compile(r"(MatMul|Tensordot|Einsum|einsum|BatchMatMul\w*)[_\d]*"),
}
_OPERATION = re.compile(
    r"([A-Z][A-Za-z0-9]*|add|sub|mul|div|truediv|pow|mean|concat|stack|unstack|split|strided_slice|depthwise|convolution"
    r"|separable_conv2d|conv2d_transpose|conv_transpose|einsum|transpose|clip_by_value|hard_sigmoid|input_sizes)(_?\d+)?"
)
# Scopes that TensorFlow puts between a layer and an operation.
_INNER_SCOPE = re.compile(
    r"(BiasAdd|ReadVariableOp|MatMul|Tensordot|Reshape|FusedBatchNormV\d|Conv2D|batchnorm|moments|resize|einsum|depthwise"
    r"|convolution|separable_conv2d|conv2d_transpose|conv_transpose|strided_slice)(_?\d+)?"
)
_WRAPPER = re.compile(r"(Stateful)?PartitionedCall(_\d+)?(:\d+)?|Identity(_\d+)?(:\d+)?")


def operator_names(types: Sequence[str], outputs: Sequence[str], constants: Sequence[Sequence[str]]) -> list[str]:
    """The names of a graph's operators.

    Args:
        types: operator types, or the names of custom operators, in execution order as all arguments.
        outputs: name of each operator's first output tensor.
        constants: names of the constants that each operator reads: weights, then bias.
    """
    paths = [
        _path(type_, output) or _layer_of_constants(type_, names)
        for type_, output, names in zip(types, outputs, constants, strict=True)
    ]
    shared = _shared_scopes(paths)
    paths = [path[shared:] if len(path) > shared else path for path in paths]
    layers = [_without_operation(path) for path in paths]
    if _entered_twice(layers):
        layers = [[part.removesuffix("_1") for part in layer] for layer in layers]
    return [
        _shorten(layer) or output or f"{type_}_{index}"
        for index, (layer, output, type_) in enumerate(zip(layers, outputs, types, strict=True))
    ]


def _path(type_: str, name: str) -> list[str]:
    """The scopes of the part of a tensor's name that counts; [] for one that says nothing."""
    parts = [p for p in name.split(";") if p.strip("/").strip("0123456789")]
    if not parts:
        return []
    own = _OWN_OPERATION.get(type_)
    matching = [p for p in parts if own and own.fullmatch(p.rpartition("/")[2])]
    scopes = [s for s in (matching or parts[:1])[-1].split("/") if s]
    while scopes and _WRAPPER.fullmatch(scopes[0]):
        del scopes[0]
    return scopes


def _layer_of_constants(type_: str, names: Sequence[str]) -> list[str]:
    """The scopes of the first constant that belongs to a layer; only layers with weights have any of their own."""
    paths = (_path(type_, name) for name in names if type_ in _OWN_OPERATION)
    return next((path for path in paths if len(path) > 1), [])


def _shared_scopes(paths: list[list[str]]) -> int:
    """How many leading scopes all scoped names have in common, without using one of them up."""
    scoped = [path for path in paths if len(path) > 1]
    shared = 0
    while len(scoped) > 1 and len({path[shared] for path in scoped}) == 1:
        if any(len(path) <= shared + 1 for path in scoped):
            break
        shared += 1
    # A graph whose operators are all parts of one layer keeps that layer's name.
    if shared and all(_OPERATION.fullmatch(path[shared]) for path in scoped):
        shared -= 1
    return shared


def _without_operation(path: list[str]) -> list[str]:
    layer = list(path)
    if len(layer) > 1 and _OPERATION.fullmatch(layer[-1]):
        layer.pop()
        while len(layer) > 1 and _INNER_SCOPE.fullmatch(layer[-1]):
            layer.pop()
    return layer


def _entered_twice(layers: list[list[str]]) -> bool:
    scopes = {layer[0] for layer in layers if layer and not _OPERATION.fullmatch(layer[0])}
    return len(scopes) > 1 and all(scope.endswith("_1") for scope in scopes)


def _shorten(layer: list[str]) -> str:
    name = "/".join(layer)
    while len(name) > _MAX_LENGTH and len(layer) > 1:
        layer = layer[1:]
        name = ".../" + "/".join(layer)
    return name if len(name) <= _MAX_LENGTH else "..." + name[-_MAX_LENGTH:]
