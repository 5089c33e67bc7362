"""Where the reports of a run go: one to stdout or to a file, and any number of others to files, all filled at once."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import replace

from xnnlint.cli.console import writing
from xnnlint.errors import XnnlintError
from xnnlint.reporters.check_formats import format_names, new_report, report_class
from xnnlint.reporters.check_report import KeepingReport
from xnnlint.reporters.printer import Printer
from xnnlint.reporters.styled_lines import plain

if TYPE_CHECKING:
    from xnnlint.linter.findings import ModelReport
    from xnnlint.reporters.check_report import CheckReport, ModelJudgement, ReportSetting
    from xnnlint.reporters.model_row import Checked, ModelRow
    from xnnlint.reporters.styled_lines import Line

STDOUT = "-"
_DEVICES = ("/dev/", "/proc/self/fd/")
_MODELS = (".tflite", ".keras", ".h5", ".hdf5")
_SUMMARY = "GITHUB_STEP_SUMMARY"  # a file that all commands of a step of GitHub Actions add to


class _Output(Struct):
    """A report, and what is to be written of it if it is for a file."""

    report: CheckReport
    setting: ReportSetting
    target: str
    text: list[str] = field(default_factory=list)
    stream: IO[bytes] | None = None

    def put(self, text: str) -> None:
        """More of what goes to the file: of some reports it is there at once."""
        if not self.report.streams:
            self.text.append(text)
            return
        try:
            if self.stream is None:
                # Without a buffer: a line is there as a whole, or it is the last one.
                mode = "ab" if _goes_on(self.target) else "wb"
                self.stream = Path(self.target).open(mode, buffering=0)  # noqa: SIM115 (until the end of the run)
            assert self.stream is not None
            self.stream.write(_encoded(text))
        except OSError as error:
            raise XnnlintError(f"{self.target}: not written: {error.strerror or error}") from None

    def end(self) -> None:
        """Write the file, or be done with it."""
        if self.stream is not None:
            self.stream.close()
        elif self.target != STDOUT and not self.report.writes_itself:
            _write("".join(self.text), self.target)


class _Aside:
    """What a run comes to, for a person beside what a program reads."""

    def __init__(self, names: Sequence[str]) -> None:
        from xnnlint.reporters.tally import ModelTally
        from xnnlint.reporters.zoo_summary import ZooSummary

        self._tally, self._zoo = ModelTally(), ZooSummary(names)

    def add(self, row: ModelRow) -> None:
        self._tally.add_row(row)
        self._zoo.add(row)

    def lines(self, width: int, exit_code: int) -> list[Line]:
        from xnnlint.reporters.formats.text_report import summary_lines

        return [*self._zoo.lines(width), *summary_lines(self._tally, width, exit_code)]


class ReportFiles:
    """Every report of a run of `xnnlint check`."""

    def __init__(self, form: str, target: str, more: Sequence[str], setting: ReportSetting) -> None:
        """
        Args:
            form: the format of the report that goes to `target`: a file, or `STDOUT`.
            more: further reports as `FORMAT=FILE`.
            setting: what all of them know; the width and what follows from a terminal are set here.

        Raises:
            XnnlintError: a report that cannot be, or that nobody could write.
        """
        self._printer = Printer()
        on_screen = replace(setting, width=self._printer.width, for_pipe=not self._printer.is_terminal)
        in_file = replace(setting, for_pipe=True, quiet=False)
        self._quiet = setting.quiet
        if setting.statistics and not report_class(form).counts_rules:
            *others, last = [name for name in format_names() if report_class(name).counts_rules]
            raise XnnlintError(f"--statistics goes with --format {', '.join(others)} or {last}, not {form}")
        wanted = [(form, target), *map(_parsed, more)]
        _check_targets([file for _, file in wanted if file != STDOUT])
        if target == STDOUT and report_class(form).writes_itself:
            raise XnnlintError(f"--format {form} is no text; write it to a file: --report {form}=FILE")
        self._parts: list[_Output] = []
        for kind, file in wanted:
            held = on_screen if file == STDOUT else replace(in_file, target=file)
            self._parts.append(_Output(new_report(kind, held), held, file))
        # Who reads only models, and no words, finds on stderr what the run comes to.
        aside = report_class(form).keeps_rows and not setting.quiet and setting.of_several
        self._aside = _Aside(setting.names) if aside else None
        for part in self._parts:
            self._put(part, part.report.begin())

    @property
    def takes_rows(self) -> bool:
        """Whether no report needs more of a model than its row."""
        return all(part.report.takes_rows for part in self._parts)

    @property
    def takes_some_rows(self) -> bool:
        """Whether a report needs the row."""
        return any(part.report.takes_rows for part in self._parts)

    @property
    def takes_lines(self) -> bool:
        """Whether a report writes the record of each model."""
        return any(part.report.takes_lines for part in self._parts)

    @property
    def can_keep(self) -> bool:
        """Whether every report can be made of what it once took."""
        return all(part.report.takes_rows or isinstance(part.report, KeepingReport) for part in self._parts)

    def kinds(self) -> list[Any]:
        """What follows for what reports take from what they are, as values of JSON."""
        return [[part.report.name, part.target == STDOUT, *_kind(part.setting), self._quiet] for part in self._parts]

    def add(self, model: ModelReport, judged: ModelJudgement, checked: Checked | None = None) -> list[Any]:
        """Add a model to all reports.

        Args:
            checked: the same model, for the reports that take rows.

        Returns:
            What each report took, for `put`; None for one that leaves the model out, or keeps nothing.
        """
        self._add_aside(checked)
        kept = []
        for part in self._parts:
            taken: Any = None
            if part.report.takes_rows:
                assert checked is not None
                self._put(part, part.report.add_row(checked))
                taken = _values(checked)
            elif self._quiet and part.target == STDOUT and part.report.for_people and not judged.fails(model):
                pass  # left out
            elif isinstance(part.report, KeepingReport):
                taken = part.report.taken(model, judged)
                self._put(part, part.report.put(taken))
            else:
                self._put(part, part.report.add(model, judged))
            kept.append(taken)
        return kept

    def add_row(self, checked: Checked) -> None:
        """The same where all reports take rows."""
        self._add_aside(checked)
        for part in self._parts:
            self._put(part, part.report.add_row(checked))

    def taken_rows(self, checked: Checked) -> list[Any]:
        """What all reports took then."""
        return [_values(checked)] * len(self._parts)

    def put(self, kept: Sequence[Any]) -> None:
        """Add a model to all reports, by what each of them took of it once."""
        for part, taken in zip(self._parts, kept, strict=True):
            if part.report.takes_rows:
                checked = _checked(taken)
                self._put(part, part.report.add_row(checked))
                if part is self._parts[0]:
                    self._add_aside(checked)
            elif taken is not None and isinstance(part.report, KeepingReport):
                self._put(part, part.report.put(taken))

    def end(self, exit_code: int) -> None:
        """Finish all reports, and write the files.

        Raises:
            XnnlintError: a file could not be written; each of the others is.
        """
        problems = []
        for part in self._parts:
            try:
                self._put(part, part.report.end(exit_code))
                part.end()
            except XnnlintError as error:
                problems.append(str(error))
        if self._aside is not None:
            printer = Printer(sys.stderr)
            printer.print(self._aside.lines(printer.width, exit_code))
        if problems:
            raise XnnlintError("; ".join(problems))

    def _add_aside(self, checked: Checked | None) -> None:
        if self._aside is not None and checked is not None:
            self._aside.add(checked.row)

    def close(self) -> None:
        """Let go of all reports, whether they came to their end or not."""
        for part in self._parts:
            part.report.close()

    def _put(self, part: _Output, text: str | list[Line]) -> None:
        if part.target != STDOUT:
            part.put(text if isinstance(text, str) else "".join(f"{plain(line)}\n" for line in text))
        elif text:
            with writing():
                if isinstance(text, str):
                    sys.stdout.write(text)
                    sys.stdout.flush()
                else:
                    self._printer.print(text)


def _values(checked: Checked) -> list[Any]:
    """Values of JSON."""
    return [checked.row.values(), checked.line]


def _checked(values: list[Any]) -> Checked:
    from xnnlint.reporters.model_row import Checked, row_from

    row, line = values
    return Checked(row_from(row), line)


def _kind(setting: ReportSetting) -> tuple[Any, ...]:
    """All of a setting that `KeepingReport.taken` may look at, but for the profile, which is the run's."""
    shown = (setting.width, setting.for_pipe, setting.with_plan, setting.verbose, setting.statistics)
    return (*shown, setting.of_several, setting.root)


def _parsed(text: str) -> tuple[str, str]:
    """`sarif=out.sarif` as format and file."""
    kind, equals, file = text.partition("=")
    if not equals or not file or kind not in format_names():
        known = ", ".join(format_names())
        raise XnnlintError(f"--report {text}: FORMAT=FILE is needed, such as sarif=xnnlint.sarif; formats are {known}")
    if file == STDOUT:
        raise XnnlintError(f"--report {text}: reports go to files; --format says what goes to stdout")
    return kind, file


def _check_targets(targets: Sequence[str]) -> None:
    """What cannot be written is reported before any model is checked."""
    seen: set[str] = set()
    for target in targets:
        place = Path(target)
        if place.suffix.lower() in _MODELS:
            raise XnnlintError(f"{target}: a report would take the place of a model; give it another suffix")
        if place.is_dir() or not target.strip():
            raise XnnlintError(f"{target!r}: a report is written to a file, and this is none")
        if not place.parent.is_dir():
            raise XnnlintError(f"{target}: there is no folder {os.fspath(place.parent)!r} to write to")
        if os.path.realpath(target) in seen:
            raise XnnlintError(f"{target}: two reports cannot be written to one file")
        seen.add(os.path.realpath(target))


def _write(text: str, target: str) -> None:
    """A file as a whole or not at all; a pipe or a device as it is, and a job's summary behind what is there."""
    from xnnlint.atomic import write

    place = Path(target)
    if not _goes_on(target) and (not place.exists() or place.is_file()):
        write(_encoded(text), target)
        return
    try:
        # Whoever reads the pipe may leave early.
        with contextlib.suppress(BrokenPipeError), place.open("ab") as stream:
            stream.write(_encoded(text))
    except OSError as error:
        raise XnnlintError(f"{target}: not written: {error.strerror or error}") from None


def _goes_on(target: str) -> bool:
    """/dev/stdout may lead to a file, which is not to be replaced, but goes on; so does the summary of a job."""
    return target.startswith(_DEVICES) or target == os.environ.get(_SUMMARY)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")
