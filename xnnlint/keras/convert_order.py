"""The order of operators in the file: that of TensorFlow's importer, not that of the layers.

The importer takes the operations of a graph in reverse post order of a depth-first search, which follows the readers
of an operation by descending name, starting at the variables, constants and inputs. Rewrites put an operator where the
last of those was that it replaces, so the order survives them.

Source: tensorflow/tensorflow, core/graph/algorithm.cc `DFSFromHelper`, `GetReversePostOrder`, and
compiler/mlir/tensorflow/translate/import_model.cc `ImporterBase::PrepareConvert`; seen in the files that the converter
of TensorFlow 2.21 makes.
"""

from __future__ import annotations

from xnnlint.keras.convert_graph import Node, Program, Step


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
    steps = _reverse_post_order(readers, {node.step for node in program.nodes})
    for place, step in enumerate(steps):
        step.place = place
    program.nodes.sort(key=_place)


def _place(node: Node) -> tuple[int, int]:
    return node.place


def _reverse_post_order(readers: dict[str | Step, set[Step]], steps: set[Step]) -> list[Step]:
    """Steps so that each stands before its readers."""
    fed = {step for some in readers.values() for step in some}
    sources: list[tuple[str, str | Step]] = [(s, s) for s in readers if isinstance(s, str)]
    sources += [(step.name, step) for step in steps - fed]
    finished: list[Step] = []
    seen: set[str | Step] = set()
    # The last one pushed is entered first: the greatest name.
    stack: list[tuple[str | Step, bool]] = [(item, False) for _, item in sorted(sources, key=lambda pair: pair[0])]
    while stack:
        item, leaving = stack.pop()
        if leaving:
            if isinstance(item, Step):
                finished.append(item)
            continue
        if item in seen:
            continue
        seen.add(item)
        stack.append((item, True))
        stack += [(s, False) for s in sorted(readers.get(item, ()), key=lambda s: s.name) if s not in seen]
    return finished[::-1]
