"""What `xnnlint convert --fix` would make of a Keras model: the fixes of the .tflite file that it is converted to.

Nothing is converted for it. The graph that a check plans is the one that the converter would write, so it is written as
a file here, and the search that `xnnlint fix` makes of a file is made of that.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from msgspec import Struct

from xnnlint.errors import XnnlintError
from xnnlint.fixes.change_search import Budget
from xnnlint.fixes.fixable import FileKind, fixable
from xnnlint.fixes.request import FixRequest
from xnnlint.fixes.result import outcome_of
from xnnlint.linter.findings import Applicability, Finding, FixOutcome, Severity
from xnnlint.xnnpack.plan import Outcome

if TYPE_CHECKING:
    from xnnlint.xnnpack.plan import Plan

# So large a model is searched within some half a second; larger ones where that is asked for, as far as a second or two
# allow: an attempt plans the file once.
MOST_OPERATORS = 40
MOST_WEIGHTS = 1_000_000
MOST_OPERATORS_ASKED = 400
MOST_WEIGHTS_ASKED = 8_000_000
_WORK = 600
_MOST_ATTEMPTS = 16
_LARGEST_SIZE = 2**31 - 1


class Converted(Struct, frozen=True):
    """What `xnnlint convert --fix` would make of a Keras model.

    Attributes:
        made: what comes of the safe changes; None where it is no more than what the model is without them.
        if_slower: the same with those that are not made, since they are predicted to make the model slower.
        untried: findings for which files have a safe fix, of a model too large to try; 0 where it was tried.
    """

    made: FixOutcome | None = None
    if_slower: FixOutcome | None = None
    untried: int = 0


def after_conversion(
    plan: Plan,
    known: Iterable[FixOutcome | None] = (),
    findings: Iterable[Finding] = (),
    *,
    whatever_size: bool = False,
) -> Converted:
    """What comes of the converted file by its safe changes, and what would of those that make it slower as predicted.

    Args:
        plan: of a Keras model as it is.
        known: what comes of the changes of its layers, as far as anybody knows.
        findings: those that the changes of its layers leave.
        whatever_size: whether a large model is searched, too.
    """
    if plan.model.format == "tflite" or plan.model.unknown or plan.profile.is_portable:
        return Converted()
    most = (MOST_OPERATORS_ASKED, MOST_WEIGHTS_ASKED) if whatever_size else (MOST_OPERATORS, MOST_WEIGHTS)
    if _is_larger(plan, *most):
        return Converted(untried=0 if whatever_size else sum(map(_is_fixable, findings)))
    try:
        made, more = _searched(plan)
    except XnnlintError:
        return Converted()
    here = _rank(plan.outcome, len(plan.spmm_ops))
    best = max([here, *(_rank_of(outcome) for outcome in known if outcome is not None)])
    told = made if _rank_of(made) > best else None
    return Converted(told, more if more is not None and _rank_of(more) > max(best, _rank_of(made)) else None)


def _is_fixable(finding: Finding) -> bool:
    """Whether files have a safe fix for what a finding lacks; it need not fit at its place."""
    asks = finding.severity is Severity.ERROR
    return asks and fixable(finding.condition).get(FileKind.TFLITE) is Applicability.SAFE


def _searched(plan: Plan) -> tuple[FixOutcome, FixOutcome | None]:
    """What the search of the file finds.

    Raises:
        XnnlintError: what edits files is not installed.
    """
    from xnnlint.fixes.tflite import object_api
    from xnnlint.fixes.tflite.file_search import search
    from xnnlint.modelbuilder.graph_file import write_graphs

    object_api.generated()
    attempts = min(_WORK // max(len(plan.graph.operators), 1), _MOST_ATTEMPTS)
    request = FixRequest(plan.profile)
    result = search(write_graphs(plan.model.graphs), plan.model.path, request, Budget(attempts=attempts), show=False)
    return outcome_of(result.after), None if result.declined is None else outcome_of(result.declined.version)


def _is_larger(plan: Plan, operators: int, most_weights: int) -> bool:
    weights = sum(tensor.stored_bytes for tensor in plan.graph.tensors) // 4
    # No file holds the sizes that a damaged config can claim.
    beyond = any(size > _LARGEST_SIZE for tensor in plan.graph.tensors for size in tensor.shape)
    return beyond or len(plan.graph.operators) > operators or weights > most_weights


def _rank_of(found: FixOutcome) -> tuple[int, int]:
    return _rank(found.outcome, found.spmm)


def _rank(outcome: Outcome, spmm: int) -> tuple[int, int]:
    """Larger is better."""
    ranks = (Outcome.FAILS, Outcome.WRONG_RESULTS, Outcome.DENSE, Outcome.SPARSE)
    return ranks.index(outcome), spmm if outcome is Outcome.SPARSE else 0
