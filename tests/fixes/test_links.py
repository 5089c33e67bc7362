"""Who writes and who reads a tensor is known whatever was done to the operators, as if all were asked."""

from __future__ import annotations

import random

import pytest

from xnnlint.modelbuilder.builder import ModelBuilder

pytest.importorskip("ai_edge_litert", reason="the editor needs the verify extra")

from xnnlint.fixes.tflite.editor import Edit, GraphEdit


def chain(length: int) -> Edit:
    g = ModelBuilder()
    x = g.input((1, 4, 4, 3))
    for _ in range(length):
        x = g.unary("ABS", x)
    g.output(x)
    return Edit(g.build(), "model.tflite")


def assert_known(graph: GraphEdit) -> None:
    places = [op.place for op in graph.operators]
    assert places == sorted(set(places))
    for tensor in range(len(graph.tensors)):
        assert graph.producer(tensor) is next((op for op in graph.operators if tensor in op.outputs), None)
        assert graph.consumers(tensor) == [op for op in graph.operators if tensor in op.inputs]
    for op in graph.operators:
        assert graph.find(op.uid) is op


@pytest.mark.parametrize("seed", range(5))
def test_neighbours_are_known_after_any_change(seed):
    rng, graph = random.Random(seed), chain(12).main
    for step in range(120):
        op, tensor = rng.choice(graph.operators), rng.randrange(len(graph.tensors))
        match step % 6:
            case 0:
                made = graph.add_like(tensor, "_made")
                graph.insert("NEG", [tensor], [made], near=op, after=rng.random() < 0.5)
            case 1:
                op.inputs[0] = tensor
            case 2:
                op.outputs = [graph.add_like(tensor, "_moved")]
            case 3:
                op.inputs.append(tensor)
            case 4:
                graph.displace(op, "_displaced")
            case 5 if len(graph.operators) > 4:
                graph.remove(op)
                assert graph.find(op.uid) is None
                op.inputs[0] = tensor  # It is none of the graph's any more.
        assert_known(graph)


def test_very_many_operators_find_a_place_in_front_of_one():
    graph = chain(2).main
    first, last = graph.operators
    made = [graph.insert("NEG", [0], [graph.add_like(0, f"_{n}")], near=last) for n in range(200)]
    assert list(graph.operators) == [first, *made, last]
    assert_known(graph)


def test_nothing_is_put_beside_an_operator_that_is_gone():
    graph = chain(2).main
    gone = graph.operators[0]
    graph.remove(gone)
    with pytest.raises(ValueError, match="none of the graph's operators"):
        graph.insert("NEG", [0], [1], near=gone)


def test_a_constant_is_stored_once():
    edit = chain(1)
    stored = edit.add_buffer(b"12345678")
    assert edit.add_buffer(b"12345678") == stored
    assert edit.add_buffer(b"87654321") != stored
    edit.settle()  # Nobody reads the two, so that they are taken out.
    assert edit.add_buffer(b"87654321") == stored
