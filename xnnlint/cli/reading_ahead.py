"""What a check needs is imported by the process that will read the model, while this one reads options and settings."""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Iterator

from xnnlint.cache import seen
from xnnlint.cli import plain_check


@contextlib.contextmanager
def ahead_of(words: list[str]) -> Iterator[None]:
    """While a call is run, have a process wait for the model of a plain `check`, where that is worth it."""
    if not _is_worth_it(words):
        yield
        return
    from xnnlint.linter import waiting_process

    waiting_process.start(_import_for_a_check)
    try:
        yield
    finally:
        # It holds stdout, to whose end somebody may read.
        waiting_process.end()


def _is_worth_it(words: list[str]) -> bool:
    """Whether a single file is to be checked, no answer is remembered for it, and another processor is there."""
    path = plain_check.single_path(words) if plain_check.is_meant(words) else None
    if path is None or os.environ.get("XNNLINT_DEBUG") or not os.path.isfile(path):  # noqa: PTH113
        return False
    if "--no-cache" not in words and seen.has(path):
        return False
    from xnnlint.linter.own_process import can_fork

    return can_fork() and len(os.sched_getaffinity(0)) > 1


def _import_for_a_check() -> None:
    from xnnlint.collection import collect_rarely
    from xnnlint.numpy_import import import_numpy

    collect_rarely()
    import_numpy()
    import xnnlint.cli.session
    import xnnlint.cost.predictor
    import xnnlint.linter.engine
    import xnnlint.loaders.tflite.read_tflite
    import xnnlint.model.stored_size  # noqa: F401
    from xnnlint.linter.rule_registry import own_rules

    own_rules()
    gc.freeze()
    gc.enable()
