"""Writes a changed Keras model, once what is on the disk is seen to be what was proved."""

from __future__ import annotations

import shutil
from collections.abc import Callable

from xnnlint.atomic import commit, draft
from xnnlint.errors import XnnlintError
from xnnlint.fixes.keras.archive import Archive
from xnnlint.fixes.keras.config_search import ConfigRepair
from xnnlint.fixes.keras.stripped_weights import taken_off


def write(
    done: ConfigRepair, target: str, *, backup: str = "", check: Callable[[str], list[str]] = lambda drafted: []
) -> None:
    """Writes the changed model to `target`.

    Args:
        done: from `config_search.repair`.
        target: where to; what is there is replaced in one step.
        backup: where to keep a copy of what was at `target`, or "".
        check: looks at the file before it takes its place; returns what it proved, or raises an XnnlintError.

    Raises:
        XnnlintError: what was written is not what was proved; then `target` is as it was.
        OSError: it cannot be written.
    """
    with draft(target) as drafted:
        try:
            write_draft(done, Archive(done.path), drafted)
            done.add_facts(check(drafted))
        except XnnlintError as fault:
            raise XnnlintError(f"{target}: not written: {fault}") from None
        done.backup = commit(drafted, target, backup)
    done.written = target


def write_draft(done: ConfigRepair, archive: Archive, path: str) -> None:
    """Writes the changed model to a file that is nobody's yet, and reads it again.

    Raises:
        XnnlintError: what was written is not what was proved.
    """
    after = done.after
    if done.changes:
        archive.write(after.document, path, after.new_weights, (done.before.keras, after.keras))
    else:
        shutil.copyfile(done.path, path)
    lost = archive.without_optimizer(done.before.keras, after.new_weights or {})
    if lost:
        why = f"weights have another shape now ({', '.join(lost)})"
        done.add_facts([f"the optimizer keeps its settings and starts anew, since {why}"])
    moved = bool(taken_off(done.before.keras, after.keras))
    if not archive.same_weights(path, after.new_weights, moved=moved):
        raise XnnlintError("weights would change")
    if Archive(path).document != after.document:
        raise XnnlintError("what is on the disk is not what was proved")
