"""What the settings make of one checked model: whether it fails the run, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from xnnlint.linter.exit_codes import exit_code, is_sparse
from xnnlint.linter.findings import Severity
from xnnlint.reporters.check_report import ModelJudgement

if TYPE_CHECKING:
    from xnnlint.config.settings import Settings
    from xnnlint.linter.findings import ModelReport
    from xnnlint.xnnpack.profile import Profile

NEVER = "never"


class Verdict(NamedTuple):
    """The exit code that the model alone would give, and what reports get to know."""

    exit_code: int
    judgement: ModelJudgement


def judged(model: ModelReport, settings: Settings, run: Profile | None) -> Verdict:
    """Judge a model by the settings that hold for it.

    Args:
        run: the profile of the run; a model that was checked for another one says so.
    """
    fail_on, require_sparse = settings["fail-on"], settings["require-sparse"]
    threshold = None if fail_on == NEVER else Severity(fail_on)
    failures: tuple[str, ...] = ()
    if model.error is None and require_sparse and threshold is not None and not is_sparse(model):
        verb = "does not run" if model.outcome is not None else "is not known to run"
        failures = (f"{model.path}: {verb} sparse, which --require-sparse demands",)
    other = model.profile if run is not None and model.profile != run else None
    code = exit_code(model, threshold, require_sparse=require_sparse)
    return Verdict(code, ModelJudgement(threshold, failures, other, settings.reports))
