"""Measures the rates of this machine's kernels."""

from __future__ import annotations

import datetime
import platform
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from xnnlint.calibration.fit import fit_families, fit_rest
from xnnlint.calibration.grid import grid_models
from xnnlint.calibration.measure import Measured, measure
from xnnlint.cost.profile import CostProfile
from xnnlint.errors import XnnlintError

if TYPE_CHECKING:
    from xnnlint.runtime.targets import Target

NETWORKS = 60
"""Networks of each kind in the grid; every one of separable convolutions is measured dense and sparse."""
INSTALL = "pip install 'xnnlint[bench]'"


class Calibration(Struct, frozen=True):
    """A profile, and the models that gave nothing to it."""

    profile: CostProfile
    failed: tuple[Measured, ...]


def calibrate(
    target: Target,
    *,
    networks: int = NETWORKS,
    rounds: int = 60,
    progress: Callable[[int, int], None] | None = None,
) -> Calibration:
    """Measure the grid and fit the rates; takes some minutes.

    Args:
        target: a native one with the sparse path, from `targets.resolve`.
        networks: see NETWORKS; fewer for a try.
        rounds: runs of each model that count.
        progress: is called with how many timings are done, of how many.

    Raises:
        XnnlintError: scipy is not installed, the target cannot be timed, or nothing could be measured.
    """
    try:
        import scipy  # noqa: F401
    except ImportError:
        raise XnnlintError(f"calibration needs scipy; install it with: {INSTALL}") from None
    with tempfile.TemporaryDirectory(prefix="xnnlint-") as folder:
        paths, sources = [], []
        for model in grid_models(networks):
            path = Path(folder, f"{model.name}.tflite")
            path.write_bytes(model.data)
            paths.append(path)
            sources.append(model.pair)
        measured = measure(paths, target, sources, rounds=rounds, progress=progress)
    return fitted(measured, target)


def fitted(measured: list[Measured], target: Target) -> Calibration:
    """The profile that measurements give.

    Raises:
        XnnlintError: there are none.
    """
    failed = tuple(result for result in measured if result.error is not None)
    runs = [result.run for result in measured if result.run is not None]
    if not runs:
        raise XnnlintError(f"nothing could be measured: {failed[0].error if failed else 'no models'}")
    fit = fit_families(sample for result in measured for sample in result.samples)
    profile = CostProfile(
        cpu=target.cpu,
        cpu_model=cpu_model(),
        date=datetime.date.today().isoformat(),
        litert=target.release.version,
        families=fit.families,
        rest=fit_rest(runs),
        errors=fit.errors,
    )
    return Calibration(profile, failed)


def cpu_model() -> str:
    """What this machine calls its processor."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() in ("model name", "Model", "Hardware") and value.strip():
                return value.strip()
    return platform.processor() or platform.machine()
