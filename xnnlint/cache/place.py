"""Where xnnlint keeps what it could do without."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """$XDG_CACHE_HOME/xnnlint, or the place where this platform keeps caches."""
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "xnnlint"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "xnnlint"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "xnnlint"
    return Path.home() / ".cache" / "xnnlint"
