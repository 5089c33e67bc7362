"""What every JSON document of xnnlint has: its version, the tool that wrote it, and plain ASCII."""

from __future__ import annotations

import json
from typing import Any

from xnnlint.version import __version__

SCHEMA_VERSION = 1

SCHEMAS = {
    "check": "report",
    "convert": "report",
    "fix": "fix",
    "verify": "verify",
    "bench": "bench",
    "report": "graphs",
    "compare": "compare",
    "calibrate": "calibrate",
    "config": "config",
    "rules": "rules",
    "explain": "explain",
    "profiles": "profiles",
}
"""The published schema of what each command prints with `--format json`."""


def dumps(value: Any) -> str:
    """JSON text that any program can read: ASCII only, whatever stdout's encoding and the names in the model are."""
    return json.dumps(value, indent=2, ensure_ascii=True, allow_nan=False)


def tool() -> dict[str, str]:
    return {"name": "xnnlint", "version": __version__}


def published_schema(name: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a document.

    Args:
        name: one of the values of `SCHEMAS`; "line" and "verify_line", of what `check` and `verify` print of each model
            with `--format jsonl`; or "results", of what `compare` prints of two results.
    """
    from importlib import resources

    text = resources.files("xnnlint.reporters").joinpath(f"{name}.schema.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema
