"""Times that `xnnlint bench --format json` has written, read again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from msgspec import Struct

from xnnlint.errors import XnnlintError


class SavedVariant(Struct, frozen=True):
    """One of the two variants that were timed.

    Attributes:
        microseconds: of a run as a whole.
        layers: by layer, as the plan calls it, the microseconds of all that runs for it.
    """

    label: str
    microseconds: float | None
    layers: dict[str, float]


class SavedBench(Struct, frozen=True):
    """A benchmark: of which model as given, and what was measured where."""

    path: str
    where: str
    variants: tuple[SavedVariant, ...]


def read_bench(file: str) -> SavedBench:
    """A benchmark that was written as JSON.

    Raises:
        XnnlintError: it cannot be read, or is something else.
    """
    try:
        document = json.loads(Path(file).read_text(encoding="utf-8"))
        return SavedBench(str(document["path"]), _where(document), tuple(map(_variant, document["variants"])))
    except OSError as error:
        raise XnnlintError(f"{file}: {(error.strerror or str(error)).lower()}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise XnnlintError(f"{file}: this is not what `xnnlint bench --format json` writes") from None


def _where(document: dict[str, Any]) -> str:
    where = document["where"]
    return "a device" if where is None else f"{where['cpu_model']}, LiteRT {where['litert']}"


def _variant(variant: dict[str, Any]) -> SavedVariant:
    layers: dict[str, float] = {}
    for operator in variant["operators"]:
        if operator["microseconds"] is not None:
            layers[operator["layer"]] = layers.get(operator["layer"], 0.0) + float(operator["microseconds"])
    whole = variant["microseconds"]
    return SavedVariant(str(variant["label"]), None if whole is None else float(whole), layers)
