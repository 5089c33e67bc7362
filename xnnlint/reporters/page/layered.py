"""Where operators stand in a picture: in layers, along the data, folded into columns.

grandalf lays out (Sugiyama), in time that grows with the square of what it gets. So a graph is cut at the operators
through which all data goes: what stands between two of them is laid out by itself, and blocks of the same form once.
Edges to operators that run much later (skips of a U-Net, heads of a detector) do not count for that: they go around the
columns. A block of which too many edges pass by others is put into rows in the order of the file instead.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from msgspec import Struct, field

from xnnlint.errors import XnnlintError

WIDTH, HEIGHT = 168, 38
"""Of an operator, in pixels at full size."""
BETWEEN, BELOW, GUTTER, LANE = 26, 24, 64, 10
"""Room beside an operator, below it, between columns, and between long edges."""
STEP = HEIGHT + BELOW
_MOST_WORK = 1200  # vertices that grandalf gets, those that bend long edges among them: half a second
_FAR = 32  # operators that run between the ends of an edge that goes around
_LANES = 8  # side by side in a gutter; further ones share them
_ASPECT = 1.5  # width by height that columns aim at


class Point(NamedTuple):
    x: float
    y: float


class Line(Struct, frozen=True):
    """An edge: the points that it goes through, from the bottom of one operator to the top of another.

    Attributes:
        is_short: whether it leads to the next row, with nothing between.
        is_straight: it turns in right angles; others are curves.
        is_far: it goes around the columns.
    """

    source: int
    target: int
    points: tuple[Point, ...]
    is_short: bool
    is_straight: bool = False
    is_far: bool = False


class Placement(Struct):
    """A laid out graph: the middle of each operator, the edges, and the size of the whole."""

    places: dict[int, Point] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    width: float = 0.0
    height: float = 0.0


class _Form(NamedTuple):
    """A block, its vertices counted from 0: rows count from 0, x from the middle.

    Attributes:
        bends: by edge, the x of its bend in every row between.
    """

    edges: tuple[tuple[int, int], ...]
    row: tuple[int, ...]
    x: tuple[float, ...]
    bends: dict[tuple[int, int], tuple[float, ...]]

    @property
    def rows(self) -> int:
        return max(self.row) + 1


class _Block(NamedTuple):
    """Operators from one cut to just before the next; `form` has the next one, too, where there is one."""

    ops: list[int]
    end: int | None
    form: _Form

    @property
    def rows(self) -> int:
        return self.form.rows - (self.end is not None)


def place(ops: Sequence[int], edges: Iterable[tuple[int, int]], aspect: float = _ASPECT) -> Placement:
    """Lay out a graph.

    Args:
        ops: vertices in the order in which they run.
        edges: pairs of them, forward; others are left out.
        aspect: width by height that the whole is folded to, as far as cuts allow.

    Raises:
        XnnlintError: grandalf is not installed.
    """
    order = {op: n for n, op in enumerate(ops)}
    known = sorted({(order[a], order[b]) for a, b in edges if a in order and b in order and order[a] < order[b]})
    near = [(a, b) for a, b in known if b - a <= _FAR]
    far = [(ops[a], ops[b]) for a, b in known if b - a > _FAR]
    blocks = list(_blocks(list(ops), near))
    placement = Placement()
    if blocks:
        _stack(_columns(blocks, aspect), far, placement)
    return placement


def _blocks(ops: list[int], edges: list[tuple[int, int]]) -> Iterable[_Block]:
    forms: dict[tuple[int, tuple[tuple[int, int], ...]], _Form] = {}
    cuts = _cuts(len(ops), edges)
    inside = defaultdict[int, list[tuple[int, int]]](list)
    block_of = [0] * len(ops)
    for number, (cut, after) in enumerate(pairwise([*cuts, len(ops)])):
        block_of[cut:after] = [number] * (after - cut)
    for a, b in edges:
        inside[block_of[a]].append((a, b))
    for number, (cut, after) in enumerate(pairwise([*cuts, len(ops)])):
        end = after if after < len(ops) else None
        count = after - cut + (end is not None)
        key = count, tuple((a - cut, b - cut) for a, b in inside[number])
        if key not in forms:
            forms[key] = _form(count, key[1], has_end=end is not None)
        yield _Block(ops[cut:after], None if end is None else ops[end], forms[key])


def _cuts(count: int, edges: list[tuple[int, int]]) -> list[int]:
    """The vertices that no edge passes by; the first one always is."""
    reach = [0] * count
    for a, b in edges:
        reach[a] = max(reach[a], b)
    cuts, furthest = [], 0
    for vertex in range(count):
        if furthest <= vertex:
            cuts.append(vertex)
        furthest = max(furthest, reach[vertex])
    return cuts


# --- one block -------------------------------------------------------------------------------------------------------


def _form(count: int, edges: tuple[tuple[int, int], ...], *, has_end: bool) -> _Form:
    """Lay out a block; its first vertex is at the top, and the last one at the bottom where it is the next cut."""
    if edges == tuple((n, n + 1) for n in range(count - 1)):
        return _Form(edges, tuple(range(count)), (0.0,) * count, {})
    row = _ranks(count, edges)
    bends = sum(row[b] - row[a] - 1 for a, b in edges)
    form = _in_rows(row, edges) if count + bends > _MOST_WORK else _by_grandalf(count, edges)
    rows, x = list(form.row), list(form.x)
    if has_end:
        rows[-1] = max(max(rows[:-1]) + 1, rows[-1])
    cuts = (0, count - 1) if has_end else (0,)
    inner = [value for n, value in enumerate(x) if n not in cuts]
    reach = [*(inner or x), *(value for points in form.bends.values() for value in points)]
    # The middle of what hangs between the cuts is below them, unless something stands beside the first.
    middle = (min(reach) + max(reach)) / 2 if rows.count(0) == 1 else x[0]
    shifted = [0.0 if n in cuts else value - middle for n, value in enumerate(x)]
    moved = {edge: tuple(value - middle for value in points) for edge, points in form.bends.items()}
    return _Form(edges, tuple(rows), tuple(shifted), moved)


def _ranks(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """Rows by the longest way to each vertex."""
    row = [0] * count
    for a, b in edges:  # sorted, so that a row is final before it is used
        row[b] = max(row[b], row[a] + 1)
    return row


def _in_rows(row: list[int], edges: tuple[tuple[int, int], ...]) -> _Form:
    """Vertices of a row side by side in the order of the file; long edges go in lanes on the right."""
    rows = defaultdict[int, list[int]](list)
    for vertex, number in enumerate(row):
        rows[number].append(vertex)
    x = [0.0] * len(row)
    for vertices in rows.values():
        for n, vertex in enumerate(vertices):
            x[vertex] = (n - (len(vertices) - 1) / 2) * (WIDTH + BETWEEN)
    bends = {}
    ends: list[int] = []  # of each lane, the row where it is free again
    for a, b in sorted(edges, key=lambda edge: row[edge[0]]):
        if row[b] > row[a] + 1:
            lane = next((n for n, end in enumerate(ends) if end <= row[a] + 1), len(ends))
            ends[lane : lane + 1] = [row[b]]
            bends[a, b] = (max(x) + WIDTH / 2 + BETWEEN + lane * LANE,) * (row[b] - row[a] - 1)
    return _Form(edges, tuple(row), tuple(x), bends)


class _View:
    """What grandalf wants to know of a vertex."""

    def __init__(self) -> None:
        self.w, self.h = WIDTH, HEIGHT
        self.xy = (0.0, 0.0)


def _by_grandalf(count: int, edges: tuple[tuple[int, int], ...]) -> _Form:
    try:
        from grandalf.graphs import Edge, Graph, Vertex
        from grandalf.layouts import SugiyamaLayout
    except ImportError:
        raise XnnlintError("pictures of graphs need grandalf: pip install grandalf") from None
    vertices = [Vertex(n) for n in range(count)]
    for vertex in vertices:
        vertex.view = _View()
    graph = Graph(vertices, [Edge(vertices[a], vertices[b]) for a, b in edges])
    row, x = [0] * count, [0.0] * count
    bends: dict[tuple[int, int], tuple[float, ...]] = {}
    left = 0.0
    for part in graph.C:  # parts that nothing connects stand side by side
        layout = SugiyamaLayout(part)
        layout.xspace, layout.yspace = BETWEEN, BELOW
        layout.init_all(roots=[vertex for vertex in part.sV if not vertex.e_in()])
        layout.draw(3)
        of_part = [vertex for vertex in part.sV]
        shift = left - min(vertex.view.xy[0] for vertex in of_part)
        for vertex in of_part:
            row[vertex.data], x[vertex.data] = layout.grx[vertex].rank, vertex.view.xy[0] + shift
        for edge, through in layout.ctrls.items():
            ends = edge.v[0].data, edge.v[1].data
            between = range(row[ends[0]] + 1, row[ends[1]])
            bends[ends] = tuple(through[rank].view.xy[0] + shift for rank in between if rank in through)
        left = max(x[vertex.data] for vertex in of_part) + WIDTH + BETWEEN
    return _apart(_Form(edges, tuple(row), tuple(x), bends))


def _apart(form: _Form) -> _Form:
    """The form with everything in a row as far apart as it needs, which grandalf does not see to where many cross."""
    x, bends = list(form.x), {edge: list(points) for edge, points in form.bends.items()}
    rows = defaultdict[int, list[tuple[float, float, list[float], int]]](list)
    for vertex, row in enumerate(form.row):
        rows[row].append((x[vertex], WIDTH / 2, x, vertex))
    for (a, _), points in bends.items():
        for n, value in enumerate(points):
            rows[form.row[a] + 1 + n].append((value, 0, points, n))
    for entries in rows.values():
        end = -math.inf
        for value, half, values, n in sorted(entries, key=lambda entry: entry[0]):
            values[n] = max(value, end + half)
            end = values[n] + half + LANE
    return _Form(form.edges, form.row, tuple(x), {edge: tuple(points) for edge, points in bends.items()})


# --- all blocks ------------------------------------------------------------------------------------------------------


def _span(block: _Block) -> tuple[float, float]:
    """How far a block reaches to the left and to the right of its middle."""
    x = [*block.form.x, *(value for bends in block.form.bends.values() for value in bends)]
    return WIDTH / 2 - min(x), max(x) + WIDTH / 2


def _columns(blocks: list[_Block], aspect: float) -> list[list[_Block]]:
    """The blocks, folded so that the whole has about the aspect."""
    rows = sum(block.rows for block in blocks)
    usual = median(sum(_span(block)) for block in blocks for _ in range(block.rows))
    count = max(round(math.sqrt(aspect * rows * STEP / (usual + GUTTER))), 1)
    limit = max(math.ceil(rows / count), max(block.rows for block in blocks), 8)
    columns: list[list[_Block]] = [[]]
    filled = 0
    for block in blocks:
        is_wide = sum(_span(block)) > 2.5 * usual and filled > limit / 4
        if columns[-1] and (filled + block.rows > limit or is_wide):
            columns.append([])
            filled = 0
        columns[-1].append(block)
        filled += block.rows
    return columns


class _Column(NamedTuple):
    """A column, stacked: the x of the gutters beside it, and each block with where its row 0 and x 0 are."""

    before: float
    after: float
    stacked: list[tuple[_Block, Point]]


def _stack(columns: list[list[_Block]], far: list[tuple[int, int]], placement: Placement) -> None:
    """Give every operator its place, and every edge its points."""
    left = float(GUTTER)
    head = BELOW + HEIGHT / 2 + min(len(far), _LANES) * LANE
    made, column_of = list[_Column](), dict[int, _Column]()
    for column in columns:
        to_left, to_right = (max(_span(block)[side] for block in column) for side in (0, 1))
        middle, top = left + to_left, head
        stacked = _Column(left - GUTTER / 2, middle + to_right + GUTTER / 2, [])
        for block in column:
            stacked.stacked.append((block, Point(middle, top)))
            for n, op in enumerate(block.ops):
                placement.places[op] = Point(middle + block.form.x[n], top + block.form.row[n] * STEP)
                column_of[op] = stacked
            top += block.rows * STEP
        made.append(stacked)
        placement.height = max(placement.height, top - HEIGHT / 2)
        left = middle + to_right + GUTTER
    placement.width = left
    for stacked in made:
        for block, origin in stacked.stacked:
            placement.lines += _lines(block, origin, stacked.after, placement.places)
    for lane, (a, b) in enumerate(far):
        placement.lines.append(_around(a, b, column_of, lane % _LANES, placement.places))


def _around(a: int, b: int, column_of: dict[int, _Column], lane: int, places: dict[int, Point]) -> Line:
    """An edge to an operator that runs much later: along the gutters, and above the columns from one to another."""
    source, target = places[a], places[b]
    shift = (lane + 1 - _LANES / 2) * GUTTER / (2 * _LANES)
    down, up = source.y + HEIGHT / 2 + BELOW / 3, target.y - HEIGHT / 2 - BELOW / 3
    leave, enter = column_of[a].after + shift, column_of[b].before + shift
    points = [Point(source.x, source.y + HEIGHT / 2), Point(source.x, down), Point(leave, down)]
    if column_of[a] is column_of[b]:
        enter = leave
    else:
        points += [Point(leave, (lane + 1) * LANE), Point(enter, (lane + 1) * LANE)]
    points += [Point(enter, up), Point(target.x, up), Point(target.x, target.y - HEIGHT / 2)]
    return Line(a, b, tuple(points), is_short=False, is_straight=True, is_far=True)


def _lines(block: _Block, origin: Point, gutter: float, places: dict[int, Point]) -> Iterable[Line]:
    """The edges of a block; those to an operator in the next column go up in the gutter between.

    Args:
        origin: where row 0 and x 0 of the block are.
    """
    form = block.form
    vertices = block.ops if block.end is None else [*block.ops, block.end]
    for a, b in form.edges:
        source, target = places[vertices[a]], places[vertices[b]]
        points = [Point(source.x, source.y + HEIGHT / 2)]
        for n, bend in enumerate(form.bends.get((a, b), ()), start=1):
            y = origin.y + (form.row[a] + n) * STEP
            points += [Point(origin.x + bend, y - HEIGHT / 2), Point(origin.x + bend, y + HEIGHT / 2)]
        turns = target.y < source.y
        if turns:
            down, up = points[-1].y + BELOW / 3, target.y - HEIGHT / 2 - BELOW / 3
            last = points[-1].x
            points += [Point(last, down), Point(gutter, down), Point(gutter, up), Point(target.x, up)]
        points.append(Point(target.x, target.y - HEIGHT / 2))
        is_short = not turns and form.row[b] == form.row[a] + 1
        yield Line(vertices[a], vertices[b], tuple(points), is_short, turns)
