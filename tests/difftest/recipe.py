"""Recipes: models as JSON-able lists of steps that can be rebuilt after any of the steps was dropped.

A step names an operator, the values that it reads, and relative parameters ("a constant of one element per channel"),
so that it still makes sense when what comes before it changes shape. A step that cannot be applied any more hands its
first input on.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from xnnlint.modelbuilder.builder import ModelBuilder, Value
from xnnlint.modelbuilder.building_blocks import REFUSED, apply_unary

# Emulated runs must stay quick, and no single operator should make a model big.
MAX_ELEMENTS = 40_000
MAX_CHANNELS = 128

Step = dict[str, Any]
"""`{"id": 3, "op": "conv2d", "in": [2], ...}`; references are ids of earlier steps, or -1, -2, ... for the inputs."""


class NotApplicable(Exception):
    """The step makes no sense for the shapes that reach it."""


@dataclass
class Recipe:
    """A model as data.

    Args:
        seed: of the weights; each step draws its own, so dropping one leaves the others' weights alone.
        inputs: shapes of the model inputs.
        steps: in the order of making.
        outputs: references to the model outputs.
        shuffle_operators: seed of a random valid operator order, or None for the order of making.
        shuffle_tensors: seed of random tensor indexes, or None for the converter's order.
        dynamic_batch: see `ModelBuilder.build`.
    """

    seed: int = 0
    inputs: list[list[int]] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    shuffle_operators: int | None = None
    shuffle_tensors: int | None = None
    dynamic_batch: bool = False

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=None, separators=(", ", ": "))

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        return cls(**json.loads(text))

    def copy(self) -> Recipe:
        return copy.deepcopy(self)

    def without(self, ids: set[int]) -> Recipe:
        """A copy without these steps; whoever read one of them reads its first input instead."""
        replaced: dict[int, int] = {}
        steps = []
        for step in self.steps:
            refs = [replaced.get(ref, ref) for ref in step["in"]]
            if step["id"] in ids:
                replaced[step["id"]] = refs[0]
            else:
                steps.append({**copy.deepcopy(step), "in": refs})
        smaller = self.copy()
        smaller.steps = steps
        smaller.outputs = list(dict.fromkeys(replaced.get(ref, ref) for ref in self.outputs))
        return smaller


def build(recipe: Recipe) -> bytes:
    """The .tflite file of `recipe`; the same recipe gives the same bytes."""
    session = Session(recipe)
    for step in recipe.steps:
        session.apply(step)
    return session.finish()


class Session:
    """Applies steps one by one; `values` has what each gave."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.builder = ModelBuilder(recipe.seed)
        self.values: dict[int, tuple[Value, ...]] = {}
        self.skipped: set[int] = set()

    def value(self, ref: int) -> Value:
        """What step `ref` gave. Model inputs come into being when first read, so that none is unused."""
        if ref < 0 and ref not in self.values:
            self.values[ref] = (self.builder.input(self.recipe.inputs[-1 - ref]),)
        return self.values[ref][0]

    def apply(self, step: Step) -> Value:
        """Adds `step` to the model; where it isn't applicable, its first input takes its place."""
        inputs = [self.value(ref) for ref in step["in"]]
        self.builder.rng = np.random.default_rng([self.recipe.seed, step["id"]])
        checkpoint = self.builder.checkpoint()
        try:
            if step["op"] == "part":
                made: Value | tuple[Value, ...] = self._part(step)
            else:
                made = STEPS[step["op"]](self.builder, inputs, step)
            results = made if isinstance(made, tuple) else (made,)
            for result in results:
                _check_size(result)
        except NotApplicable:
            self.builder.restore(checkpoint)
            self.skipped.add(step["id"])
            results = (inputs[0],)
        self.values[step["id"]] = results
        return results[0]

    def _part(self, step: Step) -> Value:
        """Another output of a SPLIT than its first."""
        parts = self.values[step["in"][0]]
        return parts[step["index"] % len(parts)]

    def finish(self) -> bytes:
        recipe, builder = self.recipe, self.builder
        outputs = [v for v in dict.fromkeys(self.value(ref) for ref in recipe.outputs) if v not in builder.inputs]
        # A model needs an operator and an output: whatever is dropped, this much stays.
        builder.outputs = outputs or [builder.unary("RELU", self.value(-1))]
        if recipe.shuffle_operators is not None:
            builder.shuffle_operators(np.random.default_rng(recipe.shuffle_operators))
        if recipe.shuffle_tensors is not None:
            builder.shuffle_tensors(np.random.default_rng(recipe.shuffle_tensors))
        return builder.build(dynamic_batch=recipe.dynamic_batch)


def _check_size(value: Value) -> None:
    if min(value.shape, default=1) < 1 or int(np.prod(value.shape)) > MAX_ELEMENTS or value.shape[-1:] > (2048,):
        raise NotApplicable
    if value.rank == 4 and value.shape[3] > MAX_CHANNELS:
        raise NotApplicable


def _need(condition: bool) -> None:
    if not condition:
        raise NotApplicable


def _map_of(values: Sequence[Value]) -> Value:
    """The first input, which must be a map: rank 4."""
    _need(values[0].rank == 4)
    return values[0]


def _need_window(x: Value, step: Mapping[str, Any]) -> None:
    """TensorFlow refuses a VALID window that is larger than the map."""
    dilation = step.get("dilation", [1, 1])
    for size, kernel, d in zip(x.shape[1:3], step["kernel"], dilation, strict=True):
        _need(step.get("padding") == "SAME" or size >= (kernel - 1) * d + 1)


def _pairs(step: Mapping[str, Any], *names: str) -> dict[str, tuple[int, int]]:
    return {name: tuple(step[name]) for name in names if name in step}


def _chosen(step: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: step[name] for name in names if name in step}


def _conv2d(g: ModelBuilder, values: list[Value], step: Step) -> Value:
    x = _map_of(values)
    groups = step.get("groups", 1)
    _need(x.shape[3] % groups == 0 and step["filters"] % groups == 0)
    _need_window(x, step)
    zeros = zero_count(step.get("zeros", 0), step["filters"] * (x.shape[3] // groups) * int(np.prod(step["kernel"])))
    return g.conv2d(
        x,
        **_pairs(step, "kernel", "stride", "dilation"),
        **_chosen(step, "filters", "padding", "groups", "fused", "storage"),
        zeros=zeros,
    )


def zero_count(zeros: float | str, size: int) -> int:
    """How many of `size` weights are zero: a share, or `2/3-1`, `2/3`, `2/3+1` for the counts around two thirds."""
    if isinstance(zeros, str):
        return min(size, max(0, size * 2 // 3 + int(zeros[3:] or 0)))
    return round(zeros * size)


def _depthwise(g: ModelBuilder, values: list[Value], step: Step) -> Value:
    x = _map_of(values)
    _need_window(x, step)
    options = _chosen(step, "padding", "multiplier", "fused", "zeros", "storage")
    return g.depthwise(x, **_pairs(step, "kernel", "stride", "dilation"), **options)


def _fully_connected(g: ModelBuilder, values: list[Value], step: Step) -> Value:
    x = values[0]
    _need(1 <= x.rank <= 4 and int(np.prod(x.shape[:-1])) <= 1024 and x.shape[-1] <= 1024)
    _need(x.rank > 1)
    block = step.get("block", 1)
    _need(x.shape[-1] % block == 0)
    zeros = zero_count(step.get("zeros", 0), step["units"] * x.shape[-1] // block)
    chosen = _chosen(step, "keep_num_dims", "fused", "storage", "block")
    return g.fully_connected(x, step["units"], zeros=zeros, **chosen)


def _transpose_conv(g: ModelBuilder, values: list[Value], step: Step) -> Value:
    return g.transpose_conv(_map_of(values), step["filters"], tuple(step["kernel"]), tuple(step["stride"]))


def _pad(g: ModelBuilder, values: list[Value], step: Step) -> Value:
    amounts = [tuple(pair) for pair in step["amounts"]]
    x = values[0]
    _need(len(amounts) == x.rank)
    if step.get("code") == "MIRROR_PAD":
        _need(all(max(pair) < size for pair, size in zip(amounts, x.shape, strict=True)))
    return g.pad(x, amounts, step.get("code", "PAD"))


def _unary(g: ModelBuilder, values: list[Value], step: Step) -> Value:
    return apply_unary(g, step["code"], values[0], **_chosen(step, "alpha", "approximate"))


def _binary(g: ModelBuilder, values: list[Value], step: Step) -> Value:
    a, b = values
    return _two_operands(g, step, a, b)


def _two_operands(g: ModelBuilder, step: Step, a: Value, b: Value) -> Value:
    _need(a.rank <= 4 and b.rank <= 4)
    try:
        np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        raise NotApplicable from None
    code = step["code"]
    if code == "DIV":  # a divisor between 0.27 and 1 keeps the numbers in reach
        b = g.unary("EXP", g.unary("NEG", g.unary("LOGISTIC", b)))
    return g.binary(code, a, b, step.get("fused", "NONE"))


CONSTANT_SHAPES: dict[str, Callable[[tuple[int, ...]], tuple[int, ...]]] = {
    "scalar": lambda s: (),
    "1": lambda s: (1,),
    "c": lambda s: s[-1:],
    "1c": lambda s: (1, s[-1]),
    "11c": lambda s: (1, 1, s[-1]),
    "111c": lambda s: (1, 1, 1, s[-1]),
    "1111": lambda s: (1, 1, 1, 1),
    "1h11": lambda s: (1, s[1], 1, 1),
    "11w1": lambda s: (1, 1, s[2], 1),
    "1hw1": lambda s: (1, s[1], s[2], 1),
    "w1": lambda s: (s[2], 1),
    "hwc": lambda s: s[1:],
    "full": lambda s: s,
}


def _constant(g: ModelBuilder, values: list[Value], step: Step) -> Value:
    """A binary operator of a value and a constant."""
    x, kind = values[0], step["shape"]
    _need(x.rank == 4 or (x.rank > 0 and kind in ("scalar", "1", "c", "full")) or (x.rank > 1 and kind == "1c"))
    # A MAXIMUM above all of x, or a MINIMUM below, would leave nothing of x to see.
    low, high = {"MAXIMUM": (-0.4, 0.2), "MINIMUM": (0.4, 1.2)}.get(step["code"], (0.5, 1.5))
    constant = g.random_constant(CONSTANT_SHAPES[kind](x.shape), low, high)
    return _two_operands(g, step, *((constant, x) if step.get("first") else (x, constant)))


def _prelu(g: ModelBuilder, values: list[Value], step: Step) -> Value:
    x = _map_of(values)
    return g.prelu(x, g.random_constant(CONSTANT_SHAPES[step.get("shape", "11c")](x.shape), 0.1, 0.4))


def _reduce(g: ModelBuilder, values: list[Value], step: Step) -> Value:
    x = values[0]
    _need(x.rank > 0 and all(-x.rank <= axis < x.rank for axis in step["axes"]))
    result = g.reduce(step["code"], x, step["axes"], step["keep_dims"])
    _need(result.rank > 0)
    return result


RESHAPES: dict[str, Callable[[tuple[int, ...]], tuple[int, ...]]] = {
    "same": lambda s: s,
    "flat": lambda s: (s[0], -1),
    "row": lambda s: (1, -1),
    "pooled": lambda s: (s[0], 1, 1, -1),
    "swap_hw": lambda s: (s[0], s[2], s[1], s[3]),
    "merge_hw": lambda s: (s[0], s[1] * s[2], s[3]),
    "one_row": lambda s: (s[0], 1, s[1] * s[2], s[3]),
    "rank_5": lambda s: (s[0], 1, s[1], s[2], s[3]),
}


def _reshape(g: ModelBuilder, values: list[Value], step: Step) -> Value:
    x, kind = values[0], step["to"]
    _need(x.rank == 4 or (x.rank > 0 and kind in ("same", "flat", "row", "pooled")))
    return g.reshape(x, RESHAPES[kind](x.shape))


def _squeeze(g: ModelBuilder, values: list[Value], step: Step) -> Value:
    x = values[0]
    axes = [i for i, size in enumerate(x.shape) if size == 1 and i in step["axes"]]
    _need(bool(axes) and len(axes) < x.rank)
    return g.squeeze(x, axes)


def _transpose(g: ModelBuilder, values: list[Value], step: Step) -> Value:
    _need(values[0].rank == len(step["order"]))
    return g.transpose(values[0], step["order"])


def _slice(g: ModelBuilder, values: list[Value], step: Step) -> Value:
    """Cuts `cut` (before, after) off each dimension."""
    x = values[0]
    _need(x.rank == len(step["cut"]))
    sizes = [size - before - after for size, (before, after) in zip(x.shape, step["cut"], strict=True)]
    _need(min(sizes) > 0)
    return g.slice(x, [before for before, _ in step["cut"]], sizes)


def _strided_slice(g: ModelBuilder, values: list[Value], step: Step) -> Value:
    x = values[0]
    _need(x.rank == len(step["strides"]))
    return g.strided_slice(x, [0] * x.rank, x.shape, step["strides"])


def _split(g: ModelBuilder, values: list[Value], step: Step) -> tuple[Value, ...]:
    x, axis = values[0], step["axis"]
    _need(axis < x.rank and x.shape[axis] % step["parts"] == 0)
    return g.split(x, step["parts"], axis)


def _concat(g: ModelBuilder, values: list[Value], step: Step) -> Value:
    axis = step["axis"]
    _need(all(v.rank == values[0].rank for v in values) and axis < values[0].rank)
    _need(len({(*v.shape[:axis], *v.shape[axis + 1 :]) for v in values}) == 1)
    return g.concat(values, axis)


def _pool(g: ModelBuilder, values: list[Value], step: Step) -> Value:
    x = _map_of(values)
    if step.get("global"):
        return g.pool(step["code"], x, (x.shape[1], x.shape[2]))
    _need_window(x, step)
    options = _chosen(step, "padding", "fused")
    return g.pool(step["code"], x, tuple(step["kernel"]), tuple(step["stride"]), **options)


def _resize(g: ModelBuilder, values: list[Value], step: Step) -> Value:
    """To `factor` times the size plus `plus`, or to the size of a second value."""
    x = _map_of(values)
    if len(values) > 1:
        _need(values[1].rank == 4)
        height, width = values[1].shape[1:3]
    else:
        (fh, fw), (ph, pw) = step["factor"], step["plus"]
        height, width = max(1, round(x.shape[1] * fh) + ph), max(1, round(x.shape[2] * fw) + pw)
    return g.resize_bilinear(x, height, width, **_chosen(step, "align_corners", "half_pixel", "code"))


def _depth_to_space(g: ModelBuilder, values: list[Value], step: Step) -> Value:
    x, block = _map_of(values), step["block"]
    _need(x.shape[3] % block**2 == 0)
    return g.depth_to_space(x, block)


def _space_to_depth(g: ModelBuilder, values: list[Value], step: Step) -> Value:
    x, block = _map_of(values), step["block"]
    _need(x.shape[1] % block == 0 and x.shape[2] % block == 0)
    return g.space_to_depth(x, block)


def _softmax(g: ModelBuilder, values: list[Value], step: Step) -> Value:
    _need(1 <= values[0].rank <= 4)
    return g.softmax(values[0], step.get("beta", 1.0))


def _refused(g: ModelBuilder, values: list[Value], step: Step) -> Value:
    x = _map_of(values)
    if step["what"] == "squeeze_expand":
        _need(x.shape[0] == 1)
    if step["what"] == "mirror_pad":
        _need(x.shape[1] > 1 and x.shape[2] > 1)
    return REFUSED[step["what"]].part(g, x)


def _quantize(g: ModelBuilder, values: list[Value], step: Step) -> Value:
    """QUANTIZE to int8 and DEQUANTIZE again, and with `filters` an int8 1x1 convolution between."""
    x = g.quantize(_map_of(values), 0.05)
    if "filters" in step:
        zeros = zero_count(step["zeros"], step["filters"] * x.shape[3])
        x = g.conv2d(x, step["filters"], zeros=zeros, storage=step["storage"], fused=step["fused"])
    return g.dequantize(x)


STEPS: dict[str, Callable[[ModelBuilder, list[Value], Step], Value | tuple[Value, ...]]] = {
    "conv2d": _conv2d,
    "depthwise": _depthwise,
    "fully_connected": _fully_connected,
    "transpose_conv": _transpose_conv,
    "pad": _pad,
    "unary": _unary,
    "binary": _binary,
    "constant": _constant,
    "prelu": _prelu,
    "reduce": _reduce,
    "reshape": _reshape,
    "squeeze": _squeeze,
    "transpose": _transpose,
    "slice": _slice,
    "strided_slice": _strided_slice,
    "split": _split,
    "concat": _concat,
    "pool": _pool,
    "resize": _resize,
    "depth_to_space": _depth_to_space,
    "space_to_depth": _space_to_depth,
    "softmax": _softmax,
    "refused": _refused,
    "quantize": _quantize,
}
