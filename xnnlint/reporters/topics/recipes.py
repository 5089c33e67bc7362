"""Ways to write, before training, what no change of a trained model can mend; each with small models that prove it.

The models are what tests/reporters/test_recipes.py runs in the real runtime: the usual form runs dense, the recipe's
runs every 1x1 convolution as SpMM and is right.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from xnnlint.modelbuilder.builder import ModelBuilder
from xnnlint.modelbuilder.building_blocks import pruned, stem, tail, trunk
from xnnlint.modelbuilder.modelfile import Value

_CLASSES = 3
_ANCHORS = 4
Fill = Callable[[ModelBuilder], None]


class Recipe(Struct, frozen=True):
    """One of them.

    Attributes:
        name: what the model has, in kebab case.
        text: what to do, in Markdown.
        code: the layers in Keras's notation.
        usual: writes the usual form, with weights that are pruned and stored sparse.
        fill: writes the recipe's.
        spmm: how many operators run SpMM in the recipe's model: all of its 1x1 convolutions.
    """

    name: str
    text: str
    code: str
    usual: Fill
    fill: Fill
    spmm: int

    def build(self, usual: bool = False) -> bytes:
        """The bytes of its model, or of the usual one."""
        g = ModelBuilder(1)
        (self.usual if usual else self.fill)(g)
        return g.build()


# --- heads -----------------------------------------------------------------------------------------------------------


def _map_out(g: ModelBuilder) -> None:
    g.output(pruned(g, trunk(g), _CLASSES, "NONE"))


def _blocks_out(g: ModelBuilder) -> None:
    g.output(g.depth_to_space(pruned(g, trunk(g), _CLASSES * 4, "NONE")))


def _detector(g: ModelBuilder, head: Callable[[ModelBuilder, Value, int], Value]) -> None:
    """Boxes and scores from two maps, `head(builder, map, values of an anchor)` for each of them."""
    fine = trunk(g)
    coarse = pruned(g, g.depthwise(g.pad(fine), 3, 2, "VALID", fused="RELU"), 32)
    for values in (4, _CLASSES):
        g.output(g.concat([head(g, x, values) for x in (fine, coarse)], axis=1))


def _anchors(g: ModelBuilder, x: Value, values: int) -> Value:
    return g.reshape(pruned(g, x, _ANCHORS * values, "NONE"), (1, -1, values))


def _anchors_in_blocks(g: ModelBuilder, x: Value, values: int) -> Value:
    return g.reshape(g.depth_to_space(pruned(g, x, _ANCHORS * values, "NONE")), (1, -1, values))


def _flattened_pose(g: ModelBuilder) -> None:
    x = trunk(g)
    small = pruned(g, g.depthwise(g.pad(x), 3, 2, "VALID", fused="RELU"), 32)
    g.output(pruned(g, x, 17, "NONE"), g.fully_connected(g.reshape(small, (1, 6 * 10 * 32)), 34))


def _pooled_pose(g: ModelBuilder) -> None:
    x = trunk(g)
    small = pruned(g, g.depthwise(g.pad(x), 3, 2, "VALID", fused="RELU"), 32)
    landmarks = g.fully_connected(g.reshape(g.mean(small, keep_dims=True), (1, 32)), 34)
    g.output(g.depth_to_space(pruned(g, x, 17 * 4, "NONE")), landmarks)


# --- stems -----------------------------------------------------------------------------------------------------------


def _body(g: ModelBuilder, x: Value) -> None:
    """Two separable convolutions and a classifier: 2 SpMM."""
    for _ in range(2):
        x = pruned(g, g.depthwise(x, fused="RELU"), 16)
    tail(g, x)


def _stem(g: ModelBuilder, image: Value) -> Value:
    return g.conv2d(g.pad(image), 16, 3, 2, fused="RELU")


def _grey(g: ModelBuilder) -> None:
    _body(g, _stem(g, g.input((1, 24, 40, 1))))


def _grey_copies(g: ModelBuilder) -> None:
    _body(g, _stem(g, g.concat([g.input((1, 24, 40, 1))] * 3)))


def _large_kernel(g: ModelBuilder) -> None:
    _body(g, g.conv2d(g.input((1, 24, 40, 3)), 16, 7, 2, "SAME", fused="RELU"))


def _large_kernel_split(g: ModelBuilder) -> None:
    x = g.depthwise(stem(g, filters=16), 5, fused="RELU")
    _body(g, pruned(g, x, 16))


def _patches(g: ModelBuilder) -> None:
    _body(g, g.conv2d(g.input((1, 48, 80, 3)), 16, 4, 4, fused="RELU"))


def _two_halvings(g: ModelBuilder) -> None:
    x = g.depthwise(g.pad(stem(g, 48, 80, 16)), 3, 2, "VALID", fused="RELU")
    _body(g, pruned(g, x, 16))


def _stride_1(g: ModelBuilder) -> None:
    _body(g, g.conv2d(g.input((1, 24, 40, 3)), 16, 3, 1, "SAME", fused="RELU"))


def _doubled_image(g: ModelBuilder) -> None:
    _body(g, _stem(g, g.resize_bilinear(g.input((1, 24, 40, 3)), 48, 80)))


RECIPES = (
    Recipe(
        "segmentation-head",
        """\
The output is a map: segmentation, depth, matting, super-resolution. A map alone never ends a cluster (XNN201, XNN202).
Compute four times the channels with the last 1x1 convolution, on a map of half the size that is wanted, and let
DEPTH_TO_SPACE put them in place. It takes the place of the last upsampling, and holds for one channel (a mask), too.
Softmax and argmax belong behind it.""",
        """\
x = layers.Conv2D(classes * 4, 1)(x)
mask = tf.nn.depth_to_space(x, 2)""",
        _map_out,
        _blocks_out,
        2,
    ),
    Recipe(
        "detection-heads",
        """\
SSD and other detectors: several heads on maps of several sizes, reshaped and concatenated. Every head needs an
exit of its own; one without it can make the results wrong (XNN201, XNN901). With DEPTH_TO_SPACE in front of the
Reshape, a cell of four anchors becomes a block of 2x2 cells of one anchor: as many channels and as many boxes as
before, in another order. Order the anchors in training in the same way. Another number of anchors does as well, where
4 divides the channels. Reshape, Concatenate and sigmoid belong behind the exits.""",
        """\
def head(x, values):  # of each anchor: 4 for boxes, else the number of classes
    x = layers.Conv2D(4 * values, 1)(x)
    return layers.Reshape((-1, values))(tf.nn.depth_to_space(x, 2))


boxes = layers.Concatenate(axis=1)([head(fine, 4), head(coarse, 4)])
scores = layers.Concatenate(axis=1)([head(fine, classes), head(coarse, classes)])""",
        lambda g: _detector(g, _anchors),
        lambda g: _detector(g, _anchors_in_blocks),
        6,
    ),
    Recipe(
        "pose-heads",
        """\
Heatmaps and coordinates from one trunk. Heatmaps leave through DEPTH_TO_SPACE, as above; coordinates through a pooling
over height and width, not through a Flatten of the map.""",
        """\
heatmaps = tf.nn.depth_to_space(layers.Conv2D(joints * 4, 1)(x), 2)
pooled = layers.GlobalAveragePooling2D(keepdims=True)(small)
coordinates = layers.Dense(joints * 2)(layers.Flatten()(pooled))""",
        _flattened_pose,
        _pooled_pose,
        3,
    ),
    Recipe(
        "grey-scale-stem",
        """\
An image of one channel: the kernel that enters NCHW takes $channels, no other number (XNN101). Feed the image three
times, in the model as here or, for less time, in what prepares the input. A trained first kernel can be kept: its
weights for the first copy, zeros for the others. In a file that has stride $stride already, `xnnlint fix` does it.""",
        """\
x = layers.Concatenate()([grey, grey, grey])
x = layers.ZeroPadding2D($pad)(x)
x = layers.Conv2D(32, $kernel, strides=$stride, padding="valid")(x)""",
        _grey,
        _grey_copies,
        2,
    ),
    Recipe(
        "large-stem-kernel",
        """\
A first convolution of 7x7 or 5x5 (ResNet, Inception). Enter by ${kernel}x$kernel, and see as far with a 5x5 depthwise
convolution behind it: together 11x11 pixels of the image.""",
        """\
x = layers.ZeroPadding2D($pad)(image)
x = layers.Conv2D(32, $kernel, strides=$stride, padding="valid")(x)
x = layers.DepthwiseConv2D(5, padding="same")(x)
x = layers.Conv2D(64, 1)(x)""",
        _large_kernel,
        _large_kernel_split,
        3,
    ),
    Recipe(
        "patch-stem",
        """\
A first convolution of stride 4 (patches, as in ConvNeXt). Halve twice: by the stem, and by a depthwise convolution.""",
        """\
x = layers.ZeroPadding2D($pad)(image)
x = layers.Conv2D(32, $kernel, strides=$stride, padding="valid")(x)
x = layers.ZeroPadding2D(1)(x)
x = layers.DepthwiseConv2D(3, strides=2, padding="valid")(x)
x = layers.Conv2D(64, 1)(x)""",
        _patches,
        _two_halvings,
        3,
    ),
    Recipe(
        "stem-of-stride-1",
        """\
A first convolution of stride 1 (networks for small images). Double the image's height and width, in the model as here
or in what prepares the input: behind a stem of stride $stride the maps are as large as before.""",
        """\
x = layers.UpSampling2D(2, interpolation="bilinear")(image)
x = layers.ZeroPadding2D($pad)(x)
x = layers.Conv2D(32, $kernel, strides=$stride, padding="valid")(x)""",
        _stride_1,
        _doubled_image,
        2,
    ),
)
