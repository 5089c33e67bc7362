"""What a run over very many models comes to, on one screen: outcomes, blockers, gains, first steps, folders."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

from xnnlint.reporters.finding_words import counted, percent
from xnnlint.reporters.model_row import UNKNOWN, UNREADABLE
from xnnlint.reporters.models_table import common_folder
from xnnlint.reporters.runtime_words import RuntimesTable
from xnnlint.reporters.styled_lines import FAINT, STRONG, Line, Span, safe, shorten, wrap
from xnnlint.xnnpack.plan import Outcome

if TYPE_CHECKING:
    from xnnlint.reporters.model_row import GainFigures, ModelRow

MANY = 20
"""More models than a screen has lines for are summed up."""
_MOST_RULES, _MOST_FOLDERS = 8, 8
_ORDER = (*(outcome.value for outcome in Outcome), UNKNOWN, UNREADABLE)
# A folder's line has no room for all.
_SHORT = {Outcome.WRONG_RESULTS.value: "wrong"}


class ZooSummary:
    """Counts over all models of a run, kept while the models themselves are let go of.

    Args:
        names: of all models, as far as they are known before.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._common = common_folder(names)
        self._outcomes: Counter[str] = Counter()
        self._blocked: Counter[str] = Counter()
        self._blocked_alone: Counter[str] = Counter()
        self._rules: dict[str, str] = {}
        self._next: Counter[str] = Counter()
        self._folders: dict[str, Counter[str]] = {}
        self._runtimes = RuntimesTable()
        self._gains, self._gains_if_fixed = array("d"), array("d")

    def add(self, row: ModelRow) -> None:
        self._outcomes[row.word] += 1
        self._folders.setdefault(self._folder(row.path), Counter())[row.word] += 1
        self._next[row.next] += bool(row.next)
        names = {rule.code: rule.name for rule in row.rules}
        for code in row.blockers:
            self._blocked[code] += 1
            self._rules[code] = names.get(code, "")
        if len(row.blockers) == 1:
            self._blocked_alone[row.blockers[0]] += 1
        self._runtimes.add(row)
        _keep(self._gains, row.gain)
        _keep(self._gains_if_fixed, row.gain_if_fixed)

    @property
    def models(self) -> int:
        return sum(self._outcomes.values())

    def lines(self, width: int) -> list[Line]:
        """The screen; of models that are few enough to be looked at, only what runtimes make of them."""
        parts = [self._runtime_lines(width)]
        if self.models > MANY:
            parts = [self._outcome_lines(width), self._blocker_lines(width), *parts]
            parts += [self._next_lines(width), self._folder_lines(width)]
        return [line for part in parts if part for line in [*part, []]]

    def document(self) -> dict[str, Any]:
        """The same as plain values, of any number of models."""
        return {
            "models": self.models,
            "outcomes": _in_order(self._outcomes),
            "blockers": [
                {"rule": code, "name": self._rules[code], "models": count, "alone": self._blocked_alone[code]}
                for code, count in self._by_count(self._blocked)
            ],
            "gain": _spread(self._gains),
            "gain_if_fixed": _spread(self._gains_if_fixed),
            "runtimes": self._runtimes.document(),
            "differing": self._runtimes.differing,
            "next": dict(self._by_count(self._next)),
            "folders": [
                {"folder": folder, "outcomes": _in_order(counts)} for folder, counts in sorted(self._folders.items())
            ],
        }

    def _folder(self, path: str) -> str:
        """The folder right below the one that all models are in; "" of what is in that one itself."""
        way = path.removeprefix(self._common)
        head, slash, _ = way.lstrip("/").partition("/")
        return self._common + way[: len(way) - len(way.lstrip("/"))] + head + slash if slash else self._common

    def _outcome_lines(self, width: int) -> list[Line]:
        rows = [(word, f"{self._outcomes[word]:,}", percent(self._outcomes[word], self.models)) for word in _ORDER]
        gain = f"median gain {median(self._gains):.1f}x ({_between(self._gains)})" if self._gains else ""
        shown = [(*row, gain if row[0] == Outcome.SPARSE.value else "") for row in rows if self._outcomes[row[0]]]
        lines = _table((f"{self.models:,} models", "", "", ""), shown, right=(1, 2))
        if self._gains_if_fixed:
            models, most = counted(len(self._gains_if_fixed), "model"), median(self._gains_if_fixed)
            between = _between(self._gains_if_fixed)
            lines += wrap([f"Fixing what holds {models} back brings at most {most:.1f}x (median; {between})."], width)
        return lines

    def _blocker_lines(self, width: int) -> list[Line]:
        found = self._by_count(self._blocked)
        rows = [
            (code, f"{count:,}", f"{self._blocked_alone[code]:,}", self._rules[code])
            for code, count in found[:_MOST_RULES]
        ]
        lines = _table(("blocker", "models", "alone", ""), rows, right=(1, 2)) if rows else []
        if lines:
            more = f"{len(found) - _MOST_RULES} more rules hold models back. " if len(found) > _MOST_RULES else ""
            said = f"{more}alone: so many models have no other blocker."
            lines += wrap([Span(said, FAINT)], width)
        return lines

    def _runtime_lines(self, width: int) -> list[Line]:
        rows = self._runtimes.rows()
        if not rows:
            return []
        said = f"Not the same on all of them: {self._runtimes.differing:,} of {counted(self.models, 'model')}."
        return [*_table(rows[0], rows[1:], right=range(1, len(rows[0]))), *wrap([Span(said, FAINT)], width)]

    def _next_lines(self, width: int) -> list[Line]:
        steps = [Span(f"{word} {count:,}", keep=True) for word, count in self._by_count(self._next)]
        pieces = [piece for step in steps for piece in (Span(", "), step)][1:]
        return wrap([Span("first step: ", STRONG), *pieces], width, 0, 2) if steps else []

    def _folder_lines(self, width: int) -> list[Line]:
        count = len(self._folders)
        # Where each model has a folder of its own, folders say nothing.
        if count < 2 or 2 * count > self.models:
            return []
        words = [word for word in _ORDER if self._outcomes[word]]
        by_trouble = sorted(self._folders, key=lambda folder: (-_not_sparse(self._folders[folder]), folder))
        shown = by_trouble[:_MOST_FOLDERS]
        room = max(width - 9 - sum(max(len(_SHORT.get(word, word)), 6) + 2 for word in words), 10)
        rows = [
            (shorten(safe(folder) or "./", room), f"{sum(counts.values()):,}", *(f"{counts[w]:,}" for w in words))
            for folder in shown
            for counts in [self._folders[folder]]
        ]
        head = ("folder", "models", *(_SHORT.get(word, word) for word in words))
        lines = _table(head, rows, right=range(1, len(head)))
        if count > len(shown):
            lines.append([Span(f"and {count - len(shown):,} more folders, in which more is sparse", FAINT)])
        return lines

    @staticmethod
    def _by_count(counts: Counter[str]) -> list[tuple[str, int]]:
        """What was counted, the most first."""
        return sorted(((word, n) for word, n in counts.items() if n), key=lambda entry: (-entry[1], entry[0]))


def _in_order(outcomes: Counter[str]) -> dict[str, int]:
    return {outcome: outcomes[outcome] for outcome in _ORDER}


def _keep(figures: array[float], gain: GainFigures | None) -> None:
    if gain is not None:
        figures.append(gain.ratio)


def _spread(figures: array[float]) -> dict[str, Any] | None:
    if not figures:
        return None
    return {"models": len(figures), "median": round(median(figures), 3), "least": min(figures), "most": max(figures)}


def _between(figures: array[float]) -> str:
    return f"{min(figures):.1f}x to {max(figures):.1f}x"


def _not_sparse(counts: Counter[str]) -> int:
    return sum(counts.values()) - counts[Outcome.SPARSE.value]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[int]) -> list[Line]:
    """Columns two apart, those of `right` flush right."""
    all_rows = [tuple(head), *map(tuple, rows)]
    to_right = set(right)
    sizes = [max(len(row[i]) for row in all_rows) for i in range(len(head))]

    def shown(row: Sequence[str]) -> Iterator[str]:
        for i, (cell, size) in enumerate(zip(row, sizes, strict=True)):
            yield cell.rjust(size) if i in to_right else cell.ljust(size)

    texts = ["  ".join(shown(row)).rstrip() for row in all_rows]
    return [[Span(text, "" if number else STRONG)] for number, text in enumerate(texts)]
