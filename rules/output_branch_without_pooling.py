"""XNN201: an output of the model that no pooling separates from the cluster."""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.findings import Applicability, Finding
from xnnlint.rule import Rule, locate
from xnnlint.xnnpack.plan import Plan

from ._branches import ends, open_branches
from ._text import dims


class OutputBranchWithoutPooling(Rule):
    """An output is reached from the cluster without a pooling over height and width and without DEPTH_TO_SPACE."""

    code = "XNN201"
    name = "output-branch-without-pooling"
    summary = "every output must be reached through a pooling over H and W, or through DEPTH_TO_SPACE"

    def check(self, plan: Plan) -> Iterable[Finding]:
        for part in plan.partitions:
            if not ends(part):
                continue  # XNN202 tells that nothing ends the cluster at all.
            for branch in open_branches(part):
                reader = f" and read by {plan.graph.operators[branch.through[-1].op].type}" if branch.through else ""
                yield self.finding(
                    f"its output leaves the cluster as a map on the way to the output {branch.output.tensor_name!r}",
                    required="MEAN or SUM over H and W, or DEPTH_TO_SPACE, between here and the output",
                    actual=f"a map of shape {dims(branch.value.shape)}{reader}",
                    location=locate(plan, branch.node.op),
                    fix="end the branch with GlobalAveragePooling2D(keepdims=True) and a Reshape or Flatten, or with "
                    "tf.nn.depth_to_space for a map-shaped output",
                    applicability=Applicability.UNSAFE,
                    waivers=[("exit", branch.value.tensor)],
                )
