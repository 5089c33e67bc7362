"""Paths at which there is nothing: what is missing, and what was meant by it."""

from __future__ import annotations

import os
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

from xnnlint.errors import ModelError
from xnnlint.loaders.model_names import is_model_file

_MOST_ENTRIES = 2000  # of a folder that are compared
_ALIKE = 0.6


def not_there(path: str | os.PathLike[str]) -> ModelError:
    """What to say of a path at which there is nothing; names that are close to it are looked for in its folder."""
    place = Path(path)
    if place.is_symlink():
        return ModelError(path, f"this is a link to {os.fspath(place.readlink())!r}, and nothing is there")
    above = place.parent
    if not above.is_dir():
        missing = next((p for p in reversed(above.parents) if not p.is_dir()), above)
        return ModelError(path, f"there is no folder {os.fspath(missing)!r}", _meant(missing, folders=True))
    return ModelError(path, "there is no such file", _meant(place, folders=False))


def _meant(place: Path, *, folders: bool) -> str:
    """`did you mean models/net.tflite?`, or ""."""
    try:
        with os.scandir(place.parent) as entries:
            names = [
                entry.name
                for entry in islice(entries, _MOST_ENTRIES)
                if (entry.is_dir() if folders else is_model_file(entry.name) or entry.is_dir())
            ]
    except OSError:
        return ""
    # Extensions make all names alike.
    stems = {Path(name).stem.lower(): name for name in sorted(names)}
    close = get_close_matches(place.stem.lower(), stems, n=2, cutoff=_ALIKE)
    return f"did you mean {' or '.join(str(place.with_name(stems[stem])) for stem in close)}?" if close else ""
