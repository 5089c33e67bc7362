"""What a case of a fix is, and models to make one of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

from xnnlint.modelbuilder.builder import ModelBuilder, Value
from xnnlint.modelbuilder.pattern_registry import Pattern
from xnnlint.modelbuilder.patterns import named_patterns

PRUNED = 0.8
EXIT = "leave-through-depth-to-space"


@dataclass(frozen=True)
class FixCase:
    """A model, and what a fix makes possible in it.

    Attributes:
        fix: the fix, which must be among the changes.
        build: makes the model.
        spmm: how many operators run SpMM then, at least; 0 where it becomes dense and right.
        ignore: fixes that may not help it.
        unsafe, prune: as of `FixRequest`.
        runtime: that it is planned for; the one that is installed has the last word.
    """

    fix: str
    build: Callable[[], bytes]
    spmm: int
    ignore: tuple[str, ...] = (EXIT,)
    unsafe: bool = False
    prune: float | None = None
    runtime: str = "litert-2.3"

    @property
    def name(self) -> str:
        what: Callable[..., object] = self.build
        # The outer is how a case is put together, `middle` for one; what it is called with says more.
        while (arguments := getattr(what, "args", ())) and callable(arguments[0]):
            what = arguments[0]
        settings = [getattr(what, "__name__", "")] if not hasattr(what, "func") else [what.func.__name__, *what.args]
        return "-".join([self.fix, *map(str, settings)])


@cache
def _patterns() -> dict[str, Pattern]:
    return {pattern.name: pattern for pattern in named_patterns()}


def _build(name: str) -> bytes:
    return _patterns()[name].build()


def pattern(name: str) -> Callable[[], bytes]:
    """One of the hand-made models, by its name."""
    return partial(_build, name)


def trunk(g: ModelBuilder, image: Value | None = None) -> Value:
    """A stem, a depthwise and a pruned 1x1 convolution: a map of 12x20x16."""
    image = g.input((1, 24, 40, 3)) if image is None else image
    x = g.conv2d(g.pad(image), 8, 3, 2, fused="RELU")
    return g.conv2d(g.depthwise(x, fused="RELU"), 16, zeros=PRUNED, storage="sparse", fused="RELU")


def pointwise(g: ModelBuilder, x: Value, filters: int = 16) -> Value:
    """A pruned 1x1 convolution."""
    return g.conv2d(x, filters, zeros=PRUNED, storage="sparse")


def head(g: ModelBuilder, x: Value) -> None:
    """To five classes."""
    g.output(g.fully_connected(g.mean(x), 5))


def _around(body: Callable[[ModelBuilder, Value], Value]) -> bytes:
    g = ModelBuilder(1)
    head(g, pointwise(g, body(g, trunk(g))))
    return g.build()


def middle(body: Callable[[ModelBuilder, Value], Value]) -> Callable[[], bytes]:
    """A pruned network with something in its middle: `body(builder, map of 12x20x16)` gives a map again."""
    return partial(_around, body)
