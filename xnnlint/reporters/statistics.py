"""How often each rule was found, over all models of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from xnnlint.reporters.styled_lines import STRONG, Line, Span

if TYPE_CHECKING:
    from xnnlint.linter.findings import ModelReport
    from xnnlint.reporters.model_row import ModelRow


class Statistics:
    """Counts by rule, kept while the models themselves are let go of."""

    def __init__(self) -> None:
        self._found: Counter[tuple[str, str]] = Counter()
        self._models: Counter[str] = Counter()

    @staticmethod
    def taken(model: ModelReport) -> list[tuple[str, str, int]]:
        """(code, name, findings) of a model."""
        found = Counter((finding.rule, finding.name) for finding in model.findings)
        return [(code, name, count) for (code, name), count in found.items()]

    def put(self, taken: Sequence[Sequence[Any]]) -> None:
        """Count a model, by what was taken of it."""
        for code, name, count in taken:
            self._found[code, name] += count
        self._models.update({code for code, _, _ in taken})

    def add_row(self, row: ModelRow) -> None:
        """The same of a model's row."""
        self.put(row.rules)

    def rows(self) -> list[tuple[int, int, str, str]]:
        """(findings, models with one, code, name), the most frequent first."""
        ordered = sorted(self._found.items(), key=lambda entry: (-entry[1], entry[0]))
        return [(count, self._models[code], code, name) for (code, name), count in ordered]

    def lines(self) -> list[Line]:
        """A table for a person; empty where nothing was found."""
        rows = [("findings", "models", "rule", "")]
        rows += [(str(count), str(models), code, name) for count, models, code, name in self.rows()]
        sizes = [max(len(row[i]) for row in rows) for i in range(3)]
        lines = [
            [Span(f"{row[0].rjust(sizes[0])}  {row[1].rjust(sizes[1])}  {row[2].ljust(sizes[2])}  {row[3]}")]
            for row in rows
        ]
        lines[0] = [Span(lines[0][0].text, STRONG)]
        return lines if len(rows) > 1 else []
