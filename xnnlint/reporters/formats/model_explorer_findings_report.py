"""Node data for Model Explorer: findings where they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xnnlint.reporters.model_explorer import NodeData, Value, of_findings

if TYPE_CHECKING:
    from xnnlint.linter.findings import ModelReport
    from xnnlint.reporters.page.graph_facts import OperatorFacts


class ModelExplorerFindingsReport(NodeData):
    """Node data for Model Explorer: findings where they are."""

    name = "model-explorer-findings"

    def value(self, op: OperatorFacts, model: ModelReport) -> Value | None:
        return of_findings(op, model)
