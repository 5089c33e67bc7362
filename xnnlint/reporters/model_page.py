"""A page on one model, for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xnnlint.reporters.causes import why_lines
from xnnlint.reporters.finding_details import detail_lines
from xnnlint.reporters.headline import headline, meaning
from xnnlint.reporters.next_steps import next_lines
from xnnlint.reporters.plan_table import plan_table

if TYPE_CHECKING:
    from xnnlint.linter.findings import ModelReport
    from xnnlint.reporters.styled_lines import Line
    from xnnlint.xnnpack.profile import Profile


def model_lines(
    model: ModelReport,
    profile: Profile,
    width: int,
    *,
    failed: bool = False,
    with_plan: bool = False,
    for_pipe: bool = False,
    verbose: bool = False,
) -> list[Line]:
    """A page on one model that was read: the outcome, why it is that, and what to type next.

    Args:
        width: columns to wrap at.
        failed: whether it makes the exit code 1.
        with_plan: add the table of operators.
        for_pipe: keep the verdict in one line and every name whole, whatever the width: programs read them.
        verbose: every finding by itself, with its rule's condition and the sources of that.
    """
    lines = headline(model, profile, None if for_pipe else width, failed=failed)
    lines += meaning(model, profile, width, for_pipe=for_pipe, verbose=verbose)
    if with_plan and model.plan is not None:
        prediction = model.speed.prediction if model.speed is not None else None
        lines += [[], *plan_table(model.plan, None if for_pipe else width, prediction)]
    why = why_lines(model, width, for_pipe=for_pipe, in_detail=verbose)
    if verbose:
        for finding in model.findings:
            why += [[], *detail_lines(finding, model, width)]
    for part in (why, next_lines(model, width)):
        lines += [[], *part] if part else []
    return lines
