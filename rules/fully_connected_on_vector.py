"""XNN603: a fully-connected operator on a pooled vector, inside the cluster."""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.linter.findings import Applicability, Finding
from xnnlint.linter.rule import Rule, locate
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.ir import NodeType
from xnnlint.xnnpack.plan import Plan
from xnnlint.xnnpack.waiver import Waiver, WaiverKind

from ._branches import capable
from ._pytorch import POOLED
from ._text import dims

# Fewer dimensions than these, and the sparse kernel cannot be set up.
MAP_RANK = 3


class FullyConnectedOnVector(Rule):
    """Two or more fully-connected operators on a pooled vector belong to the sparse cluster, and cannot run there.

    ## What it does
    Finds fully-connected operators that read a value of fewer than $rank dimensions which the cluster computes, and
    whose own output the cluster reads. With LiteRT 1.4 and later these are FULLY_CONNECTED operators with
    keep_num_dims, with LiteRT 1.1 to 1.3 all of them.

    ## Why it matters
    If their weights have enough zeros, the runtime creates them as sparse 1x1 convolutions, which need a height and a
    width: the model fails to load (XNN902).

    ## Example
    ```python
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(64)(x)
    x = layers.Dense(10)(x)
    ```

    ## Use instead
    ```python
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(64)(x)
    x = layers.Dense(10)(x)
    ```

    ## Fix safety
    Safe: a reshape changes no number.

    ## References
    - google/XNNPACK, src/subgraph.c, `xnn_check_nchw_compatibility`: fully-connected nodes of any rank (8dffc30d,
      2025-01-13)
    - google-ai-edge/LiteRT, tflite/delegates/xnnpack/xnnpack_delegate.cc, `VisitFullyConnectedNode`: the reshape that
      keeps them out (b0b8578a, 2025-05-21)
    """

    code = "XNN603"
    name = "fully-connected-on-a-vector-in-cluster"
    condition = Condition.MAP_BEFORE_FULLY_CONNECTED
    terms = POOLED
    summary = "fully-connected operators on a pooled vector must not be part of the cluster"
    limits = {"rank": str(MAP_RANK)}

    def check(self, plan: Plan) -> Iterable[Finding]:
        for part in plan.partitions:
            for node, verdict in zip(part.nodes, part.decision.verdicts, strict=True):
                source = part.subgraph.values[node.inputs[0]]
                if node.type != NodeType.FULLY_CONNECTED or not verdict.layout or source.rank >= MAP_RANK:
                    continue
                if source.tensor is None or not capable(part, source.id) or node.outputs[0] not in part.read_inside:
                    continue
                yield self.finding(
                    "it would run as a sparse 1x1 convolution on a vector without height and width, and fail to load",
                    required="a RESHAPE between the pooling and it, so that it stays outside the cluster",
                    actual=f"a vector of shape {dims(source.shape)} from inside the cluster",
                    location=locate(plan, node.op),
                    fix="put a Reshape or Flatten between the pooling and the Dense layers",
                    applicability=Applicability.SAFE,
                    waivers=[Waiver(WaiverKind.RESHAPE, source.tensor)],
                )
