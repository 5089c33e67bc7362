"""Networks as torchvision and mobile projects write them, pruned, and exported by litert-torch.

    python benchmarks/torch_networks.py FOLDER [NAME...] [--layout nchw nhwc onnx]

Each is written by hand (no weights are fetched), its 1x1 convolutions are pruned to 80% zeros by torch.nn.utils.prune,
its batch norms see some random images, and litert-torch exports it twice: as it is, with an image in NCHW (to
NAME.nchw.tflite), and with to_channel_last_io (NAME.nhwc.tflite). `benchmarks/fix_by_time.py FOLDER` then says what
fixes make of them. `--layout onnx` writes NAME.onnx for onnx2tf instead, and needs the package onnx. Needs the extra
`torch`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import prune

SHARE = 0.8
Made = tuple[nn.Module, tuple[int, ...]]
NETWORKS: dict[str, Callable[[], Made]] = {}


def network(
    size: int | tuple[int, int], channels: int = 3
) -> Callable[[Callable[[], nn.Module]], Callable[[], nn.Module]]:
    """Registers a network for square images of this size, or of a height and a width."""
    sides = (size, size) if isinstance(size, int) else size

    def register(build: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
        NETWORKS[build.__name__] = lambda: (build(), (1, channels, *sides))
        return build

    return register


# Blocks


def conv(
    inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1, act: type[nn.Module] | None = nn.ReLU
) -> nn.Sequential:
    """Convolution, batch norm and activation, padded alike on all sides."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, *([act()] if act is not None else []))


def separable(inputs: int, outputs: int, stride: int = 1, act: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """Depthwise, then 1x1."""
    return nn.Sequential(conv(inputs, inputs, 3, stride, inputs, act), conv(inputs, outputs, act=act))


class Excite(nn.Module):
    """Squeeze-and-excite, by convolutions of the pooled map or by nn.Linear."""

    def __init__(
        self, channels: int, inner: int, gate: type[nn.Module] = nn.Hardsigmoid, *, linear: bool = False
    ) -> None:
        super().__init__()
        self.linear = linear
        one, two = (
            (nn.Linear(channels, inner), nn.Linear(inner, channels))
            if linear
            else (nn.Conv2d(channels, inner, 1), nn.Conv2d(inner, channels, 1))
        )
        self.layers = nn.Sequential(one, nn.ReLU(), two, gate())

    def forward(self, x: Tensor) -> Tensor:
        pooled = F.adaptive_avg_pool2d(x, 1)
        gate: Tensor = self.layers(pooled.flatten(1) if self.linear else pooled)
        return x * (gate[:, :, None, None] if self.linear else gate)


class Inverted(nn.Module):
    """Expand, depthwise, excite, project; with a shortcut where it fits."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: int = 1,
        expand: float = 6,
        kernel: int = 3,
        act: type[nn.Module] = nn.ReLU6,
        excite: Callable[[int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        inner = int(inputs * expand)
        layers: list[nn.Module] = [conv(inputs, inner, act=act)] if expand != 1 else []
        layers.append(conv(inner, inner, kernel, stride, inner, act))
        if excite is not None:
            layers.append(excite(inner))
        self.layers = nn.Sequential(*layers, conv(inner, outputs, act=None))
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self.shortcut else y


class Classifier(nn.Module):
    """Features, the mean of the map, and a linear layer."""

    def __init__(self, features: nn.Module, channels: int, classes: int = 100, head: nn.Module | None = None) -> None:
        super().__init__()
        self.features, self.head = features, head or nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.adaptive_avg_pool2d(self.features(x), 1).flatten(1))  # type: ignore[no-any-return]


def inverted_stages(
    rows: list[tuple[float, int, int, int, int]],
    inputs: int,
    act: type[nn.Module] = nn.ReLU6,
    excite: Callable[[int], nn.Module] | None = None,
) -> list[nn.Module]:
    """Rows of (expansion, channels, blocks, stride, kernel)."""
    layers: list[nn.Module] = []
    for expand, channels, count, stride, kernel in rows:
        for index in range(count):
            layers.append(Inverted(inputs, channels, stride if not index else 1, expand, kernel, act, excite))
            inputs = channels
    return layers


# Classification

MOBILENET_V2 = [
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 32, 3, 2, 3),
    (6, 64, 4, 2, 3),
    (6, 96, 3, 1, 3),
    (6, 160, 3, 2, 3),
    (6, 320, 1, 1, 3),
]
EFFICIENTNET = [
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
]
MNASNET = [
    (3, 24, 3, 2, 3),
    (3, 40, 3, 2, 5),
    (6, 80, 3, 2, 5),
    (6, 96, 2, 1, 3),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
]


@network(160)
def mobilenet_v1() -> nn.Module:
    plan = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    layers, inputs = [conv(3, 32, 3, 2)], 32
    for channels, stride in plan:
        layers.append(separable(inputs, channels, stride))
        inputs = channels
    return Classifier(nn.Sequential(*layers), inputs)


def _mobilenet_v2(act: type[nn.Module] = nn.ReLU6) -> nn.Module:
    stages = inverted_stages(MOBILENET_V2, 32, act)
    return Classifier(nn.Sequential(conv(3, 32, 3, 2, act=act), *stages, conv(320, 1280, act=act)), 1280)


@network(160)
def mobilenet_v2() -> nn.Module:
    return _mobilenet_v2()


@network(160)
def mobilenet_v2_elu() -> nn.Module:
    return _mobilenet_v2(nn.ELU)


@network(160)
def mobilenet_v2_mish() -> nn.Module:
    return _mobilenet_v2(nn.Mish)


# Of each block of MobileNetV3: kernel, inner channels, outputs, whether it excites, whether by Hardswish, stride.
V3_LARGE = [
    (3, 16, 16, 0, 0, 1),
    (3, 64, 24, 0, 0, 2),
    (3, 72, 24, 0, 0, 1),
    (5, 72, 40, 1, 0, 2),
    (5, 120, 40, 1, 0, 1),
    (5, 120, 40, 1, 0, 1),
    (3, 240, 80, 0, 1, 2),
    (3, 200, 80, 0, 1, 1),
    (3, 184, 80, 0, 1, 1),
    (3, 184, 80, 0, 1, 1),
    (3, 480, 112, 1, 1, 1),
    (3, 672, 112, 1, 1, 1),
    (5, 672, 160, 1, 1, 2),
    (5, 960, 160, 1, 1, 1),
    (5, 960, 160, 1, 1, 1),
]
V3_SMALL = [
    (3, 16, 16, 1, 0, 2),
    (3, 72, 24, 0, 0, 2),
    (3, 88, 24, 0, 0, 1),
    (5, 96, 40, 1, 1, 2),
    (5, 240, 40, 1, 1, 1),
    (5, 240, 40, 1, 1, 1),
    (5, 120, 48, 1, 1, 1),
    (5, 144, 48, 1, 1, 1),
    (5, 288, 96, 1, 1, 2),
    (5, 576, 96, 1, 1, 1),
    (5, 576, 96, 1, 1, 1),
]


def _mobilenet_v3(rows: list[tuple[int, ...]], last: int, *, linear: bool = False) -> nn.Module:
    layers, inputs = [conv(3, 16, 3, 2, act=nn.Hardswish)], 16
    for kernel, inner, outputs, excites, swishes, stride in rows:
        act = nn.Hardswish if swishes else nn.ReLU
        excite = (lambda channels: Excite(channels, max(8, channels // 4), linear=linear)) if excites else None
        layers.append(Inverted(inputs, outputs, stride, inner / inputs, kernel, act, excite))
        inputs = outputs
    layers.append(conv(inputs, last, act=nn.Hardswish))
    head = nn.Sequential(nn.Linear(last, 1024), nn.Hardswish(), nn.Linear(1024, 100))
    return Classifier(nn.Sequential(*layers), last, head=head)


@network(160)
def mobilenet_v3_large() -> nn.Module:
    return _mobilenet_v3(V3_LARGE, 960)


@network(160)
def mobilenet_v3_small() -> nn.Module:
    return _mobilenet_v3(V3_SMALL, 576)


@network(160)
def mobilenet_v3_linear() -> nn.Module:
    return _mobilenet_v3(V3_LARGE, 960, linear=True)


@network(160)
def efficientnet_lite0() -> nn.Module:
    stages = inverted_stages(EFFICIENTNET, 32)
    return Classifier(nn.Sequential(conv(3, 32, 3, 2, act=nn.ReLU6), *stages, conv(320, 1280, act=nn.ReLU6)), 1280)


@network(160)
def efficientnet_b0() -> nn.Module:
    stages = inverted_stages(EFFICIENTNET, 32, nn.SiLU, lambda channels: Excite(channels, channels // 24, nn.Sigmoid))
    return Classifier(nn.Sequential(conv(3, 32, 3, 2, act=nn.SiLU), *stages, conv(320, 1280, act=nn.SiLU)), 1280)


@network(160)
def mnasnet() -> nn.Module:
    layers = [conv(3, 32, 3, 2), conv(32, 32, 3, 1, 32), conv(32, 16, act=None)]
    stages = inverted_stages(MNASNET, 16, nn.ReLU)
    return Classifier(nn.Sequential(*layers, *stages, conv(320, 1280)), 1280)


class ShuffleUnit(nn.Module):
    """ShuffleNetV2's: half of the channels passes, or both branches halve the map; then channels are shuffled."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        half = outputs // 2
        self.stride = stride
        entering = inputs if stride > 1 else half
        self.one = (
            nn.Sequential(conv(inputs, inputs, 3, stride, inputs, None), conv(inputs, half))
            if stride > 1
            else nn.Identity()
        )
        self.two = nn.Sequential(conv(entering, half), conv(half, half, 3, stride, half, None), conv(half, half))

    def forward(self, x: Tensor) -> Tensor:
        first, second = (x, x) if self.stride > 1 else x.chunk(2, dim=1)
        y = torch.cat((self.one(first), self.two(second)), dim=1)
        batch, channels, height, width = y.shape
        y = y.view(batch, 2, channels // 2, height, width)
        return torch.transpose(y, 1, 2).contiguous().view(batch, channels, height, width)


@network(160)
def shufflenet_v2() -> nn.Module:
    layers, inputs = [conv(3, 24, 3, 2), nn.MaxPool2d(3, 2, 1)], 24
    for channels, count in ((116, 4), (232, 8), (464, 4)):
        for index in range(count):
            layers.append(ShuffleUnit(inputs, channels, 1 if index else 2))
            inputs = channels
    return Classifier(nn.Sequential(*layers, conv(inputs, 1024)), 1024)


class Fire(nn.Module):
    """SqueezeNet's."""

    def __init__(self, inputs: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Sequential(nn.Conv2d(inputs, squeezed, 1), nn.ReLU())
        self.one = nn.Sequential(nn.Conv2d(squeezed, expanded, 1), nn.ReLU())
        self.three = nn.Sequential(nn.Conv2d(squeezed, expanded, 3, padding=1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze(x)
        return torch.cat((self.one(x), self.three(x)), 1)


@network(160)
def squeezenet() -> nn.Module:
    pool = nn.MaxPool2d(3, 2, ceil_mode=True)
    fires = [Fire(64, 16, 64), Fire(128, 16, 64), pool, Fire(128, 32, 128), Fire(256, 32, 128), pool]
    fires += [Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256), Fire(512, 64, 256)]
    stem = [nn.Conv2d(3, 64, 3, 2), nn.ReLU(), pool]
    return Classifier(nn.Sequential(*stem, *fires, nn.Conv2d(512, 100, 1), nn.ReLU()), 100, head=nn.Identity())


class Residual(nn.Module):
    """ResNet's block, of two 3x3 or as a bottleneck, and RegNet's, with groups."""

    def __init__(self, inputs: int, inner: int, outputs: int, stride: int, groups: int = 0) -> None:
        super().__init__()
        narrow = [conv(inputs, inner, 3, stride), conv(inner, outputs, 3, act=None)]
        middle = conv(inner, inner, 3, stride, max(groups, 1))
        bottleneck = [conv(inputs, inner), middle, conv(inner, outputs, act=None)]
        self.layers = nn.Sequential(*(bottleneck if groups else narrow))
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else conv(inputs, outputs, 1, stride, act=None)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.layers(x) + self.shortcut(x))


@network(128)
def resnet18() -> nn.Module:
    layers, inputs = [conv(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1)], 64
    for channels, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        layers += [Residual(inputs, channels, channels, stride), Residual(channels, channels, channels, 1)]
        inputs = channels
    return Classifier(nn.Sequential(*layers), 512)


@network(128)
def resnet_bottleneck() -> nn.Module:
    layers, inputs = [conv(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1)], 64
    for channels, count, stride in ((64, 2, 1), (128, 2, 2), (256, 2, 2)):
        for index in range(count):
            layers.append(Residual(inputs, channels, channels * 4, 1 if index else stride, 1))
            inputs = channels * 4
    return Classifier(nn.Sequential(*layers), inputs)


@network(160)
def regnet() -> nn.Module:
    layers, inputs = [conv(3, 32, 3, 2)], 32
    for channels, count in ((48, 1), (104, 2), (208, 4)):
        for index in range(count):
            layers.append(Residual(inputs, channels, channels, 1 if index else 2, channels // 8))
            inputs = channels
    return Classifier(nn.Sequential(*layers), inputs)


class DenseLayer(nn.Module):
    """DenseNet's: norm and activation before each convolution, and its maps beside those that came in."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.BatchNorm2d(inputs), nn.ReLU(), conv(inputs, 4 * growth), nn.Conv2d(4 * growth, growth, 3, padding=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((x, self.layers(x)), 1)


@network(96)
def densenet() -> nn.Module:
    layers, channels, growth = [conv(3, 48, 7, 2), nn.MaxPool2d(3, 2, 1)], 48, 24
    for count in (4, 6, 6):
        for _ in range(count):
            layers.append(DenseLayer(channels, growth))
            channels += growth
        layers += [nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, channels // 2, 1), nn.AvgPool2d(2)]
        channels //= 2
    return Classifier(nn.Sequential(*layers), channels)


def _grouped(inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [layer, nn.GroupNorm(8, outputs), nn.ReLU()]


@network(96)
def groupnorm() -> nn.Module:
    """Separable convolutions, as those write them who train with small batches."""
    layers, inputs = _grouped(3, 32, 3, 2), 32
    for channels, stride in ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1)):
        layers += [*_grouped(inputs, inputs, 3, stride, inputs), *_grouped(inputs, channels)]
        inputs = channels
    return Classifier(nn.Sequential(*layers), inputs)


class Ghost(nn.Module):
    """GhostNet's: a 1x1 makes half of the maps, a depthwise convolution of those the other half."""

    def __init__(self, inputs: int, outputs: int, act: type[nn.Module] | None = nn.ReLU) -> None:
        super().__init__()
        half = outputs // 2
        self.primary, self.cheap = conv(inputs, half, act=act), conv(half, half, 3, 1, half, act)

    def forward(self, x: Tensor) -> Tensor:
        y = self.primary(x)
        return torch.cat((y, self.cheap(y)), 1)


class GhostBlock(nn.Module):
    """Two of them, with what halves the map and what excites in between."""

    def __init__(self, inputs: int, inner: int, outputs: int, kernel: int, stride: int, excites: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [Ghost(inputs, inner)]
        layers += [conv(inner, inner, kernel, stride, inner, None)] if stride > 1 else []
        layers += [Excite(inner, inner // 4)] if excites else []
        self.layers = nn.Sequential(*layers, Ghost(inner, outputs, None))
        same = stride == 1 and inputs == outputs
        passed = [conv(inputs, inputs, kernel, stride, inputs, None), conv(inputs, outputs, act=None)]
        self.shortcut = nn.Identity() if same else nn.Sequential(*passed)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x) + self.shortcut(x)  # type: ignore[no-any-return]


@network(128)
def ghostnet() -> nn.Module:
    rows = [(16, 16, 3, 1, 0), (48, 24, 3, 2, 0), (72, 24, 3, 1, 0), (72, 40, 5, 2, 1), (120, 40, 5, 1, 1)]
    rows += [(240, 80, 3, 2, 0), (200, 80, 3, 1, 0), (184, 80, 3, 1, 0), (480, 112, 3, 1, 1), (672, 160, 5, 2, 1)]
    layers, inputs = [conv(3, 16, 3, 2)], 16
    for inner, outputs, kernel, stride, excites in rows:
        layers.append(GhostBlock(inputs, inner, outputs, kernel, stride, excites))
        inputs = outputs
    return Classifier(nn.Sequential(*layers, conv(inputs, 480)), 480)


class ChannelNorm(nn.Module):
    """Layer norm over the channels of a map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)  # type: ignore[no-any-return]


class NextBlock(nn.Module):
    """ConvNeXt's: depthwise 7x7, norm, expand by GELU, project."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 7, padding=3, groups=channels),
            ChannelNorm(channels),
            nn.Conv2d(channels, 4 * channels, 1),
            nn.GELU(),
            nn.Conv2d(4 * channels, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)  # type: ignore[no-any-return]


@network(96)
def convnext() -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(3, 40, 4, 4), ChannelNorm(40)]
    for channels, count in ((40, 2), (80, 2), (160, 2)):
        layers += [NextBlock(channels) for _ in range(count)]
        layers += [ChannelNorm(channels), nn.Conv2d(channels, 2 * channels, 2, 2)] if channels < 160 else []
    return Classifier(nn.Sequential(*layers), 160)


@network(128)
def mobileone() -> nn.Module:
    """MobileOne and RepVGG once their branches are one convolution, with biases and no norm left."""
    layers, inputs = [nn.Conv2d(3, 48, 3, 2, 1), nn.ReLU()], 48
    for channels, count in ((48, 2), (128, 4), (256, 5), (512, 1)):
        for index in range(count):
            depthwise = nn.Conv2d(inputs, inputs, 3, 1 if index else 2, 1, groups=inputs)
            layers += [depthwise, nn.ReLU(), nn.Conv2d(inputs, channels, 1), nn.ReLU()]
            inputs = channels
    return Classifier(nn.Sequential(*layers), inputs)


class Sequence(nn.Module):
    """A block of a temporal network: 1-D convolutions, depthwise and dilated, and 1x1."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        depthwise = nn.Conv1d(channels, channels, 3, padding=dilation, dilation=dilation, groups=channels)
        self.layers = nn.Sequential(
            depthwise, nn.BatchNorm1d(channels), nn.ReLU(), nn.Conv1d(channels, channels, 1), nn.BatchNorm1d(channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.layers(x))


class TemporalNet(nn.Module):
    """Keyword spotting on a spectrogram of 40 bands, seen as channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv1d(40, 96, 3, padding=1), nn.BatchNorm1d(96), nn.ReLU())
        self.blocks = nn.Sequential(*(Sequence(96, dilation) for dilation in (1, 1, 2, 2, 4, 4)))
        self.head = nn.Linear(96, 12)

    def forward(self, x: Tensor) -> Tensor:
        # One channel of 40 bands and a hundred frames, as an image.
        return self.head(self.blocks(self.stem(x[:, 0])).mean(2))  # type: ignore[no-any-return]


@network((40, 100), 1)
def tcn() -> nn.Module:
    return TemporalNet()


class Sequential1d(nn.Module):
    """1-D convolutions on what comes as an image of one channel, whose rows are the channels of a sequence."""

    def __init__(self, layers: list[nn.Module], channels: int, classes: int) -> None:
        super().__init__()
        self.layers, self.head = nn.Sequential(*layers), nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layers(x[:, 0]).mean(2))  # type: ignore[no-any-return]


class Inverted1d(nn.Module):
    """Expand, depthwise, project, and the shortcut."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        inner = 2 * channels
        self.layers = nn.Sequential(
            conv1d(channels, inner), conv1d(inner, inner, kernel, groups=inner), conv1d(inner, channels, act=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)  # type: ignore[no-any-return]


def conv1d(
    inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1, *, act: bool = True
) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv1d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm1d(outputs),
    ]
    return nn.Sequential(*layers, *([nn.ReLU()] if act else []))


def separable1d(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(conv1d(inputs, inputs, kernel, stride, inputs), conv1d(inputs, outputs))


@network((3, 256), 1)
def activity() -> nn.Module:
    """What a person does, by the three axes of an accelerometer."""
    layers = [conv1d(3, 32, 3, 2), separable1d(32, 64, 3), separable1d(64, 128, 3, 2)]
    layers += [Inverted1d(128, 3), Inverted1d(128, 5), separable1d(128, 256, 3, 2), Inverted1d(256, 3)]
    return Sequential1d(layers, 256, 6)


@network((1, 1000), 1)
def heartbeat() -> nn.Module:
    """One lead of an electrocardiogram, pooled early."""
    layers: list[nn.Module] = [conv1d(1, 32, 7, 2), nn.MaxPool1d(2), separable1d(32, 64, 5)]
    layers += [separable1d(64, 128, 5, 2), Inverted1d(128, 5), Inverted1d(128, 5)]
    return Sequential1d(layers, 128, 5)


@network(96, 1)
def ds_cnn() -> nn.Module:
    """Keyword spotting: one channel."""
    layers = [conv(1, 64, 3, 2), *(separable(64, 64) for _ in range(4))]
    return Classifier(nn.Sequential(*layers), 64, 12)


# Dense prediction


class Encoder(nn.Module):
    """MobileNetV2's first stages: maps of a half to a sixteenth."""

    def __init__(self) -> None:
        super().__init__()
        stages = inverted_stages(MOBILENET_V2[:5], 32)
        self.parts = nn.ModuleList(
            nn.Sequential(*part)
            for part in ([conv(3, 32, 3, 2, act=nn.ReLU6), stages[0]], stages[1:3], stages[3:6], stages[6:])
        )
        self.channels = (16, 24, 32, 96)

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for part in self.parts:
            x = part(x)
            maps.append(x)
        return maps


class UNet(nn.Module):
    """An encoder, and a decoder that doubles the map three times."""

    def __init__(self, up: str, outputs: int) -> None:
        super().__init__()
        self.encoder = Encoder()
        inputs, self.ups, self.joins = self.encoder.channels[-1], nn.ModuleList(), nn.ModuleList()
        for skipped in self.encoder.channels[-2::-1]:
            self.ups.append(
                nn.ConvTranspose2d(inputs, inputs, 2, 2)
                if up == "deconv"
                else nn.ConvTranspose2d(inputs, inputs, 4, 2, 1, groups=inputs)
                if up == "depthwise"
                else nn.Upsample(scale_factor=2, mode=up)
            )
            self.joins.append(separable(inputs + skipped, skipped))
            inputs = skipped
        self.head = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.encoder(x)
        y = maps[-1]
        for up, join, skipped in zip(self.ups, self.joins, maps[-2::-1], strict=True):
            y = join(torch.cat((up(y), skipped), 1))
        return self.head(y)  # type: ignore[no-any-return]


@network(160)
def unet() -> nn.Module:
    return UNet("bilinear", 4)


@network(160)
def unet_mask() -> nn.Module:
    return UNet("nearest", 1)


@network(128)
def unet_deconv() -> nn.Module:
    return UNet("deconv", 4)


@network(96)
def unet_depthwise_deconv() -> nn.Module:
    return UNet("depthwise", 4)


class DeepLab(nn.Module):
    """ASPP with 1x1, dilated separable and pooled branches."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()
        wide = nn.Sequential(conv(96, 96, 5, 1, 96), conv(96, 64))
        self.branches = nn.ModuleList([conv(96, 64), separable(96, 64), wide])
        self.pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(96, 64, 1), nn.ReLU())
        self.head = nn.Sequential(conv(256, 64), separable(64, 64), nn.Conv2d(64, 21, 1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.encoder(x)[-1]
        pooled = F.interpolate(self.pooled(y), size=y.shape[-2:], mode="bilinear", align_corners=False)
        y = self.head(torch.cat([*(branch(y) for branch in self.branches), pooled], 1))
        return F.interpolate(y, size=x.shape[-2:], mode="bilinear", align_corners=False)


@network(160)
def deeplab_v3() -> nn.Module:
    return DeepLab()


class LiteHead(nn.Module):
    """LR-ASPP: a gate from the pooled map, and a skip of a finer map."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.branch = conv(96, 128)
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(96, 128, 1, bias=False), nn.Sigmoid())
        self.low, self.high = nn.Conv2d(32, 21, 1), nn.Conv2d(128, 21, 1)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.encoder(x)
        y = self.branch(maps[-1]) * self.gate(maps[-1])
        y = F.interpolate(y, size=maps[-2].shape[-2:], mode="bilinear", align_corners=False)
        return self.low(maps[-2]) + self.high(y)  # type: ignore[no-any-return]


@network(160)
def lraspp() -> nn.Module:
    return LiteHead()


class FastDepth(nn.Module):
    """Depth from one image: an encoder, separable convolutions that double the map, and sums with finer maps."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()
        widths = self.encoder.channels[::-1]
        self.ups = nn.ModuleList(nn.Sequential(conv(a, a, 5, 1, a), conv(a, b)) for a, b in pairwise(widths))
        self.last = nn.Sequential(conv(16, 16, 5, 1, 16), conv(16, 16), conv(16, 1))

    def forward(self, x: Tensor) -> Tensor:
        maps = self.encoder(x)
        y = maps[-1]
        for up, skipped in zip(self.ups, maps[-2::-1], strict=True):
            y = F.interpolate(up(y), scale_factor=2, mode="nearest") + skipped
        return self.last(y)  # type: ignore[no-any-return]


@network(128)
def fastdepth() -> nn.Module:
    return FastDepth()


@network(96)
def espcn() -> nn.Module:
    """Super-resolution by PixelShuffle, behind a stem of stride 2."""
    layers = [conv(3, 32, 3, 2), separable(32, 64), separable(64, 64), nn.Conv2d(64, 48, 1), nn.PixelShuffle(4)]
    return nn.Sequential(*layers)


# Detection and pose


class Blaze(nn.Module):
    """BlazeFace's block: 5x5 depthwise, 1x1, and a shortcut that is pooled and padded."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.stride, self.more = stride, outputs - inputs
        self.layers = nn.Sequential(
            nn.Conv2d(inputs, inputs, 5, stride, 2, groups=inputs), nn.Conv2d(inputs, outputs, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.layers(x)
        short = F.max_pool2d(x, 2) if self.stride > 1 else x
        return F.relu(y + F.pad(short, (0, 0, 0, 0, 0, self.more)))


class Heads(nn.Module):
    """Boxes and scores of two maps, as lists."""

    def __init__(self, fine: nn.Module, coarse: nn.Module, channels: tuple[int, int], values: tuple[int, int]) -> None:
        super().__init__()
        self.fine, self.coarse, self.values = fine, coarse, values
        self.heads = nn.ModuleList(nn.Conv2d(c, 4 * v, 1) for v in values for c in channels)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        fine = self.fine(x)
        maps = (fine, self.coarse(fine))
        found = []
        for place, values in enumerate(self.values):
            heads = list(self.heads)[2 * place : 2 * place + 2]
            rows = [head(m).permute(0, 2, 3, 1).reshape(1, -1, values) for head, m in zip(heads, maps, strict=True)]
            found.append(torch.cat(rows, 1))
        return tuple(found)


@network(128)
def blazeface() -> nn.Module:
    fine = [conv(3, 24, 5, 2), Blaze(24, 24), Blaze(24, 28), Blaze(28, 32, 2), Blaze(32, 36), Blaze(36, 42)]
    fine += [Blaze(42, 48, 2), Blaze(48, 56), Blaze(56, 64), Blaze(64, 72), Blaze(72, 80), Blaze(80, 88)]
    coarse = [Blaze(88, 96, 2), Blaze(96, 96), Blaze(96, 96)]
    return Heads(nn.Sequential(*fine), nn.Sequential(*coarse), (88, 96), (16, 1))


@network(160)
def ssdlite() -> nn.Module:
    encoder = Encoder()
    fine = nn.Sequential(*encoder.parts)
    coarse = nn.Sequential(*inverted_stages(MOBILENET_V2[5:], 96))
    return Heads(fine, coarse, (96, 320), (4, 21))


class Pose(nn.Module):
    """Heatmaps by upsampling, and coordinates by a pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.up = nn.Sequential(separable(96, 64), nn.Upsample(scale_factor=2, mode="bilinear"), separable(64, 64))
        self.heatmaps, self.coordinates = nn.Conv2d(64, 17, 1), nn.Linear(96, 34)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.encoder(x)[-1]
        return self.heatmaps(self.up(y)), self.coordinates(F.adaptive_avg_pool2d(y, 1).flatten(1))


@network(160)
def pose() -> nn.Module:
    return Pose()


# Pruned, and exported


def ready(model: nn.Module, shape: tuple[int, ...], share: float = SHARE) -> nn.Module:
    """Prunes the 1x1 convolutions, and lets the batch norms see images, so that no map fades away."""
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Conv1d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if set(layer.kernel_size) == {1} and layer.groups == 1:
                prune.l1_unstructured(layer, "weight", amount=share)
                prune.remove(layer, "weight")
        if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d):
            layer.momentum = None
    model.train()
    with torch.no_grad():
        for _ in range(2):
            model(torch.rand(shape) * 2 - 1)
    return model.eval()


def export(model: nn.Module, shape: tuple[int, ...], layout: str, path: Path) -> None:
    """Writes a .tflite file for images of a layout, or an .onnx file."""
    image = torch.rand(shape) * 2 - 1
    if layout == "onnx":
        torch.onnx.export(model, (image,), str(path), dynamo=False, opset_version=17, input_names=["image"])
        return
    import litert_torch

    if layout == "nhwc":
        with torch.no_grad():
            outputs = model(image)
        maps = [i for i, value in enumerate(outputs if isinstance(outputs, tuple) else (outputs,)) if value.ndim == 4]
        model = litert_torch.to_channel_last_io(model, args=[0], outputs=maps or None)
        image = image.permute(0, 2, 3, 1).contiguous()
    litert_torch.convert(model.eval(), (image,)).export(str(path))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", help=f"of: {', '.join(NETWORKS)}")
    parser.add_argument("--layout", nargs="+", choices=("nchw", "nhwc", "onnx"), default=("nchw", "nhwc"))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for name in options.names or NETWORKS:
        torch.manual_seed(0)
        model, shape = NETWORKS[name]()
        model = ready(model, shape)
        for layout in options.layout:
            path = options.folder / (f"{name}.onnx" if layout == "onnx" else f"{name}.{layout}.tflite")
            start = time.monotonic()
            export(model, shape, layout, path)
            print(f"{path.name}: {path.stat().st_size:,} bytes, {time.monotonic() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
