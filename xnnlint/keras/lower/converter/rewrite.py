"""The rewrites of TensorFlow Lite's converter that change which operators a float model has.

Sources: google-ai-edge/LiteRT tflite/converter/transforms/optimize_patterns.td and optimize_pass.cc (patterns are named
after those there), and the canonicalization of tflite/converter/ir; what TensorFlow 2.21 makes of them was checked
against files that it converted. A pattern's result stands where its last operator was.
"""

from __future__ import annotations

from xnnlint.keras.lower.converter.constants import ACTIVATIONS, CONVOLUTIONS
from xnnlint.keras.lower.converter.dilations import dilated
from xnnlint.keras.lower.converter.elementwise import (
    division_to_product,
    hard_swish,
    maximum_to_relu,
    minimum_to_relu,
    neutral,
    relu_of_minimum,
    relu_of_squares,
    two_additions,
)
from xnnlint.keras.lower.converter.fusing_before import (
    fuse_activation,
    fuse_with_convolution,
    fuse_with_fully_connected,
    fuse_with_transpose_conv,
)
from xnnlint.keras.lower.converter.fusing_behind import fuse_into_following, vector_into_dense
from xnnlint.keras.lower.converter.known_sizes import (
    INTEGER_FUNCTIONS,
    cancelled,
    divided_by_root,
    known_integers,
    known_number,
    known_sizes,
    opposite,
    own_shape,
    reshape_to_own_shape,
    same_again,
    slice_without_masks,
    square_of_difference,
    straightened,
)
from xnnlint.keras.lower.converter.reshapes import (
    keep_reduced,
    move_binary_before,
    move_value_before,
    needless_reshape,
    pad_for_nothing,
    pad_to_same,
    reshape_before_dense,
    reshape_for_nothing,
    squeeze_to_reshape,
    static_expansion,
    trivial_transpose,
    two_reshapes,
    two_reshapes_before,
)
from xnnlint.keras.lower.converter.transpositions import (
    flattened_before_reshape,
    reshape_after_dense,
    transpose_after_product,
    transpose_before,
    transpose_into_product,
    two_transposes,
    two_transposes_before,
)
from xnnlint.keras.lower.layout_moves import AGNOSTIC, make_orders_alike, move_down, move_up
from xnnlint.keras.lower.program import Program
from xnnlint.keras.lower.rewriter import Rewriter, Rule

# ReorderElementwiseAndMoveOperations.
_VALUE_OPS = (
    "CEIL", "EXP", "FLOOR", "NEG", "RELU", "RELU_N1_TO_1", "RELU6", "ROUND", "TANH", "SQRT", "SQUARE", "LOGISTIC",
)  # fmt: skip
# PushTransposeThroughEwisePass.
_COMMUTING = ("ADD", "DIV", "MAXIMUM", "MINIMUM", "MUL", "SUB")


def rewrite(program: Program) -> None:
    """Applies the rewrites until nothing changes; the program must be in order."""
    rewriter = Rewriter(program)
    rewriter.repeat(_SHAPES)
    rewriter.merge_equal()
    rewriter.repeat({"BATCH_TO_SPACE_ND": [dilated]})
    for move in (move_up, move_down):
        rewriter.repeat({type_: [move] for type_ in AGNOSTIC}, backwards=move is move_up)
        program.nodes.sort(key=lambda node: node.place)
        rewriter.repeat({"TRANSPOSE": [cancelled]})
    make_orders_alike(rewriter)
    # AddOptimizationPasses of tf_tfl_passes.cc is there twice, since what moves may let a transposition through.
    for _ in range(2):
        rewriter.repeat({type_: [two_transposes_before, transpose_before] for type_ in _COMMUTING})
        program.nodes.sort(key=lambda node: node.place)
        rewriter.repeat(_FIRST)
        rewriter.repeat({**_FIRST, **{t: _FIRST.get(t, []) + more for t, more in _SECOND.items()}})
    rewriter.merge_equal()
    program.nodes = sorted((node for node in program.nodes if node in rewriter.alive), key=lambda node: node.place)


_SHAPES: dict[str, list[Rule]] = {
    "STRIDED_SLICE": [known_sizes],
    "RESHAPE": [reshape_to_own_shape, reshape_for_nothing, two_reshapes],
    "TRANSPOSE": [straightened, cancelled],
    "CAST": [known_number],
    **{t: [known_integers] for t in INTEGER_FUNCTIONS},
    **{t: [same_again] for t in ("ABS", "CEIL", "FLOOR", "RELU", "RELU6", "ROUND")},
    "PACK": [known_integers, own_shape],
    "SQUARE": [square_of_difference],
    "DIV": [divided_by_root],
    "LOGICAL_NOT": [opposite],
}
_INTO_BEFORE: list[Rule] = [fuse_with_convolution, fuse_with_transpose_conv, fuse_with_fully_connected]
_AROUND_RESHAPES: list[Rule] = [
    move_binary_before,
    two_reshapes_before,
    flattened_before_reshape,
    needless_reshape,
]
_FIRST: dict[str, list[Rule]] = {
    "ADD": [neutral, *_INTO_BEFORE, two_additions, *_AROUND_RESHAPES],
    "SUB": [neutral, *_INTO_BEFORE, *_AROUND_RESHAPES],
    "MUL": [neutral, hard_swish, *_INTO_BEFORE, *_AROUND_RESHAPES],
    "DIV": [neutral, division_to_product, *_AROUND_RESHAPES],
    "MAXIMUM": [maximum_to_relu],
    "MINIMUM": [minimum_to_relu],
    "RESHAPE": [reshape_for_nothing, keep_reduced],
    "EXPAND_DIMS": [static_expansion],
    "SQUEEZE": [squeeze_to_reshape],
    "PAD": [pad_for_nothing],
    "STRIDED_SLICE": [slice_without_masks],
    "TRANSPOSE": [straightened, trivial_transpose, two_transposes, transpose_after_product],
    "BATCH_MATMUL": [transpose_into_product],
    "FULLY_CONNECTED": [reshape_before_dense, vector_into_dense],
    "CONV_2D": [pad_to_same],
    "DEPTHWISE_CONV_2D": [pad_to_same],
    **{t: [fuse_activation, move_value_before] for t in ACTIVATIONS},
    **{t: [move_value_before] for t in _VALUE_OPS if t not in ACTIVATIONS},
}
_FIRST["RELU"] = [relu_of_minimum, relu_of_squares, *_FIRST["RELU"]]
_SECOND: dict[str, list[Rule]] = {
    **{t: [fuse_into_following] for t in (*CONVOLUTIONS, "FULLY_CONNECTED")},
    "RESHAPE": [two_reshapes, reshape_after_dense],
}
