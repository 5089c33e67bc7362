"""Node data for Model Explorer: who runs each operator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xnnlint.reporters.model_explorer import NodeData, Value, of_kernels

if TYPE_CHECKING:
    from xnnlint.linter.findings import ModelReport
    from xnnlint.reporters.page.graph_facts import OperatorFacts


class ModelExplorerKernelsReport(NodeData):
    """Node data for Model Explorer: who runs each operator."""

    name = "model-explorer"

    def value(self, op: OperatorFacts, model: ModelReport) -> Value | None:
        return of_kernels(op)
