"""Results of `xnnlint check` read back: the rows of a file of lines (`--format jsonl`) or of a document (`json`)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from xnnlint.errors import XnnlintError
from xnnlint.reporters.json_document import SCHEMA_VERSION
from xnnlint.reporters.model_row import ModelRow, row_of

LINES, DOCUMENT = ".jsonl", ".json"
# What a line has and an entry of a document does not.
_OWN = {"bytes": None, "sha256": None, "exit_code": 0, "failures": (), "next": ""}


def is_result_file(path: str) -> bool:
    """Whether a name is that of results: lines by their suffix, and a document by what is in it, since models have its
    suffix, too."""
    if path.endswith(LINES):
        return True
    if not path.endswith(DOCUMENT):
        return False
    try:
        with Path(path).open("rb") as file:
            head = file.read(200)
    except (OSError, ValueError):
        return False
    return b'"schema_version"' in head and b'"xnnlint"' in head


def read_rows(path: str) -> Iterator[ModelRow]:
    """The rows of a file of results, of lines one by one.

    Raises:
        XnnlintError: it cannot be read, or is none.
    """
    try:
        with Path(path).open(encoding="utf-8") as file:
            if not path.endswith(LINES):
                yield from _of_document(json.load(file), path)
                return
            for number, text in enumerate(file, 1):
                yield _row(json.loads(text), f"{path}:{number}")
    except FileNotFoundError:
        raise XnnlintError(
            f"{path}: there is no such file; xnnlint check writes it with --report jsonl={path}"
        ) from None
    except OSError as error:
        raise XnnlintError(f"{path}: the results cannot be read: {(error.strerror or str(error)).lower()}") from None
    except (ValueError, RecursionError):
        raise XnnlintError(f"{path}: this is damaged, or no result of xnnlint check --format jsonl or json") from None


def _of_document(document: Any, path: str) -> Iterator[ModelRow]:
    try:
        version, run, models = document["schema_version"], document["profile"], document["models"]
    except (KeyError, TypeError):
        raise XnnlintError(f"{path}: this is no result of xnnlint check --format json") from None
    for model in models:
        target = model.get("profile", run)
        own = {"schema_version": version, "runtime": target["runtime"], "cpu": target["cpu"]}
        yield _row({**_OWN, **own, **model}, path)


def _row(record: Any, place: str) -> ModelRow:
    if isinstance(record, dict) and record.get("schema_version") not in (None, SCHEMA_VERSION):
        version = record["schema_version"]
        raise XnnlintError(f"{place}: these results are of version {version}, and this xnnlint reads {SCHEMA_VERSION}")
    try:
        return row_of(record)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise XnnlintError(f"{place}: this is no model of a result of xnnlint check") from None
