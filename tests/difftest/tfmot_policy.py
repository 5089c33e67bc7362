"""What TFMOT's `PruneForLatencyOnXNNPack` says of the hand-made models, had they been written with Keras layers.

Read from source, not run: tensorflow/model-optimization, sparsity/keras/pruning_policy.py (6fbc2ce, 2026-05-28),
`_start_layer_stop_fn`, `_end_layer_stop_fn`, `_check_layer_support`, `ensure_model_supports_pruning`. In short: every
input must lead to ZeroPadding2D(1) and a valid 3x3 stride-2 Conv2D of 3 channels; every output must come from a
GlobalAveragePooling2D; every layer between them must be on its list (Add, Multiply, ZeroPadding2D, ReLU, LeakyReLU,
ELU, Dropout, BatchNormalization, 1x1 Conv2D, 3x3 and 5x5 DepthwiseConv2D, bilinear UpSampling2D, GlobalAveragePooling2D
with keepdims, five activations, and the functions add, subtract and multiply). What follows the last pooling is not
looked at.
"""

from __future__ import annotations

from xnnlint.modelbuilder.patterns import Pattern

TAKES, REFUSES = "takes", "refuses"

# Groups of which the policy says the same throughout, but for the patterns named below.
_GROUPS = {
    "base": TAKES,
    "zeros": TAKES,
    "keep-dims": TAKES,
    "head": TAKES,
    "stem": REFUSES,
    "convolution": REFUSES,
    "pointwise": TAKES,
    "depthwise": REFUSES,
    "unary": REFUSES,
    "residual": REFUSES,
    "constant": TAKES,
    "squeeze-excite": TAKES,
    "pool": REFUSES,
    "exit": REFUSES,
    "map-output": REFUSES,
    "concat": REFUSES,
    "resize": REFUSES,
    "other": REFUSES,
}
_TAKES = {
    *("stem_relu6", "stem_shared_pad", "stem_sparse", "prenorm_mul_sub", "prerelu"),
    *("dw_3x3", "dw_5x5", "dw_s2_pad1", "dw_5x5_s2_pad2", "dw_valid_pad1", "dw_pad1_same", "dw_densify"),
    *("unary_relu", "unary_relu6", "unary_leaky_relu", "unary_elu", "unary_logistic", "unary_leaky_0"),
    *("residual_add", "residual_mul", "residual_sub", "residual_add_relu", "residual_add_relu6"),
    *("add_xx", "mul_xx", "sub_xx", "pad_mid", "exit_two_means", "two_heads_mean"),
    *("resize_half_pixel", "fpn", "break_greater", "two_clusters", "two_clusters_one_dense", "cluster_bad_plus_ok"),
    *("dynamic_flatten_mean_keep",),
}
_REFUSES = {
    *("pw_stride_2", "pw_grouped", "pw_dilated", "fc_keep_map", "fc_nokeep_reshape"),
    *("se_hard_swish", "se_no_keep_dims", "break_resize_nearest", "break_dilated_space_to_batch"),
    *("cluster_unarmed", "add_external_before_mean", "add_external_after_mean"),
}
# Not something that Keras layers express, or that the converter would leave as it is.
_NOT_KERAS = {
    *("dead_branch", "unary_relu_n1_to_1", "unary_relu_0_to_1", "clamp_chain", "pw_relu_n1", "pad_pad"),
    *("stem_zero_pad", "pad_pad_channels", "resize_flat_map", "se_hard_sigmoid", "mean_fc_sparse_direct"),
    *("dense_weights", "fp16_metadata", "pooled_add_const_second", "stem_mean", "outputs_one_name"),
}


def verdict(pattern: Pattern) -> str | None:
    """`TAKES`, `REFUSES`, or None where the policy has no say."""
    name = pattern.name
    if name in _NOT_KERAS or name.startswith("sum_"):
        return None
    if name in _TAKES:
        return TAKES
    if name in _REFUSES or name.startswith(("maximum_const", "minimum_const")):
        return REFUSES
    return _GROUPS.get(pattern.group)


def says_otherwise(pattern: Pattern, outcome: str | None) -> bool:
    """Whether the policy takes a model that does not run sparse and right, or refuses one that does."""
    said = verdict(pattern)
    return said is not None and outcome is not None and (said == TAKES) != (outcome == "sparse")
