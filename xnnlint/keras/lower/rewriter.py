"""A program while operators in it are replaced: who reads what, kept up to date."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from xnnlint.keras.lower.program import Node, Program, Value

Rule = Callable[["Rewriter", Node], bool]

_MAX_PASSES = 20


class Rewriter:
    """Who reads what, kept up to date while operators are replaced."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.alive = set(program.nodes)
        self.readers: dict[Value, list[Node]] = {}
        for node in program.nodes:
            for value in node.inputs:
                if value is not None:
                    self.readers.setdefault(value, []).append(node)
        self._outputs = {value: program.outputs.count(value) for value in program.outputs}
        self.remove_dead()

    def add(self, node: Node) -> None:
        """Takes in a new operator."""
        self.program.nodes.append(node)
        self.alive.add(node)
        for value in node.inputs:
            if value is not None:
                self.readers.setdefault(value, []).append(node)

    def uses(self, value: Value) -> int:
        """How often a tensor is read, as an output of the model too."""
        return len(self.readers.get(value, ())) + self._outputs.get(value, 0)

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
        for value in inputs:
            if value is not None:
                self.readers.setdefault(value, []).append(node)
        for value in old:
            self._forget(value, node)
        return True

    def replace(self, old: Value, new: Value) -> bool:
        """Lets everybody read another tensor."""
        for node in set(self.readers.get(old, ())):
            inputs = [new if v is old else v for v in node.inputs]
            self.change(node, node.type, inputs, node.attributes)
        if self._outputs.get(old):
            self.program.outputs = [new if v is old else v for v in self.program.outputs]
            self._outputs[new] = self._outputs.get(new, 0) + self._outputs.pop(old)
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
            if node not in self.alive or node.type == "CUSTOM":
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
            if dead not in self.alive or any(self.uses(v) for v in dead.outputs):
                continue
            self.alive.discard(dead)
            for value in dead.inputs:
                if value is not None:
                    self.readers[value].remove(dead)
                    if value.producer is not None:
                        pending.append(value.producer)

    def _forget(self, value: Value, reader: Node) -> None:
        self.readers[value].remove(reader)
        if value.producer is not None:
            self._drop_if_dead(value.producer)
