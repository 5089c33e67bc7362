"""Model files as containers: the config comes out, a changed one goes in, and everything else keeps its bytes."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from functools import cached_property
from pathlib import Path
from typing import Any

from xnnlint.errors import ModelError
from xnnlint.keras.read_archive import CONFIG
from xnnlint.keras.read_config import Unreadable, parse_json
from xnnlint.keras.read_file import format_of
from xnnlint.keras.read_hdf5 import File, Hdf5Error

from .hdf5_text import replace_text

_ATTRIBUTE = "model_config"
_STEP = 1 << 20
_ADVICE = "save the model as .keras or .h5"


class Archive:
    """A model file.

    Args:
        path: as the user gave it.

    Raises:
        ModelError: it is no .keras archive and no .h5 file.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        place = Path(path)
        if place.is_dir():
            raise ModelError(path, "folders are not rewritten", _ADVICE)
        with place.open("rb") as file:
            self.format = format_of(path, file.read(64))
        if self.format not in ("keras", "h5"):
            raise ModelError(path, "only .keras and .h5 files can be fixed", _ADVICE)

    @cached_property
    def document(self) -> dict[str, Any]:
        """The model's config.

        Raises:
            ModelError: it cannot be read.
        """
        try:
            return parse_json(self._stored(), "its config")
        except Unreadable as fault:
            raise ModelError(self.path, fault.problem, fault.advice) from None
        except Hdf5Error as fault:
            raise ModelError(self.path, f"its HDF5 data cannot be read: {fault}") from None
        except zipfile.BadZipFile as fault:
            raise ModelError(self.path, f"this zip archive is damaged ({fault})") from None

    def _stored(self) -> str | bytes:
        if self.format == "keras":
            with zipfile.ZipFile(self.path) as archive:
                if CONFIG not in archive.namelist():
                    raise Unreadable(f"it holds no {CONFIG}")
                return archive.read(CONFIG)
        text = File(memoryview(Path(self.path).read_bytes())).root.attributes.get(_ATTRIBUTE)
        if not isinstance(text, str):
            raise Unreadable("this HDF5 file holds no Keras model")
        return text

    def write(self, document: dict[str, Any], target: str) -> None:
        """Writes the same file with another config.

        Raises:
            ModelError: the config cannot be replaced.
            OSError: the file cannot be written.
        """
        try:
            if self.format == "keras":
                self._write_zip(document, target)
            else:
                self._write_h5(document, target)
        except Unreadable as fault:
            raise ModelError(self.path, fault.problem, fault.advice) from None

    def _write_zip(self, document: dict[str, Any], target: str) -> None:
        text = json.dumps(document).encode()
        with zipfile.ZipFile(self.path) as old, zipfile.ZipFile(target, "w") as new:
            for member in old.infolist():
                if member.filename == CONFIG:
                    new.writestr(member, text)
                    continue
                with old.open(member) as source, new.open(member, "w", force_zip64=member.file_size >= 1 << 31) as sink:
                    shutil.copyfileobj(source, sink, _STEP)

    def _write_h5(self, document: dict[str, Any], target: str) -> None:
        tail, patches = replace_text(Path(self.path).read_bytes(), _ATTRIBUTE, json.dumps(document))
        shutil.copyfile(self.path, target)
        with Path(target).open("rb+") as file:
            file.seek(0, os.SEEK_END)
            file.write(tail)
            for place, data in patches:
                file.seek(place)
                file.write(data)

    def same_weights(self, other: str) -> bool:
        """Whether another file has the same bytes but for the config, and with them every weight bit for bit."""
        if self.format == "keras":
            with zipfile.ZipFile(self.path) as old, zipfile.ZipFile(other) as new:
                names = old.namelist()
                return names == new.namelist() and all(_equal(old, new, n) for n in names if n != CONFIG)
        old_bytes, new_bytes = Path(self.path).read_bytes(), Path(other).read_bytes()
        _, patches = replace_text(old_bytes, _ATTRIBUTE, "")
        masked = bytearray(new_bytes[: len(old_bytes)])
        for place, data in patches:
            masked[place : place + len(data)] = old_bytes[place : place + len(data)]
        return masked == old_bytes


def _equal(old: zipfile.ZipFile, new: zipfile.ZipFile, name: str) -> bool:
    with old.open(name) as a, new.open(name) as b:
        while True:
            left, right = a.read(_STEP), b.read(_STEP)
            if left != right:
                return False
            if not left:
                return True
