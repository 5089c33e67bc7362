"""Patterns of paths, as in .gitignore and in the configurations of other linters: `*`, `?`, `[...]` and `**`.

pathspec 1.1.1 was tried in the place of this: on random patterns it answers the same, but it reads a line of a
.gitignore where a path is meant ("#a", "!a", "./a" and "a " are other things there), says nothing for "a[.tflite",
raises on "[z-a]", cannot ask for a match of the whole path (which looking for models needs), and takes 17 ms to import.
"""

from __future__ import annotations

import re
from functools import cache

WILD = re.compile(r"[*?\[]")


def has_wildcard(text: str) -> bool:
    return WILD.search(text) is not None


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern over whole paths with "/" between their parts: `*` stays within a part, `**` spans any number."""
    parts = [part for part in pattern.replace("\\", "/").split("/") if part not in ("", ".")]
    text = ""
    for position, part in enumerate(parts):
        last = position == len(parts) - 1
        if part == "**":
            text += ".*" if last else "(?:[^/]+/)*"
        else:
            text += _part(part) + ("" if last else "/")
    try:
        return re.compile(text, re.DOTALL)
    except re.error:  # a range from back to front
        return re.compile(re.escape(pattern))


def matches(pattern: str, path: str) -> bool:
    """Whether a pattern means a path, or a folder above it.

    Args:
        pattern: one without a slash means a name in any folder.
        path: relative to where the pattern counts from, with "/" between its parts.
    """
    parts = path.split("/")
    if "/" not in pattern.rstrip("/"):
        return any(compiled(pattern).fullmatch(part) for part in parts)
    return any(compiled(pattern).fullmatch("/".join(parts[:end])) for end in range(1, len(parts) + 1))


def _part(part: str) -> str:
    text, at = "", 0
    while at < len(part):
        char = part[at]
        at += 1
        close = part.find("]", at + 1 + (part[at : at + 1] in ("!", "^"))) if char == "[" else -1
        if char in "*?":
            text += "[^/]*" if char == "*" else "[^/]"
        elif close > 0:
            inside = part[at:close].replace("\\", "\\\\").replace("[", "\\[")
            negated = inside[:1] in ("!", "^")
            text += f"[{'^/' if negated else ''}{inside[1:] if negated else inside}]"
            at = close + 1
        else:
            text += re.escape(char)
    return text
