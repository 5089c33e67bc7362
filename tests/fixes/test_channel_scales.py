"""What is a factor for each channel behind a convolution, and what only looks like one."""

from __future__ import annotations

import pytest

from tests.fixes.test_moves import made, prover, types  # noqa: F401
from xnnlint.fixes.tflite.file_proof import Prover
from xnnlint.modelbuilder.builder import ModelBuilder

KIND = "fold-channel-scales"


@pytest.mark.parametrize("shape", [(1, 1, 8, 1), (1, 8, 1, 1), (8, 1, 1), (1, 8, 8, 8)])
def test_factors_of_rows_or_pixels_stay(shape: tuple[int, ...]) -> None:
    g = ModelBuilder(1)
    x = g.conv2d(g.input((1, 8, 8, 4)), 8)
    g.output(g.binary("MUL", x, g.random_constant(shape)))
    assert made(g.build(), KIND).changes == ()


def test_what_somebody_else_reads_stays_as_it_is() -> None:
    g = ModelBuilder(1)
    x = g.conv2d(g.input((1, 8, 8, 4)), 8)
    g.output(g.binary("MUL", x, g.random_constant((8,))))
    g.output(x)
    assert made(g.build(), KIND).changes == ()


def test_behind_an_activation_nothing_is_folded() -> None:
    g = ModelBuilder(1)
    x = g.conv2d(g.input((1, 8, 8, 4)), 8, fused="RELU")
    g.output(g.binary("MUL", x, g.random_constant((8,))))
    assert made(g.build(), KIND).changes == ()


@pytest.mark.judge
@pytest.mark.parametrize("shape", [(8,), (1, 1, 1, 8), (1, 8), (), (1, 1, 1)])
def test_factors_of_channels_go_into_the_weights(prover: Prover, shape: tuple[int, ...]) -> None:  # noqa: F811
    g = ModelBuilder(1)
    x = g.depthwise(g.input((1, 8, 8, 4)), multiplier=2)
    x = g.binary("ADD", g.binary("MUL", x, g.random_constant(shape)), g.random_constant(shape))
    g.output(g.unary("ABS", x))
    result = made(g.build(), KIND)
    assert types(result) == ["DEPTHWISE_CONV_2D", "ABS"]
    proof = prover.prove(result)
    assert proof.max_rel_error < 1e-6, proof.reason
