"""From Keras files to findings: every kind of file that is read, and what is said of it."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

import xnnlint
from tests.models import DATA, FIXTURES
from xnnlint.errors import XnnlintError
from xnnlint.linter.findings import ModelReport, Severity

CASES = DATA / "keras_read_cases.zip"
NETWORKS = ("frozen", "nested", "normalized", "sequence", "shared")


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cases")
    with zipfile.ZipFile(CASES) as archive:
        archive.extractall(folder)
    return folder


def told(report: ModelReport) -> Any:
    assert report.plan is not None
    operators = [(kernel.kernel, kernel.name) for kernel in report.plan.operators]
    # `xnnlint fix` takes .keras and .h5, so that findings of a SavedModel have another remedy.
    findings = [replace(finding, fix=None, repair=None) for finding in report.findings]
    return report.plan.outcome, operators, findings, report.plan.model.notes


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("share", [None, 0.8])
def test_the_format_makes_no_difference(cases: Path, name: str, share: float | None) -> None:
    """The same models of Keras 2 as .keras, .h5 and SavedModel folder."""
    reports = [xnnlint.lint(cases / f"keras2_{name}{ending}", assume_pruned=share) for ending in (".keras", ".h5", "")]
    assert [report.format for report in reports] == ["keras", "h5", "saved_model"]
    assert told(reports[0]) == told(reports[1]) == told(reports[2])
    assert reports[0].findings == reports[1].findings
    assert reports[0].plan is not None and reports[0].plan.operators


@pytest.mark.parametrize("name", NETWORKS)
def test_archives_and_files_of_keras_3_agree(cases: Path, name: str) -> None:
    reports = [xnnlint.lint(cases / f"keras3_{name}{ending}") for ending in (".keras", ".h5")]
    assert told(reports[0]) == told(reports[1])


def test_sharded_weights(cases: Path, tmp_path: Path) -> None:
    report = xnnlint.lint(cases / "sharded")
    assert report.plan is not None and report.plan.operators and report.plan.model.notes == []
    # Each shard is read: without one of them there is no answer.
    shutil.copytree(cases / "sharded", tmp_path / "sharded")
    (tmp_path / "sharded" / "model_00001.weights.h5").unlink()
    with pytest.raises(XnnlintError, match="model_00001"):
        xnnlint.lint(tmp_path / "sharded")


def config_of(archive: Path) -> dict[str, Any]:
    with zipfile.ZipFile(archive) as opened:
        return json.loads(opened.read("config.json"))


def architecture(folder: Path, config: dict[str, Any]) -> Path:
    path = folder / "architecture.json"
    path.write_text(json.dumps(config))
    return path


@pytest.mark.parametrize("source", ["guide_sparse.keras", "guide_keras3.keras"])
def test_an_architecture_without_weights(tmp_path: Path, source: str) -> None:
    path = architecture(tmp_path, config_of(FIXTURES / source))
    dense, pruned = xnnlint.lint(path), xnnlint.lint(path, assume_pruned=0.8)
    assert dense.plan is not None and pruned.plan is not None
    assert dense.plan.outcome.value == "dense" and [f.rule for f in dense.findings] == ["XNN303"]
    for plan in (dense.plan, pruned.plan):
        assert plan.model.notes[0] == "The file holds no weights: the forecast is for the structure alone."
    real = xnnlint.lint(FIXTURES / source).plan
    assert real is not None and pruned.plan.outcome.value == "sparse"
    assert [k.kernel for k in pruned.plan.operators] == [k.kernel for k in real.operators]


def test_forgotten_pruning_wrappers_are_a_warning() -> None:
    wrapped, stripped = (xnnlint.lint(FIXTURES / f"guide_{name}.h5") for name in ("wrapped", "sparse"))
    (finding,) = wrapped.findings
    assert (finding.rule, finding.severity, stripped.findings) == ("XNN306", Severity.ERROR, [])
    assert finding.actual == "wrapped: conv2d_1, conv2d_2"
    assert finding.fix is not None and "strip_pruning" in finding.fix.title
    assert wrapped.plan is not None and stripped.plan is not None
    assert [k.kernel for k in wrapped.plan.operators] == [k.kernel for k in stripped.plan.operators]


def in_policy(config: Any, policy: Any) -> Any:
    """A config whose layers have another dtype policy."""
    if isinstance(config, dict):
        return {k: policy if k == "dtype" and v == "float32" else in_policy(v, policy) for k, v in config.items()}
    return [in_policy(v, policy) for v in config] if isinstance(config, list) else config


@pytest.mark.parametrize(
    "policy",
    [
        "mixed_float16",
        {"class_name": "Policy", "config": {"name": "mixed_float16"}},
        {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "mixed_float16"}, "registered_name": None},
    ],
)
def test_mixed_precision_is_said(tmp_path: Path, policy: Any) -> None:
    plain = xnnlint.lint(architecture(tmp_path, config_of(FIXTURES / "guide_sparse.keras")), assume_pruned=0.8)
    mixed_config = in_policy(config_of(FIXTURES / "guide_sparse.keras"), policy)
    mixed = xnnlint.lint(architecture(tmp_path, mixed_config), assume_pruned=0.8)
    assert mixed.plan is not None and plain.plan is not None
    assert [k.kernel for k in mixed.plan.operators] == [k.kernel for k in plain.plan.operators]
    said = [note for note in mixed.plan.model.notes if "mixed precision (mixed_float16)" in note]
    assert len(said) == 1 and not any("mixed" in note for note in plain.plan.model.notes)
