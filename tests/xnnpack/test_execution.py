"""What created operators do with data, on small subgraphs whose layouts are set by hand.

Expected values follow XNNPACK's sources, function by function: `create_*_operator` chooses a kernel by the marks of the
values, `reshape_*_operator` works with the shapes it finds, and nothing checks one against the other.
"""

from __future__ import annotations

import pytest

from tests.xnnpack.hand_built import HandBuilt
from xnnlint.xnnpack.execution import Execution, Order, execute, is_order_free, reduce_in_nchw
from xnnlint.xnnpack.fault import Fault, Wrong
from xnnlint.xnnpack.ir import NodeType
from xnnlint.xnnpack.profile import load_profile


def run(g: HandBuilt, runtime: str = "litert-2.3") -> Execution:
    return execute(g.subgraph, load_profile(runtime, "arm64"))


def faults(seen: Execution) -> list[tuple[str, Fault, bool]]:
    return [(trouble.node.type, trouble.fault, trouble.fatal) for trouble in seen.troubles]


def cluster(g: HandBuilt, pixels: tuple[int, int] = (6, 10)) -> int:
    """Stem and 1x1 convolution; gives the convolution's output, not marked yet."""
    x = g.stem(g.input(1, 2 * pixels[0], 2 * pixels[1], 3), 1, *pixels, 8)
    g.mark(x)
    return g.pointwise(x, 16)


@pytest.mark.parametrize(
    ("shape", "free"), [((1, 1, 1, 8), True), ((1, 6, 10, 1), True), ((1, 1, 2, 8), False), ((1, 60), True)]
)
def test_one_pixel_or_one_channel_has_no_order(shape: tuple[int, ...], free: bool) -> None:
    assert is_order_free(shape) is free


def test_data_stays_right_through_a_cluster_and_its_end() -> None:
    g = HandBuilt()
    y = cluster(g)
    z = g.clamp(y)
    g.mark(y, z)
    pooled = g.mean(z)
    seen = run(g)
    assert seen.troubles == []
    assert [seen.states[v].order for v in (y, z, pooled)] == [Order.NCHW, Order.NCHW, Order.NHWC]
    assert seen.states[pooled].shape == (1, 16)


def test_the_last_operator_of_a_cluster_without_an_end_reads_nchw_as_nhwc() -> None:
    """Only inputs of nodes in NCHW are marked, so the 1x1 convolution in front of a pool is created as an NHWC one."""
    g = HandBuilt()
    y = cluster(g)
    g.max_pool(y)
    seen = run(g)
    assert faults(seen) == [(NodeType.FULLY_CONNECTED, Fault(Wrong.READS_WRONG_ORDER), False)]
    assert seen.states[y].order is Order.LOST


def test_elementwise_operators_keep_whatever_order_lies_there() -> None:
    g = HandBuilt()
    y = cluster(g)
    g.mark(y)
    a, b = g.clamp(y), g.clamp(y)  # not marked: created as NHWC, and elementwise all the same
    total = g.add(a, b)
    seen = run(g)
    assert seen.troubles == [] and {seen.states[v].order for v in (a, b, total)} == {Order.NCHW}


def test_operands_in_two_orders_are_mixed_up() -> None:
    g = HandBuilt()
    y = cluster(g)
    g.mark(y)
    other = g.max_pool(g.input(1, 12, 20, 16))
    g.add(g.clamp(y), other)
    assert faults(run(g)) == [(NodeType.BINARY, Fault(Wrong.READS_WRONG_ORDER), False)]


def test_a_constant_map_is_no_input_of_the_sparse_kernel() -> None:
    """Constants are never marked, and SpMM reads nothing but NCHW."""
    g = HandBuilt()
    g.mark(g.pointwise(g.constant(1, 6, 10, 8), 16))
    assert faults(run(g)) == [(NodeType.FULLY_CONNECTED, Fault(Wrong.CONSTANT_INTO_NCHW_KERNEL), True)]


@pytest.mark.parametrize(
    ("axes", "keep_dims", "output_nchw", "shape", "right"),
    [
        # `rewrite_reduction_axes_for_nchw` makes 2, 3 of 1, 2. The output's shape is read off (N, C, W, H): the inverse
        # table swaps height and width.
        ((1, 2), False, False, (1, 8), True),
        ((1, 2), True, False, (1, 8, 1, 1), True),
        ((1, 2), True, True, (1, 1, 1, 4), True),
    ],
)
def test_pooling_over_height_and_width_is_right_in_numbers_and_wrong_in_shape(
    axes: tuple[int, ...], keep_dims: bool, output_nchw: bool, shape: tuple[int, ...], right: bool
) -> None:
    assert reduce_in_nchw((1, 4, 6, 8), axes, keep_dims, output_nchw) == (shape, right)


@pytest.mark.parametrize("axes", [(1,), (2,), (2, 3)])
def test_pooling_over_other_axes_is_wrong_in_numbers(axes: tuple[int, ...]) -> None:
    assert reduce_in_nchw((1, 4, 6, 8), axes, False, False)[1] is False
    g = HandBuilt()
    y = cluster(g, (4, 6))
    g.mark(y)
    g.mean(y, axes)
    assert [fault for _, fault, _ in faults(run(g))] == [Fault(Wrong.OTHER_AXES)]


def test_a_classifier_of_1x1_gets_one_channel_of_a_pooling_with_keepdims() -> None:
    """[1, 16, 1, 1] in place of [1, 1, 1, 16]; channels are checked since a3fc80e2 (2026-07-10, LiteRT 2.2)."""
    g = HandBuilt()
    y = cluster(g)
    g.mark(y)
    scores = g.pointwise(g.mean(y, keep_dims=True), 5)
    assert faults(run(g)) == [(NodeType.FULLY_CONNECTED, Fault(Wrong.OTHER_CHANNELS, 16, 1), True)]
    # Before, 5 channels were made for each of the 16 "pixels": 16 elements are one row of 16, so the numbers are right.
    older = run(g, "litert-2.0")
    assert older.troubles == [] and older.states[scores].shape == (1, 16, 1, 5) and older.states[scores].elements == 5


def test_a_reshape_behind_a_pooling_with_keepdims_makes_it_right() -> None:
    g = HandBuilt()
    y = cluster(g)
    g.mark(y)
    flat = g.node(NodeType.RESHAPE, [g.mean(y, keep_dims=True)], (1, 16), new_shape=(1, 16))
    seen = run(g)
    assert seen.troubles == [] and seen.states[flat].shape == (1, 16)


def test_a_reshape_to_another_size_is_refused() -> None:
    """`resize_copy_output_tensor`: the elements must come out even."""
    g = HandBuilt()
    y = cluster(g)
    g.mark(y)
    g.node(NodeType.RESHAPE, [g.mean(y)], (1, 15), new_shape=(3, 5))
    assert faults(run(g)) == [(NodeType.RESHAPE, Fault(Wrong.RESHAPE_OF_OTHER_SIZE, (3, 5), 16), True)]
