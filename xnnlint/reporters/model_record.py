"""One model as one JSON document: a line of `--format jsonl`; its published schema is `reporters/line.schema.json`.

The whole of what `--format json` says of a model, and what somebody needs who has only this line: what it was checked
for and with, which bytes, and what came of it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from xnnlint.reporters.json_document import SCHEMA_VERSION, tool
from xnnlint.reporters.model_json import model_data
from xnnlint.reporters.next_steps import word

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xnnlint.linter.findings import ModelReport
    from xnnlint.xnnpack.profile import Profile

Record = dict[str, Any]


def record_of(
    model: ModelReport, profile: Profile, *, exit_code: int, failures: Sequence[str] = (), settings: str = ""
) -> Record:
    """A checked model as plain values, all of which JSON has.

    Args:
        profile: what it was checked for.
        exit_code: what the model alone makes of the run: 0, 1 or 2.
        failures: why it fails besides its findings.
        settings: what tells these settings from others, see `cli.work.settings_key`.
    """
    return record_with(model_data(model), model, profile, exit_code=exit_code, failures=failures, settings=settings)


def record_with(
    data: dict[str, Any],
    model: ModelReport,
    profile: Profile,
    *,
    exit_code: int,
    failures: Sequence[str] = (),
    settings: str = "",
) -> Record:
    """The same with what `model_data` has made of the model."""
    content = model.content
    return {
        "schema_version": SCHEMA_VERSION,
        "tool": tool(),
        "runtime": profile.runtime,
        "cpu": profile.cpu,
        "settings": settings,
        "bytes": None if content is None else content.bytes,
        "sha256": None if content is None else content.sha256,
        "version": None if content is None else content.version,
        "exit_code": exit_code,
        "failures": list(failures),
        "next": word(model) if model.error is None else "",
        **data,
    }


def line(record: Record) -> str:
    """The record as its line, without the end of it: ASCII, so that nothing in it ends a line."""
    return json.dumps(record, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
