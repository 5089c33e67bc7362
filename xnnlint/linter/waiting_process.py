"""A process that starts before it is known what it will do: it imports meanwhile what that will need.

On a second processor numpy and the rules are imported while this one reads options and settings, which takes a sixth of
a small check. There is at most one; whoever has work for it takes it.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from typing import Any

from xnnlint.linter.own_process import OwnProcess


class WaitingProcess:
    """A process that waits for one piece of work.

    Args:
        prepare: what it does before. What fails in it will fail again in the work, and is told then.
    """

    def __init__(self, prepare: Callable[[], None]) -> None:
        taking, self._giving = os.pipe()

        def serve() -> Any:
            import pickle

            # It would keep its own pipe open, and wait for ever.
            os.close(self._giving)
            with contextlib.suppress(Exception):
                prepare()
            with open(taking, "rb") as pipe:  # noqa: PTH123
                request = pipe.read()
            if not request:
                # Nobody has work for it, or nobody is there any more.
                os._exit(0)
            sys.path[:], packed = pickle.loads(request)
            work, piece = pickle.loads(packed)
            return work(piece)

        self._process = OwnProcess(serve)
        os.close(taking)

    def answer(self, work: Callable[[Any], Any], piece: Any, meanwhile: Callable[[], None] | None = None) -> Any:
        """As `in_own_process`; work and piece must be picklable, too."""
        import pickle

        # In two steps: they may be of modules that this process has learnt to find since.
        request = pickle.dumps((sys.path, pickle.dumps((work, piece))))
        # Where it has died already, that shows when its answer is read.
        with contextlib.suppress(BrokenPipeError), open(self._giving, "wb") as pipe:  # noqa: PTH123
            pipe.write(request)
        return self._process.answer(meanwhile)

    def end(self) -> None:
        """There is no work for it."""
        os.close(self._giving)
        self._process.end()


_waiting: list[WaitingProcess] = []


def start(prepare: Callable[[], None]) -> None:
    """Have a process wait."""
    _waiting.append(WaitingProcess(prepare))


def taken() -> WaitingProcess | None:
    """The process that waits, to be given its work; None where there is none."""
    return _waiting.pop() if _waiting else None


def end() -> None:
    """End the process that waits, if there is one."""
    if (process := taken()) is not None:
        process.end()
