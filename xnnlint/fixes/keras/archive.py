"""Model files as containers: the config comes out, a changed one goes in, and everything else keeps its bytes."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from functools import cached_property
from pathlib import Path
from typing import Any

from msgspec import Struct

from xnnlint.errors import ModelError
from xnnlint.fixes.keras.hdf5_text import replace_text
from xnnlint.fixes.keras.new_weights import NewWeights, into_archive, into_h5, reshaped
from xnnlint.fixes.keras.stripped_weights import Off, strip_archive, strip_h5, taken_off, without_wrappers
from xnnlint.keras.description import KerasModel
from xnnlint.loaders import other_formats
from xnnlint.loaders.keras.read_archive import CONFIG, WEIGHTS
from xnnlint.loaders.keras.read_config import Unreadable, parse_json
from xnnlint.loaders.keras.read_file import format_of, read
from xnnlint.loaders.keras.read_hdf5 import File, Hdf5Error
from xnnlint.loaders.missing import not_there

Models = tuple[KerasModel, KerasModel]
"""Those of the config as it was, and of the changed one."""
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
        if not place.exists():
            raise not_there(path)
        with place.open("rb") as file:
            self.format = format_of(path, file.read(64))
        if self.format not in ("keras", "h5"):
            other_formats.refuse_named(path)
            raise ModelError(path, "only .tflite, .keras and .h5 files can be fixed", _ADVICE)

    @cached_property
    def document(self) -> dict[str, Any]:
        """The model's config.

        Raises:
            ModelError: it cannot be read.
        """
        try:
            found: dict[str, Any] = parse_json(self._stored(), "its config")
            return found
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

    def write(
        self,
        document: dict[str, Any],
        target: str,
        new: NewWeights | None = None,
        models: Models | None = None,
    ) -> None:
        """Writes the same file with another config, with the weights of new layers, and without pruning wrappers.

        Args:
            document: the config.
            target: where to.
            new: weights of layers that the config adds.
            models: those of the two configs, where layers are added or leave their wrappers.

        Raises:
            ModelError: the config cannot be replaced.
            OSError: the file cannot be written.
        """
        moves = None if models is None else _Moves.between(*models, new or {})
        try:
            if self.format == "keras":
                self._write_zip(document, target, moves)
            else:
                self._write_h5(document, target, moves)
        except Unreadable as fault:
            raise ModelError(self.path, fault.problem, fault.advice) from None
        except Hdf5Error as fault:
            raise ModelError(self.path, f"its HDF5 data cannot be read: {fault}") from None

    def _write_zip(self, document: dict[str, Any], target: str, moves: _Moves | None) -> None:
        text = json.dumps(document).encode()
        with zipfile.ZipFile(self.path) as old, zipfile.ZipFile(target, "w") as sink_zip:
            if moves and WEIGHTS not in old.namelist():
                raise Unreadable("its weights are in several files, to which none can be added", _ADVICE)
            for member in old.infolist():
                if member.filename == CONFIG:
                    sink_zip.writestr(member, text)
                    continue
                if member.filename == WEIGHTS and moves:
                    sink_zip.writestr(member, moves.in_archive(old.read(member)))
                    continue
                large = member.file_size >= 1 << 31
                with old.open(member) as source, sink_zip.open(member, "w", force_zip64=large) as sink:
                    shutil.copyfileobj(source, sink, _STEP)

    def _write_h5(self, document: dict[str, Any], target: str, moves: _Moves | None) -> None:
        data = Path(self.path).read_bytes()
        if moves:
            data = moves.in_h5(data)
        tail, patches = replace_text(data, _ATTRIBUTE, json.dumps(document))
        Path(target).write_bytes(data)
        with Path(target).open("rb+") as file:
            file.seek(0, os.SEEK_END)
            file.write(tail)
            for place, data in patches:
                file.seek(place)
                file.write(data)

    def without_optimizer(self, before: KerasModel, new: NewWeights) -> list[str]:
        """The layers for whose new shapes the file loses the state of its optimizer, if it has one."""
        changed = reshaped(before, new)
        return changed if changed and self._has_optimizer() else []

    def _has_optimizer(self) -> bool:
        if self.format == "h5":
            return "optimizer_weights" in File(memoryview(Path(self.path).read_bytes())).root.links
        with zipfile.ZipFile(self.path) as archive:
            root = File(memoryview(archive.read(WEIGHTS))).root
        return "optimizer" in root.links

    def same_weights(self, other: str, new: NewWeights | None = None, *, moved: bool = False) -> bool:
        """Whether another file has the same bytes but for the config, and with them every weight bit for bit.

        With new layers, or where weights moved, whether every weight has the same bits and the same layer, and the new
        ones have theirs.
        """
        if new or moved:
            old_model, new_model = read(self.path)[1], read(other)[1]
            wanted = _bits(old_model) | {
                (name, index): array.tobytes()
                for name, arrays in (new or {}).items()
                for index, array in enumerate(arrays)
            }
            return _bits(new_model) == wanted
        if self.format == "keras":
            with zipfile.ZipFile(self.path) as one, zipfile.ZipFile(other) as two:
                names = one.namelist()
                return names == two.namelist() and all(_equal(one, two, n) for n in names if n != CONFIG)
        old_bytes, new_bytes = Path(self.path).read_bytes(), Path(other).read_bytes()
        _, patches = replace_text(old_bytes, _ATTRIBUTE, "")
        masked = bytearray(new_bytes[: len(old_bytes)])
        for place, data in patches:
            masked[place : place + len(data)] = old_bytes[place : place + len(data)]
        return masked == old_bytes


class _Moves(Struct, frozen=True):
    """What becomes of the weights in a file.

    Attributes:
        before: the model as it is in the file, and `bare` without the wrappers that layers leave.
        after: the model of the new config.
        off: the layers that leave them.
        new: the weights of new layers.
    """

    before: KerasModel
    bare: KerasModel
    after: KerasModel
    off: Off
    new: NewWeights

    @classmethod
    def between(cls, before: KerasModel, after: KerasModel, new: NewWeights) -> _Moves | None:
        """None where all weights stay where they are."""
        off = taken_off(before, after)
        return cls(before, without_wrappers(before, off), after, off, new) if off or new else None

    def in_archive(self, data: bytes) -> bytes:
        if self.off:
            data = strip_archive(data, self.before, self.off)
        return into_archive(data, self.bare, self.after, self.new) if self.new else data

    def in_h5(self, data: bytes) -> bytes:
        if self.off:
            data = strip_h5(data, self.before, self.off)
        return into_h5(data, self.bare, self.after, self.new) if self.new else data


def _bits(model: KerasModel) -> dict[tuple[str, int], bytes]:
    """Every weight by its layer's path and its number there."""
    return {
        ("/".join(layer.path), index): load().tobytes()
        for layer in model.all_layers()
        for index, load in enumerate(layer.weights.values())
    }


def _equal(old: zipfile.ZipFile, new: zipfile.ZipFile, name: str) -> bool:
    with old.open(name) as a, new.open(name) as b:
        while True:
            left, right = a.read(_STEP), b.read(_STEP)
            if left != right:
                return False
            if not left:
                return True
