"""What real LiteRT releases did with each hand-made model: observed, and kept as a file.

The file (`fixtures/observed_outcomes.json`) has a line for each pattern: a fingerprint of the model that was run, and a
letter for each release. The tests compare them with the predictions of the releases' profiles.
"""

from __future__ import annotations

import json
import tempfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tests.difftest.compare import Predictor, compare, plan_predictor
from tests.models import ROOT
from xnnlint.modelbuilder.patterns import PATTERNS, Pattern
from xnnlint.xnnpack.profile import runtime_of_litert

DATA = ROOT / "fixtures" / "observed_outcomes.json"
CPU = "x86-sse"
LETTERS = {"s": "sparse", "d": "dense", "w": "wrong-results", "f": "fails"}
UNKNOWN = "?"

_RUN = ("2.3.0", "2.2.0", "2.1.6", "2.1.2", "2.1.0", "2.0.2", "1.4.0", "1.3.0", "1.2.0", "1.0.1")
RELEASES = {version: runtime_of_litert(version)[0] for version in _RUN}
"""LiteRT releases that were run, newest first, with the runtime profiles that predict them."""

EXPLAINED = {
    # A profile that stands for several releases takes after the one with the fewest operators.
    **{("2.1.6", "unary_log"): "LiteRT 2.1.6 delegates LOG, which 2.1.5 does not"},
    **{
        (release, f"{kind}_axes_2_3"): "an output is written 32 bytes behind its end, and the model crashes or goes on"
        for release in ("2.3.0", "2.2.0", "2.1.6", "2.1.2", "2.1.0")
        for kind in ("mean", "sum", "mean_keep", "sum_keep")
    },
}
"""Where a run may show something else than the prediction, and why: (release, pattern) -> reason."""


@dataclass
class Outcomes:
    """Outcomes by release and pattern.

    Attributes:
        fingerprints: of the models that were run, by pattern; a pattern that was changed since has another.
        seen: release -> pattern -> outcome, None where a run could not decide.
    """

    fingerprints: dict[str, str] = field(default_factory=dict)
    seen: dict[str, dict[str, str | None]] = field(default_factory=dict)

    def get(self, release: str, pattern: str) -> str | None:
        return self.seen.get(release, {}).get(pattern)

    def forget(self, patterns: Iterable[str]) -> None:
        """Drop what was seen of some patterns."""
        for name in list(patterns):
            self.fingerprints.pop(name, None)
            for by_name in self.seen.values():
                by_name.pop(name, None)

    def is_current(self, pattern: Pattern) -> bool:
        """Whether the pattern still is what was run."""
        return self.fingerprints.get(pattern.name) == fingerprint(pattern)


@cache
def fingerprint(pattern: Pattern) -> str:
    """A checksum of all that an outcome depends on: the graph, and which weights are zero, but not their values."""
    from xnnlint.loaders import load

    with tempfile.TemporaryDirectory(prefix="xnnlint-") as folder:
        path = Path(folder) / "model.tflite"
        path.write_bytes(pattern.build())
        model = load(path)
        graph = model.main
        parts = [repr((graph.inputs, graph.outputs, sorted(model.metadata)))]
        for op in graph.operators:
            parts.append(repr((op.type, op.version, op.inputs, op.outputs, sorted(op.attributes.items()))))
        for tensor in graph.tensors:
            parts.append(repr((tensor.shape, tensor.dtype, tensor.is_constant, tensor.sparsity is not None)))
            if tensor.is_constant:
                stored = tensor.stored()
                parts.append(repr((stored == 0 if stored.dtype.kind == "f" else stored).tolist()))
    return f"{zlib.crc32(chr(10).join(parts).encode()):08x}"


def read(path: Path = DATA) -> Outcomes:
    """The kept outcomes; empty where there is no file yet."""
    if not path.is_file():
        return Outcomes()
    stored = json.loads(path.read_text(encoding="utf-8"))
    outcomes = Outcomes(seen={release: {} for release in stored["releases"]})
    for pattern, (code, letters) in stored["patterns"].items():
        outcomes.fingerprints[pattern] = code
        for release, letter in zip(stored["releases"], letters, strict=True):
            outcomes.seen[release][pattern] = LETTERS.get(letter)
    return outcomes


def write(outcomes: Outcomes, path: Path = DATA) -> None:
    """One line for each pattern, so that changes can be read."""
    letters = {name: letter for letter, name in LETTERS.items()}
    releases = [r for r in RELEASES if r in outcomes.seen]
    lines = [
        f"    {json.dumps(name)}: "
        + json.dumps([code, "".join(letters.get(outcomes.get(r, name) or "", UNKNOWN) for r in releases)])
        for name, code in outcomes.fingerprints.items()
    ]
    text = f'{{\n  "cpu": "{CPU}",\n  "letters": {json.dumps(LETTERS)},\n  "releases": {json.dumps(releases)},\n'
    path.write_text(text + '  "patterns": {\n' + ",\n".join(lines) + "\n  }\n}\n", encoding="utf-8")


def observe_releases(
    releases: Iterable[str], outcomes: Outcomes, report: Callable[[str], None], again: bool = False
) -> None:
    """Run patterns in the real runtime of each release (installed into the cache where it is missing).

    A model that writes where it must not can spoil those after it in the same process. What a run shows against the
    prediction, or leaves undecided, is therefore run once more in a process of its own.

    Args:
        again: run every pattern, not only those that are new or were changed since they were run.
    """
    outcomes.forget(name for name in [*outcomes.fingerprints] if name not in PATTERNS)
    outcomes.forget(name for name, pattern in PATTERNS.items() if again or not outcomes.is_current(pattern))
    with tempfile.TemporaryDirectory(prefix="xnnlint-") as folder:
        for name, pattern in PATTERNS.items():
            (Path(folder) / f"{name}.tflite").write_bytes(pattern.build())
            outcomes.fingerprints[name] = fingerprint(pattern)
        for release in releases:
            known = outcomes.seen.setdefault(release, {})
            paths = [Path(folder) / f"{name}.tflite" for name in PATTERNS if known.get(name) is None]
            known |= _observe(release, paths)
            report(f"LiteRT {release}: {len(paths)} patterns run")


def _observe(release: str, paths: list[Path]) -> dict[str, str | None]:
    from xnnlint.runtime.observe import observe

    predict = predictor(release)

    def run(chosen: list[Path]) -> dict[str, str | None]:
        found = observe(chosen, cpu=CPU, litert_version=release, seeds=(0,), timeout=60.0)
        seen = {}
        for path, observation in zip(chosen, found, strict=True):
            differs = compare(path.stem, predict(path), observation).differs
            seen[path.stem] = (observation.outcome, bool(differs) or observation.outcome is None)
        again = [path for path in chosen if seen[path.stem][1]] if len(chosen) > 1 else []
        outcomes = {name: outcome for name, (outcome, _) in seen.items()}
        for path in again:
            outcomes |= run([path])
        return outcomes

    return run(paths) if paths else {}


def predictor(release: str) -> Predictor:
    """What the profile of a release predicts."""
    return plan_predictor(RELEASES[release], CPU)
