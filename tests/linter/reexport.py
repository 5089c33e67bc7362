"""The same .tflite model with other numbers: tensors, buffers, operator codes and independent operators in new places.

What a converter may do from one export to the next without any change to the model. Needs the LiteRT wheel's schema.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xnnlint.fixes.tflite import object_api as schema


def shuffled(data: bytes, seed: int) -> bytes:
    """A file with the same graph and the same names, in another order."""
    chance = random.Random(seed)
    model = schema.read(data)
    for graph in model.subgraphs:
        _reorder_operators(graph, chance)
    _move(model.operatorCodes, chance, _opcode_users(model))
    _move_tensors(model, chance)
    # Buffer 0 is the empty one by convention.
    _move(model.buffers, chance, _buffer_users(model), first=1)
    return schema.write(model, identifier=True)


def _order(count: int, chance: random.Random, first: int = 0) -> list[int]:
    """New place of each old one."""
    rest = list(range(first, count))
    chance.shuffle(rest)
    return [*range(first), *rest]


def _move(items: list[Any], chance: random.Random, users: Sequence[tuple[Any, str]], first: int = 0) -> None:
    places = _order(len(items), chance, first)
    for user, name in users:
        setattr(user, name, places[getattr(user, name)])
    old = list(items)
    for before, after in enumerate(places):
        items[after] = old[before]


def _opcode_users(model: Any) -> list[tuple[Any, str]]:
    return [(op, "opcodeIndex") for graph in model.subgraphs for op in graph.operators]


def _buffer_users(model: Any) -> list[tuple[Any, str]]:
    tensors = [(tensor, "buffer") for graph in model.subgraphs for tensor in graph.tensors]
    return [*tensors, *((entry, "buffer") for entry in model.metadata or ())]


def _move_tensors(model: Any, chance: random.Random) -> None:
    for index, graph in enumerate(model.subgraphs):
        places = _order(len(graph.tensors), chance)
        for op in graph.operators:
            for name in ("inputs", "outputs", "intermediates"):
                numbers = getattr(op, name)
                if numbers is not None and len(numbers):
                    setattr(op, name, [places[n] if n >= 0 else n for n in numbers])
        graph.inputs = [places[n] for n in graph.inputs]
        graph.outputs = [places[n] for n in graph.outputs]
        for signature in model.signatureDefs or ():
            if signature.subgraphIndex == index:
                for entry in (*(signature.inputs or ()), *(signature.outputs or ())):
                    entry.tensorIndex = places[entry.tensorIndex]
        old = list(graph.tensors)
        for before, after in enumerate(places):
            graph.tensors[after] = old[before]


def _reorder_operators(graph: Any, chance: random.Random) -> None:
    """A random one of the orders in which every operator comes after what it reads."""
    made = {int(t): n for n, op in enumerate(graph.operators) for t in op.outputs}
    waits = {n: {made[int(t)] for t in op.inputs if int(t) in made} for n, op in enumerate(graph.operators)}
    order: list[int] = []
    while waits:
        chosen = chance.choice([n for n, missing in waits.items() if not missing])
        del waits[chosen]
        order.append(chosen)
        for missing in waits.values():
            missing.discard(chosen)
    graph.operators = [graph.operators[n] for n in order]


def write_shuffled(source: Path, target: Path, seed: int) -> Path:
    target.write_bytes(shuffled(source.read_bytes(), seed))
    return target
