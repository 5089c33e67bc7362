"""What a check asks of the fixes.

    known = remedies(plan)                      # cheap: looks at places, searches nothing and writes nothing
    known.of(finding)                           # the fixes of its condition that fit at its place, safe ones first
    known.missing                               # why there are none of any finding, or ""

    result = what_fix_would_do(path, profile, budget=Budget(seconds=5))
    result.changes                              # what `xnnlint fix` would change; each has `applicability`, `text`,
                                                # `fulfils`, and `place`
    result.answers(finding)                     # those of them that are made at a finding's place
    result.after.plan, result.remaining         # what the runtime does with the changed model, and what is left
    result.complete                             # False where the budget ended before everything was tried

`remedies` knows single places: that a fix fits there, not that the model runs sparse after it. It sees what fits the
model as it is; some fixes find their place only once others are made. What the whole brings is what
`what_fix_would_do` says, by the search that `xnnlint fix` makes, without proof and without writing.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from xnnlint.errors import NotInstalled, XnnlintError
from xnnlint.fixes.change_search import Budget
from xnnlint.fixes.not_made import NotMade, Why, grouped
from xnnlint.fixes.remedy import Remedies, Remedy
from xnnlint.fixes.request import FixRequest

if TYPE_CHECKING:
    from xnnlint.fixes.result import Repair, Result, Version
    from xnnlint.linter.findings import Finding
    from xnnlint.xnnpack.plan import Plan
    from xnnlint.xnnpack.profile import Profile


# As many as it takes to make every change, and to leave out what does harm.
_ATTEMPTS = 16


class NoRemedies(Remedies):
    """Of a model that `xnnlint fix` does not take."""

    def __init__(self, missing: str, extra: str = "") -> None:
        self.missing, self.extra = missing, extra

    def of(self, finding: Finding) -> tuple[Remedy, ...]:
        return ()


def remedies(plan: Plan) -> Remedies:
    """The fixes of a model that was planned.

    Args:
        plan: its plan; `plan.model.path` is read again, since a plan knows less than a file.
    """
    model = plan.model
    try:
        if model.format == "tflite":
            from xnnlint.fixes.tflite.file_remedies import FileRemedies

            return FileRemedies(model.path, plan)
        if model.format in ("keras", "h5"):
            from xnnlint.fixes.keras.config_remedies import ConfigRemedies

            return ConfigRemedies(model.path, plan)
    except NotInstalled as error:
        return NoRemedies(str(error), error.extra)
    except (XnnlintError, OSError) as error:
        return NoRemedies(str(error))
    return NoRemedies("only .tflite, .keras and .h5 files can be fixed")


def ask_unsafe_fixes(done: Repair[Any], request: FixRequest) -> None:
    """Says of what was done by safe changes alone what `--unsafe-fixes` would do: `Repair.with_unsafe` where that is
    more, and in `not_made` the unsafe changes.

    Args:
        done: what was done.
        request: what was asked for.
    """
    if request.unsafe or not done.remaining:
        return
    from xnnlint.fixes.keras.config_search import repair
    from xnnlint.fixes.tflite.file_search import search
    from xnnlint.fixes.tflite.file_version import FileVersion

    bold, before = replace(request, unsafe=True), done.before
    budget = Budget(attempts=_ATTEMPTS)
    found: Result[Any]
    try:
        if isinstance(before, FileVersion):
            found = search(before.data, done.path, bold, budget, show=False)
        else:
            found = repair(done.path, bold, budget).result
    except (XnnlintError, OSError):
        return
    brings = _reach(found.after) > _reach(done.after)
    why = Why.NOT_ASKED if brings else Why.NOT_NEEDED
    unsafe = (NotMade(c.fix, c.applicability, why, "", (c.place,)) for c in found.changes if not c.is_safe)
    done.not_made.extend(grouped([*unsafe, *(item for item in found.not_made if not item.is_safe)]))
    done.with_unsafe = found.after if brings else None


def _reach(version: Version) -> tuple[bool, int]:
    return version.plan.is_correct, len(version.spmm)


def what_fix_would_do(
    path: str | os.PathLike[str],
    profile: Profile,
    *,
    unsafe: bool = False,
    assume_pruned: float | None = None,
    policy: bool = False,
    even_if_slower: bool = False,
    layers: tuple[tuple[str, str], ...] = (),
    budget: Budget | None = None,
) -> Result[Any]:
    """What `xnnlint fix` would change in a file; nothing is proven or written.

    Args:
        path: a .tflite, .keras or .h5 file.
        unsafe, assume_pruned, policy, even_if_slower, layers: as of `FixRequest`.
        budget: how long the search may take; None for as long as it takes.

    Raises:
        ModelError: the file cannot be read, or not be changed.
        XnnlintError: what edits files of its format is not installed.
    """
    from xnnlint.fixes.tflite.file_fixer import is_tflite, read_file
    from xnnlint.fixes.tflite.file_search import search

    name = os.fspath(path)
    options = FixRequest(
        profile, unsafe, assume_pruned=assume_pruned, policy=policy, even_if_slower=even_if_slower, layers=layers
    )
    if is_tflite(name):
        return search(read_file(name), name, options, budget, show=False)
    from xnnlint.fixes.keras.config_search import repair

    return repair(name, options, budget).result
