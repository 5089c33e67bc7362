"""Where the reports of a run go: one to stdout or to a file, and any number of others to files, all filled at once."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xnnlint.cli.console import writing
from xnnlint.errors import XnnlintError
from xnnlint.reporters.check_formats import format_names, new_report, report_class
from xnnlint.reporters.check_report import KeepingReport
from xnnlint.reporters.printer import Printer
from xnnlint.reporters.styled_lines import plain

if TYPE_CHECKING:
    from xnnlint.linter.findings import ModelReport
    from xnnlint.reporters.check_report import CheckReport, ModelJudgement, ReportSetting
    from xnnlint.reporters.styled_lines import Line

STDOUT = "-"
_DEVICES = ("/dev/", "/proc/self/fd/")
_MODELS = (".tflite", ".keras", ".h5", ".hdf5")
_SUMMARY = "GITHUB_STEP_SUMMARY"  # a file that all commands of a step of GitHub Actions add to


@dataclass
class _Output:
    """A report, and what was written of it if it is for a file."""

    report: CheckReport
    setting: ReportSetting
    target: str
    text: list[str] = field(default_factory=list)


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
        to_stdout = target == STDOUT
        first = on_screen if to_stdout else in_file
        self._parts = [_Output(new_report(form, first), first, target)]
        for text in more:
            kind, file = _parsed(text)
            self._parts.append(_Output(new_report(kind, in_file), in_file, file))
        _check_targets([part.target for part in self._parts if part.target != STDOUT])
        for part in self._parts:
            self._put(part, part.report.begin())

    def add(self, model: ModelReport, judged: ModelJudgement) -> list[dict[str, Any] | None]:
        """Add a model to all reports; what each took of it, None for one that leaves it out, or keeps nothing."""
        kept: list[dict[str, Any] | None] = []
        for part in self._parts:
            left_out = self._quiet and part.target == STDOUT and part.report.for_people and not judged.fails(model)
            if isinstance(part.report, KeepingReport):
                kept.append(None if left_out else part.report.taken(model, judged))
            elif not left_out:
                self._put(part, part.report.add(model, judged))
        self.put(kept)
        return kept

    def put(self, kept: Sequence[dict[str, Any] | None]) -> None:
        """Add a model to all reports, by what each took of it."""
        keeping = [part for part in self._parts if isinstance(part.report, KeepingReport)]
        for part, taken in zip(keeping, kept, strict=True):
            if taken is not None and isinstance(part.report, KeepingReport):
                self._put(part, part.report.put(taken))

    @property
    def can_keep(self) -> bool:
        """Whether every report can be made of what it once took."""
        return all(isinstance(part.report, KeepingReport) for part in self._parts)

    def kinds(self) -> list[Any]:
        """What follows for what reports take from what they are, as values of JSON."""
        return [[part.report.name, part.target == STDOUT, *_kind(part.setting), self._quiet] for part in self._parts]

    def end(self, exit_code: int) -> None:
        """Finish all reports, and write the files.

        Raises:
            XnnlintError: a file could not be written; each of the others is.
        """
        problems = []
        for part in self._parts:
            self._put(part, part.report.end(exit_code))
            if part.target != STDOUT:
                try:
                    _write("".join(part.text), part.target)
                except XnnlintError as error:
                    problems.append(str(error))
        if problems:
            raise XnnlintError("; ".join(problems))

    def _put(self, part: _Output, text: str | list[Line]) -> None:
        if part.target != STDOUT:
            part.text.append(text if isinstance(text, str) else "".join(f"{plain(line)}\n" for line in text))
        elif text:
            with writing():
                if isinstance(text, str):
                    sys.stdout.write(text)
                    sys.stdout.flush()
                else:
                    self._printer.print(text)


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

    data = text.encode("utf-8", "backslashreplace")
    place = Path(target)
    # /dev/stdout may lead to a file, which is not to be replaced, but goes on.
    goes_on = target.startswith(_DEVICES) or target == os.environ.get(_SUMMARY)
    if not goes_on and (not place.exists() or place.is_file()):
        write(data, target)
        return
    try:
        # Whoever reads the pipe may leave early.
        with contextlib.suppress(BrokenPipeError), place.open("ab") as stream:
            stream.write(data)
    except OSError as error:
        raise XnnlintError(f"{target}: not written: {error.strerror or error}") from None
