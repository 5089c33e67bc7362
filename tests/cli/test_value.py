"""What `check` prints of gains, times and sizes, by rates with which they can be counted by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from tests.cli.program import run
from tests.linter.test_speed import DENSE, HAND, SPARSE, rates
from tests.models import FIXTURES
from xnnlint.reporters import json_document

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    """Runs the program in a folder with the guide's models and `mine.json`, the rates."""
    for name in ("sparse", "half", "unpruned"):
        (tmp_path / f"{name}.tflite").symlink_to(FIXTURES / f"guide_{name}.tflite")
    HAND.save(tmp_path / "mine.json")
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: run(capsys, monkeypatch, "check", *arguments)


@pytest.fixture
def told(call: Call) -> Callable[..., dict[str, dict]]:
    """The models of a valid JSON report, by name."""

    def check(*arguments: str) -> dict[str, dict]:
        document = json.loads(call(*arguments, "--format", "json")[1])
        jsonschema.Draft202012Validator(json_document.published_schema("report")).validate(document)
        return {model["path"]: model for model in document["models"]}

    return check


def test_the_verdict_has_the_gain_and_the_size(call: Call) -> None:
    out = call("sparse.tflite", "--cost-profile", "mine.json")[1]
    assert out.splitlines()[:4] == [
        "sparse.tflite: sparse: 2 of 2 1x1 convolutions run SpMM, 100% of their MACs  (litert-2.3 on arm64)",
        "  Outputs are correct. About 1.6x as fast as dense (1.6 to 1.6).",
        "  Zeros in 1x1 weights: 80%.",
        "",
    ]
    # 640 weights. Of them are stored 128, with an index of a byte each, and 17 and 33 segments.
    full = call("sparse.tflite", "--cost-profile", "mine.json", "--verbose")[1].splitlines()
    assert full[3] == "  46% of the dense time is in 1x1 convolutions."
    assert full[4].startswith("  Pruned weights: 2.56 kB stored dense, 1.39 kB stored sparse (as now), ")


def test_the_table_has_a_time_for_every_operator(call: Call) -> None:
    out = call("sparse.tflite", "--plan", "--cost-profile", "mine.json")[1]
    rows = [line.lstrip("* ").split() for line in out.splitlines() if " NHWC " in line or " NCHW " in line]
    times = [float(us) for _, _, _, us, *_ in rows]
    assert times == [2, 2, 1, 2, 1, 2, 2, 2, 2]
    assert "\nus: predicted microseconds\n" in out
    assert "\nus: predicted microseconds, not measured on ARM\n" in call("sparse.tflite", "--plan")[1]
    assert " us " not in call("sparse.tflite", "--plan", "--cpu", "x86-avx")[1]


def test_the_document_has_the_same(told: Callable[..., dict[str, dict]]) -> None:
    models = told("sparse.tflite", "half.tflite", "--cost-profile", "mine.json")
    sparse, half = models["sparse.tflite"], models["half.tflite"]
    gain = {
        "ratio": DENSE / SPARSE,
        "low": DENSE / SPARSE,
        "high": DENSE / SPARSE,
        "measured_on_cpu": True,
        "dense_us": DENSE,
        "sparse_us": SPARSE,
        "pointwise_share": round(12 / DENSE, 3),
    }
    assert (sparse["predicted_us"], sparse["gain"], sparse["gain_if_fixed"]) == (SPARSE, gain, None)
    assert (half["predicted_us"], half["gain"]) == (DENSE, None)
    assert half["gain_if_fixed"] == gain | {"assumed_zeros": 0.8}
    # Of the operators only those with weights are in the document.
    assert [kernel["predicted_us"] for kernel in sparse["kernels"]] == [2, 2, 1, 2, 1, 2]
    tables = 2 * 350
    # How small gzip makes it depends on the zlib at hand.
    assert 500 < sparse["pruned_weights"].pop("gzipped_bytes") < 900
    assert sparse["pruned_weights"] == {
        "now_bytes": 128 * 5 + 17 + 33 + tables,
        "dense_bytes": 640 * 4,
        "sparse_bytes": 128 * 5 + 17 + 33 + tables,
    }
    arm = told("sparse.tflite")["sparse.tflite"]["gain"]
    assert arm["measured_on_cpu"] is False and arm["low"] < arm["ratio"] < arm["high"]


def test_a_cpu_without_the_sparse_path_has_no_figures(told: Callable[..., dict[str, dict]]) -> None:
    model = told("sparse.tflite", "--cpu", "x86-avx")["sparse.tflite"]
    assert [model[key] for key in ("predicted_us", "gain", "gain_if_fixed")] == [None] * 3
    assert {kernel["predicted_us"] for kernel in model["kernels"]} == {None}


def test_several_shares_are_a_table(call: Call, told: Callable[..., dict[str, dict]]) -> None:
    arguments = ("unpruned.tflite", "--assume-pruned", "0.5, 70%,0.8", "--cost-profile", "mine.json")
    out = call(*arguments)[1]
    assert [line for line in out.splitlines() if line.lstrip()[:3] in ("zer", "50%", "70%", "80%")] == [
        "  zeros  SpMM    times as fast as dense, at most",
        "    50%  0 of 2  the model runs dense all the same",
        "    70%  2 of 2  1.6 (1.6 to 1.6)",
        "    80%  2 of 2  1.6 (1.6 to 1.6)",
    ]
    rows = told(*arguments)["unpruned.tflite"]["if_pruned"]
    assert [(row["share"], row["outcome"], row["spmm"]) for row in rows] == [
        (0.5, "dense", 0),
        (0.7, "sparse", 2),
        (0.8, "sparse", 2),
    ]
    assert [row["gain"] and row["gain"]["ratio"] for row in rows] == [None, 1.625, 1.625]


def test_a_single_share_is_a_sentence(call: Call) -> None:
    out = " ".join(call("unpruned.tflite", "--assume-pruned", "0.8", "--cost-profile", "mine.json")[1].split())
    # 65,536 of 148,800 MACs, as test_assumption counts them.
    assert (
        "If 80% of every 1x1 kernel is pruned, 2 of 2 1x1 convolutions go sparse, 44% of all MACs: at most about 1.6x "
        "as fast as dense (1.6 to 1.6). "
    ) in out
    assert "If fixed" not in out


@pytest.mark.parametrize("shares", ["0.8,", ",", "0.7,2"])
def test_each_share_must_be_one(call: Call, shares: str) -> None:
    code, out, err = call("sparse.tflite", "--assume-pruned", shares)
    assert (code, out) == (2, "")
    assert err.endswith(": a share from 0 to 1 is needed, such as 0.8 or 80%\n")


def test_a_summary_in_markdown_has_the_speed(call: Call) -> None:
    out = call("sparse.tflite", "half.tflite", "--format", "markdown", "--cost-profile", "mine.json")[1]
    assert "| `sparse.tflite` | pass | sparse | 2 of 2 | 80% | 1.6 (1.6 to 1.6) | no findings |" in out
    assert "\nSpeed: predicted, times as fast as the same model run dense.\n" in out
    assert "run dense, not measured on ARM.\n" in call("sparse.tflite", "--format", "markdown")[1]


def test_the_same_from_several_processes(call: Call) -> None:
    arguments = ("sparse.tflite", "half.tflite", "unpruned.tflite", "--assume-pruned", "0.7,0.9", "--plan")
    for form in ("text", "json"):
        assert call(*arguments, "--format", form, "--jobs", "2") == call(*arguments, "--format", form)


def test_a_cost_profile_from_the_configuration(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its path counts from the configuration's folder, an option's from the current one."""
    (tmp_path / "xnnlint.toml").write_text('cost-profile = "rates.json"\n')
    rates(gemm=10.0).save(tmp_path / "rates.json")
    (tmp_path / "models").mkdir()
    monkeypatch.chdir(tmp_path / "models")
    # 7 * 2 + 2 * 10 beside 9 * 2.
    assert " About 1.9x as fast as dense (1.9 to 1.9)." in call("../sparse.tflite")[1]
    assert " About 1.6x" in call("../sparse.tflite", "--cost-profile", "../mine.json")[1]


def test_a_cost_profile_that_cannot_be_used(call: Call) -> None:
    assert call("sparse.tflite", "--cost-profile", "gone.json")[::2] == (
        2,
        "xnnlint: error: cost profile gone.json cannot be read: [Errno 2] No such file or directory: 'gone.json'\n",
    )
    assert call("sparse.tflite", "--cost-profile", "mine.json", "--cpu", "x86-sse")[::2] == (
        2,
        "xnnlint: error: the cost profile is of arm64, and no model is checked for that CPU (--cpu)\n",
    )
