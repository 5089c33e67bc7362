"""`xnnlint calibrate` as a JSON document; `calibrate.schema.json` beside this file is its published schema."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from xnnlint.reporters.json_document import SCHEMA_VERSION, tool

if TYPE_CHECKING:
    from xnnlint.calibration.calibrate import Calibration


def document(made: Calibration, written: str) -> dict[str, Any]:
    """What was timed, as plain values; the rates themselves are in the cost profile.

    Args:
        written: the file of the cost profile.
    """
    profile = made.profile
    return {
        "schema_version": SCHEMA_VERSION,
        "tool": tool(),
        "written": written,
        "cpu": profile.cpu,
        "cpu_model": profile.cpu_model,
        "litert": profile.litert,
        "families": {name: family.samples for name, family in profile.families.items()},
        "failed": [{"graph": Path(failed.path).stem, "error": failed.error} for failed in made.failed],
    }
