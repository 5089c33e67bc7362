"""What pruned weights take: counted by hand, and beside what the converter and the encoder write."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from tests.models import FIXTURES
from xnnlint.fixes.tflite import sparse_encoding
from xnnlint.fixes.tflite.editor import Edit
from xnnlint.loaders.tflite.read_tflite import load, load_bytes
from xnnlint.model.graph import Model
from xnnlint.model.stored_bytes import StoredSize
from xnnlint.model.stored_size import TABLES, stored_size
from xnnlint.model.weights import dense_values, measure
from xnnlint.modelbuilder.builder import ModelBuilder
from xnnlint.modelbuilder.flatwriter import table
from xnnlint.reporters.value_words import bytes_text, size_sentence

CASE = FIXTURES / "cases" / "c03_tfmot722_nosparsity.tflite"
CONVERTED = 28_244
"""Bytes of the same network as TensorFlow's converter stores it with EXPERIMENTAL_SPARSITY."""
WITHIN = 210
"""By how many bytes for each weight the tables may differ from `TABLES`."""


def sized(data: bytes) -> StoredSize | None:
    return stored_size(load_bytes(data, "model.tflite"))


def with_weights(weights: np.ndarray) -> bytes:
    g = ModelBuilder()
    x = g.input((1, weights.shape[-1]))
    inputs = [x, g.constant(weights), g.constant(np.ones(len(weights), np.float32))]
    g.output(g.op("FULLY_CONNECTED", inputs, [(1, len(weights))], table("FullyConnectedOptions"))[0])
    return g.build()


def weights_of(model: Model) -> list[np.ndarray]:
    """Every pruned weight, dense."""
    found = [(g, measure(g, op.inputs[1])) for g, op in model.operators() if op.type in ("CONV_2D", "FULLY_CONNECTED")]
    return [dense_values(g.tensors[m.source], 1 << 28) for g, m in found if m is not None and m.zero_share >= 0.3]


def encoded(data: bytes) -> bytes:
    """The file with every weight stored sparse that is pruned, by the encoder of `fix`."""
    edit = Edit.open(data, "model.tflite")
    for graph in edit.graphs:
        for op in list(graph.operators):
            if op.type in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
                weight = sparse_encoding.stored_filter(graph, op)
                if weight is not None and sparse_encoding.zero_share(graph, weight) >= 0.3:
                    sparse_encoding.encode(graph, weight, near=op)
    return edit.to_bytes()


def test_a_weight_counted_by_hand() -> None:
    weights = np.zeros((4, 10), np.float32)
    weights[0, :3], weights[2, 4] = 1, -1
    size = sized(with_weights(weights))
    # 40 floats; of them 4 are stored, each with an index of a byte, and 5 segments of a byte.
    assert size is not None
    assert (size.now, size.dense, size.sparse) == (160, 160, 4 * 4 + 4 + 5 + TABLES)
    assert size.gzipped == len(gzip.compress(weights.tobytes(), 6))


def test_indices_grow_with_the_weight() -> None:
    weights = np.zeros((2, 300), np.float32)
    weights[:, ::4] = 1  # 150 of 600; no block of four is empty.
    size = sized(with_weights(weights))
    # Columns up to 299 need two bytes, 150 entries one for each of three segments.
    assert size is not None and size.sparse == 150 * 4 + 150 * 2 + 3 + TABLES


def test_fully_connected_weights_in_blocks() -> None:
    weights = np.zeros((4, 16), np.float32)
    weights[1, 4:8], weights[3, 12:16] = 1, 2
    size = sized(with_weights(weights))
    # Two blocks of four values, an index for each, five segments.
    assert size is not None and size.sparse == 8 * 4 + 2 + 5 + TABLES


@pytest.mark.parametrize("zeros", [0.0, 0.25])
def test_weights_with_few_zeros_are_not_pruned(zeros: float) -> None:
    weights = np.ones((4, 16), np.float32)
    weights.reshape(-1)[: round(64 * zeros)] = 0
    assert sized(with_weights(weights)) is None


def test_a_network_that_nobody_stored_sparse() -> None:
    size = stored_size(load(CASE))
    assert size is not None
    file = CASE.stat().st_size
    # 12 filters of 3x3, and a classifier of 10 times 2028.
    assert (file, size.dense) == (84_592, (12 * 9 + 10 * 2028) * 4)
    assert size.now == size.dense
    assert abs(file - size.dense + size.sparse - CONVERTED) <= 2 * WITHIN
    assert abs(file - size.dense + size.sparse - len(encoded(CASE.read_bytes()))) <= 2 * WITHIN
    packed = gzip.compress(b"".join(array.tobytes() for array in weights_of(load(CASE))), 6)
    assert size.gzipped is not None and size.gzipped == pytest.approx(len(packed), rel=0.01)


@pytest.mark.parametrize("path", sorted((FIXTURES / "patterns").glob("*.tflite")), ids=lambda path: path.stem)
def test_the_estimate_beside_what_the_converter_wrote(path: Path) -> None:
    """The file as converted, and with its weights stored dense."""
    data = path.read_bytes()
    dense = sparse_encoding.stored_dense(data, path.name)
    sparse, estimate = sized(data), sized(dense)
    if dense == data:
        assert sparse == estimate
        return
    assert sparse is not None and estimate is not None
    # Values, indices and segments are exact; of the file as it is they are those that are stored.
    assert estimate.sparse == sparse.now == sparse.sparse
    assert estimate.now == estimate.dense == sparse.dense
    count = len(weights_of(load_bytes(dense, "dense"))) or 1
    assert abs(len(dense) - estimate.dense + estimate.sparse - len(data)) <= count * WITHIN


def test_large_weights_are_packed_only_on_demand() -> None:
    model = load(CASE)
    assert stored_size(model, largest_gzip=80_000) == stored_size(model)._replace(gzipped=None)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 bytes"),
        (702, "702 bytes"),
        (1390, "1.39 kB"),
        (84_592, "84.6 kB"),
        (999_600, "1.00 MB"),
        (12e6, "12.0 MB"),
    ],
)
def test_bytes_in_words(count: int, words: str) -> None:
    assert bytes_text(count) == words


def test_the_line() -> None:
    assert size_sentence(StoredSize(81_552, 81_552, 25_277, 18_945)) == (
        "Pruned weights: 81.6 kB stored dense (as now), 25.3 kB stored sparse, 18.9 kB gzipped."
    )
    assert size_sentence(StoredSize(1390, 2560, 1390)) == (
        "Pruned weights: 2.56 kB stored dense, 1.39 kB stored sparse (as now)."
    )
    assert size_sentence(StoredSize(2000, 2560, 1390, 702)) == (
        "Pruned weights: 2.00 kB now, 2.56 kB stored dense, 1.39 kB stored sparse, 702 bytes gzipped."
    )
