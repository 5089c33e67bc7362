"""The graph of a model for Graphviz."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xnnlint.reporters.check_report import CheckReport, ModelJudgement, ReportSetting

if TYPE_CHECKING:
    from xnnlint.linter.findings import ModelReport


class DotReport(CheckReport):
    """One graph; a model that cannot be read is left to stderr."""

    name = "dot"
    of_one_graph = True

    def __init__(self, setting: ReportSetting) -> None:
        pass

    def add(self, model: ModelReport, judged: ModelJudgement) -> str:
        from xnnlint.reporters.page.dot import dot_text
        from xnnlint.reporters.page.graph_facts import graph_facts

        return "" if model.plan is None else dot_text(graph_facts(model), model.path)
