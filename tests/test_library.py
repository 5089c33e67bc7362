"""xnnlint as a library: its door, the report, and the examples of docs/library.md."""

from __future__ import annotations

import doctest
import json
import shutil
import subprocess
import sys
import types
from pathlib import Path

import jsonschema
import pytest

import xnnlint
from tests.models import FIXTURES, ROOT
from xnnlint.reporters import json_document

MODELS = ("guide_half.tflite", "guide_dense_zeros.tflite", "guide_sparse.tflite")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the examples run."""
    for name in MODELS:
        shutil.copy(FIXTURES / name, tmp_path)
    shutil.copy(FIXTURES / "guide_no_keepdims.keras", tmp_path / "guide_unpruned.keras")
    (tmp_path / "net.onnx").write_bytes(b"\x08\x07\x12\x04test" * 20)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_examples_of_the_documentation_are_right(folder: Path) -> None:
    failed, tried = doctest.testfile(str(ROOT / "docs" / "library.md"), module_relative=False)
    assert failed == 0
    assert tried >= 10


def test_the_attributes_that_are_documented_are_there(folder: Path) -> None:
    table = (ROOT / "docs" / "library.md").read_text(encoding="utf-8").split("| --- | --- |")[1].split("\n\n")[0]
    names = [part.strip("` ()") for row in table.strip().splitlines() for part in row.split("|")[1].split(",")]
    report = xnnlint.lint("guide_sparse.tflite")
    assert len(names) >= 12
    assert [name for name in names if not hasattr(report, name)] == []


def test_the_door_has_what_it_says() -> None:
    assert set(xnnlint.__all__) <= set(dir(xnnlint))
    for name in xnnlint.__all__:
        assert getattr(xnnlint, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        xnnlint.nothing  # noqa: B018
    code = "import sys, xnnlint; print([m for m in ('numpy', 'networkx', 'xnnlint.linter') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT).stdout == "[]\n"


def test_a_report_prints_as_two_lines(folder: Path) -> None:
    text = repr(xnnlint.lint("guide_half.tflite"))
    assert len(text.splitlines()) == 2
    assert len(text) < 200


def test_the_dictionary_is_a_model_of_the_published_document(folder: Path) -> None:
    report = xnnlint.lint("guide_half.tflite")
    schema = json_document.published_schema("report")
    of_a_model = {**schema["$defs"]["model"], "$defs": schema["$defs"]}
    jsonschema.Draft202012Validator(of_a_model).validate(report.to_dict())
    assert json.loads(report.to_json()) == report.to_dict()


def test_a_table_has_a_row_for_each_finding(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = types.ModuleType("pandas")
    made.DataFrame = lambda rows, columns: [dict(zip(columns, row, strict=True)) for row in rows]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pandas", made)
    report = xnnlint.lint("guide_half.tflite")
    (row,) = report.to_dataframe()
    assert (row["path"], row["rule"], row["layer"]) == ("guide_half.tflite", "XNN301", "conv2d_1")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(xnnlint.XnnlintError, match="pip install pandas"):
        report.to_dataframe()


@pytest.mark.parametrize(
    ("path", "output", "problem"),
    [
        ("guide_sparse.tflite", "", "say where to write"),
        ("guide_sparse.tflite", "guide_sparse.tflite", "is the model itself"),
        ("guide_sparse.tflite", "new.keras", "the format stays"),
        ("net.onnx", "new.onnx", "this is an ONNX model"),
    ],
)
def test_a_file_is_never_written_where_it_must_not_be(folder: Path, path: str, output: str, problem: str) -> None:
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    with pytest.raises(xnnlint.XnnlintError, match=problem):
        xnnlint.fix(path, output=output, prove=False)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_a_keras_file_is_fixed_to_another(folder: Path) -> None:
    assert [f.rule for f in xnnlint.lint("guide_unpruned.keras").findings] == ["XNN601"]
    fixed = xnnlint.fix("guide_unpruned.keras", output=folder / "new.keras")
    assert xnnlint.lint(fixed).findings == []
    assert xnnlint.fix("guide_sparse.tflite", output="same.tflite", prove=False) == "same.tflite"
    assert Path("same.tflite").read_bytes() == Path("guide_sparse.tflite").read_bytes()
