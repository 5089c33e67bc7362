"""One-dimensional networks: what is moved to maps of one row, what is left, and that the numbers stay what they are."""

from __future__ import annotations

import pytest

from tests.fixes.cases.row_moves import Columns, Keras, Torch, network
from tests.fixes.test_moves import made, prover, same_numbers, types  # noqa: F401
from xnnlint.fixes.tflite.file_proof import Prover
from xnnlint.fixes.windows import square_strides
from xnnlint.modelbuilder.builder import ModelBuilder, Value

ROWS = ("reshape-instead", "compute-on-rows", "pool-rows", "compute-in-nhwc", "pool-before-transpose")
NOTHING = ("merge-moves", "merge-reshapes", "remove-identity")


def of_torch(g: ModelBuilder, x: Value) -> Value:
    """A convolution of [N, C, L]."""
    return Torch().convolve(g, x, lambda m: g.conv2d(m, 8))


def count(kinds: list[str], *named: str) -> int:
    return sum(kind in named for kind in kinds)


@pytest.mark.parametrize("kind, left", [(Torch, 2), (Keras, 1), (Columns, 1)])
def test_only_the_way_to_the_map_is_left(kind: type[Torch] | type[Keras], left: int) -> None:
    assert count(types(made(network(kind), *ROWS, *NOTHING)), "RESHAPE", "TRANSPOSE", "SQUEEZE", "EXPAND_DIMS") == left


@pytest.mark.judge
def test_what_is_read_as_a_sequence_too_gets_it_back(prover: Prover) -> None:  # noqa: F811
    g = ModelBuilder(1)
    x = of_torch(g, g.input((1, 4, 12)))
    y = g.unary("ABS", x)
    g.output(of_torch(g, y))
    g.output(y)
    result = made(g.build(), *ROWS)
    assert "compute-on-rows" in {change.fix for change in result.changes}
    same_numbers(prover, result)


@pytest.mark.judge
def test_a_row_of_one_pixel_is_taken_for_what_saves_most(prover: Prover) -> None:  # noqa: F811
    g = ModelBuilder(1)
    x = Keras().convolve(g, g.input((1, 1, 12)), lambda m: g.conv2d(m, 8))
    x = g.binary("MUL", g.unary("ABS", x), g.random_constant((1, 1, 8)))
    g.output(Keras().convolve(g, x, lambda m: g.conv2d(m, 8)))
    result = made(g.build(), *ROWS)
    assert count(types(result), "RESHAPE") == 2
    same_numbers(prover, result)


def test_sequences_that_are_no_rows_stay() -> None:
    """Of a map of several rows a RESHAPE makes a sequence of all its pixels."""
    g = ModelBuilder(1)
    x = g.conv2d(g.input((1, 3, 4, 5)), 6)
    g.output(g.reshape(g.unary("ABS", g.reshape(x, (1, 12, 6))), (1, 3, 4, 6)))
    assert made(g.build(), *ROWS).changes == ()


def test_strides_are_alike_only_where_nothing_is_stepped_over() -> None:
    assert square_strides((1, 24), (1, 3), (1, 2)) == (2, 2)
    assert square_strides((24, 1), (3, 1), (2, 1)) == (2, 2)
    assert square_strides((2, 24), (1, 3), (1, 2)) == (1, 2)
    assert square_strides((1, 24), (3, 3), (1, 2)) == (1, 2), "SAME would pad it otherwise"
