"""Damaged and hostile Keras files: one clear sentence each, in little time and memory."""

from __future__ import annotations

import io
import json
import random
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.models import DATA, FIXTURES
from xnnlint.errors import ModelError
from xnnlint.loaders.keras.read_file import read

CASES = DATA / "keras_read_cases.zip"
SECONDS, MEGABYTES = 5, 300

# Reads each file in a process that may grow by so many megabytes only, and says what happened: "read" or the sentence
# of the error, or the name of any other exception; and the time of the processor that it took. The imports are done
# once, in a process that forks one such for each line of paths.
READER = """
import json, os, sys, time
import numpy
from xnnlint.errors import XnnlintError
from xnnlint.loaders.keras.read_file import read
def read_all(paths):
    try:
        import resource
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEGABYTES * 2**20,) * 2)
    except (ImportError, OSError):
        pass
    for path in paths:
        start = time.process_time()
        says = "read"
        try:
            for layer in read(path)[1].all_layers():
                for weight in layer.weights.values():
                    weight()
        except XnnlintError as error:
            says = str(error)
        except BaseException as error:
            says = f"CRASH {type(error).__name__}: {error}"
        print(json.dumps([path, says, time.process_time() - start]), flush=True)
for line in sys.stdin:
    child = os.fork()
    if not child:
        read_all(json.loads(line))
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
""".replace("MEGABYTES", str(MEGABYTES))


@pytest.fixture(scope="module", autouse=True)
def reader() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", READER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        _READERS.append(process)
        yield process
        _READERS.remove(process)


_READERS: list[subprocess.Popen[str]] = []


def read_all(paths: Iterable[Path]) -> list[str]:
    """What is said of each file, after checking that it is what it should be."""
    given = [str(path) for path in paths]
    (process,) = _READERS
    assert process.stdin and process.stdout
    print(json.dumps(given), file=process.stdin, flush=True)
    answers = []
    while isinstance(answer := json.loads(process.stdout.readline()), list):
        answers.append(answer)
    assert answer == 0
    assert [path for path, _, _ in answers] == given
    for path, says, seconds in answers:
        assert says == "read" or says.startswith(f"{path}: "), says
        assert "\n" not in says and len(says) < 500 and seconds < SECONDS, (says, seconds)
    return [says.removeprefix(f"{path}: ") for path, says, _ in answers]


def refuse(path: Path) -> str:
    (says,) = read_all([path])
    assert says != "read"
    return says


# --- damaged files


def sources() -> dict[str, bytes]:
    found = {name: (FIXTURES / name).read_bytes() for name in ("guide_wrapped.h5", "guide_keras3.keras")}
    with zipfile.ZipFile(CASES) as cases:
        return found | {name: cases.read(name) for name in ("keras3_nested.h5", "pruned.keras", "chunked.h5")}


def test_truncated(tmp_path: Path) -> None:
    paths = []
    for name, data in sources().items():
        for index in range(30):
            paths.append(tmp_path / f"{index}_{name}")
            paths[-1].write_bytes(data[: len(data) * index // 30])
    assert "read" not in read_all(paths)


def test_truncated_saved_models(tmp_path: Path) -> None:
    with zipfile.ZipFile(CASES) as cases:
        names = [name for name in cases.namelist() if name.startswith("pruned/")]
        folders = []
        for name in names:
            data = cases.read(name)
            for index in range(20 if data else 0):
                folders.append(tmp_path / f"{Path(name).stem}_{index}")
                for other in names:
                    path = folders[-1] / other.removeprefix("pruned/")
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(data[: len(data) * index // 20] if other == name else cases.read(other))
    answers = read_all(folders)
    # Of the metadata only the outermost model's is read, which comes first.
    assert len(answers) == 60 and answers.count("read") < 20


SIGNATURES = (b"TREE", b"HEAP", b"SNOD", b"GCOL", b"PK\1\2", b"PK\3\4", b"PK\5\6", b'"inbound_nodes"', b'"class_name"')


def damaged(data: bytes, chance: random.Random) -> bytes:
    """With some bytes changed, mostly behind the signature of a structure."""
    result = bytearray(data)
    for _ in range(chance.choice([1, 2, 4, 16, 64])):
        at = result.find(chance.choice(SIGNATURES), chance.randrange(len(data)))
        at = at + chance.randrange(120) if at >= 0 and chance.random() < 0.7 else chance.randrange(len(data))
        value = chance.choice(
            [0, 1, 0xFF, 0xFFFF, 1 << 31, 1 << 63, (1 << 64) - 1, len(data), chance.randrange(len(data))]
        )
        piece = bytes([value & 0xFF]) if chance.random() < 0.5 else struct.pack("<Q", value)
        result[at : at + len(piece)] = piece
    return bytes(result[: len(data)])


def test_random_damage(tmp_path: Path) -> None:
    paths = []
    for name, data in sources().items():
        for seed in range(120):
            paths.append(tmp_path / f"{seed}_{name}")
            paths[-1].write_bytes(damaged(data, random.Random(f"{name}{seed}")))
    answers = read_all(paths)
    assert 20 < answers.count("read") < 500


def test_random_bytes(tmp_path: Path) -> None:
    paths = []
    for seed, head in enumerate([b"\x89HDF\r\n\x1a\n", b"PK\x03\x04", b'{"class_name":', b""] * 5):
        paths.append(tmp_path / f"{seed}.{'json' if head[:1] == b'{' else 'keras'}")
        paths[-1].write_bytes(head + random.Random(seed).randbytes(5000))
    assert "read" not in read_all(paths)


# --- archives that unpack to more than there is room for


def archive(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as out:
        for name, data in members.items():
            out.writestr(name, data)
    return path


CONFIG = json.dumps(
    {
        "class_name": "Sequential",
        "config": {
            "name": "model",
            "layers": [
                {"class_name": "Dense", "config": {"name": "it", "use_bias": False, "batch_input_shape": [None, 8, 8]}}
            ],
        },
    }
).encode()


def test_zip_bombs(tmp_path: Path) -> None:
    spaces, zeros = b" " * (40 << 20), bytes(200 << 20)
    config = archive(tmp_path / "config.keras", {"config.json": spaces})
    assert refuse(config).startswith("config.json claims 41,943,040 bytes")
    weights = archive(tmp_path / "weights.keras", {"config.json": CONFIG, "model.weights.h5": zeros})
    assert refuse(weights).startswith("model.weights.h5 claims 209,715,200 bytes from 203,")


@pytest.mark.parametrize("claim", [100, 1 << 16, 1 << 31, (1 << 32) - 1])
def test_a_member_that_lies_about_its_size(tmp_path: Path, claim: int) -> None:
    path = archive(tmp_path / "m.keras", {"config.json": b" " * (1 << 20)})
    data = bytearray(path.read_bytes())
    place = data.find(b"PK\1\2")
    struct.pack_into("<I", data, place + 24, claim)
    path.write_bytes(data)
    assert refuse(path).startswith("config.json claims")


def test_a_directory_without_end(tmp_path: Path) -> None:
    path = archive(tmp_path / "m.keras", {"config.json": CONFIG})
    data = bytearray(path.read_bytes())
    place = data.find(b"PK\5\6")
    struct.pack_into("<HHII", data, place + 8, 65535, 65535, 0xFFFFFFFF, 0)
    path.write_bytes(data)
    assert refuse(path).startswith("this zip archive's directory is damaged")


# --- configs


def nested_models(depth: int) -> bytes:
    entry = {"class_name": "Dense", "config": {"name": "dense", "batch_input_shape": [None, 3]}}
    for level in range(depth):
        entry = {"class_name": "Sequential", "config": {"name": f"model{level}", "layers": [entry]}}
    return json.dumps(entry).encode()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b'{"class_name":' + b"[" * 200_000 + b"]" * 200_000 + b"}", "the file is nested too deeply"),
        (b'{"class_name":' + b"[" * 900 + b"]" * 900 + b"}", "the config describes no Keras model"),
        (b'{"class_name":' + b"9" * 100_000 + b"}", ""),
        (
            b'{"class_name":"Sequential","config":[' + b"[]," * 2_000_000 + b"[]]}",
            "the file is larger than any model's",
        ),
        (b'{"class_name":"Sequential","config":[' + b"0," * 700_000 + b"0]}", ""),
        (b'{"class_name":"' + b"x" * (40 << 20) + b'"}', "the file is larger than any model's"),
        (nested_models(60), "models are nested too deeply"),
        (CONFIG.replace(b"8, 8", b"1e400, -1"), ""),
        (b'{"class_name":"Sequential"}', "the config of this Sequential model lists no layers"),
        (b"{}", "the config describes no Keras model"),
        (b'{"a":', "the file is not valid JSON"),
    ],
)
def test_configs(tmp_path: Path, text: bytes, says: str) -> None:
    (tmp_path / "m.json").write_bytes(text)
    assert refuse(tmp_path / "m.json").startswith(says)


def test_models_may_be_nested(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_bytes(nested_models(20))
    assert read(tmp_path / "m.json")[1].layers[1].model is not None


def test_many_layers_with_one_name(tmp_path: Path) -> None:
    layers = [{"class_name": "ReLU", "config": {"name": "same"}}] * 2
    (tmp_path / "m.json").write_text(
        json.dumps({"class_name": "Sequential", "config": {"name": "s", "layers": layers}})
    )
    assert refuse(tmp_path / "m.json").startswith("two layers are named 'same'")


# --- HDF5, byte by byte

UNDEFINED = (1 << 64) - 1
ROOT = 96


def message(kind: int, data: bytes) -> bytes:
    data += bytes(-len(data) % 8)
    return struct.pack("<HHBxxx", kind, len(data), 0) + data


def hdf5(messages: list[bytes], behind: bytes = b"") -> bytes:
    """A file whose root group has these messages in its header, at byte 96, and other bytes behind them."""
    body = b"".join(messages)
    header = struct.pack("<BxHIIxxxx", 1, len(messages), 1, len(body)) + body
    size = ROOT + len(header) + len(behind)
    start = b"\x89HDF\r\n\x1a\n" + struct.pack("<BBBxBBBxHHI", 0, 0, 0, 0, 8, 8, 4, 16, 0)
    start += struct.pack("<QQQQ", 0, UNDEFINED, size, UNDEFINED) + struct.pack("<QQI20x", 0, ROOT, 0)
    return start + header + behind


def place_behind(messages: list[bytes]) -> int:
    return len(hdf5(messages))


def keras_with(weights: bytes) -> dict[str, bytes]:
    return {"config.json": CONFIG, "model.weights.h5": weights}


def tree(level: int, children: Iterable[int]) -> bytes:
    entries = b"".join(struct.pack("<QQ", 0, child) for child in children)
    count = len(entries) // 16
    return b"TREE" + struct.pack("<BBHQQ", 0, level, count, UNDEFINED, UNDEFINED) + entries + bytes(8)


def group(tree_at: int, heap_at: int) -> bytes:
    return message(0x11, struct.pack("<QQ", tree_at, heap_at))


HEAP_SIZE = 32 + 8


def heap(at: int, names: bytes = bytes(8)) -> bytes:
    return b"HEAP" + struct.pack("<BxxxQQQ", 0, len(names), UNDEFINED, at + 32) + names


def test_a_header_that_continues_in_itself(tmp_path: Path) -> None:
    data = hdf5([message(0x10, struct.pack("<QQ", ROOT + 16, 24))])
    (tmp_path / "m.h5").write_bytes(data)
    assert "contains itself" in refuse(tmp_path / "m.h5")


def test_a_tree_that_contains_itself(tmp_path: Path) -> None:
    at = place_behind([group(0, 0)])
    data = hdf5([group(at + HEAP_SIZE, at)], heap(at) + tree(1, [at + HEAP_SIZE]))
    path = archive(tmp_path / "m.keras", keras_with(data))
    assert "is damaged" in refuse(path)


def test_a_tree_that_grows_with_every_level(tmp_path: Path) -> None:
    at = place_behind([group(0, 0)])
    nodes, place = b"", at + HEAP_SIZE
    for level in range(60, 0, -1):
        place += len(tree(level, [0] * 100))
        nodes += tree(level, [place] * 100)
    nodes += tree(0, [])
    data = hdf5([group(at + HEAP_SIZE, at)], heap(at) + nodes)
    says = refuse(archive(tmp_path / "m.keras", keras_with(data)))
    assert "more parts than this version reads" in says


def test_a_group_that_contains_itself(tmp_path: Path) -> None:
    """Under many names, each of which could be followed."""
    listed = ["", "layers", "lstm", *map(str, range(48))]
    names = b"".join(name.encode().ljust(8, b"\0") for name in listed)
    at = place_behind([group(0, 0)])
    table = at + 32 + len(names)
    leaf = table + len(tree(0, [0]))
    entries = b"".join(struct.pack("<QQI20x", 8 * index, ROOT, 0) for index in range(1, 51))
    data = hdf5([group(table, at)], heap(at, names) + tree(0, [leaf]) + b"SNOD" + struct.pack("<BxH", 1, 50) + entries)
    members = keras_with(data) | {"config.json": CONFIG.replace(b"Dense", b"LSTM")}
    assert "layer 'it' holds more layers than any" in refuse(archive(tmp_path / "m.keras", members))


def attribute(name: bytes, type_: bytes, shape: bytes, value: bytes) -> bytes:
    def padded(data: bytes) -> bytes:
        return data + bytes(-len(data) % 8)

    sizes = struct.pack("<BxHHH", 1, len(name) + 1, len(type_), len(shape))
    return message(0xC, sizes + padded(name + b"\0") + padded(type_) + padded(shape) + value)


TEXT = struct.pack("<BBBBI", 0x19, 1, 0, 0, 16) + struct.pack("<BBBBI", 0x13, 0, 0, 0, 1)
SCALAR = struct.pack("<BBBxxxxx", 1, 0, 0)


def texts(names: list[bytes], length: int, heap_at: int) -> list[bytes]:
    return [attribute(name, TEXT, SCALAR, struct.pack("<IQI", length, heap_at, 1)) for name in names]


def collection(data: bytes) -> bytes:
    data += bytes(-len(data) % 8)
    return b"GCOL" + struct.pack("<BxxxQ", 1, 32 + len(data)) + struct.pack("<HHIQ", 1, 1, 0, len(data)) + data


def test_the_writer_of_these_tests_is_right(tmp_path: Path) -> None:
    at = place_behind(texts([b"model_config"], 0, 0))
    data = hdf5(texts([b"model_config"], len(CONFIG), at), collection(CONFIG))
    (tmp_path / "m.h5").write_bytes(data)
    assert refuse(tmp_path / "m.h5").startswith("the file holds no weights")


def test_attributes_that_share_a_large_text(tmp_path: Path) -> None:
    names = [f"text{index}".encode() for index in range(300)]
    size = 8 << 20
    at = place_behind(texts(names, 0, 0))
    (tmp_path / "m.h5").write_bytes(hdf5(texts(names, size, at), collection(bytes(size))))
    assert "attributes are larger than any model's" in refuse(tmp_path / "m.h5")


def test_a_text_longer_than_the_file(tmp_path: Path) -> None:
    at = place_behind(texts([b"model_config"], 0, 0))
    heap_ = collection(CONFIG)[:24] + struct.pack("<Q", 1 << 40) + CONFIG
    (tmp_path / "m.h5").write_bytes(hdf5(texts([b"model_config"], (1 << 32) - 1, at), heap_))
    assert "its HDF5 data cannot be read" in refuse(tmp_path / "m.h5")


FLOAT = struct.pack("<BBBBI", 0x11, 0x20, 0x1F, 0, 4) + struct.pack("<HHBBBBI", 0, 32, 23, 8, 0, 23, 127)


def dataset(shape: tuple[int, ...], layout: bytes, *more: bytes) -> bytes:
    space = struct.pack("<BBBxxxxx", 1, len(shape), 0) + b"".join(struct.pack("<Q", size) for size in shape)
    body = b"".join([message(1, space), message(3, FLOAT), message(8, layout), *more])
    return struct.pack("<BxHIIxxxx", 1, 3 + len(more), 1, len(body)) + body


def keras_with_dataset(make: object, behind: bytes = b"") -> dict[str, bytes]:
    """layers/dense/vars/0, the only variable; `make` gets the place behind it, where `behind` is."""
    assert callable(make)
    names = b"\0" * 8 + b"layers\0\0dense\0\0\0vars\0\0\0\0" + b"0\0\0\0\0\0\0\0"
    at = place_behind([group(0, 0)])
    table = at + 32 + len(names)
    leaf = table + len(tree(0, [0]))
    found = leaf + 8 + 4 * 40
    size = len(make(0))
    entries = b"".join(struct.pack("<QQI20x", 8 * index, ROOT if index < 4 else found, 0) for index in range(1, 5))
    parts = heap(at, names) + tree(0, [leaf]) + b"SNOD" + struct.pack("<BxH", 1, 4) + entries
    return keras_with(hdf5([group(table, at)], parts + make(found + size) + behind))


def test_a_small_array_is_read(tmp_path: Path) -> None:
    values = struct.pack("<4f", 1, 2, 3, 4)
    members = keras_with_dataset(lambda at: dataset((2, 2), struct.pack("<BBQQ", 3, 1, at, 16)), values)
    model = read(archive(tmp_path / "m.keras", members, zipfile.ZIP_STORED))[1]
    assert model.layer("it").weights["kernel"]().tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("shape", "size"), [((1 << 40,), 16), ((1 << 62, 1 << 62), 16), ((1 << 47, 0, 1 << 47), 0), ((1 << 20,), 1 << 22)]
)
def test_arrays_that_are_not_there(tmp_path: Path, shape: tuple[int, ...], size: int) -> None:
    members = keras_with_dataset(lambda at: dataset(shape, struct.pack("<BBQQ", 3, 1, at, size)), bytes(16))
    says = refuse(archive(tmp_path / "m.keras", members))
    assert "cut short" in says or "claims an array" in says


def test_a_large_array_that_was_never_written(tmp_path: Path) -> None:
    members = keras_with_dataset(lambda at: dataset((1 << 40,), struct.pack("<BBQQ", 3, 1, UNDEFINED, 0)))
    assert "unpacked; the limit is" in refuse(archive(tmp_path / "m.keras", members))


def chunked(at: int, chunk: int) -> bytes:
    layout = struct.pack("<BBBQII", 3, 2, 2, at, chunk, 4)
    return dataset((1 << 24,), layout, message(0xB, struct.pack("<BBxxxxxxHHHH", 1, 1, 1, 0, 1, 1) + bytes(8)))


@pytest.mark.parametrize(("chunk", "says"), [(1 << 22, "has 0 of"), (1 << 26, "chunks of shape"), (1 << 20, "")])
def test_chunks(tmp_path: Path, chunk: int, says: str) -> None:
    """Packed chunks that unpack to nothing, to too much, and to more than the array."""
    packed = zlib.compress(bytes(0) if chunk == 1 << 22 else bytes(64 << 20))
    count = 2000

    def nodes(at: int) -> bytes:
        data = at + 24 + count * 32 + 24
        keys = b"".join(struct.pack("<IIQQQ", len(packed), 0, 0, 0, data) for _ in range(count))
        return b"TREE" + struct.pack("<BBHQQ", 1, 0, count, UNDEFINED, UNDEFINED) + keys + bytes(24) + packed

    place = 0

    def make(at: int) -> bytes:
        nonlocal place
        place = at
        return chunked(at, chunk)

    keras_with_dataset(make)
    members = keras_with_dataset(make, nodes(place))
    assert says in refuse(archive(tmp_path / "m.keras", members, zipfile.ZIP_STORED))


# --- protocol buffers


def field(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


@pytest.mark.parametrize(
    "metadata",
    [
        b"\xff" * 100,
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x08\x01" * 3_000_000,
        field(1, b"") * 3_000_000,
        field(1, field(3, b"root") + field(4, b"_tf_keras_model") + field(5, b'{"class_name":"A","config":null}')),
        field(1, field(3, b"root") + field(4, b"_tf_keras_layer") + field(5, b"{}")),
    ],
)
def test_keras_metadata(tmp_path: Path, metadata: bytes) -> None:
    (tmp_path / "saved_model.pb").touch()
    (tmp_path / "keras_metadata.pb").write_bytes(metadata)
    refuse(tmp_path)


def test_the_error_is_of_the_package_s_own_kind(tmp_path: Path) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as out:
        out.writestr("config.json", b"\xff\xfe")
    (tmp_path / "m.keras").write_bytes(data.getvalue())
    with pytest.raises(ModelError, match=r"config\.json is not valid JSON"):
        read(tmp_path / "m.keras")
