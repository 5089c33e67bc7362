"""From what a command line names to the models that are meant: folders, patterns, exclusions, each model once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from xnnlint.errors import XnnlintError
from xnnlint.loaders.addresses import is_address
from xnnlint.loaders.globs import compiled, has_wildcard
from xnnlint.loaders.model_names import PASSED_OVER, is_model_file, is_model_folder

STDIN = "-"


class Found(NamedTuple):
    """A model to check, or what stood in the way of finding some: then `error` is one sentence that names the path.

    `size` is in bytes, and `version` what its server calls that version of it, where these are known without asking, as
    of models at addresses.
    """

    path: str
    error: str | None = None
    size: int | None = None
    version: str | None = None


Excluded = Callable[..., bool]
"""excluded(path, by_hand=whether the path was named): whether to pass over it."""


def nothing(path: str, *, by_hand: bool = False) -> bool:
    return False


def search(paths: Iterable[str | os.PathLike[str]], excluded: Excluded = nothing) -> Iterator[Found]:
    """The models that paths mean: files as given, in folders every file with a known extension, matches of patterns.

    Folders that are models stay whole. Links to folders are followed where they are named, and not where they are
    found, so that none leads round in a circle. Each model comes once, in the order of the paths and within a folder
    in alphabetical order. A path that is not there stays, for the loader to explain.

    Addresses (`s3://bucket/folder`) are searched in the same way; only for them is the network asked.
    """
    seen: set[str] = set()
    for path in paths:
        for found in _meant_by(os.fspath(path), excluded):
            # No link is followed here: two names of one file are two models to whoever named both.
            key = found.path if is_address(found.path) else os.path.abspath(found.path)  # noqa: PTH100
            if key not in seen:
                seen.add(key)
                yield found


def _meant_by(path: str, excluded: Excluded) -> Iterator[Found]:
    if path == STDIN:
        yield Found(path)
    elif os.path.lexists(path):
        yield from _named(path, excluded)
    elif is_address(path):
        yield from _remote(path, excluded)
    elif has_wildcard(path):
        yield from _matching(path, excluded)
    else:
        yield Found(path)


def _remote(address: str, excluded: Excluded) -> Iterator[Found]:
    from xnnlint.loaders.remote.listing import listed

    try:
        for one in listed(address, excluded):
            yield Found(one.address, size=one.entry.size, version=one.entry.version)
    except XnnlintError as error:
        yield Found(address, str(error))


def _named(path: str, excluded: Excluded) -> Iterator[Found]:
    """A path that is there."""
    if excluded(path, by_hand=True):
        return
    if not os.path.isdir(path):  # noqa: PTH112
        yield Found(path)
        return
    some = False
    for found in _below(path, excluded):
        some = True
        yield found
    if not some:
        yield Found(path)  # The loader says that it holds no model.


def _below(folder: str, excluded: Excluded) -> Iterator[Found]:
    """The models in a folder and in the folders in it."""
    for place, files, error in _walk(folder, excluded):
        if error:
            yield Found(place, error)
        elif files is None:
            yield Found(place)
        else:
            for name in files:
                path = str(Path(place, name))
                if is_model_file(name) and not excluded(path):
                    yield Found(path)


def _walk(folder: str, excluded: Excluded, deepest: int = -1) -> Iterator[tuple[str, list[str] | None, str]]:
    """(folder, its files sorted or None if it is a model, why it cannot be read or ""), from the top down.

    Args:
        deepest: how many folders to go down; -1 for all.
    """
    problems: list[OSError] = []
    for parent, folders, files in os.walk(folder, onerror=problems.append):
        place = str(Path(parent))
        yield from _unreadable(problems)
        if is_model_folder(set(files)):
            folders.clear()
            yield place, None, ""
            continue
        yield place, sorted(files), ""
        kept = (name for name in sorted(folders) if name not in PASSED_OVER)
        folders[:] = [name for name in kept if not excluded(str(Path(place, name)))]
        if deepest >= 0 and len(Path(os.path.relpath(place, folder)).parts) >= deepest:
            folders.clear()
    yield from _unreadable(problems)


def _unreadable(problems: list[OSError]) -> Iterator[tuple[str, None, str]]:
    for problem in problems:
        place = str(Path(problem.filename))
        yield place, None, f"{place}: the folder cannot be read: {(problem.strerror or str(problem)).lower()}"
    problems.clear()


def _matching(pattern: str, excluded: Excluded) -> Iterator[Found]:
    """What a pattern matches: model files, files of any kind where it names their extension, and folders of models."""
    parts = Path(pattern).parts
    fixed = next(position for position, part in enumerate(parts) if has_wildcard(part))
    base = str(Path(*parts[:fixed])) if fixed else "."
    wanted = compiled("/".join(parts[fixed:]))
    any_kind = Path(pattern).suffix not in ("", ".*") and not has_wildcard(Path(pattern).suffix)
    deep = "**" in parts
    nothing = True
    deepest = -1 if deep else len(parts) - fixed
    for place, files, error in _walk(base, excluded, deepest) if os.path.isdir(base) else ():  # noqa: PTH112
        way = Path(os.path.relpath(place, base)).as_posix()
        way = "" if way == "." else f"{way}/"
        if error:
            yield Found(place, error)
        elif files is None:
            matched = wanted.fullmatch(way.rstrip("/"))
            if matched:
                yield Found(place)
            nothing = nothing and not matched
        else:
            for name in files:
                path = str(Path(place, name))
                if (any_kind or is_model_file(name)) and wanted.fullmatch(way + name) and not excluded(path):
                    nothing = False
                    yield Found(path)
            if way and not deep and wanted.fullmatch(way.rstrip("/")):
                nothing = False
                yield from _below(place, excluded)
    if nothing:
        yield Found(pattern, f"{pattern}: no model matches this pattern")
