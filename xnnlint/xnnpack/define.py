"""The XNNPACK subgraphs that the delegate defines for its partitions, and where XNNPACK refuses one.

Source: google-ai-edge/LiteRT tflite/delegates/xnnpack/xnnpack_delegate.cc `Delegate::PrepareOpsToDelegate`,
`Subgraph::Create`.
"""

from __future__ import annotations

from msgspec import Struct

from xnnlint.model.graph import Graph
from xnnlint.xnnpack.delegate.definitions import undefinable
from xnnlint.xnnpack.delegate.delegation import Delegation, Failure
from xnnlint.xnnpack.ir import Subgraph
from xnnlint.xnnpack.lowering import lower
from xnnlint.xnnpack.profile import Profile


class Definition(Struct):
    """What is defined.

    Attributes:
        subgraphs: one for each partition, before any rewrite.
        failure: the first thing that XNNPACK refuses; the whole model then fails to load, and no fallback follows.
    """

    subgraphs: list[Subgraph]
    failure: Failure | None


def define(graph: Graph, delegation: Delegation, profile: Profile) -> Definition:
    """Lower every partition of a delegation."""
    subgraphs = [lower(graph, partition, delegation, profile) for partition in delegation.partitions]
    failures = (undefinable(graph, subgraph, profile) for subgraph in subgraphs)
    return Definition(subgraphs, next(filter(None, failures), None))
