"""Which rules `xnnlint fix` knows fixes for, by the conditions that those fulfil; one need not fit every place."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import TYPE_CHECKING

from xnnlint.linter.findings import Applicability

if TYPE_CHECKING:
    from xnnlint.fixes.fixer import Fixer
    from xnnlint.xnnpack.conditions.condition import Condition


class FileKind(str, Enum):
    """What is fixed."""

    TFLITE = "tflite"
    KERAS = "keras"


def fixable(condition: Condition | None) -> dict[FileKind, Applicability]:
    """For each kind of file that has a fix for a condition, whether one is safe; empty where nothing is known."""
    from xnnlint.fixes.keras.layer_fixer import layer_fixers
    from xnnlint.fixes.tflite.operator_fixer import operator_fixers
    from xnnlint.fixes.tflite.rescue import rescues

    if condition is None:
        return {}
    safe = {
        FileKind.TFLITE: [_is_safe(fixer) for fixer in operator_fixers() if condition in fixer.fulfils]
        + [True for rescue in rescues() if condition in rescue.fulfils],
        FileKind.KERAS: [_is_safe(fixer) for fixer in layer_fixers() if condition in fixer.fulfils],
    }
    return {kind: _best(found) for kind, found in safe.items() if found}


def _is_safe(fixer: Fixer) -> bool:
    return fixer.applicability is Applicability.SAFE


def _best(safe: Iterable[bool]) -> Applicability:
    return Applicability.SAFE if any(safe) else Applicability.UNSAFE
