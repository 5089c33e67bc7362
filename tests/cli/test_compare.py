"""`xnnlint compare` as a user calls it."""

from __future__ import annotations

import json
import shutil

import jsonschema
import pytest

from tests.cli.program import run
from tests.models import FIXTURES
from xnnlint.reporters.json_document import published_schema

DENSE, SPARSE = (str(FIXTURES / name) for name in ("guide_dense_zeros.tflite", "guide_sparse.tflite"))


@pytest.fixture(autouse=True)
def narrow(monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def test_better_is_exit_code_0(capsys, monkeypatch) -> None:
    code, out, err = run(capsys, monkeypatch, "compare", DENSE, SPARSE)
    assert (code, err) == (0, "")
    first, *rest = out.splitlines()
    assert first == "The second is better: outcome, SpMM, time, size, errors."
    assert any(line.split() == ["outcome", "dense", "sparse"] for line in rest)
    assert any(line.split()[:7] == ["SpMM", "0", "of", "2", "2", "of", "2"] for line in rest)
    assert max(map(len, out.splitlines())) <= 80


def test_worse_is_exit_code_1(capsys, monkeypatch) -> None:
    code, out, _ = run(capsys, monkeypatch, "compare", SPARSE, DENSE)
    assert code == 1
    assert out.startswith("The second is worse: outcome, SpMM, time, errors.")
    assert "+ XNN302 zeros-stored-dense" in out


@pytest.mark.parametrize(("aspects", "code"), [("never", 0), ("outcome", 1), ("size", 1), ("spmm, time", 1)])
def test_fail_on(aspects: str, code: int, capsys, monkeypatch) -> None:
    assert run(capsys, monkeypatch, "compare", SPARSE, DENSE, "--fail-on", aspects)[0] == code


def test_one_file_on_two_cpus(capsys, monkeypatch) -> None:
    code, out, _ = run(capsys, monkeypatch, "compare", SPARSE, "--to-cpu", "x86-avx")
    assert code == 1
    assert "litert-2.3 on arm64" in out and "litert-2.3 on x86-avx" in out
    assert "+ XNN501 cpu-without-sparse-path" in out


def test_json_has_its_schema(capsys, monkeypatch) -> None:
    code, out, _ = run(capsys, monkeypatch, "compare", DENSE, SPARSE, "--format", "json")
    document = json.loads(out)
    jsonschema.Draft202012Validator(published_schema("compare")).validate(document)
    assert code == 0
    assert document["changes"]["outcome"] == "better" and document["worse"] == []
    kernels = {one["after"]["name"]: one["after"]["kernels"] for one in document["operators"]}
    assert kernels["conv2d_1"][-1].endswith("SPMM")


def test_markdown(capsys, monkeypatch) -> None:
    code, out, _ = run(capsys, monkeypatch, "compare", SPARSE, DENSE, "--format", "markdown")
    assert code == 1
    assert out.startswith("## xnnlint: The second is worse")
    assert "| outcome | sparse | dense |  | **worse** |" in out


def test_names_of_files_are_no_markup(capsys, monkeypatch, tmp_path) -> None:
    hostile = tmp_path / "a|<b>\x1b[31m.tflite"
    shutil.copy(SPARSE, hostile)
    for form in ("text", "markdown"):
        _, out, _ = run(capsys, monkeypatch, "compare", DENSE, str(hostile), "--format", form)
        assert "\x1b" not in out
    assert "<b>" not in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((SPARSE,), "compare takes two models; or one, with --to-runtime or --to-cpu"),
        ((SPARSE, DENSE, SPARSE), "compare takes two models"),
        ((SPARSE, DENSE, "--fail-on", "speed"), "'speed' is none of outcome, spmm, time, size, findings, or never"),
        ((SPARSE, "missing.tflite"), "missing.tflite"),
        ((SPARSE, "--to-cpu", "z80"), "z80"),
    ],
)
def test_wrong_calls_are_one_sentence(arguments, sentence: str, capsys, monkeypatch) -> None:
    code, out, err = run(capsys, monkeypatch, "compare", *arguments)
    assert (code, out) == (2, "")
    assert sentence in err and len(err.splitlines()) == 1
