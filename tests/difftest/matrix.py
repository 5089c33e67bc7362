"""`python -m tests.difftest matrix`: writes docs/matrix.md and docs/runtime-bugs.md from real runs.

python -m tests.difftest matrix                            both documents from the kept runs
python -m tests.difftest matrix --observe 2.3.0 1.4.0      run new patterns in these releases first, and keep it
python -m tests.difftest matrix --observe all              the same for every release
python -m tests.difftest matrix --observe all --again      run every pattern, the known ones too
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.difftest import bugs
from tests.difftest import outcomes as kept
from tests.difftest.compare import plan_predictor
from tests.difftest.tfmot_policy import says_otherwise, verdict
from tests.models import ROOT
from xnnlint.errors import XnnlintError
from xnnlint.modelbuilder.patterns import PATTERNS, Pattern

DOCUMENT = ROOT / "docs" / "matrix.md"
PREDICTED_ONLY = ("tf-2.4",)
SHOWN = {"sparse": "sparse", "dense": "dense", "wrong-results": "**wrong**", "fails": "**fails**"}
NEWEST = next(iter(kept.RELEASES))
TITLES = {
    "base": "The whole network",
    "stem": "The stem: the convolution that enters the cluster",
    "convolution": "Other convolutions inside the cluster",
    "pointwise": "1x1 convolutions and FULLY_CONNECTED inside the cluster",
    "depthwise": "Depthwise convolutions",
    "unary": "Unary operators and activations",
    "residual": "Binary operators of two maps",
    "constant": "Binary operators with a constant",
    "squeeze-excite": "Squeeze-and-excite",
    "pool": "Pools",
    "concat": "CONCATENATION",
    "resize": "RESIZE_BILINEAR and its kin",
    "other": "Other operators inside the cluster",
    "exit": "What ends the cluster",
    "reduction": "MEAN and SUM over other axes",
    "keep-dims": "What follows a pooling that keeps its dimensions",
    "head": "What follows a pooling that drops its dimensions",
    "map-output": "Outputs that are maps, and values read twice",
    "cluster": "Several clusters",
    "zeros": "Zeros and the two-thirds rule",
    "weights": "How weights are stored",
    "partition": "Operators that the delegate leaves to TFLite",
}


def main(arguments: list[str]) -> int:
    """Exit code 0; 1 where a prediction disagrees with a run; 2 where it could not run."""
    options = _parser().parse_args(arguments)
    try:
        seen = kept.read(options.data)
        if options.observe:
            releases = list(kept.RELEASES) if options.observe == ["all"] else options.observe
            unknown = [r for r in releases if r not in kept.RELEASES]
            if unknown:
                raise XnnlintError(f"no profile for LiteRT {', '.join(unknown)}; known are {', '.join(kept.RELEASES)}")
            kept.observe_releases(releases, seen, _report, options.again)
            kept.write(seen, options.data)
        predicted = predictions([*dict.fromkeys(kept.RELEASES.values()), *PREDICTED_ONLY])
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text("\n".join(render(seen, predicted)) + "\n", encoding="utf-8")
        bugs.DOCUMENT.write_text("\n".join(bugs.render(seen)) + "\n", encoding="utf-8")
        bugs.write_fixtures()
        wrong = list(disagreements(seen, predicted))
    except XnnlintError as error:
        print(f"tests.difftest: {error}", file=sys.stderr)
        return 2
    runs = sum(outcome is not None for by_name in seen.seen.values() for outcome in by_name.values())
    print(f"{options.out}: {len(PATTERNS)} patterns, {runs} runs on {len(seen.seen)} releases, ", end="")
    print(f"{len(wrong)} disagree with the prediction")
    for release, name, said, was in wrong:
        print(f"  {release} {name}: predicted {said}, observed {was}")
    return 1 if wrong else 0


def _report(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.difftest matrix",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--observe", nargs="+", metavar="VERSION", help="LiteRT releases to run first, or 'all'")
    parser.add_argument("--again", action="store_true", help="run known patterns again, too")
    parser.add_argument("--data", type=Path, default=kept.DATA, metavar="FILE", help="the kept runs")
    parser.add_argument("--out", type=Path, default=DOCUMENT, metavar="FILE", help="the document")
    return parser


def predictions(runtimes: Iterable[str]) -> dict[str, dict[str, str | None]]:
    """Runtime profile -> pattern -> predicted outcome."""
    predictors = {runtime: plan_predictor(runtime, kept.CPU) for runtime in runtimes}
    predicted: dict[str, dict[str, str | None]] = {runtime: {} for runtime in predictors}
    with tempfile.TemporaryDirectory(prefix="xnnlint-") as folder:
        for name, pattern in PATTERNS.items():
            path = Path(folder) / f"{name}.tflite"
            path.write_bytes(pattern.build())
            for runtime, predict in predictors.items():
                predicted[runtime][name] = predict(path).outcome
    return predicted


def disagreements(
    seen: kept.Outcomes, predicted: dict[str, dict[str, str | None]]
) -> Iterator[tuple[str, str, str | None, str]]:
    """(release, pattern, predicted, observed) where the two differ and no known reason explains it."""
    for release, by_name in seen.seen.items():
        for name, outcome in by_name.items():
            said = predicted[kept.RELEASES[release]].get(name)
            if name in PATTERNS and outcome is not None and said != outcome and (release, name) not in kept.EXPLAINED:
                yield release, name, said, outcome


def render(seen: kept.Outcomes, predicted: dict[str, dict[str, str | None]]) -> Iterator[str]:
    """The document, line by line."""
    releases = [r for r in kept.RELEASES if r in seen.seen]
    stale = [name for name, pattern in PATTERNS.items() if not seen.is_current(pattern)]
    runs = sum(outcome is not None for by_name in seen.seen.values() for outcome in by_name.values())
    wrong = list(disagreements(seen, predicted))
    yield "# What each runtime does with each pattern"
    yield ""
    yield "<!-- Generated: python -m tests.difftest matrix -->"
    yield ""
    yield "Made by `python -m tests.difftest matrix`, from real runs that"
    yield f"`python -m tests.difftest matrix --observe all --again` keeps in `fixtures/{kept.DATA.name}`"
    yield "(x86-64 without AVX; releases that are missing are fetched into the cache of `xnnlint verify`)."
    yield ""
    yield f"{len(PATTERNS)} patterns, {runs} runs on {len(releases)} LiteRT releases; {len(wrong)} outcomes differ from"
    yield "the prediction. Where a pattern is newer than its last run, and in the last column, the prediction stands in"
    yield "*italics*." + (f" Newer than their last run: {len(stale)}." if stale else "")
    yield ""
    yield "- **sparse**: SpMM kernels ran, and all outputs are correct."
    yield "- **dense**: no sparse kernel ran; all outputs are correct."
    yield "- **wrong**: outputs differ from those of TFLite's reference kernels by more than 0.1%, without any message."
    yield "- **fails**: the model does not load or crashes, and runs without its zeros (or in the reference kernels)."
    yield ""
    yield "The column *TFMOT* has what the pruning policy `PruneForLatencyOnXNNPack` says of the same network in Keras"
    yield "layers, read from its source and not run: it takes it for pruning, or refuses it. ≠ marks where LiteRT"
    yield f"{NEWEST} does otherwise: a network that is taken and is not sparse and correct, or refused and would be."
    yield "Patterns without an entry have no counterpart in Keras, or the policy has no say in them."
    yield ""
    yield "| column | LiteRT | profile |"
    yield "| --- | --- | --- |"
    for runtime in dict.fromkeys(kept.RELEASES.values()):
        versions = ", ".join(r for r in releases if kept.RELEASES[r] == runtime)
        yield f"| {runtime} | {versions} | `--runtime {runtime}` |"
    for runtime in PREDICTED_ONLY:
        yield f"| {runtime} | no wheel to run | `--runtime {runtime}` |"
    yield ""
    yield "Where runs of one profile differ from each other:"
    yield ""
    reasons: dict[str, list[str]] = {}
    for (_, name), why in kept.EXPLAINED.items():
        reasons.setdefault(why, []).append(f"`{name}`")
    for why, names in reasons.items():
        yield f"- {', '.join(dict.fromkeys(names))}: {why}."
    groups: dict[str, list[Pattern]] = {}
    for pattern in PATTERNS.values():
        groups.setdefault(pattern.group, []).append(pattern)
    for group in [*TITLES, *(g for g in groups if g not in TITLES)]:
        if group in groups:
            yield from _table(TITLES.get(group, group), groups[group], releases, seen, predicted)


def _table(
    title: str,
    patterns: list[Pattern],
    releases: list[str],
    seen: kept.Outcomes,
    predicted: dict[str, dict[str, str | None]],
) -> Iterator[str]:
    columns = [*dict.fromkeys(kept.RELEASES.values()), *PREDICTED_ONLY]
    yield ""
    yield f"## {title}"
    yield ""
    yield f"| pattern | what is special | {' | '.join(columns)} | TFMOT |"
    yield f"| --- | --- |{' --- |' * (len(columns) + 1)}"
    for pattern in patterns:
        cells = [_cell(pattern, runtime, releases, seen, predicted[runtime][pattern.name]) for runtime in columns]
        said = verdict(pattern) or ""
        mark = " ≠" if says_otherwise(pattern, seen.get(NEWEST, pattern.name)) else ""
        yield f"| `{pattern.name}` | {pattern.text.replace('|', '/')} | {' | '.join(cells)} | {said}{mark} |"


def _cell(pattern: Pattern, runtime: str, releases: list[str], seen: kept.Outcomes, said: str | None) -> str:
    found = [seen.get(r, pattern.name) for r in releases if kept.RELEASES[r] == runtime]
    found = [outcome for outcome in found if outcome is not None] if seen.is_current(pattern) else []
    if not found:
        return f"*{SHOWN.get(said or '', '?').strip('*')}*"
    return " / ".join(SHOWN[outcome] for outcome in dict.fromkeys(found))
