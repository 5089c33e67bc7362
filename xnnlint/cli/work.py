"""What is done with one model of many: a function of what it is given and of the file, and of nothing else.

It can run in this process, in another one or on another machine; what it returns is JSON.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import asdict

from xnnlint.cli.judging import judged
from xnnlint.cli.session import Task, check_one, died_sentence
from xnnlint.config.applied import apply
from xnnlint.config.keys import KEYS
from xnnlint.linter.findings import ModelReport
from xnnlint.reporters.model_record import Record, line, record_of
from xnnlint.reporters.model_row import Checked, row_of
from xnnlint.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xnnlint.config.settings import Settings

# They say which models are meant, and nothing of one.
_OF_THE_SEARCH = ("exclude", "force-exclude")


def check_record(task: Task) -> Record:
    """Check one model; whatever goes wrong is in what is returned.

    Args:
        task: may be pickled.

    Returns:
        The document of `--format jsonl`: plain values that JSON has.
    """
    return record_of_report(check_one(task.request), task)


def check_row(task: Task) -> Checked:
    """The same, with as much of it as tables need."""
    return Checked(row_of(check_record(task)))


def check_line(task: Task) -> Checked:
    """The same, with the whole record as its line."""
    return with_line(check_record(task))


def with_line(record: Record) -> Checked:
    """A record with its line."""
    return Checked(row_of(record), line(record))


def failed_record(task: Task, how: str) -> Record:
    """The record of a model whose process ended.

    Args:
        how: what comes behind "the process that checked it", such as "ended by SIGKILL".
    """
    return record_of_report(ModelReport(task.request.path, error=died_sentence(task, how)), task)


def failed(task: Task, how: str) -> Checked:
    """The same with its row and its line."""
    return with_line(failed_record(task, how))


def record_of_report(report: ModelReport, task: Task) -> Record:
    """What the settings make of a report, as a record."""
    report.profile = task.profile
    return judged_record(apply(report, task.settings), task)


def judged_record(report: ModelReport, task: Task) -> Record:
    """The record of a report to which the settings were applied."""
    verdict = judged(report, task.settings, None)
    return record_of(
        report,
        task.profile,
        exit_code=verdict.exit_code,
        failures=verdict.judgement.failures,
        settings=settings_key(task),
    )


def settings_key(task: Task) -> str:
    """16 digits that tell what a model is checked with: the version of xnnlint, settings and options. The code of rules
    and layers of one's own is not in it."""
    request = task.request
    said = {
        "version": __version__,
        "profile": [request.runtime, request.cpu],
        "options": [request.policy, request.fixes, request.wanted],
        "settings": _values(task.settings),
        "layers": [[layer.select, layer.ignore] for layer in task.settings.layers],
    }
    text = json.dumps(said, sort_keys=True, default=_plain)
    return sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]


def _values(settings: Settings) -> Mapping[str, Any]:
    left_out = {key.name for key in KEYS if key.for_run}.union(_OF_THE_SEARCH)
    return {name: value for name, value in settings.values.items() if name not in left_out}


def _plain(value: object) -> Any:
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return asdict(value) if isinstance(value, Struct) else str(value)
