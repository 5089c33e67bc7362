"""Node data for Google's Model Explorer: what is known of each operator, as a value with a colour.

Model Explorer shows one value at each node for every file of node data that it is given, so there is a format for each
kind of value. A node is found by the name of a tensor that it writes, or by its id.

Source: google-ai-edge/model-explorer, src/server/package/src/model_explorer/node_data_builder.py, `ModelNodeData`,
`GraphNodeData`; tried with ai-edge-model-explorer 0.1.34 (2026-11-30).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from xnnlint.reporters.check_report import CheckReport, ModelJudgement, ReportSetting
from xnnlint.reporters.json_document import dumps
from xnnlint.reporters.page.graph_facts import KernelClass, Mark, graph_facts
from xnnlint.reporters.page.picture import MARKS, TITLES
from xnnlint.xnnpack.layout import passes_zeros_test

if TYPE_CHECKING:
    from xnnlint.linter.findings import ModelReport
    from xnnlint.reporters.page.graph_facts import OperatorFacts

GRAPH = "main"
"""What the adapter of Model Explorer calls a first subgraph that has no name of its own."""
_BLACK, _ENOUGH, _SOME, _NO_ZEROS = "#000000", "#8fd6a8", "#ffc078", "#ffffff"
_OF_KERNELS = {
    KernelClass.SPMM: "#8fd6a8",
    KernelClass.NCHW: "#a9cbf5",
    KernelClass.NHWC: "#ecdfb8",
    KernelClass.TFLITE: "#d7b9f0",
    KernelClass.NONE: "#ffffff",
}
_OF_MARKS = {Mark.WRONG: "#ff8f8f", Mark.BLOCKER: "#ffc078", Mark.NOTE: "#dfe3e8"}


class Value(NamedTuple):
    """What a node shows, and on which colour."""

    value: str | float
    colour: str


class NodeData(CheckReport):
    """One document of node data, of one model."""

    of_one_graph = True

    def __init__(self, setting: ReportSetting) -> None:
        pass

    def value(self, op: OperatorFacts, model: ModelReport) -> Value | None:
        """What is said of an operator; None for nothing."""
        raise NotImplementedError

    def add(self, model: ModelReport, judged: ModelJudgement) -> str:
        if model.plan is None:
            return ""
        graph = model.plan.graph
        results = {}
        for op in graph_facts(model).operators:
            said = self.value(op, model)
            if said is not None:
                named = [graph.tensors[t].name for t in graph.operators[op.op].outputs if t >= 0]
                # Model Explorer calls nodes by the index of their operator.
                results[named[0] if named and named[0] else str(op.op)] = {
                    "value": said.value,
                    "bgColor": said.colour,
                    "textColor": _BLACK,
                }
        return dumps({graph.name or GRAPH: {"results": results}}) + "\n"


def of_kernels(op: OperatorFacts) -> Value:
    """Who runs it."""
    return Value(TITLES[op.runs], _OF_KERNELS[op.runs])


def of_zeros(op: OperatorFacts) -> Value | None:
    """The share of zeros of its weights, in percent."""
    if not op.elements or op.zeros is None:
        return None
    colour = _ENOUGH if passes_zeros_test(op.zeros, op.elements) else _SOME if op.zeros else _NO_ZEROS
    return Value(round(100 * op.zeros / op.elements, 1), colour)


def of_findings(op: OperatorFacts, model: ModelReport) -> Value | None:
    """The codes of its findings, or that it goes wrong."""
    if op.mark is None:
        return None
    codes = dict.fromkeys(model.findings[number].rule for number in op.findings)
    return Value(", ".join(codes) or MARKS[op.mark], _OF_MARKS[op.mark])
