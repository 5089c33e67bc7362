"""Windows of convolutions and pools as the delegate reads them from a model.

Sources: google-ai-edge/LiteRT tflite/delegates/xnnpack/xnnpack_delegate.cc `CalculateTransposeConvPaddings`,
`SafeCopyCustomData`; tflite/kernels/padding.h `ComputePaddingHeightWidth`; tflite/core/c/builtin_op_data.h
`TfLiteTransposeConvParams`, `TfLitePoolParams`.
"""

from __future__ import annotations

import struct
from typing import Any

from msgspec import Struct

from xnnlint.model.graph import Operator

_PADDINGS = {1: "SAME", 2: "VALID"}
_ACTIVATIONS = ("NONE", "RELU", "RELU_N1_TO_1", "RELU6", "TANH", "SIGN_BIT", "SIGMOID")


class TransposePadding(Struct, frozen=True):
    """Padding (top, right, bottom, left) and output adjustment (h, w) of a transposed convolution."""

    padding: tuple[int, int, int, int]
    adjustment: tuple[int, int]


def transpose_padding(
    mode: str,
    input_size: tuple[int, int],
    output_size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
) -> TransposePadding | str:
    """Padding of a transposed convolution, all sizes (h, w); or what the delegate objects to, in words."""
    if mode == "VALID":
        if kernel[0] > output_size[0] or kernel[1] > output_size[1]:
            return f"kernel {kernel[0]}x{kernel[1]} above output {output_size[0]}x{output_size[1]}"
        adjustment = tuple((o - k) % s for o, k, s in zip(output_size, kernel, stride, strict=True))
        return TransposePadding((0, 0, 0, 0), adjustment)  # type: ignore[arg-type]
    if mode != "SAME":
        return f"padding {mode}"
    expected = tuple(-(-o // s) for o, s in zip(output_size, stride, strict=True))
    if expected != input_size:
        return f"input {input_size[0]}x{input_size[1]} where the output asks for {expected[0]}x{expected[1]}"
    if kernel[0] < stride[0] or kernel[1] < stride[1]:
        return f"kernel {kernel[0]}x{kernel[1]} below stride {stride[0]}x{stride[1]}"
    total = [max(0, (e - 1) * s + k - o) for e, s, k, o in zip(expected, stride, kernel, output_size, strict=True)]
    top, left = total[0] // 2, total[1] // 2
    return TransposePadding((top, total[1] - left, total[0] - top, left), (0, 0))


def same_padding_total(size: int, kernel: int, stride: int, dilation: int = 1) -> int:
    """TensorFlow SAME padding of one dimension, before and after together.

    Below 0 where the last window ends before the map does, for which TensorFlow pads nothing.
    """
    return (-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size


def mediapipe_options(op: Operator) -> dict[str, Any]:
    """Options of a MediaPipe custom operator, named as in the schema's Conv2D and Pool2D options.

    MediaPipe stores the C structs TfLiteTransposeConvParams and TfLitePoolParams as bytes; what is missing is 0.
    """
    stored = bytes(op.attributes.get("custom_options") or b"")
    names = ["padding", "stride_w", "stride_h"]
    names += (
        ["activation"]
        if op.custom_code == "Convolution2DTransposeBias"
        else ["filter_width", "filter_height", "activation"]
    )
    size = 4 * len(names)
    numbers = struct.unpack(f"<{len(names)}i", stored[:size].ljust(size, b"\0"))
    options: dict[str, Any] = dict(zip(names, numbers, strict=True))
    options["padding"] = _PADDINGS.get(options["padding"], "unknown")
    activation = options.pop("activation")
    known = 0 <= activation < len(_ACTIVATIONS)
    options["fused_activation_function"] = _ACTIVATIONS[activation] if known else str(activation)
    return options
