"""For each rule a small model that breaks it, and the nearest one that does not: the same with the fix made.

The outcomes are those that the real runtime showed (LiteRT 2.3, by model; `test_rules.py` has it judge them again).
Numbers of sparse operators are never written here: what a fix unlocks is compared with the fixed model.
"""

from __future__ import annotations

import importlib
import pkgutil

from tests.rules import cases
from tests.rules.case_parts import Pair

PAIRS: list[Pair] = [
    pair
    for module in pkgutil.iter_modules(cases.__path__, f"{cases.__name__}.")
    for pair in importlib.import_module(module.name).PAIRS
]
PAIRS.sort(key=lambda pair: pair.rule)
