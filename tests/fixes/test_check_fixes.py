"""What a check says of `xnnlint fix`."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import xnnlint
from tests.cli.program import run
from tests.difftest.test_advice import TORCH, detector
from tests.models import FIXTURES
from xnnlint.cli.session import Request, check_one
from xnnlint.fixes import check_fixes, short_clusters
from xnnlint.linter.findings import Applicability, FixOutcome, Severity
from xnnlint.xnnpack.plan import Outcome


def test_safe_changes_are_reported_where_no_set_is_known() -> None:
    report = xnnlint.lint(TORCH)
    assert not any(f.unlocks and f.unlocks.in_smallest_set for f in report.findings)
    assert report.fixes is not None
    assert report.fixes.brought == FixOutcome(5, Outcome.SPARSE, 4, 4)
    errors = [f for f in report.findings if f.severity is Severity.ERROR]
    assert (report.fixes.safe, report.fixes.unsafe) == (len(errors), 0)
    assert {f.remedy.applicability for f in errors if f.remedy} == {Applicability.SAFE}
    encoding = next(f for f in errors if f.rule == "XNN302")
    assert encoding.remedy is not None and encoding.remedy.title.startswith("store 80% zeros sparse")


def test_the_fix_of_a_finding_is_the_one_of_the_format(tmp_path: Path) -> None:
    path = tmp_path / "detector.tflite"
    path.write_bytes(detector())
    report = xnnlint.lint(path)
    heads = [f for f in report.findings if f.rule == "XNN202"]
    assert len(heads) == 4
    assert {(f.remedy.title, f.remedy.applicability) for f in heads if f.remedy} == {
        ("leave the cluster through DEPTH_TO_SPACE, and undo that with SPACE_TO_DEPTH", Applicability.SAFE)
    }


def test_an_unsafe_fix_is_counted_where_there_is_no_safe_one(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    shutil.copy(FIXTURES / "patterns" / "body_upsample_nearest.tflite", path)
    report = xnnlint.lint(path)
    assert report.fixes is not None
    assert report.fixes.safe + report.fixes.unsafe > 0


def test_a_model_too_large_to_try_has_the_fixes_of_single_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(check_fixes.MOST_OPERATORS, "tflite", 3)
    report = xnnlint.lint(TORCH)
    assert report.fixes is not None
    assert report.fixes.brought is None
    searched = check_one(Request(str(TORCH), str(TORCH), "litert-2.3", "arm64", fixes=True))
    assert searched.fixes is not None and searched.fixes.brought == FixOutcome(5, Outcome.SPARSE, 4, 4)
    encoding = next(f for f in report.findings if f.rule == "XNN302")
    assert encoding.remedy is not None and encoding.remedy.applicability is Applicability.SAFE


GATES = FIXTURES / "cases" / "tfk_se_is_dense.keras"


def test_gates_of_dense_layers_are_promised_as_the_fix_makes_them() -> None:
    """As 1x1 convolutions their kernels count, and have no zeros: copies of a pixel have them."""
    fixes = xnnlint.lint(GATES).fixes
    assert fixes is not None and fixes.brought is not None
    assert (fixes.brought.outcome, fixes.brought.spmm, fixes.brought.convolutions) == (Outcome.SPARSE, 6, 6)
    assert fixes.converted is None, "nothing more than that"


def test_what_stays_dense_is_not_promised(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(short_clusters, "_MOST_COPIES", 0)
    fixes = xnnlint.lint(GATES).fixes
    assert fixes is not None and fixes.brought is not None
    assert (fixes.brought.outcome, fixes.brought.spmm) == (Outcome.DENSE, 0)
    _, out, _ = run(capsys, monkeypatch, "check", str(GATES))
    assert "same outputs, no retraining; dense all the same" in " ".join(out.split())


def test_a_model_that_needs_no_fix_imports_none() -> None:
    model = FIXTURES / "guide_sparse.tflite"
    code = (
        "import sys; from xnnlint.cli.session import Request, check_one\n"
        f"report = check_one(Request({str(model)!r}, {str(model)!r}, 'litert-2.3', 'arm64'))\n"
        "assert report.error is None and report.fixes is None, report\n"
        "print([m for m in sys.modules if m.startswith('xnnlint.fixes')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_last_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from xnnlint.cli import app

    monkeypatch.chdir(TORCH.parent)
    monkeypatch.setattr(sys, "argv", ["xnnlint", "check", TORCH.name])
    with pytest.raises(SystemExit):
        app.main()
    out = " ".join(capsys.readouterr().out.split())
    assert "xnnlint fix torch_nchw.tflite -o fixed.tflite [*] sparse, 4 of 4: same outputs" in out
    assert re.search(r"about \d\.\dx as fast as now \(", out)
    assert "at most" not in out, "what the changes cost is in that figure"
    assert out.endswith("3 errors, 3 fixable. Exit code 1.")
