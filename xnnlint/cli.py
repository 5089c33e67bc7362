"""The command line. It parses, calls, prints and chooses the exit code; everything heavy is imported inside a command.

Exit codes: 0 no finding at or above --fail-on; 1 findings; 2 something could not be read, or a wrong call.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from . import __version__
from .errors import XnnlintError
from .quick_parameters import QuickCommand, QuickGroup

if TYPE_CHECKING:
    from .reporters.layout import Line, Printer

OK, FINDINGS, TROUBLE, INTERRUPTED = 0, 1, 2, 130


class Format(str, Enum):
    TEXT = "text"
    JSON = "json"


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


@app.command(cls=QuickCommand, short_help="List the rules.")
def rules(output: FormatOption = Format.TEXT) -> None:
    """List the rules; those of the family XNP are asked with `check --policy`, XNB where there are budgets."""
    from .known_rules import every_rule

    known = every_rule()
    if output is Format.JSON:
        from .reporters.json import dumps, tool

        listed = [{"code": r.code, "name": r.name, "severity": r.severity.value, "summary": r.summary} for r in known]
        write(dumps({"schema_version": 1, "tool": tool(), "rules": listed}) + "\n")
    else:
        from .reporters.catalog import rule_lines

        _print(lambda printer: rule_lines(known, printer.width))


@app.command(cls=QuickCommand, short_help="Explain a rule, an outcome or an operator.")
def explain(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A rule's code or name, an outcome, or an operator such as CONV_2D.")
    ],
    output: FormatOption = Format.TEXT,
) -> None:
    """Print the documentation of a rule, of an outcome, or what XNNPACK does with an operator."""
    from .explain import pages

    found = pages(name)
    if output is Format.JSON:
        from .reporters.json import dumps, tool

        told = [{"kind": p.kind, "title": p.title, "note": p.note, "text": p.text} for p in found]
        write(dumps({"schema_version": 1, "tool": tool(), "pages": told}) + "\n")
    else:
        from .reporters.catalog import page_lines

        _print(lambda printer: page_lines(found, printer.width))


@app.command(cls=QuickCommand, short_help="List the runtimes and CPUs to predict for, with their facts.")
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
from . import check_cli, config_cli, convert_cli, fix_cli, verify_cli  # noqa: E402, F401

# In --help, what the program is for comes first, and the rest as the README has it.
_ORDER = ("check", "fix", "convert", "verify", "config", "rules", "explain", "profiles")
app.registered_commands.sort(key=lambda command: _ORDER.index(getattr(command.callback, "__name__", "")))
