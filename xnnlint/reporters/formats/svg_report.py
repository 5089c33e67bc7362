"""The graph of a model alone, as an SVG picture for a document."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xnnlint.reporters.check_report import CheckReport, ModelJudgement, ReportSetting

if TYPE_CHECKING:
    from xnnlint.linter.findings import ModelReport


class SvgReport(CheckReport):
    """One picture; a model that cannot be read is left to stderr."""

    name = "svg"
    of_one_graph = True

    def __init__(self, setting: ReportSetting) -> None:
        pass

    def add(self, model: ModelReport, judged: ModelJudgement) -> str:
        from xnnlint.reporters.page.graph_facts import graph_facts
        from xnnlint.reporters.page.markup import xml_text
        from xnnlint.reporters.page.picture import for_document

        if model.plan is None:
            return ""
        return xml_text(for_document(graph_facts(model), model.path)) + "\n"
