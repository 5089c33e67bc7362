"""The order of operators in the file: that of TensorFlow's importer, not that of the layers.

The importer lists the operations of a graph depth first: an operation as soon as everything that it reads is listed,
then its readers by name; it starts with inputs, variables and constants, by name as well. Rewrites put an operator
where the last of those was that it replaces, so the order survives them.

Found out by comparing files that TensorFlow 2.21 converted with the names in the graphs that they came from; it holds
for NASNet's 600 operators as for small models.
"""

from __future__ import annotations

from xnnlint.keras.lower.program import Node, Program, Step


def order(program: Program) -> None:
    """Gives every step its place, and sorts the nodes by it."""
    readers: dict[str | Step, set[Step]] = {}
    for node in program.nodes:
        for value in node.inputs:
            if value is None:
                continue
            if value.producer is not None:
                if value.producer.step is not node.step:
                    readers.setdefault(value.producer.step, set()).add(node.step)
                continue
            sources = value.constant.sources if value.constant is not None else (value.name,)
            for source in sources:
                readers.setdefault(source, set()).add(node.step)
    steps = _depth_first(readers, {node.step for node in program.nodes})
    for place, step in enumerate(steps):
        step.place = place
    program.nodes.sort(key=_place)


def _place(node: Node) -> tuple[int, int]:
    return node.place


def _depth_first(readers: dict[str | Step, set[Step]], steps: set[Step]) -> list[Step]:
    """Steps so that each stands behind everything that it reads, and as soon as that is there."""
    missing = dict.fromkeys(steps, 0)
    for some in readers.values():
        for step in some:
            missing[step] += 1
    ready: list[tuple[str, str | Step]] = [(s, s) for s in readers if isinstance(s, str)]
    ready += [(step.name, step) for step, count in missing.items() if not count]
    # The last one is taken first: the least name.
    stack = [item for _, item in sorted(ready, key=lambda pair: pair[0], reverse=True)]
    ordered: list[Step] = []
    while stack:
        item = stack.pop()
        if isinstance(item, Step):
            ordered.append(item)
        for step in sorted(readers.get(item, ()), key=_name, reverse=True):
            missing[step] -= 1
            if not missing[step]:
                stack.append(step)
    return ordered


def _name(step: Step) -> str:
    return step.name
