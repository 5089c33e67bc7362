"""Small hand-made models, one per question about XNNPACK's sparse mode, by name.

Most share a trunk (PAD, 3x3 stride-2 stem, 3x3 depthwise, pruned 1x1) and a tail (MEAN, FULLY_CONNECTED) and differ
in one thing between them. Heights, widths and channel counts differ, because equal ones hide layout errors.
What the runtime does with each is never written here: it is observed.
"""

from __future__ import annotations

# Importing them registers their models.
from xnnlint.modelbuilder import patterns_heads, patterns_layers, patterns_operators, patterns_weights  # noqa: F401
from xnnlint.modelbuilder.pattern_registry import PATTERNS, Pattern

__all__ = ["PATTERNS", "Pattern", "named_patterns"]


def named_patterns(group: str | None = None) -> list[Pattern]:
    """All patterns, or those of one group."""
    return [p for p in PATTERNS.values() if group in (None, p.group)]
