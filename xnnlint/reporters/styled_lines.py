"""Lines of text with a little style, wrapped to a width, and safe to print whatever a model file calls its tensors."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from os.path import commonprefix
from unicodedata import east_asian_width

from msgspec import Struct

# A style is a role, not a look; `terminal.py` gives each role its look.
PLAIN, STRONG, FAINT, GOOD, CAUTION, BAD = "", "strong", "faint", "good", "caution", "bad"

LONGEST_NAME = 160
_LEFT_OUT = "..."


class Span(Struct, frozen=True):
    """A piece of a line; `keep` means that it is never broken over two lines."""

    text: str
    style: str = PLAIN
    keep: bool = False


Piece = str | Span
Line = list[Span]


def safe(text: str) -> str:
    """Text from a file or a path, everything that is not visible escaped: terminal escapes, newlines, bidi marks.

    Escaped is, too, what GitHub's runner would take for one of its commands in a log: `::` where a line may begin
    with it, and the older `##[` anywhere (actions/runner, src/Runner.Common/ActionCommand.cs).
    """
    if not text.isprintable():
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    if "::" in text or "##[" in text:
        text = re.sub(r"(?:(?<=^)|(?<= )):(?=:)", r"\\x3a", text).replace("##[", r"#\x23[")
    return text


def name(text: str) -> str:
    """A name from a file, `safe` and no longer than a person reads: the middle of a longer one is left out."""
    return shorten(safe(text), LONGEST_NAME)


def shorten(text: str, width: int) -> str:
    """`text` with its middle left out where it is wider than `width` columns."""
    if columns(text) <= width:
        return text
    head: list[str] = []
    tail: list[str] = []
    room = max(width - len(_LEFT_OUT), 0)
    # From both ends in turn: the layer's name is often at the start, what it does at the end.
    front, back = 0, len(text) - 1
    while front <= back:
        take_tail = columns("".join(tail)) <= columns("".join(head))
        char = text[back] if take_tail else text[front]
        room -= columns(char)
        if room < 0:
            break
        if take_tail:
            tail.append(char)
            back -= 1
        else:
            head.append(char)
            front += 1
    return "".join(head) + _LEFT_OUT + "".join(reversed(tail))


def columns(text: str) -> int:
    """Columns that a text takes in a terminal."""
    if text.isascii():
        return len(text)
    return sum(2 if east_asian_width(c) in "WF" else 1 for c in text)


def shorten_apart(texts: Iterable[str], width: int) -> dict[str, str]:
    """Texts as `shorten` makes them; where it makes the same of several, with the part in which they differ.

    What cannot be told apart in `width` columns stays whole.
    """
    alike: dict[str, list[str]] = {}
    for text in dict.fromkeys(texts):
        alike.setdefault(shorten(text, width), []).append(text)
    made = {same[0]: short for short, same in alike.items() if len(same) == 1}
    for same in alike.values():
        if len(same) > 1:
            start = len(commonprefix(same))  # noqa: RUF071 (no paths)
            end = len(commonprefix([text[start:][::-1] for text in same]))  # noqa: RUF071
            made |= {text: _around(text, start, len(text) - end, width) for text in same}
    counts = Counter(made.values())
    return {text: short if counts[short] == 1 else text for text, short in made.items()}


def _around(text: str, start: int, end: int, width: int) -> str:
    """`text` from `start` to `end`, and as much around that as fits."""
    room = width - 2 * len(_LEFT_OUT) - columns(text[start:end])
    if room < 0:
        return shorten(text[start:end], width)
    while room > 0 and (start > 0 or end < len(text)):
        # What stands before says more of what differs: `run_0001`.
        if start > 0:
            start -= 1
            room -= columns(text[start])
        if room > 0 and end < len(text):
            room -= columns(text[end])
            end += 1
    return f"{_LEFT_OUT if start else ''}{text[start:end]}{_LEFT_OUT if end < len(text) else ''}"


def wrap(pieces: Iterable[Piece], width: int | None, indent: int = 0, hanging: int | None = None) -> list[Line]:
    """Break a paragraph into lines of at most `width` columns; a word that is wider stays whole.

    Args:
        width: None for one line.
        indent: columns before the first line.
        hanging: columns before the others; `indent` if not given.
    """
    hanging = indent if hanging is None else hanging
    lines: list[Line] = []
    line, used = [Span(" " * indent)] if indent else [], indent
    started = False  # whether the line holds a word
    for gap, word in _words(pieces):
        size = sum(columns(span.text) for span in word)
        if started and width is not None and used + gap + size > width:
            lines.append(line)
            line, used, started = [Span(" " * hanging)] if hanging else [], hanging, False
        if started and gap:
            line.append(Span(" " * gap))
            used += gap
        line.extend(word)
        used += size
        started = True
    lines.append(line)
    return lines


def _words(pieces: Iterable[Piece]) -> Iterable[tuple[int, list[Span]]]:
    """(spaces before it, the word); a word may change its style in the middle."""
    gap, word = 0, list[Span]()
    for piece in pieces:
        span = piece if isinstance(piece, Span) else Span(piece)
        for part in [span.text] if span.keep else re.split(r"( +)", span.text):
            if part and not span.keep and part.isspace():
                if word:
                    yield gap, word
                    gap, word = 0, []
                gap += len(part)
            elif part:
                word.append(Span(part, span.style))
    if word:
        yield gap, word


def as_plain(line: Line) -> list[list[str]]:
    """A line that is broken already as values of JSON."""
    return [[span.text, span.style] for span in line]


def from_plain(values: Iterable[Iterable[str]]) -> Line:
    """What `as_plain` was given."""
    return [Span(text, style) for text, style in values]


def plain(line: Line) -> str:
    return "".join(span.text for span in line).rstrip()
