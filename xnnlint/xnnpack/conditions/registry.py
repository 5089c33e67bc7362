"""The conditions on nodes, found in the modules of this package, and which of them judges a node."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from msgspec import Struct

from xnnlint.xnnpack.conditions.node_condition import NodeCondition, Precedence, Verdict
from xnnlint.xnnpack.ir import Node, Subgraph
from xnnlint.xnnpack.profile import Profile


class Judgement(Struct, frozen=True):
    """A node's condition, and what it says of the node."""

    condition: NodeCondition
    verdict: Verdict


@cache
def node_conditions() -> tuple[NodeCondition, ...]:
    """Every condition on nodes, in the order in which they are asked."""
    package = importlib.import_module(__package__)
    found: list[NodeCondition] = []
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        for item in vars(importlib.import_module(module.name)).values():
            of_its_own = isinstance(item, type) and issubclass(item, NodeCondition) and item.__module__ == module.name
            if of_its_own and item is not NodeCondition:
                found.append(item())
    return tuple(sorted(found, key=lambda condition: condition.precedence))


def condition_on(node: Node, subgraph: Subgraph, *, of_its_kind: bool = False) -> NodeCondition:
    """The condition that judges a node.

    Args:
        of_its_kind: leave those out that stand before all others.
    """
    return next(
        condition
        for condition in node_conditions()
        if not (of_its_kind and condition.precedence is Precedence.BEFORE_ALL) and condition.applies(node, subgraph)
    )


def judge(node: Node, subgraph: Subgraph, profile: Profile, *, of_its_kind: bool = False) -> Judgement:
    """The condition that judges a node, and what it says of it; `of_its_kind` as in `condition_on`."""
    condition = condition_on(node, subgraph, of_its_kind=of_its_kind)
    return Judgement(condition, condition.judge(node, subgraph, profile))
