"""The formats of `xnnlint check`: every module `NAME_report` of the package `formats`, and nothing else, makes one.

Their names are known from the files alone, and only the format that is asked for is imported.
"""

from __future__ import annotations

import importlib
import os
from abc import ABCMeta
from functools import cache
from typing import TYPE_CHECKING

from xnnlint.reporters import formats

if TYPE_CHECKING:
    from xnnlint.reporters.check_report import CheckReport, ReportSetting

TEXT = "text"
"""The format without --format."""

_ENDING = "_report"


@cache
def format_names() -> tuple[str, ...]:
    """What --format takes: text first, then the others by name."""
    # pkgutil would do it, too, and takes longer to import than all the rest here.
    files = os.listdir(formats.__path__[0])  # noqa: PTH208
    ending = f"{_ENDING}.py"
    names = sorted(name.removesuffix(ending).replace("_", "-") for name in files if name.endswith(ending))
    return tuple(sorted(names, key=lambda name: name != TEXT))


@cache
def report_class(name: str) -> type[CheckReport]:
    """The class of a format, which is the one in its module that has its name.

    Args:
        name: one of `format_names`.
    """
    from xnnlint.reporters.check_report import CheckReport

    module = importlib.import_module(f"{formats.__name__}.{name.replace('-', '_')}{_ENDING}")
    for item in vars(module).values():
        # Of an alias such as dict[str, int] Python 3.10 says that it is a type, and refuses to say of what kind.
        if isinstance(item, ABCMeta) and issubclass(item, CheckReport) and vars(item).get("name") == name:
            return item
    raise TypeError(f"{module.__name__} has no CheckReport with the name {name!r}")


def new_report(name: str, setting: ReportSetting) -> CheckReport:
    """An empty report in a format."""
    return report_class(name)(setting)
