"""`xnnlint fix --prove`: the changed model is loaded, run and converted, and the result is run in the real runtime.

The other proofs read files only. This one needs TensorFlow (the `tf` extra) and LiteRT (the `verify` extra).
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from xnnlint import atomic
from xnnlint.errors import XnnlintError
from xnnlint.fixes.keras.archive import Archive
from xnnlint.fixes.keras.config_search import ConfigRepair, safe_part
from xnnlint.fixes.keras.config_version import forecast
from xnnlint.fixes.keras.config_writer import write_draft
from xnnlint.fixes.request import FixRequest
from xnnlint.runtime.tensorflow_converter import first_line, load, to_tflite
from xnnlint.runtime.tensorflow_log import errors_only
from xnnlint.runtime.verify import Setting, Verification, choose, verify_each

# Of the largest element of an output. Float32 has 1.2e-7; layers that are changed round differently, and what comes
# behind them adds to that.
ROUNDING = 1e-5
# What images are scaled to; one random input of each.
_RANGES = ((-1.0, 1.0), (0.0, 1.0), (0.0, 255.0))
# The size of a dimension that a model leaves open: the batch, and the others.
_BATCH, _OPEN = 2, 64
# extra -> what it brings, and its module
_EXTRAS = {"tf": ("TensorFlow", "tensorflow"), "verify": ("LiteRT", "ai_edge_litert")}


class NotProved(XnnlintError):
    """A changed model that does not do what was said of it; nothing is written then."""


def prove(done: ConfigRepair, options: FixRequest, fixed: str) -> list[str]:
    """Proves the changes of a model by running it.

    Args:
        done: the changes.
        options: those they were made with.
        fixed: the changed model's file.

    Returns:
        Sentences, without full stops, on what was proved.

    Raises:
        NotProved: the changed model does something else.
        XnnlintError: it cannot be run here.
    """
    missing = {extra: brings for extra, (brings, module) in _EXTRAS.items() if importlib.util.find_spec(module) is None}
    if missing:
        # All at once: who is told of one only comes back for the other.
        extras = ",".join(missing)
        raise XnnlintError(f"a proof needs {' and '.join(missing.values())}: pip install 'xnnlint[{extras}]'")
    setting = choose()
    with errors_only():
        old, new = load(done.path), load(fixed)
        told = [_weights(old, new, set(done.after.new_weights), set(done.after.grown_layers(done.before.keras)))]
        told.append(_outputs(done, options, old, new))
    told.append(_run(done, options, new, setting))
    return told


# --- weights and outputs ---------------------------------------------------------------------------------------------


def _weights(old: Any, new: Any, added: set[str], grown: set[str]) -> str:
    before, after = dict(_arrays(old)), dict(_arrays(new))
    if lost := next((name for name in before if name not in after), None):
        raise NotProved(f"the weight {lost} is gone")
    for name, array in before.items():
        # A layer that became one of another class has the same weights in another shape.
        layer, found = name.rsplit("/", 1)[0], after[name]
        same_shape = array.shape == found.shape or layer in added
        if layer in grown and array.shape != found.shape:
            array, found = array[array != 0], found[found != 0]
        if not same_shape or array.tobytes() != found.tobytes():
            raise NotProved(f"the weight {name} is not the same")
    if stray := next((name for name in after if name not in before and name.rsplit("/", 1)[0] not in added), None):
        raise NotProved(f"the weight {stray} comes from nowhere")
    return f"loaded by Keras, all {len(before)} weights have the same bits"


def _arrays(model: Any, prefix: str = "") -> Iterator[tuple[str, np.ndarray]]:
    for layer in model.layers:
        path = f"{prefix}{layer.name}"
        if isinstance(getattr(layer, "layers", None), list):
            yield from _arrays(layer, f"{path}/")
        else:
            for index, array in enumerate(layer.get_weights()):
                yield f"{path}/{index}", np.asarray(array)


def _outputs(done: ConfigRepair, options: FixRequest, old: Any, new: Any) -> str:
    """Compares outputs where only safe changes were made; others change outputs, and it is right that they do."""
    safe = [change for change in done.changes if change.is_safe]
    if not safe:
        compare_outputs(old, new, shapes_only=True)
        return "no change was safe, so outputs differ; their shapes are the same"
    if len(safe) < len(done.changes):
        part = safe_part(done, options)
        if len(part.changes) < len(safe):
            raise NotProved("the safe changes cannot be made without the unsafe ones, so they cannot be compared")
        with tempfile.TemporaryDirectory(prefix="xnnlint-") as folder:
            path = str(Path(folder, f"safe{Path(done.path).suffix}"))
            write_draft(part, Archive(done.path), path)
            compare_outputs(old, new, shapes_only=True)
            new = load(path)
    error = compare_outputs(old, new)
    count = f"the {len(safe)} safe changes leave" if len(safe) > 1 else "the safe change leaves"
    if len(safe) == len(done.changes):
        count = "it gives"
    alike = "bit for bit" if error == 0 else f"within {error:.1e} of the largest"
    return f"{count} the same outputs on {len(_RANGES)} random inputs, {alike}"


def compare_outputs(old: Any, new: Any, *, shapes_only: bool = False) -> float:
    """The largest difference of two models' outputs on random inputs, relative to the largest element of the output.

    Raises:
        NotProved: shapes differ, or elements by more than rounding; with `shapes_only` they are not compared.
    """
    worst = 0.0
    for seed, bounds in enumerate(_RANGES):
        given = _inputs(old, np.random.default_rng(seed), bounds)
        for number, (a, b) in enumerate(zip(_call(old, given), _call(new, given), strict=True)):
            if a.shape != b.shape:
                raise NotProved(f"output {number} has shape {list(b.shape)} and had {list(a.shape)}")
            if shapes_only:
                continue
            if not (np.isfinite(a) == np.isfinite(b)).all():
                raise NotProved(f"output {number} is finite where it was not, or not where it was")
            a, b = np.nan_to_num(a.astype("float64")), np.nan_to_num(b.astype("float64"))
            error = float(np.abs(a - b).max(initial=0) / max(np.abs(a).max(initial=0), 1e-6))
            if error > ROUNDING:
                raise NotProved(f"output {number} differs by {error:.1e} of its largest element, after safe changes")
            worst = max(worst, error)
        if shapes_only:
            break
    return worst


def _inputs(model: Any, rng: np.random.Generator, bounds: tuple[float, float]) -> list[np.ndarray]:
    made = []
    for tensor in model.inputs:
        shape = [_BATCH if n is None and not axis else n or _OPEN for axis, n in enumerate(tensor.shape)]
        values = rng.uniform(*bounds, size=shape)
        made.append(values.astype(getattr(tensor.dtype, "name", tensor.dtype)))
    return made


def _call(model: Any, given: list[np.ndarray]) -> list[np.ndarray]:
    found = model(given if len(given) > 1 else given[0], training=False)
    if isinstance(found, dict):
        found = list(found.values())
    return [np.asarray(part) for part in (found if isinstance(found, list | tuple) else [found])]


# --- conversion and run ----------------------------------------------------------------------------------------------


def _run(done: ConfigRepair, options: FixRequest, new: Any, setting: Setting) -> str:
    assumed = done.after.assumed
    if assumed is not None:
        prune(new, assumed)
    with tempfile.TemporaryDirectory(prefix="xnnlint-") as folder:
        path = str(Path(folder, "fixed.tflite"))
        try:
            with errors_only():
                data = to_tflite(new)
            atomic.write(data, path)
        except Exception as error:  # TensorFlow raises whatever its layers raise.
            raise NotProved(f"TensorFlow could not convert it ({first_line(error)})") from error
        (seen,) = verify_each([path], setting)
    _judge(done, seen, setting)
    observation = seen.observation
    assert observation is not None
    where = f"LiteRT {setting.target.release.version} on {setting.target.cpu}"
    zeros = "" if assumed is None else f" with {assumed:.0%} zeros in each 1x1 kernel"
    errors = [o.max_rel_error for o in observation.outputs if o.max_rel_error is not None]
    right = f", right within {max(errors):.1e}" if errors else ""
    count = f"{observation.spmm} SpMM operators, " if observation.spmm else ""
    weak = "" if observation.responds else "; but its outputs are the same for all inputs, which says little"
    return f"converted{zeros}, it runs {observation.outcome} in {where}: {count}as forecast{right}{weak}"


def _judge(done: ConfigRepair, seen: Verification, setting: Setting) -> None:
    """Whether what ran is what was forecast of the Keras model, and right."""
    if seen.observation is None or seen.error:
        raise NotProved(f"the converted model could not be judged: {seen.error}")
    model = done.after.plan.model
    after = done.after
    plan = forecast(after.keras, after.document, model.path, model.format or "", setting.profile, after.assumed).plan
    observed, wanted = seen.observation.outcome, plan.outcome.value
    if observed != wanted:
        raise NotProved(f"once converted it is {observed}, and {wanted} was forecast")
    if seen.observation.spmm is not None and seen.observation.spmm != len(plan.spmm_ops):
        raise NotProved(f"{seen.observation.spmm} operators run SpMM, and {len(plan.spmm_ops)} were forecast")
    if seen.differs:
        raise NotProved(f"the converted model does not run as predicted: {', '.join(seen.differs)}")


def prune(model: Any, share: float) -> None:
    """Sets the smallest weights of every 1x1 Conv2D to zero, in memory only, so that a share of each kernel is zero."""
    for layer in model.layers:
        if isinstance(getattr(layer, "layers", None), list):
            prune(layer, share)
        elif type(layer).__name__ == "Conv2D" and tuple(layer.kernel_size) == (1, 1):
            kernel, *rest = layer.get_weights()
            flat = kernel.reshape(-1).copy()
            flat[np.argsort(np.abs(flat), kind="stable")[: round(share * flat.size)]] = 0
            layer.set_weights([flat.reshape(kernel.shape), *rest])
