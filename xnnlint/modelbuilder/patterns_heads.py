"""Hand-made models: ends of the cluster, further outputs, several clusters."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from xnnlint.modelbuilder.builder import ModelBuilder
from xnnlint.modelbuilder.building_blocks import PRUNED, pruned, stem, tail, trunk
from xnnlint.modelbuilder.modelfile import Value
from xnnlint.modelbuilder.pattern_registry import head_case, pattern

# -- exits and reductions ------------------------------------------------------------------------------------

head_case("exit_d2s", "exit", "DEPTH_TO_SPACE as the output", lambda g, x: g.output(g.depth_to_space(x)))
head_case(
    "exit_sum",
    "exit",
    "SUM as the exit",
    lambda g, x: g.output(g.fully_connected(g.binary("MUL", g.reduce("SUM", x, (1, 2)), g.constant(0.01)), 5)),
)
head_case(
    "exit_mean_square",
    "exit",
    "MEAN of SQUARE",
    lambda g, x: g.output(g.fully_connected(g.mean(g.unary("SQUARE", x)), 5)),
)
head_case(
    "exit_two_means",
    "exit",
    "two MEANs of one value",
    lambda g, x: g.output(g.mean(x), g.fully_connected(g.mean(x), 5)),
)
head_case(
    "exit_reduce_max",
    "exit",
    "REDUCE_MAX as the head",
    lambda g, x: g.output(g.fully_connected(g.reduce("REDUCE_MAX", x, (1, 2)), 5)),
)
head_case(
    "exit_reduce_min",
    "exit",
    "REDUCE_MIN as the head",
    lambda g, x: g.output(g.fully_connected(g.reduce("REDUCE_MIN", pruned(g, x, 24, "NONE"), (1, 2)), 5)),
)
head_case(
    "exit_avg_pool",
    "exit",
    "AVERAGE_POOL_2D over the whole map as the head",
    lambda g, x: g.output(g.fully_connected(g.pool("AVERAGE_POOL_2D", x, (12, 20)), 5)),
)
head_case(
    "exit_flatten",
    "exit",
    "flattened map as the head",
    lambda g, x: g.output(g.fully_connected(g.reshape(x, (1, -1)), 5)),
)
head_case("exit_none", "exit", "the 1x1 map itself is the output", lambda g, x: g.output(x))
head_case(
    "exit_d2s_and_mean",
    "exit",
    "DEPTH_TO_SPACE and MEAN of one value",
    lambda g, x: g.output(g.depth_to_space(x), g.mean(x)),
)
head_case(
    "exit_d2s_and_resize",
    "exit",
    "DEPTH_TO_SPACE and RESIZE_BILINEAR of one value",
    lambda g, x: g.output(g.depth_to_space(x), g.depth_to_space(pruned(g, g.resize_bilinear(x, 24, 40), 24))),
)

# SAME padding that comes to less than 0, and its nearest neighbours, on a map of 24 x 40 behind the cluster.
_BEHIND_D2S: dict[str, tuple[str, Callable[[ModelBuilder, Value], Value]]] = {
    "dw_3x1_s2": ("a depthwise convolution of 3x1", lambda g, x: g.depthwise(x, (3, 1), 2)),
    "dw_1x1_s2": ("a depthwise convolution of 1x1", lambda g, x: g.depthwise(x, 1, 2)),
    "dw_3x3_s2": ("a depthwise convolution of 3x3", lambda g, x: g.depthwise(x, 3, 2)),
    "conv_1x3_s2": ("a convolution of 1x3", lambda g, x: g.conv2d(x, 6, (1, 3), 2, "SAME")),
    "conv_1x1_s2": ("a convolution of 1x1", lambda g, x: g.conv2d(x, 6, 1, 2, "SAME")),
}
for _name, (_text, _after) in _BEHIND_D2S.items():
    head_case(
        f"exit_d2s_{_name}",
        "exit",
        f"DEPTH_TO_SPACE and {_text}, SAME at stride 2",
        partial(lambda after, g, x: g.output(g.mean(after(g, g.depth_to_space(x)))), _after),
    )

REDUCTION_AXES = (
    (0,), (1,), (2,), (3,), (0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3), (0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3),
    (0, 1, 2, 3),
)  # fmt: skip
for _axes in (*REDUCTION_AXES, (2, 1), (-2, -3)):
    for _code, _keep in (("MEAN", False), ("MEAN", True), ("SUM", False), ("SUM", True)):
        _label = "_".join(str(a) for a in _axes).replace("-", "m")
        head_case(
            f"{_code.lower()}_{'keep_' if _keep else ''}axes_{_label}",
            "reduction",
            f"{_code} over {list(_axes)}" + (", keep_dims" if _keep else ""),
            partial(lambda code, axes, keep, g, x: g.output(g.reduce(code, x, axes, keep)), _code, _axes, _keep),
        )

head_case(
    "mean_keep_height_then_width",
    "reduction",
    "MEAN over [1] and MEAN of it over [2], keep_dims",
    lambda g, x: g.output(g.mean(g.mean(x, (1,), True), (2,), True)),
)
head_case(
    "mean_axes_1_2_2",
    "reduction",
    "MEAN over [1, 2, 2]",
    lambda g, x: g.output(g.mean(x, (1, 2, 2))),
)


@pattern(
    "mean_keep_height_then_width_h_is_c", "reduction", "MEAN over [1] and MEAN of it over [2], where height is channels"
)
def _mean_twice(g: ModelBuilder) -> None:
    x = trunk(g, 32, 40)
    g.output(g.mean(g.mean(x, (1,), True), (2,), True))


# What reads a MEAN that kept its dimensions.
def _beside(g: ModelBuilder, output: Value, other: Value) -> Value:
    """Gives out a value, and goes on with another one."""
    g.output(output)
    return other


_AFTER_KEEP: dict[str, tuple[str, Callable[[ModelBuilder, Value], Value]]] = {
    "softmax": ("SOFTMAX", lambda g, m: g.softmax(m)),
    "concat": ("CONCATENATION", lambda g, m: g.concat([m, m])),
    "pad": ("PAD", lambda g, m: g.pad(m)),
    "sub": ("SUB of a scalar", lambda g, m: g.binary("SUB", m, g.constant(0.5))),
    "sub_c": ("SUB of [C]", lambda g, m: g.binary("SUB", m, g.random_constant((16,)))),
    "d2s": ("DEPTH_TO_SPACE", lambda g, m: g.depth_to_space(m)),
    "add_c": ("ADD of [C]", lambda g, m: g.binary("ADD", m, g.random_constant((16,)))),
    "add_scalar": ("ADD of a scalar", lambda g, m: g.binary("ADD", m, g.constant(0.5))),
    "add_111c": ("ADD of [1,1,1,C]", lambda g, m: g.binary("ADD", m, g.random_constant((1, 1, 1, 16)))),
    "mul_111c_first": (
        "MUL of [1,1,1,C], constant first",
        lambda g, m: g.binary("MUL", g.random_constant((1, 1, 1, 16)), m),
    ),
    "prelu": ("PRELU", lambda g, m: g.prelu(m)),
    "conv_s2": ("a 3x3 stride-2 convolution", lambda g, m: g.conv2d(m, 5, 3, 2, "SAME")),
    "conv_3x3": ("a 3x3 convolution", lambda g, m: g.conv2d(m, 5, 3, 1, "SAME")),
    "squeeze": ("SQUEEZE", lambda g, m: g.squeeze(m, (1, 2))),
    "resize": ("RESIZE_BILINEAR", lambda g, m: g.resize_bilinear(m, 3, 5)),
    "logistic": ("LOGISTIC", lambda g, m: g.unary("LOGISTIC", m)),
    "hard_swish": ("HARD_SWISH", lambda g, m: g.unary("HARD_SWISH", m)),
    "relu": ("RELU", lambda g, m: g.unary("RELU", m)),
    "relu_reshape": ("RELU, then RESHAPE", lambda g, m: g.reshape(g.unary("RELU", m), (1, 16))),
    "reshape": ("RESHAPE", lambda g, m: g.reshape(m, (1, 16))),
    "reshape_softmax": ("RESHAPE, then SOFTMAX", lambda g, m: g.softmax(g.reshape(m, (1, 16)))),
    "fc": ("FULLY_CONNECTED", lambda g, m: g.fully_connected(m, 5)),
    "fc_keep": ("dense FULLY_CONNECTED with keep_num_dims", lambda g, m: g.fully_connected(m, 40, keep_num_dims=True)),
    "fc_keep_pruned": (
        "pruned FULLY_CONNECTED with keep_num_dims",
        lambda g, m: g.fully_connected(m, 5, keep_num_dims=True, zeros=PRUNED, storage="sparse"),
    ),
    "pw_dense": ("a dense 1x1 classifier", lambda g, m: g.conv2d(m, 40)),
    "pw_pruned": ("a pruned 1x1 classifier", lambda g, m: pruned(g, m, 10, "NONE")),
    "pw_pw_pruned": (
        "two pruned 1x1 and RESHAPE",
        lambda g, m: g.reshape(pruned(g, pruned(g, m, 24), 10, "NONE"), (1, 10)),
    ),
    "exposed_fc": ("nothing, and FULLY_CONNECTED", lambda g, m: _beside(g, m, g.fully_connected(m, 5))),
    "exposed_pw": ("nothing, and a 1x1 convolution", lambda g, m: _beside(g, m, pruned(g, m, 10, "NONE"))),
    "pw_and_reshape": (
        "a 1x1 convolution and a RESHAPE",
        lambda g, m: _beside(g, g.reshape(m, (1, 16)), pruned(g, m, 10)),
    ),
    "transpose": ("TRANSPOSE", lambda g, m: g.transpose(m, (0, 3, 1, 2))),
    "slice": ("SLICE", lambda g, m: g.slice(m, (0, 0, 0, 2), (1, 1, 1, 9))),
    "mean_again": ("another MEAN", lambda g, m: g.mean(m)),
}
for _name, (_text, _after) in _AFTER_KEEP.items():
    head_case(
        f"mean_keep_{_name}",
        "keep-dims",
        f"a MEAN with keep_dims read by {_text}",
        partial(lambda after, g, x: g.output(after(g, g.mean(x, keep_dims=True))), _after),
    )
for _name in ("logistic", "softmax", "pw_pruned", "reshape"):
    _text, _after = _AFTER_KEEP[_name]
    head_case(
        f"sum_keep_{_name}",
        "keep-dims",
        f"a SUM with keep_dims read by {_text}",
        partial(lambda after, g, x: g.output(after(g, g.reduce("SUM", x, (1, 2), True))), _after),
    )


@pattern("mean_keep_pw_pruned_h_is_c", "keep-dims", "a pruned 1x1 classifier where height equals channels")
def _mean_keep_h_is_c(g: ModelBuilder) -> None:
    g.output(pruned(g, g.mean(trunk(g, 32, 40), keep_dims=True), 10, "NONE"))


_AFTER_DROP: dict[str, tuple[str, Callable[[ModelBuilder, Value], Value]]] = {
    "fc": ("dense FULLY_CONNECTED", lambda g, m: g.fully_connected(m, 60)),
    "fc_pruned": ("pruned FULLY_CONNECTED", lambda g, m: g.fully_connected(m, 5, zeros=PRUNED, storage="sparse")),
    "fc_keep": ("FULLY_CONNECTED with keep_num_dims", lambda g, m: g.fully_connected(m, 5, keep_num_dims=True)),
    "fc_keep_pruned": (
        "pruned FULLY_CONNECTED with keep_num_dims, twice",
        lambda g, m: g.fully_connected(
            g.fully_connected(m, 24, keep_num_dims=True, zeros=PRUNED, storage="sparse"),
            5,
            keep_num_dims=True,
            zeros=PRUNED,
            storage="sparse",
        ),
    ),
    "fc_fc": ("two FULLY_CONNECTED", lambda g, m: g.fully_connected(g.fully_connected(m, 24, fused="RELU"), 5)),
    "fc_sparse_direct": (
        "block-sparse FULLY_CONNECTED version 8, which the delegate refuses",
        lambda g, m: g.fully_connected(m, 8, zeros=0.5, storage="sparse_direct", block=4),
    ),
    "softmax": ("SOFTMAX", lambda g, m: g.softmax(m)),
    "split_last": (
        "SPLIT, of which only the last part is read",
        lambda g, m: g.fully_connected(g.split(m, 2, 1)[1], 5),
    ),
    "exposed_fc": ("nothing, and FULLY_CONNECTED", lambda g, m: _beside(g, m, g.fully_connected(m, 5))),
}
for _name, (_text, _after) in _AFTER_DROP.items():
    head_case(
        f"mean_{_name}",
        "head",
        f"a MEAN without keep_dims read by {_text}",
        partial(lambda after, g, x: g.output(after(g, g.mean(x))), _after),
    )


@pattern("outputs_one_name", "head", "two outputs of one name, and no signature")
def _one_name(g: ModelBuilder) -> None:
    x = g.mean(trunk(g))
    first, second = g.fully_connected(x, 5), g.fully_connected(x, 7)
    g.tensors[second.id].name = g.tensors[first.id].name
    g.output(first, second)


# -- map-shaped second heads ---------------------------------------------------------------------------------

_SECOND_HEADS: dict[str, tuple[str, Callable[[ModelBuilder, Value], Value]]] = {
    "pw": ("a 1x1 convolution", lambda g, x: pruned(g, x, 6, "NONE")),
    "dw": ("a depthwise convolution", lambda g, x: g.depthwise(x)),
    "logistic": ("LOGISTIC", lambda g, x: g.unary("LOGISTIC", x)),
    "add": ("ADD", lambda g, x: g.binary("ADD", pruned(g, x, 16), pruned(g, x, 16))),
    "resize": ("RESIZE_BILINEAR", lambda g, x: g.resize_bilinear(x, 24, 40)),
    "pw_reshape": ("a 1x1 convolution and RESHAPE", lambda g, x: g.reshape(pruned(g, x, 6, "NONE"), (1, -1))),
    "pw_concat": ("1x1 convolutions and CONCATENATION", lambda g, x: g.concat([pruned(g, x, 6), pruned(g, x, 10)])),
    "d2s": ("DEPTH_TO_SPACE", lambda g, x: g.depth_to_space(x)),
    "mean": ("MEAN", lambda g, x: g.mean(pruned(g, x, 6))),
}


def _two_heads(g: ModelBuilder, output: Value, x: Value) -> None:
    g.output(output)
    tail(g, x)


for _name, (_text, _after) in _SECOND_HEADS.items():
    head_case(
        f"two_heads_{_name}",
        "map-output",
        f"a second output through {_text}",
        partial(lambda after, g, x: _two_heads(g, after(g, x), x), _after),
    )


@pattern("mid_exposed", "map-output", "a value inside the cluster is also an output")
def _mid_exposed(g: ModelBuilder) -> None:
    x = trunk(g)
    g.output(x)
    tail(g, pruned(g, x, 24))


@pattern("mid_exposed_early", "map-output", "the stem's result is also an output")
def _mid_exposed_early(g: ModelBuilder) -> None:
    x = stem(g)
    g.output(x)
    tail(g, pruned(g, g.depthwise(x), 16))


@pattern("mid_read_by_reshape", "map-output", "a value inside the cluster is also read by a RESHAPE")
def _mid_reshape(g: ModelBuilder) -> None:
    x = trunk(g)
    g.output(g.reshape(x, (1, -1)))
    tail(g, pruned(g, x, 24))


@pattern("dead_branch", "map-output", "a value inside the cluster is also read by a branch that ends nowhere")
def _dead_branch(g: ModelBuilder) -> None:
    x = trunk(g)
    g.softmax(g.reshape(x, (1, -1)))
    tail(g, pruned(g, x, 24))


# -- clusters ------------------------------------------------------------------------------------------------


def _external_add(g: ModelBuilder, mean_first: bool) -> None:
    extra = g.input((1, 12, 20, 16), "extra")
    x = trunk(g)
    y = pruned(g, x, 16)
    if mean_first:
        g.output(g.mean(y))
    z = g.binary("ADD", pruned(g, x, 16), extra)
    if not mean_first:
        g.output(g.mean(y))
    g.output(g.mean(z))


@pattern("add_external_before_mean", "cluster", "ADD with a graph input, before the MEAN of the other branch")
def _add_external_before(g: ModelBuilder) -> None:
    _external_add(g, mean_first=False)


@pattern("add_external_after_mean", "cluster", "ADD with a graph input, after the MEAN of the other branch")
def _add_external_after(g: ModelBuilder) -> None:
    _external_add(g, mean_first=True)


def _two_clusters(g: ModelBuilder, zeros: float) -> None:
    for share in (PRUNED, zeros):
        x = stem(g)
        x = g.conv2d(g.depthwise(x), 16, zeros=share, storage="sparse", fused="RELU")
        g.output(g.mean(x))


@pattern("two_clusters", "cluster", "two separate networks, both pruned")
def _two_clusters_pruned(g: ModelBuilder) -> None:
    _two_clusters(g, PRUNED)


@pattern("two_clusters_one_dense", "cluster", "two separate networks, one at 50% zeros")
def _two_clusters_half(g: ModelBuilder) -> None:
    _two_clusters(g, 0.5)


@pattern("cluster_bad_plus_ok", "cluster", "one network stopped by a SUB, another fine")
def _bad_plus_ok(g: ModelBuilder) -> None:
    x = trunk(g)
    g.output(g.mean(g.binary("SUB", x, pruned(g, x, 16))))
    g.output(g.mean(trunk(g)))


@pattern("cluster_unarmed", "cluster", "one network with a map output, armed by the MEAN of another")
def _unarmed(g: ModelBuilder) -> None:
    g.output(trunk(g))
    g.output(g.mean(trunk(g)))
