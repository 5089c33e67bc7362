"""Elements of HTML and SVG. What is text stays text: everything is escaped when an element is written."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree.ElementTree import Element, tostring

Child = Element | str
SVG_NAMESPACE = "http://www.w3.org/2000/svg"


def element(tag: str, *children: Child, **attributes: str | int | float | bool | None) -> Element:
    """An element with children.

    Args:
        attributes: an underscore at the end is left out, others become hyphens; None and False stand for none.
    """
    made = Element(tag)
    for key, value in attributes.items():
        if value is not None and value is not False:
            made.set(key.rstrip("_").replace("_", "-"), "" if value is True else str(value))
    return add(made, children)


def add(parent: Element, children: Iterable[Child]) -> Element:
    """The parent, with more children."""
    for child in children:
        if isinstance(child, Element):
            parent.append(child)
        elif len(parent):
            parent[-1].tail = (parent[-1].tail or "") + child
        else:
            parent.text = (parent.text or "") + child
    return parent


def table(heads: Iterable[Child], rows: Iterable[Iterable[Child]], caption: str = "") -> Element:
    """A table in a frame that scrolls sideways where the page is narrow, by keyboard, too; without empty columns."""
    titles, cells = list(heads), [list(row) for row in rows]
    kept = [n for n in range(len(titles)) if any(row[n] != "" for row in cells)]
    head = element("tr", *(element("th", titles[n], scope="col") for n in kept))
    body = [
        element("tr", *(element("td" if n else "th", row[n], scope=None if n else "row") for n in kept))
        for row in cells
    ]
    parts = [element("thead", head), element("tbody", *body)]
    titled = [element("caption", caption), *parts] if caption else parts
    return element("div", element("table", *titled), class_="wide", tabindex=0, role="group", aria_label=caption)


def html_text(made: Element) -> str:
    return tostring(made, encoding="unicode", method="html")


def xml_text(made: Element) -> str:
    return tostring(made, encoding="unicode")
