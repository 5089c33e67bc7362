"""From a path to a `Model`, whatever the format of the file."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from xnnlint.errors import ModelError

if TYPE_CHECKING:
    from xnnlint.graph import Model

# The extensions that are looked for in folders.
EXTENSIONS = (".tflite",)
_KERAS_EXTENSIONS = (".keras", ".h5", ".hdf5")
_CONVERT = "convert it with tf.lite.TFLiteConverter and check the .tflite file"

# What people pass by mistake: first bytes -> what it is, and what to do.
_OTHER_FORMATS = (
    (b"PK\x03\x04", "this is a zip archive, not a TFLite model", "unpack it, if there is a .tflite file inside"),
    (b"\x89HDF\r\n\x1a\n", "this is an HDF5 file, and this version reads .tflite files only", _CONVERT),
    (b"version https://git-lfs", "this is a Git LFS pointer, not the model itself", "run `git lfs pull`"),
    (b"\x1f\x8b", "this is a gzip file, not a TFLite model", "unpack it first"),
    (b"<", "this is a web page or XML, not a TFLite model", "check where the download came from"),
)


def load(path: str | os.PathLike[str]) -> Model:
    """Reads a model; the file's content decides on its format, then its extension.

    Raises:
        ModelError: there is no such file, or it is not a model that this version can read.
    """
    head = _first_bytes(path)
    from xnnlint.loaders import tflite

    if head[4:8] != tflite.IDENTIFIER:
        _refuse_other_formats(path, head)
    return tflite.load(path)


def find_models(paths: Iterable[str | os.PathLike[str]]) -> list[str]:
    """The model files that a command line means: files as given, and in folders every file with a known extension.

    Each file appears once, folders in alphabetical order. Nothing is opened: a path that cannot be read, and a folder
    without models, stay in the list for `load` to explain, so that one of them does not keep others from being read.
    """
    found: dict[str, None] = {}
    for path in map(os.fspath, paths):
        folder = Path(path)
        if folder.is_dir() and not _is_saved_model(folder):
            found.update(dict.fromkeys(_models_below(folder) or [path]))
        else:
            found[path] = None
    return list(found)


def _models_below(folder: Path) -> list[str]:
    models = []
    for parent, folders, files in os.walk(folder):
        folders.sort()
        models += [str(Path(parent, name)) for name in sorted(files) if name.lower().endswith(EXTENSIONS)]
    return models


def _is_saved_model(folder: Path) -> bool:
    return (folder / "saved_model.pb").exists()


def _first_bytes(path: str | os.PathLike[str]) -> bytes:
    try:
        mode = Path(path).stat().st_mode
        if stat.S_ISDIR(mode):
            raise _folder_error(path)
        if not stat.S_ISREG(mode):
            # Opening a pipe or a device could wait for ever.
            raise ModelError(path, "this is not a regular file")
        with Path(path).open("rb") as file:
            return file.read(64)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ModelError(path, f"the file cannot be read ({reason})") from None


def _folder_error(path: str | os.PathLike[str]) -> ModelError:
    if _is_saved_model(Path(path)):
        return ModelError(path, "this is a SavedModel, and this version reads .tflite files only", _CONVERT)
    return ModelError(path, f"the folder holds no model ({', '.join(EXTENSIONS)})")


def _refuse_other_formats(path: str | os.PathLike[str], head: bytes) -> None:
    if not head:
        raise ModelError(path, "the file is empty")
    extension = Path(path).suffix.lower()
    if extension in _KERAS_EXTENSIONS:
        raise ModelError(path, f"this version reads .tflite files only, not {extension}", _CONVERT)
    for magic, problem, advice in _OTHER_FORMATS:
        if head.startswith(magic):
            raise ModelError(path, problem, advice)
