"""How time and memory of a check grow with the number of operators, for five shapes of graph, as .tflite and as Keras.

    python benchmarks/scaling.py [--sizes 100 1000 10000 100000] [--shapes chain ...] [--kinds tflite keras]

Every model is written to a temporary folder and checked in a fresh process, all of it: reading, planning, findings,
what each would unlock, fixes, speed and size. Prints a table in Markdown, and exits 1 where 10 times the operators take
more than 12 times the time or the memory. Keras configs that are read hold some 35,000 of these layers at
most, so each has three tenths of the size that is asked for.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from xnnlint.modelbuilder.builder import ModelBuilder
from xnnlint.modelbuilder.modelfile import Value

LIMIT = 12 / 10  # by so much may time or memory for each operator grow when there are ten times as many
KERAS_SHARE = 3 / 10  # A config of 100,000 layers is larger than the loader takes a config to be.
CHANNELS = 4
SIDE = 4
CHILD = """
import json, re, sys, time
from pathlib import Path
import numpy, xnnlint.linter.engine, xnnlint.fixes.check_fixes
from xnnlint import lint
start = time.process_time()  # The machine may be busy.
report = lint(sys.argv[1])
seconds = time.process_time() - start
# ru_maxrss would begin with what the parent had.
peak = int(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024
print(json.dumps([seconds, peak, len(report.plan.graph.operators), report.plan.outcome.value, len(report.findings)]))
"""


class TfliteBlocks:
    """Operators with weights that are stored once, so that the file is of operators, not of numbers."""

    def __init__(self) -> None:
        self.g = g = ModelBuilder()
        x = g.input((1, 2 * SIDE, 2 * SIDE, 3))
        self.start = g.conv2d(g.pad(x), CHANNELS, 3, 2, fused="RELU")
        self.kernel = g.weight((CHANNELS, 1, 1, CHANNELS), CHANNELS, 0.75, "sparse")
        self.bias = g.bias(CHANNELS)
        self.wide_kernel = g.weight((CHANNELS, 1, 1, 2 * CHANNELS), 2 * CHANNELS, 0.75, "sparse")
        self.number = g.constant(0.5)

    def conv(self, x: Value) -> Value:
        return self.g.conv2d(x, CHANNELS, weights=self.kernel, bias=self.bias, fused="RELU")

    def narrow(self, x: Value) -> Value:
        return self.g.conv2d(x, CHANNELS, weights=self.wide_kernel, bias=self.bias, fused="RELU")

    def add(self, a: Value, b: Value) -> Value:
        return self.g.binary("ADD", a, b)

    def other(self, x: Value) -> Value:
        return self.g.binary("MUL", x, self.number)

    def concat(self, values: list[Value]) -> Value:
        return self.g.concat(values)

    def head(self, x: Value) -> None:
        self.g.output(self.g.mean(x, (1, 2)))

    def write(self, folder: Path) -> Path:
        path = folder / "model.tflite"
        path.write_bytes(self.g.build())
        return path


class KerasBlocks:
    """The same as the config of a Keras 3 model, which is an architecture without weights."""

    def __init__(self) -> None:
        self.layers: list[dict[str, object]] = []
        self.outputs: list[list[object]] = []
        shape = [None, 2 * SIDE, 2 * SIDE, 3]
        x = self._layer("InputLayer", {"batch_shape": shape, "dtype": "float32"})
        x = self._layer("ZeroPadding2D", {"padding": [[1, 1], [1, 1]]}, x)
        convolution = {"filters": CHANNELS, "kernel_size": [3, 3], "strides": [2, 2], "activation": "relu"}
        self.start = self._layer("Conv2D", convolution, x)

    def _layer(self, kind: str, config: dict[str, object], *inputs: str, listed: bool = False) -> str:
        name = f"l{len(self.layers)}"
        tensors = [{"class_name": "__keras_tensor__", "config": {"keras_history": [i, 0, 0]}} for i in inputs]
        args = [tensors] if listed else tensors
        nodes: list[dict[str, object]] = [{"args": args, "kwargs": {}}] if inputs else []
        entry = {"class_name": kind, "module": "keras.layers", "name": name, "config": {"name": name, **config}}
        self.layers.append({**entry, "inbound_nodes": nodes})
        return name

    def conv(self, x: str) -> str:
        return self._layer("Conv2D", {"filters": CHANNELS, "kernel_size": [1, 1], "activation": "relu"}, x)

    narrow = conv

    def add(self, a: str, b: str) -> str:
        return self._layer("Add", {}, a, b, listed=True)

    def other(self, x: str) -> str:
        return self._layer("Activation", {"activation": "tanh"}, x)

    def concat(self, values: list[str]) -> str:
        return self._layer("Concatenate", {"axis": -1}, *values, listed=True)

    def head(self, x: str) -> None:
        pooled = self._layer("GlobalAveragePooling2D", {"keepdims": False}, x)
        self.outputs.append([pooled, 0, 0])

    def write(self, folder: Path) -> Path:
        config = {"name": "m", "layers": self.layers, "input_layers": [["l0", 0, 0]], "output_layers": self.outputs}
        path = folder / "model.json"
        path.write_text(json.dumps({"class_name": "Functional", "module": "keras", "config": config}))
        return path


Blocks = Any
"""One of the two: what one gives is what it takes."""


def chain(b: Blocks, size: int) -> None:
    x = b.start
    for n in range(size):
        x = b.other(x) if n % 10 == 9 else b.conv(x)
    b.head(x)


def residual_blocks(b: Blocks, size: int) -> None:
    x = b.start
    for _ in range(size // 3):
        x = b.add(x, b.conv(b.conv(x)))
    b.head(x)


def wide_branches(b: Blocks, size: int) -> None:
    """One value read by all, and the branches added up in pairs."""
    values = [b.conv(b.start) for _ in range(size // 2)]
    while len(values) > 1:
        pairs = [b.add(x, y) for x, y in zip(values[::2], values[1::2], strict=False)]
        values = pairs + (values[-1:] if len(values) % 2 else [])
    b.head(values[0])


def concatenations(b: Blocks, size: int) -> None:
    """Two branches and what they come from, concatenated again and again, and in the end very many values at once."""
    x, seen = b.start, []
    for _ in range(size // 4):
        x = b.narrow(b.concat([b.conv(x), b.other(x)]))
        seen.append(x)
    b.head(b.concat(seen))


def many_outputs(b: Blocks, size: int) -> None:
    x = b.start
    for _ in range(size // 3):
        x = b.conv(x)
        b.head(b.conv(x))
    b.head(x)


SHAPES: dict[str, Callable[[Blocks, int], None]] = {
    "chain": chain,
    "residual blocks": residual_blocks,
    "wide branches": wide_branches,
    "concatenations": concatenations,
    "many outputs": many_outputs,
}


def measure(model: Path) -> list[Any]:
    """Seconds, bytes, operators, outcome and findings of one check in a process of its own."""
    run = subprocess.run([sys.executable, "-c", CHILD, str(model)], capture_output=True, text=True, check=False)
    if run.returncode:
        sys.exit(f"{model}: {run.stderr.strip()}")
    found: list[Any] = json.loads(run.stdout)
    return found


def rows(kinds: list[str], shapes: list[str], sizes: list[int]) -> Iterator[tuple[str, str, list[list[Any]]]]:
    """What was measured, per kind of file and shape."""
    with tempfile.TemporaryDirectory() as scratch:
        for kind in kinds:
            for shape in shapes:
                measured = []
                for size in sizes:
                    blocks: Blocks = TfliteBlocks() if kind == "tflite" else KerasBlocks()
                    SHAPES[shape](blocks, size if kind == "tflite" else round(size * KERAS_SHARE))
                    measured.append(measure(blocks.write(Path(scratch))))
                    print(kind, shape, measured[-1], file=sys.stderr)
                yield kind, shape, measured


def grows_too_fast(small: list[Any], large: list[Any]) -> bool:
    """Whether ten times the operators would take more than the limit times the time or memory."""
    times = large[2] / small[2]
    return any(large[i] > small[i] * times ** math.log10(10 * LIMIT) for i in (0, 1))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1_000, 10_000, 100_000])
    parser.add_argument("--shapes", nargs="+", default=list(SHAPES), choices=list(SHAPES))
    parser.add_argument("--kinds", nargs="+", default=["tflite", "keras"])
    options = parser.parse_args()
    failed = False
    print("| file | graph | operators | seconds | peak MB | time for 10 times the operators |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for kind, shape, measured in rows(options.kinds, options.shapes, options.sizes):
        for before, now in zip([None, *measured], measured, strict=False):
            seconds, peak, operators, _, _ = now
            growth = ""
            if before is not None:
                growth = f"{(seconds / before[0]) ** (1 / math.log10(operators / before[2])):.1f} times"
                failed |= grows_too_fast(before, now)
            print(f"| {kind} | {shape} | {operators:,} | {seconds:.2f} | {peak / 1e6:.0f} | {growth} |", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
