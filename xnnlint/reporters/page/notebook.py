"""What a notebook shows of a report: the same words and the same picture as the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xnnlint.errors import XnnlintError
from xnnlint.reporters.page.graph_facts import graph_facts
from xnnlint.reporters.page.markup import element, html_text
from xnnlint.reporters.page.picture import alone
from xnnlint.reporters.page.sections import verdict_part

if TYPE_CHECKING:
    from xnnlint.linter.findings import ModelReport


def notebook_html(report: ModelReport) -> str:
    """A part of a page, with its own styles and no script."""
    if report.plan is None:
        return html_text(element("p", report.error or report.path))
    parts = [verdict_part(report, report.profile or report.plan.profile)]
    try:
        drawn = alone(graph_facts(report), report.path)
        drawn.set("style", "max-width: 100%; height: auto")
        parts.append(drawn)
    except XnnlintError as error:  # without grandalf there is no picture
        parts.append(element("p", str(error)))
    return html_text(element("div", *parts))
