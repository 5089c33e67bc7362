"""XNN205: a cluster that reads the graph's input, or another partition's output, directly."""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.linter.findings import Applicability, Finding
from xnnlint.linter.rule import Rule, locate
from xnnlint.model.graph import Graph
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.conditions.stem import CHANNELS, KERNEL, PAD, STRIDE
from xnnlint.xnnpack.ir import Layout
from xnnlint.xnnpack.plan import Plan
from xnnlint.xnnpack.waiver import Waiver, WaiverKind

from ._pytorch import ENTRY
from ._text import by, dims, named, side
from .stem_convolution import LAYERS

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")


class GraphInputInCluster(Rule):
    """Operators that could run in NCHW read an input directly, without the stem that turns NHWC into NCHW.

    ## What it does
    Finds 4-D inputs of the model that are read by something other than the stem ($layers), directly or through
    operators that TFLite runs. Values from the middle of the network, which TFLite computes because XNNPACK does not
    take the operator, are reported by XNN401.

    ## Why it matters
    Only the stem goes from NHWC to NCHW. Any other operator that reads a value from outside is incompatible, and so is
    everything behind it, up to the next stem.

    ## Example
    ```python
    image = keras.Input((224, 224, 3))
    features = keras.Input((28, 28, 64))
    x = layers.Add()([backbone(image), features])
    ```

    ## Use instead
    One input with a stem; what else the model needs goes in behind the pooling:
    ```python
    x = layers.Concatenate()([layers.GlobalAveragePooling2D()(backbone(image)), side_input])
    ```

    ## Fix safety
    Unsafe: the model computes something else.

    ## References
    - google/XNNPACK, src/subgraph.c, `xnn_subgraph_rewrite_for_nchw`: nodes that read an external value become
      incompatible
    - tensorflow/model-optimization, tensorflow_model_optimization/python/core/sparsity/keras/pruning_policy.py,
      `PruneForLatencyOnXNNPack.ensure_model_supports_pruning`: a stem
      in every input branch
    """

    code = "XNN205"
    name = "graph-input-in-cluster"
    condition = Condition.INPUT_OUTSIDE
    of_whole_graph = True
    terms = ENTRY
    summary = f"between an input and the cluster there must be the {by(KERNEL)} stride-{STRIDE[0]} stem"
    limits = {"layers": LAYERS}

    def check(self, plan: Plan) -> Iterable[Finding]:
        for part in plan.partitions:
            verdicts = part.decision.verdicts
            inside = Layout.NCHW | Layout.EXIT
            for value in part.subgraph.values:
                if not value.external_input or value.rank != 4 or value.tensor is None:
                    continue
                readers = [n for n in part.readers.get(value.id, ()) if verdicts[n].layout & inside]
                if not readers or _follows_convolution(plan.graph, value.tensor):
                    continue
                producer = plan.graph.producer(value.tensor)
                what = f"computed by {named(plan.graph, producer.index)} in TFLite" if producer else "the model's input"
                yield self.finding(
                    "it reads a value from outside the cluster, with no stem in between",
                    required=f"a {by(KERNEL)} convolution with stride {STRIDE[0]}, {side(PAD)} and {CHANNELS} input "
                    "channels in between",
                    actual=f"{dims(value.shape)}, {what}",
                    location=locate(plan, part.nodes[readers[0]].op),
                    fix=f"start the branch with {LAYERS}",
                    applicability=Applicability.UNSAFE,
                    waivers=[Waiver(WaiverKind.ENTRY, value.tensor)],
                )


def _follows_convolution(graph: Graph, tensor: int) -> bool:
    """Whether a convolution stands before a value, so that no input but the middle of the network is at its place."""
    producer = graph.producer(tensor)
    return producer is not None and any(op.type in WEIGHTED for op in graph.upstream(producer.index))
