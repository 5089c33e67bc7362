"""Work shared out to processes, with the results in the order of the work.

Each process gets one piece at a time, so that one that dies takes only that piece with it. multiprocessing is imported
here and nowhere else: a single model needs none of it (`own_process`).
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any

from xnnlint.linter.own_process import MOST_SECONDS, Died, be_a_child, can_fork, ending, failed, overdue

if TYPE_CHECKING:
    from multiprocessing.context import ForkContext, SpawnContext
    from multiprocessing.process import BaseProcess

# Results that may wait for an earlier one, for each process; more would fill the memory while one model takes long.
_AHEAD = 8


def in_processes(work: Callable[[Any], Any], pieces: Sequence[Any], count: int) -> Iterator[Any]:
    """What `work` returns for each piece, in order, or `Died`.

    Args:
        work: a function of a module; it and what it returns must be picklable, and it must raise nothing.
        count: processes, at least 1.
    """
    workers = _Workers(work, pieces, count)
    try:
        yield from workers.run()
    finally:
        workers.close()


def _context() -> ForkContext | SpawnContext:
    return multiprocessing.get_context("fork") if can_fork() else multiprocessing.get_context("spawn")


class _Workers:
    def __init__(self, work: Callable[[Any], Any], pieces: Sequence[Any], count: int) -> None:
        self._context = _context()
        self._forks = self._context.get_start_method() == "fork"
        self._work = work
        self._pieces = pieces
        self._count = count
        self._running: dict[Connection, BaseProcess] = {}

    def run(self) -> Iterator[Any]:
        pieces = self._pieces
        idle: list[Connection] = []
        busy: dict[Connection, int] = {}
        until: dict[Connection, float] = {}
        done: dict[int, Any] = {}
        handed_out = given = 0
        while handed_out < len(pieces):
            while given < len(pieces) and given - handed_out < _AHEAD * self._count and len(busy) < self._count:
                connection = idle.pop() if idle else self._start()
                # Where it has died while idle, that shows when its answer is read.
                with contextlib.suppress(OSError):
                    # A fork has the pieces; packing one with its settings takes longer than telling its row.
                    connection.send(given if self._forks else pieces[given])
                busy[connection] = given
                until[connection] = time.monotonic() + MOST_SECONDS
                given += 1
            soonest = min(until.values(), default=0.0)
            ready = wait(list(busy), max(0.0, soonest - time.monotonic()))
            for connection in [one for one in busy if one not in ready and until[one] <= time.monotonic()]:
                del until[connection]
                done[busy.pop(connection)] = Died(self._kill(connection))
            for connection in [one for one in busy if one in ready]:
                number = busy.pop(connection)
                del until[connection]
                try:
                    done[number] = connection.recv()
                    idle.append(connection)
                except (EOFError, OSError):
                    done[number] = Died(self._end(connection))
            while handed_out in done:
                yield done.pop(handed_out)
                handed_out += 1

    def _start(self) -> Connection:
        ours, theirs = self._context.Pipe()
        others = [*self._running, ours] if self._forks else []
        pieces = self._pieces if self._forks else None
        process = self._context.Process(target=_serve, args=(theirs, self._work, pieces, others), daemon=True)
        process.start()
        theirs.close()
        self._running[ours] = process
        return ours

    def _kill(self, connection: Connection) -> str:
        process = self._running.pop(connection)
        connection.close()
        process.kill()
        process.join(10)
        return overdue()

    def _end(self, connection: Connection) -> str:
        process = self._running.pop(connection)
        connection.close()
        process.join(10)
        code = process.exitcode
        if code is None:
            process.kill()
        return ending(code)

    def close(self) -> None:
        for process in self._running.values():
            process.terminate()
        for connection, process in self._running.items():
            connection.close()
            process.join(10)
        self._running.clear()


def _serve(
    connection: Connection, work: Callable[[Any], Any], pieces: Sequence[Any] | None, others: list[Connection]
) -> None:
    """The life of a process: pieces in, or the numbers of those that it has, results out, until nobody is at the other
    end."""
    be_a_child()
    for other in others:
        # A fork has the ends of the other pipes, too, and would keep those processes waiting for ever.
        other.close()
    with contextlib.suppress(EOFError, OSError):
        while True:
            piece = connection.recv()
            if pieces is not None:
                piece = pieces[piece]
            try:
                connection.send(work(piece))
            except OSError:
                raise
            except Exception as error:
                connection.send(failed(error))
    # Nothing of the parent's is to be cleaned up here.
    os._exit(0)


def cpus() -> int:
    """CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1
