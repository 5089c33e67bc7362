"""The formats that show graphs: a picture alone, node data for Model Explorer, and what a notebook shows."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest
from msgspec.structs import replace

from tests.cli.program import run
from tests.models import FIXTURES
from tests.reporters.page.models import MARKUP, write_markup
from xnnlint import lint
from xnnlint.reporters.page.dot import dot_text
from xnnlint.reporters.page.graph_facts import graph_facts

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


def test_svg_needs_no_stylesheet(tmp_path: Path, capsys, monkeypatch) -> None:
    """What reads SVG for documents knows no variables of CSS, and often no stylesheet."""
    file = tmp_path / "graph.svg"
    assert run(capsys, monkeypatch, "report", HALF, "-o", str(file))[:2] == (0, "")
    text = file.read_text(encoding="utf-8")
    assert "var(" not in text and "@media" not in text and "http" not in text.replace(SVG[1:-1], "")
    drawn = ElementTree.fromstring(text)
    assert {part.tag.removeprefix(SVG) for part in drawn.iter()} <= {
        "svg",
        "g",
        "title",
        "rect",
        "path",
        "text",
        "circle",
    }
    assert not [part for part in drawn.iter() if part.get("style")]
    sheet = drawn.find(f"{SVG}rect")
    assert sheet.get("fill") == "#ffffff" and sheet.get("width") == "100%"
    boxes = [part.find(f"{SVG}rect") for part in drawn.iter(f"{SVG}g") if part.get("class", "").startswith("op ")]
    assert boxes and all(box.get("fill").startswith("#") and box.get("stroke").startswith("#") for box in boxes)
    assert all(text.get("fill", "").startswith("#") for text in drawn.iter(f"{SVG}text"))


def test_the_key_of_a_picture_fits_into_it(capsys, monkeypatch) -> None:
    _, out, _ = run(capsys, monkeypatch, "check", HALF, "--format", "svg")
    drawn = ElementTree.fromstring(out)
    _, _, width, height = map(float, drawn.get("viewBox").split())
    key = [part for part in drawn[-1] if part.get("transform")]
    said = [words.text for part in key for words in part.findall(f"{SVG}text")]
    assert said == ["NHWC: 8", "no kernel of its own: 2", "cluster in NHWC", "stops sparse"]
    for part, words in zip(key, said, strict=True):
        left, top = map(float, part.get("transform").removeprefix("translate(").rstrip(")").split())
        assert left + 22 + 6.5 * len(words) <= width and top + 16 <= height


def dot_words(text: str) -> list[str]:
    """The tokens of a DOT file by its grammar; what is in quotes keeps them."""
    tokens = re.findall(r'"(?:[^"\\]|\\.)*"|->|[A-Za-z_0-9.]+|[{}\[\]=;,]|\S', text)
    assert all(token[0] == '"' or re.fullmatch(r"->|[A-Za-z_0-9.]+|[{}\[\]=;,]", token) for token in tokens)
    return tokens


def test_dot_is_the_graph(capsys, monkeypatch) -> None:
    _, out, _ = run(capsys, monkeypatch, "report", SPARSE, "--format", "dot")
    words, plan = dot_words(out), lint(SPARSE).plan
    facts = graph_facts(lint(SPARSE))
    edges = {(words[n - 1], words[n + 1]) for n, word in enumerate(words) if word == "->"}
    assert edges == {(f"op{a}", f"op{b}") for a, b in facts.edges}
    nodes = {words[n - 1]: words[n + 1 :] for n, word in enumerate(words) if word == "[" and words[n - 1][:2] == "op"}
    assert nodes.keys() == {f"op{op.op}" for op in facts.operators}
    of_class = {node: more[more.index("class") + 2] for node, more in nodes.items()}
    assert {node for node, kind in of_class.items() if kind == '"spmm"'} == {f"op{op}" for op in plan.spmm_ops}
    assert words.count("{") == words.count("}") == 2  # the graph, and the region in NCHW


def test_dot_keeps_names_that_look_like_its_own_signs(tmp_path: Path) -> None:
    facts = graph_facts(lint(write_markup(tmp_path / "markup.tflite")))
    nasty = 'a"b\\N\\'
    operators = tuple(replace(op, name=nasty) for op in facts.operators)
    words = dot_words(dot_text(replace(facts, operators=operators), 'x"];\n'))
    labels = [words[n + 2] for n, word in enumerate(words) if word == "label" and words[n - 2][:2] == "op"]
    assert len(labels) == len(operators)
    # A quote and a backslash are escaped; Graphviz would take \\N for the name of the node.
    assert {label.rpartition("\\n")[0] for label in labels} == {'"a\\"b\\\\N\\\\'}
    plain = dot_text(facts, "m")
    assert "&amp;amp" in plain and "<b>" in plain  # entities are read in labels, tags are not


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_graphviz_draws_it(tmp_path: Path, capsys, monkeypatch) -> None:
    model = str(write_markup(tmp_path / "markup.tflite"))
    _, out, _ = run(capsys, monkeypatch, "report", model, "--format", "dot")
    done = subprocess.run(["dot", "-Tsvg"], input=out, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    drawn = ElementTree.fromstring(done.stdout)
    shown = {text.text.replace("\xa0", " ") for text in drawn.iter(f"{SVG}text")}
    assert any(text.startswith(MARKUP) for text in shown)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([HALF, SPARSE, "-o", "graph.svg"], "svg shows one model, not 2"),
        ([HALF, "--fix", "-f", "dot"], "dot is the graph of the model as it is; --fix and --bench go with the page"),
        ([HALF, "-f", "svg", "-o", "graph.html"], "graph.html: what is written is svg; give it the suffix .svg"),
        ([HALF, "-o", "model.tflite"], "model.tflite: what is written is html; give it the suffix .html"),
    ],
)
def test_wrong_calls_of_report_are_one_sentence(arguments: list[str], sentence: str, capsys, monkeypatch) -> None:
    code, out, said = run(capsys, monkeypatch, "report", *arguments)
    assert (code, out, said) == (2, "", f"xnnlint: error: {sentence}\n")


@pytest.mark.parametrize("form", ["svg", "dot", "model-explorer"])
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
