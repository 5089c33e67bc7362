"""What the advice of rules is in PyTorch's words, for models that litert-torch or onnx2tf exported.

Phrases of Keras, as they stand in the fixes of the rules, and the same for PyTorch. A rule has those that its fixes use
in its `terms`. Convolutions of PyTorch pad alike on all sides, so that there is no ZeroPadding2D in front of them.
"""

from __future__ import annotations

from xnnlint.xnnpack.conditions.depthwise import PADDING_OF_KERNEL, STRIDES
from xnnlint.xnnpack.conditions.stem import CHANNELS, KERNEL, PAD, STRIDE


def _depthwise(size: int, padding: int, stride: object = None) -> str:
    strided = "" if stride is None else f" stride={stride},"
    return f"nn.Conv2d(channels, channels, {size},{strided} padding={padding}, groups=channels)"


ENTRY = {
    f"ZeroPadding2D({PAD}), Conv2D(filters, {KERNEL[0]}, strides={STRIDE[0]}, padding='valid')": (
        f"nn.Conv2d({CHANNELS}, filters, {KERNEL[0]}, stride={STRIDE[0]}, padding={PAD})"
    ),
}
DEPTHWISE = {
    **{f"DepthwiseConv2D({size}, padding='same')": _depthwise(size, pad) for size, pad in PADDING_OF_KERNEL.items()},
    **{
        f"ZeroPadding2D({pad}), DepthwiseConv2D({size}, strides={stride}, padding='valid')": _depthwise(
            size, pad, stride
        )
        for size, pad in PADDING_OF_KERNEL.items()
        for stride in (*STRIDES, "1 or 2")
    },
}
STRIDE_FIRST = {"ZeroPadding2D(1) and DepthwiseConv2D(3, strides=2, padding='valid')": _depthwise(3, 1, 2)}
POINTWISE = {
    "Conv2D(filters, 1)": "nn.Conv2d(channels, filters, 1)",
    "Conv2D(units, 1) in the place of each Dense": "nn.Conv2d(channels, units, 1) in the place of each nn.Linear",
    "a 1x1 Conv2D": "nn.Conv2d(channels, units, 1)",
    "SeparableConv2D": "nn.Conv2d with groups=channels, and nn.Conv2d(channels, filters, 1)",
}
POOLED = {
    "GlobalAveragePooling2D(keepdims=True) and a Reshape or Flatten": "nn.AdaptiveAvgPool2d(1) and nn.Flatten",
    "GlobalAveragePooling2D(keepdims=True), then Flatten or Reshape": "nn.AdaptiveAvgPool2d(1), then nn.Flatten",
    "GlobalAveragePooling2D(keepdims=True) and a Reshape": "nn.AdaptiveAvgPool2d(1) and nn.Flatten",
    "GlobalAveragePooling2D(keepdims=True)": "nn.AdaptiveAvgPool2d(1)",
    "GlobalAveragePooling2D": "nn.AdaptiveAvgPool2d(1)",
    "put a Reshape or Flatten between the pooling and the Dense layers": (
        "put nn.Flatten between the pooling and nn.Linear"
    ),
    "drop the Reshape and set keepdims=True in the pooling in front of it": (
        "pool with nn.AdaptiveAvgPool2d(1), and do not flatten behind it"
    ),
    "set keepdims=True in the pooling": "pool with nn.AdaptiveAvgPool2d(1)",
    "a Flatten or Reshape": "nn.Flatten",
    "a Reshape or Flatten": "nn.Flatten",
    "(keepdims=True)": "(keepdim=True)",
}
SPREAD = {"tf.nn.depth_to_space": "nn.PixelShuffle (`xnnlint fix` makes DEPTH_TO_SPACE of it)"}
RESIZED = {"UpSampling2D(interpolation='bilinear')": "nn.Upsample(scale_factor=2, mode='bilinear')"}
PRUNED = {
    "and convert with EXPERIMENTAL_SPARSITY": (
        "with torch.nn.utils.prune, export, and let `xnnlint fix` store the zeros sparse"
    ),
}
STORED = {
    "convert with converter.optimizations = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]": (
        "let `xnnlint fix` store them sparse, for which exporters from PyTorch have no option"
    ),
}
SQUARED = {"tf.square(": "torch.square(", "tf.constant(": "torch.tensor(", "tf.square": "torch.square"}
UNSTORED = {"converted without EXPERIMENTAL_SPARSITY": "with its zeros stored dense"}
ALL = {
    **ENTRY,
    **DEPTHWISE,
    **STRIDE_FIRST,
    **POINTWISE,
    **POOLED,
    **SPREAD,
    **RESIZED,
    **STORED,
    **SQUARED,
    **UNSTORED,
}
