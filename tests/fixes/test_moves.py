"""Moves of elements and of TRANSPOSE, each by itself: what is seen in them, and that the numbers stay what they are."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.fixes.cases.maximum_padding import max_pool
from tests.fixes.fix_case import head, middle, pointwise, trunk
from xnnlint.modelbuilder.builder import ModelBuilder, Value
from xnnlint.xnnpack.profile import load_profile

pytest.importorskip("ai_edge_litert", reason="the editor needs the verify extra")

from xnnlint.fixes.request import FixRequest
from xnnlint.fixes.tflite.file_proof import Prover
from xnnlint.fixes.tflite.file_search import FileResult, search
from xnnlint.fixes.tflite.operator_changes.element_moves import Move, what_moves

TO_NCHW, TO_NHWC = (0, 3, 1, 2), (0, 2, 3, 1)
SAME = (0, 1, 2, 3)


def made(data: bytes, *kinds: str) -> FileResult:
    """A model with every change of some kinds, whether it is better for it or not; on a CPU where nothing runs sparse,
    so that nothing is wrong, either."""
    return search(
        data, "model.tflite", FixRequest(load_profile("litert-2.3", "x86-avx"), select=kinds, everything=True)
    )


def types(result: FileResult) -> list[str]:
    return [op.type for op in result.after.plan.graph.operators]


@pytest.fixture(scope="module")
def prover():
    with Prover() as one:
        yield one


def same_numbers(prover: Prover, result: FileResult) -> None:
    proof = prover.prove(result)
    assert proof.max_abs_error == 0.0, proof.reason


# What a chain does


@pytest.mark.parametrize(
    "steps, move",
    [
        ([("TRANSPOSE", TO_NCHW), ("TRANSPOSE", TO_NHWC)], Move(transposes=SAME)),
        ([("TRANSPOSE", TO_NCHW), ("RESHAPE", (1, 8, 24))], None),
        ([("RESHAPE", (1, 24, 8)), ("TRANSPOSE", (0, 2, 1)), ("RESHAPE", (1, 8, 4, 6))], Move(transposes=TO_NCHW)),
        (
            [("RESHAPE", (1, 4, 6, 2, 4)), ("TRANSPOSE", (0, 1, 2, 4, 3)), ("RESHAPE", (1, 4, 6, 8))],
            Move(channels=(0, 4, 1, 5, 2, 6, 3, 7)),
        ),
        # DEPTH_TO_SPACE itself, and the order of channels that PyTorch has.
        (
            [("RESHAPE", (1, 4, 6, 2, 2, 2)), ("TRANSPOSE", (0, 1, 3, 2, 4, 5)), ("RESHAPE", (1, 8, 12, 2))],
            Move(block=2),
        ),
        (
            [("RESHAPE", (1, 4, 6, 2, 2, 2)), ("TRANSPOSE", (0, 1, 4, 2, 5, 3)), ("RESHAPE", (1, 8, 12, 2))],
            Move(block=2, channels=(0, 4, 1, 5, 2, 6, 3, 7)),
        ),
        # Pixels change places.
        ([("RESHAPE", (1, 6, 4, 8)), ("TRANSPOSE", (0, 2, 1, 3))], None),
        ([("RESHAPE", (1, 5, 5, 8)), ("TRANSPOSE", (0, 2, 1, 3))], None),
        ([("TRANSPOSE", (0, 1, 2)), ("RESHAPE", (1, 4, 6, 8))], None),
    ],
)
def test_what_a_chain_does_to_a_map(steps, move):
    assert what_moves((1, 4, 6, 8), tuple(steps)) == move


def test_a_batch_that_moves_is_no_shuffle_of_channels():
    steps = (("RESHAPE", (16, 4, 6, 4)), ("TRANSPOSE", (1, 2, 0, 3)), ("RESHAPE", (2, 4, 6, 8)))
    assert what_moves((2, 4, 6, 8), steps) is None


def unshuffle(g: ModelBuilder, x: Value) -> Value:
    """nn.PixelUnshuffle(2)."""
    n, h, w, c = x.shape
    x = g.reshape(g.transpose(x, TO_NCHW), (n * c, h // 2, 2, w // 2, 2))
    x = g.reshape(g.transpose(x, (0, 2, 4, 1, 3)), (n, c * 4, h // 2, w // 2))
    return g.transpose(x, TO_NHWC)


@pytest.mark.judge
def test_pixel_unshuffle_is_space_to_depth(prover):
    result = made(middle(unshuffle)(), "depth-to-space-by-name")
    assert types(result).count("SPACE_TO_DEPTH") == 1 and not {"TRANSPOSE"} & set(types(result))
    same_numbers(prover, result)


def test_a_shuffle_that_somebody_reads_halfway_stays_for_them(prover):
    g = ModelBuilder(1)
    x = trunk(g)
    n, h, w, c = x.shape
    grouped = g.reshape(x, (n, h, w, 2, c // 2))
    head(g, pointwise(g, g.reshape(g.transpose(grouped, (0, 1, 2, 4, 3)), x.shape)))
    g.output(grouped)
    result = made(g.build(), "gather-channels")
    assert types(result).count("GATHER") == 1 and types(result).count("RESHAPE") == 1
    same_numbers(prover, result)


# TRANSPOSE


def prepared_image() -> bytes:
    """The image is in NCHW, and scaled there."""
    g = ModelBuilder(1)
    image = g.input((1, 3, 24, 40))
    image = g.binary("SUB", image, g.constant(np.array([0.4, 0.5, 0.6], np.float32).reshape(1, 3, 1, 1)))
    image = g.op("PRELU", [image, g.constant(np.array([0.1, 0.2, 0.3], np.float32).reshape(3, 1, 1))], [image.shape])[0]
    head(g, pointwise(g, trunk(g, g.transpose(image, TO_NHWC))))
    return g.build()


@pytest.mark.judge
def test_an_image_is_prepared_behind_its_transpose(prover):
    result = made(prepared_image(), "compute-in-nhwc")
    assert types(result)[:3] == ["TRANSPOSE", "SUB", "PRELU"]
    same_numbers(prover, result)


def strided(g: ModelBuilder, x: Value) -> Value:
    """Every second channel from the second on, up to the end, whatever the constants say where masks are set."""
    x = g.transpose(x, TO_NCHW)
    n, c, h, w = x.shape
    taken = g.strided_slice(x, (0, 1, 0, 0), (n, c, h, w), (1, 2, 1, 1))
    return g.transpose(g.concat((taken, g.unary("ABS", taken)), 1), TO_NHWC)


@pytest.mark.judge
@pytest.mark.parametrize("body", [strided])
def test_axes_are_named_otherwise(prover, body):
    result = made(middle(body)(), "compute-in-nhwc")
    assert "TRANSPOSE" not in types(result)
    same_numbers(prover, result)


def two_readers(g: ModelBuilder, x: Value) -> Value:
    """Sums up to one TRANSPOSE less, and two more."""
    y = g.unary("ABS", g.transpose(x, TO_NCHW))
    rows, columns = (g.softmax(g.unary(code, y)) for code in ("RELU", "NEG"))
    return g.transpose(g.binary("ADD", rows, columns), TO_NHWC)


def test_nothing_is_moved_for_more_transposes_than_there_were():
    assert made(middle(two_readers)(), "compute-in-nhwc").changes == ()


def test_a_vector_that_chooses_among_batches_stays():
    g = ModelBuilder(1)
    x = g.transpose(trunk(g), TO_NCHW)
    y = g.op("SELECT", [g.constant(np.array([True])), x, g.unary("ABS", x)], [x.shape])[0]
    head(g, pointwise(g, g.transpose(y, TO_NHWC)))
    kept = made(g.build(), "compute-in-nhwc")
    assert types(kept).count("TRANSPOSE") == 2 or kept.changes == ()


# Maxima


def of_negatives(g: ModelBuilder, x: Value) -> Value:
    return g.pool("MAX_POOL_2D", g.pad(g.unary("NEG", x), 1, "PADV2", value=-math.inf), 3, 2)


def test_zero_is_not_below_negative_numbers():
    assert made(middle(of_negatives)(), "pad-maximum").changes == ()


@pytest.mark.judge
def test_padding_as_much_as_same_does_not_ask_for_signs(prover):
    def body(g: ModelBuilder, x: Value) -> Value:
        return g.pool("MAX_POOL_2D", g.pad(g.unary("NEG", x), 1, "PADV2", value=-math.inf), 3, 1)

    result = made(middle(body)(), "pad-maximum")
    assert "PADV2" not in types(result) and "PAD" not in types(result)[1:]
    same_numbers(prover, result)


@pytest.mark.judge
def test_zeros_stand_for_minus_infinity_behind_relu(prover):
    result = made(middle(lambda g, x: max_pool(3, 2, g, x))(), "pad-maximum")
    assert "PADV2" not in types(result)
    same_numbers(prover, result)


# Excitation


def pooled_for_a_class_too() -> bytes:
    g = ModelBuilder(1)
    x = trunk(g)
    pooled = g.mean(x)
    gate = g.unary("LOGISTIC", g.fully_connected(pooled, 16))
    head(g, pointwise(g, g.binary("MUL", x, gate)))
    g.output(g.fully_connected(pooled, 3))
    return g.build()


def vector_along_the_width(g: ModelBuilder, x: Value) -> Value:
    """A vector of as many elements as the map is wide, which a RESHAPE lays along the width."""
    vector = g.fully_connected(g.mean(x), x.shape[2])
    return g.binary("MUL", x, g.reshape(vector, (1, 1, x.shape[2], 1)))


@pytest.mark.parametrize("data", [pooled_for_a_class_too(), middle(vector_along_the_width)()])
def test_what_does_not_only_excite_stays(data):
    assert made(data, "excite-by-convolving").changes == ()
