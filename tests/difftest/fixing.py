"""Fixes models, proves every one in the real runtime, and counts what came of it.

python -m tests.difftest fix --graphs 300 --seed 500000      random graphs
python -m tests.difftest fix --patterns                      the hand-made models
python -m tests.difftest fix --files MODEL.tflite FOLDER     models from files
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.difftest.hunt import Case, file_cases, pattern_cases, random_cases
from xnnlint.errors import XnnlintError

if TYPE_CHECKING:
    from xnnlint.fixes.request import FixRequest
    from xnnlint.fixes.tflite.file_proof import FileProof, Prover
    from xnnlint.fixes.tflite.file_search import FileResult

GOOD, BAD, TROUBLE = 0, 1, 2
WRONG = ("wrong-results", "fails")
_REASONS = 4


@dataclass
class Figures:
    """What is counted.

    Attributes:
        models: all of them; unreadable: those that cannot be read or edited, each with its reason.
        before, after: outcomes by prediction; `became` both together.
        changed: models with changes; proven: those of them that the real run proved.
        unproven: name -> reason.
        still_wrong: predicted wrong or failing after the fix, so that nothing is written.
        by_fix: models in which each fix was made.
        worst: the largest difference of outputs that a proof allowed, by exactness.
    """

    models: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)
    became: Counter[tuple[str, str]] = field(default_factory=Counter)
    changed: int = 0
    proven: int = 0
    wrong_before: int = 0
    wrong_made_right: int = 0
    unproven: dict[str, str] = field(default_factory=dict)
    still_wrong: list[str] = field(default_factory=list)
    spmm: list[int] = field(default_factory=lambda: [0, 0])
    by_fix: Counter[str] = field(default_factory=Counter)
    worst: dict[str, float] = field(default_factory=dict)

    def add(self, name: str, result: FileResult, proof: FileProof | None) -> None:
        before, after = (state.plan.outcome.value for state in (result.before, result.after))
        self.models += 1
        self.became[before, after] += 1
        self.wrong_before += before in WRONG
        if after in WRONG:
            self.still_wrong.append(name)
        if proof is None:
            return
        self.changed += 1
        self.by_fix.update({change.fix for change in result.changes})
        if not proof.passed:
            self.unproven[name] = proof.reason
            return
        self.proven += 1
        self.wrong_made_right += before in WRONG
        self.spmm[0] += len(result.before.spmm) if result.before.plan.is_correct else 0
        self.spmm[1] += len(result.after.spmm)
        kind = max((change.exactness.value for change in result.changes), key=["exact", "rounding", "different"].index)
        self.worst[kind] = max(self.worst.get(kind, 0.0), proof.max_rel_error or 0.0)

    @property
    def good(self) -> bool:
        return not self.unproven and not self.still_wrong

    def lines(self) -> list[str]:
        lines = [f"{self.models} models, {len(self.unreadable)} more could not be read or edited"]
        lines += [f"  {count:5} {before} -> {after}" for (before, after), count in sorted(self.became.items())]
        lines.append(f"changed: {self.changed}; proven by a real run as predicted: {self.proven} of {self.changed}")
        lines.append(f"wrong or failing before: {self.wrong_before}; right after: {self.wrong_made_right}")
        lines.append(f"SpMM operators of the changed models that were right before and after: {self.spmm}")
        for kind, error in sorted(self.worst.items()):
            lines.append(f"largest difference of outputs in the reference kernels, {kind} changes: {error:.1e}")
        lines += [f"  {count:5} {name}" for name, count in self.by_fix.most_common()]
        lines += [f"still wrong: {name}" for name in self.still_wrong]
        lines += [f"not proven: {name}: {reason}" for name, reason in self.unproven.items()]
        lines += [f"not read: {name}: {reason}" for name, reason in self.unreadable.items()]
        return lines


def main(arguments: list[str]) -> int:
    """Exit code 0: every model that is wrong is right after its fix, and every fix is proven; 1: not; 2: trouble."""
    options = _parser().parse_args(arguments)
    from xnnlint.fixes.request import FixRequest
    from xnnlint.fixes.tflite.file_proof import Prover
    from xnnlint.xnnpack.profile import load_profile

    figures = Figures()
    try:
        with Prover() as prover:
            profile = load_profile(prover.runtime, prover.target.cpu)
            how = FixRequest(
                profile,
                unsafe=options.unsafe_fixes,
                batch=options.batch,
                prune=options.prune,
                everything=options.everything,
                even_if_slower=not options.by_time,
            )
            for number, case in enumerate(_cases(options), 1):
                _one(case, how, prover, figures, options.out, options.each)
                if number % 50 == 0:
                    print(f"{number} models", file=sys.stderr, flush=True)
    except XnnlintError as error:
        print(f"tests.difftest: {error}", file=sys.stderr)
        return TROUBLE
    print("\n".join(figures.lines()))
    return GOOD if figures.good else BAD


def _one(case: Case, options: FixRequest, prover: Prover, figures: Figures, out: Path | None, each: bool) -> None:
    from xnnlint.fixes.tflite.file_search import search

    data, _ = case.make()
    try:
        result = search(data, case.name, options)
    except XnnlintError as error:
        figures.unreadable[case.name] = str(error)
        return
    proof = prover.prove(result) if result.changes else None
    figures.add(case.name, result, proof)
    if each:
        print("\n".join(_told(case.name, result, proof)), flush=True)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        with (out / "models.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(_line(case.name, result, proof)) + "\n")
        if (proof is not None and not proof.passed) or not result.after.plan.is_correct:
            name = Path(case.name).name.removesuffix(".tflite")
            (out / f"{name}.tflite").write_bytes(data)
            (out / f"{name}.fixed.tflite").write_bytes(result.after.data)


def _told(name: str, result: FileResult, proof: FileProof | None) -> list[str]:
    """One model for a person: what it reached, and what stands before more."""
    before, after = result.before, result.after
    shown = "not changed" if proof is None else "proven" if proof.passed else f"not proven: {proof.reason}"
    lines = [
        f"{name}: {before.plan.outcome.value}, {len(before.spmm)} SpMM of {len(before.pointwise)} -> "
        f"{after.plan.outcome.value}, {len(after.spmm)} of {len(after.pointwise)} ({shown})"
    ]
    kinds = Counter(change.fix for change in result.changes)
    if kinds:
        lines.append("  by " + ", ".join(f"{count} {kind}" for kind, count in kinds.items()))
    if len(after.spmm) < len(after.pointwise):
        why = Counter(f"{f.rule} {f.name} ({f.actual})" for f in result.findings if f.severity.value != "note")
        lines += [f"  no more: {count} {reason}" for reason, count in why.most_common(_REASONS)]
    return lines


def _line(name: str, result: FileResult, proof: FileProof | None) -> dict[str, Any]:
    states = {"before": result.before, "after": result.after}
    told = {side: {"outcome": s.plan.outcome.value, "spmm": len(s.spmm)} for side, s in states.items()}
    return {
        "name": name,
        **told,
        "changes": [[change.fix, change.place] for change in result.changes],
        "proof": None
        if proof is None
        else {"passed": proof.passed, "reason": proof.reason, "error": proof.max_rel_error},
    }


def _cases(options: argparse.Namespace) -> list[Case]:
    if options.patterns:
        return pattern_cases()
    return file_cases(options.files) if options.files else random_cases(options.seed, options.graphs)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.difftest fix", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--graphs", type=int, default=300, metavar="N", help="number of random graphs (default 300)")
    parser.add_argument("--seed", type=int, default=500000, metavar="S", help="number of the first (default 500000)")
    parser.add_argument("--patterns", action="store_true", help="the hand-made models instead of random graphs")
    parser.add_argument("--files", nargs="+", metavar="PATH", help="models from files or folders")
    parser.add_argument("--unsafe-fixes", action="store_true", help="also those that change what a model computes")
    parser.add_argument("--prune", type=float, metavar="SHARE", help="prune the 1x1 kernels to this share of zeros")
    parser.add_argument("--batch", type=int, metavar="N", help="make a dynamic batch this one")
    parser.add_argument("--everything", action="store_true", help="also changes that help nothing, to test them")
    parser.add_argument("--by-time", action="store_true", help="as users get it: without what does not pay")
    parser.add_argument("--each", action="store_true", help="tell of every model what it reached, and why no more")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="a line for each model, and those that fail")
    return parser
