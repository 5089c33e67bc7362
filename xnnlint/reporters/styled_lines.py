"""Lines of text with a little style, wrapped to a width, and safe to print whatever a model file calls its tensors."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from unicodedata import east_asian_width

# A style is a role, not a look; `terminal.py` gives each role its look.
PLAIN, STRONG, FAINT, GOOD, CAUTION, BAD = "", "strong", "faint", "good", "caution", "bad"

LONGEST_NAME = 160


@dataclass(frozen=True, slots=True)
class Span:
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
    room = max(width - 3, 0)
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
    return "".join(head) + "..." + "".join(reversed(tail))


def columns(text: str) -> int:
    """Columns that a text takes in a terminal."""
    if text.isascii():
        return len(text)
    return sum(2 if east_asian_width(c) in "WF" else 1 for c in text)


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


def plain(line: Line) -> str:
    return "".join(span.text for span in line).rstrip()
