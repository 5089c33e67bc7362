"""A model's graph as SVG: operators by who runs them, areas around what belongs together, marks where it goes wrong."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from importlib import resources
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

from xnnlint.reporters.page.graph_facts import KernelClass, Mark
from xnnlint.reporters.page.layered import HEIGHT, WIDTH, place
from xnnlint.reporters.page.markup import SVG_NAMESPACE, add, element
from xnnlint.reporters.styled_lines import name, safe, shorten

if TYPE_CHECKING:
    from xnnlint.reporters.page.graph_facts import GraphFacts, OperatorFacts
    from xnnlint.reporters.page.layered import Line, Placement

TITLES = {
    KernelClass.SPMM: "SpMM",
    KernelClass.NCHW: "NCHW",
    KernelClass.NHWC: "NHWC",
    KernelClass.TFLITE: "left to TFLite",
    KernelClass.NONE: "no kernel of its own",
}
MARKS = {Mark.WRONG: "goes wrong", Mark.BLOCKER: "stops sparse", Mark.NOTE: "note"}
AREAS = {"partition": "partition of the delegate", "cluster": "cluster in NHWC", "area": "NCHW region"}
_SIGNS = {Mark.WRONG: "x", Mark.BLOCKER: "!", Mark.NOTE: "i"}
_REACH = {"partition": 19, "cluster": 13, "area": 9}
"""How far an area reaches around its operators, by kind, from the lowest to the highest."""
_RIM = 1.5
_TOGETHER = 50  # edges
_LONGEST_NAME, _LONGEST_TYPE = 21, 26
_LEGEND = 46  # height of the key below a picture that stands alone


def style() -> str:
    """The stylesheet of pictures; its rules hold inside of `.xnnlint-graph` only."""
    return resources.files("xnnlint.reporters.page").joinpath("picture.css").read_text(encoding="utf-8")


def picture(facts: GraphFacts, prefix: str = "") -> Element:
    """The graph as an `svg` element without a stylesheet.

    Args:
        prefix: where a script makes buttons of the operators, each is a `g` with the id `PREFIX-INDEX`.
    """
    placement = place([facts.op for facts in facts.operators], facts.edges)
    drawn = element(
        "svg",
        element(
            "g",
            *_areas(facts, placement),
            *_edges(placement.lines),
            *_operators(facts, placement, prefix),
            class_="view",
        ),
        class_="xnnlint-graph",
        role="group" if prefix else "img",
        aria_label="Graph of the model",
    )
    drawn.set("viewBox", f"0 0 {placement.width:.0f} {placement.height:.0f}")
    return drawn


def alone(facts: GraphFacts, title: str) -> Element:
    """The picture as a document of its own: with its stylesheet, a title and a key to the colours."""
    drawn = picture(facts)
    drawn.set("xmlns", SVG_NAMESPACE)
    _, _, width, height = map(float, drawn.get("viewBox", "").split())
    width = max(width, 560)
    drawn.set("viewBox", f"0 0 {width:.0f} {height + _LEGEND:.0f}")
    drawn.set("width", f"{width:.0f}")
    drawn.set("height", f"{height + _LEGEND:.0f}")
    drawn[:0] = [element("title", safe(title)), element("style", style()), _sheet()]
    return add(drawn, [_key(facts, height)])


def _sheet() -> Element:
    return element("rect", width="100%", height="100%", style="fill: var(--paper)")


# --- operators -------------------------------------------------------------------------------------------------------


def _operators(facts: GraphFacts, placement: Placement, prefix: str) -> Iterator[Element]:
    for op in facts.operators:
        x, y = placement.places[op.op]
        yield _operator(op, x - WIDTH / 2, y - HEIGHT / 2, f"{prefix}-{op.op}" if prefix else None)


def _operator(op: OperatorFacts, left: float, top: float, called: str | None) -> Element:
    mark = [] if op.mark is None else _mark(op.mark)
    classes = ["op", op.runs.value, *([f"at-{op.mark.value}"] if op.mark is not None else [])]
    return element(
        "g",
        element("title", description(op)),
        element("rect", width=WIDTH, height=HEIGHT, rx=7),
        element("text", shorten(safe(op.name or op.type), _LONGEST_NAME), x=10, y=16, class_="name"),
        element("text", shorten(f"{safe(op.type)} {_short(op)}".strip(), _LONGEST_TYPE), x=10, y=30, class_="sub"),
        *mark,
        id=called,
        class_=" ".join(classes),
        transform=f"translate({left:.0f} {top:.0f})",
        role=called and "button",
        tabindex=called and -1,
    )


def description(op: OperatorFacts) -> str:
    """An operator in a line, for who points at it or cannot see the picture."""
    mark = "" if op.mark is None else f", {MARKS[op.mark]}"
    return f"{name(op.name)}, {safe(op.type)} #{op.op}, {TITLES[op.runs]}{mark}"


def _short(op: OperatorFacts) -> str:
    """The share of zeros where it decides."""
    if not op.is_pointwise or not op.elements or op.zeros is None:
        return ""
    return f"{op.zeros / op.elements:.0%} zeros"


def _mark(mark: Mark) -> list[Element]:
    """A sign at the upper right corner; its form says what its colour says."""
    shapes = {
        Mark.WRONG: element("path", d="M-9 -4 L-4 -9 H4 L9 -4 V4 L4 9 H-4 L-9 4 Z"),
        Mark.BLOCKER: element("path", d="M0 -10 L10 8 H-10 Z"),
        Mark.NOTE: element("circle", r=7),
    }
    shape = shapes[mark]
    shape.set("class", f"mark {mark.value}")
    sign = element("text", _SIGNS[mark], y=6 if mark is Mark.BLOCKER else 4, class_="sign")
    return [element("g", shape, sign, transform=f"translate({WIDTH - 4} 2)")]


# --- edges and areas -------------------------------------------------------------------------------------------------


def _edges(lines: Iterable[Line]) -> Iterator[Element]:
    """A path for some edges each: one for each edge makes a large page, one for all is slow to draw."""
    for is_far in (False, True):
        some = [_path(line) for line in lines if line.is_far is is_far]
        for start in range(0, len(some), _TOGETHER):
            together = " ".join(some[start : start + _TOGETHER])
            yield element("path", d=together, class_="edges far" if is_far else "edges")


def _path(line: Line) -> str:
    first, *rest = line.points
    if line.is_straight:
        return " ".join([f"M{first.x:.0f} {first.y:.0f}", *(f"L{point.x:.0f} {point.y:.0f}" for point in rest)])
    parts = [f"M{first.x:.0f} {first.y:.0f}"]
    for before, point in zip(line.points, rest, strict=False):
        middle = (before.y + point.y) / 2
        if before.x == point.x:
            parts.append(f"V{point.y:.0f}")
        else:
            parts.append(f"C{before.x:.0f} {middle:.0f} {point.x:.0f} {middle:.0f} {point.x:.0f} {point.y:.0f}")
    return " ".join(parts)


def _areas(facts: GraphFacts, placement: Placement) -> Iterator[Element]:
    """An area is boxes around its operators and bands along the edges between them, on larger ones as its rim."""
    kinds: dict[str, Iterable[Collection[int]]] = {
        # One that has everything says nothing.
        "partition": facts.partitions if facts.is_divided else (),
        "cluster": [cluster.ops for cluster in facts.clusters if not cluster.is_nchw and len(cluster.ops) > 1],
        "area": [{op.op for op in facts.operators if op.runs in (KernelClass.SPMM, KernelClass.NCHW)}],
    }
    for kind, groups in kinds.items():
        for ops in groups:
            inside = _with_parts(set(ops) & placement.places.keys(), facts)
            for part, reach, colour in (("rim", _REACH[kind] + _RIM, f"{kind}-line"), ("band", _REACH[kind], kind)):
                shapes = list(_shapes(inside, placement, reach))
                if shapes:
                    paint = f"fill: var(--{colour}); stroke: var(--{colour})"
                    yield element("g", *shapes, class_=part, style=paint)


def _shapes(ops: Collection[int], placement: Placement, reach: float) -> Iterator[Element]:
    """Operators below each other share a box."""
    below: dict[int, int] = {}
    for line in placement.lines:
        if line.is_short and line.source in ops and line.target in ops:
            start, end = line.points[0], line.points[-1]
            if start.x == end.x:
                below[line.source] = line.target
            else:
                band = f"M{start.x:.0f} {start.y:.0f}L{end.x:.0f} {end.y:.0f}"
                yield element("path", d=band, stroke_width=f"{2 * reach:g}")
    for op in sorted(set(ops) - set(below.values())):
        (x, top), last = placement.places[op], op
        while last in below:
            last = below[last]
        bottom = placement.places[last].y
        yield element(
            "rect",
            x=f"{x - WIDTH / 2 - reach:g}",
            y=f"{top - HEIGHT / 2 - reach:g}",
            width=f"{WIDTH + 2 * reach:g}",
            height=f"{bottom - top + HEIGHT + 2 * reach:g}",
            rx=reach,
        )


def _with_parts(ops: set[int], facts: GraphFacts) -> set[int]:
    """Operators, and those between them that became part of one of them."""
    around: dict[int, set[int]] = {op.op: set() for op in facts.of_class(KernelClass.NONE)}
    for source, target in facts.edges:
        if source in around:
            around[source].add(target)
        if target in around:
            around[target].add(source)
    return ops | {op for op, others in around.items() if len(others) > 1 and others <= ops}


# --- the key ---------------------------------------------------------------------------------------------------------


def _key(facts: GraphFacts, top: float) -> Element:
    """What the colours mean, of those that are there."""
    entries, left = [], 16
    for runs, title in TITLES.items():
        count = len(facts.of_class(runs))
        if count:
            text = f"{title}: {count}"
            box = element("g", element("rect", width=16, height=12, rx=3), class_=f"op {runs.value}")
            entries.append(
                element("g", box, element("text", text, x=22, y=10.5), transform=f"translate({left} {top + 18:.0f})")
            )
            left += 44 + 7 * len(text)
    return element("g", *entries)
