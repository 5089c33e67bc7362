"""Real .tflite files beside a run: fetches what holds some, verifies each, and writes docs/public-models.md.

    python benchmarks/public_models.py FOLDER [--files DIR...] [--only TEXT] [--write FILE]

FOLDER keeps packages, repositories, the files that were in them (once each, by their hash), and results.json; what is
there is neither fetched nor verified again (`--again` verifies all). `public_sources.py` lists where they come from.
`--files` takes folders of one's own beside them; their results are counted by the folder's name. It needs `pip`, `git`
and, for the packages of JavaScript, `npm`; what can't be had is told, and left out. None of the files is committed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import public_sources as sources

from xnnlint.runtime.verify import Setting, Verification, choose, verify_each

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "public-models.md"


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


Models = dict[str, tuple[str, str]]


def collected(folder: Path, own: Iterable[Path]) -> tuple[Models, dict[str, str]]:
    """Every model once: its file -> where it is from, and its name there; and the licence of each place."""
    files = folder / "files"
    files.mkdir(parents=True, exist_ok=True)
    known: Models = {}
    licences: dict[str, str] = {}

    def keep(source: str, name: str, data: bytes) -> None:
        place = files / f"{hashlib.sha256(data).hexdigest()[:16]}.tflite"
        if str(place) not in known:
            place.write_bytes(data)
            known[str(place)] = (source, Path(name).name)

    for package in sorted((folder / "packages").iterdir()):
        source = re.sub(r"-\d[^-]*$", "", package.name)
        for archive in sorted(package.iterdir()):
            licences[source] = sources.licence_of_package(archive)
            for name, data in sources.models_in(archive.name, archive.read_bytes()):
                keep(source, name, data)
    for repository, commit in sources.REPOSITORIES.items():
        place = sources.repository_in(folder / "repositories", repository)
        if place.exists():
            licences[repository] = sources.licence_of_repository(place, commit)
            for name, data in sources.models_of(place, commit):
                keep(repository, name, data)
    for path in sorted(path for one in own for path in one.rglob("*.tflite")):
        data = path.read_bytes()
        if data[4:8] == b"TFL3":
            keep(next(one.name for one in own if path.is_relative_to(one)), path.name, data)
    return known, licences


def result_of(found: Verification, source: str, name: str) -> Result:
    predicted = found.plan.outcome.value if found.plan is not None and found.plan.outcome is not None else ""
    observed = found.observation.outcome if found.observation is not None else None
    reason = "" if found.error is None else found.error.removeprefix(f"{found.path}: ")
    return Result(source, name, predicted, observed or "", list(found.differs), reason)


def document(results: list[Result], licences: dict[str, str], setting: Setting) -> str:
    by_source: dict[str, Counter[str]] = defaultdict(Counter)
    for result in results:
        by_source[result.source][result.verdict] += 1
        by_source[result.source][result.observed or "no outcome"] += 1
    total: Counter[str] = sum(by_source.values(), Counter())
    columns = ("agrees", "differs", "not judged", "sparse", "dense", "wrong-results", "fails")
    head = ["from", "licence", "files", *columns]
    rows = [
        [name, licences.get(name, ""), str(_count(n)), *(str(n[column]) for column in columns)]
        for name, n in sorted(by_source.items())
    ]
    rows.append(["all", "", str(_count(total)), *(str(total[column]) for column in columns)])
    lines = [
        "# Public models, predicted and run",
        "",
        "Written by `python benchmarks/public_models.py`: real .tflite files, each planned and run in",
        f"LiteRT {setting.target.release.version} on {setting.target.cpu}. A file agrees where outcome, operators,",
        "partitions and what TFLite runs itself are all as predicted. They come from packages of PyPI and npm, and",
        "from repositories of GitHub at a commit (files of up to 4 MiB there); one that lies",
        "in two places is counted once. None is part of this repository. A licence is what the package says, or the",
        "LICENSE of the repository; that of a model in it may be another.",
        "",
        *_table(head, rows),
        "",
        "Commits: " + ", ".join(f"{name} {commit[:12]}" for name, commit in sources.REPOSITORIES.items()) + ".",
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
    sources.fetch(given.folder / "packages")
    sources.fetch_repositories(given.folder / "repositories")
    models, licences = collected(given.folder, given.files)
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
    given.write.write_text(document(results, licences, setting))
    counts = Counter(result.verdict for result in results)
    print(f"{len(results)} files: {', '.join(f'{n} {verdict}' for verdict, n in counts.items())}; {given.write}")


if __name__ == "__main__":
    main()
