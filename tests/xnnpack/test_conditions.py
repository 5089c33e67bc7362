"""Which condition judges a node, and how one more is added."""

from __future__ import annotations

import importlib
import textwrap
from functools import cache
from pathlib import Path

import pytest

from tests.xnnpack.hand_built import HandBuilt
from xnnlint.linter import engine, rule_registry
from xnnlint.linter.engine import find
from xnnlint.loaders.tflite.read_tflite import load_bytes
from xnnlint.modelbuilder.builder import ModelBuilder
from xnnlint.modelbuilder.building_blocks import pruned, tail, trunk
from xnnlint.modelbuilder.patterns import named_patterns
from xnnlint.xnnpack.conditions import registry
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.conditions.node_condition import Fact, Precedence, Unmet
from xnnlint.xnnpack.conditions.registry import condition_on, judge, node_conditions
from xnnlint.xnnpack.ir import Layout
from xnnlint.xnnpack.planner import Planner
from xnnlint.xnnpack.profile import load_profile


def test_no_node_is_of_two_kinds() -> None:
    """Among conditions on one kind of node the order says nothing, so no two may apply to the same node."""
    of_one_kind = [c for c in node_conditions() if c.precedence is Precedence.ONE_KIND]
    seen: set[Condition | None] = set()
    for pattern in named_patterns():
        plan = Planner(load_bytes(pattern.build(), pattern.name), load_profile()).plan()
        for part in plan.partitions:
            for node in part.nodes:
                applying = [c.key for c in of_one_kind if c.applies(node, part.subgraph)]
                assert len(applying) <= 1, (pattern.name, node, applying)
                seen.update(applying)
    assert seen == {c.key for c in of_one_kind}, "every condition has been looked at"


def test_quantized_values_come_first_and_what_nobody_knows_last() -> None:
    first, *_, last = node_conditions()
    assert (first.key, last.key) == (Condition.FLOAT_VALUES, Condition.NCHW_KERNEL)
    g = HandBuilt()
    x = g.input(1, 6, 10, 8)
    g.clamp(x)
    g.subgraph.values[x].dtype = "qint8"
    (node,) = g.subgraph.nodes
    assert condition_on(node, g.subgraph).key is Condition.FLOAT_VALUES
    assert condition_on(node, g.subgraph, of_its_kind=True).key is Condition.UNARY_OPERATOR


def test_a_verdict_names_every_fact_that_is_wrong() -> None:
    """`xnn_check_nchw_compatibility` stops at the first; a person has to mend them all."""
    g = HandBuilt()
    g.stem(g.input(1, 12, 20, 3), 1, 12, 20, 8)
    (node,) = g.subgraph.nodes
    assert judge(node, g.subgraph, load_profile()).verdict.layout is Layout.ENTRY
    node.params |= {"stride": (1, 1), "kernel": (5, 5)}
    verdict = judge(node, g.subgraph, load_profile()).verdict
    assert verdict.layout is Layout.NONE
    assert verdict.unmet == (Unmet(Fact.KERNEL, ((3, 3),), (5, 5)), Unmet(Fact.STRIDE, ((2, 2),), (1, 1)))


CONDITION = """
    from xnnlint.xnnpack.conditions.node_condition import Fact, NodeCondition, Operation
    from xnnlint.xnnpack.ir import NodeType


    class NoSoftmax(NodeCondition):
        def applies(self, node, subgraph):
            return node.type == NodeType.SOFTMAX

        def judge(self, node, subgraph, profile):
            return self.verdict((False, Fact.OPERATOR, None, Operation(node.type)))
"""
RULE = '''
    from xnnlint.linter.findings import Applicability
    from xnnlint.linter.rule import NodeRule
    from xnnlint.xnnpack.conditions.one_more_condition import NoSoftmax


    class SoftmaxInCluster(NodeRule):
        """A softmax."""

        code = "XNN111"
        name = "softmax-in-cluster"
        summary = "no softmax"
        node_condition = NoSoftmax

        def words(self, unmet):
            return "no softmax", "one"

        def describe(self, node, subgraph):
            return "it is a softmax"

        def remedy(self, node, subgraph):
            return "drop it", Applicability.UNSAFE
'''


@pytest.fixture
def one_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more condition on nodes, by nothing but a file with it and a file with its rule."""
    for package, name, text in (
        ("xnnlint.xnnpack.conditions", "one_more_condition", CONDITION),
        ("xnnlint.rules", "one_more_rule", RULE),
    ):
        folder = tmp_path / package
        folder.mkdir()
        (folder / f"{name}.py").write_text(textwrap.dedent(text))
        module = importlib.import_module(package)
        monkeypatch.setattr(module, "__path__", [*module.__path__, str(folder)])
    # What has been found before stays for other tests.
    for place, function in (
        (registry, "node_conditions"),
        (rule_registry, "own_rules"),
        (rule_registry, "all_rules"),
        (rule_registry, "_node_rules"),
    ):
        monkeypatch.setattr(place, function, cache(getattr(place, function).__wrapped__))
    monkeypatch.setattr(engine, "all_rules", rule_registry.all_rules)


@pytest.mark.usefixtures("one_more")
def test_one_more_condition_is_a_file_with_it_and_a_file_with_its_rule() -> None:
    g = ModelBuilder(7)
    tail(g, pruned(g, g.softmax(trunk(g)), 24))
    planner = Planner(load_bytes(g.build(), "made.tflite"), load_profile())
    plan = planner.plan()
    plan.summary = planner.summarize(plan)
    (finding,) = (f for f in find(plan) if f.rule == "XNN111")
    assert (finding.required, finding.actual, finding.location.type) == ("no softmax", "one", "SOFTMAX")
    assert finding.unlocks is not None and finding.unlocks.alone == 2
    assert not any(f.rule == "XNN110" for f in find(plan)), "the node is judged by the condition on its kind"
