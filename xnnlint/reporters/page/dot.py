"""A model's graph in DOT, for Graphviz and what reads its files: the boxes, colours and areas of the picture.

Source of the syntax: https://graphviz.org/doc/info/lang.html (a quoted string ends at a quote without a backslash) and
https://graphviz.org/docs/attr-types/escString/ (in a label a backslash begins an escape).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from xnnlint.reporters.page.graph_facts import KernelClass, Mark
from xnnlint.reporters.page.inline_styles import palette
from xnnlint.reporters.page.picture import AREAS, below_name, description, with_parts
from xnnlint.reporters.styled_lines import name, safe

if TYPE_CHECKING:
    from xnnlint.reporters.page.graph_facts import GraphFacts, OperatorFacts

_IN_NCHW = (KernelClass.SPMM, KernelClass.NCHW)
_LOOK = (
    'graph [bgcolor="white", fontname="Helvetica", fontsize=11, ranksep=0.35]',
    'node [shape=box, style="rounded,filled", fontname="Helvetica", fontsize=11, height=0.5]',
    'edge [color="#8b949e", arrowsize=0.6]',
)


def dot_text(facts: GraphFacts, title: str) -> str:
    """The graph as text; operator 4 of the file is the node `op4`."""
    lines = [*_LOOK, *_parts(facts), *(f"op{source} -> op{target}" for source, target in facts.edges)]
    body = "".join(f"  {line}\n" for line in lines)
    return f"digraph {_quoted(title)} {{\n{body}}}\n"


def _parts(facts: GraphFacts) -> Iterator[str]:
    """All operators, those of a partition together where there is more than one."""
    rest = {op.op: op for op in facts.operators}
    if facts.is_divided:
        for number, ops in enumerate(facts.partitions):
            inside = {op: rest.pop(op) for op in ops if op in rest}
            yield from _area(f"partition{number}", f"partition {number}", "partition", [*_areas(facts, inside)])
    yield from _areas(facts, rest)


def _areas(facts: GraphFacts, rest: dict[int, OperatorFacts]) -> Iterator[str]:
    """Some operators, those in NCHW together, and those of each cluster that stayed in NHWC."""
    nchw = [op for op, known in rest.items() if known.runs in _IN_NCHW]
    groups: list[tuple[str, str, Collection[int]]] = [(f"nchw{min(nchw, default=0)}", "area", nchw)]
    groups += [(f"nhwc{n}", "cluster", c.ops) for n, c in enumerate(facts.clusters) if not c.is_nchw and len(c.ops) > 1]
    for called, kind, ops in groups:
        inside = [rest.pop(op) for op in sorted(with_parts(rest.keys() & set(ops), facts)) if op in rest]
        if inside:
            yield from _area(called, AREAS[kind], kind, [_node(op) for op in inside])
    yield from map(_node, rest.values())


def _area(called: str, label: str, kind: str, lines: list[str]) -> Iterator[str]:
    colours = palette()
    yield f"subgraph cluster_{called} {{"
    yield f'  label={_quoted(label)}; style="rounded,filled"; bgcolor="{colours[kind]}"; ' + (
        f'fillcolor="{colours[kind]}"; color="{colours[f"{kind}-line"]}"'
    )
    yield from (f"  {line}" for line in lines)
    yield "}"


def _node(op: OperatorFacts) -> str:
    colours, kind = palette(), op.runs.value
    line, width = colours[f"{kind}-line"], 2 if op.runs is KernelClass.SPMM else 1
    if op.mark in (Mark.WRONG, Mark.BLOCKER):
        line, width = colours[op.mark.value], 3
    label = "\\n".join(map(_escaped, (name(op.name or op.type), below_name(op))))
    look = f'fillcolor="{colours[kind]}", color="{line}", penwidth={width}'
    if op.runs is KernelClass.NONE:
        look += ', style="rounded,filled,dashed"'
    return f'op{op.op} [label="{label}", class="{kind}", tooltip={_quoted(description(op))}, {look}]'


def _quoted(text: str) -> str:
    return f'"{_escaped(safe(text))}"'


def _escaped(text: str) -> str:
    """Graphviz takes entities of HTML for the characters that they mean, in labels of any kind."""
    return text.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"')
