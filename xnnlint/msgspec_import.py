"""msgspec, imported without typing_extensions, which takes half of its time and a tenth of a remembered check."""

from __future__ import annotations

import sys

_EXTENSIONS = "typing_extensions"


def import_msgspec() -> None:
    """For a process that is xnnlint's own; a program that uses it as a library imports msgspec as it is.

    msgspec asks typing_extensions for what `typing` has since Python 3.11, and takes it from `typing` where the other
    is not installed.
    """
    if sys.version_info < (3, 11) or _EXTENSIONS in sys.modules:
        return
    # To an import statement that is a module which is not there.
    sys.modules[_EXTENSIONS] = None  # type: ignore[assignment]
    try:
        import msgspec  # noqa: F401
    finally:
        del sys.modules[_EXTENSIONS]
