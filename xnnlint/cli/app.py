"""The program: it has the command done and turns every failure into one sentence and an exit code.

Exit codes: 0 no finding at or above --fail-on; 1 findings; 2 something could not be read, or a wrong call. Everything
heavy is imported inside of a command; a plain `check` does without typer, too.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
from typing import NoReturn

from xnnlint.cli import plain_check
from xnnlint.cli.console import INTERRUPTED, OK, TROUBLE, complain, end_cleanly_on_signals, flushed, open_streams
from xnnlint.cli.reading_ahead import ahead_of
from xnnlint.collection import collect_rarely
from xnnlint.errors import XnnlintError, end_in
from xnnlint.msgspec_import import import_msgspec


def program() -> NoReturn:
    """`main` for a process that does nothing else.

    It ends without freeing one by one all objects and modules that it has made, which takes a tenth of a small check.
    """
    words = sys.argv[1:]
    if plain_check.is_meant(words):
        # Importing makes many objects and no garbage; looking for some takes a tenth of the start.
        gc.disable()
        import_msgspec()
    try:
        with ahead_of(words):
            main()
    except SystemExit as end:
        # Threads, whatever started them, want Python's own end.
        if "threading" in sys.modules or _is_watched():
            raise
        # As multiprocessing does in its processes: there is no public way to have them called.
        atexit._run_exitfuncs()
        code = end.code if isinstance(end.code, int) else TROUBLE
    except KeyboardInterrupt:
        code = INTERRUPTED
    os._exit(code)


def _is_watched() -> bool:
    """Whether a profiler or a debugger looks on, and has something to say at the end."""
    if sys.getprofile() or sys.gettrace():
        return True
    # Since Python 3.12 they may do it this way; there are six numbers for tools.
    monitoring = getattr(sys, "monitoring", None)
    return monitoring is not None and any(monitoring.get_tool(number) for number in range(6))


def main() -> NoReturn:
    """The commands: every failure is one sentence on stderr and an exit code, never a traceback."""
    collect_rarely()
    open_streams()
    end_cleanly_on_signals()
    try:
        code = _run(sys.argv[1:])
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
        if (asked := end_in(error)) is not None:
            raise asked from None
        what = f"{type(error).__name__}: {error}"
        code = complain(f"xnnlint itself failed ({what}); please report it (XNNLINT_DEBUG=1 shows where)")
    sys.exit(flushed(code))


def _run(words: list[str]) -> int:
    if plain_check.is_meant(words):
        options = plain_check.options_of(words)
        if options is not None:
            from xnnlint.cli.check_command import run

            return run(options)
    from xnnlint.cli.program import app

    app(prog_name="xnnlint")
    return OK
