"""Two results of the same models side by side: which outcomes changed, and where SpMM was lost or gained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import Struct

from xnnlint.errors import XnnlintError
from xnnlint.linter.comparison import TOLERANCE, Aspect, Change, change_of
from xnnlint.linter.findings import Severity
from xnnlint.reporters.finding_words import counted
from xnnlint.reporters.json_document import SCHEMA_VERSION, tool
from xnnlint.reporters.model_row import UNKNOWN, UNREADABLE, ModelRow
from xnnlint.reporters.styled_lines import BAD, FAINT, GOOD, STRONG, Line, Span, safe, wrap
from xnnlint.xnnpack.plan import Outcome

if TYPE_CHECKING:
    from xnnlint.linter.findings import RuntimeOutcome

SHOWN = 10
# From worst to best, as two models are compared; nobody knows whether an unknown one is better than any other.
_ORDER = (UNREADABLE, *(o.value for o in (Outcome.FAILS, Outcome.WRONG_RESULTS, Outcome.DENSE, Outcome.SPARSE)))


class Result(NamedTuple):
    """One model in one of the two results.

    Attributes:
        outcome: in a word, `unknown` and `unreadable` too.
        spmm: None where there is no plan.
        errors: findings; None where only the outcome on one of several runtimes is known.
        bytes: None where they were not asked for.
    """

    outcome: str
    spmm: int | None
    errors: int | None
    bytes: int | None
    blockers: tuple[str, ...]


class Pair(Struct, frozen=True):
    """A model in both results, or in one of them."""

    path: str
    before: Result | None
    after: Result | None

    @property
    def changes(self) -> dict[Aspect, Change]:
        """What each aspect did; nothing of a model that only one of them has."""
        if self.before is None or self.after is None:
            return {}
        a, b = self.before, self.after
        return {
            Aspect.OUTCOME: change_of(_rank(a.outcome), _rank(b.outcome)),
            Aspect.SPMM: change_of(a.spmm, b.spmm),
            Aspect.FINDINGS: change_of(_less(a.errors), _less(b.errors)),
            Aspect.SIZE: change_of(_less(a.bytes), _less(b.bytes), TOLERANCE),
        }

    @property
    def is_other(self) -> bool:
        """Whether another outcome came of it, or another number of SpMM."""
        if self.before is None or self.after is None:
            return False
        return (self.before.outcome, self.before.spmm) != (self.after.outcome, self.after.spmm)


class ZooComparison:
    """The pairs of two results, in the order of the second; then those that are gone."""

    def __init__(self, names: tuple[str, str], before: dict[str, Result], after: dict[str, Result]) -> None:
        self.names = names
        self.pairs = [Pair(path, before.get(path), result) for path, result in after.items()]
        self.pairs += [Pair(path, result, None) for path, result in before.items() if path not in after]

    def worse(self, aspects: Iterable[Aspect]) -> list[Aspect]:
        """Those of the aspects in which a model is worse."""
        found = {aspect for pair in self.pairs for aspect, change in pair.changes.items() if change is Change.WORSE}
        return [aspect for aspect in aspects if aspect in found]

    def lines(self, width: int, *, verbose: bool) -> list[Line]:
        """For a person: how many changed, from what to what, and which models."""
        both = [pair for pair in self.pairs if pair.changes]
        new = sum(pair.before is None for pair in self.pairs)
        gone = len(self.pairs) - len(both) - new
        lines = wrap([Span(safe(self.names[0]), STRONG), " -> ", Span(safe(self.names[1]), STRONG)], width)
        there = f"{counted(len(both), 'model')} in both, {new:,} only in the second, {gone:,} only in the first."
        lines += wrap([there], width)
        moved = Counter((p.before.outcome, p.after.outcome) for p in both if p.before and p.after)
        changed = sorted(((n, a, b) for (a, b), n in moved.items() if a != b), reverse=True)
        if changed:
            lines += [[], [Span("models  outcome", STRONG)]]
            lines += [[Span(f"{n:>6,}  {a} -> {b}", _style(change_of(_rank(a), _rank(b))))] for n, a, b in changed]
        for title, change in (("worse", Change.WORSE), ("better", Change.BETTER), ("otherwise", None)):
            found = [pair for pair in both if pair.is_other and _of(pair) is change]
            if found:
                lines += [[], [Span(f"{title}: {counted(len(found), 'model')}", STRONG)]]
                shown = found if verbose else found[:SHOWN]
                lines += [line for pair in shown for line in wrap([_sentence(pair)], width, 2, 4)]
                if len(shown) < len(found):
                    lines.append([Span(f"  and {len(found) - len(shown):,} more; --verbose shows all", FAINT)])
        errors = sum(_gained(pair) for pair in both)
        lines += [[], [Span(f"SpMM: {_spmm(both)}. Errors: {errors:+,}.", STRONG)]]
        return lines

    def document(self, worse: Sequence[Aspect]) -> dict[str, Any]:
        """The same as plain values: every model that is not in both alike."""
        return {
            "schema_version": SCHEMA_VERSION,
            "tool": tool(),
            "before": self.names[0],
            "after": self.names[1],
            "models": sum(bool(pair.changes) for pair in self.pairs),
            "worse": [aspect.value for aspect in worse],
            "differing": [
                {
                    "path": pair.path,
                    "before": _data(pair.before),
                    "after": _data(pair.after),
                    "changes": {aspect.value: change.value for aspect, change in pair.changes.items()},
                }
                for pair in self.pairs
                if not pair.changes or pair.is_other or {Change.BETTER, Change.WORSE} & set(pair.changes.values())
            ],
        }


def results_of(rows: Iterable[ModelRow], runtime: str = "") -> dict[str, Result]:
    """What is compared of each model, by path; of one that is there twice the later.

    Args:
        runtime: of a check for several, the one that is asked for; "" for the whole.

    Raises:
        XnnlintError: a model was not checked for that runtime.
    """
    return {row.path: _result(row, runtime) for row in rows}


def _result(row: ModelRow, runtime: str) -> Result:
    errors = row.severities.get(Severity.ERROR, 0)
    if not runtime or runtime == row.runtime or row.error is not None:
        return Result(row.word, row.spmm, errors, row.bytes, row.blockers)
    one: RuntimeOutcome | None = next((one for one in row.by_runtime if one.runtime == runtime), None)
    if one is None:
        known = ", ".join(other.runtime for other in row.by_runtime) or row.runtime
        raise XnnlintError(f"{row.path} was not checked for {runtime}, but for {known}")
    return Result(one.outcome.value if one.outcome else UNKNOWN, one.spmm, None, row.bytes, one.blockers)


def _rank(outcome: str) -> int | None:
    return _ORDER.index(outcome) if outcome in _ORDER else None


def _less(figure: int | None) -> int | None:
    """Of what is better the less there is."""
    return None if figure is None else -figure


def _of(pair: Pair) -> Change | None:
    """Worse or better by its outcome, or else by its SpMM; None where nobody knows."""
    for aspect in (Aspect.OUTCOME, Aspect.SPMM):
        change = pair.changes[aspect]
        if change in (Change.WORSE, Change.BETTER):
            return change
        if change is Change.UNKNOWN:
            return None
    return None


def _sentence(pair: Pair) -> str:
    assert pair.before is not None and pair.after is not None
    a, b = pair.before, pair.after
    outcomes = b.outcome if a.outcome == b.outcome else f"{a.outcome} -> {b.outcome}"
    said = f"{safe(pair.path)}  {outcomes}"
    if a.spmm is not None and b.spmm is not None and a.spmm != b.spmm:
        said += f", SpMM {a.spmm} -> {b.spmm}"
    new = [code for code in b.blockers if code not in a.blockers]
    return f"{said}, {', '.join(new)}" if new else said


def _style(change: Change) -> str:
    return {Change.WORSE: BAD, Change.BETTER: GOOD}.get(change, "")


def _gained(pair: Pair) -> int:
    assert pair.before is not None and pair.after is not None
    a, b = pair.before.errors, pair.after.errors
    return 0 if a is None or b is None else b - a


def _spmm(pairs: Sequence[Pair]) -> str:
    before = sum(pair.before.spmm or 0 for pair in pairs if pair.before is not None)
    after = sum(pair.after.spmm or 0 for pair in pairs if pair.after is not None)
    return f"{before:,} -> {after:,}"


def _data(one: Result | None) -> dict[str, Any] | None:
    return None if one is None else {**one._asdict(), "blockers": list(one.blockers)}
