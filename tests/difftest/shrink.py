"""Shrinks a recipe to a minimal one that still shows the same thing."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.difftest.compare import Comparison, Observer, Predictor, compare
from tests.difftest.recipe import Recipe, Session, Step, build

Disagrees = Callable[[bytes], bool]

# Parameters that may be simpler: what they are set to, tried in this order.
_SIMPLER: dict[str, tuple[Any, ...]] = {
    "fused": ("NONE",),
    "storage": ("sparse", "dense"),
    "zeros": (0.8, 0.0),
    "keep_num_dims": (False,),
    "keep_dims": (False,),
    "axes": ([1, 2],),
    "align_corners": (False,),
    "first": (False,),
    "dilation": ([1, 1],),
    "groups": (1,),
    "multiplier": (1,),
}


def shrink(recipe: Recipe, disagrees: Disagrees, *, steps: Callable[[int], None] = lambda left: None) -> Recipe:
    """The smallest recipe found that still disagrees (delta debugging over steps, then over everything else).

    Args:
        recipe: one that disagrees.
        disagrees: says whether a .tflite file still shows what is looked for.
        steps: called with the number of steps left whenever it got smaller.

    Raises:
        ValueError: `recipe` itself doesn't disagree.
    """
    if not disagrees(build(recipe)):
        raise ValueError("the recipe to shrink doesn't disagree")
    recipe = _without_skipped(recipe)
    while True:
        smaller = _fewer_steps(recipe, disagrees, steps)
        for candidate in _plainer(smaller):
            if _holds(candidate, disagrees):
                smaller = candidate
                break
        if smaller == recipe:
            return recipe
        recipe = smaller


def _holds(recipe: Recipe, disagrees: Disagrees) -> bool:
    try:
        return disagrees(build(recipe))
    except (ValueError, KeyError, IndexError):
        return False


def _fewer_steps(recipe: Recipe, disagrees: Disagrees, steps: Callable[[int], None]) -> Recipe:
    """Drops runs of steps, halving the runs' length down to single steps."""
    length = max(1, len(recipe.steps) // 2)
    while recipe.steps:
        shorter = next((c for c in _cuts(recipe, length) if _holds(c, disagrees)), None)
        if shorter is not None:
            recipe = _without_skipped(shorter)
            steps(len(recipe.steps))
            length = min(length, max(1, len(recipe.steps) // 2))
        elif length == 1:
            break
        else:
            length //= 2
    return recipe


def _cuts(recipe: Recipe, length: int) -> Iterator[Recipe]:
    for start in reversed(range(0, len(recipe.steps), length)):
        yield recipe.without({step["id"] for step in recipe.steps[start : start + length]})


def _plainer(recipe: Recipe) -> Iterator[Recipe]:
    """The recipe with one thing simpler each."""
    for name, value in (("dynamic_batch", False), ("shuffle_operators", None), ("shuffle_tensors", None)):
        if getattr(recipe, name) != value:
            candidate = recipe.copy()
            setattr(candidate, name, value)
            yield candidate
    for number in range(len(recipe.outputs) if len(recipe.outputs) > 1 else 0):
        candidate = recipe.copy()
        del candidate.outputs[number]
        yield candidate
    for number, (batch, height, width, channels) in enumerate(recipe.inputs):
        for smaller in ((height, max(3, width // 2)), (max(4, height // 2), width)):
            if smaller < (height, width):
                candidate = recipe.copy()
                candidate.inputs[number] = [batch, *smaller, channels]
                yield candidate
    for number, step in enumerate(recipe.steps):
        for name, value in _simpler_parameters(step):
            candidate = recipe.copy()
            candidate.steps[number][name] = value
            yield candidate


def _simpler_parameters(step: Step) -> Iterator[tuple[str, Any]]:
    for name, values in _SIMPLER.items():
        if name in step and step[name] in values:
            values = values[: values.index(step[name])]
        if name in step:
            yield from ((name, value) for value in values)


def _without_skipped(recipe: Recipe) -> Recipe:
    """Without the steps that don't apply; the model stays the same."""
    session = Session(recipe)
    for step in recipe.steps:
        session.apply(step)
    return recipe.without(session.skipped) if session.skipped else recipe


class SameDisagreement:
    """A `Disagrees` that compares with the real runtime and looks for one kind of disagreement.

    The kind is that of the first model asked about: what differs, and the two outcomes. So shrinking doesn't slip from
    one mistake to another.
    """

    def __init__(self, predictor: Predictor, **options: Any) -> None:
        """`options` are those of `xnnlint.runtime.observe.observe`."""
        self.predictor = predictor
        self.observer = Observer(**options)
        self.kind: tuple[Any, ...] | None = None

    def __call__(self, model: bytes) -> bool:
        comparison = self.compare(model)
        if not comparison.differs:
            return False
        kind = (comparison.differs, comparison.prediction.outcome, comparison.observation.outcome)
        self.kind = self.kind or kind
        return kind == self.kind

    def compare(self, model: bytes) -> Comparison:
        with tempfile.TemporaryDirectory(prefix="xnnlint-shrink-") as folder:
            path = Path(folder) / "model.tflite"
            path.write_bytes(model)
            return compare("candidate", self.predictor(path), self.observer(path))

    def close(self) -> None:
        self.observer.close()
