"""The two variants of a model that are timed against each other."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from xnnlint.errors import ModelError, XnnlintError
from xnnlint.xnnpack.plan import Outcome

if TYPE_CHECKING:
    from xnnlint.fixes.request import FixRequest
    from xnnlint.fixes.tflite.file_search import FileResult
    from xnnlint.xnnpack.plan import Plan
    from xnnlint.xnnpack.profile import Profile

PRUNE = "prune"
"""The fix that prunes."""


class Comparison(str, Enum):
    """What is compared; the values are those of JSON documents."""

    STORED_DENSE = "stored-dense"
    FIXED = "fixed"
    PRUNED = "pruned"
    FILES = "files"


class Variant(Struct, frozen=True):
    """One of the two: what to call it in a column and in a sentence, its bytes, and its plan."""

    label: str
    what: str
    data: bytes
    plan: Plan


class Pair(Struct, frozen=True):
    """Two variants of a model; a ratio says how many times as fast `after` is as `before`.

    Attributes:
        path: the model as given.
        changes: names of the fixes that make `after` of `before`, each with the number of places.
        declined: whether `fix` would not write `after`, since it is predicted to be slower.
    """

    path: str
    comparison: Comparison
    before: Variant
    after: Variant
    changes: tuple[tuple[str, int], ...] = ()
    declined: bool = False


def pair_of(path: str, profile: Profile) -> Pair:
    """A model that runs sparse, or is wrong, beside itself with its weights stored dense; of one that runs dense, what
    safe fixes make of it.

    Raises:
        XnnlintError: it runs dense, and no safe fix changes that.
    """
    data = model_bytes(path)
    plan = _plan(data, path, profile)
    dense = data if plan.outcome is Outcome.DENSE else _dense(data, path)
    if dense != data:
        before = Variant("dense", "the same file with its weights stored dense", dense, _plan(dense, path, profile))
        return Pair(path, Comparison.STORED_DENSE, before, Variant("sparse", "the file as it is", data, plan))
    return _fixed_pair(path, data, profile, unsafe=False, instead="it runs dense")


def pair_with_fixes(path: str, profile: Profile, *, unsafe: bool) -> Pair:
    """A model as it is, and as `fix` would write it.

    Raises:
        XnnlintError: there is nothing that a fix would change.
    """
    return _fixed_pair(path, model_bytes(path), profile, unsafe=unsafe, instead="")


def pair_if_pruned(path: str, profile: Profile, share: float, *, unsafe: bool) -> Pair:
    """A model that is not pruned yet, stored dense, and what it would be with `share` of zeros, 0 to 1, in its 1x1
    kernels: those of least magnitude, so that it can be timed; accuracy it has none.

    Args:
        unsafe: whether other unsafe fixes are made, too.

    Raises:
        XnnlintError: pruning would make nothing sparse.
    """
    from xnnlint.fixes.request import FixRequest
    from xnnlint.fixes.tflite.operator_fixer import operator_fixers
    from xnnlint.linter.findings import Applicability

    data = _dense(model_bytes(path), path)
    select: tuple[str, ...] = ()
    if not unsafe:
        select = (*(fixer.name for fixer in operator_fixers() if fixer.applicability is Applicability.SAFE), PRUNE)
    result = _search(data, path, FixRequest(profile, unsafe=True, select=select, prune=share))
    if not result.after.plan.spmm_ops:
        more = "" if unsafe else " by safe fixes alone"
        raise XnnlintError(f"{path}: pruned to {share:.0%} it would run dense all the same{more}")
    after = Variant("pruned", f"pruned to {share:.0%} in memory", result.after.data, result.after.plan)
    before = Variant("dense", "the file, its weights stored dense", data, result.before.plan)
    return Pair(path, Comparison.PRUNED, before, after, _counted(result), result.declined is not None)


def pair_of_files(paths: Sequence[str], profile: Profile) -> Pair:
    """Two files that are variants of one model."""
    first, second = (model_bytes(path) for path in paths)
    before = Variant("first", paths[0], first, _plan(first, paths[0], profile))
    after = Variant("second", paths[1], second, _plan(second, paths[1], profile))
    return Pair(paths[1], Comparison.FILES, before, after)


def model_bytes(path: str) -> bytes:
    """A .tflite file's bytes; of a Keras model those that TensorFlow makes of it, its batch fixed to 1.

    Raises:
        XnnlintError: it cannot be read, or TensorFlow is not installed.
    """
    from xnnlint.fixes.tflite.file_fixer import is_tflite, read_file

    if is_tflite(path):
        return read_file(path)
    from xnnlint.runtime.tensorflow_converter import convert
    from xnnlint.runtime.tensorflow_log import errors_only

    with errors_only():
        return convert(path, batch=1)


def _fixed_pair(path: str, data: bytes, profile: Profile, *, unsafe: bool, instead: str) -> Pair:
    from xnnlint.fixes.request import FixRequest

    result = _search(data, path, FixRequest(profile, unsafe=unsafe))
    if not result.changes:
        what = f"{instead}, and no fix changes that" if instead else "there is nothing to fix"
        more = "" if unsafe else " safely; --assume-pruned times it as if it were pruned"
        raise XnnlintError(f"{path}: {what}{more}")
    before = Variant("before", "the file as it is", data, result.before.plan)
    what = "what fix makes of it" if result.declined is None else "what fix could make of it (predicted: slower)"
    after = Variant("after", what, result.after.data, result.after.plan)
    return Pair(path, Comparison.FIXED, before, after, _counted(result), result.declined is not None)


def _search(data: bytes, path: str, request: FixRequest) -> FileResult:
    from xnnlint.fixes.tflite.file_search import search

    result = search(data, path, request, show=False)
    # What fix does not write since it does not pay is what a benchmark is for.
    return result if result.declined is None else replace(result, after=result.declined.version)


def _counted(result: FileResult) -> tuple[tuple[str, int], ...]:
    counts: dict[str, int] = {}
    for change in result.changes:
        counts[change.fix] = counts.get(change.fix, 0) + 1
    return tuple(counts.items())


def _dense(data: bytes, path: str) -> bytes:
    from xnnlint.fixes.change import CannotChange
    from xnnlint.fixes.tflite.sparse_encoding import stored_dense

    try:
        return stored_dense(data, path)
    except CannotChange as error:
        raise ModelError(path, f"its weights cannot be stored dense ({error})") from None


def _plan(data: bytes, path: str, profile: Profile) -> Plan:
    from xnnlint.loaders.tflite.read_tflite import load_bytes
    from xnnlint.xnnpack.planner import make_plan

    return make_plan(load_bytes(data, path), profile)
