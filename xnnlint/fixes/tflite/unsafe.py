"""To come."""

from __future__ import annotations

from .change import Fix

FIXES: tuple[Fix, ...] = ()
