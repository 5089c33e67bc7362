"""What several runtimes make of a model, and of many: who is alike, and where they differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from xnnlint.xnnpack.plan import Outcome

if TYPE_CHECKING:
    from xnnlint.linter.findings import RuntimeOutcome
    from xnnlint.reporters.model_row import ModelRow

_WORDS: dict[Outcome | None, str] = {**{outcome: outcome.value for outcome in Outcome}, None: "unknown"}
_LETTERS = {Outcome.SPARSE: "S", Outcome.DENSE: "d", Outcome.WRONG_RESULTS: "W", Outcome.FAILS: "F", None: "?"}


def by_runtime_sentence(found: Sequence[RuntimeOutcome]) -> str:
    """`sparse, 2 of 2 (litert-2.3, tf-2.18); dense (tf-2.4)`, newest first; "" of a single runtime."""
    alike: dict[str, list[str]] = {}
    for one in found:
        alike.setdefault(_words(one), []).append(one.runtime)
    if len(alike) < 2:
        return f"By runtime: {next(iter(alike))} on all {len(found)}." if alike else ""
    said = "; ".join(f"{words} ({', '.join(names)})" for words, names in alike.items())
    return f"By runtime: {said}."


def letters(found: Iterable[RuntimeOutcome]) -> str:
    """A letter for each runtime, for a table that has no room for words."""
    return "".join(_LETTERS[one.outcome] for one in found)


def letters_legend(found: Sequence[RuntimeOutcome]) -> str:
    """What the letters of a table mean."""
    names = ", ".join(one.runtime for one in found)
    return f"runtimes: {names}; S sparse, d dense, W wrong results, F fails, ? unknown."


class RuntimesTable:
    """Many models by runtime: what would change with another one."""

    def __init__(self) -> None:
        self._models: dict[str, Counter[Outcome | None]] = {}
        self._spmm: Counter[str] = Counter()
        self._convolutions: Counter[str] = Counter()
        self.differing = 0

    def add(self, row: ModelRow) -> None:
        self.differing += len({(one.outcome, one.spmm) for one in row.by_runtime}) > 1
        for one in row.by_runtime:
            self._models.setdefault(one.runtime, Counter())[one.outcome] += 1
            self._spmm[one.runtime] += one.spmm
            self._convolutions[one.runtime] += one.pointwise_convs

    def document(self) -> list[dict[str, Any]]:
        """The same as plain values."""
        return [
            {
                "runtime": runtime,
                "outcomes": {word: counts[outcome] for outcome, word in _WORDS.items()} | {"unreadable": 0},
                "spmm": self._spmm[runtime],
                "pointwise_convs": self._convolutions[runtime],
            }
            for runtime, counts in self._models.items()
        ]

    def rows(self) -> list[tuple[str, ...]]:
        """The head and a row for each runtime; empty where models were checked for a single one."""
        shown = [outcome for outcome in _WORDS if any(counts[outcome] for counts in self._models.values())]
        head = ("runtime", *(_WORDS[outcome] for outcome in shown), "SpMM of 1x1")
        rows = [
            (
                runtime,
                *(f"{counts[outcome]:,}" for outcome in shown),
                f"{self._spmm[runtime]:,} of {self._convolutions[runtime]:,}",
            )
            for runtime, counts in self._models.items()
        ]
        return [head, *rows] if rows else []


def _words(one: RuntimeOutcome) -> str:
    word = _WORDS[one.outcome]
    return f"{word}, {one.spmm} of {one.pointwise_convs}" if one.spmm else word
