"""The models at an address: that one, those below a folder, or those that a pattern matches, with sizes and versions.

The same rules as on a disk (`loaders/search`): which names are models, which folders are passed over, which are models
as a whole. Here everything below is listed at once, which in a bucket takes a request for each thousand names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from msgspec import Struct, field

from xnnlint.errors import ModelError
from xnnlint.loaders.addresses import WEB, is_pattern, shown
from xnnlint.loaders.globs import compiled, has_wildcard
from xnnlint.loaders.model_names import EXTENSIONS, PASSED_OVER, is_model_file, is_model_folder
from xnnlint.loaders.remote.store import Store
from xnnlint.loaders.remote.versions import version_of, version_of_all

# Pages link to pages: how many folders to go down on a web server.
_DEEPEST_OF_WEB = 8


class Entry(NamedTuple):
    """A file in a listing: its bytes and its version (see `versions`), None where the server does not say."""

    size: int | None
    version: str | None


class Listed(Struct, frozen=True):
    """A model at an address, with its entry."""

    address: str
    entry: Entry


class _Folder(Struct):
    """What is in a folder, by names."""

    files: dict[str, Entry] = field(default_factory=dict)
    folders: dict[str, _Folder] = field(default_factory=dict)

    def entry(self) -> Entry:
        """The folder as one model."""
        entries = self.files | {name: folder.entry() for name, folder in self.folders.items()}
        version = version_of_all({name: entry.version for name, entry in entries.items()})
        return Entry(sum(entry.size or 0 for entry in entries.values()), version)


def listed(address: str, excluded: Callable[..., bool]) -> Iterator[Listed]:
    """The models that an address means.

    Args:
        excluded: as for `search.search`.

    Raises:
        ModelError: nothing is there, or it cannot be listed.
    """
    if is_pattern(address) and ("*" in address or not _is_there(address)):
        yield from _matching(address, excluded)
        return
    if excluded(address, by_hand=True):
        return
    store = Store(address)
    of_web = store.scheme in WEB
    info: dict[str, Any] = {"type": "directory"}
    if not (of_web and address.endswith("/")):
        info = store.ask(lambda: store.fs.info(store.name))
    if info["type"] != "directory":
        yield Listed(address, _entry(info))
        return
    found = False
    for one in _models(_tree(store), address.rstrip("/"), excluded):
        found = True
        yield one
    if not found:
        raise ModelError(shown(address), f"the folder holds no model ({', '.join(EXTENSIONS)})")


def files_below(store: Store) -> dict[str, Entry]:
    """All files below the store's address; names begin there, and have "/" between their parts."""
    deepest = _DEEPEST_OF_WEB if store.scheme in WEB else None
    return _files_below(store, deepest)


def _entry(info: dict[str, Any]) -> Entry:
    return Entry(info.get("size"), version_of(info))


def _files_below(store: Store, deepest: int | None) -> dict[str, Entry]:
    base = store.name.rstrip("/")
    entries: dict[str, dict[str, Any]] = store.ask(lambda: store.fs.find(store.name, maxdepth=deepest, detail=True))
    names = {name[len(base) :].lstrip("/"): entry for name, entry in entries.items() if name.startswith(base)}
    # Buckets have empty entries that stand for folders; and no name may lead out of the folder.
    return {
        name: _entry(entry)
        for name, entry in names.items()
        if name and not name.endswith("/") and entry["type"] == "file" and ".." not in name.split("/")
    }


def _is_there(address: str) -> bool:
    store = Store(address)
    return bool(store.ask(lambda: store.fs.exists(store.name)))


def _tree(store: Store, deepest: int | None = None) -> _Folder:
    root = _Folder()
    for name, entry in (files_below(store) if deepest is None else _files_below(store, deepest)).items():
        *way, last = name.split("/")
        folder = root
        for part in way:
            folder = folder.folders.setdefault(part, _Folder())
        folder.files[last] = entry
    return root


def _models(folder: _Folder, place: str, excluded: Callable[..., bool]) -> Iterator[Listed]:
    """The models in a folder and below: first its own, in the order of their names."""
    if is_model_folder(set(folder.files)):
        yield Listed(place, folder.entry())
        return
    for name, entry in sorted(folder.files.items()):
        if is_model_file(name) and not excluded(f"{place}/{name}"):
            yield Listed(f"{place}/{name}", entry)
    for name, inner in sorted(folder.folders.items()):
        if name not in PASSED_OVER and not excluded(f"{place}/{name}"):
            yield from _models(inner, f"{place}/{name}", excluded)


def _matching(pattern: str, excluded: Callable[..., bool]) -> Iterator[Listed]:
    scheme, _, rest = pattern.partition("://")
    parts = rest.split("/")
    fixed = next(position for position, part in enumerate(parts) if has_wildcard(part))
    if not fixed:
        raise ModelError(pattern, "the name of the bucket or of the server cannot be a pattern", "name it in full")
    base = f"{scheme}://{'/'.join(parts[:fixed])}"
    suffix = PurePosixPath(parts[-1]).suffix
    any_kind = suffix not in ("", ".*") and not has_wildcard(suffix)
    deep = "**" in parts
    store = Store(f"{base}/" if scheme.lower() in WEB else base)
    # A pattern that ends in an extension means files, and those of other depths need not be listed.
    tree = _tree(store, None if deep or not any_kind else len(parts) - fixed)
    wanted = compiled("/".join(parts[fixed:]))
    found = False

    def walk(folder: _Folder, way: str) -> Iterator[Listed]:
        whole = is_model_folder(set(folder.files))
        if way and wanted.fullmatch(way) and (whole or not deep):
            yield from _models(folder, f"{base}/{way}", excluded)
            return
        if whole:
            return
        before = f"{way}/" if way else ""
        for name, entry in sorted(folder.files.items()):
            address = f"{base}/{before}{name}"
            if (any_kind or is_model_file(name)) and wanted.fullmatch(before + name) and not excluded(address):
                yield Listed(address, entry)
        for name, inner in sorted(folder.folders.items()):
            if name not in PASSED_OVER and not excluded(f"{base}/{before}{name}"):
                yield from walk(inner, before + name)

    for one in walk(tree, ""):
        found = True
        yield one
    if not found:
        raise ModelError(shown(pattern), "no model matches this pattern")
