"""`python -m tests.difftest native`: are runs with AVX masked the runs of an emulated CPU without AVX?

python -m tests.difftest native --graphs 500               random graphs
python -m tests.difftest native --patterns                 the hand-made models
python -m tests.difftest native --files MODEL FOLDER       models from files

Each model runs both ways, on the same inputs. Outcome, XNNPACK's operators in order, their partitions, TFLite's own
operators and the shapes of the outputs have to be the same. Numbers need not be: where memory is overwritten or never
written, they are what was there before.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.difftest.hunt import SECONDS_A_MODEL, Case, file_cases, pattern_cases, random_cases
from xnnlint.errors import XnnlintError
from xnnlint.runtime import targets
from xnnlint.runtime.execution import Execution
from xnnlint.runtime.observation import Observation
from xnnlint.runtime.observe import observe

SAME, DIFFERENT, TROUBLE = 0, 1, 2
# So few models that both ways meet the same load of the machine.
CHUNK = 50
WAYS = {Execution.MASKED: False, Execution.EMULATED: True}


@dataclass
class Totals:
    """What was seen; `seconds` of the wall and `cpu` of all child processes, the dense reference's included, by way."""

    outcomes: Counter[str] = field(default_factory=Counter)
    spmm: int = 0
    differences: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: dict[Execution, float] = field(default_factory=lambda: dict.fromkeys(WAYS, 0.0))
    cpu: dict[Execution, float] = field(default_factory=lambda: dict.fromkeys(WAYS, 0.0))

    def add(self, name: str, masked: Observation, emulated: Observation) -> None:
        """Counts one model's two runs."""
        self.outcomes[masked.outcome or "undecided"] += 1
        self.spmm += masked.spmm or 0
        if differs := _differs(masked, emulated):
            self.differences.append(f"{name}: {', '.join(differs)}: {_both_short(masked, emulated)}")
        elif masked.status != emulated.status:
            self.notes.append(f"the same outcome in another way: {name}: {_both_short(masked, emulated)}")

    def lines(self) -> list[str]:
        count = self.outcomes.total()
        outcomes = ", ".join(f"{number} {outcome}" for outcome, number in self.outcomes.most_common())
        both = [(self.seconds[way], self.cpu[way]) for way in WAYS]
        (seconds, cpu), (slow, slow_cpu) = both
        return [
            f"{count} models ({outcomes}; {self.spmm} SpMM): {len(self.differences)} differ between AVX masked and "
            f"emulated",
            *(f"  {line}" for line in self.differences),
            *(f"  {line}" for line in self.notes),
            f"with AVX masked {seconds:.0f} s, emulated {slow:.0f} s: {slow / seconds:.1f} times as fast; CPU time "
            f"{cpu:.0f} s and {slow_cpu:.0f} s: {slow_cpu / cpu:.1f} times",
        ]


def main(arguments: list[str]) -> int:
    """Exit code 0: no difference; 1: some; 2: it could not run."""
    options = _parser().parse_args(arguments)
    cases = (
        pattern_cases()
        if options.patterns
        else file_cases(options.files)
        if options.files
        else random_cases(options.seed, options.graphs)
    )
    cases = cases[options.skip :]
    totals = Totals()
    try:
        for way, emulate in WAYS.items():
            target = targets.resolve("x86-sse", options.litert_version, emulate=emulate)
            if target.execution is not way:
                raise XnnlintError(f"this machine runs x86-sse {target.execution.words} only; {target.note}")
        for start in range(0, len(cases), CHUNK):
            _both(cases[start : start + CHUNK], options, totals)
            print(f"{totals.outcomes.total()} models, {len(totals.differences)} differ", file=sys.stderr, flush=True)
    except XnnlintError as error:
        print(f"tests.difftest: {error}", file=sys.stderr)
        return TROUBLE
    print("\n".join(totals.lines()))
    return DIFFERENT if totals.differences else SAME


def _both(chunk: Sequence[Case], options: argparse.Namespace, totals: Totals) -> None:
    with tempfile.TemporaryDirectory(prefix="xnnlint-native-") as scratch:
        paths = [Path(scratch) / f"{number}.tflite" for number in range(len(chunk))]
        for case, path in zip(chunk, paths, strict=True):
            path.write_bytes(case.make()[0])
        seen = {}
        for way in WAYS:
            began, cpu = time.monotonic(), _children_cpu()
            seen[way] = _run(paths, way, options)
            totals.seconds[way] += time.monotonic() - began
            totals.cpu[way] += _children_cpu() - cpu
        for case, path, masked, emulated in zip(chunk, paths, *seen.values(), strict=True):
            if _differs(masked, emulated):
                # On a busy machine the emulator can be too slow for the time limit; what a model does, it does again.
                totals.notes.append(f"run again: {case.name}: {_both_short(masked, emulated)}")
                masked, emulated = (_run([path], way, options)[0] for way in WAYS)
            totals.add(case.name, masked, emulated)
            if options.out and _differs(masked, emulated):
                _keep(options.out / case.name.strip("/").replace("/", "_"), path, masked, emulated)


def _run(paths: Sequence[Path], way: Execution, options: argparse.Namespace) -> list[Observation]:
    return list(
        observe(
            paths,
            cpu="x86-sse",
            litert_version=options.litert_version,
            seeds=range(options.input_seeds),
            timeout=SECONDS_A_MODEL,
            emulate=WAYS[way],
        )
    )


def _keep(place: Path, model: Path, masked: Observation, emulated: Observation) -> None:
    place.mkdir(parents=True, exist_ok=True)
    (place / "model.tflite").write_bytes(model.read_bytes())
    both = {seen.execution.value: seen.to_json() for seen in (masked, emulated)}
    (place / "views.json").write_text(json.dumps(both, indent=1), encoding="utf-8")


def _differs(masked: Observation, emulated: Observation) -> list[str]:
    """What does, of what has to be the same."""
    other = _facts(emulated)
    return [part for part, value in _facts(masked).items() if value != other[part]]


def _facts(seen: Observation) -> dict[str, Any]:
    return {
        "outcome": seen.outcome,
        "operators": seen.kernels,
        "partitions": seen.kernel_indices,
        "tflite-operators": seen.tflite_ops,
        "shapes": [(output.index, output.shape) for output in seen.outputs],
        "reference": seen.reference,
    }


def _both_short(masked: Observation, emulated: Observation) -> str:
    return f"{_short(masked)} natively, {_short(emulated)} emulated"


def _short(seen: Observation) -> str:
    spmm = "" if seen.spmm is None else f", {seen.spmm} SpMM"
    error = f", {seen.error.split(':')[0]}" if seen.error else ""
    return f"{seen.outcome} ({seen.status}{error}{spmm})"


def _children_cpu() -> float:
    """Seconds of all child processes that have ended."""
    import resource

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.difftest native",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--graphs", type=int, default=500, metavar="N", help="number of random graphs (default 500)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="number of the first (default 0)")
    parser.add_argument("--patterns", action="store_true", help="the hand-made models instead of random graphs")
    parser.add_argument("--skip", type=int, default=0, metavar="N", help="leave out the first N models")
    parser.add_argument("--files", nargs="+", metavar="PATH", help="models (or recipes, .json) from files or folders")
    parser.add_argument("--litert-version", metavar="VERSION", help="LiteRT release that runs (default: the installed)")
    parser.add_argument("--input-seeds", type=int, default=2, help="random inputs per model (default 2)")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="the models that differ, with both runs")
    return parser
