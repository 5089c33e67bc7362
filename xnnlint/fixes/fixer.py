"""What every kind of change declares, and how kinds are found.

A new kind is one file in `tflite/operator_changes/` or `keras/layer_changes/` that has it in a tuple `FIXERS`, and one
case in tests/fix_cases.py (a model, and what must come of it). Nothing else is touched: `--select`, the search, what
`check` says of a finding, and the table of docs/fix-tflite.md find it there; `fulfils` says for which findings.
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
