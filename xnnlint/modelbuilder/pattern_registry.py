"""Hand-made models by name, and the usual frames around what is special about one."""

from __future__ import annotations

import zlib
from collections.abc import Callable

from msgspec import Struct

from xnnlint.modelbuilder.builder import ModelBuilder
from xnnlint.modelbuilder.building_blocks import Middle, pruned, tail, trunk
from xnnlint.modelbuilder.modelfile import Value


class Pattern(Struct, frozen=True):
    """A hand-made model.

    Args:
        name: unique, usable as a file name.
        group: what it is about, e.g. `stem`.
        text: what is special about it, in a few words.
        fill: writes the graph into an empty builder.
        dynamic_batch: whether the file says that the batch is dynamic.
        metadata: the file's metadata buffers.
    """

    name: str
    group: str
    text: str
    fill: Callable[[ModelBuilder], None]
    dynamic_batch: bool = False
    metadata: tuple[tuple[str, bytes], ...] = ()

    def build(self) -> bytes:
        g = ModelBuilder(zlib.crc32(self.name.encode()))
        self.fill(g)
        return g.build(dynamic_batch=self.dynamic_batch, metadata=dict(self.metadata))


PATTERNS: dict[str, Pattern] = {}


def pattern(
    name: str,
    group: str,
    text: str,
    *,
    dynamic_batch: bool = False,
    metadata: tuple[tuple[str, bytes], ...] = (),
) -> Callable[[Callable[[ModelBuilder], None]], Callable[[ModelBuilder], None]]:
    """Registers the decorated function as a pattern."""

    def register(fill: Callable[[ModelBuilder], None]) -> Callable[[ModelBuilder], None]:
        if name in PATTERNS:
            raise ValueError(f"two patterns are called {name}")
        PATTERNS[name] = Pattern(name, group, text, fill, dynamic_batch, metadata)
        return fill

    return register


def middle(name: str, group: str, text: str, part: Middle, filters: int = 24) -> None:
    """Registers trunk -> `part` -> pruned 1x1 -> tail."""

    @pattern(name, group, text)
    def fill(g: ModelBuilder) -> None:
        tail(g, pruned(g, part(g, trunk(g)), filters))


def stem_case(name: str, text: str, part: Callable[[ModelBuilder], Value]) -> None:
    """Registers `part` (input and stem) -> depthwise -> pruned 1x1 -> tail."""

    @pattern(name, "stem", text)
    def fill(g: ModelBuilder) -> None:
        tail(g, pruned(g, g.depthwise(part(g), fused="RELU"), 16))


def head_case(name: str, group: str, text: str, part: Callable[[ModelBuilder, Value], None]) -> None:
    """Registers trunk -> `part`, which makes the outputs."""

    @pattern(name, group, text)
    def fill(g: ModelBuilder) -> None:
        part(g, trunk(g))
