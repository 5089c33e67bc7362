"""Fixes one .tflite file: search, proof, and only then the write."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from xnnlint import atomic
from xnnlint.errors import ModelError, XnnlintError
from xnnlint.fixes.change import boldest_first
from xnnlint.fixes.not_made import MEASURED, NotMade, Why, grouped
from xnnlint.fixes.request import FixRequest
from xnnlint.fixes.result import Repair
from xnnlint.fixes.tflite.file_search import FileResult, search, undone
from xnnlint.fixes.tflite.file_version import FileVersion

if TYPE_CHECKING:
    from xnnlint.fixes.tflite.file_proof import FileProof, Prover

FileRepair = Repair[FileVersion]
# Weights and their copy have to fit into memory.
_LARGEST = 2**31
# How many kinds of changes are done without, one at a time, where a proof fails.
_RETRIES = 3
# A measured ratio below counts as slower; nearer to 1 the order in which memory was given out decides.
_SLOWER = 0.97
_NO_PROOF = "--no-proof"


class FileFixer:
    """Fixes one file after the other; a context manager, since it keeps the processes that prove.

    Args:
        options: how to fix.
        proof: whether to prove what is written.
    """

    def __init__(self, options: FixRequest, *, proof: bool = True) -> None:
        self.options, self.proof = options, proof
        self._stack = ExitStack()
        self._prover: Prover | None = None

    def __enter__(self) -> FileFixer:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def fix(self, path: str, target: str = "", *, backup: str = "") -> FileRepair:
        """Works out the changes of a file, proves them, and writes the result.

        Args:
            path: the file; it is never touched unless it is the target, too.
            target: where to write, the file as it is where nothing pays; "" for nowhere, and then nothing is proven
                either.
            backup: where to keep what was at the target, or "".

        Raises:
            ModelError: the file cannot be read, or not be changed without loss.
            XnnlintError: it was not proven, so that nothing was written; or it cannot be proven here.
        """
        return self.fix_data(read_file(path), path, target, backup=backup)

    def fix_data(self, data: bytes, path: str, target: str = "", *, backup: str = "") -> FileRepair:
        """The same for a file in memory, of which `path` is only the name."""
        done = FileRepair(_search(data, path, self.options))
        if not target:
            return done
        if not done.result.after.plan.is_correct:
            outcome = done.result.after.plan.outcome.value
            reasons = "".join(f"; {place}: {reason}" for place, reason in done.result.refused)
            subject = "it" if path == target else path
            raise XnnlintError(
                f"{target}: not written: no change was found that makes {subject} right ({outcome}){reasons}"
            )
        if done.changes and self.proof:
            done = self._proven(done.result, target)
        elif done.changes:
            done.not_measured = _NO_PROOF
        # Where nothing is changed, the target is the model as it is: what goes on with it has the best there is.
        if not done.changes and _same(path, target):
            return done
        done.backup = atomic.write(done.result.after.data, target, backup)
        done.written = target
        return done

    def _proven(self, result: FileResult, target: str) -> FileRepair:
        """The changes with their proof, or fewer: without one of the kinds that one would rather do without. What is
        measured to be slower is not done, unless the model was wrong, or that was asked for.

        Raises:
            XnnlintError: none of these is proven.
        """
        first = self._judged(result)
        if not (reason := self._fault(first)):
            return first
        for kind in boldest_first(result.changes)[:_RETRIES]:
            fewer = _search(result.before.data, result.path, self._without(kind))
            if fewer.changes and fewer.after.plan.is_correct:
                again = self._judged(fewer)
                if not self._fault(again):
                    fewer.refused.append((kind, reason))
                    fewer.not_made += _left_out(result, kind, first)
                    return again
        assert first.proof is not None
        if not first.proof.passed or first.measured is None:
            raise XnnlintError(f"{target}: not written: {first.proof.reason}")
        return FileRepair(undone(result, first.measured))

    def _without(self, kind: str) -> FixRequest:
        return replace(self.options, ignore=(*self.options.ignore, kind))

    def _judged(self, result: FileResult) -> FileRepair:
        """Changes that were proven, and, where that can be done here, timed."""
        done = FileRepair(result, self._prove(result))
        if done.proof is not None and done.proof.passed and self._prover is not None:
            try:
                done.measured = self._prover.measure(result)
            except XnnlintError as error:
                done.not_measured = str(error)
        return done

    def _fault(self, done: FileRepair) -> str:
        """Why changes that were judged must not be written, or ""."""
        if done.proof is not None and not done.proof.passed:
            return f"it was not proven: {done.proof.reason}"
        if done.measured is None or self.options.even_if_slower or not done.before.plan.is_correct:
            return ""
        return "with it, the model was measured to be slower" if done.measured.ratio.value < _SLOWER else ""

    def _prove(self, result: FileResult) -> FileProof:
        if self._prover is None:
            from xnnlint.fixes.tflite.file_proof import Prover

            self._prover = self._stack.enter_context(Prover())
        return self._prover.prove(result)


def _left_out(result: FileResult, kind: str, judged: FileRepair) -> list[NotMade]:
    """The changes of a kind without which a file is proven, and not measured to be slower."""
    proof = judged.proof
    failed = proof is not None and not proof.passed
    why, detail = (Why.NOT_PROVEN, proof.reason) if proof is not None and failed else (Why.SLOWER, MEASURED)
    return grouped(NotMade(c.fix, c.applicability, why, detail, (c.place,)) for c in result.changes if c.fix == kind)


def is_tflite(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a file that is read as .tflite; False for what cannot be read at all."""
    from xnnlint.loaders.keras.read_file import format_of

    place = Path(path)
    try:
        if not place.is_file():
            return place.suffix.lower() == ".tflite"
        with place.open("rb") as file:
            head = file.read(64)
    except OSError:
        return place.suffix.lower() == ".tflite"
    return head[4:8] == b"TFL3" or (place.suffix.lower() == ".tflite" and not format_of(path, head))


def read_file(path: str) -> bytes:
    """A .tflite file that can be changed.

    Raises:
        ModelError: it is none, or too large.
    """
    from xnnlint.loaders import load

    # The reader bounds what a file may claim, and says what is wrong with it.
    if load(path).format != "tflite":
        raise ModelError(path, "this is not a .tflite file")
    size = Path(path).stat().st_size
    if size >= _LARGEST:
        raise ModelError(path, f"it has {size:,} bytes, and files of up to 2 GB can be changed")
    return Path(path).read_bytes()


def _search(data: bytes, path: str, options: FixRequest) -> FileResult:
    """`search`, of which a mistake of ours in one file must not keep others from being fixed."""
    from xnnlint.linter.engine import internal

    try:
        return search(data, path, options)
    except XnnlintError:
        raise
    except Exception as error:
        if os.environ.get("XNNLINT_DEBUG"):
            raise
        raise XnnlintError(f"{path}: {internal(error)}") from error


def _same(path: str, target: str) -> bool:
    return Path(target).exists() and Path(path).samefile(target)
