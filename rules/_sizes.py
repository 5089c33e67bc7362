"""Which sizes of a model's inputs the file does not tell, and what to write instead."""

from __future__ import annotations

from xnnlint.model.graph import Graph

FOLDED = ", so that the shape is a constant and all of these but the last fold away"


def only_batch_is_unknown(graph: Graph) -> bool:
    """Whether no size of an input but its first is told at run time only."""
    return not any(d < 0 for tensor in graph.inputs for d in graph.tensors[tensor].shape_signature[1:])


def fixed_sizes(graph: Graph) -> str:
    """What makes shapes constants that are computed at run time."""
    if only_batch_is_unknown(graph):
        return f"convert with a fixed batch size, keras.Input(shape, batch_size=1){FOLDED}"
    return f"fix height and width of the image, too: keras.Input((height, width, channels), batch_size=1){FOLDED}"


def known_before_the_run(graph: Graph) -> str:
    """What makes the shape of an output known."""
    if only_batch_is_unknown(graph):
        return "convert with a fixed batch (xnnlint convert --batch 1)"
    return "fix height and width of the image: keras.Input((height, width, channels))"
