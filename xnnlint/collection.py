"""How often Python looks for garbage.

A plan is made of very many objects that stay, and of hardly any garbage that reference counts do not find at once. By
Python's own measure all of them would be looked at again for every 700 new ones; for a model of 10,000 operators that
takes as long as all the rest.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

OBJECTS = 50_000
"""So many more objects than before there may be until the young ones are looked at."""


def collect_rarely() -> None:
    """For the rest of the process; where nothing is to be collected, that stays so."""
    often, *older = gc.get_threshold()
    if often:
        gc.set_threshold(max(often, OBJECTS), *older)


@contextmanager
def rare_collection() -> Iterator[None]:
    """For a while, in a process of somebody else."""
    before = gc.get_threshold()
    collect_rarely()
    try:
        yield
    finally:
        gc.set_threshold(*before)
