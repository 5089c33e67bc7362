"""XNN205: a cluster that reads the graph's input, or another partition's output, directly."""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.findings import Applicability, Finding
from xnnlint.rule import Rule, locate
from xnnlint.xnnpack.ir import Layout
from xnnlint.xnnpack.plan import Plan

from ._text import dims


class GraphInputInCluster(Rule):
    """Operators that could run in NCHW read an input directly, without the stem that turns NHWC into NCHW."""

    code = "XNN205"
    name = "graph-input-in-cluster"
    summary = "between an input and the cluster there must be the 3x3 stride-2 stem"

    def check(self, plan: Plan) -> Iterable[Finding]:
        for part in plan.partitions:
            verdicts = dict(zip(map(id, part.nodes), part.decision.verdicts, strict=True))
            for value in part.subgraph.values:
                if not value.external_input or value.rank != 4 or value.tensor is None:
                    continue
                readers = [
                    n for n in part.nodes if value.id in n.inputs and verdicts[id(n)].layout & (Layout.NCHW | Layout.EXIT)
                ]
                if not readers:
                    continue
                is_input = value.tensor in plan.graph.inputs
                what = "an input of the model" if is_input else "computed outside the delegate's partition"
                yield self.finding(
                    f"it reads {value.tensor_name!r}, {what}, without a stem that enters the cluster",
                    required="a 3x3 convolution with stride 2, padding 1 and 3 input channels in front",
                    actual=f"{what}, {dims(value.shape)}",
                    location=locate(plan, readers[0].op),
                    fix="start the branch with ZeroPadding2D(1) and Conv2D(filters, 3, strides=2, padding='valid')",
                    applicability=Applicability.UNSAFE,
                    waivers=[("entry", value.tensor)],
                )
