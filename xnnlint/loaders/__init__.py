"""From a path to a `Model`, whatever the format of the file."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xnnlint.errors import ModelError
from xnnlint.loaders import other_formats
from xnnlint.loaders.first_bytes import HEAD, refuse_other_formats
from xnnlint.loaders.model_names import EXTENSIONS

if TYPE_CHECKING:
    from xnnlint.keras.description import KerasModel
    from xnnlint.model.graph import Model

# "package.module:function", which is no path of a file that there is; a single letter is a drive of Windows.
_CALLABLE = re.compile(r"(?![A-Za-z]:)[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


def load(
    path: str | os.PathLike[str], *, assume_pruned: float | None = None, layers: Mapping[str, str] | None = None
) -> Model:
    """Reads a model; the file's content decides on its format, then its extension.

    Args:
        path: a file, or the folder of a SavedModel or of an unpacked .keras archive; or "module:function", which
            imports and runs code of the user's that makes a Keras model.
        assume_pruned: the share of zeros to assume in the weights that pruning would reach; only of Keras models, and
            nothing of a .tflite file, whose plan can be asked instead (`cost.plan_if_pruned`).
        layers: of Keras models, what layers are whose code is not read, as for `declared_layers.declare`.

    Raises:
        ModelError: there is no such file, or it is not a model that this version can read.
    """
    if is_callable(path):
        target = os.fspath(path)
        return lowered(read_callable(target), target, "live", assume_pruned, layers)
    other_formats.refuse_url(path)
    head = _first_bytes(path)
    from xnnlint.loaders.tflite import read_tflite as tflite

    if head[4:8] == tflite.IDENTIFIER:
        return tflite.load(path)
    other_formats.refuse_named(path)
    from xnnlint.loaders.keras.read_file import format_of

    if format_of(path, head):
        return load_keras(path, assume_pruned=assume_pruned, layers=layers)
    refuse_other_formats(path, head)
    return tflite.load(path)


def load_keras(
    path: str | os.PathLike[str], *, assume_pruned: float | None = None, layers: Mapping[str, str] | None = None
) -> Model:
    """Reads a Keras model, and lowers it to the operators that TensorFlow's converter makes of it.

    Args:
        path: a file or folder.
        assume_pruned, layers: as for `load`.

    Raises:
        ModelError: it cannot be read, or has parts whose meaning is unknown.
    """
    from xnnlint.loaders.keras.read_file import read

    format_, keras_model = read(path)
    return lowered(keras_model, os.fspath(path), format_, assume_pruned, layers)


def lowered(
    keras_model: KerasModel,
    path: str,
    format_: str,
    assume_pruned: float | None = None,
    layers: Mapping[str, str] | None = None,
) -> Model:
    """The graph of a Keras model that has been read, with what else is to be known of it.

    Args:
        path: as the user gave it, or the name of a model in memory.
        format_: as `read_file.read` says it, or "live".
        assume_pruned, layers: as for `load`.
    """
    from xnnlint.keras.lower.to_graph import lower

    notes = []
    if layers:
        from xnnlint.loaders.keras.declared_layers import declare

        notes = declare(keras_model, layers)
    model = lower(keras_model, path=path, format=format_, assume_pruned=assume_pruned)
    if format_ == "live" and is_callable(path):
        model.notes.insert(0, f"{path} was imported and run to get this model.")
    model.notes += notes
    model.declared = tuple((layers or {}).items())
    model.assume_pruned = assume_pruned
    return model


def load_any(model: Any, *, assume_pruned: float | None = None, layers: Mapping[str, str] | None = None) -> Model:
    """Reads a path, or a Keras model that is in memory.

    Raises:
        ModelError: as `load`.
    """
    if isinstance(model, (str, os.PathLike)):
        return load(model, assume_pruned=assume_pruned, layers=layers)
    from xnnlint.loaders.keras.read_live import read_live

    read = read_live(model)
    return lowered(read, read.name, "live", assume_pruned, layers)


def find_models(paths: Iterable[str | os.PathLike[str]]) -> list[str]:
    """The models that a command line means: files as given, and in folders every file with a known extension.

    Folders that are models stay whole. Each model appears once, folders in alphabetical order. No file is opened: a
    path that cannot be read, and a folder without models, stay in the list for `load` to explain, so that one of them
    does not keep others from being read.
    """
    from xnnlint.loaders.search import search

    return [found.path for found in search(paths)]


def is_callable(path: str | os.PathLike[str]) -> bool:
    """Whether a text is "module:function", and no file's name."""
    return isinstance(path, str) and _CALLABLE.fullmatch(path) is not None and not Path(path).exists()


def read_callable(target: str) -> KerasModel:
    """The Keras model that code of the user's makes, which is imported and run.

    Args:
        target: "module:function".

    Raises:
        XnnlintError: it fails, or makes something else.
    """
    from xnnlint.loaders.keras.read_live import load_callable, read_live

    made = load_callable(target)
    if made is None:
        raise ModelError(target, "it returned None", "let it return a Keras model")
    try:
        return read_live(made)
    except ModelError as error:
        raise ModelError(target, error.problem, error.advice) from None


def _first_bytes(path: str | os.PathLike[str]) -> bytes:
    try:
        mode = Path(path).stat().st_mode
        if stat.S_ISDIR(mode):
            return _folder_head(path)
        if not stat.S_ISREG(mode):
            # Opening a pipe or a device could wait for ever.
            raise ModelError(path, "this is not a regular file")
        with Path(path).open("rb") as file:
            return file.read(HEAD)
    except FileNotFoundError:
        from xnnlint.loaders.missing import not_there

        raise not_there(path) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ModelError(path, f"the file cannot be read ({reason})") from None


def _folder_head(path: str | os.PathLike[str]) -> bytes:
    """No bytes, for a folder that is a model."""
    from xnnlint.loaders.keras.read_file import format_of

    os.scandir(path).close()  # What cannot be read is reported as that.
    if not format_of(path):
        other_formats.refuse_folder(path)
        raise ModelError(path, f"the folder holds no model ({', '.join(EXTENSIONS)})")
    return b""
