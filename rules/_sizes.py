"""Which sizes of a model's inputs the file does not tell, and what to write instead, in the words of its exporter."""

from __future__ import annotations

from xnnlint.model.exporter import Exporter
from xnnlint.model.graph import Graph
from xnnlint.xnnpack.plan import Plan

# Where the sizes of all inputs are fixed, and the file computes others from them all the same.
_AS_NUMBERS = "write its size as numbers where the model is made, instead of computing it from the shapes of others"
FOLDED = ", so that the shape is a constant and all of these but the last fold away"
# What fixes the batch alone, and what fixes all sizes, where no Keras model is at hand.
# Sources: tensorflow/tensorflow lite/python/lite.py `TFLiteConverter`, `TFLiteFrozenGraphConverter`;
# google-ai-edge/litert-torch litert_torch/_convert/converter.py `convert`; PINTO0309/onnx2tf README, `-b`, `-ois`;
# jax-ml/jax jax/experimental/jax2tf/jax2tf.py `convert`, `polymorphic_shapes`.
_CURES = {
    Exporter.TENSORFLOW: (
        "convert with a fixed batch: xnnlint convert --batch 1, or tf.TensorSpec([1, ...]) in the input_signature",
        "fix height and width of the image: tf.TensorSpec([1, height, width, channels]) in the input_signature, or "
        "keras.Input((height, width, channels), batch_size=1)",
    ),
    Exporter.TOCO: (
        "convert the frozen graph again, with a fixed batch: tf.compat.v1.lite.TFLiteConverter.from_frozen_graph(..., "
        "input_shapes={name: [1, ...]})",
        "convert the frozen graph again, with fixed sizes: tf.compat.v1.lite.TFLiteConverter.from_frozen_graph(..., "
        "input_shapes={name: [1, height, width, channels]})",
    ),
    Exporter.LITERT_TORCH: (
        "export with sample inputs of batch 1 and without dynamic_shapes: "
        "litert_torch.convert(model, (torch.rand(1, ...),))",
        "export with sample inputs of the size to run, and without dynamic_shapes: "
        "litert_torch.convert(model, (torch.rand(1, channels, height, width),))",
    ),
    Exporter.ONNX2TF: (
        "convert with a fixed batch: onnx2tf -i model.onnx -b 1",
        "convert with fixed sizes: onnx2tf -i model.onnx -ois input:1,channels,height,width",
    ),
    Exporter.JAX: (
        "convert for inputs of one batch, without polymorphic_shapes: tf.TensorSpec([1, ...])",
        "convert for inputs of one size, without polymorphic_shapes: tf.TensorSpec([1, height, width, channels])",
    ),
}


def only_batch_is_unknown(graph: Graph) -> bool:
    """Whether no size of an input but its first is told at run time only."""
    return not any(d < 0 for tensor in graph.inputs for d in graph.tensors[tensor].shape_signature[1:])


def sizes_are_known(graph: Graph) -> bool:
    """Whether every size of an input is in the file."""
    return not any(d < 0 for tensor in graph.inputs for d in graph.tensors[tensor].shape_signature)


def fixed_sizes(plan: Plan) -> str:
    """What makes shapes constants that are computed at run time."""
    if sizes_are_known(plan.graph):
        return f"{_AS_NUMBERS}{FOLDED}"
    if (cure := _by_exporter(plan)) is not None:
        return f"{cure}{FOLDED}"
    if only_batch_is_unknown(plan.graph):
        return f"convert with a fixed batch size, keras.Input(shape, batch_size=1){FOLDED}"
    return f"fix height and width of the image, too: keras.Input((height, width, channels), batch_size=1){FOLDED}"


def known_before_the_run(plan: Plan) -> str:
    """What makes the shape of an output known."""
    if sizes_are_known(plan.graph):
        return _AS_NUMBERS
    if (cure := _by_exporter(plan)) is not None:
        return cure
    if only_batch_is_unknown(plan.graph):
        return "convert with a fixed batch (xnnlint convert --batch 1)"
    return "fix height and width of the image: keras.Input((height, width, channels))"


def _by_exporter(plan: Plan) -> str | None:
    batch, sizes = _CURES.get(plan.model.exporter, (None, None))
    return batch if only_batch_is_unknown(plan.graph) else sizes
