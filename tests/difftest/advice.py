"""Follows what a check advises, runs the model in the real runtime, and counts what came true.

python -m tests.difftest advice --patterns                      the hand-made models
python -m tests.difftest advice --graphs 300 --seed 900000      random graphs
python -m tests.difftest advice --keras FOLDER                  Keras files that fixtures/make_keras_set.py wrote
python -m tests.difftest advice --fixes --patterns              what a check says of xnnlint fix, and what that does
python -m tests.difftest advice --files MODEL.tflite FOLDER     models from files

Every model is checked; whatever the smallest set of changes asks for is really done to the file, the result is planned
and run, and the convolutions that were promised must run SpMM, with right results. The same for each change that is
said to unlock something alone. And where nothing is said of it, a part of the set must not give wrong results. Advice
about a Keras file is followed in the .tflite file beside it.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from tests.difftest.advice_editor import NotFollowed, follow, without_misread_weights
from tests.difftest.compare import Observer
from tests.difftest.hunt import Case, file_cases, pattern_cases, random_cases
from xnnlint.errors import XnnlintError
from xnnlint.fixes.tflite.editor import UNPACKING
from xnnlint.linter.fault_words import fault_words
from xnnlint.linter.findings import Applicability, Severity
from xnnlint.linter.rule_registry import rule_for
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.waiver import WHOLE_MODEL, Waiver

if TYPE_CHECKING:
    from xnnlint.linter.findings import Finding, ModelReport
    from xnnlint.xnnpack.plan import Plan
    from xnnlint.xnnpack.profile import Profile

GOOD, BAD, TROUBLE = 0, 1, 2
CHUNK = 100
SHOWN = 12
# Where these are, numbers that differ in their last bit may come out one apart, or as a number and as none.
STEPS = ("CEIL", "FLOOR", "ROUND", "SIGN", "POW", "LOG", "SQRT", "RSQRT")


@dataclass(frozen=True)
class Promise:
    """What a check says would come of its smallest set of changes.

    Attributes:
        findings: the members of the set.
        ops: the operators that would run SpMM, by index.
    """

    findings: tuple[Finding, ...]
    ops: frozenset[int]

    @property
    def is_all_or_none(self) -> bool:
        """Whether it is said that a part of the set gives wrong results."""
        return any(f.unlocks is not None and f.unlocks.all_or_none for f in self.findings)

    @property
    def rules(self) -> str:
        return " + ".join(f"{count} {rule}" for rule, count in sorted(Counter(f.rule for f in self.findings).items()))


class Kind(str, Enum):
    """What is promised. The values stand in what is printed."""

    SET = "smallest set"
    ALONE = "change alone"
    PART = "part of a set that is not said to give wrong results"


@dataclass
class Figures:
    """What is counted; names of models by what became of them.

    Attributes:
        models: all of them; right: those that need no change; hopeless: those for which no set is known.
        true: promises that came true, by kind; by_rules: sets that did, by the rules of their members.
        contradicted: name and kind -> how.
        not_followed: name and kind -> the kind of advice that the editor cannot follow.
        undecided: name and kind -> why a run could not be judged.
    """

    models: int = 0
    right: int = 0
    hopeless: list[str] = field(default_factory=list)
    true: Counter[Kind] = field(default_factory=Counter)
    by_rules: Counter[str] = field(default_factory=Counter)
    contradicted: dict[str, str] = field(default_factory=dict)
    not_followed: dict[str, str] = field(default_factory=dict)
    undecided: dict[str, str] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)

    @property
    def promises(self) -> int:
        return self.true.total() + len(self.contradicted) + len(self.not_followed) + len(self.undecided)

    def lines(self) -> list[str]:
        told = ", ".join(f"{self.true[kind]} of a {kind.value}" for kind in Kind)
        lines = [
            f"{self.models} models: {self.right} need no change, {len(self.hopeless)} have no set, "
            f"{len(self.unread)} could not be read",
            f"{self.promises} promises: {self.true.total()} came true ({told}), {len(self.contradicted)} contradicted, "
            f"{len(self.not_followed)} not followed, {len(self.undecided)} undecided",
        ]
        lines += [f"  {count:5} sets of {rules} came true" for rules, count in self.by_rules.most_common(SHOWN)]
        kinds = Counter(self.not_followed.values())
        for kind, count in kinds.most_common():
            names = [name for name, why in self.not_followed.items() if why == kind]
            lines.append(f"not followed: {count} {kind} ({', '.join(names[:4])}{', ...' if count > 4 else ''})")
        lines += [f"contradicted: {name}: {how}" for name, how in self.contradicted.items()]
        lines += [f"undecided: {name}: {why}" for name, why in self.undecided.items()]
        lines += [f"not read: {name}: {why}" for name, why in self.unread.items()]
        if self.hopeless:
            lines.append(f"no set: {', '.join(self.hopeless)}")
        return lines


def promise_of(plan: Plan, findings: list[Finding]) -> Promise | None:
    """What the smallest set among findings promises; None where there is none."""
    members = tuple(f for f in findings if f.unlocks is not None and f.unlocks.in_smallest_set)
    if not members or plan.planner is None:
        return None
    assumed = frozenset().union(*(f.waivers for f in members))
    wanted = frozenset(op for op in plan.planner.spmm(assumed))
    return Promise(members, wanted)


def translated(forecast: Plan, plan: Plan, findings: list[Finding]) -> list[Finding]:
    """Findings about a Keras model, with conditions about the operators and tensors of the file made of it.

    Raises:
        NotFollowed: the file has other operators than were forecast.
    """
    sides = [[op for op in p.graph.operators if op.type not in UNPACKING] for p in (forecast, plan)]
    if [op.type for op in sides[0]] != [op.type for op in sides[1]]:
        raise NotFollowed("a file of other operators than were forecast")
    operators = {WHOLE_MODEL: WHOLE_MODEL} | {a.index: b.index for a, b in zip(*sides, strict=True)}
    tensors: dict[int, int] = {}
    for a, b in zip(*sides, strict=True):
        tensors |= dict(zip((*a.inputs[:1], *a.outputs), (*b.inputs[:1], *b.outputs), strict=True))

    def place(waiver: Waiver) -> Waiver:
        places = tensors if waiver.kind.is_of_tensor else operators
        if waiver.place not in places:
            raise NotFollowed("a condition about a tensor that the file does not have")
        return waiver._replace(place=places[waiver.place])

    return [replace(f, waivers=frozenset(map(place, f.waivers))) for f in findings]


@dataclass
class FixFigures:
    """What a check says of `xnnlint fix`, beside what that does.

    Attributes:
        models: all of them; made_sparse: those that safe fixes make sparse, or more sparse, and right, by a real run,
            with --even-if-slower where it takes that.
        silent: those of them of which the check says that there is no set of changes, or names an unsafe or manual fix
            of an error.
        promised: models of which the check says what comes of the safe fixes; contradicted: name -> how it differs.
    """

    models: int = 0
    made_sparse: set[str] = field(default_factory=set)
    promised: int = 0
    silent: dict[str, str] = field(default_factory=dict)
    contradicted: dict[str, str] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)

    def lines(self) -> list[str]:
        lines = [
            f"{self.models} models: safe fixes make {len(self.made_sparse)} sparse and right in a real run; of "
            f"{len(self.silent)} of these a check says unsafe, manual or no set of changes",
            f"{self.promised} promises of what comes of the safe fixes: {len(self.contradicted)} contradicted by a "
            f"real run; {len(self.unread)} models could not be read or edited",
        ]
        lines += [f"silent: {name}: {how}" for name, how in self.silent.items()]
        lines += [f"contradicted: {name}: {how}" for name, how in self.contradicted.items()]
        lines += [f"not read: {name}: {why}" for name, why in self.unread.items()]
        return lines


class FixJudge:
    """Checks models as `xnnlint check` does, fixes them, and runs what comes of it; a context manager."""

    def __init__(self, profile: Profile) -> None:
        self.profile, self.figures = profile, FixFigures()
        self.scratch = tempfile.TemporaryDirectory(prefix="xnnlint-advice-")
        self.observer = Observer(seeds=(0, 1))

    def __enter__(self) -> FixJudge:
        return self

    def __exit__(self, *_: object) -> None:
        self.observer.close()
        self.scratch.cleanup()

    def judge(self, name: str, data: bytes) -> None:
        """One .tflite model."""
        from xnnlint.fixes.check_fixes import add_fixes
        from xnnlint.fixes.remedies import what_fix_would_do
        from xnnlint.linter.engine import check_model

        figures = self.figures
        figures.models += 1
        path = Path(self.scratch.name) / "model.tflite"
        path.write_bytes(data)
        try:
            report = check_model(path, self.profile)
            if report.needs_fixes:
                add_fixes(report, self.profile, search=True)
            results = [what_fix_would_do(path, self.profile, even_if_slower=slower) for slower in (False, True)]
        except XnnlintError as error:
            figures.unread[name] = str(error)
            return
        made = report.fixes.brought if report.fixes is not None else None
        declined = report.fixes.declined if report.fixes is not None else None
        for result, promised in zip(results, (made, declined), strict=True):
            if not result.changes or (result is results[1] and result.after.data == results[0].after.data):
                continue
            path.write_bytes(result.after.data)
            seen = self.observer(path)
            spmm = len(result.after.spmm)
            if seen.outcome == "sparse" and (spmm > len(result.before.spmm) or not result.before.plan.is_correct):
                self._sparse(name, report)
            if promised is not None and seen.outcome is not None:
                figures.promised += 1
                said = promised.outcome.value, promised.spmm
                if said != (seen.outcome, spmm):
                    figures.contradicted[name] = f"{said} by the check, {seen.outcome}, {spmm} then"

    def _sparse(self, name: str, report: ModelReport) -> None:
        self.figures.made_sparse.add(name)
        if why := _silence(report):
            self.figures.silent[name] = why


def _silence(report: ModelReport) -> str:
    """What a check says of a model that safe fixes make sparse, where that is not that they do."""
    bold = [
        f"{f.rule} at {f.location.name}: {f.remedy.applicability.value}"
        for f in report.findings
        if f.severity is Severity.ERROR and f.remedy is not None and f.remedy.applicability is not Applicability.SAFE
    ]
    fixes = report.fixes
    says = fixes is not None and (fixes.declined is not None or (fixes.brought is not None and fixes.brought.changes))
    return "; ".join(bold) or ("" if says else "no set of changes")


def _same_advice(said: list[Finding], then: list[Finding]) -> list[Finding]:
    """What is found once misread weights are stored dense, if that is what was said beside it before."""
    sides = [sorted((f.rule, f.location.name, f.unlocks is not None) for f in side) for side in (said, then)]
    others = [place for place in sides[0] if place[0] != rule_for(Condition.KNOWN_ENCODING).code]
    if others != sides[1]:
        raise XnnlintError(f"other findings once its weights are stored dense: {others}, {sides[1]}")
    return then


class Judge:
    """Checks models, follows the advice, and runs what comes of it; a context manager.

    Args:
        profile: the runtime to check for, which is also the one that runs.
        out: where models whose promise was contradicted are kept, or None.
    """

    def __init__(self, profile: Profile, out: Path | None = None) -> None:
        self.profile, self.out, self.figures = profile, out, Figures()
        self.scratch = tempfile.TemporaryDirectory(prefix="xnnlint-advice-")
        self.observer = Observer(seeds=(0, 1))

    def __enter__(self) -> Judge:
        return self

    def __exit__(self, *_: object) -> None:
        self.observer.close()
        self.scratch.cleanup()

    def judge(self, name: str, data: bytes) -> None:
        """One .tflite model."""
        from xnnlint.linter.engine import find
        from xnnlint.loaders.tflite.read_tflite import load_bytes
        from xnnlint.xnnpack.planner import make_plan

        self.figures.models += 1
        try:
            plan = make_plan(load_bytes(data, name), self.profile)
            findings = find(plan)
            if any(f.condition is Condition.KNOWN_ENCODING for f in findings):
                # The rest is said of the model that has these weights stored dense, and is followed there.
                data = without_misread_weights(data, name, plan)
                plan = make_plan(load_bytes(data, name), self.profile)
                findings = _same_advice(findings, find(plan))
        except XnnlintError as error:
            self.figures.unread[name] = str(error)
            return
        self.follow(name, data, plan, findings)

    def judge_source(self, name: str, source: Path, file: Path) -> None:
        """A Keras file, whose advice is followed in the .tflite file that TensorFlow's converter makes of it."""
        from xnnlint.linter.engine import find
        from xnnlint.loaders import load
        from xnnlint.xnnpack.planner import make_plan

        self.figures.models += 1
        try:
            forecast, plan = (make_plan(load(path), self.profile) for path in (source, file))
            findings = find(forecast)
        except XnnlintError as error:
            self.figures.unread[name] = str(error)
            return
        try:
            findings = translated(forecast, plan, findings)
        except NotFollowed as reason:
            if promise_of(forecast, findings) is not None:
                self.figures.not_followed[name] = str(reason)
            else:
                self.figures.right += 1
            return
        self.follow(name, file.read_bytes(), plan, findings)

    def follow(self, name: str, data: bytes, plan: Plan, findings: list[Finding]) -> None:
        """Follows the advice that a model got."""
        figures, promise = self.figures, promise_of(plan, findings)
        if promise is None:
            if any(f.severity is Severity.ERROR for f in findings):
                figures.hopeless.append(name)
            else:
                figures.right += 1
            return
        if self._follow(name, data, plan, Kind.SET, promise):
            figures.by_rules[promise.rules] += 1
        for finding in findings:
            single = (finding,)
            if single != promise.findings and finding.unlocks is not None and finding.unlocks.alone:
                wanted = plan.planner.spmm(finding.waivers) if plan.planner else frozenset()
                self._follow(name, data, plan, Kind.ALONE, Promise(single, wanted))
        if len(promise.findings) > 1 and plan.is_correct and not promise.is_all_or_none:
            for finding in promise.findings:
                self._follow(name, data, plan, Kind.PART, Promise((finding,), frozenset()))

    def _follow(self, name: str, data: bytes, plan: Plan, kind: Kind, promise: Promise) -> bool:
        """Follows one promise; whether it came true."""
        figures = self.figures
        what = name if kind is Kind.SET else f"{name}, {promise.rules} {kind.value}"
        try:
            followed = follow(data, name, plan, promise.findings)
            if kind is Kind.PART and followed.counts_more:
                raise NotFollowed("a part whose stand-in has weights that count for the zeros of a cluster")
        except (NotFollowed, XnnlintError) as reason:
            figures.not_followed[what] = str(reason)
            return False
        trouble, undecided = self._trouble(name, followed.data, followed.places, promise)
        if trouble:
            figures.contradicted[what] = f"{promise.rules}: {trouble}"
            self._keep(f"{name}-{kind.name.lower()}", data, followed.data)
        elif undecided:
            figures.undecided[what] = undecided
        else:
            figures.true[kind] += 1
        return not trouble and not undecided

    def _trouble(self, name: str, data: bytes, places: dict[int, int], promise: Promise) -> tuple[str, str]:
        """How the changed file contradicts the promise, and why it could not be judged; "" for neither."""
        from xnnlint.loaders.tflite.read_tflite import load_bytes
        from xnnlint.xnnpack.planner import make_plan

        plan = make_plan(load_bytes(data, name), self.profile)
        promised = {places[op] for op in promise.ops if op in places}
        path = Path(self.scratch.name) / "model.tflite"
        path.write_bytes(data)
        seen = self.observer(path)
        planned = tuple(kernel.kernel for kernel in plan.operators)
        if seen.kernels is not None and seen.kernels != planned:
            return f"the changed file runs other operators than planned ({plan.outcome.value}, {seen.outcome})", ""
        missing = promised - plan.spmm_ops
        if missing:
            why = "; ".join(fault_words(hazard.fault) for hazard in plan.hazards[:1])
            return f"{len(missing)} of {len(promised)} run dense ({plan.outcome.value}{': ' + why if why else ''})", ""
        if seen.outcome is None:
            return "", seen.undecided or seen.error or "?"
        if seen.outcome == "wrong-results" and plan.is_correct and any(op.type in STEPS for op in plan.graph.operators):
            return "", "it may be a rounding error of which CEIL or POW, say, makes a large one"
        if seen.outcome != "sparse" and (promised or seen.outcome != "dense"):
            return f"the run is {seen.outcome} ({plan.outcome.value} by plan)", ""
        return "", ""

    def _keep(self, name: str, before: bytes, after: bytes) -> None:
        if self.out is not None:
            self.out.mkdir(parents=True, exist_ok=True)
            stem = Path(name).name.removesuffix(".tflite")
            (self.out / f"{stem}.tflite").write_bytes(before)
            (self.out / f"{stem}.followed.tflite").write_bytes(after)


def main(arguments: list[str]) -> int:
    """Exit code 0: no promise was contradicted; 1: some; 2: it could not run."""
    options = _parser().parse_args(arguments)
    from xnnlint.runtime import targets
    from xnnlint.xnnpack.profile import load_profile

    try:
        profile = load_profile(options.runtime, targets.resolve(targets.AUTO, None).cpu)
        with FixJudge(profile) if options.fixes else Judge(profile, options.out) as judge:
            if options.keras and isinstance(judge, Judge):
                _judge_set(judge, options.keras)
            for number, case in enumerate([] if options.keras else _cases(options), 1):
                judge.judge(case.name, case.make()[0])
                if number % CHUNK == 0:
                    print(f"{number} models", file=sys.stderr, flush=True)
    except XnnlintError as error:
        print(f"tests.difftest: {error}", file=sys.stderr)
        return TROUBLE
    print("\n".join(judge.figures.lines()))
    silent = judge.figures.silent if isinstance(judge, FixJudge) else {}
    return BAD if judge.figures.contradicted or silent else GOOD


def _judge_set(judge: Judge, folder: Path) -> None:
    """Every Keras file of a set that was converted as a forecast takes it: stored sparse."""
    entries = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    for number, entry in enumerate(entries, 1):
        if entry["mode"] == "sparse" and entry["sources"]:
            source = entry["sources"].get("keras") or entry["sources"]["h5"]
            judge.judge_source(entry["name"], folder / source, folder / entry["file"])
        if number % CHUNK == 0:
            print(f"{number} models", file=sys.stderr, flush=True)


def _cases(options: argparse.Namespace) -> list[Case]:
    if options.patterns:
        return pattern_cases()
    return file_cases(options.files) if options.files else random_cases(options.seed, options.graphs)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.difftest advice",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--graphs", type=int, default=300, metavar="N", help="number of random graphs (default 300)")
    parser.add_argument("--seed", type=int, default=900_000, metavar="S", help="number of the first (default 900000)")
    parser.add_argument("--patterns", action="store_true", help="the hand-made models instead of random graphs")
    parser.add_argument("--fixes", action="store_true", help="what a check says of xnnlint fix, beside what that does")
    parser.add_argument("--keras", type=Path, metavar="FOLDER", help="a set that fixtures/make_keras_set.py wrote")
    parser.add_argument("--files", nargs="+", metavar="PATH", help="models from files or folders")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="keeps the models whose promise was contradicted")
    parser.add_argument("--runtime", default="litert-2.3", help="runtime profile (default litert-2.3, the installed)")
    return parser
