"""A model's graph as SVG: operators by who runs them, areas around what belongs together, marks where it goes wrong."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

from xnnlint.reporters.page.graph_facts import KernelClass, Mark
from xnnlint.reporters.page.inline_styles import inline, style
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
_MARGIN, _KEY_ROW = 16, 22  # of the key below a picture that stands alone
_NARROWEST = 400


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
    """The picture by itself, with a key and its stylesheet: for a browser, whose light or dark setting it follows."""
    drawn = _with_key(facts, title)
    drawn.insert(1, element("style", style()))
    return drawn


def for_document(facts: GraphFacts, title: str) -> Element:
    """The same for a document: light, and drawn alike by programs that know no stylesheets."""
    drawn = _with_key(facts, title)
    inline(drawn)
    return drawn


def _with_key(facts: GraphFacts, title: str) -> Element:
    drawn = picture(facts)
    _, _, width, height = map(float, drawn.get("viewBox", "").split())
    width = max(width, _NARROWEST)
    key, height = _key(facts, height + _KEY_ROW, width)
    drawn.set("xmlns", SVG_NAMESPACE)
    drawn.set("viewBox", f"0 0 {width:.0f} {height:.0f}")
    drawn.set("width", f"{width:.0f}")
    drawn.set("height", f"{height:.0f}")
    drawn[:0] = [
        element("title", safe(title)),
        element("rect", width="100%", height="100%", style="fill: var(--paper)"),
    ]
    return add(drawn, [key])


# --- operators -------------------------------------------------------------------------------------------------------


def _operators(facts: GraphFacts, placement: Placement, prefix: str) -> Iterator[Element]:
    for op in facts.operators:
        x, y = placement.places[op.op]
        yield _operator(op, x - WIDTH / 2, y - HEIGHT / 2, f"{prefix}-{op.op}" if prefix else None)


def _operator(op: OperatorFacts, left: float, top: float, called: str | None) -> Element:
    mark = [] if op.mark is None else _mark(op.mark)
    first, second = _lines_of(op)
    classes = ["op", op.runs.value, *([f"at-{op.mark.value}"] if op.mark is not None else [])]
    return element(
        "g",
        element("title", description(op)),
        element("rect", width=WIDTH, height=HEIGHT, rx=7),
        element("text", first, x=10, y=16, class_="name"),
        element("text", second, x=10, y=30, class_="sub"),
        *mark,
        id=called,
        class_=" ".join(classes),
        transform=f"translate({left:.0f} {top:.0f})",
        role=called and "button",
        tabindex=called and -1,
    )


def _lines_of(op: OperatorFacts) -> tuple[str, str]:
    """What stands in the box of an operator: its name, and below its type and zeros."""
    return shorten(safe(op.name or op.type), _LONGEST_NAME), shorten(below_name(op), _LONGEST_TYPE)


def below_name(op: OperatorFacts) -> str:
    """Its type, and its share of zeros where that decides."""
    if not op.is_pointwise or not op.elements or op.zeros is None:
        return safe(op.type)
    return f"{safe(op.type)} {op.zeros / op.elements:.0%} zeros"


def description(op: OperatorFacts) -> str:
    """An operator in a line, for who points at it or cannot see the picture."""
    mark = "" if op.mark is None else f", {MARKS[op.mark]}"
    return f"{name(op.name)}, {safe(op.type)} #{op.op}, {TITLES[op.runs]}{mark}"


def _mark(mark: Mark) -> list[Element]:
    """A sign at the upper right corner."""
    return [element("g", *_sign(mark), transform=f"translate({WIDTH - 4} 2)")]


def _sign(mark: Mark) -> tuple[Element, Element]:
    """Its form says what its colour says."""
    shapes = {
        Mark.WRONG: element("path", d="M-9 -4 L-4 -9 H4 L9 -4 V4 L4 9 H-4 L-9 4 Z"),
        Mark.BLOCKER: element("path", d="M0 -10 L10 8 H-10 Z"),
        Mark.NOTE: element("circle", r=7),
    }
    shape = shapes[mark]
    shape.set("class", f"mark {mark.value}")
    return shape, element("text", _SIGNS[mark], y=6 if mark is Mark.BLOCKER else 4, class_="sign")


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
            inside = with_parts(set(ops) & placement.places.keys(), facts)
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


def with_parts(ops: set[int], facts: GraphFacts) -> set[int]:
    """Operators, and those between them that became part of one of them."""
    around: dict[int, set[int]] = {op.op: set() for op in facts.of_class(KernelClass.NONE)}
    for source, target in facts.edges:
        if source in around:
            around[source].add(target)
        if target in around:
            around[target].add(source)
    return ops | {op for op, others in around.items() if len(others) > 1 and others <= ops}


# --- the key ---------------------------------------------------------------------------------------------------------


def areas_shown(facts: GraphFacts) -> list[str]:
    """The kinds of areas that the picture has."""
    shown = {
        "partition": facts.is_divided,
        "cluster": any(not cluster.is_nchw and len(cluster.ops) > 1 for cluster in facts.clusters),
        "area": any(op.runs in (KernelClass.SPMM, KernelClass.NCHW) for op in facts.operators),
    }
    return [kind for kind in AREAS if shown[kind]]


def marks_shown(facts: GraphFacts) -> list[Mark]:
    """The marks that the picture has."""
    return [mark for mark in MARKS if any(op.mark is mark for op in facts.operators)]


def _key(facts: GraphFacts, top: float, width: float) -> tuple[Element, float]:
    """What colours and signs mean, of those that are there, in rows below the picture; and where that ends."""
    made = element("g")
    left = float(_MARGIN)
    for swatch, text in _key_entries(facts):
        size = 48 + 6.5 * len(text)
        if left > _MARGIN and left + size > width:
            left, top = _MARGIN, top + _KEY_ROW
        words = element("text", text, x=22, y=10.5)
        add(made, [element("g", *swatch, words, transform=f"translate({left:.0f} {top:.0f})")])
        left += size
    return made, top + _KEY_ROW + _MARGIN


def _key_entries(facts: GraphFacts) -> Iterator[tuple[list[Element], str]]:
    for runs, title in TITLES.items():
        if count := len(facts.of_class(runs)):
            yield [element("g", _swatch(), class_=f"op {runs.value}")], f"{title}: {count}"
    for kind in areas_shown(facts):
        box = _swatch()
        box.set("style", f"fill: var(--{kind}); stroke: var(--{kind}-line); stroke-width: {_RIM}")
        yield [box], AREAS[kind]
    for mark in marks_shown(facts):
        yield [element("g", *_sign(mark), transform="translate(8 7)")], MARKS[mark]


def _swatch() -> Element:
    return element("rect", width=16, height=12, rx=3)
