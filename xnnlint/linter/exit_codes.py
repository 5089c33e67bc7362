"""What one checked model makes of the exit code."""

from __future__ import annotations

from xnnlint.linter.findings import ModelReport, Severity
from xnnlint.xnnpack.plan import Outcome


def exit_code(model: ModelReport, fail_on: Severity | None, *, require_sparse: bool = False) -> int:
    """2 if the file could not be read, else 1 if a finding is as grave as `fail_on` (None: never), else 0."""
    if model.error is not None:
        return 2
    if fail_on is None:
        return 0
    grave = model.worst is not None and model.worst.rank <= fail_on.rank
    return 1 if grave or (require_sparse and not is_sparse(model)) else 0


def is_sparse(model: ModelReport) -> bool:
    return model.outcome is Outcome.SPARSE
