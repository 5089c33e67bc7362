"""The tables of operators and nodes: no facet of any of them is missing, and what a row says is what happens."""

from __future__ import annotations

import pytest

from tests.xnnpack.delegate_cases import CASES
from tests.xnnpack.hand_built import STEM, HandBuilt
from xnnlint.loaders.tflite.read_tflite import load_bytes
from xnnlint.xnnpack.claims import delegate
from xnnlint.xnnpack.conditions.node_condition import Precedence
from xnnlint.xnnpack.conditions.registry import node_conditions
from xnnlint.xnnpack.define import define
from xnnlint.xnnpack.execution import STEPS
from xnnlint.xnnpack.ir import REDUCTIONS, NodeType
from xnnlint.xnnpack.kernels import NAMED
from xnnlint.xnnpack.operators import CUSTOM_OPERATORS, OPERATORS, delegate_operator
from xnnlint.xnnpack.profile import load_profile, runtimes

NODE_TYPES = {value for name, value in vars(NodeType).items() if name.isupper()}
ROWS = {**OPERATORS, **CUSTOM_OPERATORS}
# Tested where such models come from: variables in `test_delegate`, MediaPipe's operators in `test_lowering`.
NOT_BUILT_HERE = {"READ_VARIABLE", "ASSIGN_VARIABLE", *CUSTOM_OPERATORS}
# XNNPACK makes these of other nodes, in `rewrites` and `fp16`; no operator becomes one by itself.
MADE_BY_REWRITES = {NodeType.MEAN_SQUARED, NodeType.SUM_SQUARED, NodeType.CONVERT, NodeType.EXPAND_DIMS}


def test_every_node_type_has_a_name_and_a_step() -> None:
    assert set(NAMED) == set(STEPS) == NODE_TYPES
    assert {node for row in ROWS.values() for node in row.nodes} | MADE_BY_REWRITES == NODE_TYPES


def test_every_node_type_is_judged_by_a_condition_on_its_kind_or_has_no_nchw_form() -> None:
    """`xnn_check_nchw_compatibility` in XNNPACK src/subgraph.c lists these types, and DEPTH_TO_SPACE as a mere end."""
    of_a_kind = [c for c in node_conditions() if c.precedence is Precedence.ONE_KIND]
    listed = {
        *(NodeType.CONVOLUTION_2D, NodeType.DEPTHWISE_CONVOLUTION_2D, NodeType.FULLY_CONNECTED, NodeType.UNARY),
        *(NodeType.BINARY, NodeType.RESIZE_BILINEAR, NodeType.GLOBAL_AVERAGE_POOLING_2D, *REDUCTIONS),
    }
    for type_ in NODE_TYPES:
        g = HandBuilt()
        g.node(type_, [g.input(1, 4, 6, 3)], (1, 4, 6, 8), "add" if type_ == NodeType.BINARY else "clamp", **STEM)
        (node,) = g.subgraph.nodes
        assert any(c.applies(node, g.subgraph) for c in of_a_kind) is (type_ in listed), type_


def lowered(case_model: bytes, runtime: str) -> set[tuple[str, str]]:
    """(operator, node type) of everything that is defined for a model."""
    graph, profile = load_bytes(case_model, "case.tflite").main, load_profile(runtime)
    defined = define(graph, delegate(graph, profile), profile)
    return {
        (graph.operators[node.op].custom_code or graph.operators[node.op].type, node.type)
        for subgraph in defined.subgraphs
        for node in subgraph.nodes
    }


@pytest.fixture(scope="module")
def seen() -> set[tuple[str, str]]:
    return set().union(*(lowered(case.build(), runtime) for case in CASES for runtime in ("litert-2.3", "tf-2.4")))


def test_operators_become_the_nodes_of_their_row(seen: set[tuple[str, str]]) -> None:
    assert {"litert-2.3", "tf-2.4"} <= set(runtimes())
    assert {(kind, node) for kind, node in seen if node not in ROWS[kind].nodes} == set()


def test_every_operator_has_a_case_that_lowers_it(seen: set[tuple[str, str]]) -> None:
    without_nodes = {kind for kind, row in ROWS.items() if not row.nodes}
    assert without_nodes == {"VAR_HANDLE", "EXPAND_DIMS"}
    assert {kind for kind, _ in seen} == set(ROWS) - without_nodes - NOT_BUILT_HERE


def test_custom_operators_are_found_by_their_code() -> None:
    assert delegate_operator("CUSTOM", "MaxUnpooling2D") is CUSTOM_OPERATORS["MaxUnpooling2D"]
    assert delegate_operator("CUSTOM", "ADD") is None and delegate_operator("ADD", "") is OPERATORS["ADD"]
