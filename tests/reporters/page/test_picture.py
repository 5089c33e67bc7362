"""What a page shows is what the plan has, and its parts are well formed."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from tests.cli.program import run, spawn
from tests.models import FIXTURES
from tests.reporters.page.models import MARKUP, write_large, write_markup
from xnnlint import lint
from xnnlint.model.weights import decode
from xnnlint.reporters.page.graph_facts import KernelClass, Mark, graph_facts
from xnnlint.reporters.page.layered import HEIGHT, WIDTH, place
from xnnlint.reporters.page.markup import element, html_text
from xnnlint.reporters.page.picture import alone

CHAIN = [(n, n + 1) for n in range(59)]


@pytest.mark.parametrize(
    "edges",
    [
        pytest.param(CHAIN, id="chain"),
        pytest.param(CHAIN + [(n, n + 4) for n in range(0, 50, 5)], id="residual"),
        pytest.param(CHAIN + [(n, 59 - n) for n in range(0, 28, 4)], id="unet"),
        pytest.param([(n // 2, n) for n in range(1, 60)], id="tree"),
        pytest.param([(n, m) for n in range(30) for m in (30 + n, 59 - n)], id="crossing"),
        pytest.param([], id="nothing connected"),
    ],
)
def test_operators_stand_apart_and_data_flows_down(edges: list[tuple[int, int]]) -> None:
    placed = place(range(60), edges)
    middles = list(placed.places.values())
    assert len(middles) == 60
    for n, a in enumerate(middles):
        assert WIDTH / 2 <= a.x <= placed.width - WIDTH / 2 and HEIGHT / 2 <= a.y <= placed.height - HEIGHT / 2
        for b in middles[:n]:
            assert abs(a.x - b.x) >= WIDTH or abs(a.y - b.y) >= HEIGHT
    assert sorted((line.source, line.target) for line in placed.lines) == sorted(set(edges))
    for line in placed.lines:
        source, target = placed.places[line.source], placed.places[line.target]
        assert line.points[0] == (source.x, source.y + HEIGHT / 2)
        assert line.points[-1] == (target.x, target.y - HEIGHT / 2)
        # To a column further right the line goes up; within one, down.
        assert target.y > source.y or target.x > source.x or line.is_far


def test_a_large_block_is_placed_without_grandalf() -> None:
    """So many edges pass by that grandalf would take minutes."""
    edges = [(n, n + 30) for n in range(370)]
    assert len(place(range(400), edges).places) == 400


def test_facts_are_those_of_the_plan() -> None:
    report = lint(FIXTURES / "guide_sparse.tflite")
    facts = graph_facts(report)
    assert {op.op for op in facts.of_class(KernelClass.SPMM)} == report.plan.spmm_ops
    assert [k for op in facts.operators for k in op.kernels] == [k.kernel for k in report.plan.operators]
    graph = report.plan.graph
    for op in facts.operators:
        if op.elements:
            values = decode(graph, graph.operators[op.op].inputs[1])
            assert (op.elements, op.zeros) == (values.size, int(np.sum(values == 0)))
    cluster = next(cluster for cluster in facts.clusters if cluster.is_nchw)
    members = [op for op in facts.operators if op.op in cluster.ops and op.is_pointwise]
    assert (cluster.elements, cluster.zeros) == (sum(o.elements for o in members), sum(o.zeros for o in members))
    assert sum(op.sparse_macs for op in facts.operators) < sum(op.macs for op in facts.operators)


def test_what_stops_the_sparse_path_is_marked_where_it_is() -> None:
    report = lint(FIXTURES / "guide_half.tflite")
    marked = [op.op for op in graph_facts(report).operators if op.mark is Mark.BLOCKER]
    assert marked == [finding.location.op for finding in report.findings]
    wrong = lint(FIXTURES / "guide_keepdims_false.tflite")
    assert {op.op for op in graph_facts(wrong).operators if op.mark is Mark.WRONG} == {h.op for h in wrong.plan.hazards}


def test_names_that_are_markup_stay_text(tmp_path: Path) -> None:
    report = lint(write_markup(tmp_path / "markup.tflite"))
    drawn = ElementTree.fromstring(ElementTree.tostring(alone(graph_facts(report), MARKUP), encoding="unicode"))
    assert not [part for part in drawn.iter() if part.tag.endswith(("img", "script"))]
    assert html_text(element("p", "<b>&", title='">')) == '<p title="&quot;&gt;">&lt;b&gt;&amp;</p>'


class _Island(HTMLParser):
    """The text of the data island."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.text = False, ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside = tag == "script" and ("type", "application/json") in attrs

    def handle_data(self, data: str) -> None:
        self.text += data if self.inside else ""


def test_a_page_of_1000_operators_is_small(tmp_path: Path, capsys, monkeypatch) -> None:
    model, page = write_large(tmp_path / "large.tflite", 1000), tmp_path / "page.html"
    code, _, _ = run(capsys, monkeypatch, "report", str(model), "-o", str(page))
    assert code == 0
    assert page.stat().st_size < 2_000_000
    island = _Island()
    island.feed(page.read_text())
    (data,) = json.loads(island.text)["models"]
    assert len(data["operators"]) > 1000


def test_findings_say_what_each_fix_gains(tmp_path: Path, capsys, monkeypatch) -> None:
    page, model = tmp_path / "page.html", FIXTURES / "guide_half.tflite"
    run(capsys, monkeypatch, "report", str(model), "-o", str(page))
    gain = lint(model).speed.if_fixed  # the only finding is the smallest set
    assert f"<td>{gain.ratio:.1f} ({gain.low:.1f} to {gain.high:.1f})</td>" in page.read_text()


def test_fix_shows_what_fixing_would_do(tmp_path: Path, capsys, monkeypatch) -> None:
    page = tmp_path / "page.html"
    model = FIXTURES / "guide_dense_zeros.tflite"
    code, _, _ = run(capsys, monkeypatch, "report", str(model), "--fix", "-o", str(page))
    assert code == 0
    assert "The second is better: outcome, SpMM" in page.read_text()


@pytest.mark.parametrize("options", [["--fix"], ["--fix", "--unsafe-fixes"]])
def test_fix_says_where_there_is_nothing_to_show(options: list[str], tmp_path: Path, capsys, monkeypatch) -> None:
    page, model = tmp_path / "page.html", str(FIXTURES / "guide_sparse.tflite")
    code, _, said = run(capsys, monkeypatch, "report", model, *options, "-o", str(page))
    assert code == 0 and f"xnnlint: warning: {model}: fix changes nothing\n" in said


def test_measured_times_come_from_a_bench(tmp_path: Path, capsys, monkeypatch) -> None:
    variant = {"label": "sparse", "microseconds": 50.0}
    variant["operators"] = [{"layer": "conv2d_1", "microseconds": 12.5}, {"layer": "conv2d_2", "microseconds": None}]
    where = {"cpu_model": "some", "litert": "2.3"}
    bench = tmp_path / "bench.json"
    bench.write_text(json.dumps({"path": "guide_sparse.tflite", "where": where, "variants": [variant]}))
    page, model = tmp_path / "page.html", str(FIXTURES / "guide_sparse.tflite")
    assert run(capsys, monkeypatch, "report", model, "--bench", str(bench), "-o", str(page))[0] == 0
    island = _Island()
    island.feed(page.read_text())
    (data,) = json.loads(island.text)["models"]
    place = [series["title"] for series in data["series"]].index("sparse, measured")
    assert {op["name"]: op["times"][place] for op in data["operators"] if op["times"][place] is not None} == {
        "conv2d_1": 12.5
    }


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["-o", "page.txt"], "give it the suffix .html"),
        (["-o", "nowhere/page.html"], "there is no folder 'nowhere'"),
        (["--unsafe-fixes"], "--unsafe-fixes goes with --fix"),
        (["--bench", str(FIXTURES / "fixtures.json")], "not what `xnnlint bench --format json` writes"),
    ],
)
def test_wrong_calls_are_one_sentence(arguments: list[str], sentence: str, tmp_path: Path) -> None:
    done = spawn("report", str(FIXTURES / "guide_sparse.tflite"), *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert sentence in done.stderr and done.stderr.count("\n") == 1


def test_a_model_that_cannot_be_read_is_in_the_page(tmp_path: Path, capsys, monkeypatch) -> None:
    broken, page = tmp_path / "broken.tflite", tmp_path / "page.html"
    broken.write_bytes(b"nothing")
    code, _, said = run(
        capsys, monkeypatch, "report", str(broken), str(FIXTURES / "guide_sparse.tflite"), "-o", str(page)
    )
    assert code == 2 and "broken.tflite" in said
    assert "unreadable" in page.read_text()
