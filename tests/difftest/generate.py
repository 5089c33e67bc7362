"""Random small CNNs, the same for the same seed.

Most are what people build (a stem, blocks, a head) with up to three odd ingredients: many are then live sparse
clusters whose edge lies in an unusual place. Some are nearly random. Heights, widths and channel counts mostly differ,
since equal ones hide layout errors.
"""

from __future__ import annotations

from typing import Any

from tests.difftest.ingredients import BLOCKS, HEADS, ODDITIES
from tests.difftest.recipe import Recipe, build
from tests.difftest.writer import CHANNELS, FUSED, SIZES, Writer


def random_recipe(seed: int) -> Recipe:
    """The recipe of graph number `seed`."""
    writer = Writer(seed)
    if writer.chance(0.14):
        _wild(writer)
    else:
        _network(writer)
    return writer.finish()


def random_model(seed: int) -> tuple[bytes, Recipe]:
    """Graph number `seed` as a .tflite file, and its recipe."""
    recipe = random_recipe(seed)
    return build(recipe), recipe


def _network(w: Writer) -> None:
    x = _stem(w)
    if w.chance(0.07):
        x = _join(w, x, _stem(w))
    odd = w.choice([(0, 22), (1, 40), (2, 25), (3, 13)])
    blocks = w.choice([(1, 20), (2, 45), (3, 25), (4, 10)])
    if w.chance(0.6):
        x = w.depthwise(x)
    x = w.pointwise(x)
    oddities = sorted(w.rng.randrange(blocks + 1) for _ in range(odd))
    for number in range(blocks):
        for _ in range(oddities.count(number)):
            x = w.choice(ODDITIES)(w, x)
        x = w.choice(BLOCKS)(w, x)
    for _ in range(oddities.count(blocks)):
        x = w.choice(ODDITIES)(w, x)
        if w.chance(0.6):  # an oddity next to the head often keeps the whole partition dense
            x = w.pointwise(x)
    w.choice(HEADS)(w, x)


def _stem(w: Writer) -> int:
    height, width = w.rng.sample(SIZES, 2)
    channels = w.choice([(3, 98), (1, 0.5), (4, 1), (6, 0.5)])
    x = w.input((2 if w.chance(0.03) else 1, height, width, channels))
    if w.chance(0.1):
        x = w.add("constant", x, code=w.pick(("MUL", "SUB", "ADD")), shape=w.pick(("scalar", "c", "111c")))
    options: dict[str, Any] = {"filters": w.pick(CHANNELS), "kernel": [3, 3], "stride": [2, 2], "fused": w.pick(FUSED)}
    kind = w.choice(
        [("good", 95), ("same", 1.5), ("none", 1), ("uneven", 0.7), ("stride 1", 0.5), ("5x5", 0.5), ("missing", 1)]
    )
    if kind == "missing":
        return w.pointwise(x)
    if kind == "5x5":
        options["kernel"] = [5, 5]
        x = w.padded(x, 2)
    elif kind == "uneven":
        x = w.padded(x, 0, 1)
    elif kind in ("good", "stride 1"):
        x = w.padded(x, 1)
    if kind == "stride 1":
        options["stride"] = [1, 1]
    if w.chance(0.1):
        options |= {"storage": w.storage(), "zeros": w.pick((0.3, 0.5))}
    x = w.add("conv2d", x, padding="SAME" if kind == "same" else "VALID", **options)
    if w.chance(0.15):
        x = w.unary(w.pick(("HARD_SWISH", "RELU6", "TANH", "LEAKY_RELU")), x)
    return x


def _join(w: Writer, x: int, y: int) -> int:
    """Adds two stems, the second resized and projected to the first's shape."""
    y = w.pointwise(y, w.channels(x))
    y = w.add("resize", [y, x], half_pixel=True)
    return w.add("binary", [x, w.add("resize", [y, x])], code="ADD")


# -- nearly random networks ----------------------------------------------------------------------------------


def _wild(w: Writer) -> None:
    """Blocks and oddities in any order, each reading any earlier map."""
    refs = [_stem(w)]
    if w.chance(0.2):
        refs.append(_stem(w))
    for _ in range(w.rng.randint(3, 8)):
        x = refs[-1] if w.chance(0.65) else w.pick(refs)
        parts = BLOCKS if w.chance(0.5) else ODDITIES
        refs.append(w.choice(parts)(w, x))
    for _ in range(w.choice([(1, 6), (2, 3), (3, 1)])):
        w.choice(HEADS)(w, refs[-1] if w.chance(0.6) else w.pick(refs))
