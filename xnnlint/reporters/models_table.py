"""Many models: one line each, as they are checked."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xnnlint.reporters.styled_lines import FAINT, STRONG, Line, Span, columns, safe, shorten, shorten_apart, wrap

if TYPE_CHECKING:
    from xnnlint.xnnpack.profile import Profile

_COLUMNS = (("outcome", 13), ("SpMM", 8), ("gain", 6), ("findings", 9), ("next", 12))
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
        self._folder = "" if width is None else _common_folder(names)
        longest = max((columns(self._named(name)) for name in names), default=0)
        rest = sum(size + 2 for _, size in _COLUMNS)
        room = longest if width is None else max(width - rest, _NARROWEST_NAME)
        self._name = max(min(longest, room), len("model"))
        self._shortened = {} if width is None else shorten_apart(map(self._named, names), self._name)
        self._steps: dict[str, str] = {}
        self._width = width
        self._profile = profile
        self._others: dict[str, list[str]] = {}
        self._has_gain = self._has_brackets = False
        self._note = ""

    def head(self) -> Line:
        return [Span(self._row("model", *(title for title, _ in _COLUMNS)), FAINT)]

    def title(self) -> list[Line]:
        """The folder of all models, where names are told from there."""
        return [[Span(f"{safe(self._folder)}:", STRONG)]] if self._folder else []

    def _named(self, path: str) -> str:
        return safe(path.removeprefix(self._folder))

    def row(self, taken: dict[str, Any]) -> Line:
        """One model that was read, by what `models_row` took of it."""
        if taken["profile"]:
            self._others.setdefault(taken["profile"], []).append(self._named(taken["path"]))
        shown = self._named(taken["path"])
        if self._width is not None:
            shown = self._shortened.get(shown) or shorten(shown, self._name)
        if taken["step"]:
            self._steps[taken["step"]] = taken["meaning"]
        if taken["gain"]:
            self._has_gain, self._has_brackets = True, self._has_brackets or taken["gain"].startswith("(")
            self._note = taken["note"]
        outcome = taken["outcome"]
        cells = self._row("", outcome, taken["spmm"], taken["gain"], taken["found"], taken["step"])
        start = self._name + 2
        behind = start + len(outcome)
        return [
            Span(shown + " " * max(start - columns(shown), 2), STRONG),
            Span(outcome, taken["style"]),
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
        if self._steps:
            words = "; ".join(f"{step} = {meaning}" for step, meaning in self._steps.items())
            lines += wrap([Span(f"next: {words}.", FAINT)], self._width)
        more = "More on one of them: xnnlint check MODEL; on all: --verbose"
        return [*lines, [Span(more, FAINT)]]

    def _row(self, name: str, *cells: str) -> str:
        sized = [cell.ljust(size) for cell, (_, size) in zip(cells, _COLUMNS, strict=True)]
        return "  ".join([name.ljust(self._name), *sized]).rstrip()


def _common_folder(names: Sequence[str]) -> str:
    """`models/` where all names begin with it; "" where they share no folder."""
    folders = [name.rpartition("/")[0] for name in names]
    if not all(folders) or len({Path(folder).is_absolute() for folder in folders}) > 1:
        return ""
    shared = os.path.commonpath(folders)
    return f"{shared}/" if shared and all(name.startswith(f"{shared}/") for name in names) else ""
