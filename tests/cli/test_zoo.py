"""Many models at once: lines of JSON, as they come, and what is known of each without the others."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest

from tests.cli.program import run
from tests.models import FIXTURES, ROOT
from xnnlint.cli.session import Request, Session, check_one
from xnnlint.cli.work import check_line, check_record
from xnnlint.config.settings import Resolver
from xnnlint.linter import engine
from xnnlint.linter.findings import Severity
from xnnlint.loaders.content import content_of
from xnnlint.reporters import styled_lines
from xnnlint.reporters.formats.parquet_report import COLUMNS
from xnnlint.reporters.json_document import published_schema
from xnnlint.reporters.model_row import GainFigures, ModelRow, RuleCount, row_of
from xnnlint.reporters.zoo_summary import ZooSummary
from xnnlint.xnnpack.plan import Outcome

HALF, SPARSE = FIXTURES / "guide_half.tflite", FIXTURES / "guide_sparse.tflite"
LINE = jsonschema.Draft202012Validator(published_schema("line"))


@pytest.fixture
def call(capsys, monkeypatch):
    return lambda *arguments: run(capsys, monkeypatch, *map(str, arguments))


@pytest.fixture
def zoo(tmp_path, monkeypatch):
    """Four models, one of them damaged; the current folder is theirs."""
    (tmp_path / "a").mkdir()
    shutil.copy(HALF, tmp_path / "a" / "half.tflite")
    shutil.copy(SPARSE, tmp_path / "a" / "sparse.tflite")
    shutil.copy(FIXTURES / "guide_sparse.keras", tmp_path / "sparse.keras")
    (tmp_path / "bad.tflite").write_bytes(HALF.read_bytes()[:200])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lines(text: str) -> list[dict]:
    found = [json.loads(line) for line in text.splitlines()]
    for line in found:
        LINE.validate(line)
    return found


# --- lines -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_every_line_is_a_model_in_the_order_of_the_paths(zoo, call, jobs):
    code, out, err = call("check", ".", "-f", "jsonl", "--jobs", jobs)
    models = lines(out)
    assert code == 2
    assert [model["path"] for model in models] == [
        "bad.tflite",
        "sparse.keras",
        "a/half.tflite",
        "a/sparse.tflite",
    ]
    assert [model["outcome"] for model in models] == [None, "sparse", "dense", "sparse"]
    assert [model["exit_code"] for model in models] == [2, 0, 1, 0]
    assert [model["next"] for model in models] == ["", "convert", "by hand", ""]
    for model in models:
        data = Path(model["path"]).read_bytes()
        assert (model["bytes"], model["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
        assert (model["runtime"], model["cpu"]) == ("litert-2.3", "arm64")
    summary, _, complaint = err.partition("xnnlint: error: ")
    assert models[0]["error"] == complaint.rstrip()
    # It is not in the lines, where nobody expects it.
    assert summary == "4 models: 2 sparse, 1 dense, 1 unreadable. 1 error. Exit code 2.\n"


def test_a_line_has_all_that_json_says_of_the_model(zoo, call):
    whole = json.loads(call("check", ".", "-f", "json")[1])["models"]
    own = {"schema_version", "tool", "runtime", "cpu", "settings", "bytes", "sha256", "version", "exit_code"}
    own |= {"failures", "next"}
    for model, line in zip(whole, lines(call("check", ".", "-f", "jsonl")[1]), strict=True):
        assert {key: value for key, value in line.items() if key not in own} == model


def test_the_schemas_of_a_line_and_of_a_report_say_the_same_of_a_model():
    line, report = published_schema("line"), published_schema("report")
    model = report["$defs"].pop("model")
    assert line["$defs"].items() <= report["$defs"].items()
    assert model["properties"].items() <= line["properties"].items()
    assert set(model["required"]) <= set(line["required"])


def test_lines_come_beside_any_other_report(zoo, call):
    alone = call("check", ".", "-f", "jsonl")[1]
    # The JSON document needs whole models, the table only rows.
    for form in ("json", "text", "concise"):
        code, out, _ = call("check", ".", "-f", form, "--report", "jsonl=all.jsonl")
        assert code == 2
        assert out
        assert Path("all.jsonl").read_text() == alone


def test_a_line_knows_what_the_baseline_accepts(zoo, call):
    assert call("check", "a", "--baseline", "accepted.json", "--write-baseline")[0] == 0
    code, out, _ = call("check", "a", "--baseline", "accepted.json", "-f", "jsonl")
    half, sparse = lines(out)
    assert (code, half["exit_code"], half["findings"]) == (0, 0, [])
    assert half["suppressed"]["baseline"] > 0
    assert half["sha256"] == hashlib.sha256(HALF.read_bytes()).hexdigest()
    assert sparse["settings"] == half["settings"] == lines(call("check", "a", "-f", "jsonl")[1])[0]["settings"]


def test_the_demand_for_sparse_models_is_in_the_line(zoo, call):
    code, out, _ = call("check", "a", "-f", "jsonl", "--require-sparse")
    assert code == 1
    assert [len(model["failures"]) for model in lines(out)] == [1, 0]


def test_settings_are_told_apart(zoo, call):
    def settings(*options: str) -> str:
        (half, sparse) = lines(call("check", "a", "-f", "jsonl", *options)[1])
        assert half["settings"] == sparse["settings"]
        return half["settings"]

    plain = settings()
    assert settings("--jobs", "2", "--exclude", "*.keras") == plain
    assert settings("--runtime", "litert-2.3") == plain
    others = [
        settings("--cpu", "x86-sse"),
        settings("--ignore", "XNN6"),
        settings("--assume-pruned", "0.8"),
        settings("--fail-on", "note"),
        settings("--fixes"),
    ]
    assert len({plain, *others}) == 6


def test_lines_are_there_as_soon_as_their_models_are_known(zoo):
    (zoo / "slow.py").write_text("import time\ndef make():\n    time.sleep(120)\n")
    child = subprocess.Popen(
        [sys.executable, "-m", "xnnlint", "check", "a", "slow:make", "-f", "jsonl", "--report", "jsonl=kept.jsonl"],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    try:
        first, second = child.stdout.readline(), child.stdout.readline()
        deadline = time.monotonic() + 20
        while Path("kept.jsonl").read_bytes() != first + second and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
    # The run was killed, and what it knew is there.
    assert [model["path"] for model in lines(Path("kept.jsonl").read_text())] == ["a/half.tflite", "a/sparse.tflite"]


def test_a_process_that_dies_is_the_line_of_its_model(zoo, call):
    (zoo / "killer.py").write_text("import os, signal\ndef make():\n    os.kill(os.getpid(), signal.SIGKILL)\n")
    code, out, err = call("check", "a/half.tflite", "killer:make", "a/sparse.tflite", "-f", "jsonl", "--jobs", "2")
    assert code == 2
    assert [model["outcome"] for model in lines(out)] == ["dense", None, "sparse"]
    assert lines(out)[1]["error"] == "killer:make: the process that checked it ended by SIGKILL"
    assert err.endswith("\nxnnlint: error: killer:make: the process that checked it ended by SIGKILL\n")


# --- the work on one model -------------------------------------------------------------------------------------------


def test_the_work_is_a_function_of_what_it_is_given(zoo, call):
    """It can be sent elsewhere, and what comes back is JSON, from which the row is made."""
    session = Session(["."], Resolver(), content=True)
    printed = call("check", ".", "-f", "jsonl")[1].splitlines()
    for task, line in zip(session.tasks, printed, strict=True):
        sent = pickle.loads(pickle.dumps(task))
        record = check_record(sent)
        assert json.loads(json.dumps(record)) == record == json.loads(line)
        assert check_line(sent) == (row_of(json.loads(line)), line)


def test_models_in_one_folder_share_their_settings(zoo):
    (zoo / "xnnlint.toml").write_text('[[overrides]]\nfiles = ["a/half.tflite"]\nignore = ["XNN6"]\n')
    resolver = Resolver()
    models = ["a/half.tflite", "a/sparse.tflite", "a/other.tflite"]
    half, sparse, other = (resolver.for_model(path) for path in models)
    assert sparse is other
    assert half is not sparse
    assert half is resolver.for_model("a/half.tflite")
    assert [settings.reports("XNN601", "") for settings in (half, sparse)] == [False, True]


# --- content ---------------------------------------------------------------------------------------------------------


def test_the_content_of_a_folder_is_that_of_its_files_and_names(tmp_path):
    def content() -> tuple[int, str]:
        found = content_of(str(tmp_path))
        assert found is not None
        return found

    (tmp_path / "deep").mkdir()
    (tmp_path / "saved_model.pb").write_bytes(b"ab")
    (tmp_path / "deep" / "weights").write_bytes(b"c")
    first = content()
    assert first[0] == 3
    assert content() == first
    (tmp_path / "deep" / "weights").rename(tmp_path / "deep" / "others")
    renamed = content()
    (tmp_path / "deep" / "others").write_bytes(b"d")
    assert len({first[1], renamed[1], content()[1]}) == 3


def test_what_is_no_file_has_no_content(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert content_of(str(tmp_path / "pipe")) is None
    assert content_of("no/such.tflite") is None
    assert content_of("module:function") is None


def test_a_line_names_the_content_from_before_the_check(tmp_path, monkeypatch):
    """So that `--resume` checks again what was written meanwhile."""
    model = tmp_path / "half.tflite"
    shutil.copy(HALF, model)
    check_model = engine.check_model

    def slow(*arguments, **options):
        report = check_model(*arguments, **options)
        shutil.copy(SPARSE, model)
        return report

    monkeypatch.setattr(engine, "check_model", slow)
    report = check_one(Request(str(model), str(model), "litert-2.3", "arm64", content=True))
    assert report.content is not None and report.content.sha256 == hashlib.sha256(HALF.read_bytes()).hexdigest()


# --- Parquet ---------------------------------------------------------------------------------------------------------


def test_a_parquet_file_has_a_row_for_each_model(zoo, call):
    parquet = pytest.importorskip("pyarrow.parquet")
    code, _, _ = call("check", ".", "--report", "parquet=all.parquet", "--report", "jsonl=all.jsonl")
    assert code == 2
    table = parquet.read_table("all.parquet")
    rows, records = table.to_pylist(), lines(Path("all.jsonl").read_text())
    same = ("path", "runtime", "cpu", "bytes", "sha256", "exit_code", "error", "next")
    for row, record in zip(rows, records, strict=True):
        assert {key: row[key] for key in same} == {key: record[key] for key in same}
        assert row["errors"] == sum(finding["severity"] == "error" for finding in record["findings"])
    bad, keras, half, sparse = rows
    assert [row["outcome"] for row in rows] == ["unreadable", "sparse", "dense", "sparse"]
    assert [row["right"] for row in rows] == [None, True, True, True]
    assert (half["spmm"], half["pointwise_convs"], half["blocker"]) == (0, 2, "XNN301")
    assert (half["blocker"] in half["blockers"], half["gain"]) == (True, None)
    assert sparse["gain_low"] < sparse["gain"] < sparse["gain_high"]
    assert (bad["spmm"], bad["blockers"], bad["gain"]) == (None, [], None)
    assert keras["spmm"] == 2


def test_rows_are_written_in_groups_and_the_file_at_the_end(zoo, call, monkeypatch):
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr("xnnlint.reporters.formats.parquet_report.A_GROUP", 2)
    call("check", "a", ".", "-f", "parquet", "-o", "all.parquet")
    assert [parquet.ParquetFile("all.parquet").metadata.row_group(n).num_rows for n in range(2)] == [2, 2]
    before = Path("all.parquet").read_bytes()
    (zoo / "broken.py").write_text("def make():\n    raise KeyboardInterrupt\n")
    monkeypatch.setenv("XNNLINT_DEBUG", "1")
    assert call("check", "a", "broken:make", "-f", "parquet", "-o", "all.parquet")[0] == 130
    assert Path("all.parquet").read_bytes() == before
    # No draft is left either.
    assert sorted(path.name for path in zoo.iterdir() if path.is_file() and path.suffix == ".parquet") == [
        "all.parquet"
    ]


def test_parquet_goes_to_a_file_and_needs_pyarrow(zoo, call, monkeypatch):
    code, out, err = call("check", "a", "-f", "parquet")
    assert (code, out) == (2, "")
    assert err == "xnnlint: error: --format parquet is no text; write it to a file: --report parquet=FILE\n"
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    code, out, err = call("check", "a", "--report", "parquet=all.parquet")
    assert (code, out) == (2, "")
    assert err == "xnnlint: error: --report parquet needs pyarrow: pip install 'xnnlint[scale]'\n"


def test_the_page_names_the_columns_and_their_types():
    text = (ROOT / "docs" / "zoo.md").read_text(encoding="utf-8")
    said = re.findall(r"(?m)^\| `(\w+)` \| ((?:list of )?\w+) \| (.+) \|$", text)
    columns = [(c.name, f"{'list of ' if c.listed else ''}{c.type.rstrip('_')}", c.meaning) for c in COLUMNS]
    assert said == columns


# --- the summary -----------------------------------------------------------------------------------------------------


def row(path: str, outcome: Outcome | None, *blockers: str, **more) -> ModelRow:
    gain = GainFigures(2.0, 1.5, 2.5, True)
    plain = {
        "runtime": "litert-2.3",
        "cpu": "arm64",
        "spmm": 1,
        "pointwise_convs": 2,
        "gain": gain if outcome is Outcome.SPARSE else None,
        "gain_if_fixed": gain._replace(ratio=3.0) if blockers else None,
        "rules": tuple(RuleCount(code, f"rule-{code.lower()}", 1) for code in blockers),
        "severities": {Severity.ERROR: len(blockers)} if blockers else {},
        "safe_fixes": 0,
        "unsafe_fixes": 0,
        "ignored": 0,
        "accepted": 0,
        "next": "fix" if blockers else "",
        "bytes": 1,
        "sha256": "0" * 64,
        "exit_code": int(bool(blockers)),
        "failures": (),
        "error": None,
    }
    return ModelRow(path=path, outcome=outcome, blockers=blockers, **plain | more)


def summed(rows: list[ModelRow], width: int = 80) -> str:
    summary = ZooSummary([model.path for model in rows])
    for model in rows:
        summary.add(model)
    return "\n".join(styled_lines.plain(line) for line in summary.lines(width))


ROWS = [
    *(row(f"zoo/a/{n}.tflite", Outcome.SPARSE) for n in range(1200)),
    *(row(f"zoo/b/{n}.tflite", Outcome.DENSE, "XNN101", "XNN303") for n in range(30)),
    *(row(f"zoo/b/deep/{n}.tflite", Outcome.DENSE, "XNN303", next="prune") for n in range(10)),
    row("zoo/bad.tflite", None, error="zoo/bad.tflite: the file is empty", exit_code=2),
    row("zoo/c/x.keras", None),
    row("zoo/c/y.tflite", Outcome.WRONG_RESULTS),
]


def test_many_models_are_summed_up_on_one_screen():
    assert summed(ROWS) == (
        """\
1,243 models
sparse         1,200  97%  median gain 2.0x (2.0x to 2.0x)
dense             40   3%
wrong-results      1  <1%
unknown            1  <1%
unreadable         1  <1%
Fixing what holds 40 models back brings at most 3.0x (median; 3.0x to 3.0x).

blocker  models  alone
XNN303       40     10  rule-xnn303
XNN101       30      0  rule-xnn101
alone: so many models have no other blocker.

first step: fix 30, prune 10

folder  models  sparse  dense  wrong  unknown  unreadable
zoo/b/      40       0     40      0        0           0
zoo/c/       2       0      0      1        1           0
zoo/         1       0      0      0        0           1
zoo/a/   1,200   1,200      0      0        0           0
"""
    )


def test_few_models_are_not_summed_up_and_neither_are_folders_of_one_model():
    assert summed(ROWS[:20]) == ""
    assert "folder" not in summed([row(f"zoo/{n}/m.tflite", Outcome.DENSE) for n in range(30)])


@pytest.mark.parametrize("width", [60, 80])
def test_a_summary_stays_on_the_screen(width):
    rows = [
        row(f"{'long/' * 3}{'name' * 8}{n % 12}/{n}.tflite", outcome, *(f"XNN{code}" for code in range(100, 120)))
        for n, outcome in enumerate([*Outcome, None] * 20)
    ]
    text = summed(rows, width)
    assert max(map(len, text.splitlines())) <= width
    assert len(text.splitlines()) <= 40
    assert "12 more rules hold models back" in text
    assert "and 4 more folders" in text


def test_text_json_and_lines_sum_up_the_same(zoo, call):
    for n in range(20):
        shutil.copy(SPARSE, zoo / "a" / f"copy{n}.tflite")
    text = call("check", ".")[1]
    (aside,) = [err for _, _, err in [call("check", ".", "-f", "jsonl")]]
    said = json.loads(call("check", ".", "-f", "json")[1])["summary"]
    screen = text[text.index("24 models\n") :]
    assert aside.startswith(screen)
    assert "\na/          22      21      1           0\n" in screen
    assert said["outcomes"] == {"sparse": 22, "dense": 1, "wrong-results": 0, "fails": 0, "unknown": 0, "unreadable": 1}
    assert [(blocker["rule"], blocker["models"], blocker["alone"]) for blocker in said["blockers"]] == [
        ("XNN301", 1, 1)
    ]
    assert said["gain"]["models"] == 22
    assert [part["folder"] for part in said["folders"]] == ["", "a/"]
    # Nothing of it where it is not wanted.
    assert "24 models" not in call("check", ".", "--quiet")[1]
    assert "24 models" not in call("check", ".", "-f", "jsonl", "--quiet")[2]
