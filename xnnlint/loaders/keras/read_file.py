"""From a path to a `KerasModel`, whatever the format; nothing of the model is executed, and Keras is not needed."""

from __future__ import annotations

import os
from pathlib import Path

from xnnlint.errors import ModelError
from xnnlint.keras.description import KerasModel
from xnnlint.loaders.keras import read_hdf5, read_zip
from xnnlint.loaders.keras.read_archive import CONFIG, read_archive, read_folder
from xnnlint.loaders.keras.read_config import Unreadable, parse_json, read_model
from xnnlint.loaders.keras.read_h5 import PUT_TOGETHER, read_h5
from xnnlint.loaders.keras.read_hdf5 import Hdf5Error
from xnnlint.loaders.keras.read_mapped import map_file
from xnnlint.loaders.keras.read_tfjs import is_tfjs, read_tfjs
from xnnlint.loaders.missing import not_there

_CONVERT = "convert it with tf.lite.TFLiteConverter and check the .tflite file"
# What folders hold that are models.
SAVED_MODEL = "saved_model.pb"


def read(path: str | os.PathLike[str]) -> tuple[str, KerasModel]:
    """Reads a Keras model, and says in which format it is: "keras" (a bare architecture too), "h5" or "saved_model".

    Raises:
        ModelError: there is no such file, or no model that this version can read in it.
    """
    place = os.fspath(path)
    if not os.path.exists(place):  # noqa: PTH110
        raise not_there(path)
    try:
        return _read(place)
    except Unreadable as fault:
        raise ModelError(path, fault.problem, fault.advice) from None
    except Hdf5Error as fault:
        raise ModelError(path, f"its HDF5 data cannot be read: {fault}") from None


def format_of(path: str | os.PathLike[str], head: bytes = b"") -> str:
    """The format of a file or folder: "keras", "h5", "saved_model", "json", or "" for what is no Keras model.

    Args:
        path: the file or folder.
        head: the first bytes of a file.
    """
    place = Path(path)
    if place.is_dir():
        if (place / CONFIG).is_file():
            return "keras"
        return "saved_model" if (place / SAVED_MODEL).exists() else ""
    if head.startswith(read_zip.SIGNATURE):
        return "keras"
    if head.startswith(read_hdf5.SIGNATURE):
        return "h5"
    return "json" if place.suffix.lower() == ".json" and head.lstrip()[:1] == b"{" else ""


def _read(path: str) -> tuple[str, KerasModel]:
    place = Path(path)
    head = b"" if place.is_dir() else bytes(map_file(path)[:64])
    format_ = format_of(path, head)
    if format_ == "keras":
        return format_, read_folder(path) if place.is_dir() else read_archive(path)
    if format_ == "h5":
        return format_, read_h5(path)
    if format_ == "json":
        return _json(place)
    if format_ == "saved_model":
        from xnnlint.loaders.keras.read_saved_model import read_saved_model

        return format_, read_saved_model(path)
    if head[4:8] == b"TFL3":
        raise Unreadable("this is a .tflite model already", "check, fix and verify take it as it is")
    raise Unreadable("this is no Keras model", _CONVERT)


def _json(place: Path) -> tuple[str, KerasModel]:
    """An architecture; if it is config.json of a folder with weights, the whole folder."""
    if place.name == CONFIG:
        return "keras", read_folder(os.fspath(place.parent))
    entry = parse_json(bytes(map_file(os.fspath(place))), "the file")
    if isinstance(entry, dict) and "weight_map" in entry:
        raise Unreadable("this file lists weights only, without the model", PUT_TOGETHER)
    if is_tfjs(entry):
        return "keras", read_tfjs(os.fspath(place), entry)
    version = entry.get("keras_version") if isinstance(entry, dict) else None
    model = read_model(entry, version if isinstance(version, str) else "")
    model.has_weights = False
    return "keras", model
