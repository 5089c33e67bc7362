"""Many models: one line each, as they are checked."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from xnnlint.reporters.finding_words import counted
from xnnlint.reporters.headline import outcome_style
from xnnlint.reporters.next_steps import MEANINGS
from xnnlint.reporters.runtime_words import letters, letters_legend
from xnnlint.reporters.styled_lines import FAINT, STRONG, Line, Span, columns, safe, shorten, shorten_apart, wrap
from xnnlint.reporters.value_words import not_measured_on

if TYPE_CHECKING:
    from xnnlint.linter.findings import RuntimeOutcome
    from xnnlint.reporters.model_row import ModelRow
    from xnnlint.xnnpack.profile import Profile

_COLUMNS = {"outcome": 13, "SpMM": 8, "gain": 6, "findings": 9, "next": 12}
_OF_SEVERAL_RUNTIMES = {"outcome": 13, "SpMM": 8, "gain": 6, "runtimes": 8, "next": 12}
_NARROWEST_NAME = 16


class ModelsTable:
    """Rows that are known one by one; the widths follow from the names, which are known from the start.

    Args:
        names: of all models.
        profile: what the run predicts for.
        width: columns of a row; None to shorten no name.
    """

    def __init__(self, names: Sequence[str], profile: Profile, width: int | None) -> None:
        # On a screen the folder that all of them are in is said once.
        self._folder = "" if width is None else common_folder(names)
        longest = max((columns(self._named(name)) for name in names), default=0)
        self._columns = _OF_SEVERAL_RUNTIMES if profile.is_portable else _COLUMNS
        rest = sum(size + 2 for size in self._columns.values())
        room = longest if width is None else max(width - rest, _NARROWEST_NAME)
        self._name = max(min(longest, room), len("model"))
        self._shortened = {} if width is None else shorten_apart(map(self._named, names), self._name)
        self._steps: dict[str, None] = {}
        self._width = width
        self._profile = profile
        self._others: dict[str, list[str]] = {}
        self._has_gain = self._has_brackets = False
        self._note = ""
        self._runtimes: Sequence[RuntimeOutcome] = ()

    def head(self) -> Line:
        return [Span(self._row("model", *self._columns), FAINT)]

    def title(self) -> list[Line]:
        """The folder of all models, where names are told from there."""
        return [[Span(f"{safe(self._folder)}:", STRONG)]] if self._folder else []

    def _named(self, path: str) -> str:
        return safe(path.removeprefix(self._folder))

    def row(self, model: ModelRow) -> Line:
        """One model that was read."""
        if (model.runtime, model.cpu) != (self._profile.runtime, self._profile.cpu):
            self._others.setdefault(f"{model.runtime} on {model.cpu}", []).append(self._named(model.path))
        shown = self._named(model.path)
        if self._width is not None:
            shown = self._shortened.get(shown) or shorten(shown, self._name)
        if model.next:
            self._steps[model.next] = None
        cells = self._row("", model.word, _spmm(model), self._gain(model), self._told(model), model.next)
        start = self._name + 2
        behind = start + len(model.word)
        return [
            Span(shown + " " * max(start - columns(shown), 2), STRONG),
            Span(model.word, outcome_style(model.outcome, failed=model.exit_code > 0)),
            Span(cells[behind:]),
        ]

    def legend(self) -> list[Line]:
        """What the gain means, where there was one, and the words of the last column; and how to see more."""
        others = "".join(f"; {', '.join(names)}: for {profile}" for profile, names in self._others.items())
        said = [f"Predicted for {self._profile.name}{others}."]
        if self._has_gain:
            note = f"; {self._note}" if self._note else ""
            brackets = "; (at most, if fixed)" if self._has_brackets else ""
            said.append(f"gain: times as fast as dense{brackets}{note}.")
        lines = wrap([Span(" ".join(said), FAINT)], self._width)
        if self._runtimes:
            lines += wrap([Span(letters_legend(self._runtimes), FAINT)], self._width)
        if self._steps:
            words = "; ".join(f"{step} = {MEANINGS[step]}" for step in self._steps)
            lines += wrap([Span(f"next: {words}.", FAINT)], self._width)
        more = "More on one of them: xnnlint check MODEL; on all: --verbose"
        return [*lines, [Span(more, FAINT)]]

    def _row(self, name: str, *cells: str) -> str:
        sized = [cell.ljust(size) for cell, size in zip(cells, self._columns.values(), strict=True)]
        return "  ".join([name.ljust(self._name), *sized]).rstrip()

    def _told(self, model: ModelRow) -> str:
        """The gravest findings, counted, or what each runtime makes of it."""
        if self._profile.is_portable:
            self._runtimes = self._runtimes or model.by_runtime
            return letters(model.by_runtime)
        worst = model.worst
        return "none" if worst is None else counted(model.severities[worst], worst.value)

    def _gain(self, model: ModelRow) -> str:
        gain = model.gain or model.gain_if_fixed
        if gain is None:
            return ""
        self._has_gain, self._has_brackets = True, self._has_brackets or model.gain is None
        self._note = "" if gain.measured_on_cpu else not_measured_on(model.cpu)
        ratio = f"{gain.ratio:.1f}x" if gain.ratio < 9.95 else f"{gain.ratio:.0f}x"
        return ratio if model.gain is not None else f"({ratio})"


def common_folder(names: Sequence[str]) -> str:
    """`models/` where all names begin with it; "" where they share no folder."""
    folders = [name.rpartition("/")[0] for name in names]
    if not folders or not all(folders) or len({Path(folder).is_absolute() for folder in folders}) > 1:
        return ""
    shared = os.path.commonpath(folders)
    return f"{shared}/" if shared and all(name.startswith(f"{shared}/") for name in names) else ""


def _spmm(model: ModelRow) -> str:
    return f"{model.spmm} of {model.pointwise_convs}" if model.spmm is not None else ""
