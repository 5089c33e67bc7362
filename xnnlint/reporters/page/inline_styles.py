"""The stylesheet of pictures as attributes of their elements, in the light colours.

What draws an SVG file in a document (Word, LaTeX by way of Inkscape or librsvg) knows no variables of CSS, and often no
stylesheet at all; without them every box is black. Attributes are understood by all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import NamedTuple
from xml.etree.ElementTree import Element

_BLOCK = re.compile(r"([^{}]+)\{([^{}]*)\}")
_MEDIA = re.compile(r"@media[^{]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}")
_VARIABLE = re.compile(r"var\(--([\w-]+)\)")
_STEP = re.compile(r"[a-z]*(?:\.[\w-]+)*")


def style() -> str:
    """The stylesheet of pictures; its rules hold inside of `.xnnlint-graph` only."""
    return resources.files("xnnlint.reporters.page").joinpath("picture.css").read_text(encoding="utf-8")


@cache
def palette() -> dict[str, str]:
    """The light colours, by what they are for."""
    return {
        name.strip()[2:]: value.strip()
        for _, body in _BLOCK.findall(_MEDIA.sub("", style()))
        for name, value in _declarations(body)
        if name.startswith("--")
    }


def inline(drawn: Element) -> None:
    """Give every element the attributes that the stylesheet has for it."""
    _inline(drawn, ())


def _inline(drawn: Element, around: tuple[Element, ...]) -> None:
    chain = (*around, drawn)
    # Rules stand in the stylesheet from the weakest to the strongest; what an element says itself is stronger.
    for rule in _rules():
        if rule.matches(chain):
            drawn.attrib.update(rule.properties)
    drawn.attrib.update(_declarations(_resolved(drawn.attrib.pop("style", ""))))
    for child in drawn:
        _inline(child, chain)


class _Rule(NamedTuple):
    """A rule for elements: their own tag and classes, those of elements around them before."""

    steps: tuple[str, ...]
    properties: dict[str, str]

    def matches(self, chain: tuple[Element, ...]) -> bool:
        *outer, own = self.steps
        if not _is(chain[-1], own):
            return False
        waiting = iter(chain[:-1])
        return all(any(_is(above, step) for above in waiting) for step in outer)


def _is(drawn: Element, step: str) -> bool:
    tag, *classes = step.split(".")
    return tag in ("", drawn.tag) and set(classes) <= set(drawn.get("class", "").split())


@cache
def _rules() -> tuple[_Rule, ...]:
    found = []
    for selectors, body in _BLOCK.findall(_MEDIA.sub("", style())):
        properties = dict(_declarations(_resolved(body)))
        for selector in selectors.split(","):
            steps = tuple(selector.split())
            assert all(_STEP.fullmatch(step) for step in steps), f"{selector}: not a selector that is known here"
            found.append(_Rule(steps, {k: v for k, v in properties.items() if not k.startswith("--")}))
    return tuple(found)


def _resolved(text: str) -> str:
    return _VARIABLE.sub(lambda found: palette()[found[1]], text)


def _declarations(body: str) -> Iterator[tuple[str, str]]:
    for declaration in body.split(";"):
        name, colon, value = declaration.partition(":")
        if colon:
            yield name.strip(), value.strip()
