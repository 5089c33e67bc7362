"""A page of `xnnlint explain`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Page:
    """A page.

    Attributes:
        kind: "rule", "outcome", "recipe" or "operator".
        title: what it is about, and what to ask for.
        note: a word behind the title, such as a rule's severity.
        text: Markdown.
    """

    kind: str
    title: str
    note: str
    text: str
