"""What runs on a worker."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from msgspec import Struct

from xnnlint.linter.own_process import MOST_SECONDS
from xnnlint.version import __version__


class Place(Struct, frozen=True):
    """Where the work comes from.

    Attributes:
        version: of the xnnlint that hands it out.
        folder: the working folder there, from which paths count; a worker goes there if it has such a folder.
        modules: folders in which Python finds code that the configuration names.
    """

    version: str
    folder: str
    modules: tuple[str, ...] = ()


class OtherVersion(Exception):
    """The worker has another xnnlint than whoever hands out the work; what it found could be something else."""


def installed_version() -> str:
    return __version__


def work_on(place: Place, work: Callable[[Any], Any], pieces: Sequence[Any]) -> list[Any]:
    """What `work` makes of each piece, in order.

    Raises:
        OtherVersion: nothing was done.
    """
    if place.version != __version__:
        raise OtherVersion(f"a worker has xnnlint {__version__}, and this is {place.version}")
    _go_to(place)
    return [_within_time(work, piece) for piece in pieces]


@cache
def _go_to(place: Place) -> None:
    # Reports are the client's to print; a worker that it started itself has the same stdout.
    with contextlib.suppress(OSError, ValueError):
        os.dup2(2, 1)
    with contextlib.suppress(OSError):
        os.chdir(place.folder)
    sys.path[:0] = [folder for folder in place.modules if folder not in sys.path]


def _within_time(work: Callable[[Any], Any], piece: Any) -> Any:
    """What hangs ends the process, as what crashes does: the client then learns which piece it was."""
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        faulthandler.dump_traceback_later(MOST_SECONDS, exit=True, file=nowhere)
        try:
            return work(piece)
        finally:
            faulthandler.cancel_dump_traceback_later()
