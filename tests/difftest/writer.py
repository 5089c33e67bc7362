"""Writes random recipes step by step."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

from tests.difftest.recipe import Recipe, Session, Step
from xnnlint.modelbuilder.building_blocks import REFUSED, UNARY

CHANNELS = (6, 7, 9, 10, 11, 12, 14, 15, 18, 20, 22, 26, 28, 31)
EVEN_CHANNELS = tuple(c for c in CHANNELS if c % 2 == 0)
# Widths of Dense layers that blocks divide.
HIDDEN = (32, 48, 64, 96)
SIZES = tuple(range(12, 33))
FUSED = ("NONE", "RELU", "RELU", "RELU6")
# Share of zeros of 1x1 weights, with its weight; see recipe.zero_count for the ones around two thirds.
ZERO_SHARES: dict[float | str, float] = {
    **{0.8: 45, 0.9: 12, 0.95: 5, 0.72: 8, 0.6: 4, 0.5: 4, 0.3: 2, 0.0: 4, 1.0: 0.3},
    **{"2/3": 5, "2/3-1": 4, "2/3+1": 7},
}
# Operators that jump: a rounding error becomes a large one, so they are rare here (patterns.py has each of them).
JUMPING = ("CEIL", "FLOOR", "ROUND")
SMOOTH_UNARY = tuple(code for code in UNARY if code not in JUMPING)
# Operators that make the same of all large numbers.
SATURATING = ("LOGISTIC", "TANH", "RELU6", "RELU_N1_TO_1")
SMOOTH_REFUSED = tuple(name for name in REFUSED if name not in ("sign", "greater"))
# Operators that make of large numbers what their rounding says: a step of 8 bits below, and the result is another one.
PERIODIC = ("SIN", "COS")
# How a model keeps its 1x1 weights, with its weight.
STORAGE_POLICIES = {
    **{"sparse": 54, "sparse_fp16": 14, "sparse_int8": 6},
    **{"mixed": 19, "dense": 3, "fp16": 2, "int8": 2},
}
# Sparse weights of a FULLY_CONNECTED without DENSIFY, and the size of their blocks, with its weight: as the converter
# writes them, and in blocks that nobody knows.
ENCODINGS = {
    **{("sparse_direct", 4): 22, ("sparse_direct", 1): 8, ("sparse_direct", 8): 4},
    **{("sparse_direct_fp16", 4): 16, ("sparse_direct_fp16", 1): 4},
    **{("sparse_direct_int8", 16): 16, ("sparse_direct_int8", 4): 3, ("sparse_direct_int8", 1): 3},
    **{("sparse_direct_qc8", 16): 18, ("sparse_direct_int8_dequantize", 16): 4},
}
# What reads a MEAN that kept its dimensions, with its weight.
AFTER_KEPT_MEAN = {
    **{"fc": 25, "reshape": 18, "pointwise": 12, "pointwise reshape": 8, "softmax": 5, "unary": 6, "bare": 6},
    **{"constant": 6, "squeeze": 4, "concat": 3, "refused": 3, "prelu": 2, "resize": 2, "conv": 2},
}
# Beyond this an activation is called out of reach: EXP and SUM would overflow or drown all else.
LARGEST = 150.0


class Writer:
    """Writes a recipe step by step, with the shapes at hand and a rough size of the numbers."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.recipe = Recipe(seed=seed)
        self.session = Session(self.recipe)
        self.sizes: dict[int, float] = {}
        self.maps: list[int] = []  # every rank-4 value made, for skip connections and taps
        # A cluster is judged by all its zeros together: with each share at random, most would fall below two thirds.
        self.pruned_well = self.chance(0.75)
        self.policy = self.choice(list(STORAGE_POLICIES.items()))

    # -- chance ------------------------------------------------------------------------------------------------------

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def choice(self, weighted: Sequence[tuple[Any, float]]) -> Any:
        return self.rng.choices([item for item, _ in weighted], [weight for _, weight in weighted])[0]

    def pick(self, items: Sequence[Any]) -> Any:
        return items[self.rng.randrange(len(items))]

    # -- steps -------------------------------------------------------------------------------------------------------

    def input(self, shape: Sequence[int]) -> int:
        self.recipe.inputs.append(list(shape))
        ref = -len(self.recipe.inputs)
        self.sizes[ref] = 1.0
        return ref

    def shape(self, ref: int) -> tuple[int, ...]:
        return self.session.value(ref).shape

    def add(self, op: str, refs: int | Sequence[int], **parameters: Any) -> int:
        """Adds a step and gives its reference; where it doesn't apply, that of its first input."""
        refs = [refs] if isinstance(refs, int) else list(refs)
        if op == "binary" and len(set(refs)) == 1 and parameters["code"] in ("SUB", "SQUARED_DIFFERENCE"):
            return refs[0]  # x - x hides all that is wrong with x
        tells_little = op == "softmax" or parameters.get("code") in SATURATING + PERIODIC
        if tells_little and max(self.sizes[r] for r in refs) > 12:
            return refs[0]  # it would be the same for right and for wrong values, or show rounding alone
        step: Step = {"id": len(self.recipe.steps), "op": op, "in": refs, **parameters}
        size = _size_after(step, [self.sizes[r] for r in refs], [self.shape(r) for r in refs])
        if size > max(LARGEST, *(self.sizes[r] for r in refs)):
            return refs[0]
        result = self.session.apply(step)
        if step["id"] in self.session.skipped:
            del self.session.values[step["id"]]
            return refs[0]
        self.recipe.steps.append(step)
        self.sizes[step["id"]] = size
        if result.rank == 4:
            self.maps.append(step["id"])
        return int(step["id"])

    def output(self, ref: int) -> None:
        if ref not in self.recipe.outputs:
            self.recipe.outputs.append(ref)

    def finish(self) -> Recipe:
        recipe = self.recipe
        recipe.shuffle_operators = self.rng.randrange(1 << 30) if self.chance(0.3) else None
        recipe.shuffle_tensors = self.rng.randrange(1 << 30) if self.chance(0.25) else None
        recipe.dynamic_batch = self.chance(0.15) and recipe.inputs[0][0] == 1
        return recipe

    # -- weights and layers ------------------------------------------------------------------------------------------

    def storage(self) -> str:
        if self.policy != "mixed":
            return str(self.policy)
        return str(
            self.choice(
                [("sparse", 5), ("dense", 3), ("sparse_fp16", 2), ("fp16", 1), ("sparse_int8", 1), ("int8_direct", 0.3)]
            )
        )

    def encoded(self) -> dict[str, Any]:
        """How a FULLY_CONNECTED has its weights without DENSIFY; sometimes all blocks are stored, as they were."""
        storage, block = self.choice(list(ENCODINGS.items()))
        zeros = 0.0 if self.chance(0.08) else self.pick((0.75, 0.85, 0.95))
        return {"storage": storage, "block": block, "zeros": zeros}

    def zeros(self) -> float | str:
        if self.pruned_well:
            return float(self.pick((0.75, 0.8, 0.8, 0.85, 0.9, 0.95)))
        return self.choice(list(ZERO_SHARES.items()))

    def pointwise(self, x: int, filters: int | None = None, fused: str | None = None, **other: Any) -> int:
        """A 1x1 convolution, most often pruned."""
        zeros = self.zeros()
        storage = self.storage()
        if self.chance(0.02 if self.pruned_well else 0.1):
            zeros, storage = 0.0, "dense"
        parameters = {"filters": filters or self.pick(CHANNELS), "kernel": [1, 1], "zeros": zeros, "storage": storage}
        parameters |= {"fused": fused or self.pick(FUSED), "padding": self.pick(("VALID", "SAME"))}
        return self.add("conv2d", x, **(parameters | other))

    def depthwise(self, x: int, **other: Any) -> int:
        """A depthwise convolution of the kind that the sparse path takes."""
        kernel = self.choice([(3, 3), (5, 1)])
        parameters = {"kernel": [kernel, kernel], "stride": [1, 1], "padding": "SAME", "fused": self.pick(FUSED)}
        if self.chance(0.06):
            parameters |= {"storage": self.storage(), "zeros": self.pick((0.3, 0.5, 0.7))}
        return self.add("depthwise", x, **(parameters | other))

    def padded(self, x: int, before: int, after: int | None = None) -> int:
        pair = [before, before if after is None else after]
        return self.add("pad", x, amounts=[[0, 0], pair, pair, [0, 0]])

    def activation(self, x: int) -> int:
        """Any unary operator."""
        code = self.pick(JUMPING if self.chance(0.02) else SMOOTH_UNARY)
        options = {"alpha": self.pick((0.1, 0.25, 1.5))} if code == "LEAKY_RELU" else {}
        return self.add("unary", x, code=code, **options)

    def unary(self, code: str, x: int) -> int:
        return self.add("unary", x, code=code)

    def channels(self, x: int) -> int:
        return self.shape(x)[-1]


def _size_after(step: Step, sizes: list[float], shapes: list[tuple[int, ...]]) -> float:
    """A rough upper size of the numbers that `step` gives, to keep EXP, SUM and products in reach."""
    size, other = sizes[0], sizes[-1]
    code = step.get("code", "")
    if step["op"] in ("conv2d", "depthwise", "fully_connected", "transpose_conv"):
        size = size + 0.4
    elif step["op"] == "unary":
        size = {
            "EXP": math.exp(min(size, 20.0)),
            "SQUARE": size * size,
            "RSQRT": math.exp(min(size, 20.0) / 2),
            "LOG": size + 1,
        }.get(code, 1.0 if code in ("LOGISTIC", "TANH", "SIN", "COS", "SQRT", "RELU_N1_TO_1") else size)
    elif step["op"] in ("binary", "constant"):
        second = 1.5 if step["op"] == "constant" else other
        size = {
            "MUL": size * second,
            "DIV": size * 2.8,
            "SQUARED_DIFFERENCE": (size + second) ** 2,
            "MAXIMUM": max(size, second),
            "MINIMUM": max(size, second),
        }.get(code, size + second)
    elif code == "SUM":
        rank = len(shapes[0])
        size *= math.prod(shapes[0][axis] for axis in {a % rank for a in step["axes"] if -rank <= a < rank})
    if step.get("fused") == "RELU6" or code == "RELU6":
        size = min(size, 6.0)
    return size
