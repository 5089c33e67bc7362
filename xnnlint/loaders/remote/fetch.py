"""A model at an address becomes a file for as long as it is looked at; what is too large or no model does not.

What the name and the first bytes tell is asked first, so that of a film or a program nothing more comes over the wire.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from msgspec import Struct

from xnnlint.errors import ModelError
from xnnlint.loaders.addresses import LIMIT_KEY, MOST_MEGABYTES, WEB, shown
from xnnlint.loaders.first_bytes import HEAD, refuse_what_is_none
from xnnlint.loaders.model_names import EXTENSIONS, is_model_file, is_model_folder
from xnnlint.loaders.other_formats import refuse_named
from xnnlint.loaders.remote.listing import files_below
from xnnlint.loaders.remote.scratch import scratch_folder
from xnnlint.loaders.remote.store import Store
from xnnlint.plain_files import MEGABYTE

_FIRST, _STEP = 1 << 18, 8 * MEGABYTE
_VERSION = ("size", "ETag", "etag", "LastModified", "generation", "created")
"""What tells a version of a file from the next one; each kind of server has some of them."""
_PLAIN = re.compile(r"[\w.+-]{1,100}")


class Fetching(Struct, frozen=True):
    """How models are fetched.

    Attributes:
        folder: where their files are while they are looked at; "" for one of this process.
        most: the bytes that one may have.
    """

    folder: str = ""
    most: int = MOST_MEGABYTES * MEGABYTE


@contextlib.contextmanager
def fetched(address: str, how: Fetching, size: int | None = None) -> Iterator[str]:
    """The file, or the folder, that is at an address; it is gone at the end.

    Args:
        size: its bytes as the listing says it, which saves asking; None where nobody knows.

    Raises:
        ModelError: nothing is there, it is too large, no model, or does not come.
        XnnlintError: a package for such addresses is not installed.
    """
    refuse_named(shown(address))
    store = Store(address)
    within = how.folder or scratch_folder()
    with tempfile.TemporaryDirectory(dir=within, ignore_cleanup_errors=True) as folder:
        yield _file_in(folder, store, how.most, size)


def _file_in(folder: str, store: Store, most: int, size: int | None) -> str:
    name = PurePosixPath(shown(store.address)).name
    info: dict[str, Any] = {"type": "file", "size": size}
    # A folder has a size, too; and a large file comes in several answers, which must be of one version.
    several = size is not None and size > _FIRST and store.scheme not in WEB
    if size is None or several or not is_model_file(name):
        info = store.ask(lambda: store.fs.info(store.name))
    if info["type"] == "directory":
        return _folder_in(folder, store, most)
    # Loaders look at the name, too.
    target = Path(folder, name if _PLAIN.fullmatch(name) else f"model{PurePosixPath(name).suffix[:20]}")
    _copy(store, store.name, target, info["size"], most, is_model=True)
    if store.scheme not in WEB and (info["size"] or 0) > _FIRST:
        now = store.ask(lambda: store.fs.info(store.name))
        if any(info.get(key) != now.get(key) for key in _VERSION):
            raise _changed(store)
    return os.fspath(target)


def _folder_in(folder: str, store: Store, most: int) -> str:
    files = files_below(store)
    if not is_model_folder({name for name in files if "/" not in name}):
        raise ModelError(shown(store.address), f"the folder holds no model ({', '.join(EXTENSIONS)})")
    _bound(store, sum(entry.size or 0 for entry in files.values()), most)
    place = Path(folder, "model")
    for name, entry in files.items():
        target = place.joinpath(*name.split("/"))
        target.parent.mkdir(parents=True, exist_ok=True)
        _copy(store, f"{store.name.rstrip('/')}/{name}", target, entry.size, most, is_model=False)
    return os.fspath(place)


def _copy(store: Store, name: str, target: Path, size: int | None, most: int, *, is_model: bool) -> None:
    """Fetch one file.

    Args:
        size: its bytes, or None where the server does not say.
        is_model: whether its first bytes must be those of a model.
    """
    _bound(store, size or 0, most)
    done = 0
    with target.open("wb") as sink:

        def start_again() -> None:
            nonlocal done
            done = 0
            sink.seek(0)
            sink.truncate()

        def go_on() -> None:
            nonlocal done
            if store.scheme in WEB:
                start_again()  # Not every server gives a part of a file.
            for piece in _pieces(store, name, done, size):
                sink.write(piece)
                if is_model and done < HEAD <= done + len(piece):
                    sink.flush()
                    _refuse_what_is_none(store, target)
                done += len(piece)
                _bound(store, done, most)
            if size is not None and done != size:
                come = done
                start_again()
                if come > size:
                    raise _changed(store)
                raise ConnectionError(f"{come} of {size} bytes came")

        store.ask(go_on)


def _pieces(store: Store, name: str, start: int, size: int | None) -> Iterator[bytes]:
    """What is at an address, bit by bit: in one answer on the web, and elsewhere by parts, the first a small one.

    Args:
        start: how much is there already.
        size: its bytes; the last part asks for one more, which is there if the file has grown.
    """
    if size is None or store.scheme in WEB:
        with store.fs.open(name, "rb", block_size=0) as source:
            if start:
                source.seek(start)
            while piece := source.read(_FIRST):
                yield piece
        return
    while start < size:
        end = start + (_STEP if start else _FIRST)
        piece = store.fs.cat_file(name, start=start, end=end if end < size else size + 1)
        if not piece:
            return
        yield piece
        start += len(piece)


def _changed(store: Store) -> ModelError:
    return ModelError(shown(store.address), "it was changed while it was fetched", "check it again")


def _refuse_what_is_none(store: Store, target: Path) -> None:
    with target.open("rb") as file:
        head = file.read(HEAD)
    try:
        refuse_what_is_none(target, head)
    except ModelError as error:
        raise ModelError(shown(store.address), error.problem, error.advice) from None


def _bound(store: Store, size: int, most: int) -> None:
    if size > most:
        raise ModelError(
            shown(store.address),
            f"it has {size / MEGABYTE:,.0f} MB, and no more than {most / MEGABYTE:,.0f} are fetched",
            f"--config {LIMIT_KEY}={-(-size // MEGABYTE)} allows more",
        )
