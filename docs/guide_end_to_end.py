"""From a dense Keras model to a sparse .tflite file that XNNPACK runs with SpMM kernels: every step, each checked.

    python docs/guide_end_to_end.py [FOLDER]       (default: a temporary folder)

Needs the extras `tf` and `verify`. A small network learns images like those of CIFAR-10 (32x32 pixels, three colours,
ten classes; made up here, so that nothing is downloaded), in about a minute. It has what such networks have and the
sparse path does not take: a stem with 'same' padding, a max pooling, and a global pooling without keepdims. The steps:

1. train the dense model;
2. `xnnlint check --assume-pruned 0.8`: what pruning would bring. Nothing, here, and why;
3. `xnnlint fix --unsafe-fixes --prove`: change the layers. Step 5 trains the model again anyway;
4. `xnnlint check --assume-pruned 0.8 --policy`: what pruning would bring now, and whether TFMOT lets it be pruned;
5. prune to 80% zeros while training on, with TensorFlow Model Optimization and its policy for XNNPACK, watched by
   xnnlint's callback;
6. `xnnlint convert`: strip the pruning wrappers, store the zeros sparse;
7. `xnnlint check`: the file runs sparse;
8. `xnnlint verify`: the real LiteRT runtime does what was foretold, and its results are right.

A step that does not come out as written here ends the script with exit code 1.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

# TFMOT prunes models of tf_keras (Keras 2) only.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
import tensorflow_model_optimization as tfmot
import tf_keras as keras

from xnnlint.keras import LintCallback

SPARSITY = 0.8
CLASSES = 10
BATCH = 64
# Chance is 0.1. Random images are easy to tell apart; what counts is that pruning does not lose it.
ENOUGH_ACCURACY = 0.9
_started = time.monotonic()


def main(folder: Path) -> None:
    files = ("dense.keras", "fixed.keras", "pruned.keras", "model.tflite")
    dense, fixed, pruned, tflite = (str(folder / name) for name in files)
    train, test = images(1600, seed=1), images(400, seed=2)

    step("train the dense model")
    model = dense_model()
    fit(model, train, epochs=3)
    expect(accuracy(model, test) >= ENOUGH_ACCURACY, f"accuracy {accuracy(model, test):.2f}")
    model.save(dense)

    step("would pruning make it fast?")
    report = xnnlint("check", dense, "--assume-pruned", str(SPARSITY), exit_code=1)
    found = {f["rule"] for f in report["findings"]}
    expect(report["outcome"] != "sparse", f"{report['outcome']}, because of {', '.join(sorted(found))}")

    step("change its layers")
    report = xnnlint("fix", dense, "-o", fixed, "--unsafe-fixes", "--prove")
    kinds = {c["fix"]: c["applicability"] for c in report["changes"]}
    for change in report["changes"]:
        print("  ", change["applicability"], change["place"], "->", "; ".join(change["added"]))
    expect(kinds.get("pooling-keepdims") == "safe", "the global pooling keeps its dimensions: safe")
    expect(kinds.get("padding-on-all-sides") == "unsafe", "the stem is padded on all sides: unsafe")
    expect(kinds.get("max-pooling-to-depthwise") == "unsafe", "the max pooling became depthwise: unsafe")
    expect(report["after"]["outcome"] == "sparse", "sparse once it is pruned")

    step("would pruning make it fast now, and may it be pruned?")
    report = xnnlint("check", fixed, "--assume-pruned", str(SPARSITY), "--policy")
    expect(report["outcome"] == "sparse", f"{spmm(report)} 1x1 convolutions")
    expect(report["policy"]["takes"], "TFMOT's policy takes the model")

    step("prune while training on")
    wrapped = tfmot.sparsity.keras.prune_low_magnitude(
        keras.models.load_model(fixed),
        pruning_schedule=tfmot.sparsity.keras.PolynomialDecay(0.3, SPARSITY, begin_step=0, end_step=75, frequency=5),
        pruning_policy=tfmot.sparsity.keras.PruneForLatencyOnXNNPack(),
    )
    watch = LintCallback(share=SPARSITY, tell=lambda line: print("  ", line, flush=True))
    fit(wrapped, train, epochs=5, callbacks=[tfmot.sparsity.keras.UpdatePruningStep(), watch])
    expect(accuracy(wrapped, test) >= ENOUGH_ACCURACY, f"accuracy {accuracy(wrapped, test):.2f}")
    expect(watch.looks[-1].outcome.value == "sparse", "the callback saw it become sparse")
    # Its wrappers are still in it: `xnnlint convert` strips them.
    wrapped.save(pruned)

    step("convert")
    xnnlint("convert", pruned, "-o", tflite, as_json=False)

    step("is the file sparse?")
    report = xnnlint("check", tflite)
    expect(report["outcome"] == "sparse", f"{spmm(report)} 1x1 convolutions run SpMM")

    step("does the real runtime agree?")
    run = xnnlint("verify", tflite)
    observed = run["observed"]
    expect(run["agrees"] is True and observed["outcome"] == "sparse", "it runs sparse, and its results are right")
    expect(observed["spmm"] == report["summary"]["spmm"], f"{observed['spmm']} SpMM operators ran")
    print(f"\nThe guide works, in {time.monotonic() - _started:.0f} s.")


# --- the model -------------------------------------------------------------------------------------------------------


def dense_model() -> Any:
    """A small network as one would write it without XNNPACK in mind."""
    keras.utils.set_random_seed(0)
    layers = keras.layers

    def block(filters: int) -> list[Any]:
        return [
            layers.DepthwiseConv2D(3, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(6.0),
            layers.Conv2D(filters, 1, use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(6.0),
        ]

    return keras.Sequential(
        [
            layers.InputLayer(input_shape=(32, 32, 3)),
            layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False, name="stem"),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(6.0),
            *block(32),
            layers.MaxPooling2D(2, name="pool"),
            *block(64),
            *block(64),
            layers.GlobalAveragePooling2D(name="head"),
            layers.Dense(CLASSES),
        ],
        name="small_network",
    )


def images(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Random images of ten classes: waves of a direction and colour of their own, in noise. [N, 32, 32, 3], [N]."""
    patterns, rng = np.random.default_rng(0), np.random.default_rng(seed)
    direction = patterns.normal(size=(CLASSES, 2)) * 0.5
    colour = patterns.normal(size=(CLASSES, 3))
    labels = rng.integers(CLASSES, size=count)
    place = np.moveaxis(np.indices((32, 32)), 0, -1)
    phase = np.einsum("hwd,nd->nhw", place, direction[labels]) + rng.uniform(0, 6.28, size=(count, 1, 1))
    waves = np.sin(phase)[..., None] * colour[labels][:, None, None] + 0.5 * colour[labels][:, None, None]
    return (waves + rng.normal(scale=0.5, size=waves.shape)).astype(np.float32), labels


def fit(model: Any, data: tuple[np.ndarray, np.ndarray], epochs: int, callbacks: list[Any] | None = None) -> None:
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.legacy.Adam(0.003), loss, metrics=["accuracy"])
    model.fit(*data, batch_size=BATCH, epochs=epochs, callbacks=callbacks, verbose=0)


def accuracy(model: Any, data: tuple[np.ndarray, np.ndarray]) -> float:
    return float(np.mean(np.argmax(model.predict(data[0], verbose=0), axis=-1) == data[1]))


# --- the steps -------------------------------------------------------------------------------------------------------


def step(what: str) -> None:
    print(f"\n== {what} ({time.monotonic() - _started:.0f} s)", flush=True)


def expect(holds: bool, what: str) -> None:
    print(f"   {'ok' if holds else 'NOT SO'}: {what}", flush=True)
    if not holds:
        raise SystemExit(1)


def spmm(report: Any) -> str:
    return f"{report['summary']['spmm']} of {report['summary']['pointwise_convs']}"


def xnnlint(*arguments: str, exit_code: int = 0, as_json: bool = True) -> Any:
    """Run a command of xnnlint as a user would; what its JSON says of the model, or None.

    Args:
        arguments: the command's.
        exit_code: what it must end with.
    """
    shown = " ".join(Path(a).name if os.sep in a else a for a in arguments)
    print(f"   $ xnnlint {shown}", flush=True)
    command = [sys.executable, "-m", "xnnlint", *arguments, *(["--format", "json"] if as_json else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != exit_code:
        print(done.stdout, done.stderr, sep="\n")
    expect(done.returncode == exit_code, f"exit code {done.returncode}")
    if not as_json:
        print("".join(f"   {line}\n" for line in done.stdout.splitlines()), end="")
        return None
    data = json.loads(done.stdout)
    return data["models"][0] if "models" in data else data


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory(prefix="xnnlint-guide-") as scratch:
            main(Path(scratch))
