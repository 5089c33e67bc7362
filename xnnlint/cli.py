"""The command line. It parses, calls, prints and chooses the exit code; everything heavy is imported inside a command.

Exit codes: 0 no finding at or above --fail-on; 1 findings; 2 something could not be read, or a wrong call.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from . import __version__
from .errors import XnnlintError
from .quick_parameters import QuickCommand, QuickGroup
from .xnnpack.profile import DEFAULT_CPU, DEFAULT_RUNTIME

if TYPE_CHECKING:
    from .findings import ModelReport
    from .reporters.layout import Line, Printer
    from .xnnpack.profile import Profile

OK, FINDINGS, TROUBLE, INTERRUPTED = 0, 1, 2, 130


class Format(str, Enum):
    TEXT = "text"
    JSON = "json"


class FailOn(str, Enum):
    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"
    NEVER = "never"


# rich_markup_mode None keeps rich, 0.08 s of it, out of --help and of usage errors.
app = typer.Typer(
    name="xnnlint",
    cls=QuickGroup,
    help="Says whether a .tflite model will run XNNPACK's sparse kernels, whether its results will be right, and what "
    "to change.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

FormatOption = Annotated[Format, typer.Option("--format", "-f", help="How to print.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"xnnlint {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command(cls=QuickCommand)
def check(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Model files, and folders to search for them.")],
    output: FormatOption = Format.TEXT,
    runtime: Annotated[
        str, typer.Option(metavar="NAME", help="Runtime to predict for; `xnnlint profiles` lists them.")
    ] = DEFAULT_RUNTIME,
    cpu: Annotated[
        str, typer.Option(metavar="NAME", help="CPU to predict for; `xnnlint profiles` lists them.")
    ] = DEFAULT_CPU,
    fail_on: Annotated[FailOn, typer.Option(help="Least severity that makes the exit code 1.")] = FailOn.ERROR,
    require_sparse: Annotated[
        bool, typer.Option("--require-sparse", help="Fail for every model that does not run sparse, pruned or not.")
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Print the kernel of every operator, too (JSON always has them).")
    ] = False,
    assume_pruned: Annotated[
        float | None,
        typer.Option(metavar="SHARE", min=0, max=1, help="Forecast a Keras model pruned to this share, such as 0.8."),
    ] = None,
    policy: Annotated[
        bool, typer.Option("--policy", help="Say, too, what TFMOT's pruning policy refuses in a Keras model.")
    ] = False,
) -> None:
    """Say what XNNPACK will do with each model, what stops the sparse path, and what to change."""
    # Importing makes many objects and no garbage; looking for some takes a tenth of the start.
    gc.disable()
    from .engine import check_each
    from .xnnpack.profile import load_profile

    gc.freeze()
    gc.enable()
    profile = load_profile(runtime, cpu)
    outcome = _Outcome(fail_on, require_sparse)
    if policy:
        from .policy_check import check_each_with_policy as check_each
    found = check_each(paths, profile, require_sparse=require_sparse, assume_pruned=assume_pruned)
    models = outcome.watch(found)
    if output is Format.JSON:
        from .reporters.json import document, dumps

        write(dumps(document(profile, models)) + "\n")
    else:
        _print_report(models, profile, with_plan=plan)
    outcome.tell()
    raise typer.Exit(outcome.code)


@app.command(cls=QuickCommand)
def rules(output: FormatOption = Format.TEXT) -> None:
    """List the rules; those of the family XNP are asked with `check --policy`."""
    from .policy_check import policy_rules
    from .rule import all_rules

    known = (*all_rules(), *policy_rules())
    if output is Format.JSON:
        from .reporters.json import dumps, tool

        listed = [{"code": r.code, "name": r.name, "severity": r.severity.value, "summary": r.summary} for r in known]
        write(dumps({"schema_version": 1, "tool": tool(), "rules": listed}) + "\n")
    else:
        from .reporters.catalog import rule_lines

        _print(lambda printer: rule_lines(known, printer.width))


@app.command(cls=QuickCommand)
def explain(rule: Annotated[str, typer.Argument(metavar="RULE", help="A rule's code or name.")]) -> None:
    """Print a rule's documentation."""
    from .policy_check import find_policy_rule, policy_rules
    from .reporters.catalog import explanation_lines
    from .rule import all_rules, find_rule

    found = find_rule(rule) or find_policy_rule(rule)
    if found is None:
        known = [name for r in (*all_rules(), *policy_rules()) for name in (r.code, r.name)]
        raise XnnlintError(f"no rule {rule!r}{_suggestion(rule, known)} (`xnnlint rules` lists them)")
    _print(lambda printer: explanation_lines(found, printer.width))


@app.command(cls=QuickCommand)
def profiles(output: FormatOption = Format.TEXT) -> None:
    """List the runtimes and CPUs that can be predicted for, with the facts of each and their sources."""
    from .reporters.catalog import profile_data, profile_lines

    if output is Format.JSON:
        from .reporters.json import dumps, tool

        write(dumps({"schema_version": 1, "tool": tool(), **profile_data()}) + "\n")
    else:
        _print(lambda printer: profile_lines(printer.width))


def main() -> None:
    """The program: every failure is one sentence on stderr and an exit code, never a traceback."""
    _open_streams()
    try:
        app(prog_name="xnnlint")
        code = OK
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else OK if end.code is None else TROUBLE
    except XnnlintError as error:
        code = complain(str(error))
    except OSError as error:
        code = complain(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception as error:
        if os.environ.get("XNNLINT_DEBUG"):
            raise
        what = f"{type(error).__name__}: {error}"
        code = complain(f"xnnlint itself failed ({what}); please report it (XNNLINT_DEBUG=1 shows where)")
    sys.exit(_flushed(code))


# --- output ----------------------------------------------------------------------------------------------------------


class _Outcome:
    """What becomes of the run: watches the models go by, then says what stderr needs to say."""

    def __init__(self, fail_on: FailOn, require_sparse: bool) -> None:
        self.fail_on = fail_on
        self.require_sparse = require_sparse
        self.code = OK
        self.errors: list[str] = []
        self.not_sparse: list[str] = []

    def watch(self, models: Iterable[ModelReport]) -> Iterator[ModelReport]:
        from .engine import exit_code, is_sparse
        from .findings import Severity

        threshold = None if self.fail_on is FailOn.NEVER else Severity(self.fail_on.value)
        for model in models:
            self.code = max(self.code, exit_code(model, threshold, require_sparse=self.require_sparse))
            if model.error is not None:
                self.errors.append(model.error)
            elif self.require_sparse and not is_sparse(model):
                self.not_sparse.append(model.path)
            yield model

    def tell(self) -> None:
        for error in self.errors:
            complain(error)
        for path in self.not_sparse:
            complain(f"{path}: does not run sparse, which --require-sparse demands")


def _print_report(models: Iterable[ModelReport], profile: Profile, *, with_plan: bool) -> None:
    from .reporters.layout import Printer
    from .reporters.text import Tally, model_lines, summary_lines

    printer, tally = Printer(), Tally()
    for model in models:
        tally.add(model)
        if model.error is None:
            lines = model_lines(model, profile, printer.width, with_plan=with_plan, for_pipe=not printer.is_terminal)
            with writing():
                printer.print([*lines, []])
    if tally.models > 1 or not tally.unreadable:
        with writing():
            printer.print(summary_lines(tally, printer.width))


def _print(lines_for: Callable[[Printer], Iterable[Line]]) -> None:
    from .reporters.layout import Printer

    printer = Printer()
    with writing():
        printer.print(lines_for(printer))


def write(text: str) -> None:
    with writing():
        sys.stdout.write(text)
        sys.stdout.flush()


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """Whoever leaves early (`xnnlint check . | head`) misses the rest, no more; a full disk is told."""
    try:
        yield
    except BrokenPipeError:
        _abandon(sys.stdout)
    except OSError as error:
        if error.filename:
            raise
        _abandon(sys.stdout)
        raise XnnlintError(f"cannot write the output: {error.strerror}") from None


def complain(sentence: str) -> int:
    from .reporters.layout import safe

    # Where stderr is closed, nobody is there to be told.
    with contextlib.suppress(OSError):
        sys.stderr.write(f"xnnlint: error: {safe(sentence)}\n")
    return TROUBLE


def _suggestion(wanted: str, known: list[str]) -> str:
    from difflib import get_close_matches

    folded = {name.lower(): name for name in known}
    close = get_close_matches(wanted.lower(), folded, n=2, cutoff=0.5)
    return f"; did you mean {' or '.join(folded[c] for c in close)}?" if close else ""


def _open_streams() -> None:
    """Make stdout and stderr take anything: closed ones, and names that the terminal's encoding lacks."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115, PTH123 (for the whole run)
        getattr(sys, name).reconfigure(errors="backslashreplace")


def _flushed(code: int) -> int:
    """The exit code once everything is written."""
    try:
        with writing():
            sys.stdout.flush()
    except XnnlintError as error:
        code = complain(str(error))
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    return code


def _abandon(stream: TextIO) -> None:
    """Point a stream at nothing, or Python complains again when it closes it."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


# Commands with files of their own; each adds itself to `app`.
from . import convert_cli, fix_cli, verify_cli  # noqa: E402, F401
