"""A Parquet file: a row a model with flat columns, written in groups of rows while the run goes on.

The file takes its place at the end, as a whole; a run that is ended leaves none.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from xnnlint.atomic import commit, draft
from xnnlint.errors import XnnlintError
from xnnlint.linter.findings import Severity
from xnnlint.reporters.check_report import CheckReport, ModelJudgement, ReportSetting

if TYPE_CHECKING:
    from xnnlint.linter.findings import ModelReport
    from xnnlint.reporters.model_row import Checked, GainFigures, ModelRow

INSTALL = "pip install 'xnnlint[scale]'"
A_GROUP = 1000
"""Rows that are in memory together, and in a group of the file."""


class Column(Struct, frozen=True):
    """One column.

    Attributes:
        type: what pyarrow calls it, such as "int32"; `list` of it where there are several values.
        meaning: for the documentation.
    """

    name: str
    type: str
    value: Callable[[ModelRow], Any]
    meaning: str
    listed: bool = False


def _severity(severity: Severity) -> Callable[[ModelRow], int]:
    return lambda row: row.severities.get(severity, 0)


def _of(figure: str, gain: Callable[[ModelRow], GainFigures | None]) -> Callable[[ModelRow], float | None]:
    return lambda row: None if (known := gain(row)) is None else getattr(known, figure)


def _gain_columns(name: str, gain: Callable[[ModelRow], GainFigures | None], meaning: str) -> tuple[Column, ...]:
    return (
        Column(f"{name}_low", "float64", _of("low", gain), "the lower end of the interval of nine in ten"),
        Column(name, "float64", _of("ratio", gain), meaning),
        Column(f"{name}_high", "float64", _of("high", gain), "the upper end"),
    )


def _first(values: tuple[str, ...]) -> str | None:
    return values[0] if values else None


_OUTCOMES = "`sparse`, `dense`, `wrong-results`, `fails`, `unknown`, or `unreadable`"
_SET = "the smallest set of changes that makes the model sparse"
_GAIN = "how many times as fast as dense, predicted; null of what does not run sparse and right"

COLUMNS: tuple[Column, ...] = (
    Column("path", "string", lambda row: row.path, "as given"),
    Column("outcome", "string", lambda row: row.word, _OUTCOMES),
    Column("right", "bool_", lambda row: row.right, "whether the outputs are correct; null where nobody knows"),
    Column("spmm", "int32", lambda row: row.spmm, "1x1 convolutions that run SpMM; null where there is no plan"),
    Column("pointwise_convs", "int32", lambda row: row.pointwise_convs, "1x1 convolutions"),
    Column("blocker", "string", lambda row: _first(row.blockers), "the one of `blockers` that unlocks most"),
    Column("blockers", "string", lambda row: row.blockers, f"codes of the rules of {_SET}", listed=True),
    Column("rules", "string", lambda row: [r.code for r in row.rules], "codes of the rules with findings", listed=True),
    Column("errors", "int32", _severity(Severity.ERROR), "findings that are errors"),
    Column("warnings", "int32", _severity(Severity.WARNING), "findings that are warnings"),
    Column("notes", "int32", _severity(Severity.NOTE), "findings that are notes"),
    Column("next", "string", lambda row: row.next, "what to do first, as in the table of the text report"),
    Column("safe_fixes", "int32", lambda row: row.safe_fixes, "findings that the safe fixes of `xnnlint fix` solve"),
    Column("unsafe_fixes", "int32", lambda row: row.unsafe_fixes, "more with `--unsafe-fixes`"),
    *_gain_columns("gain", lambda row: row.gain, _GAIN),
    *_gain_columns("gain_if_fixed", lambda row: row.gain_if_fixed, f"the most that {_SET} brings"),
    Column("runtime", "string", lambda row: row.runtime, "what it was checked for; of several, that of the row"),
    Column("cpu", "string", lambda row: row.cpu, "what it was checked for"),
    Column("bytes", "int64", lambda row: row.bytes, "of the file, or of all files of a folder that is a model"),
    Column("sha256", "string", lambda row: row.sha256, "of the file; of a folder as in `line.schema.json`"),
    Column("exit_code", "int8", lambda row: row.exit_code, "what `xnnlint check` of this model alone exits with"),
    Column("error", "string", lambda row: row.error, "why the file could not be read"),
)


class ParquetReport(CheckReport):
    """Goes to a file alone, which it writes itself."""

    name = "parquet"
    takes_rows = True
    keeps_rows = True
    writes_itself = True

    def __init__(self, setting: ReportSetting) -> None:
        try:
            self._arrow = import_module("pyarrow")
            parquet = import_module("pyarrow.parquet")
        except ImportError:
            raise XnnlintError(f"--report parquet needs pyarrow: {INSTALL}") from None
        self._target = setting.target
        self._files = contextlib.ExitStack()
        self._draft = self._files.enter_context(draft(self._target))
        self._schema = self._arrow.schema([(column.name, self._type(column)) for column in COLUMNS])
        self._writer = self._files.enter_context(parquet.ParquetWriter(self._draft, self._schema))
        self._rows: list[ModelRow] = []

    def add(self, model: ModelReport, judged: ModelJudgement) -> str:
        raise AssertionError("it takes rows")

    def add_row(self, checked: Checked) -> str:
        for row in checked.row.each_runtime():
            self._rows.append(row)
            if len(self._rows) == A_GROUP:
                self._write()
        return ""

    def end(self, exit_code: int) -> str:
        try:
            self._write()
            self._writer.close()
            commit(self._draft, self._target)
        except OSError as error:
            raise XnnlintError(f"{self._target}: not written: {error.strerror or error}") from None
        return ""

    def close(self) -> None:
        self._files.close()

    def _type(self, column: Column) -> Any:
        single = getattr(self._arrow, column.type)()
        return self._arrow.list_(single) if column.listed else single

    def _write(self) -> None:
        if self._rows:
            columns = {column.name: [column.value(row) for row in self._rows] for column in COLUMNS}
            self._writer.write_table(self._arrow.table(columns, schema=self._schema))
            self._rows.clear()
