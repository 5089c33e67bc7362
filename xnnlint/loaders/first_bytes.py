"""What the first bytes of a file say of it, before the rest is read."""

from __future__ import annotations

import os
from pathlib import Path

from xnnlint.errors import ModelError
from xnnlint.loaders import other_formats
from xnnlint.loaders.model_names import EXTENSIONS, MODELS

HEAD = 64
"""How many bytes tell the format."""
DAMAGED = "the file is truncated or damaged"
_KERAS_EXTENSIONS = EXTENSIONS[1:]


def refuse_what_is_none(path: str | os.PathLike[str], head: bytes) -> None:
    """Of a file of which no more is there yet.

    Raises:
        ModelError: it is no model; what may be one, after `load` has read it, is let pass.
    """
    from xnnlint.loaders.keras.read_file import format_of
    from xnnlint.loaders.tflite.read_tflite import IDENTIFIER

    if head[4:8] == IDENTIFIER:
        return
    other_formats.refuse_named(path)
    if format_of(path, head):
        return
    refuse_other_formats(path, head)
    if Path(path).suffix.lower() != EXTENSIONS[0]:  # which need not have the identifier
        raise ModelError(path, "this is not a TFLite model", MODELS)


def refuse_other_formats(path: str | os.PathLike[str], head: bytes) -> None:
    """Of a file in which the first bytes of no format that is read were found.

    Raises:
        ModelError: they are those of another format; or the name says that it should be a Keras model.
    """
    if not head:
        raise ModelError(path, "the file is empty")
    other_formats.refuse_by_head(path, head)
    if Path(path).suffix.lower() in _KERAS_EXTENSIONS:
        raise ModelError(path, "this is neither a zip archive nor HDF5, so that it is no Keras model", DAMAGED)
