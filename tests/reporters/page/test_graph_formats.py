"""The formats that show graphs: a picture alone, node data for Model Explorer, and what a notebook shows."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.cli.program import run
from tests.models import FIXTURES
from xnnlint import lint

SVG = "{http://www.w3.org/2000/svg}"
HALF, SPARSE = str(FIXTURES / "guide_half.tflite"), str(FIXTURES / "guide_sparse.tflite")


def node_data(capsys, monkeypatch, model: str, form: str) -> dict[str, dict]:
    """What is said of each operator, by the name of the tensor that it writes."""
    _, out, _ = run(capsys, monkeypatch, "check", model, "--format", form)
    graphs = json.loads(out)
    assert list(graphs) == ["main"]
    results = graphs["main"]["results"]
    names = {tensor.name for tensor in lint(model).plan.graph.tensors}
    assert results.keys() <= names
    return results


def test_svg_is_the_graph_alone(capsys, monkeypatch) -> None:
    _, out, _ = run(capsys, monkeypatch, "check", SPARSE, "--format", "svg")
    drawn = ElementTree.fromstring(out)
    assert drawn.tag == f"{SVG}svg"
    plan = lint(SPARSE).plan
    spmm = [
        part
        for part in drawn.iter(f"{SVG}g")
        if part.get("class") == "op spmm" and part.find(f"{SVG}title") is not None
    ]
    assert len(spmm) == len(plan.spmm_ops)
    words = {text.text for text in drawn.iter(f"{SVG}text")}
    assert {plan.graph.operators[op].name for op in plan.spmm_ops} <= words
    assert not [part for part in drawn.iter() if part.get("role") == "button"]


def test_model_explorer_shows_who_runs_each_operator(capsys, monkeypatch) -> None:
    values = node_data(capsys, monkeypatch, SPARSE, "model-explorer")
    graph = lint(SPARSE).plan.graph
    spmm = {graph.tensors[graph.operators[op].outputs[0]].name for op in lint(SPARSE).plan.spmm_ops}
    assert {name for name, said in values.items() if said["value"] == "SpMM"} == spmm


def test_model_explorer_shows_zeros(capsys, monkeypatch) -> None:
    values = node_data(capsys, monkeypatch, HALF, "model-explorer-zeros")
    # fixtures/make_guide_model.py prunes to a half.
    assert sorted(
        {said["value"] for name, said in values.items() if "conv2d_1" in name and "depthwise" not in name}
    ) == [50.0]


def test_model_explorer_shows_findings_where_they_are(capsys, monkeypatch) -> None:
    values = node_data(capsys, monkeypatch, HALF, "model-explorer-findings")
    assert [said["value"] for said in values.values()] == ["XNN301"]


@pytest.mark.parametrize("form", ["svg", "model-explorer"])
def test_they_are_of_one_model(form: str, tmp_path: Path, capsys, monkeypatch) -> None:
    code, _, said = run(
        capsys, monkeypatch, "check", HALF, SPARSE, "--jobs", "2", "--report", f"{form}={tmp_path / 'out'}"
    )
    assert code == 2
    assert f"{form} shows one model, not 2" in said and said.count("\n") == 1


def test_a_notebook_shows_the_picture() -> None:
    shown = lint(SPARSE)._repr_html_()
    assert "2 of 2 1x1 convolutions run SpMM" in shown
    assert '<svg class="xnnlint-graph"' in shown and "<script" not in shown
