"""The order of a model's layers in Keras, by which files assign weights to layers.

A Functional model sorts its layers by their distance from the outputs, so that a layer put into one branch can change
the order of layers in others: then weights of the same shape would silently change places. Source: `map_graph` and
`_build_map` in src/ops/function.py of keras-team/keras, `_map_graph_network` in src/engine/functional.py of
keras-team/tf-keras.
"""

from __future__ import annotations

from collections.abc import Collection

from xnnlint.fixes.keras.config_scope import Entry, name_of
from xnnlint.keras.description import KerasModel, Layer


def keras_order(model: KerasModel) -> list[Layer]:
    """A model's layers as Keras lists them once it is built; layers that no output needs are left out."""
    if model.sequential:
        return list(model.layers)
    by_name = {layer.name: layer for layer in model.layers}
    places: dict[str, int] = {}
    nodes = _nodes(model, by_name, places)
    depths: dict[tuple[str, int], int] = {}
    of_layers: dict[str, int] = {}
    for node in reversed(nodes):
        depth = max(depths.get(node, 0), of_layers.get(node[0], 0))
        of_layers[node[0]] = depths[node] = depth
        for parent in _parents(by_name[node[0]], node[1]):
            depths[parent] = max(depth + 1, depths.get(parent, 0))
    for ref in model.inputs:
        if ref.layer not in of_layers:
            of_layers[ref.layer], places[ref.layer] = 0, -1
    return [by_name[name] for name in sorted(of_layers, key=lambda name: (-of_layers[name], places[name]))]


def put_in_order(model: KerasModel, entries: list[Entry]) -> None:
    """Sorts layers as Keras has them in a file, where the place in the config says whose weights are whose.

    Args:
        model: the outermost one, whose layers are sorted.
        entries: the same layers in the config.
    """
    if model.sequential:
        return
    place = {layer.name: number for number, layer in enumerate(keras_order(model))}
    model.layers.sort(key=lambda layer: place.get(layer.name, len(place)))
    entries.sort(key=lambda entry: place.get(name_of(entry), len(place)))


def _parents(layer: Layer, call: int) -> list[tuple[str, int]]:
    return [(ref.layer, ref.call) for ref in layer.calls[call].inputs()] if call < len(layer.calls) else []


def _nodes(model: KerasModel, by_name: dict[str, Layer], places: dict[str, int]) -> list[tuple[str, int]]:
    """Every call that an output needs, each behind what it reads; `places` numbers layers as they are met."""
    found: list[tuple[str, int]] = []
    finished: set[tuple[str, int]] = set()
    entered: set[tuple[str, int]] = set()
    stack: list[tuple[tuple[str, int], bool]] = [((ref.layer, ref.call), False) for ref in reversed(model.outputs)]
    while stack:
        node, leaving = stack.pop()
        if leaving:
            finished.add(node)
            found.append(node)
            continue
        if node in finished or node in entered:
            continue
        entered.add(node)
        places.setdefault(node[0], len(places))
        stack.append((node, True))
        stack += [(parent, False) for parent in reversed(_parents(by_name[node[0]], node[1]))]
    return found


def misplaced(before: KerasModel, after: KerasModel, format_: str, added: Collection[str] = ()) -> str:
    """The name of a layer that would load another layer's weights, or "".

    Layers that were `added` with weights, or became layers of another class, are left out: they are put where they
    belong. Archives count layers per class;
    .h5 files have one sequence for all. Layers without weights do not count.
    """
    old, new = _sequences(before, format_), _sequences(after, format_)
    old, new = (
        {key: [name for name in names if "/".join((*key[:-1], name)) not in added] for key, names in found.items()}
        for found in (old, new)
    )
    for key, names in old.items():
        for was, is_ in zip(names, new.get(key, []), strict=False):
            if was != is_:
                return was
        if len(names) != len(new.get(key, [])):
            return (names or new[key])[0]
    return ""


def _sequences(model: KerasModel, format_: str, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], list[str]]:
    found: dict[tuple[str, ...], list[str]] = {}
    for layer in keras_order(model):
        if layer.model is not None:
            found |= _sequences(layer.model, format_, (*path, layer.name))
        if layer.model is None and not layer.weights:
            continue
        key = (*path, "" if format_ == "h5" else layer.class_name)
        found.setdefault(key, []).append(layer.name)
    return found
