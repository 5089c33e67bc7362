"""Models at addresses, as files for a command that reads files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from xnnlint.loaders.addresses import LIMIT_KEY, is_address
from xnnlint.plain_files import MEGABYTE

if TYPE_CHECKING:
    from xnnlint.config.settings import Settings
    from xnnlint.loaders.remote.fetch import Fetching


def fetching_of(settings: Settings) -> Fetching:
    """How the settings want models to be fetched.

    They come into the folder of this process, which outlives those that it starts and ends.
    """
    from xnnlint.loaders.remote.fetch import Fetching
    from xnnlint.loaders.remote.scratch import scratch_folder

    return Fetching(scratch_folder(), settings[LIMIT_KEY] * MEGABYTE)


@contextlib.contextmanager
def as_file(path: str, settings: Settings) -> Iterator[str]:
    """The file to read for a path: that one, or what was fetched from an address, which is gone at the end.

    Raises:
        XnnlintError: it cannot be fetched.
    """
    if not is_address(path):
        yield path
        return
    from xnnlint.loaders.remote.fetch import fetched

    with fetched(path, fetching_of(settings)) as file:
        yield file
