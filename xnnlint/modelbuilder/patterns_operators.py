"""Hand-made models: one operator or block in the middle of the network."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from xnnlint.modelbuilder.builder import ModelBuilder
from xnnlint.modelbuilder.building_blocks import UNARY, Middle, apply_unary, gate, pruned, tail, trunk
from xnnlint.modelbuilder.modelfile import Value
from xnnlint.modelbuilder.pattern_registry import middle, pattern

# -- unary ---------------------------------------------------------------------------------------------------

for _code in UNARY:
    middle(
        f"unary_{_code.lower()}",
        "unary",
        f"{_code} between 1x1 convolutions",
        partial(lambda code, g, x: apply_unary(g, code, x), _code),
    )
middle("unary_gelu_tanh", "unary", "GELU in its tanh form", lambda g, x: g.unary("GELU", x, approximate=True))
middle(
    "unary_leaky_0",
    "unary",
    "LEAKY_RELU of alpha 0, which the delegate refuses",
    lambda g, x: g.unary("LEAKY_RELU", x, alpha=0.0),
)
middle("unary_relu_0_to_1", "unary", "RELU_0_TO_1, which the delegate refuses", lambda g, x: g.unary("RELU_0_TO_1", x))
middle("swish", "unary", "x * LOGISTIC(x)", lambda g, x: g.binary("MUL", x, g.unary("LOGISTIC", x)))
middle(
    "clamp_chain",
    "unary",
    "RELU, RELU6, RELU_N1_TO_1 in a row",
    lambda g, x: g.unary("RELU_N1_TO_1", g.unary("RELU6", g.unary("RELU", x))),
)
middle("prelu", "unary", "PRELU between 1x1 convolutions", lambda g, x: g.prelu(x))


# -- binary --------------------------------------------------------------------------------------------------


def _residual(code: str, fused: str = "NONE") -> Middle:
    def part(g: ModelBuilder, x: Value) -> Value:
        y = pruned(g, g.depthwise(x, fused="RELU"), 16)
        if code == "DIV":
            y = g.unary("EXP", g.unary("LOGISTIC", y))
        return g.binary(code, x, y, fused)

    return part


for _code in ("ADD", "MUL", "SUB", "DIV", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE"):
    middle(f"residual_{_code.lower()}", "residual", f"{_code} of a value and its branch", _residual(_code))
middle("residual_add_relu", "residual", "ADD with a fused RELU", _residual("ADD", "RELU"))
middle("residual_add_relu6", "residual", "ADD with a fused RELU6", _residual("ADD", "RELU6"))
middle("residual_prelu", "residual", "a residual through PRELU", lambda g, x: g.binary("ADD", x, g.prelu(x)))

for _code in ("ADD", "MUL", "SUB", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE"):
    middle(
        f"{_code.lower()}_xx",
        "residual",
        f"{_code} of a value and itself",
        partial(lambda code, g, x: g.binary(code, x, x), _code),
    )

_CONSTANTS = {
    "scalar": (),
    "c": (16,),
    "1": (1,),
    "1c": (1, 16),
    "11c": (1, 1, 16),
    "111c": (1, 1, 1, 16),
    "1h11": (1, 12, 1, 1),
    "11w1": (1, 1, 20, 1),
    "1hw1": (1, 12, 20, 1),
    "1111": (1, 1, 1, 1),
    "full": (1, 12, 20, 16),
    "hwc": (12, 20, 16),
}
for _code in ("ADD", "MUL", "SUB", "MAXIMUM"):
    for _name, _shape in _CONSTANTS.items():
        middle(
            f"{_code.lower()}_const_{_name}",
            "constant",
            f"{_code}(x, constant of shape {list(_shape)})",
            partial(lambda code, shape, g, x: g.binary(code, x, g.random_constant(shape)), _code, _shape),
        )
        middle(
            f"{_code.lower()}_const_{_name}_first",
            "constant",
            f"{_code}(constant of shape {list(_shape)}, x)",
            partial(lambda code, shape, g, x: g.binary(code, g.random_constant(shape), x), _code, _shape),
        )
for _name in ("scalar", "1", "1111", "c"):
    middle(
        f"minimum_const_{_name}",
        "constant",
        f"MINIMUM(x, constant of shape {list(_CONSTANTS[_name])})",
        partial(lambda shape, g, x: g.binary("MINIMUM", x, g.random_constant(shape)), _CONSTANTS[_name]),
    )
middle(
    "relu_max_3",
    "constant",
    "MINIMUM(x, 3) and RELU, as Keras's ReLU(max_value=3)",
    lambda g, x: g.unary("RELU", g.binary("MINIMUM", x, g.constant(3.0))),
)
middle(
    "batch_norm",
    "constant",
    "MUL and ADD with [C], as an unfolded batch normalization",
    lambda g, x: g.binary("ADD", g.binary("MUL", x, g.random_constant((16,))), g.random_constant((16,))),
)


@pattern("pooled_add_const_second", "constant", "ADD of a pooled value and a constant [1,1,1,C] inside an SE gate")
def _pooled_const(g: ModelBuilder) -> None:
    x = trunk(g)
    s = pruned(g, g.mean(x, keep_dims=True), 16)
    s = g.unary("LOGISTIC", g.binary("ADD", s, g.random_constant((1, 1, 1, 16))))
    tail(g, pruned(g, g.binary("MUL", x, s), 24))


middle(
    "maximum_zeroed",
    "constant",
    "MAXIMUM(x, 0 * x)",
    lambda g, x: g.binary("MAXIMUM", x, g.binary("MUL", x, g.constant(0.0))),
)
_MAP = (1, 12, 20, 16)
middle(
    "const_map_pointwise",
    "constant",
    "a constant map through a pruned 1x1 convolution, added",
    lambda g, x: g.binary("ADD", x, pruned(g, g.random_constant(_MAP), 16)),
)
middle(
    "const_map_depthwise",
    "constant",
    "a constant map through a depthwise convolution, added",
    lambda g, x: g.binary("ADD", x, g.depthwise(g.random_constant(_MAP))),
)
middle(
    "const_map_unary",
    "constant",
    "a constant map through TANH, added",
    lambda g, x: g.binary("ADD", x, g.unary("TANH", g.random_constant(_MAP))),
)


# -- squeeze and excite --------------------------------------------------------------------------------------


@pattern("se", "squeeze-excite", "MUL(x, gate)")
def _se(g: ModelBuilder) -> None:
    x = trunk(g)
    tail(g, pruned(g, g.binary("MUL", x, gate(g, x)), 24))


@pattern("se_gate_first", "squeeze-excite", "MUL(gate, x)")
def _se_first(g: ModelBuilder) -> None:
    x = trunk(g)
    tail(g, pruned(g, g.binary("MUL", gate(g, x), x), 24))


@pattern("se_hard_swish", "squeeze-excite", "HARD_SWISH as the gate")
def _se_hard_swish(g: ModelBuilder) -> None:
    x = trunk(g)
    tail(g, pruned(g, g.binary("MUL", x, gate(g, x, "HARD_SWISH")), 24))


@pattern("se_hard_sigmoid", "squeeze-excite", "relu6(x + 3) / 6 as the gate")
def _se_hard_sigmoid(g: ModelBuilder) -> None:
    x = trunk(g)
    tail(g, pruned(g, g.binary("MUL", x, gate(g, x, "hard sigmoid")), 24))


@pattern("se_tall", "squeeze-excite", "a tall map")
def _se_tall(g: ModelBuilder) -> None:
    x = trunk(g, 60, 8)
    tail(g, pruned(g, g.binary("MUL", x, gate(g, x)), 24))


@pattern("se_no_keep_dims", "squeeze-excite", "MEAN drops its dimensions, RESHAPE brings them back")
def _se_no_keep(g: ModelBuilder) -> None:
    x = trunk(g)
    tail(g, pruned(g, g.binary("MUL", x, gate(g, x, keep_dims=False)), 24))


@pattern("se_residual", "squeeze-excite", "gate and a residual around it")
def _se_residual(g: ModelBuilder) -> None:
    x = trunk(g)
    y = g.binary("MUL", x, gate(g, x))
    tail(g, pruned(g, g.binary("ADD", x, pruned(g, y, 16, "NONE")), 24))


_SE_OUTPUTS: dict[str, tuple[str, Callable[[ModelBuilder, Value], Value]]] = {
    "pointwise": ("a 1x1 convolution", lambda g, x: pruned(g, x, 6, "NONE")),
    "logistic": ("LOGISTIC", lambda g, x: g.unary("LOGISTIC", pruned(g, x, 6, "NONE"))),
    "resize": ("RESIZE_BILINEAR", lambda g, x: g.resize_bilinear(pruned(g, x, 6, "NONE"), 24, 40)),
    "softmax": ("SOFTMAX", lambda g, x: g.softmax(pruned(g, x, 6, "NONE"))),
    "transpose_conv": ("TRANSPOSE_CONV", lambda g, x: g.transpose_conv(x, 6)),
    "conv_3x3": ("a 3x3 convolution", lambda g, x: g.conv2d(x, 6, 3, 1, "SAME")),
    "depth_to_space": ("DEPTH_TO_SPACE", lambda g, x: g.depth_to_space(pruned(g, x, 24, "NONE"))),
}
for _name, (_text, _last) in _SE_OUTPUTS.items():

    @pattern(f"segmentation_{_name}", "map-output", f"segmentation network with SE ending in {_text}")
    def _segmentation(g: ModelBuilder, last: Callable[[ModelBuilder, Value], Value] = _last) -> None:
        x = trunk(g)
        g.output(last(g, pruned(g, g.binary("MUL", x, gate(g, x)), 24)))


# -- other operators in the middle ---------------------------------------------------------------------------

middle("avg_pool_2x2", "pool", "AVERAGE_POOL_2D 2x2", lambda g, x: g.pool("AVERAGE_POOL_2D", x))
middle("max_pool_2x2", "pool", "MAX_POOL_2D 2x2", lambda g, x: g.pool("MAX_POOL_2D", x))
middle(
    "avg_pool_3x3_same",
    "pool",
    "AVERAGE_POOL_2D 3x3 SAME stride 1",
    lambda g, x: g.pool("AVERAGE_POOL_2D", x, 3, 1, "SAME"),
)
middle("avg_pool_1x1", "pool", "AVERAGE_POOL_2D 1x1", lambda g, x: g.pool("AVERAGE_POOL_2D", x, 1))
middle("max_pool_1x1", "pool", "MAX_POOL_2D 1x1", lambda g, x: g.pool("MAX_POOL_2D", x, 1))
middle(
    "max_pool_1x1_relu6", "pool", "MAX_POOL_2D 1x1 with RELU6", lambda g, x: g.pool("MAX_POOL_2D", x, 1, fused="RELU6")
)
middle(
    "max_pool_1x1_s2",
    "pool",
    "MAX_POOL_2D 1x1 stride 2, which the delegate refuses",
    lambda g, x: g.pool("MAX_POOL_2D", x, 1, 2),
)
middle(
    "avg_pool_2x2_s3",
    "pool",
    "pool of stride above its size, which the delegate refuses",
    lambda g, x: g.pool("AVERAGE_POOL_2D", x, 2, 3),
)
middle("softmax_mid", "other", "SOFTMAX over channels", lambda g, x: g.softmax(x))
middle("softmax_beta_2", "other", "SOFTMAX of beta 2, which the delegate refuses", lambda g, x: g.softmax(x, 2.0))
middle("transpose_conv_mid", "other", "TRANSPOSE_CONV", lambda g, x: g.transpose_conv(x, 12))
middle("space_to_depth_mid", "other", "SPACE_TO_DEPTH", lambda g, x: g.space_to_depth(x))
middle("depth_to_space_mid", "other", "DEPTH_TO_SPACE, then 1x1", lambda g, x: g.depth_to_space(x))
middle("reshape_id", "other", "a RESHAPE to the same shape", lambda g, x: g.reshape(x, (1, 12, 20, 16)))
middle(
    "reshape_flat_and_back",
    "other",
    "a RESHAPE to rank 2 and back",
    lambda g, x: g.reshape(g.reshape(x, (1, -1)), (1, 12, 20, 16)),
)
middle(
    "reshape_split_width", "other", "a RESHAPE that swaps height and width", lambda g, x: g.reshape(x, (1, 20, 12, 16))
)
middle("slice_mid", "other", "SLICE of the map", lambda g, x: g.slice(x, (0, 1, 2, 0), (1, 9, 15, 16)))
middle(
    "strided_slice_mid",
    "other",
    "STRIDED_SLICE of the map",
    lambda g, x: g.strided_slice(x, (0, 0, 0, 0), (1, 12, 20, 16), (1, 2, 2, 1)),
)
middle("transpose_hw", "other", "TRANSPOSE of height and width", lambda g, x: g.transpose(x, (0, 2, 1, 3)))
middle("pad_mid", "other", "a PAD that nothing takes in", lambda g, x: g.pad(x))
middle("split_concat", "other", "SPLIT by channels and CONCATENATION", lambda g, x: g.concat(g.split(x, 2)[::-1]))


def _concat(inputs: int) -> Middle:
    return lambda g, x: g.concat([x, *(pruned(g, x, 4 + 2 * i) for i in range(inputs - 1))])


for _count in (2, 3, 4, 5, 6):
    middle(f"concat_{_count}", "concat", f"CONCATENATION of {_count} branches of one value", _concat(_count))
middle(
    "concat_branches",
    "concat",
    "CONCATENATION of two branches, the value itself not",
    lambda g, x: g.concat([pruned(g, x, 6), pruned(g, x, 10)]),
)

for _name, _text, _align, _half in (
    ("half_pixel", "half-pixel centres", False, True),
    ("align", "aligned corners", True, False),
    ("legacy", "legacy sampling", False, False),
):
    middle(
        f"resize_{_name}",
        "resize",
        f"RESIZE_BILINEAR up, {_text}",
        partial(lambda a, h, g, x: g.resize_bilinear(x, 24, 40, align_corners=a, half_pixel=h), _align, _half),
    )
middle("resize_down", "resize", "RESIZE_BILINEAR down", lambda g, x: g.resize_bilinear(x, 7, 9))
middle(
    "resize_nearest",
    "resize",
    "RESIZE_NEAREST_NEIGHBOR, which the delegate refuses",
    lambda g, x: g.resize_bilinear(x, 24, 40, code="RESIZE_NEAREST_NEIGHBOR"),
)


@pattern("resize_flat_map", "resize", "RESIZE_BILINEAR of a map of height 1")
def _resize_flat(g: ModelBuilder) -> None:
    x = trunk(g, 2, 40)
    tail(g, pruned(g, g.resize_bilinear(x, 5, 30), 24))


@pattern("fpn", "resize", "a lower map resized and added to an upper one")
def _fpn(g: ModelBuilder) -> None:
    upper = trunk(g)
    lower = pruned(g, g.depthwise(g.pad(upper), 3, 2, "VALID"), 16)
    tail(g, pruned(g, g.binary("ADD", upper, g.resize_bilinear(lower, 12, 20)), 24))
