"""The hunt for models of which prediction and real runtime disagree."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any

from tests.difftest.compare import Comparison, Observer, Predictor, compare
from tests.difftest.recipe import Recipe, build

# Children are replaced after this many models anyway; small enough that a hunt loses little when it is stopped.
CHUNK = 100
# With how many other weights an error is looked for that the first ones don't show.
OTHER_WEIGHTS = 8
# Small models take a fraction of one; patience only costs where the emulator hangs.
SECONDS_A_MODEL = 120.0


@dataclass(frozen=True)
class Case:
    """A model to compare: its name (unique in a hunt), how to make it, and its recipe where it has one."""

    name: str
    make: Callable[[], tuple[bytes, Recipe | None]]


def random_cases(seed: int, graphs: int) -> list[Case]:
    """Random graphs number `seed` to `seed + graphs - 1`."""
    from tests.difftest.generate import random_model

    return [Case(str(number), lambda n=number: random_model(n)) for number in range(seed, seed + graphs)]  # type: ignore[misc]


def pattern_cases() -> list[Case]:
    """The hand-made models."""
    from xnnlint.modelbuilder.patterns import named_patterns

    return [Case(p.name, lambda p=p: (p.build(), None)) for p in named_patterns()]  # type: ignore[misc]


def file_cases(paths: Iterable[str | Path]) -> list[Case]:
    """Models from files, and from all .tflite files below folders; a .json file is a recipe."""
    files: list[Path] = []
    for path in map(Path, paths):
        files += sorted(path.rglob("*.tflite")) if path.is_dir() else [path]
    return [Case(str(path), lambda p=path: _from_file(p)) for path in files]  # type: ignore[misc]


def _from_file(path: Path) -> tuple[bytes, Recipe | None]:
    if path.suffix != ".json":
        return path.read_bytes(), None
    recipe = Recipe.from_json(path.read_text(encoding="utf-8"))
    return build(recipe), recipe


@dataclass
class Tally:
    """What a hunt found so far; `lines` has one record a model."""

    lines: list[dict[str, Any]] = field(default_factory=list)

    @property
    def disagreements(self) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["differs"]]

    def summary(self) -> str:
        """A few lines of text: how many models, how they came out, what differs, what could not be decided."""
        observed = Counter(line["observed"] or "undecided" for line in self.lines)
        differs = Counter(kind for line in self.lines for kind in line["differs"])
        spmm = sum(line["spmm"] or 0 for line in self.lines)
        text = [
            f"{len(self.lines)} models: {_counts(observed)}; {spmm} SpMM operators",
            f"disagreements: {differs['outcome']} in outcome, {differs['kernels']} in convolution and fully-connected "
            f"kernels, {differs['operators']} in the list of all operators, {differs['tflite-ops']} in operators left "
            f"to TFLite, {differs['error']} without a prediction",
        ]
        hidden = sum(bool(line.get("hidden")) for line in self.lines)
        if hidden:
            text.append(f"{hidden} predicted wrong results show only with other random weights (agreements)")
        undecided: dict[str, list[str]] = {}
        for line in self.lines:
            if line["undecided"]:
                undecided.setdefault(line["undecided"].split(":")[0], []).append(line["name"])
        for why, names in undecided.items():
            text.append(f"undecided: {len(names)} {why} ({', '.join(names[:5])}{', ...' if len(names) > 5 else ''})")
        for line in self.disagreements[:20]:
            both = f"predicted {line['predicted']}, observed {line['observed']}"
            text.append(f"  {line['name']}: {both}; {', '.join(line['differs'])}")
        if len(self.disagreements) > 20:
            text.append(f"  and {len(self.disagreements) - 20} more")
        return "\n".join(text)


def hunt(
    cases: Sequence[Case],
    predictor: Predictor,
    folder: Path,
    *,
    jobs: int = 1,
    report: Callable[[Tally], None] = lambda tally: None,
    **options: Any,
) -> Tally:
    """Compares all `cases`, and goes on where an earlier hunt in the same folder was stopped.

    Args:
        cases: the models.
        predictor: what is tested.
        folder: gets `progress.jsonl`, a line per model, and of every disagreement `disagreements/NAME/` with the model,
            its recipe and both views.
        jobs: how many pairs of children work at once.
        report: called after every chunk of models.
        options: for `xnnlint.runtime.observe.observe`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    progress = folder / "progress.jsonl"
    wanted = {case.name for case in cases}
    done = [line for line in _read_lines(progress) if line["name"] in wanted]
    tally = Tally(done)
    names = {line["name"] for line in done}
    waiting = [case for case in cases if case.name not in names]
    chunks = [waiting[i : i + CHUNK] for i in range(0, len(waiting), CHUNK)]
    lock = Lock()
    with ThreadPoolExecutor(jobs) as pool, progress.open("a", encoding="utf-8") as log:
        if log.tell():
            log.write("\n")  # ends a line that a kill cut off; empty lines don't matter

        def work(chunk: Sequence[Case]) -> None:
            for line in _compare_chunk(chunk, predictor, folder, options):
                with lock:
                    log.write(json.dumps(line) + "\n")
                    log.flush()
                    tally.lines.append(line)
            with lock:
                report(tally)

        for _ in pool.map(work, chunks):  # raises what a worker raised
            pass
    return tally


def _compare_chunk(
    chunk: Sequence[Case], predictor: Predictor, folder: Path, options: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Fresh children for every chunk: the runtime doesn't give its memory back."""
    observer = Observer(**{"timeout": SECONDS_A_MODEL} | options)
    try:
        with tempfile.TemporaryDirectory(prefix="xnnlint-hunt-") as scratch:
            path = Path(scratch) / "model.tflite"
            for case in chunk:
                model, recipe = case.make()

                def look(data: bytes, name: str = case.name) -> Comparison:
                    path.write_bytes(data)
                    return compare(name, predictor(path), observer(path))

                comparison = look(model)
                hidden = 0
                if recipe is not None and _could_be_hidden(comparison):
                    hidden = _weights_that_show(recipe, comparison, look)
                    if hidden or not comparison.observation.responds:
                        # Not even garbage shows in outputs that are the same for all inputs.
                        comparison = replace(comparison, differs=())
                if comparison.differs:
                    _keep(comparison, model, recipe, folder / "disagreements")
                yield {**_line(comparison), "hidden": hidden}
    finally:
        observer.close()


def _could_be_hidden(comparison: Comparison) -> bool:
    """Wrong results were predicted and right ones seen, and nothing else differs: numbers may have hidden the error.

    A RELU that lets nothing through, or a sum over everything, gives the same from right and from wrong values.
    """
    return comparison.differs == ("outcome",) and comparison.prediction.outcome == "wrong-results"


def _weights_that_show(recipe: Recipe, hiding: Comparison, look: Callable[[bytes], Comparison]) -> int:
    """Number of the first other random weights, from 1, with which the same graph gives wrong results; 0 if none do."""
    for number in range(1, OTHER_WEIGHTS + 1):
        other = recipe.copy()
        other.seed = recipe.seed + number * 1_000_003
        shown = look(build(other))
        same = shown.prediction.operators == hiding.prediction.operators and not shown.differs
        if same and shown.observation.outcome == "wrong-results":
            return number
    return 0


def _line(comparison: Comparison) -> dict[str, Any]:
    observation = comparison.observation
    return {
        "name": comparison.name,
        "predicted": comparison.prediction.outcome,
        "observed": observation.outcome,
        "spmm": observation.spmm,
        "undecided": comparison.undecided,
        "differs": list(comparison.differs),
    }


def _keep(comparison: Comparison, model: bytes, recipe: Recipe | None, folder: Path) -> None:
    place = folder / comparison.name.strip("/").replace("/", "_")
    place.mkdir(parents=True, exist_ok=True)
    (place / "model.tflite").write_bytes(model)
    (place / "views.json").write_text(json.dumps(comparison.to_json(), indent=1), encoding="utf-8")
    if recipe is not None:
        (place / "recipe.json").write_text(recipe.to_json(), encoding="utf-8")


def _read_lines(path: Path) -> list[dict[str, Any]]:
    """The records written so far; a line cut off by a kill is dropped."""
    lines = []
    if path.exists():
        for text in path.read_text(encoding="utf-8").splitlines():
            try:
                lines.append(json.loads(text))
            except json.JSONDecodeError:
                continue
    return lines


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counter.most_common()) or "none"
