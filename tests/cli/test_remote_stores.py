"""Models on Google Cloud Storage and on the Hugging Face Hub, against servers that run here."""

from __future__ import annotations

import json
import os
import shutil
import socket
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import pytest

from tests.cli.program import run, spawn
from tests.gcs_server import BUCKET, gcs_server
from tests.hf_server import REPOSITORY, hf_server
from tests.models import FIXTURES

FILES = {
    "half.tflite": "guide_half.tflite",
    "team/sparse.keras": "guide_sparse.keras",
    "team/new/sparse.tflite": "guide_sparse.tflite",
}


class Place(NamedTuple):
    """Where the models are: an address, what the program needs to find its server, and how to put a file there."""

    address: str
    environment: dict[str, str]
    put: Callable[[str, bytes], object]


@pytest.fixture(params=["gs", "hf"])
def place(request, tmp_path, monkeypatch) -> Iterator[Place]:
    """The same files there, in `zoo`, which is the current folder, and one that is no model."""
    here = tmp_path / "zoo"
    for name, source in FILES.items():
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(FIXTURES / source, here / name)
    (here / "film.tflite").write_bytes(b"\x89PNG" + bytes(1000))
    monkeypatch.chdir(here)
    names = (*FILES, "film.tflite")
    if request.param == "hf":
        pytest.importorskip("huggingface_hub")
        pytest.importorskip("flask")
        there = tmp_path / "hub"
        shutil.copytree(here, there)
        with hf_server(there) as environment:
            yield Place(f"hf://{REPOSITORY}", environment, lambda name, data: (there / name).write_bytes(data))
        return
    pytest.importorskip("gcsfs")
    pytest.importorskip("gcp_storage_emulator")
    with gcs_server() as environment:
        upload = f"{environment['STORAGE_EMULATOR_HOST']}/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name="

        def put(name: str, data: bytes) -> None:
            with urllib.request.urlopen(urllib.request.Request(upload + quote(name, safe=""), data, method="POST")):
                pass

        for name in names:
            put(name, Path(name).read_bytes())
        yield Place(f"gs://{BUCKET}", environment, put)


@pytest.fixture
def there(place, tmp_path):
    """A call of the program that finds the server; nothing is left behind."""

    def call(*arguments: str | os.PathLike[str]):
        scratch = tmp_path / "scratch"
        scratch.mkdir(exist_ok=True)
        # What gcsfs would ask a machine of Google's for its account.
        environment = os.environ | place.environment | {"TMPDIR": str(scratch), "NO_GCE_CHECK": "true"}
        done = spawn(*map(str, arguments), env=environment, cwd=Path.cwd())
        assert not list(scratch.glob("xnnlint-*"))
        return done.returncode, done.stdout, done.stderr

    return call


@pytest.fixture
def here(capsys, monkeypatch):
    return lambda *arguments: run(capsys, monkeypatch, *map(str, arguments))


def models(text: str) -> list[dict]:
    return json.loads(text)["models"]


def test_it_is_checked_as_a_folder_is(place, there, here):
    code, out, err = there("check", place.address, "--format", "json")
    expected = here("check", ".", "--format", "json")
    assert (code, err.replace(f"{place.address}/", "")) == (2, expected[2])
    assert models(out.replace(f"{place.address}/", "")) == models(expected[1])
    assert f"{place.address}/film.tflite: this is a picture, not a model" in err


def test_patterns_large_files_and_what_is_not_there(place, there):
    place.put("large.tflite", Path("half.tflite").read_bytes() + bytes(9 << 20))
    code, out, err = there(
        "check", f"{place.address}/*.tflite", f"{place.address}/no.tflite", f"{place.address}/team/new", "-f", "jsonl"
    )
    found = {line["path"].removeprefix(f"{place.address}/"): line for line in map(json.loads, out.splitlines())}
    assert (code, found["large.tflite"]["bytes"]) == (2, (9 << 20) + Path("half.tflite").stat().st_size)
    assert {name: line["outcome"] for name, line in found.items()} == {
        "film.tflite": None,
        "half.tflite": "dense",
        "large.tflite": "dense",
        "no.tflite": None,
        "team/new/sparse.tflite": "sparse",
    }
    assert f"{place.address}/no.tflite: nothing is there, or it may not be seen" in err
    # Of what the packages say on the way nothing is passed on.
    assert [line.split(":")[0] for line in err.splitlines()[1:]] == ["xnnlint"] * 2


def test_another_version_is_checked_again(place, there, tmp_path):
    lines, ask = tmp_path / "zoo.jsonl", ("check", f"{place.address}/team", "--format", "jsonl", "--resume")
    whole = there(*ask, lines)
    assert whole[0] == 0 and all(json.loads(line)["version"] for line in whole[1].splitlines())
    assert there(*ask, lines) == whole
    data = bytearray(Path("team/new/sparse.tflite").read_bytes())
    data[data.index(b"conv2d_1")] = ord("C")
    place.put("team/new/sparse.tflite", bytes(data))
    code, out, err = there(*ask, lines)
    assert code == 0 and f"{lines}: 1 line is made anew" in err
    changed = set(out.splitlines()) - set(whole[1].splitlines())
    assert [json.loads(line)["path"] for line in changed] == [f"{place.address}/team/new/sparse.tflite"]


def test_a_hub_that_is_not_there(monkeypatch):
    pytest.importorskip("huggingface_hub")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    done = spawn("check", "hf://team/zoo/net.tflite", env=os.environ | {"HF_ENDPOINT": f"http://127.0.0.1:{port}"})
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "hf://team/zoo/net.tflite: the server cannot be reached" in done.stderr
