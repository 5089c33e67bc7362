"""Builds and converts the models behind keras_lowering_cases.json.gz that are not in the set of fixtures/.

    python -m tests.keras.make_keras_lowering_models keras2|keras3 OUT_DIR [NAME...]

Each is the network of the guide (24x40 pixels) with one thing in its middle, mostly one that the set of fixtures/ does
not have, in tf_keras or Keras 3, with a dynamic batch and (NAME_batch_1) a fixed one. OUT_DIR gets NAME.keras and
NAME.tflite, converted with EXPERIMENTAL_SPARSITY; 80% of every 1x1 Conv2D kernel are zero. Needs the `tf` extra.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

DIALECT = sys.argv[1] if len(sys.argv) > 1 else "keras2"
os.environ["TF_USE_LEGACY_KERAS"] = "1" if DIALECT == "keras2" else "0"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np  # noqa: E402 - behind the choice of Keras
import tensorflow as tf  # noqa: E402

if DIALECT == "keras2":
    import tf_keras as keras
else:
    import keras

from tests.keras import lowering_layers as more  # noqa: E402
from tests.keras.lowering_channels_first import channels_first_bodies  # noqa: E402
from tests.keras.lowering_loops import TWO, loop_bodies  # noqa: E402

L = keras.layers
Tensor = Any
Body = Callable[[Tensor], Tensor]
SHAPE = (24, 40, 3)
PRUNED = 0.8


def conv(x: Tensor, filters: int, size: int = 1, activation: Any = "relu", **options: Any) -> Tensor:
    """Convolution, batch normalization, activation."""
    x = L.BatchNormalization()(L.Conv2D(filters, size, **options)(x))
    return L.Activation(activation)(x) if isinstance(activation, str) else activation(x)


def bare(x: Tensor, filters: int) -> Tensor:
    """The same without activation."""
    return conv(x, filters, activation="linear")


def trunk(x: Tensor) -> Tensor:
    """To a map of 12x20x16."""
    x = conv(L.ZeroPadding2D(1)(x), 8, 3, strides=2)
    x = L.ReLU()(L.BatchNormalization()(L.DepthwiseConv2D(3, padding="same")(x)))
    return conv(x, 16)


def head(x: Tensor, keepdims: bool = False) -> Tensor:
    """To ten classes."""
    x = L.GlobalAveragePooling2D(keepdims=keepdims)(conv(x, 24))
    return L.Dense(10, activation="softmax")(L.Flatten()(x) if keepdims else x)


def gate(x: Tensor, pooled: Tensor, activation: str = "sigmoid") -> Tensor:
    """Squeeze and excite, from the pooled map on."""
    return L.Multiply()([x, L.Conv2D(16, 1, activation=activation)(L.Conv2D(8, 1, activation="relu")(pooled))])


BODIES: dict[str, Body] = {
    "plain": lambda x: x,
    "residual": lambda x: L.Add()([x, conv(x, 16)]),
    "operator_add": lambda x: x + conv(x, 16),
    "operator_times_number": lambda x: x * 0.5,
    "operator_subtract": lambda x: conv(x, 12) - conv(x, 12),
    "operator_divide": lambda x: x / (conv(x, 16) + 1.5),
    "number_minus": lambda x: 1.0 - x,
    "number_divided": lambda x: 1.0 / (x + 1.0),
    "negative": lambda x: -x,
    "squared": lambda x: x**2,
    "divided_by_number": lambda x: L.DepthwiseConv2D(3, padding="same")(x / 2.0),
    "times_and_plus": lambda x: x * 2.0 + 1.0,
    "slices": lambda x: x[:, 1:-1, 2:, :8],
    "plus_pooled": lambda x: L.Add()([x, L.GlobalAveragePooling2D(keepdims=True)(x)]),
    "average_with_pooled": lambda x: L.Average()([x, L.GlobalAveragePooling2D(keepdims=True)(x), x]),
    "operator_plus_pooled": lambda x: x + L.GlobalAveragePooling2D(keepdims=True)(conv(x, 16)),
    "gate_of_denses": lambda x: L.Multiply()(
        [
            x,
            L.Reshape((1, 1, 16))(
                (lambda y: L.Add()([L.Dense(16, use_bias=False)(y), L.Dense(16)(y), y]))(L.GlobalAveragePooling2D()(x))
            ),
        ]
    ),
    "se": lambda x: gate(x, L.GlobalAveragePooling2D(keepdims=True)(x)),
    "se_reshape": lambda x: gate(x, L.Reshape((1, 1, 16))(L.GlobalAveragePooling2D()(x))),
    "se_reshape_for_nothing": lambda x: gate(x, L.Reshape((1, 1, 16))(L.GlobalAveragePooling2D(keepdims=True)(x))),
    "se_hard": lambda x: gate(x, L.GlobalAveragePooling2D(keepdims=True)(x), "hard_sigmoid"),
    "hard_swish_by_hand": lambda x: (lambda y: y * L.ReLU(6.0)(y + 3.0) * (1 / 6))(bare(x, 20)),
    "relu_twice": lambda x: L.Add()([L.ReLU()(bare(x, 16)), L.ReLU()(x)]),
    "relu_of_one_map_twice": lambda x: (
        lambda y: L.Add()([L.Conv2D(16, 1)(L.ReLU()(y)), L.Conv2D(16, 1)(L.ReLU()(y))])
    )(bare(x, 16)),
    "activation_first": lambda x: L.Add()([x, L.Conv2D(16, 1)(L.ReLU()(L.BatchNormalization()(x)))]),
    "leaky_layer": lambda x: conv(x, 20, activation=L.LeakyReLU(0.1)),
    "prelu": lambda x: conv(x, 20, activation=L.PReLU(shared_axes=[1, 2])),
    "relu6_layer": lambda x: conv(x, 20, activation=L.ReLU(6.0)),
    "softmax_layer": lambda x: L.Softmax()(x),
    "up_bilinear": lambda x: L.UpSampling2D(2, interpolation="bilinear")(x),
    "up_nearest": lambda x: L.UpSampling2D(2)(x),
    "concatenate": lambda x: L.Concatenate()([x, conv(x, 16)]),
    "average": lambda x: L.Average()([x, conv(x, 16), conv(x, 16)]),
    "multiply_three": lambda x: L.Multiply()([x, conv(x, 16), conv(x, 16)]),
    "maximum": lambda x: L.Maximum()([x, conv(x, 16)]),
    "two_branches": lambda x: L.Add()([conv(x, 12), conv(x, 12)]),
    "max_pool": lambda x: L.MaxPooling2D()(x),
    "norm_after_pool": lambda x: L.BatchNormalization()(L.MaxPooling2D()(x)),
    "relu_after_pool": lambda x: L.ReLU()(L.AveragePooling2D(3, 1, padding="same")(bare(x, 16))),
    "crop": lambda x: L.Cropping2D(((1, 2), (0, 3)))(x),
    "conv_same_stride_2": lambda x: conv(x, 12, 3, strides=2, padding="same"),
    "conv_relu_without_bias": lambda x: L.Conv2D(12, 1, activation="relu", use_bias=False)(x),
    "conv_swish": lambda x: L.Conv2D(12, 1, activation="swish")(x),
    "conv_softmax": lambda x: L.Conv2D(12, 1, activation="softmax")(x),
    "conv_grouped": lambda x: L.Conv2D(12, 1, groups=4, activation="relu")(x),
    "conv_behind_no_padding": lambda x: L.Conv2D(12, 1)(L.ZeroPadding2D(0)(x)),
    "depthwise_without_bias": lambda x: L.DepthwiseConv2D(3, padding="same", use_bias=False, activation="relu")(x),
    "depthwise_dilated": lambda x: L.DepthwiseConv2D(3, dilation_rate=3)(x),
    "conv_dilated": lambda x: L.Conv2D(12, 3, dilation_rate=2)(x),
    "conv_dilated_same": lambda x: L.Conv2D(12, 3, padding="same", dilation_rate=3)(x),
    "conv_dilated_one_way": lambda x: L.Conv2D(12, 3, padding="same", dilation_rate=(1, 2))(x),
    "depthwise_stride_2": lambda x: L.ReLU()(L.BatchNormalization()(L.DepthwiseConv2D(3, 2)(L.ZeroPadding2D(1)(x)))),
    "pad_right": lambda x: L.DepthwiseConv2D(3, 2)(L.ZeroPadding2D(((0, 1), (0, 1)))(x)),
    "pad_left": lambda x: L.DepthwiseConv2D(3, 2)(L.ZeroPadding2D(((1, 0), (1, 0)))(x)),
    "pad_5x5": lambda x: L.DepthwiseConv2D(5)(L.ZeroPadding2D(2)(x)),
    "pad_shared": lambda x: (lambda p: L.Add()([L.DepthwiseConv2D(3)(p), L.MaxPooling2D(3, 1)(p)]))(
        L.ZeroPadding2D(1)(x)
    ),
    "transposed": lambda x: L.ReLU()(L.BatchNormalization()(L.Conv2DTranspose(12, 2, 2)(x))),
    "transposed_same": lambda x: L.Conv2DTranspose(12, 3, 2, padding="same", activation="relu")(x),
    "transposed_valid": lambda x: L.Conv2DTranspose(12, 3, 2, use_bias=False)(x),
    "separable": lambda x: L.SeparableConv2D(12, 3, padding="same", activation="relu")(x),
    "separable_norm": lambda x: L.ReLU()(L.BatchNormalization()(L.SeparableConv2D(12, 3, 2, padding="same")(x))),
    "layer_norm": lambda x: L.LayerNormalization()(x),
    "layer_norm_small_epsilon": lambda x: L.LayerNormalization(epsilon=1e-6)(x),
    "dropout": lambda x: L.SpatialDropout2D(0.2)(L.Dropout(0.3)(x)),
    "rescaling": lambda x: L.Rescaling(0.5, 0.1)(x),
    "dense_on_map": lambda x: L.Dense(12)(x),
    "permute": lambda x: L.Permute((2, 1, 3))(x),
    "permute_and_reshape_for_nothing": lambda x: L.Reshape((16, 12, 20))(L.Permute((3, 1, 2))(x)),
    "reshape": lambda x: L.Reshape((20, 12, 16))(x),
    "reshape_unknown": lambda x: L.Reshape((12, 20, 16))(L.Reshape((-1, 16))(x)),
    "relu_behind_reshape": lambda x: L.ReLU()(L.Reshape((20, 12, 20))(bare(x, 20))),
    "group_norm": lambda x: L.GroupNormalization(4)(x),
    "group_norm_of_one": lambda x: L.GroupNormalization(1, scale=False)(x),
    "group_norm_of_each": lambda x: L.ReLU()(L.GroupNormalization(-1, center=False)(x)),
    "unit_norm": lambda x: L.UnitNormalization()(x),
    "unit_norm_of_channels_and_width": lambda x: L.UnitNormalization(axis=(2, 3))(x),
    "center_crop": lambda x: L.CenterCrop(8, 11)(x),
    "center_crop_of_height": lambda x: L.CenterCrop(7, 20)(x),
    "slices_with_steps": lambda x: L.Concatenate()([x[:, ::2, ::2], x[:, 1::2, 1::2]]),
    "slices_to_focus": lambda x: L.Concatenate()(
        [x[:, ::2, ::2, :], x[:, 1::2, ::2, :], x[:, ::2, 1::2, :], x[:, 1::2, 1::2, :]]
    ),
    "slice_of_every_third": lambda x: x[:, 1:-1:3, :, ::4],
    "slice_backwards": lambda x: x[:, :, ::-1],
}
for _name in (
    "swish",
    "gelu",
    "hard_sigmoid",
    "relu6",
    "elu",
    "selu",
    "tanh",
    "mish",
    "softplus",
    "softsign",
    "exponential",
):
    BODIES[f"activation_{_name}"] = lambda x, name=_name: conv(x, 20, activation=name)

if DIALECT == "keras2":
    BODIES |= {
        "tf_shuffle": lambda x: tf.reshape(
            tf.transpose(tf.reshape(x, [-1, 12, 20, 4, 4]), [0, 1, 2, 4, 3]), [-1, 12, 20, 16]
        ),
        "tf_shape": lambda x: tf.reshape(x, [tf.shape(x)[0], tf.shape(x)[1], tf.shape(x)[2], 16]) * 2.0,
        "tf_concat": lambda x: tf.concat([x, conv(x, 16)], axis=-1),
        "tf_pad": lambda x: tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]),
        "tf_relu6": lambda x: tf.nn.relu6(bare(x, 20)),
        "tf_silu": lambda x: tf.nn.silu(bare(x, 20)),
        "tf_leaky": lambda x: tf.nn.leaky_relu(bare(x, 20), 0.1),
        "tf_leaky_by_hand": lambda x: (lambda y: tf.maximum(y * 0.1, y))(bare(x, 20)),
        "tf_clip_6": lambda x: tf.clip_by_value(x, 0.0, 6.0),
        "tf_clip_1": lambda x: tf.clip_by_value(bare(x, 16), -1.0, 1.0),
        "tf_expand": lambda x: x * tf.expand_dims(tf.expand_dims(tf.reduce_mean(x, axis=[1, 2]), 1), 1),
        "tf_max": lambda x: x * tf.reduce_max(x, axis=[1, 2], keepdims=True),
        "tf_resize": lambda x: tf.image.resize(x, (24, 40), method="nearest"),
        "tf_cast": lambda x: tf.cast(x, tf.float32) * 2.0,
        "k_relu_6": lambda x: keras.activations.relu(bare(x, 20), max_value=6.0),
        "thresholded": lambda x: L.ThresholdedReLU(0.5)(x),
        "tf_relu6_by_hand": lambda x: tf.minimum(tf.maximum(L.Conv2D(16, 1)(x), 0.0), 6.0),
        "tf_times_size": lambda x: x * tf.cast(tf.shape(x)[1], tf.float32),
        "tf_silu_beta": lambda x: tf.nn.silu(x, beta=1.5),
        "tf_transpose_twice": lambda x: tf.transpose(tf.transpose(x, [0, 3, 1, 2]), [0, 2, 3, 1]),
        "leaky_layer_of_zero": lambda x: L.LeakyReLU(0.0)(L.Conv2D(16, 1)(x)),
        "norm_axis_1": lambda x: L.BatchNormalization(axis=1)(x),
        "layer_norm_without_weights": lambda x: L.LayerNormalization(epsilon=1e-6, center=False, scale=False)(x),
        "tf_pad_reflect": lambda x: tf.pad(x, [[0, 0], [1, 1], [2, 1], [0, 0]], mode="REFLECT"),
        "tf_pad_symmetric": lambda x: tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], mode="SYMMETRIC"),
        "tf_stack": lambda x: tf.reshape(tf.stack([x, conv(x, 16)], axis=-1), [-1, 12, 20, 32]),
        "tf_where": lambda x: tf.where(x > 0.5, x, x * 0.1),
        "tf_where_number": lambda x: tf.where(tf.less(x, 1.0), x, 0.0),
        "tf_argmax": lambda x: x * tf.cast(tf.expand_dims(tf.argmax(x, axis=-1), -1), tf.float32),
        "tf_space_to_depth": lambda x: tf.nn.space_to_depth(x, 2),
    }
else:
    BODIES |= {
        "activation_hard_silu": lambda x: conv(x, 20, activation="hard_silu"),
        "activation_leaky": lambda x: conv(x, 20, activation="leaky_relu"),
        "ops_relu6": lambda x: keras.ops.relu6(bare(x, 20)),
        "ops_mean": lambda x: x * keras.ops.mean(x, axis=[1, 2], keepdims=True),
        "ops_elu_alpha": lambda x: keras.ops.elu(x, 0.5),
        "ops_relu_threshold": lambda x: keras.activations.relu(x, threshold=0.5),
        "ops_expand_two": lambda x: x * keras.ops.expand_dims(keras.ops.mean(x, axis=(1, 2)), (1, 2)),
        "ops_stop_gradient": lambda x: keras.ops.stop_gradient(x),
        "up_by_one": lambda x: L.UpSampling2D(1)(x),
        "ops_pad_reflect": lambda x: keras.ops.pad(x, [[0, 0], [1, 1], [2, 1], [0, 0]], mode="reflect"),
        "ops_pad_symmetric": lambda x: keras.ops.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], mode="symmetric"),
        "ops_stack": lambda x: keras.ops.reshape(keras.ops.stack([x, conv(x, 16)], axis=-1), (-1, 12, 20, 32)),
        "ops_where": lambda x: keras.ops.where(x > 0.5, x, x * 0.1),
        "ops_where_number": lambda x: keras.ops.where(keras.ops.less(x, 1.0), x, 0.0),
        "ops_space_to_depth": lambda x: keras.ops.space_to_depth(x, 2),
        "ops_depth_to_space": lambda x: keras.ops.depth_to_space(x, 2),
        "training_true": lambda x: L.BatchNormalization()(L.Dropout(0.2)(x, training=True), training=True),
    }


BODIES |= more.attention_bodies(keras) | more.sampling_bodies(keras)
if DIALECT == "keras3":
    BODIES |= more.operation_bodies(keras, conv)
LINES, VOLUMES = more.line_bodies(keras), more.volume_bodies(keras)
FIRST = channels_first_bodies(keras)
LOOPS = loop_bodies(keras)


def image(shape: tuple[int | None, ...] = SHAPE, name: str | None = None) -> Tensor:
    return keras.Input(shape, name=name)


def two_heads() -> Any:
    x = image()
    middle = trunk(x)
    return keras.Model(x, [head(middle), conv(middle, 5)])


def nested() -> Any:
    inner, x = image(), image()
    return keras.Model(x, head(keras.Model(inner, trunk(inner), name="backbone")(x)))


def shared() -> Any:
    x, layer, norm = image(), L.Conv2D(16, 1), L.BatchNormalization()
    middle = trunk(x)
    both = L.Add()([norm(layer(middle)), norm(layer(L.ReLU()(L.Conv2D(16, 1)(middle))))])
    return keras.Model(x, L.GlobalAveragePooling2D()(both))


def two_images() -> Any:
    first, second = image(name="zebra"), image(name="alpha")
    return keras.Model([first, second], head(L.Add()([trunk(first), trunk(second)])))


def norms_around_dense() -> Any:
    x = image()
    y = L.BatchNormalization()(L.GlobalAveragePooling2D()(trunk(x)))
    y = L.BatchNormalization()(L.Dense(5, use_bias=False)(y))
    return keras.Model(x, L.Activation("relu")(y))


def activation_beside_dense() -> Any:
    x = image()
    y = L.Dense(5)(L.GlobalAveragePooling2D()(trunk(x)))
    return keras.Model(x, [L.ReLU()(y), y])


def image_of(dtype: str) -> Any:
    x = keras.Input(SHAPE, dtype=dtype)
    return keras.Model(x, head(trunk(x if dtype.startswith("float") else L.Rescaling(1 / 255)(x))))


def detector() -> Any:
    """Outputs whose size a dynamic batch hides (Keras 2), and one that is computed at run time."""
    x = image()
    one = trunk(x)
    two = L.Conv2D(16, 3, strides=2, activation="relu")(one)
    boxes, scores = (
        L.Concatenate(axis=1)([L.Reshape((-1, size))(L.Conv2D(size, 1)(y)) for y in (one, two)]) for size in (4, 6)
    )
    return keras.Model(x, [boxes, L.Activation("sigmoid")(scores)])


def reshaped_at_end() -> Any:
    x = image()
    return keras.Model(x, L.Reshape((5,))(L.Conv2D(5, 1)(L.GlobalAveragePooling2D(keepdims=True)(trunk(x)))))


def dense_on_rows() -> Any:
    x = image((9, 6))
    return keras.Model(x, L.Dense(5)(L.Dense(7, activation="relu")(x)))


def sequence() -> Any:
    x = image((40, 6))
    y = L.ReLU()(L.BatchNormalization()(L.Conv1D(8, 3, padding="same")(L.ZeroPadding1D(2)(x))))
    return keras.Model(x, L.Dense(3)(L.GlobalMaxPooling1D()(L.MaxPooling1D()(y))))


def depthwise_sequence() -> Any:
    x = image((40, 6))
    y = L.ReLU()(L.BatchNormalization()(L.DepthwiseConv1D(3, padding="same", depth_multiplier=2)(x)))
    y = L.DepthwiseConv1D(5, strides=2, use_bias=False, activation="relu")(y)
    return keras.Model(x, L.Dense(3)(L.GlobalAveragePooling1D()(L.SeparableConv1D(8, 3, activation="relu")(y))))


def any_size(last: Body) -> Any:
    x = image((None, None, 3))
    return keras.Model(x, last(L.Conv2D(4, 1)(x)))


WHOLE: dict[str, Callable[[], Any]] = {
    "two_heads": two_heads,
    "nested": nested,
    "shared": shared,
    "two_images": two_images,
    "norms_around_dense": norms_around_dense,
    "activation_beside_dense": activation_beside_dense,
    "image_of_uint8": lambda: image_of("uint8"),
    "image_of_int32": lambda: image_of("int32"),
    "image_of_float16": lambda: image_of("float16"),
    "detector": detector,
    "reshaped_at_end": reshaped_at_end,
    "dense_on_rows": dense_on_rows,
    "sequence": sequence,
    "depthwise_sequence": depthwise_sequence,
    "flatten_unknown": lambda: any_size(L.Flatten()),
    "up_unknown": lambda: any_size(L.UpSampling2D(2, interpolation="bilinear")),
    "sequential": lambda: keras.Sequential(
        [image(), L.Conv2D(8, 3, 2, padding="same"), L.ReLU(), L.Conv2D(16, 1), L.GlobalAveragePooling2D(), L.Dense(3)]
    ),
}
# Where a fixed batch makes another file.
FIXED = (
    "se_reshape", "se_reshape_for_nothing", "dense_on_map", "permute", "reshape", "layer_norm", "conv_dilated_same",
    "transposed", "up_nearest", "tf_shuffle", "tf_expand", "group_norm", "group_norm_of_one", "center_crop", "tf_stack",
    "ops_stack", "heads", "heads_without_bias", "heads_cross", "heads_of_map", "heads_of_rows", "heads_block",
    "heads_causal", "attention", "einsum_dense", "up_decoder", "up_twice", "ops_products", "ops_axes", "ops_parts",
    "depthwise_dilated_same", "line_causal_dilated", "line_dilated_same", "line_transposed", "line_up",
    "line_separable_dilated", "line_heads", "line_autoencoder", "volume_conv", "volume_up", "softmax_of_axes",
    "permute_twice", "heads_some", "attentions", "lines_causal", "lines_dilated", "lines_transposed", "lines_shapes",
    "line_gated", "line_skips", "lines_gated", "plus_pooled", "average_with_pooled", "operator_plus_pooled",
    "gate_of_denses",
)  # fmt: skip


def column_by_column(name: str, batch: int) -> Any:
    """A layer of LOOPS behind the trunk."""
    x = keras.Input(SHAPE, batch_size=batch)
    columns = L.Reshape((20, 16))(L.AveragePooling2D((12, 1))(conv(trunk(x), 16)))
    y = LOOPS[name](columns)
    return keras.Model(x, L.Dense(5, activation="softmax")(y if len(y.shape) == 2 else L.Flatten()(y)))


def build(name: str) -> Any:
    """The model called `name`."""
    if name.startswith("loop_"):
        short = name.removeprefix("loop_")
        return column_by_column(short.removesuffix("_two"), 2 if short.endswith("_two") else 1)
    if name in WHOLE:
        return WHOLE[name]()
    plain = name.removesuffix("_batch_1")
    batch = 1 if name != plain else None
    if plain in more.GROUPS:
        return several(plain, batch)
    kind, _, short = plain.partition("_")
    if kind == "line":
        x = keras.Input((40, 6), batch_size=batch)
        y = LINES[short](L.Conv1D(16, 3, padding="same", activation="relu")(x))
        return keras.Model(x, L.Dense(3)(L.GlobalAveragePooling1D()(y)))
    if kind == "first":
        x = keras.Input((SHAPE[2], *SHAPE[:2]), batch_size=batch)
        return keras.Model(x, FIRST[short](x))
    if kind == "volume":
        x = keras.Input((4, 6, 8, 3), batch_size=batch)
        return keras.Model(x, L.Dense(3)(L.GlobalAveragePooling3D()(VOLUMES[short](x))))
    x = keras.Input(SHAPE, batch_size=batch)
    return keras.Model(x, head(BODIES[plain](trunk(x)), keepdims=name != plain))


def several(name: str, batch: int | None) -> Any:
    """One of GROUPS."""
    kind, shape = name.partition("_")[0], SHAPE
    if kind == "lines":
        shape = (40, 6)
    elif kind == "volumes":
        shape = (4, 6, 8, 3)
    x = keras.Input(shape, batch_size=batch)
    if kind == "lines":
        middle, bodies, pool = L.Conv1D(16, 3, padding="same", activation="relu")(x), LINES, L.GlobalAveragePooling1D
    elif kind == "volumes":
        middle, bodies, pool = x, VOLUMES, L.GlobalAveragePooling3D
    else:
        middle, bodies, pool = trunk(x), BODIES, L.GlobalAveragePooling2D
    prefix = "ops_" if kind == "ops" else ""
    return keras.Model(x, [pool()(bodies[f"{prefix}{part}"](middle)) for part in more.GROUPS[name]])


def names() -> list[str]:
    """Of all models."""
    every = [*BODIES, *WHOLE]
    if DIALECT == "keras2":
        every += [*(f"line_{n}" for n in LINES), *(f"volume_{n}" for n in VOLUMES)]
    else:
        in_groups = more.attention_bodies(keras) | more.sampling_bodies(keras) | more.operation_bodies(keras, conv)
        together = set(in_groups) - set(more.ALONE)
        every = [*(n for n in every if n not in together), *more.GROUPS]
    # Keras 3 needs a fixed batch for two UpSampling2D with a convolution between them.
    fixed = [n for n in FIXED if n in every or n == "up_decoder"]
    every += (firsts := [f"first_{n}" for n in FIRST])
    every += [*(f"loop_{n}" for n in LOOPS), *(f"loop_{n}_two" for n in TWO)]
    return [*every, *(f"{n}_batch_1" for n in [*fixed, *firsts])]


def layers_of(model: Any) -> list[Any]:
    return [leaf for layer in model.layers for leaf in (layers_of(layer) if hasattr(layer, "layers") else [layer])]


def set_weights(model: Any) -> None:
    """Random weights: 1x1 kernels with 80% zeros, variances above zero."""
    rng = np.random.default_rng(0)
    for layer in layers_of(model):
        values = [rng.uniform(0.5, 1.5, w.shape).astype(np.float32) for w in layer.get_weights()]
        if type(layer).__name__ == "Conv2D" and tuple(layer.kernel_size) == (1, 1):
            flat = values[0].reshape(-1)
            flat[rng.permutation(flat.size)[: round(PRUNED * flat.size)]] = 0
        layer.set_weights(values)


def main() -> None:
    out, wanted = Path(sys.argv[2]), sys.argv[3:]
    out.mkdir(parents=True, exist_ok=True)
    for name in wanted or names():
        target = out / f"{DIALECT}_{name}.tflite"
        if target.exists():
            continue
        keras.utils.clear_session() if DIALECT == "keras3" else keras.backend.clear_session()
        model = build(name)
        set_weights(model)
        model.save(target.with_suffix(".keras"))
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        converter.optimizations = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]
        target.write_bytes(converter.convert())
        print(name, flush=True)


if __name__ == "__main__":
    main()
