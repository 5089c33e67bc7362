"""Node data for Model Explorer: the zeros of each weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xnnlint.reporters.model_explorer import NodeData, Value, of_zeros

if TYPE_CHECKING:
    from xnnlint.linter.findings import ModelReport
    from xnnlint.reporters.page.graph_facts import OperatorFacts


class ModelExplorerZerosReport(NodeData):
    """Node data for Model Explorer: the zeros of each weight."""

    name = "model-explorer-zeros"

    def value(self, op: OperatorFacts, model: ModelReport) -> Value | None:
        return of_zeros(op)
