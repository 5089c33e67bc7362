"""fp16 biases of fp32 filters, which some runtimes do not load."""

from __future__ import annotations

from collections.abc import Iterator

from xnnlint.fixes.tflite.editor import Op
from xnnlint.fixes.tflite.graph_parts import plain_bias
from xnnlint.fixes.tflite.graph_view import View
from xnnlint.fixes.tflite.rescue import Preference, Rescue, Way

FILTER, BIAS = 1, 2
_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")


class BiasAsFilter(Rescue):
    """Each bias in the type of its filter."""

    name = "bias-as-filter"
    stage = Preference.FAILURES
    summary = "fp16 biases of fp32 filters, which LiteRT 1.1 to 1.3 do not load -> fp32"

    def ways(self, view: View) -> Iterator[Way]:
        if mixed := mixed_types(view):
            yield self.way(view, mixed[0], _give_plain_biases)


def mixed_types(view: View) -> list[Op]:
    """Operators with an fp32 filter and a bias that is stored as fp16, which LiteRT 1.1 to 1.3 fail to load
    (google-ai-edge/LiteRT tflite/delegates/xnnpack/xnnpack_delegate.cc, mended by bee71230)."""
    return [
        op
        for op in view.of_type(*_WEIGHTED)
        if len(op.inputs) > BIAS
        and _stored_type(view, op.inputs[FILTER]) == "FLOAT32"
        and _stored_type(view, op.inputs[BIAS]) == "FLOAT16"
    ]


def _give_plain_biases(view: View) -> str:
    for op in mixed_types(view):
        plain_bias(view, op)
    return "store its bias as fp32, like its filter"


def _stored_type(view: View, tensor: int) -> str:
    unpacker = view.graph.unpacker(tensor)
    return view.graph.dtype(tensor) if unpacker is None else _stored_type(view, unpacker.inputs[0])


RESCUES = (BiasAsFilter(),)
