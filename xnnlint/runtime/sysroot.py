"""An arm64 Debian root folder for user-mode emulation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

HOW_TO = "not supported yet"


@dataclass(frozen=True)
class Sysroot:
    folder: Path
    python: Path


def find() -> Sysroot | None:
    return None
