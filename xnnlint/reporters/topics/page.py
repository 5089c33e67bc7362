"""A page of `xnnlint explain`."""

from __future__ import annotations

from msgspec import Struct

VERBATIM = "agents"
"""The kind of a page that is printed as it is, without a title."""


class Page(Struct, frozen=True):
    """A page.

    Attributes:
        kind: "rule", "outcome", "recipe", "operator" or "agents".
        title: what it is about, and what to ask for.
        note: a word behind the title, such as a rule's severity.
        text: Markdown.
    """

    kind: str
    title: str
    note: str
    text: str
