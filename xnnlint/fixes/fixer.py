"""What every kind of change declares, and how kinds are found.

A new kind is two files: a module in `tflite/operator_changes/` or `keras/layer_changes/` that has it in a tuple
`FIXERS`, and its case, a model and what must come of it, in `tests/fixes/cases/` (of Keras models in a test of
`tests/fixes/`). Nothing else is touched: the search, `--select` and what `check` says of a finding find it there, by
`fulfils`. `python -m xnnlint.fixes.tflite.fix_table` writes the table of docs/fix-tflite.md anew.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from xnnlint.fixes.change import Exactness
from xnnlint.linter.findings import Applicability

if TYPE_CHECKING:
    from xnnlint.xnnpack.conditions.condition import Condition


class Fixer:
    """One kind of change; subclasses say how places are found and what is done there.

    Attributes:
        name: in kebab case; it states the remedy.
        fulfils: the conditions of sparse inference that hold at its place once it is made, by which it and the rules
            find each other.
        stage: when it is made; of the same stage, in the order of files, and of the file's tuple.
        applicability: `SAFE` or `UNSAFE`; a change may be safer than its kind.
        exactness: of the outputs; `DIFFERENT` only of unsafe ones.
        effect: for unsafe ones, what the model computes differently; else "".
        rivals: names of kinds that find their place where this one is not made, and may reach the same for less.
    """

    name: str
    fulfils: frozenset[Condition]
    stage: IntEnum
    applicability: Applicability = Applicability.SAFE
    exactness: Exactness = Exactness.EXACT
    effect: str = ""
    rivals: tuple[str, ...] = ()


def discovered(package: str, tuple_name: str) -> Iterator[Any]:
    """What the modules of a package have in their tuples of a name, by stage, then by file."""
    root = importlib.import_module(package)
    names = sorted(module.name for module in pkgutil.iter_modules(root.__path__, f"{package}."))
    found = [item for name in names for item in getattr(importlib.import_module(name), tuple_name, ())]
    yield from sorted(found, key=lambda item: item.stage)
