"""What every command prints with: exit codes, output formats, and writes that survive whoever leaves early."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import TYPE_CHECKING, TextIO

from xnnlint.errors import XnnlintError

if TYPE_CHECKING:
    from xnnlint.reporters.printer import Printer
    from xnnlint.reporters.styled_lines import Line

OK, FINDINGS, TROUBLE, INTERRUPTED = 0, 1, 2, 130


class Format(str, Enum):
    TEXT = "text"
    JSON = "json"


def print_lines(lines_for: Callable[[Printer], Iterable[Line]]) -> None:
    from xnnlint.reporters.printer import Printer

    printer = Printer()
    with writing():
        printer.print(lines_for(printer))


def write(text: str) -> None:
    with writing():
        sys.stdout.write(text)
        sys.stdout.flush()


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """Whoever leaves early (`xnnlint check . | head`) misses the rest, no more; a full disk is reported."""
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
    from xnnlint.reporters.styled_lines import safe

    _tell("error", "\x1b[1;31m", safe(sentence))
    return TROUBLE


def warn(sentence: str) -> None:
    """The same of what is no reason to stop."""
    from xnnlint.reporters.styled_lines import safe

    _tell("warning", "\x1b[1;33m", safe(sentence))


def _tell(kind: str, colour: str, sentence: str) -> None:
    from xnnlint.reporters.printer import in_colour

    # Without rich: an error is known before anything heavy is imported.
    shown = f"{colour}{kind}\x1b[0m" if in_colour(sys.stderr, os.environ) else kind
    # Where stderr is closed, nobody is there to read it.
    with contextlib.suppress(OSError, ValueError):
        text = f"xnnlint: {kind}: {sentence}"
        # In a file or a pipe a sentence is one line, which grep finds.
        text = _wrapped(text) if _is_terminal(sys.stderr) else text
        sys.stderr.write(f"{text.replace(kind, shown, 1)}\n")


def _is_terminal(stream: TextIO) -> bool:
    return stream.isatty()


def _wrapped(text: str) -> str:
    """A sentence in lines of the terminal, with paths and commands whole."""
    from xnnlint.reporters.printer import width_of
    from xnnlint.reporters.styled_lines import plain, wrap

    return "\n".join(plain(line) for line in wrap([text], width_of(sys.stderr, os.environ), 0, 2))


def open_streams() -> None:
    """Make stdout and stderr take anything: closed ones, and names that the terminal's encoding lacks."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115, PTH123 (for the whole run)
        getattr(sys, name).reconfigure(errors="backslashreplace")


def end_cleanly_on_signals() -> None:
    """Let SIGTERM and SIGHUP end the program as Ctrl-C does: what is half written is removed on the way out."""

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:  # nohup has it ignored
            # Python lets only the main thread ask, and importing threading to know takes a hundredth of a check.
            with contextlib.suppress(ValueError):
                signal.signal(number, end)


def flushed(code: int) -> int:
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
