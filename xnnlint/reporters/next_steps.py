"""What to type next, by what was found of a model."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from xnnlint.linter.findings import Severity
from xnnlint.loaders.addresses import is_address
from xnnlint.reporters.finding_words import counted
from xnnlint.reporters.styled_lines import FAINT, STRONG, Line, Span, columns, safe, wrap
from xnnlint.reporters.value_words import made_words
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.plan import Outcome

if TYPE_CHECKING:
    from xnnlint.linter.findings import FixForecast, FixOutcome, ModelReport

_INDENT = 6
_BESIDE = 22  # columns of a command that has its explanation beside it
SHARE = "0.8"
# Of the extras that a check can miss: what pip has under a name of its own, however xnnlint was installed.
_PACKAGES = {"verify": "ai-edge-litert"}


MEANINGS = {
    "strip": "take the pruning wrappers off",
    "prune": "pruning comes first",
    "fix": "xnnlint fix does it, outputs stay",
    "install": "a package is missing",
    "fix (slower)": "xnnlint fix --even-if-slower",
    "fix (unsafe)": "xnnlint fix --unsafe-fixes, then train again",
    "convert": "xnnlint convert",
    "convert+fix": "xnnlint convert --fix",
    "by hand": "you change it where it is made",
}
"""Of the words in a table of many models."""


class Kind(Enum):
    """The kinds of steps, with the word for each in a table of many models."""

    STRIP = "strip"
    PRUNE = "prune"
    FIX = "fix"
    INSTALL = "install"
    FIX_SLOWER = "fix (slower)"
    FIX_UNSAFE = "fix (unsafe)"
    CONVERT = "convert"
    CONVERT_FIX = "convert+fix"
    VERIFY = "verify"
    BENCH = "bench"
    BY_HAND = "by hand"
    EXPLAIN = "explain"


_OF_FILES = (Kind.FIX, Kind.FIX_SLOWER, Kind.FIX_UNSAFE, Kind.CONVERT, Kind.CONVERT_FIX, Kind.BENCH)
"""What takes no addresses."""


class Step(Struct, frozen=True):
    """One thing to do.

    Attributes:
        command: what to type; "" for what no command does.
        why: what comes of it, in a few words.
    """

    kind: Kind
    command: str
    why: str


def steps(model: ModelReport) -> list[Step]:
    """What to do with a model that was read, the first thing first.

    What changes a model, or times it, takes files alone: of one at an address, the steps are for a copy.
    """
    found, missing = [*_of_weights(model), *_of_fixes(model)], list(_of_missing(model))
    if not found and not missing and any(f.severity is Severity.ERROR for f in model.findings):
        found.append(Step(Kind.BY_HAND, "", ""))
    found += _of_right_models(model)
    if is_address(model.path):
        found = [_of_copy(step) for step in found]
    if model.findings:
        rule = model.findings[0].rule
        found.append(Step(Kind.EXPLAIN, f"xnnlint explain {rule}", "what it means, with an example"))
    return [*found, *missing]


def next_lines(model: ModelReport, width: int) -> list[Line]:
    """The steps that are commands, under a heading."""
    shown = [step for step in steps(model) if step.command]
    if not shown:
        return []
    lines: list[Line] = [[Span("Next:", STRONG)]]
    for step in shown:
        command = Span(step.command, STRONG, keep=True)
        start = max(columns(step.command), _BESIDE) + 2
        if 2 + start + columns(step.why) <= width:
            gap = " " * (start - columns(step.command))
            lines.append([Span("  "), command, Span(gap), Span(step.why, FAINT)])
        else:
            lines.append([Span("  "), command])
            lines += wrap([Span(step.why, FAINT)], width, _INDENT)
    return lines


def word(model: ModelReport) -> str:
    """The first step in a word; "" where nothing is to be done."""
    found = [step.kind for step in steps(model) if step.kind not in (Kind.VERIFY, Kind.BENCH, Kind.EXPLAIN)]
    return found[0].value if found else ""


def _of_weights(model: ModelReport) -> Iterator[Step]:
    """What is to be done in training, before anything in the graph matters."""
    lacks = {finding.condition for finding in model.findings}
    if Condition.WRAPPERS_STRIPPED in lacks:
        yield Step(Kind.STRIP, "", "")
    if Condition.PRUNED in lacks and not model.if_pruned and _is_there(model):
        command = f"xnnlint check {_quoted(model.path)} --assume-pruned {SHARE}"
        yield Step(Kind.PRUNE, command, f"what pruning to {float(SHARE):.0%} would bring")
    elif Condition.PRUNED in lacks:
        yield Step(Kind.PRUNE, "", "")


def _of_fixes(model: ModelReport) -> Iterator[Step]:
    fixes, plan = model.fixes, model.plan
    if fixes is None or plan is None or plan.model.unknown:
        return
    yield from _of_conversion(model, fixes)
    # A .tflite file that is not pruned has nothing that a fix of its graph could bring yet.
    if plan.model.format == "tflite" and any(f.condition is Condition.PRUNED for f in model.findings):
        return
    # A name of its own, where the model is what an earlier fix has written.
    fixed = "fixed-again" if Path(model.path).stem == "fixed" else "fixed"
    fix = f"xnnlint fix {_path(model)} -o {fixed}.{plan.model.format}"
    more = f"; {fixes.unsafe} more with --unsafe-fixes ([!]: other outputs, train again)" if fixes.unsafe else ""
    brought = fixes.brought
    stays = brought is not None and (brought.outcome, brought.spmm) == (plan.outcome, len(plan.spmm_ops))
    if brought is not None and brought.changes and not stays:
        gain = made_words(model)
        faster = f"; {gain}" if gain else ""
        yield Step(Kind.FIX, fix, f"[*] {_becomes(brought)}: same outputs, no retraining{faster}{more}")
    elif fixes.safe and (brought is None or brought.changes):
        what = f"[*] {_some(model, fixes.safe)}: same outputs, no retraining{more}"
        if not stays:
            what += "; check --fixes tries it"
        elif plan.outcome is not Outcome.SPARSE:
            what += f"; {plan.outcome.value} all the same"
        yield Step(Kind.FIX, fix, what)
    elif fixes.unsafe:
        yield Step(
            Kind.FIX_UNSAFE, f"{fix} --unsafe-fixes", f"[!] {_some(model, fixes.unsafe)}: other outputs, train again"
        )
    if fixes.declined is not None:
        yield Step(Kind.FIX_SLOWER, f"{fix} --even-if-slower", f"[*] {_becomes(fixes.declined)}; slower, as predicted")
    yield from _untried_conversion(model, fixes)


def _untried_conversion(model: ModelReport, fixes: FixForecast) -> Iterator[Step]:
    """The same of a Keras model that is too large to try that in passing."""
    if fixes.converted_untried:
        command = f"xnnlint convert {_path(model)} -o model.tflite --fix"
        what = counted(fixes.converted_untried, "finding")
        yield Step(Kind.CONVERT_FIX, command, f"has safe fixes for {what}; check --fixes tries it")


def _of_missing(model: ModelReport) -> Iterator[Step]:
    """What to install where rules are broken that `xnnlint fix` has fixes for."""
    if model.fixes is None or not model.fixes.extra:
        return
    from xnnlint.fixes.fixable import FileKind, fixable

    if any(f.is_asking and FileKind.TFLITE in fixable(f.condition) for f in model.findings):
        yield Step(
            Kind.INSTALL, f"pip install {_PACKAGES[model.fixes.extra]}", "lets check say what xnnlint fix can do"
        )


def _of_conversion(model: ModelReport, fixes: FixForecast) -> Iterator[Step]:
    """Of a Keras model: where converting it and fixing what comes out brings more than fixing the model."""
    road = fixes.converted or fixes.converted_if_slower
    if road is None:
        return
    slower = road is not fixes.converted
    command = f"xnnlint convert {_path(model)} -o model.tflite --fix{' --even-if-slower' if slower else ''}"
    yield Step(Kind.CONVERT_FIX, command, f"{_becomes(road)}{'; slower, as predicted' if slower else ': same outputs'}")


def _some(model: ModelReport, count: int) -> str:
    whole = sum(finding.severity is not Severity.NOTE for finding in model.findings)
    if count == whole:
        return f"rewrites all {count}" if count > 1 else "rewrites it"
    return f"rewrites {count} of {whole} findings"


def _becomes(fixed: FixOutcome) -> str:
    # How many operators it changes is for `xnnlint fix` to say: here findings are counted.
    becomes = {Outcome.SPARSE: f"sparse, {fixed.spmm} of {fixed.convolutions}", Outcome.DENSE: "correct, and dense"}
    return becomes.get(fixed.outcome, fixed.outcome.value)


def _of_right_models(model: ModelReport) -> Iterator[Step]:
    """What comes after a green check."""
    if model.outcome is not Outcome.SPARSE or model.plan is None or not _is_there(model):
        return
    if model.plan.model.format == "tflite":
        yield Step(Kind.VERIFY, f"xnnlint verify {_quoted(model.path)}", "runs it in LiteRT, and compares")
        yield Step(Kind.BENCH, f"xnnlint bench {_path(model)}", "times it, sparse and dense")
    elif model.plan.model.assume_pruned is not None:
        yield Step(Kind.PRUNE, "", "")
    elif model.path.endswith((".keras", ".h5")) and not model.plan.model.unknown:
        wrapped = any(finding.condition is Condition.WRAPPERS_STRIPPED for finding in model.findings)
        what = f"{'takes the wrappers off, ' if wrapped else ''}stores the zeros sparse, and checks the file"
        yield Step(Kind.CONVERT, f"xnnlint convert {_path(model)} -o model.tflite", what)


def _is_there(model: ModelReport) -> bool:
    """Not stdin, which has another name in the report than the file that was read, and is there once."""
    if model.plan is None or model.format is None:
        return False
    return model.plan.model.path == model.path or is_address(model.path)


def _of_copy(step: Step) -> Step:
    if step.kind not in _OF_FILES or not step.command:
        return step
    return Step(step.kind, step.command, f"{step.why}; on a copy: download it first")


def _path(model: ModelReport) -> str:
    """The file, or that of a copy."""
    return _quoted(model.path.rpartition("/")[2] if is_address(model.path) else model.path)


def _quoted(path: str) -> str:
    return shlex.quote(safe(path))
