"""From a PyTorch network to a .tflite file that XNNPACK runs with SpMM kernels: every step, each checked.

    python docs/pytorch_end_to_end.py [FOLDER]       (default: a temporary folder)

Needs the extras `torch` and `bench`. A small network learns images of 48x48 pixels, three colours and four classes,
made up here, in about a minute. It is written as PyTorch people write such networks: separable convolutions, a
squeeze-and-excite block of nn.Linear, a shuffle of channels, an ELU. The steps:

1. train the dense network;
2. prune its 1x1 convolutions to 80% zeros with torch.nn.utils.prune, in two rounds, and train on;
3. export it with litert-torch, which stores the zeros like any other number: `xnnlint check` says dense, and why;
4. `xnnlint fix`: the same numbers, in operators that run sparse, proven and timed;
5. `xnnlint check`: the file runs sparse;
6. `xnnlint verify`: the real LiteRT runtime does what was foretold, and its results are right;
7. `xnnlint bench`: how much faster that is than the file as it was exported;
8. the fixed file gives the numbers of the PyTorch network.

A step that does not come out as written here ends the script with exit code 1.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import prune

SPARSITY = 0.8
CLASSES, SIZE, BATCH = 4, 48, 16
# Chance is 0.25.
ENOUGH_ACCURACY = 0.9
_started = time.monotonic()


class Excite(nn.Module):
    """Squeeze-and-excite."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(channels, 8), nn.ReLU(), nn.Linear(8, channels), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        gate: Tensor = self.layers(x.mean((2, 3)))
        return x * gate[:, :, None, None]


class Network(nn.Module):
    """A classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            *separable(32, 96),
            nn.ChannelShuffle(4),
            *separable(96, 96),
            Excite(96),
            *separable(96, 96, nn.ELU),
        )
        self.head = nn.Linear(96, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).mean((2, 3)))  # type: ignore[no-any-return]


def separable(inputs: int, outputs: int, act: type[nn.Module] = nn.ReLU) -> list[nn.Module]:
    """A depthwise and a 1x1 convolution."""
    return [nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs), nn.ReLU(), nn.Conv2d(inputs, outputs, 1), act()]


def main(folder: Path) -> None:
    torch.manual_seed(0)
    exported, fixed = str(folder / "exported.tflite"), str(folder / "fixed.tflite")
    train, test = images(192), images(64)

    step("train the dense network")
    model = Network()
    fit(model, train, epochs=5)
    expect(accuracy(model, test) >= ENOUGH_ACCURACY, f"accuracy {accuracy(model, test):.2f}")

    step(f"prune its 1x1 convolutions to {SPARSITY:.0%}, and train on")
    for share in (SPARSITY / 2, SPARSITY):
        # A share of those that are left, so that both rounds together come to the whole.
        so_far = SPARSITY / 2 if share == SPARSITY else 0.0
        for layer in pointwise(model):
            prune.l1_unstructured(layer, "weight", amount=(share - so_far) / (1 - so_far))
        fit(model, train, epochs=2)
    for layer in pointwise(model):
        prune.remove(layer, "weight")
    expect(accuracy(model, test) >= ENOUGH_ACCURACY, f"accuracy {accuracy(model, test):.2f}")

    step("export it with litert-torch")
    export(model, exported)
    found = xnnlint("check", exported, "--cpu", "x86-sse", "--format", "json", codes=(1,))["models"][0]
    expect(found["exporter"] == "litert-torch", "xnnlint knows who wrote it")
    expect(found["outcome"] == "dense", f"dense: {', '.join(sorted({f['rule'] for f in found['findings']}))}")

    step("xnnlint fix")
    changed = xnnlint("fix", exported, "-o", fixed, "--cpu", "x86-sse", "--format", "json")["models"][0]
    expect(changed["written"] == fixed, f"{len(changed['changes'])} changes")

    step("xnnlint check")
    found = xnnlint("check", fixed, "--cpu", "x86-sse", "--format", "json")["models"][0]
    expect(found["outcome"] == "sparse", "it runs sparse")

    step("xnnlint verify")
    expect(not program("verify", fixed), "LiteRT does what was foretold, and its results are right")

    step("xnnlint bench")
    expect(not program("bench", exported, fixed), "timed beside the file as it was exported")

    step("the numbers of the network")
    difference = compare(model, fixed, test[0][:8])
    expect(difference < 1e-4, f"outputs differ by at most {difference:.0e} of the largest")
    print(f"\n{fixed}: done in {time.monotonic() - _started:.0f} s")


def images(count: int) -> tuple[Tensor, Tensor]:
    """Noise, in which the red, the green, the blue, or every other row is brighter: the class."""
    labels = torch.arange(count) % CLASSES
    data = torch.rand(count, 3, SIZE, SIZE)
    for image, label in zip(data, labels.tolist(), strict=True):
        (image[label] if label < 3 else image[:, ::2]).add_(0.5)
    return data, labels


def fit(model: nn.Module, data: tuple[Tensor, Tensor], epochs: int) -> None:
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    model.train()
    for _ in range(epochs):
        order = torch.randperm(len(data[0]))
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            optimizer.zero_grad()
            functional.cross_entropy(model(data[0][rows]), data[1][rows]).backward()
            optimizer.step()


@torch.no_grad()
def accuracy(model: nn.Module, data: tuple[Tensor, Tensor]) -> float:
    model.eval()
    return float((model(data[0]).argmax(1) == data[1]).float().mean())


def pointwise(model: nn.Module) -> list[nn.Conv2d]:
    """The convolutions that SpMM can run; others are not worth pruning for it."""
    return [layer for layer in model.modules() if isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1)]


def export(model: nn.Module, path: str) -> None:
    """For images in NHWC, as phones have them."""
    import litert_torch

    image = torch.rand(1, SIZE, SIZE, 3)
    wrapped = litert_torch.to_channel_last_io(model.eval(), args=[0])
    litert_torch.convert(wrapped.eval(), (image,)).export(path)


@torch.no_grad()
def compare(model: nn.Module, path: str, data: Tensor) -> float:
    """The largest difference of outputs, relative to the largest output, without XNNPACK."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(path, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    interpreter.allocate_tensors()
    (image,), (scores,) = interpreter.get_input_details(), interpreter.get_output_details()
    expected, worst = model.eval()(data), 0.0
    for row, wanted in zip(data, expected, strict=True):
        interpreter.set_tensor(image["index"], row.permute(1, 2, 0)[None].numpy())
        interpreter.invoke()
        got = torch.from_numpy(interpreter.get_tensor(scores["index"]))[0]
        worst = max(worst, float((got - wanted).abs().max()))
    return worst / float(expected.abs().max())


def step(text: str) -> None:
    print(f"\n== {text} ({time.monotonic() - _started:.0f} s)", flush=True)


def expect(is_so: bool, text: str) -> None:
    print(f"   {text}", flush=True)
    if not is_so:
        raise SystemExit(f"not as expected: {text}")


def program(*arguments: str) -> int:
    """Runs xnnlint on the terminal; its exit code."""
    return subprocess.run([sys.executable, "-m", "xnnlint", *arguments]).returncode


def xnnlint(*arguments: str, codes: tuple[int, ...] = (0,)) -> dict[str, Any]:
    """Runs xnnlint; its JSON document."""
    done = subprocess.run([sys.executable, "-m", "xnnlint", *arguments], capture_output=True, text=True)
    if done.returncode not in codes:
        raise SystemExit(f"xnnlint {arguments[0]} ended with {done.returncode}: {done.stdout}{done.stderr}")
    document: dict[str, Any] = json.loads(done.stdout)
    return document


if __name__ == "__main__":
    if len(sys.argv) > 1:
        Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
