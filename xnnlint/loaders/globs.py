"""Patterns of paths, as in .gitignore and in the configurations of other linters: `*`, `?`, `[...]` and `**`.

pathspec 1.1.1 was tried in the place of this: on random patterns it answers the same, but it reads a line of a
.gitignore where a path is meant ("#a", "!a", "./a" and "a " are other things there), says nothing for "a[.tflite",
raises on "[z-a]", cannot ask for a match of the whole path (which looking for models needs), and takes 17 ms to import.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import TypeVar

Token = str | re.Pattern[str]
_T = TypeVar("_T")
_ANY = re.compile(r"[^/]", re.DOTALL)
WILD = re.compile(r"[*?\[]")


def has_wildcard(text: str) -> bool:
    return WILD.search(text) is not None


class Glob:
    """A pattern over whole paths with "/" between their parts: `*` stays within a part, `**` spans any number.

    A match takes no more steps than pattern times path, however many wildcards there are: as a regular expression,
    sixty of them would take for ever.
    """

    def __init__(self, pattern: str) -> None:
        self._literal = ""
        parts = [part for part in pattern.replace("\\", "/").split("/") if part not in ("", ".")]
        try:
            self._parts: list[list[Token | None] | None] = [None if part == "**" else _tokens(part) for part in parts]
        except re.error:  # a range from back to front
            self._parts, self._literal = [], pattern
        if len(parts) > 1 and parts[-1] == "**":
            self._parts.append([None])  # What is in a folder, and not the folder.

    def fullmatch(self, path: str) -> bool:
        """Whether it means a path."""
        if self._literal:
            return path == self._literal
        return _fits(self._parts, path.split("/"), _is_name)


@cache
def compiled(pattern: str) -> Glob:
    """A pattern, ready to be matched again and again."""
    return Glob(pattern)


def _fits(pattern: Sequence[_T | None], given: Sequence[str], fits_one: Callable[[_T, str], bool]) -> bool:
    """Whether items fit a pattern in which None stands for any number of them.

    The last None takes one item more whenever what stands behind it does not fit: those before need no other try.
    """
    at, wanted, back, taken = 0, 0, -1, 0
    while at < len(given):
        item = pattern[wanted] if wanted < len(pattern) else None
        if wanted < len(pattern) and item is None:
            back, taken = wanted, at
            wanted += 1
        elif item is not None and fits_one(item, given[at]):
            at, wanted = at + 1, wanted + 1
        elif back >= 0:
            taken += 1
            at, wanted = taken, back + 1
        else:
            return False
    return all(item is None for item in pattern[wanted:])


def _is_name(part: list[Token | None] | None, name: str) -> bool:
    return part is not None and _fits(part, name, _is_one)


def _is_one(token: object, char: str) -> bool:
    """Whether a `Token` means a character."""
    return token.fullmatch(char) is not None if isinstance(token, re.Pattern) else token == char


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


def _tokens(part: str) -> list[Token | None]:
    """What each character must be; None for any number of them."""
    tokens: list[Token | None] = []
    at = 0
    while at < len(part):
        char = part[at]
        at += 1
        close = part.find("]", at + 1 + (part[at : at + 1] in ("!", "^"))) if char == "[" else -1
        if char == "*":
            tokens.append(None)
        elif char == "?":
            tokens.append(_ANY)
        elif close > 0:
            inside = part[at:close].replace("\\", "\\\\").replace("[", "\\[")
            negated = inside[:1] in ("!", "^")
            tokens.append(re.compile(f"[{'^/' if negated else ''}{inside[1:] if negated else inside}]", re.DOTALL))
            at = close + 1
        else:
            tokens.append(char)
    return tokens
