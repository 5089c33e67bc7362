"""Models with data_format="channels_first" for make_keras_lowering_models.py: each a network on a map of 3x24x40."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Tensor = Any
Body = Callable[[Tensor], Tensor]


_FIRST = {"data_format": "channels_first"}


class _Networks:
    def __init__(self, keras: Any) -> None:
        self.layers = keras.layers

    def conv(self, x: Tensor, filters: int, size: int = 1, activation: Any = "relu", **options: Any) -> Tensor:
        x = self.layers.Conv2D(filters, size, **_FIRST, **options)(x)
        x = self.layers.BatchNormalization(axis=1)(x)
        return self.layers.Activation(activation)(x) if activation else x

    def depthwise(self, x: Tensor, strides: int = 1, top: float | None = None) -> Tensor:
        x = self.layers.DepthwiseConv2D(3, strides, padding="same", use_bias=False, **_FIRST)(x)
        return self.layers.ReLU(top)(self.layers.BatchNormalization(axis=1)(x))

    def pool(self, x: Tensor, **options: Any) -> Tensor:
        return self.layers.GlobalAveragePooling2D(**_FIRST, **options)(x)

    def stem(self, x: Tensor) -> Tensor:
        return self.conv(self.layers.ZeroPadding2D(1, **_FIRST)(x), 8, 3, strides=2)

    def head(self, x: Tensor) -> Tensor:
        return self.layers.Dense(5, activation="softmax")(self.pool(self.conv(x, 24)))

    def cnn(self, x: Tensor) -> Tensor:
        x = self.layers.MaxPooling2D(2, **_FIRST)(self.layers.Conv2D(8, 3, activation="relu", **_FIRST)(x))
        x = self.layers.AveragePooling2D(2, **_FIRST)(self.layers.Conv2D(16, 1, activation="relu", **_FIRST)(x))
        return self.layers.Dense(5)(self.layers.Flatten(**_FIRST)(x))

    def residual(self, x: Tensor) -> Tensor:
        x = self.conv(self.stem(x), 16)
        y = self.conv(self.conv(x, 16, 3, padding="same"), 16, activation=None)
        return self.head(self.layers.ReLU()(self.layers.Add()([x, y])))

    def residual_projected(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = self.conv(self.conv(x, 16, 3, strides=2, padding="same"), 16, activation=None)
        z = self.conv(x, 16, strides=2, activation=None)
        return self.head(self.layers.Activation("relu")(self.layers.Add()([y, z])))

    def mobile(self, x: Tensor) -> Tensor:
        x = self.conv(self.stem(x), 16)
        y = self.depthwise(self.conv(x, 48, activation="relu6"), top=6.0)
        x = self.layers.Add()([x, self.conv(y, 16, activation=None)])
        y = self.depthwise(self.conv(x, 48, activation="relu6"), 2, top=6.0)
        return self.head(self.conv(y, 24, activation=None))

    def gated(self, x: Tensor) -> Tensor:
        x = self.conv(self.stem(x), 16)
        y = self.layers.Conv2D(8, 1, activation="relu", **_FIRST)(self.pool(x, keepdims=True))
        return self.head(self.layers.Multiply()([x, self.layers.Conv2D(16, 1, activation="sigmoid", **_FIRST)(y)]))

    def dense_block(self, x: Tensor) -> Tensor:
        x = self.conv(self.stem(x), 16)
        y = self.conv(x, 16, 3, padding="same")
        return self.head(self.layers.Concatenate(axis=1)([x, y, self.conv(y, 8)]))

    def unet(self, x: Tensor) -> Tensor:
        x = self.conv(self.stem(x), 16)
        y = self.layers.UpSampling2D(2, interpolation="bilinear", **_FIRST)(
            self.conv(self.layers.MaxPooling2D(2, **_FIRST)(x), 24, 3, padding="same")
        )
        y = self.conv(self.layers.Concatenate(axis=1)([x, y]), 16, 3, padding="same")
        return self.layers.Conv2D(2, 1, activation="sigmoid", **_FIRST)(y)

    def nearest(self, x: Tensor) -> Tensor:
        return self.head(self.layers.UpSampling2D(2, **_FIRST)(self.conv(self.stem(x), 16)))

    def preactivated(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = self.layers.Conv2D(8, 3, padding="same", **_FIRST)(
            self.layers.ReLU()(self.layers.BatchNormalization(axis=1)(x))
        )
        x = self.layers.Add()([x, y])
        return self.pool(self.layers.ReLU()(self.layers.BatchNormalization(axis=1)(x)))

    def activations(self, x: Tensor) -> Tensor:
        x = self.layers.Conv2D(8, 1, activation="swish", **_FIRST)(self.stem(x))
        x = self.layers.LeakyReLU()(self.layers.Conv2D(8, 1, **_FIRST)(x))
        x = self.layers.Activation("tanh")(self.layers.Conv2D(8, 1, **_FIRST)(x))
        return self.head(self.layers.ReLU(6.0)(self.layers.Conv2D(8, 1, use_bias=False, **_FIRST)(x)))

    def cut(self, x: Tensor) -> Tensor:
        x = self.layers.Conv2D(16, 1, **_FIRST)(self.layers.Cropping2D(((1, 2), (0, 3)), **_FIRST)(self.stem(x)))
        return self.layers.GlobalMaxPooling2D(keepdims=True, **_FIRST)(x)

    def rescaled(self, x: Tensor) -> Tensor:
        return self.head(
            self.depthwise(self.conv(self.layers.Rescaling(1 / 127.5, -1.0)(x), 16, 3, strides=2, padding="same"))
        )


def channels_first_bodies(keras: Any) -> dict[str, Body]:
    """Whole networks, from the image to what comes out."""
    made = _Networks(keras)
    return {
        "cnn": made.cnn,
        "residual": made.residual,
        "residual_projected": made.residual_projected,
        "mobile": made.mobile,
        "gated": made.gated,
        "dense_block": made.dense_block,
        "unet": made.unet,
        "nearest": made.nearest,
        "preactivated": made.preactivated,
        "activations": made.activations,
        "cut": made.cut,
        "rescaled": made.rescaled,
    }
