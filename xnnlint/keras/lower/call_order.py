"""In which order a Functional model of Keras 3 calls its layers, which numbers the names of what they compute.

It goes by depth, and among calls of one depth in the order in which they come when the graph is walked back from its
outputs (`map_graph` of keras/src/ops/function.py, keras 3.15).
"""

from __future__ import annotations

from collections.abc import Callable

from xnnlint.keras.description import KerasModel

_Call = tuple[str, int]


def calls_by_depth(model: KerasModel, before: Callable[[_Call], list[_Call]]) -> list[_Call]:
    """The calls that an output depends on, those first that most others depend on.

    Args:
        before: the calls whose results a call reads.
    """
    depths: dict[_Call, int] = {}
    of_layers: dict[str, int] = {}
    for call in reversed(_inputs_first([(ref.layer, ref.call) for ref in model.outputs], before)):
        depth = max(depths.setdefault(call, 0), of_layers.get(call[0], 0))
        of_layers[call[0]] = depths[call] = depth
        for source in before(call):
            depths[source] = max(depth + 1, depths.get(source, 0))
    return sorted(depths, key=lambda call: -depths[call])


def _inputs_first(ends: list[_Call], before: Callable[[_Call], list[_Call]]) -> list[_Call]:
    """Every call behind those that it depends on."""
    found: dict[_Call, None] = {}
    for end in ends:
        stack, entered = [end], set()
        while stack:
            top = stack[-1]
            if top in found:
                stack.pop()
            elif top in entered:
                found[top] = None
                stack.pop()
            else:
                entered.add(top)
                stack += [source for source in before(top)[::-1] if source not in found and source not in entered]
    return list(found)
