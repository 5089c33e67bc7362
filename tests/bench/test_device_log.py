"""What `benchmark_model` prints on a device: is it read right, and lined up with the plan?"""

from __future__ import annotations

import re

import pytest

from tests.models import DATA, FIXTURES
from xnnlint.bench.device import read_runs
from xnnlint.bench.device_log import parse_log, read_log
from xnnlint.bench.families import Family
from xnnlint.bench.operators import by_family
from xnnlint.errors import XnnlintError
from xnnlint.modelbuilder.builder import ModelBuilder
from xnnlint.xnnpack.profile import every_runtime, load_profile

LOGS = DATA / "benchmark_model"
SPARSE, DENSE, LITERT = (LOGS / f"{name}.txt" for name in ("guide_sparse", "guide_dense", "guide_sparse_litert"))
GUIDE = FIXTURES / "guide_sparse.tflite"
ARM64 = load_profile("litert-2.3", "arm64")


def cut_at(mark: str) -> str:
    """The log as it is where the tool is stopped inside of the runs' section."""
    start, title, runs = SPARSE.read_text().partition("INFO: Operator-wise")
    assert mark in runs
    return start + title + runs.partition(mark)[0]


def with_change(old: str, new: str) -> str:
    text = SPARSE.read_text()
    assert old in text
    return text.replace(old, new)


def with_start(text: str) -> str:
    """With the column [start] of releases until 2.10."""
    text = text.replace("[first]", "[start]\t  [first]")
    return re.sub(r"^(\t +[A-Z][^\t]*)\t", "\\1\t    0.000\t", text, flags=re.MULTILINE)


@pytest.fixture
def run_of(tmp_path):
    """The guide's model beside a log of that text."""

    def run(text: str, profiles=(ARM64,)):
        (tmp_path / "log.txt").write_text(text)
        return read_runs([str(GUIDE)], [str(tmp_path / "log.txt")], profiles)

    return run


# --- reading ---------------------------------------------------------------------------------------------------------


def test_every_row_is_read():
    log = read_log(str(SPARSE))
    assert (log.microseconds, log.threads, log.runs) == (38.2, 1, 23544)
    assert [(entry.kernel, entry.index, entry.calls) for entry in log.xnnpack] == [
        ("Convolution (NCHW, F32) Conv2D HWC2CHW", 0, 1),
        ("Convolution (NCHW, F32) DWConv", 1, 1),
        ("Convolution (NCHW, F32) SPMM", 2, 1),
        ("Convolution (NCHW, F32) DWConv", 3, 1),
        ("Convolution (NCHW, F32) SPMM", 4, 1),
        ("Mean (ND) Reduce2", 5, 1),
        ("Static Reshape (NC)", 6, 1),
        ("Static Reshape (NC)", 7, 1),
        ("Fully Connected (NC, F32) GEMM", 8, 1),
    ]
    assert [entry.microseconds for entry in log.xnnpack] == pytest.approx([11, 6, 4, 3, 4, 2, 1, 1, 1])
    assert log.tflite == ()


def test_litert_s_own_tool_says_the_same():
    log = read_log(str(LITERT))
    assert log.xnnpack == read_log(str(SPARSE)).xnnpack
    assert (log.microseconds, log.runs) == (41.545, 22112)


def test_csv_is_read_with_tabs_for_commas():
    log = read_log(str(LOGS / "two_partitions.csv"))
    assert [(entry.kernel, entry.index, entry.microseconds, entry.calls) for entry in (*log.xnnpack, *log.tflite)] == [
        ("Convolution (NHWC, F32) IGEMM", 0, 52.5, 2),
        ("Mean (ND) Reduce2", 1, 9.0, 1),
        ("CONV_2D", 2, 41.0, 1),
    ]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.expandtabs(16),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: re.sub(r"^", "11-30 10:22:33.444  5123  5140 I tflite  : ", text, flags=re.MULTILINE),
        with_start,
        lambda text: text.replace("F32) GEMM", "PF32) GEMM"),
    ],
    ids=["blanks", "windows", "logcat", "until-2.10", "kleidiai"],
)
def test_other_shapes_of_the_same_log(change):
    text = SPARSE.read_text()
    assert change(text) != text
    assert parse_log(change(text), "log").xnnpack == parse_log(text, "log").xnnpack


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no log of TFLite's benchmark_model"),
        ("adb: no devices found\n", "no log of TFLite's benchmark_model"),
        (SPARSE.read_text().split("INFO: Profiling Info")[0], "the whole run only"),
        (SPARSE.read_text().split("INFO: Operator-wise")[0], "the whole run only"),
        (cut_at("= Run Order ="), "it is cut before its table"),
        (cut_at("[times called]"), "at its table of operators"),
        (cut_at("Delegate/Mean (ND) Reduce2:5"), "line 4. is no row"),
        (cut_at("\t                     Static Reshape (NC)"), "it is cut inside its table"),
        (re.sub(r"Delegate/.*", "TfLiteXNNPackDelegate", SPARSE.read_text()), "its table of operators is empty"),
        ("Delegate Statistics:\nOp Name  Count\nDelegate/Mean (ND) Reduce2   50\n", "operators of the same name"),
    ],
    ids=[
        "empty",
        "adb",
        "no-profile",
        "no-runs",
        "cut-title",
        "cut-header",
        "cut-row",
        "cut-table",
        "no-names",
        "sums",
    ],
)
def test_what_is_wrong_with_a_log_is_one_sentence(text, words):
    with pytest.raises(XnnlintError, match=words) as raised:
        parse_log(text, "phone.txt")
    assert str(raised.value).startswith("phone.txt: ") and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("delegate", "words"),
    [("TfLiteXNNPackDelegate", "XNNPACK as a whole"), ("TfLiteGpuDelegateV2", "TfLiteGpuDelegateV2 ran the model")],
)
def test_a_log_without_xnnpack_s_operators(delegate, words):
    row = f"\t {delegate}\t    0.016\t    0.011\t 34.568%\t 34.568%\t     0.000\t        1\t[Identity]:12\n"
    _, title, runs = SPARSE.read_text().partition("INFO: Operator-wise")
    lines = (title + runs).splitlines(keepends=True)
    text = "".join([*lines[:3], row, *lines[12:]])
    with pytest.raises(XnnlintError, match=words):
        parse_log(text, "log")


# --- lining up -------------------------------------------------------------------------------------------------------


def test_a_run_as_planned(run_of):
    run = run_of(SPARSE.read_text())
    (side,) = run.sides
    assert (run.exit_code, run.differing) == (0, [])
    assert [(operator.layer, operator.op) for operator in side.operators if operator.family is Family.SPMM] == [
        ("conv2d_1", 4),
        ("conv2d_2", 8),
    ]
    sums = by_family(side.operators)
    assert sums[Family.SPMM] == pytest.approx(8) and sums[Family.STEM] == pytest.approx(11)


def test_an_operator_that_ran_dense_is_named(run_of):
    changed = with_change("Convolution (NCHW, F32) SPMM:4", "Fully Connected (NC, F32) GEMM:4")
    (operator,) = run_of(changed).differing
    assert (operator.layer, operator.predicted) == ("conv2d_2", "Convolution (NCHW, F32) SPMM")
    assert operator.kernel == "Fully Connected (NC, F32) GEMM"
    assert operator.microseconds == pytest.approx(4)
    assert run_of(changed).exit_code == 1


def test_an_additional_operator_does_not_shift_the_others(run_of):
    lines = SPARSE.read_text().splitlines()
    at = max(number for number, line in enumerate(lines) if line.endswith("SPMM:2") and "0.005" in line and number < 50)
    for later in range(at, at + 7):
        lines[later] = re.sub(r":(\d)$", lambda found: f":{int(found[1]) + 1}", lines[later])
    lines.insert(at, lines[at].replace("Convolution (NCHW, F32) SPMM", "Transpose (ND, X32) Transpose")[:-1] + "2")
    (operator,) = run_of("\n".join(lines)).differing
    assert (operator.kernel, operator.predicted) == ("Transpose (ND, X32) Transpose", None)


def test_of_runtimes_the_one_that_fits_is_taken(run_of):
    older = SPARSE.read_text().replace("Mean (ND) Reduce2", "Mean (ND) Reduce")
    run = run_of(older, every_runtime("arm64"))
    assert (run.profile.runtime, run.differing) == ("litert-1.4", [])


def test_equal_operators_of_two_partitions_share_a_row(tmp_path):
    g = ModelBuilder()
    x = g.conv2d(g.pad(g.input((1, 24, 40, 3))), 8, kernel=3, stride=2, fused="RELU")
    x = g.conv2d(x, 16, fused="TANH")
    g.output(g.mean(g.conv2d(x, 7, kernel=3)))
    (tmp_path / "two.tflite").write_bytes(g.build())
    run = read_runs([str(tmp_path / "two.tflite")], [str(LOGS / "two_partitions.csv")], [ARM64])
    (side,) = run.sides
    assert run.differing == []
    assert [operator.microseconds for operator in side.operators] == [52.5, 41.0, 52.5, 9.0]
    assert [operator.family for operator in side.operators][:2] == [Family.STEM, Family.TFLITE]


def test_two_logs_give_a_ratio(tmp_path):
    from xnnlint.fixes.tflite.sparse_encoding import stored_dense

    dense = tmp_path / "dense.tflite"
    dense.write_bytes(stored_dense(GUIDE.read_bytes(), "guide"))
    run = read_runs([str(dense), str(GUIDE)], [str(DENSE), str(SPARSE)], [ARM64])
    assert run.differing == []
    assert run.ratio.value == pytest.approx(51.9 / 38.2)
    assert run.exit_code == 0
    back = read_runs([str(GUIDE), str(dense)], [str(SPARSE), str(DENSE)], [ARM64])
    assert (back.ratio.is_slower, back.exit_code) == (True, 1)


def test_a_log_for_each_model():
    with pytest.raises(XnnlintError, match="a log for each"):
        read_runs([str(GUIDE)], [str(SPARSE), str(DENSE)], [ARM64])
