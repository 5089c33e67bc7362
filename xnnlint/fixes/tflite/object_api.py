"""The TFLite schema's object API: the generated module that every LiteRT wheel carries.

It is Google's own, made from the schema of the very runtime that judges a fix, and has every table; the `tflite`
package has no object API. It comes with the extra `verify`, which the proof of a fix needs anyway. Its one flaw is
that a buffer's data is not aligned as the schema demands (`force_align: 16`), which `write` makes good.
"""

from __future__ import annotations

import importlib
import pickle
import sys
from contextlib import suppress
from functools import cache
from types import ModuleType
from typing import Any

from xnnlint.errors import NotInstalled

IDENTIFIER = b"TFL3"
_ALIGNMENT = 16
# Bytes from which on data is shared rather than copied.
_SHARED_FROM = 1 << 12
INSTALL = "pip install 'xnnlint[verify]'"


@cache
def generated() -> ModuleType:
    """The generated module.

    Raises:
        NotInstalled: there is none, with what to install.
    """
    # Where a model was just converted, TensorFlow's copy will do; it is never imported for this alone.
    modules = ["ai_edge_litert.schema_py_generated"]
    if "tensorflow" in sys.modules:
        modules.append("tensorflow.lite.python.schema_py_generated")
    for name in modules:
        with suppress(ImportError):
            return importlib.import_module(name)
    raise NotInstalled(f"editing .tflite files needs the schema of the LiteRT wheel: {INSTALL}", "verify") from None


def number(kind: str, name: str) -> int:
    """A value of an enum, such as `number("Padding", "SAME")`.

    Raises:
        KeyError: the schema has no such name.
    """
    try:
        return int(getattr(getattr(generated(), kind), name))
    except AttributeError:
        raise KeyError(f"{kind}.{name}") from None


@cache
def _names(kind: str) -> dict[int, str]:
    values = vars(getattr(generated(), kind))
    return {value: name for name, value in values.items() if isinstance(value, int) and not name.startswith("_")}


def name_of(kind: str, value: int) -> str:
    """The name of an enum's value, or its number where the schema does not know it."""
    return _names(kind).get(value, f"{kind}_{value}")


def make(table: str, **fields: Any) -> Any:
    """A table's object, such as `make("ReducerOptions", keepDims=True)`.

    Raises:
        TypeError: it has no such field.
    """
    return getattr(generated(), f"{table}T")(**fields)


def read(data: bytes) -> Any:
    """The file's ModelT; its buffers are views of `data`."""
    return generated().ModelT.InitFromPackedBuf(data, 0)


class Snapshot:
    """A ModelT as it is now, of which copies can be made in a tenth of the time that reading a file takes.

    The data of large buffers is shared by all copies.
    """

    def __init__(self, model: Any) -> None:
        self._large: list[pickle.PickleBuffer] = []
        self._pickled = pickle.dumps(model, protocol=5, buffer_callback=self._keep_small_ones)

    def _keep_small_ones(self, buffer: pickle.PickleBuffer) -> bool:
        """Whether the pickle itself gets the bytes, as `pickle.dumps` asks."""
        is_small = buffer.raw().nbytes <= _SHARED_FROM
        if not is_small:
            self._large.append(buffer)
        return is_small

    def copy(self) -> Any:
        """Another ModelT, which can be changed."""
        return pickle.loads(self._pickled, buffers=self._large)


def write(model: Any, *, identifier: bool) -> bytes:
    """The flatbuffer of a ModelT, every buffer's data aligned to 16 bytes."""
    import flatbuffers

    size = sum(len(buffer.data) for buffer in model.buffers or () if buffer.data is not None)
    builder = flatbuffers.Builder(size + size // 8 + (1 << 16))
    buffers, model.buffers = model.buffers, None if model.buffers is None else [_Aligned(b) for b in model.buffers]
    try:
        root = model.Pack(builder)
    finally:
        model.buffers = buffers
    builder.Finish(root, file_identifier=IDENTIFIER if identifier else None)
    return bytes(builder.Output())


class _Aligned:
    """A BufferT that is packed with its data where the schema wants it."""

    def __init__(self, buffer: Any) -> None:
        self.buffer = buffer

    def Pack(self, builder: Any) -> int:
        import numpy as np

        module, data = generated(), self.buffer.data
        vector = 0
        if data is not None:
            raw = np.ascontiguousarray(data).view(np.uint8).tobytes() if len(data) else b""
            builder.StartVector(1, len(raw), _ALIGNMENT)
            builder.head -= len(raw)
            builder.Bytes[builder.head : builder.head + len(raw)] = raw
            vector = builder.EndVector()
        module.BufferStart(builder)
        if data is not None:
            module.BufferAddData(builder, vector)
        module.BufferAddOffset(builder, self.buffer.offset)
        module.BufferAddSize(builder, self.buffer.size)
        return int(module.BufferEnd(builder))
