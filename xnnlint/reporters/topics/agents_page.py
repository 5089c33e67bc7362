"""The page for agents and editors: agents.md beside this file, in the form of a SKILL.md."""

from __future__ import annotations

from importlib import resources

from xnnlint.reporters.topics.page import VERBATIM, Page

NAME = "agents"


def agents_page() -> Page:
    """The file as it is, so that `xnnlint explain agents > SKILL.md` gives what a tool reads."""
    text = resources.files("xnnlint.reporters.topics").joinpath("agents.md").read_text(encoding="utf-8")
    return Page(VERBATIM, NAME, "for agents and editors", text)
