"""Files that are no models: one clear sentence each, quickly and in little memory, and never any other exception."""

from __future__ import annotations

import os
import random
import re
import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tflite

from tests.rounds import some
from xnnlint import loaders
from xnnlint.errors import ModelError, XnnlintError
from xnnlint.model import weights
from xnnlint.modelbuilder.builder import ModelBuilder
from xnnlint.modelbuilder.flatwriter import Table, serialize, table

SECONDS = 2
MEGABYTES = 300


@pytest.fixture(scope="module")
def small_model() -> bytes:
    """A model of 6 KB with dense, sparse, fp16 and int8 weights."""
    g = ModelBuilder()
    x = g.conv2d(g.pad(g.input((1, 12, 16, 3))), 8, kernel=3, stride=2)
    for storage in ("sparse", "sparse_fp16", "sparse_int8", "fp16", "int8"):
        x = g.conv2d(x, 8, zeros=0.8, storage=storage)
    x = g.fully_connected(g.mean(x, (1, 2)), 4, zeros=0.5, storage="sparse_direct")
    g.output(x)
    return g.build()


def refuse(path: Path) -> str:
    """The one sentence with which a path is refused, and within what time."""
    start = time.perf_counter()
    with pytest.raises(ModelError) as refused:
        loaders.load(path)
    assert time.perf_counter() - start < SECONDS
    sentence = str(refused.value)
    assert sentence.startswith(f"{path}: ") and "\n" not in sentence
    assert not sentence.endswith(".") and len(sentence.removeprefix(str(path))) < 250
    return sentence.removeprefix(f"{path}: ")


def refuse_data(tmp_path: Path, data: bytes, name: str = "model.tflite") -> str:
    path = tmp_path / name
    path.write_bytes(data)
    return refuse(path)


def use(path: Path) -> bool:
    """Reads a model and decodes everything in it; False if it is refused. Nothing but `ModelError` may come of it."""
    try:
        model = loaders.load(path)
    except ModelError:
        return False
    for graph in model.graphs:
        for tensor in range(len(graph.tensors)):
            try:
                weights.measure(graph, tensor)
                weights.zeros_among_first(graph, tensor, 7)
                weights.decode(graph, tensor)
            except XnnlintError as refused:
                assert re.search("is not a constant|holds no numbers|not a valid string|bytes decoded", str(refused))
    return True


# --- files that are something else ------------------------------------------------------------------------------------


def test_missing(tmp_path: Path) -> None:
    assert refuse(tmp_path / "missing.tflite") == "there is no such file"


def test_a_path_that_no_file_can_have(tmp_path: Path) -> None:
    assert "cannot be read" in refuse(tmp_path / ("x" * 5000))


@pytest.mark.skipif(os.name != "posix" or os.getuid() == 0, reason="root may read everything")
def test_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "locked.tflite"
    path.touch(mode=0)
    assert refuse(path) == "the file cannot be read (Permission denied)"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tflite")
    assert refuse(tmp_path / "pipe.tflite") == "this is not a regular file"


def test_empty(tmp_path: Path) -> None:
    assert refuse_data(tmp_path, b"") == "the file is empty"


def test_a_folder_without_models(tmp_path: Path) -> None:
    assert refuse(tmp_path) == "the folder holds no model (.tflite, .keras, .h5, .hdf5)"


def test_a_saved_model(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").touch()
    assert "SavedModel" in refuse(tmp_path) and "xnnlint convert" in refuse(tmp_path)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"PK\x03\x04" + bytes(60), "zip archive"),
        (b"\x89HDF\r\n\x1a\n" + bytes(60), "HDF5"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"\x1f\x8b\x08" + bytes(60), "gzip"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (b"{}", "not a TFLite model"),
        (
            b"# A read-me\n\nwith \xc3\xa4 words\n" * 4,
            "a text file, not a TFLite model; models are .tflite, .keras",
        ),
        ("\u6a21\u578b".encode() * 30, "this is a text file, not a TFLite model"),
        (b"\x89PNG\r\n\x1a\n" + bytes(60), "this is a picture, not a model"),
        (b"%PDF-1.7\n" + bytes(60), "this is a PDF document, not a model"),
        (b"\x7fELF\x02\x01\x01" + bytes(60), "this is a program, not a model"),
        (b"PK", "not a TFLite model"),
        (bytes(4096), "not a TFLite model"),
        (b"\xff" * 4096, "not a TFLite model"),
        (b"\x1c\0\0\0TFL3" + bytes(4096), "truncated or damaged"),
    ],
)
def test_other_formats_under_a_model_s_name(tmp_path: Path, data: bytes, says: str) -> None:
    assert says in refuse_data(tmp_path, data)


def test_a_wrong_extension_does_not_matter(tmp_path: Path, small_model: bytes) -> None:
    for name in ("model.bin", "model", "model.h5", "model.zip"):
        (tmp_path / name).write_bytes(small_model)
        assert loaders.load(tmp_path / name).main.operators


def test_a_zip_behind_a_model_is_no_fault(tmp_path: Path, small_model: bytes) -> None:
    """TFLite metadata is packed that way: labels and vocabularies in an archive after the flatbuffer."""
    path = tmp_path / "model.tflite"
    path.write_bytes(small_model)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("labels.txt", "cat")
    assert path.read_bytes()[4:8] == b"TFL3"
    assert loaders.load(path).main.operators


# --- damaged models ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("of", "step"), [("smallest", 1), ("small", 7)])
def test_truncated_at_any_byte(tmp_path: Path, small_model: bytes, of: str, step: int) -> None:
    data = small_model if of == "small" else hostile()
    path = tmp_path / "cut.tflite"
    for length in range(0, len(data), step):
        path.write_bytes(data[:length])
        start = time.perf_counter()
        assert not use(path), f"cut at byte {length}"
        assert time.perf_counter() - start < SECONDS


def test_truncated_real_model(tmp_path: Path, mediapipe_models: Path) -> None:
    data = (mediapipe_models / "face_detection/face_detection_full_range_sparse.tflite").read_bytes()
    for length in range(9, len(data), 9973):
        assert "truncated or damaged" in refuse_data(tmp_path, data[:length])


def test_random_bytes(tmp_path: Path) -> None:
    generator = random.Random(0)
    for length in [*range(64), 100, 1000, 10_000, 1_000_000]:
        assert "TFLite model" in refuse_data(tmp_path, b"\1" + generator.randbytes(length))


HOSTILE = [0, 1, 2, 0x7F, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFC, 0xFFFFFFFF]


@pytest.mark.parametrize("seed", some(range(8), 3))
def test_random_damage_gives_a_model_or_a_model_error(tmp_path: Path, small_model: bytes, seed: int) -> None:
    generator = random.Random(seed)
    path = tmp_path / "damaged.tflite"
    refused = 0
    for _ in range(400):
        data = bytearray(small_model)
        for _ in range(generator.choice([1, 1, 1, 2, 4, 16])):
            at = generator.randrange(8, len(data) - 4)
            if generator.random() < 0.5:
                data[at] = generator.randrange(256)
            else:
                at -= at % 4
                wild = generator.choice(
                    [*HOSTILE, len(data), generator.randrange(2**32), generator.randrange(len(data))]
                )
                data[at : at + 4] = struct.pack("<I", wild)
        path.write_bytes(data)
        start = time.perf_counter()
        refused += not use(path)
        assert time.perf_counter() - start < SECONDS
    assert 100 < refused < 390


# --- hostile models: well-formed flatbuffers that lie -----------------------------------------------------------------


def int32(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def tensor(**fields) -> Table:
    return table("Tensor", **({"shape": int32(1, 4), "type": 0, "buffer": 0, "name": "t"} | fields))


def operator(inputs, outputs, code: int = 0, **fields) -> Table:
    return table("Operator", opcode_index=code, inputs=int32(*inputs), outputs=int32(*outputs), **fields)


def hostile(tensors=None, operators=None, inputs=(0,), outputs=(1,), buffers=(), **fields) -> bytes:
    """A model with a RELU, or as told; operator codes 0 to 2 are RELU, IF and ADD."""
    parts = {"tensors": tensors or [tensor(), tensor()], "operators": operators or [operator([0], [1])]}
    g = table("SubGraph", **parts, inputs=int32(*inputs), outputs=int32(*outputs))
    codes = [
        table("OperatorCode", deprecated_builtin_code=code, builtin_code=code, version=1)
        for code in (tflite.BuiltinOperator.RELU, tflite.BuiltinOperator.IF, tflite.BuiltinOperator.ADD)
    ]
    root = {"version": 3, "operator_codes": codes, "subgraphs": [g], "buffers": [table("Buffer"), *buffers]}
    return serialize(table("Model", **(root | fields)))


def sparse_tensor(shape, order, levels, block_map=()) -> Table:
    encoding = table(
        "SparsityParameters", traversal_order=int32(*order), block_map=int32(*block_map), dim_metadata=levels
    )
    return tensor(shape=int32(*shape), buffer=1, sparsity=encoding)


def csr(segments, indices) -> Table:
    vectors = {"array_segments": segments, "array_indices": indices}
    fields = {name: table("Int32Vector", values=int32(*values)) for name, values in vectors.items()}
    return table("DimensionMetadata", format=1, array_segments_type=1, array_indices_type=1, **fields)


def dense(size: int) -> Table:
    return table("DimensionMetadata", format=0, dense_size=size)


def if_branch(index: int) -> Table:
    branch = table("IfOptions", then_subgraph_index=index, else_subgraph_index=0)
    return operator([0], [1], 1, builtin_options_type=tflite.BuiltinOptions.IfOptions, builtin_options=branch)


FOUR = [table("Buffer", data=bytes(16))]
QUANTIZED = {"scale": np.ones(3, np.float32), "zero_point": np.zeros(3, np.int64)}
LIES = {
    "an input that is no tensor": (
        dict(operators=[operator([2], [1])]),
        "subgraph 0, operator 0: it refers to tensor 2, and there are 2",
    ),
    "an input below the absent one": (dict(operators=[operator([-2], [1])]), "refers to tensor -2"),
    "an absent output": (dict(operators=[operator([0], [-1])]), "refers to tensor -1"),
    "a graph input that is no tensor": (dict(inputs=(7,)), "subgraph 0: 'inputs' refers to tensor 7"),
    "a graph output that is no tensor": (dict(outputs=(-1,)), "'outputs' refers to tensor -1"),
    "an operator without code": (dict(operators=[operator([0], [1], 3)]), "operator code 3, and there are 3"),
    "a buffer that is not there": (dict(tensors=[tensor(), tensor(buffer=9)]), "refers to buffer 9, and there are 1"),
    "a buffer past the end": (
        dict(tensors=[tensor(), tensor(buffer=1)], buffers=[table("Buffer", offset=64, size=2**40)]),
        "buffer 1 claims 1,099,511,627,776 bytes at 64, past the end of the file",
    ),
    "an offset that overflows": (
        dict(tensors=[tensor(), tensor(buffer=1)], buffers=[table("Buffer", offset=2**64 - 8, size=16)]),
        "past the end of the file",
    ),
    "a shape larger than its data": (
        dict(tensors=[tensor(), tensor(), tensor(shape=int32(1, 5), buffer=1)], buffers=FOUR),
        "subgraph 0, tensor 2: its shape takes 20 bytes, and buffer 1 holds 16",
    ),
    "a negative dimension": (dict(tensors=[tensor(shape=int32(1, -4)), tensor()]), "has a negative dimension"),
    "a dimension below -1": (dict(tensors=[tensor(shape_signature=int32(-2, 4)), tensor()]), "below -1"),
    "a shape larger than any memory": (
        dict(tensors=[tensor(shape=int32(*[2**31 - 1] * 4)), tensor()]),
        "larger than any memory",
    ),
    "a shape that overflows beside a zero": (
        dict(tensors=[tensor(shape=int32(0, *[2**31 - 1] * 4)), tensor()]),
        "larger than any memory",
    ),
    "too many dimensions": (dict(tensors=[tensor(shape=np.ones(33, np.int32)), tensor()]), "claims 33 dimensions"),
    "a cycle": (
        dict(tensors=[tensor()] * 4, operators=[operator([0, 2], [1], 2), operator([1], [2])]),
        "operator 0 (ADD) reads tensor 2, which is written only later by operator 1 (RELU)",
    ),
    "an operator that reads its output": (
        dict(operators=[operator([1], [1])]),
        "operator 0 (RELU) reads tensor 1, which is written only later by operator 0 (RELU)",
    ),
    "two writers": (
        dict(operators=[operator([0], [1]), operator([0], [1])]),
        "tensor 1 is written twice, by operator 0 (RELU) and operator 1 (RELU)",
    ),
    "one writer twice": (dict(operators=[operator([0], [1, 1])]), "tensor 1 is written twice"),
    "a written constant": (
        dict(tensors=[tensor(), tensor(buffer=1)], buffers=FOUR),
        "operator 0 (RELU) writes tensor 1, which is a constant",
    ),
    "a written input": (dict(inputs=(0, 1)), "operator 0 (RELU) writes tensor 1, which is an input of the graph"),
    "a subgraph that is not there": (
        dict(operators=[if_branch(5)]),
        "subgraph 0, operator 0: then_subgraph_index is 5, and there are 1 subgraphs",
    ),
    "a signature of no subgraph": (
        dict(signature_defs=[table("SignatureDef", signature_key="s", subgraph_index=1)]),
        "signature 0: it refers to subgraph 1, and there are 1",
    ),
    "a signature of no tensor": (
        dict(
            signature_defs=[
                table("SignatureDef", signature_key="s", inputs=[table("TensorMap", name="x", tensor_index=9)])
            ]
        ),
        "signature 0: 'x' refers to tensor 9",
    ),
    "metadata in no buffer": (
        dict(metadata=[table("Metadata", name="m", buffer=77)]),
        "metadata entry 0: it refers to buffer 77",
    ),
    "a version of the future": (dict(version=4), "its schema version is 4, and only version 3 is known"),
    "no subgraph": (dict(subgraphs=[]), "it holds no subgraph"),
    "scales without channels": (
        dict(tensors=[tensor(quantization=table("QuantizationParameters", **QUANTIZED)), tensor()]),
        "it has 3 quantization scales for 1 channels",
    ),
    "a channel that is no dimension": (
        dict(
            tensors=[
                tensor(quantization=table("QuantizationParameters", **QUANTIZED, quantized_dimension=2)),
                tensor(),
            ]
        ),
        "its quantized dimension is 2, and it has 2 dimensions",
    ),
    "a giant sparse tensor": (
        dict(tensors=[tensor(), tensor(), sparse_tensor([2**20, 2**20], [0, 1], [dense(2**20)] * 2)], buffers=FOUR),
        "subgraph 0, tensor 2: its sparsity describes 1,099,511,627,776 values, and 4 are stored",
    ),
    "a sparse level of another size": (
        dict(tensors=[tensor(), tensor(), sparse_tensor([2, 2], [0, 1], [dense(2), dense(3)])], buffers=FOUR),
        "its sparse level 1 is dense with 3 indices instead of 2",
    ),
    "a traversal order that is none": (
        dict(tensors=[tensor(), tensor(), sparse_tensor([2, 2], [0, 0], [dense(2), dense(2)])], buffers=FOUR),
        "has the traversal order [0, 0]",
    ),
    "a block of no dimension": (
        dict(tensors=[tensor(), tensor(), sparse_tensor([2], [0, 1], [dense(1), dense(2)], [4])], buffers=FOUR),
        "has the block map [4], and it has 1 dimensions",
    ),
    "blocks that the runtime's decoder takes for others": (
        dict(
            tensors=[
                tensor(),
                tensor(),
                sparse_tensor([4, 6, 10], [0, 1, 2, 4, 5, 3], [dense(d) for d in (2, 2, 2, 3, 5, 2)], [0, 1, 2]),
            ],
            buffers=[table("Buffer", data=bytes(960))],
        ),
        "the blocks of its sparsity reach outside of it",
    ),
    "an index outside": (
        dict(
            tensors=[tensor(), tensor(), sparse_tensor([2, 2], [0, 1], [dense(2), csr([0, 1, 2], [0, 2])])],
            buffers=FOUR,
        ),
        "its sparse level 1 has an index outside of 0 to 1",
    ),
    "segments that fall": (
        dict(
            tensors=[tensor(), tensor(), sparse_tensor([2, 2], [0, 1], [dense(2), csr([0, 2, 1], [0])])], buffers=FOUR
        ),
        "the segments of its sparse level 1 do not divide its 1 indices",
    ),
    "too few segments": (
        dict(tensors=[tensor(), tensor(), sparse_tensor([2, 2], [0, 1], [dense(2), csr([0, 1], [0])])], buffers=FOUR),
        "its sparse level 1 has 1 segments for 2 nodes",
    ),
    "no index vectors": (
        dict(
            tensors=[tensor(), tensor(), sparse_tensor([2], [0], [table("DimensionMetadata", format=1)])], buffers=FOUR
        ),
        "sparse level 0: it has no 'array_segments'",
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_lies(tmp_path: Path, lie: str) -> None:
    fields, says = LIES[lie]
    assert says in refuse_data(tmp_path, hostile(**fields))


@pytest.mark.parametrize("index", range(4))
def test_the_place_of_a_fault_is_the_right_one(tmp_path: Path, index: int) -> None:
    data = bytearray(hostile(tensors=[tensor(), tensor(), tensor(), tensor()]))
    g = tflite.Model.GetRootAs(data, 0).Subgraphs(0)
    struct.pack_into("<I", data, g._tab.Vector(g._tab.Offset(4)) + 4 * index, 0x7FFFFFFF)
    assert refuse_data(tmp_path, bytes(data)).startswith(f"subgraph 0, tensor {index}: an offset points past the end")


def test_the_model_that_the_lies_change_is_fine(tmp_path: Path) -> None:
    path = tmp_path / "fine.tflite"
    path.write_bytes(hostile())
    assert use(path)
    path.write_bytes(
        hostile(operators=[if_branch(0)], tensors=[tensor(), tensor(is_variable=True), tensor(buffer=1)], buffers=FOUR)
    )
    assert use(path)


def overlapping_tables() -> bytes:
    """3,000 subgraphs that are all the same one, with 3,000 tensors."""
    subgraphs = [table("SubGraph", tensors=[tensor()] * 3000), *[table("SubGraph", name="x")] * 2999]
    data = bytearray(hostile(subgraphs=subgraphs))
    root = tflite.Model.GetRootAs(data, 0)
    vector = root._tab.Vector(root._tab.Offset(8))
    first = root._tab.Indirect(vector)
    for at in range(vector, vector + 4 * 3000, 4):
        struct.pack_into("<I", data, at, (first - at) % 2**32)
    assert root.Subgraphs(2999).TensorsLength() == 3000
    return bytes(data)


def overlapping_names() -> bytes:
    """20,000 tensors whose names are all the same 60 KB."""
    data = bytearray(hostile(tensors=[tensor(name="n" * 60_000), tensor(), *[tensor(name="x")] * 20_000]))
    g = tflite.Model.GetRootAs(data, 0).Subgraphs(0)
    first = g.Tensors(0)._tab
    name = first.Indirect(first.Offset(10) + first.Pos)
    for i in range(2, g.TensorsLength()):
        t = g.Tensors(i)._tab
        at = t.Offset(10) + t.Pos
        struct.pack_into("<I", data, at, (name - at) % 2**32)
    return bytes(data)


def test_tables_that_overlap_are_not_read_for_ever(tmp_path: Path) -> None:
    assert "it claims 9,000,000 tensors and operators" in refuse_data(tmp_path, overlapping_tables())


def test_names_that_overlap_are_not_read_for_ever(tmp_path: Path) -> None:
    assert "overlap, so that they claim more than the file holds" in refuse_data(tmp_path, overlapping_names())


# On Linux what the process itself took: `ru_maxrss` begins with what the tests' own process has at the fork.
PEAK = """
import pathlib, re, resource, sys
from xnnlint import loaders
from xnnlint.errors import ModelError
try:
    loaders.load(sys.argv[1])
except ModelError as error:
    print(error)
status = pathlib.Path("/proc/self/status")
if status.exists():
    print(int(re.search(r"VmHWM:\\s+([0-9]+) kB", status.read_text())[1]) * 1024 / 1e6)
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs the resource module")
@pytest.mark.parametrize("kind", ["noise", "overlapping tables", "overlapping names", "a giant sparse tensor"])
def test_memory_stays_small(tmp_path: Path, kind: str) -> None:
    data = {
        "noise": lambda: random.Random(0).randbytes(1 << 20),
        "overlapping tables": overlapping_tables,
        "overlapping names": overlapping_names,
        "a giant sparse tensor": lambda: hostile(**LIES["a giant sparse tensor"][0]),
    }[kind]()
    path = tmp_path / "model.tflite"
    path.write_bytes(data)
    done = subprocess.run([sys.executable, "-c", PEAK, str(path)], capture_output=True, text=True, timeout=60)
    sentence, megabytes = done.stdout.splitlines()
    assert sentence.startswith(str(path)) and float(megabytes) < MEGABYTES, done.stdout


def test_other_files_are_still_checked(tmp_path: Path, small_model: bytes) -> None:
    """The whole program, on a folder with good and bad files."""
    (tmp_path / "bad.tflite").write_bytes(small_model[:1000])
    (tmp_path / "good.tflite").write_bytes(small_model)
    (tmp_path / "zip.tflite").write_bytes(b"PK\x03\x04" + bytes(60))
    (tmp_path / "empty").mkdir()
    command = [sys.executable, "-m", "xnnlint", "check", str(tmp_path), str(tmp_path / "empty")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert any(line.split()[0].endswith("good.tflite") for line in done.stdout.splitlines() if line)
    errors = done.stderr.splitlines()
    assert [Path(e.split(": ")[2]).name for e in errors] == ["bad.tflite", "zip.tflite", "empty"]
    assert all(e.startswith(f"xnnlint: error: {tmp_path}") for e in errors)
