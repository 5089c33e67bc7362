"""LiteRT releases: the installed one, and others in a cache of their own."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path

from xnnlint.errors import XnnlintError

INSTALL = "install it with: pip install 'xnnlint[verify]'"
FIRST_WITH_C_API = (2, 1, 0)


class ReleaseMissing(XnnlintError):
    """A LiteRT release that is not installed, or that could not be."""


@dataclass(frozen=True)
class Release:
    """A LiteRT wheel on disk.

    Attributes:
        version: "2.3.0"; package: the folder of the Python package, which also holds the C library.
        module: the Python module with the Interpreter class.
    """

    version: str
    package: Path
    module: str = "ai_edge_litert.interpreter"

    @property
    def has_c_api(self) -> bool:
        """Whether the wheel's library has the C API that gives a profile of XNNPACK's operators."""
        return version_tuple(self.version) >= FIRST_WITH_C_API

    def interpreter_arguments(self) -> list[str]:
        """Arguments of interpreter_child.py: the module, and the folders to search first."""
        return [self.module, str(self.package.parent)]


def version_tuple(version: str) -> tuple[int, ...]:
    """The numeric part: "2.1.0rc1" is (2, 1, 0)."""
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in found.group().split(".")) if found else ()


def find(version: str | None = None) -> Release:
    """The release of that version, or the installed one; installs one into the cache where it was asked for by name.

    Raises:
        ReleaseMissing: with what to install.
    """
    installed = _installed()
    if version is None or (installed is not None and installed.version == version):
        if installed is None:
            raise ReleaseMissing(f"LiteRT (ai-edge-litert) is not installed; {INSTALL}")
        return installed
    raise ReleaseMissing(f"LiteRT {version} is not installed")


def _installed() -> Release | None:
    spec = importlib.util.find_spec("ai_edge_litert")
    if spec is None or spec.origin is None:
        return None
    try:
        version = importlib.metadata.version("ai-edge-litert")
    except importlib.metadata.PackageNotFoundError:
        return None
    return Release(version, Path(spec.origin).parent)
