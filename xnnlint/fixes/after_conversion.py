"""What `xnnlint convert --fix` would make of a Keras model: the fixes of the .tflite file that it is converted to.

Nothing is converted for it. The graph that a check plans is the one that the converter would write, so it is written as
a file here, and the search that `xnnlint fix` makes of a file is made of that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xnnlint.errors import XnnlintError
from xnnlint.fixes.change_search import Budget
from xnnlint.fixes.request import FixRequest
from xnnlint.fixes.result import outcome_of
from xnnlint.linter.findings import FixOutcome
from xnnlint.xnnpack.plan import Outcome

if TYPE_CHECKING:
    from xnnlint.xnnpack.plan import Plan

# An attempt plans the file once; of larger models only as much is tried as takes a second or two.
MOST_OPERATORS = 400
MOST_WEIGHTS = 8_000_000
_WORK = 600
_MOST_ATTEMPTS = 16
_LARGEST_SIZE = 2**31 - 1


def after_conversion(plan: Plan, brought: FixOutcome | None) -> tuple[FixOutcome | None, FixOutcome | None]:
    """What comes of the converted file by its safe changes, and what would of those that make it slower as predicted.

    Args:
        plan: of a Keras model as it is.
        brought: what comes of the changes of its layers; None where there are none, or nobody knows.

    Returns:
        Each None where it is no more than what the model is without it, and where it was not planned.
    """
    if plan.model.format == "tflite" or plan.model.unknown or plan.profile.is_portable or _is_large(plan):
        return None, None
    try:
        made, more = _searched(plan)
    except XnnlintError:
        return None, None
    best = max(_rank(plan.outcome, len(plan.spmm_ops)), (-1, 0) if brought is None else _rank_of(brought))
    told = made if _rank_of(made) > best else None
    return told, more if more is not None and _rank_of(more) > max(best, _rank_of(made)) else None


def _searched(plan: Plan) -> tuple[FixOutcome, FixOutcome | None]:
    """What the search of the file finds.

    Raises:
        XnnlintError: what edits files is not installed.
    """
    from xnnlint.fixes.tflite import object_api
    from xnnlint.fixes.tflite.file_search import search
    from xnnlint.modelbuilder.graph_file import write_graph

    object_api.generated()
    attempts = min(_WORK // max(len(plan.graph.operators), 1), _MOST_ATTEMPTS)
    request = FixRequest(plan.profile)
    result = search(write_graph(plan.graph), plan.model.path, request, Budget(attempts=attempts), show=False)
    return outcome_of(result.after), None if result.declined is None else outcome_of(result.declined.version)


def _is_large(plan: Plan) -> bool:
    weights = sum(tensor.stored_bytes for tensor in plan.graph.tensors) // 4
    # No file holds the sizes that a damaged config can claim.
    beyond = any(size > _LARGEST_SIZE for tensor in plan.graph.tensors for size in tensor.shape)
    return beyond or len(plan.graph.operators) > MOST_OPERATORS or weights > MOST_WEIGHTS


def _rank_of(found: FixOutcome) -> tuple[int, int]:
    return _rank(found.outcome, found.spmm)


def _rank(outcome: Outcome, spmm: int) -> tuple[int, int]:
    """Larger is better."""
    ranks = (Outcome.FAILS, Outcome.WRONG_RESULTS, Outcome.DENSE, Outcome.SPARSE)
    return ranks.index(outcome), spmm if outcome is Outcome.SPARSE else 0
