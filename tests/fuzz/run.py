"""Reads damaged files in child processes, and counts what comes of it."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import random
import re
import resource
import shutil
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tests.fuzz.mutate import METADATA, SAVED_MODEL, mutated
from tests.models import DATA, FIXTURES
from xnnlint.collection import collect_rarely
from xnnlint.config.files import read_file
from xnnlint.errors import XnnlintError
from xnnlint.fixes.check_fixes import add_fixes
from xnnlint.linter import baseline
from xnnlint.linter.engine import check_model
from xnnlint.linter.jobs import Died, in_processes
from xnnlint.xnnpack.profile import DEFAULT_CPU, DEFAULT_RUNTIME, load_profile

MOST_SECONDS = 10.0
MOST_BYTES = 500 << 20
FIXES_EVERY = 20
"""Of so many files one is asked for its fixes, too, which takes ten times as long as a check."""
_OFTEN = {"tflite": 8, "json": 8, "keras": 8, "h5": 4, SAVED_MODEL: 2, "toml": 1, "baseline": 1}
_SUFFIXES = {"baseline": "baseline.json"}
ADDRESS_SPACE = 3 << 30
LARGEST_SEED = 200_000
"""Larger models only take longer to be copied; what they are made of is in the small ones."""
SMALL_SEED = 2_000
"""Smaller ones are as good as each other."""
CONFIG = b"""runtime = "litert-2.3"
cpu = "arm64"
select = ["XNN1", "XNN202"]
ignore = ["XNN601"]
exclude = ["build/**", "*.bak.tflite"]
models = ["a.tflite", "b/*.keras"]
[[overrides]]
files = ["heads/**"]
ignore = ["XNN204"]
"""
BASELINE = b"""{"tool": "xnnlint", "version": 1, "models": {"a.tflite": [
{"rule": "XNN202", "severity": "error", "type": "CONV_2D", "layer": "conv2d_1"},
{"rule": "XNN601", "severity": "warning", "type": "MEAN", "layer": "pool"}]}}"""


@dataclass(frozen=True, slots=True)
class Piece:
    """One damaged file, made where it is read."""

    number: int
    seed: int
    corpus: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a file: its kind, "verdict", "refused" or "internal error", and what it took."""

    kind: str
    outcome: str
    seconds: float
    peak: int
    words: str = ""


@dataclass
class Totals:
    """Counts over all files so far."""

    outcomes: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    peak: int = 0
    bad: list[str] = field(default_factory=list)

    @property
    def is_bad(self) -> bool:
        return bool(self.bad)

    def __str__(self) -> str:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(self.kinds.items()))
        outcomes = ", ".join(f"{count:,} {what}" for what, count in sorted(self.outcomes.items()))
        return (
            f"{sum(self.kinds.values()):,} files ({kinds}): {outcomes}; slowest {self.slowest:.1f} s,"
            f" peak {self.peak / 1e6:.0f} MB, {len(self.bad)} over a limit or failed"
        )


@cache
def seeds() -> tuple[tuple[str, bytes], ...]:
    """(kind, content) of the files that are damaged."""
    found = [("toml", CONFIG), ("baseline", BASELINE)]
    for path in sorted(FIXTURES.rglob("*")):
        kind = path.suffix[1:]
        if kind in ("tflite", "keras", "h5") and path.stat().st_size <= LARGEST_SEED:
            found.append((kind, path.read_bytes()))
    found += [("json", _config_of(data)) for kind, data in found if kind == "keras"]
    found += _read_cases()
    found += _lowering_cases()
    return tuple(found)


def _read_cases() -> Iterator[tuple[str, bytes]]:
    """The files that Keras wrote for the tests of the loaders, and the folders of SavedModels among them, each as an
    archive of its own."""
    with zipfile.ZipFile(DATA / "keras_read_cases.zip") as cases:
        for name in cases.namelist():
            if "/" not in name and name.endswith((".keras", ".h5")):
                yield name.rpartition(".")[2], cases.read(name)
        for metadata in (name for name in cases.namelist() if name.endswith(f"/{METADATA}")):
            folder, packed = metadata.removesuffix(METADATA), io.BytesIO()
            with zipfile.ZipFile(packed, "w") as archive:
                for name in cases.namelist():
                    if name.startswith(folder):
                        archive.writestr(name.removeprefix(folder), cases.read(name))
            yield SAVED_MODEL, packed.getvalue()


def _lowering_cases() -> Iterator[tuple[str, bytes]]:
    """Small models of every layer and function that is known, as configs and as archives of nothing else."""
    for case in json.loads(gzip.decompress((DATA / "keras_lowering_cases.json.gz").read_bytes())):
        config, packed = json.dumps(case["config"]).encode(), io.BytesIO()
        yield "json", config
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("metadata.json", json.dumps({"keras_version": case["keras_version"]}))
            archive.writestr("config.json", config)
        yield "keras", packed.getvalue()


@cache
def choices(kind: str) -> tuple[list[bytes], list[float]]:
    """The files of a kind, and how often each is taken: seldom where it is large, since faults are in what files are
    made of, not in how much of it there is, and a large file takes the time of many."""
    found = [data for of, data in seeds() if of == kind]
    return found, [1 / max(_size(kind, data), SMALL_SEED) for data in found]


def _size(kind: str, data: bytes) -> int:
    """How much there is to plan: weights are hardly looked at."""
    return len(_config_of(data)) if kind == "keras" else len(data)


def _config_of(archive: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(archive)) as source:
        return source.read("config.json")


def made(piece: Piece) -> tuple[str, bytes]:
    """A damaged file: of the kinds of which many different ones are known, more than of the others."""
    rng = random.Random(f"{piece.seed}/{piece.number}")
    kinds = sorted({kind for kind, _ in seeds()})
    kind = rng.choices(kinds, [_OFTEN[kind] for kind in kinds])[0]
    files, often = choices(kind)
    data = rng.choices(files, often)[0]
    return kind, mutated(data, "json" if kind == "baseline" else kind, rng)


def read(piece: Piece) -> Answer:
    """Makes a file and reads it as its kind is read."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    collect_rarely()  # As the program does.
    kind, data = made(piece)
    folder = piece.corpus or tempfile.gettempdir()
    with _stored(kind, data, folder, keep=bool(piece.corpus)) as path:
        _forget_peak()
        start = time.process_time()  # The machine may be busy.
        outcome, words = _outcome(kind, path, fixes=piece.number % FIXES_EVERY == 0)
        seconds = time.process_time() - start
        peak = _peak()
    return Answer(kind, outcome, seconds, peak, words)


def _forget_peak() -> None:
    """Lets the next peak be that of the next file: Linux counts anew."""
    Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    """The most memory that this process had since, in bytes."""
    found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


@contextlib.contextmanager
def _stored(kind: str, data: bytes, folder: str, *, keep: bool) -> Iterator[str]:
    """The path of a file, or of a folder, with this content."""
    path = tempfile.mkdtemp(dir=folder)
    name = Path(path, f"model.{_SUFFIXES.get(kind, kind)}")
    try:
        if kind == SAVED_MODEL:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                archive.extractall(name)
        else:
            name.write_bytes(data)
        yield str(name)
    finally:
        if not keep:
            shutil.rmtree(path)


def _outcome(kind: str, path: str, *, fixes: bool) -> tuple[str, str]:
    if kind in ("toml", "baseline"):
        try:
            read_file(path, str(Path(path).parent)) if kind == "toml" else baseline.read(path)
        except XnnlintError:
            return "refused", ""
        except Exception as error:  # what any mistake raises is what is looked for
            return "internal error", f"{type(error).__name__}: {error}"
        return "verdict", ""
    profile = load_profile(DEFAULT_RUNTIME, DEFAULT_CPU)
    report = check_model(path, profile)
    if fixes and report.needs_fixes:
        try:
            add_fixes(report, profile)
        except Exception as error:  # as above
            return "internal error", f"{type(error).__name__}: {error}"
    if report.error is None:
        return "verdict", ""
    return ("internal error" if "xnnlint itself failed" in report.error else "refused"), report.error


def run(totals: Totals, files: int, seed: int, jobs: int, keep: Path | None, corpus: Path | None) -> None:
    """Reads so many files and adds what came of them to the totals."""
    for folder in (keep, corpus):
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
    pieces = [Piece(number, seed, str(corpus or "")) for number in range(files)]
    for piece, answer in zip(pieces, _answers(pieces, jobs), strict=True):
        if isinstance(answer, Died):
            answer = Answer(made(piece)[0], answer.how, 0.0, 0, answer.how)
        totals.kinds[answer.kind] += 1
        totals.outcomes[answer.outcome] += 1
        totals.slowest = max(totals.slowest, answer.seconds)
        totals.peak = max(totals.peak, answer.peak)
        failed = answer.outcome not in ("verdict", "refused")
        if failed or answer.seconds > MOST_SECONDS or answer.peak > MOST_BYTES:
            name = f"{answer.kind}-{seed}-{piece.number}"
            line = f"{name}: {answer.outcome}, {answer.seconds:.1f} s, {answer.peak / 1e6:.0f} MB {answer.words}"
            print(line, flush=True)
            totals.bad.append(name)
            if keep is not None:
                (keep / f"{name}.{answer.kind}").write_bytes(made(piece)[1])


def _answers(pieces: list[Piece], jobs: int) -> Iterator[Answer | Died]:
    yield from in_processes(read, pieces, jobs)
