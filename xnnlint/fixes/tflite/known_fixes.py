"""The names of everything that can be done with a .tflite file, as `--select` and `--ignore` take them."""

from __future__ import annotations

from xnnlint.errors import XnnlintError
from xnnlint.fixes.request import FixRequest
from xnnlint.fixes.tflite.operator_fixer import operator_fixers
from xnnlint.fixes.tflite.rescue import rescues


def names() -> list[str]:
    """Those of all fixes, then of the ways to rescue a model that are not among them."""
    return [*dict.fromkeys((*(fixer.name for fixer in operator_fixers()), *(rescue.name for rescue in rescues())))]


def check_names(options: FixRequest) -> None:
    """Looks whether there is everything that was asked for.

    Raises:
        XnnlintError: there is not, and what there is.
    """
    for name in (*options.select, *options.ignore):
        if name not in names():
            raise XnnlintError(f"there is no fix {name!r}; there are {', '.join(names())}")
