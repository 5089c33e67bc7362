"""Which variables a layer has, what they are called, and how the ones of a file come to the layers of a model.

Archives number a layer's variables in the order in which its class creates them, the trainable ones first
(`save_own_variables` of keras-team/keras and keras-team/tf-keras); other files name them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from xnnlint.errors import ModelError
from xnnlint.keras.description import Layer
from xnnlint.loaders.keras.read_config import Unreadable
from xnnlint.loaders.keras.read_hdf5 import Hdf5Error, Node

if TYPE_CHECKING:
    import numpy as np

_CONVOLUTIONS = (
    "Conv1D", "Conv2D", "Conv3D", "Convolution1D", "Convolution2D", "Convolution3D",
    "Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose", "Convolution2DTranspose", "Convolution3DTranspose",
    "Dense", "LocallyConnected1D", "LocallyConnected2D",
)  # fmt: skip
_SEPARABLE = ("SeparableConv1D", "SeparableConv2D", "SeparableConvolution1D", "SeparableConvolution2D")
_BATCH_NORMALIZATIONS = (
    "BatchNormalization", "BatchNormalizationV1", "BatchNormalizationV2", "SyncBatchNormalization",
)  # fmt: skip
# Names of Keras 3 that differ from those of Keras 2.
_RENAMED = {
    ("DepthwiseConv1D", "kernel"): "depthwise_kernel",
    ("DepthwiseConv2D", "kernel"): "depthwise_kernel",
}
# The pruning wrapper's own variables; those of a second pruned weight are numbered ("mask_1").
_PRUNING = ("mask", "threshold", "pruning_step")


def variable_names(layer: Layer) -> list[str]:
    """The names of a layer's own variables in the order of an archive; empty where the class is not known here."""
    config, name = layer.config, layer.class_name
    bias = ["bias"] if config.get("use_bias", True) else []
    if name in _CONVOLUTIONS:
        return ["kernel", *bias]
    if name in ("DepthwiseConv1D", "DepthwiseConv2D"):
        return ["depthwise_kernel", *bias]
    if name in _SEPARABLE:
        return ["depthwise_kernel", "pointwise_kernel", *bias]
    if name == "EinsumDense":
        return ["kernel", "bias"] if config.get("bias_axes") else ["kernel"]
    scale = ["gamma"] if config.get("scale", True) else []
    center = ["beta"] if config.get("center", True) else []
    if name in _BATCH_NORMALIZATIONS:
        return [*scale, *center, "moving_mean", "moving_variance"]
    if name in ("LayerNormalization", "GroupNormalization"):
        return [*scale, *center]
    if name == "Normalization":
        return [] if config.get("mean") is not None else ["mean", "variance", "count"]
    if name in ("Attention", "AdditiveAttention"):
        scaled = config.get("use_scale", name == "AdditiveAttention")
        return [
            *(["scale"] if scaled else []),
            *(["concat_score_weight"] if config.get("score_mode") == "concat" else []),
        ]
    return {"PReLU": ["alpha"], "Embedding": ["embeddings"], "RMSNormalization": ["scale"]}.get(name, [])


# What archives and SavedModels call the layers of a layer, and what their variables are called elsewhere.
_INNER_LAYERS = {
    "MultiHeadAttention": {
        "query_dense": "query",
        "key_dense": "key",
        "value_dense": "value",
        "output_dense": "attention_output",
    }
}
_INNER_VARIABLES = ("kernel", "bias")


def inner_name(layer: Layer, place: str, variable: str) -> str:
    """What a variable of a layer's own layer is called here: "query/kernel".

    Args:
        place: the path of the inner layer in the file, with a slash at its end.
        variable: its name there, or its number.
    """
    known = _INNER_LAYERS.get(layer.class_name, {}).get(place.strip("/").lstrip("_"))
    if known is None:
        return f"{place}{variable}"
    number = int(variable) if variable.isdecimal() else -1
    return f"{known}/{_INNER_VARIABLES[number] if 0 <= number < len(_INNER_VARIABLES) else variable}"


def short_name(layer: Layer, stored: str) -> str:
    """ "conv/kernel:0" as this package calls it."""
    name = stored.split(":")[0].rsplit("/", 1)[-1]
    return _RENAMED.get((layer.class_name, name), name)


def reader(path: str, node: Node, what: str) -> Callable[[], np.ndarray]:
    """A function that reads a variable from HDF5.

    Args:
        path: the model file, for errors.
        node: where it is.
        what: what it is, for errors.

    Raises:
        Hdf5Error: there is none.
    """
    dataset = node.dataset
    # HDF5 has no such type, so that Keras 3 says it in an attribute.
    bfloat16 = dataset.type.size == 2 and node.attributes.get("dtype") == "bfloat16"

    def read() -> np.ndarray:
        try:
            values = dataset.read()
        except Hdf5Error as fault:
            raise ModelError(path, f"{what}: {fault}") from None
        return widen(values) if bfloat16 else values

    return read


def widen(values: np.ndarray) -> np.ndarray:
    """bfloat16, as two bytes or a number of 16 bits each, as float32."""
    import numpy as np

    result = (values.view("<u2").astype(np.uint32) << 16).view(np.float32)
    result.flags.writeable = False
    return result


def number_variables(layer: Layer, found: list[Callable[[], np.ndarray]]) -> dict[str, Callable[[], np.ndarray]]:
    """Variables that a file numbers, by name; what has no known name keeps its number.

    Raises:
        Unreadable: there are fewer than the layer has.
    """
    names = variable_names(layer)
    if found and len(found) < len(names):
        raise Unreadable(f"layer {layer.name!r} has {len(found)} variables, and a {layer.class_name} has {len(names)}")
    names += [str(index) for index in range(len(names), len(found))]
    return dict(zip(names, found, strict=False))


def apply_masks(
    layer: Layer,
    weights: dict[str, Callable[[], np.ndarray]],
    masks: Iterable[Callable[[], np.ndarray]],
) -> None:
    """Gives a pruned layer its weights, without the elements that its wrapper has masked.

    The wrapper has one mask for each weight that it prunes, in the order of the layer's weights, with the same shape
    (pruning_wrapper.py of tensorflow/model-optimization).

    Args:
        layer: it gets the weights.
        weights: of the wrapped layer.
        masks: of the wrapper.
    """
    layer.weights = dict(weights)
    pending = list(weights)
    for mask in masks:
        shape = mask().shape
        match = next((key for key in pending if weights[key]().shape == shape), None)
        if match is None:
            raise Unreadable(f"layer {layer.name!r} has a pruning mask of shape {list(shape)}, and no such weight")
        pending.remove(match)
        layer.unmasked[match] = weights[match]
        layer.weights[match] = _masked(weights[match], mask)


def is_pruning_variable(name: str) -> bool:
    """Whether a variable is the pruning wrapper's own."""
    base, _, number = name.rpartition("_")
    return name in _PRUNING or (base in _PRUNING and number.isdigit())


def _masked(weight: Callable[[], np.ndarray], mask: Callable[[], np.ndarray]) -> Callable[[], np.ndarray]:
    def read() -> np.ndarray:
        values: np.ndarray = weight() * mask()
        values.flags.writeable = False
        return values

    return read
