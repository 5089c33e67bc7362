"""More models for make_keras_lowering_models.py: attention, sequences, volumes, and operations of keras.ops.

MAPS are put into the middle of its network, on a map of 12x20x16; LINES and VOLUMES make networks of their own kind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Tensor = Any
Body = Callable[[Tensor], Tensor]


def attention_bodies(keras: Any) -> dict[str, Body]:
    """Layers that attend, on the places of a map as a sequence."""
    layers = keras.layers

    def tokens(x: Tensor) -> Tensor:
        return layers.Reshape((x.shape[1] * x.shape[2], x.shape[3]))(x)

    def few(x: Tensor) -> Tensor:
        return tokens(layers.AveragePooling2D(4)(x))

    def back(x: Tensor) -> Tensor:
        return layers.Reshape((12, 20, x.shape[-1]))(x)

    def heads(number: int, size: int, **options: Any) -> Any:
        return layers.MultiHeadAttention(number, size, **options)

    def itself(x: Tensor, layer: Any, **call: Any) -> Tensor:
        y = tokens(x)
        return back(layer(y, y, **call))

    def block(x: Tensor) -> Tensor:
        y = layers.LayerNormalization(epsilon=1e-6)(tokens(x))
        y = layers.Add()([tokens(x), layers.MultiHeadAttention(4, 4, dropout=0.1)(y, y)])
        z = layers.Dense(32, activation="gelu")(layers.LayerNormalization(epsilon=1e-6)(y))
        return back(layers.Add()([y, layers.Dense(16)(z)]))

    return {
        "heads": lambda x: itself(x, heads(2, 8)),
        "heads_residual": lambda x: layers.Add()([x, itself(x, heads(4, 4))]),
        "heads_without_bias": lambda x: itself(x, heads(2, 8, use_bias=False)),
        "heads_value_dim": lambda x: itself(x, heads(3, 4, value_dim=6)),
        "heads_output_shape": lambda x: itself(x, heads(2, 8, output_shape=24)),
        "heads_one": lambda x: itself(x, heads(1, 16)),
        "heads_dropout": lambda x: itself(x, heads(2, 8, dropout=0.2)),
        "heads_causal": lambda x: itself(x, heads(2, 8), use_causal_mask=True),
        "heads_scores": lambda x: back(heads(2, 8)(tokens(x), tokens(x), return_attention_scores=True)[0]),
        "heads_cross": lambda x: back(heads(2, 8)(tokens(x), few(x))),
        "heads_cross_key": lambda x: back(heads(2, 8)(tokens(x), few(x), key=few(layers.ReLU()(x)))),
        "heads_of_map": lambda x: heads(2, 8)(x, x),
        "heads_of_map_without_bias": lambda x: heads(2, 8, use_bias=False)(x, x),
        "heads_of_rows": lambda x: heads(2, 8, attention_axes=(1,))(x, x),
        "heads_of_columns": lambda x: heads(2, 8, attention_axes=(2,))(x, x),
        "heads_of_both": lambda x: heads(2, 8, attention_axes=(1, 2))(x, x),
        "heads_block": block,
        "attention": lambda x: back(layers.Attention()([tokens(x), tokens(x)])),
        "attention_scaled": lambda x: back(layers.Attention(use_scale=True)([tokens(x), few(x)])),
        "attention_key": lambda x: back(layers.Attention(dropout=0.1)([tokens(x), few(x), few(layers.ReLU()(x))])),
        "attention_concat": lambda x: back(layers.Attention(score_mode="concat")([tokens(x), few(x)])),
        "attention_additive": lambda x: back(layers.AdditiveAttention()([tokens(x), few(x)])),
        "attention_additive_without_scale": lambda x: back(
            layers.AdditiveAttention(use_scale=False)([tokens(x), few(x)])
        ),
        "einsum_dense": lambda x: layers.EinsumDense("abcd,de->abce", output_shape=(None, None, 12))(x),
        "einsum_dense_bias": lambda x: layers.EinsumDense(
            "...x,xy->...y", output_shape=12, bias_axes="y", activation="relu"
        )(x),
        "einsum_dense_heads": lambda x: back(
            layers.EinsumDense("abcd,cde->abe", output_shape=(None, 16), bias_axes="e")(
                layers.EinsumDense("abc,cde->abde", output_shape=(None, 4, 8), bias_axes="de")(tokens(x))
            )
        ),
    }


def sampling_bodies(keras: Any) -> dict[str, Body]:
    """Up-sampling as decoders chain it, and what is like it."""
    layers = keras.layers

    def norm(x: Tensor) -> Tensor:
        return layers.ReLU()(layers.BatchNormalization()(x))

    def decoder(x: Tensor, levels: tuple[int, ...] = (12, 8), **options: Any) -> Tensor:
        for filters in levels:
            x = norm(layers.Conv2D(filters, 1)(layers.UpSampling2D(**options)(x)))
        return x

    def unet(x: Tensor) -> Tensor:
        one = norm(layers.Conv2D(16, 3, padding="same")(layers.MaxPooling2D(2)(x)))
        two = norm(layers.Conv2D(24, 3, padding="same")(layers.MaxPooling2D(2)(one)))
        for skip, filters in ((one, 16), (x, 12)):
            two = layers.Concatenate()([layers.UpSampling2D(2)(two), skip])
            two = norm(layers.Conv2D(filters, 1)(two))
        return two

    return {
        "up_twice": lambda x: layers.UpSampling2D()(layers.UpSampling2D()(x)),
        "up_three_times": lambda x: layers.UpSampling2D()(layers.UpSampling2D(3)(layers.UpSampling2D((1, 2))(x))),
        "up_decoder": lambda x: decoder(x),
        "up_decoder_three": lambda x: decoder(x, (12, 10, 8)),
        "up_decoder_unet": lambda x: unet(x),
        "up_decoder_bilinear": lambda x: decoder(x, interpolation="bilinear"),
        "up_rows_only": lambda x: layers.UpSampling2D((2, 1))(x),
        "up_columns_only": lambda x: layers.UpSampling2D((1, 3))(x),
        "up_of_down": lambda x: layers.Add()(
            [x, layers.UpSampling2D(2)(layers.MaxPooling2D(2)(layers.Conv2D(16, 1)(x)))]
        ),
        "up_before_depthwise": lambda x: norm(layers.DepthwiseConv2D(3, padding="same")(layers.UpSampling2D()(x))),
        "up_and_crop": lambda x: layers.Cropping2D(1)(layers.UpSampling2D()(x)),
        "up_relu": lambda x: layers.ReLU()(layers.UpSampling2D()(layers.Conv2D(16, 1)(x))),
        "up_sigmoid": lambda x: layers.Activation("sigmoid")(layers.UpSampling2D(4)(x)),
        "up_concatenate": lambda x: layers.Concatenate()([layers.UpSampling2D()(layers.AveragePooling2D(2)(x)), x]),
        "transposed_output_padding": lambda x: layers.Conv2DTranspose(
            12, 3, 2, padding="same", output_padding=1, activation="relu"
        )(x),
        "transposed_output_padding_valid": lambda x: layers.Conv2DTranspose(12, 3, 2, output_padding=(1, 0))(x),
        "depthwise_dilated_same": lambda x: norm(layers.DepthwiseConv2D(3, padding="same", dilation_rate=2)(x)),
        "depthwise_dilated_twice": lambda x: layers.Add()(
            [layers.DepthwiseConv2D(3, padding="same", dilation_rate=d)(x) for d in (1, 2, 4)]
        ),
        "depthwise_dilated_5x5": lambda x: norm(layers.DepthwiseConv2D(5, padding="same", dilation_rate=(2, 3))(x)),
        "separable_dilated": lambda x: norm(layers.SeparableConv2D(12, 3, padding="same", dilation_rate=2)(x)),
        "softmax_of_axes": lambda x: layers.Softmax(axis=(1, 2))(x),
        "permute_and_times": lambda x: layers.Rescaling(0.5, 0.25)(layers.Permute((2, 1, 3))(x)),
        "permute_and_add": lambda x: layers.Add()([layers.Permute((2, 1, 3))(x), layers.Permute((2, 1, 3))(norm(x))]),
        "permute_and_norm": lambda x: norm(layers.Permute((2, 1, 3))(x)),
        "permute_twice": lambda x: layers.Permute((3, 1, 2))(layers.Permute((2, 1, 3))(x)),
        "repeat_vector": lambda x: layers.Reshape((1, 6, 16))(
            layers.RepeatVector(6)(layers.GlobalAveragePooling2D()(x))
        ),
    }


def line_bodies(keras: Any) -> dict[str, Body]:
    """Layers on a sequence of 40 steps with 16 channels."""
    layers = keras.layers

    def norm(x: Tensor) -> Tensor:
        return layers.ReLU()(layers.BatchNormalization()(x))

    def wavenet(x: Tensor) -> Tensor:
        for rate in (1, 2, 4, 8):
            y = norm(layers.Conv1D(16, 2, padding="causal", dilation_rate=rate)(x))
            x = layers.Add()([x, layers.Conv1D(16, 1)(y)])
        return x

    def gated(x: Tensor) -> Tensor:
        a, b = (layers.Conv1D(16, 2, padding="causal", dilation_rate=2, activation=n)(x) for n in ("tanh", "sigmoid"))
        return layers.Add()([x, layers.Conv1D(16, 1)(layers.Multiply()([a, b]))])

    def skips(x: Tensor) -> Tensor:
        one, two, three = (layers.Conv1D(16, 1)(c1) for c1 in (x, gated(x), gated(gated(x))))
        return layers.Conv1D(1, 1, activation="sigmoid")(layers.ReLU()(layers.Add()([one, two, three])))

    def autoencoder(x: Tensor) -> Tensor:
        x = layers.Conv1D(8, 3, strides=2, padding="same", activation="relu")(x)
        x = layers.Conv1DTranspose(8, 3, strides=2, padding="same", activation="relu")(x)
        x = layers.Conv1DTranspose(12, 3, strides=2, padding="same", activation="relu")(x)
        return layers.Conv1D(4, 3, padding="same")(x)

    def unet(x: Tensor) -> Tensor:
        y = norm(layers.Conv1D(24, 3, padding="same")(layers.MaxPooling1D()(x)))
        y = layers.Concatenate()([layers.Conv1DTranspose(16, 2, strides=2, padding="same")(y), x])
        return norm(layers.Conv1D(16, 3, padding="same")(y))

    def tcn(x: Tensor) -> Tensor:
        for rate in (1, 2):
            y = layers.Conv1D(16, 3, padding="causal", dilation_rate=rate, activation="relu")(x)
            x = layers.Add()([x, layers.SpatialDropout1D(0.1)(y)])
        return x

    return {
        "plain": lambda x: x,
        "causal": lambda x: layers.Conv1D(12, 3, padding="causal")(x),
        "causal_norm": lambda x: norm(layers.Conv1D(12, 3, padding="causal", use_bias=False)(x)),
        "causal_strided": lambda x: layers.Conv1D(12, 3, strides=2, padding="causal", activation="relu")(x),
        "causal_of_one": lambda x: layers.Conv1D(12, 1, padding="causal")(x),
        "causal_dilated": lambda x: norm(layers.Conv1D(12, 3, padding="causal", dilation_rate=2)(x)),
        "wavenet": wavenet,
        "tcn": tcn,
        "dilated": lambda x: layers.Conv1D(12, 3, dilation_rate=3)(x),
        "dilated_same": lambda x: norm(layers.Conv1D(12, 3, padding="same", dilation_rate=2)(x)),
        "dilated_same_relu": lambda x: layers.Conv1D(12, 5, padding="same", dilation_rate=4, activation="relu")(x),
        "dilated_grouped": lambda x: layers.Conv1D(12, 3, padding="same", dilation_rate=2, groups=4)(x),
        "grouped": lambda x: layers.Conv1D(12, 3, padding="same", groups=4)(x),
        "strided": lambda x: norm(layers.Conv1D(12, 5, strides=2, padding="same")(x)),
        "pointwise": lambda x: norm(layers.Conv1D(12, 1)(x)),
        "transposed": lambda x: layers.Conv1DTranspose(12, 3, strides=2, padding="same")(x),
        "transposed_valid": lambda x: norm(layers.Conv1DTranspose(12, 4, strides=2)(x)),
        "transposed_relu": lambda x: layers.Conv1DTranspose(12, 3, strides=2, padding="same", activation="relu")(x),
        "transposed_without_bias": lambda x: norm(
            layers.Conv1DTranspose(12, 2, strides=2, padding="same", use_bias=False)(x)
        ),
        "transposed_output_padding": lambda x: layers.Conv1DTranspose(
            12, 3, strides=2, padding="same", output_padding=1
        )(x),
        "depthwise_dilated": lambda x: norm(layers.DepthwiseConv1D(3, padding="same", dilation_rate=2)(x)),
        "separable": lambda x: norm(layers.SeparableConv1D(12, 3, padding="same")(x)),
        "separable_relu": lambda x: layers.SeparableConv1D(12, 3, padding="same", activation="relu")(x),
        "separable_dilated": lambda x: norm(layers.SeparableConv1D(12, 3, padding="same", dilation_rate=2)(x)),
        "separable_strided": lambda x: norm(layers.SeparableConv1D(12, 3, strides=2, padding="same")(x)),
        "separable_causal": lambda x: layers.SeparableConv1D(12, 3, padding="causal")(x),
        "up": lambda x: layers.UpSampling1D()(x),
        "up_twice": lambda x: layers.UpSampling1D(3)(layers.UpSampling1D()(x)),
        "up_conv": lambda x: norm(layers.Conv1D(12, 3, padding="same")(layers.UpSampling1D()(x))),
        "transposed_causal": lambda x: layers.Conv1D(8, 3, padding="causal")(
            layers.Conv1DTranspose(12, 2, strides=2, activation="relu")(x)
        ),
        "gated": gated,
        "skips": skips,
        "autoencoder": autoencoder,
        "unet": unet,
        "padding": lambda x: layers.ZeroPadding1D((2, 0))(x),
        "padding_conv": lambda x: layers.Conv1D(12, 3)(layers.ZeroPadding1D(1)(x)),
        "cropping": lambda x: layers.Cropping1D((2, 1))(x),
        "cropping_end": lambda x: layers.Cropping1D((0, 3))(x),
        "permute": lambda x: layers.Permute((2, 1))(x),
        "global_keep": lambda x: layers.Multiply()(
            [x, layers.Dense(16, activation="sigmoid")(layers.GlobalAveragePooling1D(keepdims=True)(x))]
        ),
        "pools": lambda x: layers.AveragePooling1D(3, 1, padding="same")(layers.MaxPooling1D(2)(x)),
        "norm_layer": lambda x: layers.LayerNormalization()(x),
        "heads": lambda x: layers.MultiHeadAttention(2, 8)(x, x),
        "dot": lambda x: layers.Dot(axes=1)([x, layers.Softmax()(x)]),
        "dot_last": lambda x: layers.Dot(axes=2)([x, x]),
        "dot_normalized": lambda x: layers.Dot(axes=(2, 1), normalize=True)([x, layers.Permute((2, 1))(x)]),
        "rms_norm": lambda x: layers.RMSNormalization()(x) if hasattr(layers, "RMSNormalization") else x,
    }


def volume_bodies(keras: Any) -> dict[str, Body]:
    """Layers on a volume of 4x6x8 with 3 channels."""
    layers = keras.layers
    return {
        "plain": lambda x: x,
        "conv": lambda x: layers.Conv3D(8, 3, padding="same", activation="relu")(x),
        "conv_norm": lambda x: layers.ReLU()(layers.BatchNormalization()(layers.Conv3D(8, 3, strides=2)(x))),
        "conv_of_one": lambda x: layers.Conv3D(8, 1)(x),
        "up": lambda x: layers.UpSampling3D()(x),
        "up_unequal": lambda x: layers.UpSampling3D((1, 2, 3))(x),
        "padding": lambda x: layers.ZeroPadding3D(1)(x),
        "padding_unequal": lambda x: layers.ZeroPadding3D(((1, 0), (0, 2), (1, 1)))(x),
        "cropping": lambda x: layers.Cropping3D(((1, 0), (1, 1), (2, 2)))(x),
    }


def operation_bodies(keras: Any, conv: Callable[[Tensor, int], Tensor]) -> dict[str, Body]:
    """Operations of keras.ops, as models of Keras 3 store them."""
    ops, layers = keras.ops, keras.layers

    def attend(x: Tensor) -> Tensor:
        q, k, v = (layers.Reshape((240, 8))(layers.Conv2D(8, 1)(x)) for _ in range(3))
        scores = ops.softmax(ops.matmul(q, ops.transpose(k, (0, 2, 1))) / 8**0.5)
        return ops.reshape(ops.matmul(scores, v), (-1, 12, 20, 8))

    def gated(x: Tensor) -> Tensor:
        a, b = ops.split(conv(x, 16), 2, axis=-1)
        return a * ops.sigmoid(b)

    def shuffled(x: Tensor) -> Tensor:
        y = ops.reshape(x, (-1, 12, 20, 2, 8))
        return ops.reshape(ops.swapaxes(y, 3, 4), (-1, 12, 20, 16))

    def attention_by_einsum(x: Tensor) -> Tensor:
        q, k, v = (layers.Reshape((240, 8))(layers.Conv2D(8, 1)(x)) for _ in range(3))
        scores = ops.softmax(ops.einsum("bid,bjd->bij", q, k))
        return ops.reshape(ops.einsum("bij,bjd->bid", scores, v), (-1, 12, 20, 8))

    return {
        "ops_mean_flat": lambda x: ops.expand_dims(ops.expand_dims(ops.mean(x, axis=(1, 2)), 1), 1) * x,
        "ops_mean_last": lambda x: x * ops.mean(x, axis=-1, keepdims=True),
        "ops_sum": lambda x: x * ops.sum(x, axis=(1, 2), keepdims=True),
        "ops_max": lambda x: x * ops.max(x, axis=(1, 2), keepdims=True),
        "ops_amax": lambda x: x * ops.amax(x, axis=(1, 2), keepdims=True),
        "ops_min": lambda x: x * ops.min(x, axis=-1, keepdims=True),
        "ops_prod": lambda x: x * ops.prod(x, axis=-1, keepdims=True),
        "ops_spatial_attention": lambda x: (
            x
            * layers.Conv2D(1, 7, padding="same", activation="sigmoid")(
                ops.concatenate([ops.mean(x, axis=-1, keepdims=True), ops.max(x, axis=-1, keepdims=True)], axis=-1)
            )
        ),
        "ops_var": lambda x: x * ops.var(x, axis=(1, 2), keepdims=True),
        "ops_std": lambda x: x * ops.std(x, axis=(1, 2), keepdims=True),
        "ops_transpose": lambda x: ops.transpose(x, (0, 2, 1, 3)),
        "ops_swapaxes": shuffled,
        "ops_moveaxis": lambda x: ops.moveaxis(x, 1, 2),
        "ops_split": gated,
        "ops_split_at": lambda x: ops.concatenate(ops.split(x, [4, 10], axis=-1)[::-1], axis=-1),
        "ops_split_three": lambda x: ops.concatenate(ops.split(conv(x, 12), 3, axis=3)[::-1], axis=3),
        "ops_take": lambda x: ops.take(x, [0, 2, 4, 6], axis=-1),
        "ops_take_one": lambda x: ops.expand_dims(ops.take(x, 3, axis=1), 1),
        "ops_where_both": lambda x: ops.where(x > 1.0, x, conv(x, 16)),
        "ops_stack_1": lambda x: ops.sum(ops.stack([x, conv(x, 16)], axis=1), axis=1),
        "ops_expand_squeeze": lambda x: ops.squeeze(ops.expand_dims(x, 3), 3),
        "ops_squeeze": lambda x: layers.Reshape((1, 1, 16))(
            ops.squeeze(ops.mean(x, axis=(1, 2), keepdims=True), (1, 2))
        ),
        "ops_pad": lambda x: ops.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]),
        "ops_clip_other": lambda x: ops.clip(x, 0.1, 0.9),
        "ops_sigmoid": lambda x: x * ops.sigmoid(x),
        "ops_silu": lambda x: ops.silu(x),
        "ops_tanh": lambda x: ops.tanh(x),
        "ops_selu": lambda x: ops.selu(x),
        "ops_gelu": lambda x: ops.gelu(x),
        "ops_hard_sigmoid": lambda x: x * ops.hard_sigmoid(x),
        "ops_hard_silu": lambda x: ops.hard_silu(x),
        "ops_leaky_relu": lambda x: ops.leaky_relu(x, 0.1),
        "ops_log_softmax": lambda x: ops.log_softmax(x),
        "ops_softmax": lambda x: ops.softmax(x),
        "ops_log_sigmoid": lambda x: ops.log_sigmoid(x),
        "ops_relu": lambda x: ops.relu(x),
        "ops_abs": lambda x: ops.abs(x),
        "ops_round": lambda x: ops.round(x),
        "ops_sign": lambda x: ops.sign(x),
        "ops_reciprocal": lambda x: ops.reciprocal(x + 1.0),
        "ops_log1p": lambda x: ops.log1p(x),
        "ops_expm1": lambda x: ops.expm1(x),
        "ops_floor_divide": lambda x: ops.floor_divide(x, 2.0),
        "ops_mod": lambda x: ops.mod(x, 2.0),
        "ops_power": lambda x: ops.power(x, 2),
        "ops_power_3": lambda x: ops.power(x, 3.0),
        "ops_sqrt": lambda x: ops.sqrt(x + 1.0),
        "ops_matmul": attend,
        "ops_einsum": attention_by_einsum,
        "ops_dot_attention": lambda x: ops.reshape(
            ops.dot_product_attention(*(ops.reshape(layers.Conv2D(8, 1)(x), (-1, 240, 2, 4)) for _ in range(3))),
            (-1, 12, 20, 8),
        ),
        "ops_normalize": lambda x: ops.normalize(x, axis=-1),
        "ops_flip": lambda x: ops.flip(x, axis=2),
        "ops_tile": lambda x: ops.tile(x, (1, 2, 1, 1)),
        "ops_repeat": lambda x: ops.repeat(ops.repeat(x, 2, axis=1), 2, axis=2),
        "ops_zeros_like": lambda x: x + ops.zeros_like(x),
        "ops_ones_like": lambda x: x + ops.ones_like(x),
        "ops_logical": lambda x: ops.where(ops.logical_and(x > 0.5, x < 2.0), x, 0.0),
        "ops_logical_or": lambda x: ops.where(ops.logical_or(x < 0.5, ops.logical_not(x < 2.0)), x, 0.0),
        "ops_equal": lambda x: ops.where(ops.equal(x, 0.0), 1.0, x),
        "ops_average_pool": lambda x: ops.average_pool(x, 2, 2),
        "ops_max_pool": lambda x: ops.max_pool(x, 3, 2, padding="same"),
        "ops_unstack": lambda x: ops.stack(ops.unstack(ops.reshape(x, (-1, 12, 20, 4, 4)), axis=3), axis=-2)[
            :, :, :, 0
        ],
        "ops_cumsum": lambda x: ops.cumsum(x, axis=1),
        "ops_resize": lambda x: ops.image.resize(x, (24, 40)),
        "ops_vstack": lambda x: ops.concatenate([x, x], axis=1),
        "ops_ravel": lambda x: ops.reshape(ops.ravel(x), (-1, 12, 20, 16)),
        "ops_rms": lambda x: x * ops.rsqrt(ops.mean(ops.square(x), axis=-1, keepdims=True) + 1e-6),
        "ops_subtract_mean": lambda x: (
            (x - ops.mean(x, axis=-1, keepdims=True)) / (ops.sqrt(ops.var(x, axis=-1, keepdims=True) + 1e-5))
        ),
        "ops_squared_difference": lambda x: ops.square(x - conv(x, 16)),
        "ops_layer_scale": lambda x: ops.multiply(x, 0.1) + ops.add(x, 1.0) - ops.subtract(x, 0.5),
        "ops_dot": lambda x: layers.Reshape((12, 20, 16))(ops.softplus(x)),
        "ops_hard_tanh": lambda x: ops.hard_tanh(x),
        "ops_top_k": lambda x: ops.top_k(x, 4)[0],
    }


# What is a model of its own in Keras 3, too.
ALONE = (
    "heads", "heads_residual", "heads_causal", "heads_scores", "heads_cross", "heads_block", "up_decoder_unet",
)  # fmt: skip

# Models of Keras 3 with several of these, each behind the same map or sequence and with a pooling of its own: it takes
# the converter as long as one of them.
GROUPS: dict[str, tuple[str, ...]] = {
    "ops_reductions": ("mean_flat", "mean_last", "sum", "max", "amax", "min", "prod", "rms", "subtract_mean"),
    "ops_statistics": ("var", "std", "normalize", "spatial_attention", "squared_difference"),
    "ops_axes": ("transpose", "swapaxes", "moveaxis", "expand_squeeze", "squeeze", "flip", "vstack"),
    "ops_parts": ("split", "split_at", "split_three", "take", "take_one", "unstack", "stack_1"),
    "ops_choices": ("where_both", "clip_other", "logical", "logical_or", "equal"),
    "ops_activations": (
        "sigmoid", "silu", "tanh", "selu", "gelu", "hard_sigmoid", "hard_silu", "leaky_relu",
        "log_softmax", "softmax", "relu", "hard_tanh", "dot",
    ),
    "ops_numbers": ("abs", "round", "reciprocal", "power", "power_3", "sqrt", "floor_divide", "mod", "layer_scale"),
    "ops_logarithms": ("log1p", "expm1", "log_sigmoid", "sign"),
    "ops_padding": ("pad", "tile", "repeat", "zeros_like", "ones_like"),
    "ops_products": ("matmul", "einsum", "dot_attention"),
    "ops_pools": ("average_pool", "max_pool", "resize", "ravel"),
    "ops_cumulated": ("cumsum", "top_k"),
    "heads_some": ("heads_value_dim", "heads_output_shape", "heads_one", "heads_dropout", "heads_cross_key"),
    "heads_of_axes": ("heads_of_map", "heads_of_rows", "heads_of_columns"),
    "attentions": ("attention", "attention_scaled", "attention_key", "attention_concat", "attention_additive"),
    "einsum_denses": ("einsum_dense", "einsum_dense_bias", "einsum_dense_heads"),
    "ups": ("up_rows_only", "up_of_down", "up_and_crop", "up_relu", "up_concatenate"),
    "transposed_some": ("transposed_output_padding", "transposed_output_padding_valid", "repeat_vector"),
    "dilated_some": ("depthwise_dilated_same", "depthwise_dilated_5x5", "separable_dilated"),
    "permuted": ("permute_and_times", "permute_and_add", "permute_and_norm", "permute_twice", "softmax_of_axes"),
    "lines_causal": ("causal", "causal_norm", "causal_strided", "causal_of_one", "causal_dilated", "tcn"),
    "lines_dilated": ("dilated", "dilated_same", "dilated_same_relu", "grouped", "strided"),
    "lines_transposed": ("transposed", "transposed_valid", "transposed_without_bias", "transposed_output_padding"),
    "lines_gated": ("gated", "skips"),
    "lines_separable": ("depthwise_dilated", "separable", "separable_relu", "separable_dilated", "separable_strided"),
    "lines_shapes": ("up", "up_twice", "up_conv", "padding_conv", "cropping", "cropping_end", "pools", "global_keep"),
    "lines_products": ("heads", "dot", "dot_last", "dot_normalized", "norm_layer", "rms_norm"),
    "volumes": ("conv", "conv_norm", "up", "up_unequal", "padding", "padding_unequal", "cropping"),
}  # fmt: skip
