"""The side that hands out the work.

A worker that dies takes down the batches that it had, whichever of their pieces killed it, and others may have killed
it from outside. So pieces of such batches are tried again one by one, and one that had a worker die then, too, quite
alone in the end: only what kills a worker that has nothing else to do is to blame.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import importlib.util
import logging
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from xnnlint.cluster.batches import batches
from xnnlint.cluster.worker import OtherVersion, Place, installed_version, work_on
from xnnlint.errors import NotInstalled, XnnlintError
from xnnlint.version import __version__

INSTALL = "pip install 'xnnlint[scale]'"
_CONNECT, _FIRST_WORKER = 30, 120
"""Seconds to wait for a scheduler, and for its first worker."""
_IN_FLIGHT = 4
"""Batches for each worker that the scheduler has at a time; the others wait here, where they can be given up."""


class Lost(Struct, frozen=True):
    """What comes instead of a result: how the process ended that worked on it, in a user's words."""

    how: str


class _Batch(Struct, frozen=True):
    pieces: tuple[int, ...]
    alone: bool = False
    again: int = 5


class Cluster:
    """A cluster to work on; see `cluster`.

    Attributes:
        workers: how many there are at the beginning.
        dashboard: the address of the page on which dask shows what it does, or "".
    """

    def __init__(self, client: Any, name: str, dashboard: str) -> None:
        self._client = client
        self._name = name
        self.workers: int = sum(client.nthreads().values())
        self.dashboard = dashboard

    def each(
        self,
        work: Callable[[Any], Any],
        pieces: Sequence[Any],
        sizes: Sequence[int],
        modules: tuple[str, ...] = (),
    ) -> Iterator[tuple[int, Any]]:
        """(number of the piece, what `work` makes of it, or `Lost`), as they come.

        Args:
            work: a function of a module that workers can import, too; it must raise nothing.
            sizes: of the pieces, in bytes; 0 where nobody knows.
            modules: as of `Place`.

        Raises:
            XnnlintError: the cluster is gone, or workers have another xnnlint.
        """
        from distributed import as_completed

        place = Place(__version__, os.getcwd(), modules)  # noqa: PTH109 (a text)
        waiting = deque(_Batch(tuple(batch)) for batch in batches(sizes, self.workers))
        suspects: deque[_Batch] = deque()
        flying: dict[Any, _Batch] = {}
        arriving = as_completed(loop=self._client.loop)

        def fly(batch: _Batch) -> None:
            taken = [pieces[number] for number in batch.pieces]
            future = self._client.submit(work_on, place, work, taken, pure=False)
            flying[future] = batch
            arriving.add(future)

        while waiting or flying or suspects:
            while waiting and len(flying) < _IN_FLIGHT * max(self.workers, 8):
                fly(waiting.popleft())
            if not flying:
                fly(suspects.popleft())
            future = next(arriving)
            batch = flying.pop(future)
            came = self._came(future)
            if isinstance(came, list):
                yield from zip(batch.pieces, came, strict=True)
            elif came is None and batch.again:
                fly(replace(batch, again=batch.again - 1))
            elif len(batch.pieces) > 1:
                waiting.extendleft(_Batch((number,)) for number in reversed(batch.pieces))
            elif batch.alone:
                yield batch.pieces[0], came or Lost("ended, and dask knows no more of it")
            else:
                suspects.append(_Batch(batch.pieces, alone=True))

    def _came(self, future: Any) -> list[Any] | Lost | None:
        """The results of a batch, how it failed, or None where the scheduler forgot it, as it does with results of
        which it notices too late that their worker is gone.

        Raises:
            XnnlintError: nothing else will come either.
        """
        from distributed import KilledWorker

        try:
            found: list[Any] = future.result()
            return found
        except (asyncio.CancelledError, concurrent.futures.CancelledError):
            if self._client.status != "running":
                raise XnnlintError(f"{self._name}: the connection to dask's scheduler was lost") from None
            return None
        except KilledWorker:
            return Lost("ended, each time that it was tried again")
        except OtherVersion as error:
            raise XnnlintError(f"{self._name}: {error}; {_same_version()}") from None
        except (ImportError, AttributeError):
            raise XnnlintError(f"{self._name}: a worker has another xnnlint, or none; {_same_version()}") from None
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            return Lost(f"failed, which is a bug in xnnlint ({reason})")


@contextlib.contextmanager
def cluster(scheduler: str, workers: int) -> Iterator[Cluster]:
    """A cluster, for as long as it is used.

    Args:
        scheduler: the address of its scheduler, such as `tcp://10.0.0.1:8786`; "" for one of this machine, which ends
            with this.
        workers: how many processes that one has.

    Raises:
        NotInstalled: dask is.
        XnnlintError: there is no such scheduler, it has no workers, or they have another xnnlint.
    """
    if importlib.util.find_spec("distributed") is None:
        raise NotInstalled(f"--engine dask needs the package distributed: {INSTALL}", "scale")
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with contextlib.ExitStack() as stack:
        name = scheduler or "the cluster of this machine"
        client = stack.enter_context(_there(scheduler)) if scheduler else _here(workers, stack)
        try:
            client.wait_for_workers(1, timeout=_FIRST_WORKER)
        except TimeoutError:
            raise XnnlintError(f"{name}: dask's scheduler has no worker; start one: dask worker {name}") from None
        _check_versions(client, name)
        shown = bool(scheduler) or _has_dashboard()
        yield Cluster(client, name, client.dashboard_link if shown else "")


def _there(scheduler: str) -> Any:
    from distributed import Client

    try:
        return Client(scheduler, timeout=_CONNECT, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        reason = "it does not answer" if isinstance(error, (OSError, TimeoutError)) else str(error)
        raise XnnlintError(f"{scheduler}: this is no scheduler of dask that can be reached ({reason})") from None


def _here(workers: int, stack: contextlib.ExitStack) -> Any:
    import dask
    from distributed import Client, LocalCluster

    # What kills a worker is found out by `Cluster.each`; each further try of the scheduler would take down one more.
    stack.enter_context(dask.config.set({"distributed.scheduler.allowed-failures": 0}))
    with _ctrl_c_for_this_thread():
        started = LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            memory_limit=None,  # A share of the machine's memory could be too little for one large model.
            silence_logs=logging.CRITICAL,
        )
    stack.enter_context(started)
    return stack.enter_context(Client(started, set_as_default=False))


@contextlib.contextmanager
def _ctrl_c_for_this_thread() -> Iterator[None]:
    """Ctrl-C reaches every process of a terminal. Threads that are started here, and the workers that these start,
    leave it to the main thread, which then ends them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _has_dashboard() -> bool:
    return importlib.util.find_spec("bokeh") is not None


def _check_versions(client: Any, name: str) -> None:
    """Raises:
    XnnlintError: a worker has another xnnlint.
    """
    try:
        found: dict[str, str] = client.run(installed_version)
    except (ImportError, AttributeError):
        raise XnnlintError(f"{name}: a worker has another xnnlint, or none; {_same_version()}") from None
    for worker, version in found.items():
        if version != __version__:
            problem = f"the worker {worker} has xnnlint {version}, and this is {__version__}"
            raise XnnlintError(f"{name}: {problem}; {_same_version()}")


def _same_version() -> str:
    return f"install the same everywhere: pip install 'xnnlint[scale]=={__version__}'"
