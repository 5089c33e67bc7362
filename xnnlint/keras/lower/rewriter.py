"""A program while operators in it are replaced: who reads what, kept up to date."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from xnnlint.keras.lower.program import Node, Program, Value

Rule = Callable[["Rewriter", Node], bool]

_MAX_PASSES = 20
_NEVER_EQUAL = ("CUSTOM", "READ_VARIABLE", "ASSIGN_VARIABLE")


class Rewriter:
    """Who reads what, kept up to date while operators are replaced."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.alive = set(program.nodes)
        # Of each tensor the operators that read it, with how often; of some there are very many, and each may change.
        self._readers: dict[Value, dict[Node, int]] = {}
        self._reads: Counter[Value] = Counter()
        for node in program.nodes:
            self._now_reads(node, node.inputs)
        # Where among the outputs a tensor is: there may be very many, and each may be replaced.
        self._places: dict[Value, list[int]] = {}
        for place, value in enumerate(program.outputs):
            self._places.setdefault(value, []).append(place)
        self.remove_dead()

    def add(self, node: Node) -> None:
        """Takes in a new operator."""
        self.program.nodes.append(node)
        self.alive.add(node)
        self._now_reads(node, node.inputs)

    def readers(self, value: Value) -> list[Node]:
        """The operators that read a tensor, each as often as it does."""
        return [node for node, times in self._readers.get(value, {}).items() for _ in range(times)]

    def uses(self, value: Value) -> int:
        """How often a tensor is read, as an output of the model too."""
        return self._reads[value] + len(self._places.get(value, ()))

    def producer(self, node: Node, slot: int, *types: str) -> Node | None:
        """The operator that computes an input, if it is of one of these types."""
        value = node.inputs[slot] if slot < len(node.inputs) else None
        found = value.producer if value is not None else None
        return found if found is not None and found.type in types else None

    def become(self, node: Node, like: Node, inputs: list[Value | None], activation: str | None = None) -> bool:
        """Makes an operator what another one is, with other inputs, where it stands; keeps its output."""
        attributes = dict(like.attributes)
        if activation is not None:
            attributes["fused_activation_function"] = activation
        self.change(node, like.type, inputs, attributes)
        node.name = like.name
        return True

    def change(
        self, node: Node, type_: str, inputs: list[Value | None], attributes: dict[str, Any] | None = None
    ) -> bool:
        """Makes an operator another one, where it stands; keeps its output."""
        old = [v for v in node.inputs if v is not None]
        node.type, node.inputs, node.attributes = type_, inputs, attributes or {}
        self._now_reads(node, inputs)
        for value in old:
            self._forget(value, node)
        return True

    def replace(self, old: Value, new: Value) -> bool:
        """Lets everybody read another tensor."""
        for node in list(self._readers.get(old, ())):
            inputs = [new if v is old else v for v in node.inputs]
            self.change(node, node.type, inputs, node.attributes)
        places = self._places.pop(old, [])
        for place in places:
            self.program.outputs[place] = new
        if places:
            self._places.setdefault(new, []).extend(places)
        if old.producer is not None:
            self._drop_if_dead(old.producer)
        return True

    def repeat(self, rules: dict[str, list[Rule]], backwards: bool = False) -> None:
        """Applies rules to every operator, in order or from the last one on, until none applies."""
        for _ in range(_MAX_PASSES):
            changed = False
            for node in reversed(self.program.nodes) if backwards else self.program.nodes:
                while node in self.alive and any(rule(self, node) for rule in rules.get(node.type, ())):
                    changed = True
            if not changed:
                return

    def merge_equal(self) -> None:
        """Of operators that compute the same the first stays (MLIR's CSE)."""
        first: dict[Any, Node] = {}
        for node in self.program.nodes:
            if node not in self.alive or node.type in _NEVER_EQUAL or node.called:
                continue
            read = tuple(None if v is None else v.key for v in node.inputs)
            attributes = tuple(sorted((k, str(v)) for k, v in node.attributes.items() if v != "NONE"))
            earlier = first.setdefault((node.type, read, attributes, len(node.outputs)), node)
            if earlier is not node:
                for old, new in zip(node.outputs, earlier.outputs, strict=True):
                    self.replace(old, new)

    def remove_dead(self) -> None:
        """Removes operators that nobody reads."""
        for node in reversed(self.program.nodes):
            self._drop_if_dead(node)

    def _drop_if_dead(self, node: Node) -> None:
        pending = [node]
        while pending:
            dead = pending.pop()
            # What has no outputs, such as an assignment, is there for its effect.
            if dead not in self.alive or not dead.outputs or any(self.uses(v) for v in dead.outputs):
                continue
            self.alive.discard(dead)
            for value in dead.inputs:
                if value is not None:
                    self._no_longer_reads(dead, value)
                    if value.producer is not None:
                        pending.append(value.producer)

    def _now_reads(self, node: Node, inputs: list[Value | None]) -> None:
        for value in inputs:
            if value is not None:
                readers = self._readers.setdefault(value, {})
                readers[node] = readers.pop(node, 0) + 1  # the last of them
                self._reads[value] += 1

    def _no_longer_reads(self, node: Node, value: Value) -> None:
        readers = self._readers[value]
        readers[node] -= 1
        self._reads[value] -= 1
        if not readers[node]:
            del readers[node]

    def _forget(self, value: Value, reader: Node) -> None:
        self._no_longer_reads(reader, value)
        if value.producer is not None:
            self._drop_if_dead(value.producer)
