from __future__ import annotations

from tests.rules.case_parts import PLAIN, Head, Pair, dense_head, flatten, head
from xnnlint.modelbuilder.builder import ModelBuilder, Value
from xnnlint.modelbuilder.building_blocks import Middle


def _classifier(between: Middle, zeros: float = 0.8, filters: int = 6) -> Head:
    """A pooling with keepdims, something, and a 1x1 convolution as classifier."""

    def part(g: ModelBuilder, x: Value) -> None:
        y = between(g, g.mean(x, keep_dims=True))
        storage = "sparse" if zeros else "dense"
        g.output(g.conv2d(y, filters, zeros=zeros, storage=storage, name="classifier"))

    return part


PAIRS = [
    Pair(
        "XNN601 pruned classifier",
        head(_classifier(lambda g, x: x)),
        head(_classifier(flatten)),
        "fails",
        "MEAN",
        "classifier",
        "Flatten directly behind it, and a Dense layer of the same weights in the place of classifier",
    ),
    Pair(
        "XNN601 dense classifier",
        head(_classifier(lambda g, x: x, 0.0, 96)),
        head(_classifier(flatten, 0.0, 96)),
        "dense",
        "MEAN",
        "classifier",
        "Flatten directly behind it, and a Dense layer of the same weights in the place of classifier",
    ),
    Pair(
        "XNN601 softmax",
        head(lambda g, x: g.output(g.softmax(g.mean(x, keep_dims=True)))),
        head(lambda g, x: g.output(g.softmax(flatten(g, g.mean(x, keep_dims=True))))),
        "wrong-results",
        "MEAN",
        "softmax",
        "Reshape or Flatten directly behind it",
    ),
    Pair(
        "XNN601 without keepdims",
        PLAIN,
        head(dense_head("dense", keep_dims=True)),
        "sparse",
        "MEAN",
        "keepdims=False",
        "keepdims=True",
        unlocks=False,
    ),
    Pair(
        "XNN601 oldest runtime",
        head(dense_head("dense")),
        head(dense_head("dense", keep_dims=True)),
        "dense",
        "MEAN",
        "keepdims=False",
        "keepdims=True",
        runtime="tf-2.4",
    ),
]
