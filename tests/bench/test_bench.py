"""`xnnlint bench`: are the variants the right ones, the ratio sure, and what it says true?"""

from __future__ import annotations

import json
import math
from pathlib import Path

import jsonschema
import pytest
from msgspec.structs import replace

from tests.cli.program import run
from tests.models import DATA, FIXTURES
from xnnlint.bench import variants
from xnnlint.bench.families import Family, family_of
from xnnlint.bench.measure import Effort, Measurement, Side, measure
from xnnlint.bench.operators import Ran, TimedOperator, by_layer, timed_operators
from xnnlint.errors import XnnlintError
from xnnlint.loaders import load
from xnnlint.reporters.bench_json import measurement_document
from xnnlint.reporters.bench_text import measurement_lines
from xnnlint.reporters.json_document import published_schema
from xnnlint.reporters.styled_lines import plain
from xnnlint.runtime import ratio as ratios
from xnnlint.runtime import releases, targets
from xnnlint.runtime.observation import Observation
from xnnlint.runtime.ratio import Ratio, ratio_of
from xnnlint.runtime.timing import NotTimed
from xnnlint.runtime.verify import Setting, choose
from xnnlint.xnnpack.profile import load_profile

GUIDE, WIDE = FIXTURES / "guide_sparse.tflite", FIXTURES / "guide_wide_sparse.tflite"
PATTERNS = FIXTURES / "patterns"
X86 = load_profile("litert-2.3", "x86-sse")


# --- the ratio -------------------------------------------------------------------------------------------------------


def test_the_interval_is_student_s():
    stats = pytest.importorskip("scipy.stats")
    for count in range(2, ratios.MOST + 1):
        observed = [1.5 + 0.01 * i for i in range(count)]
        logarithms = [math.log(value) for value in observed]
        low, high = stats.t.interval(0.95, count - 1, sum(logarithms) / count, stats.sem(logarithms))
        found = ratio_of(observed)
        assert (found.low, found.high) == pytest.approx((math.exp(low), math.exp(high)), rel=1e-4)


def test_one_observation_has_no_interval():
    found = ratio_of([1.5])
    assert found == Ratio(pytest.approx(1.5))
    assert math.isinf(found.precision)


def test_slower_and_faster_only_where_the_interval_says_so():
    assert [(ratio.is_slower, ratio.is_faster) for ratio in (Ratio(0.9, 0.8, 0.95), Ratio(1.1, 1.05, 1.2))] == [
        (True, False),
        (False, True),
    ]
    unclear = Ratio(0.99, 0.9, 1.09)
    assert not unclear.is_slower and not unclear.is_faster


# --- operators and families ------------------------------------------------------------------------------------------


def ran_as_planned(plan, microseconds: float = 2.0) -> tuple[TimedOperator, ...]:
    kernels = tuple(kernel.kernel for kernel in plan.operators)
    return timed_operators(plan, Ran(kernels, tuple(range(len(kernels))), (microseconds,) * len(kernels)))


def test_families_of_both_variants_of_the_guide():
    pair = variants.pair_of(str(GUIDE), X86)
    sparse, dense = (ran_as_planned(variant.plan) for variant in (pair.after, pair.before))
    assert [operator.family for operator in sparse] == [
        Family.STEM,
        Family.DEPTHWISE,
        Family.SPMM,
        Family.DEPTHWISE,
        Family.SPMM,
        Family.POOLING,
        Family.LAYOUT,
        Family.LAYOUT,
        Family.FULLY_CONNECTED,
    ]
    assert [operator.family for operator in dense][:5] == [
        Family.STEM,
        Family.DEPTHWISE,
        Family.POINTWISE,
        Family.DEPTHWISE,
        Family.POINTWISE,
    ]


@pytest.mark.parametrize(
    ("kernel", "family"),
    [
        ("Add (ND)", Family.ELEMENTWISE),
        ("HardSwish (NC)", Family.ELEMENTWISE),
        ("Constant Pad (ND, X32)", Family.PADDING),
        ("Depth To Space (NCHW2NHWC, X32) Transpose", Family.LAYOUT),
        ("Resize Bilinear (NCHW)", Family.RESIZE),
        ("Global Average Pooling (NCW, F32)", Family.POOLING),
        ("Convolution (NCHW, F32) SPMM", Family.SPMM),
        ("Convolution (NHWC, QC8) GEMM", Family.CONVOLUTION),
        ("Softmax (NC, F32)", Family.OTHER),
    ],
)
def test_families_by_name(kernel, family):
    assert family_of(kernel, load(GUIDE).main, None) is family


def test_layers_of_both_variants_stand_side_by_side():
    def operator(layer: str, microseconds: float | None) -> TimedOperator:
        return TimedOperator(layer, 0, "k", Family.OTHER, "k", microseconds)

    before = [operator("a", 1), operator("b", 2), operator("c", 3), operator("c", 1), operator("gone", None)]
    after = [operator("a", 1), operator("new", 5), operator("c", 1)]
    told = [(layer.layer, layer.change) for layer in by_layer(before, after)]
    assert told == [("a", 0), ("b", -2), ("new", 5), ("c", -3)]


# --- the variants ----------------------------------------------------------------------------------------------------


def test_of_a_sparse_file_its_weights_are_stored_dense():
    pair = variants.pair_of(str(GUIDE), X86)
    assert pair.comparison is variants.Comparison.STORED_DENSE
    assert (len(pair.before.plan.spmm_ops), len(pair.after.plan.spmm_ops)) == (0, 2)
    assert pair.after.data == GUIDE.read_bytes()


def test_of_a_file_that_runs_dense_what_fix_makes():
    pair = variants.pair_of(str(FIXTURES / "guide_dense_zeros.tflite"), X86)
    assert (pair.comparison, pair.changes) == (variants.Comparison.FIXED, (("encode-zeros", 2),))


def test_pruned_in_memory_only_safe_fixes_are_made_unless_asked():
    pair = variants.pair_if_pruned(str(FIXTURES / "guide_unpruned.tflite"), X86, 0.8, unsafe=False)
    assert pair.comparison is variants.Comparison.PRUNED
    assert pair.after.plan.summary.pointwise_zeros / pair.after.plan.summary.pointwise_params == pytest.approx(
        0.8, abs=0.01
    )
    assert len(pair.after.plan.spmm_ops) == 2


@pytest.mark.tensorflow
def test_a_keras_model_is_converted():
    pytest.importorskip("tensorflow")
    pair = variants.pair_of(str(FIXTURES / "guide_sparse.keras"), X86)
    assert len(pair.after.plan.spmm_ops) == 2


# --- the real runtime ------------------------------------------------------------------------------------------------


@pytest.mark.judge
def test_sparse_is_faster_on_the_wide_guide(capsys, monkeypatch):
    code, out, err = run(capsys, monkeypatch, "bench", str(WIDE), "--seconds", "3", "--format", "json")
    assert err == ""
    document = json.loads(out)
    jsonschema.validate(document, published_schema("bench"))
    assert (code, document["exit_code"]) == (0, 0)
    # 1.4 times on an idle machine.
    assert document["ratio"]["value"] > 1.1
    dense, sparse = document["variants"]
    assert (dense["spmm"], sparse["spmm"], sparse["as_planned"]) == (0, 2, True)
    assert sparse["families"]["spmm"] < dense["families"]["pointwise"]
    assert document["where"]["processes"] >= 3


@pytest.mark.judge
def test_wrong_results_are_no_gain(capsys, monkeypatch):
    code, out, _ = run(capsys, monkeypatch, "bench", str(PATTERNS / "body_max_pool.tflite"), "--seconds", "1")
    assert code == 1
    assert "no gain, its outputs are wrong" in " ".join(out.split())
    assert "whole run" in out


@pytest.mark.judge
def test_a_model_that_fails_is_not_timed(capsys, monkeypatch):
    name = str(PATTERNS / "head_keepdims_dense.tflite")
    code, out, _ = run(capsys, monkeypatch, "bench", name, "--format", "json")
    document = json.loads(out)
    jsonschema.validate(document, published_schema("bench"))
    assert (code, document["ratio"], document["results"]["outcome"]) == (1, None, "fails")


@pytest.mark.judge
def test_two_files_and_kept_variants(capsys, monkeypatch, tmp_path):
    run(capsys, monkeypatch, "bench", str(GUIDE), "--seconds", "0.5", "--keep", str(tmp_path))
    names = [tmp_path / f"guide_sparse.{label}.tflite" for label in ("sparse", "dense")]
    assert all(name.is_file() for name in names)
    _, out, _ = run(capsys, monkeypatch, "bench", *map(str, names), "--seconds", "2", "--format", "json")
    document = json.loads(out)
    assert (document["comparison"], document["where"]["threads"]) == ("files", 1)
    assert document["ratio"]["value"] < 0.95


@pytest.mark.judge
def test_with_more_threads_nothing_is_predicted(capsys, monkeypatch):
    _, out, _ = run(capsys, monkeypatch, "bench", str(GUIDE), "--seconds", "0.5", "--threads", "2")
    assert "2 threads" in out and "predicted" not in out


@pytest.mark.judge
def test_of_an_emulated_cpu_nothing_is_timed():
    if targets.host_machine() != "x86-64" or targets.resolve().execution is not targets.Execution.MASKED:
        pytest.skip("this machine emulates x86-sse anyway, or needs not")
    emulated = targets.resolve("x86-sse", emulate=True)
    setting = replace(choose(seeds=1), target=emulated)
    with pytest.raises(NotTimed):
        measure(variants.pair_of(str(GUIDE), X86), setting)


# --- wrong calls -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("a.tflite", "b.tflite", "c.tflite"), "two to compare, not 3"),
        (("a.tflite", "b.tflite", "--fix"), "--fix takes one model"),
        (("a.tflite", "--unsafe-fixes"), "goes with --fix or --assume-pruned"),
        (("a.tflite", "--fix", "--assume-pruned", "0.8"), "leave --fix"),
        (("a.tflite", "--assume-pruned", "80"), "between 0 and 1"),
        (("a.tflite", "--cpu", "arm64"), "go with --log"),
        ((str(GUIDE), "--log", "x", "--threads", "2"), "--threads: with --log nothing is timed here"),
        ((str(GUIDE), "--log", "x", "--runtime", "portable"), "the one that fits"),
        ((str(GUIDE), "--log", "nowhere.txt"), "nowhere.txt: No such file"),
        ((str(GUIDE), "--log", str(GUIDE)), "no log of TFLite's benchmark_model"),
        (("nowhere.tflite",), "nowhere.tflite"),
        ((str(FIXTURES / "guide_int8.tflite"),), "it runs dense, and no fix changes that"),
        ((str(GUIDE), "--cost-profile", str(GUIDE)), "cost profile"),
        ((str(GUIDE), "--keep", "nowhere"), "there is no such folder"),
    ],
)
def test_wrong_calls_are_one_sentence(capsys, monkeypatch, arguments, words):
    code, out, err = run(capsys, monkeypatch, "bench", *arguments)
    assert (code, out) == (2, "")
    assert words in err and err.startswith("xnnlint: error: ") and err.count("\n") == 1


def test_a_log_through_the_program(capsys, monkeypatch):
    log = DATA / "benchmark_model" / "guide_sparse.txt"
    code, out, _ = run(capsys, monkeypatch, "bench", str(GUIDE), "--log", str(log))
    assert code == 0
    assert out.splitlines()[0].endswith("guide_sparse.tflite: ran as predicted")
    assert "  whole run                         38.2" in out
    assert "scaled: not measured on arm64 yet" in " ".join(out.split())
    code, out, _ = run(capsys, monkeypatch, "bench", str(GUIDE), "--log", str(log), "--format", "json")
    document = json.loads(out)
    jsonschema.validate(document, published_schema("bench"))
    assert document["variants"][0]["log"] == {"path": str(log), "threads": 1, "runs": 23544}


# --- the text --------------------------------------------------------------------------------------------------------


def measurement(**changes) -> Measurement:
    pair = variants.pair_of(str(GUIDE), X86)
    pair = replace(pair, path="m.tflite")
    seen = Observation(
        path="m.tflite",
        status="ran",
        error=None,
        kernels=(),
        kernel_indices=(),
        tflite_ops=(),
        outputs=(),
        reference="kernels",
        reference_error=None,
        litert="2.3.0",
        cpu="x86-sse",
        execution=targets.Execution.MASKED,
        outcome="sparse",
        undecided=None,
        seconds=0.1,
    )
    before = Side(pair.before, 40.0, ran_as_planned(pair.before.plan, 4.0))
    after = Side(pair.after, 20.0, ran_as_planned(pair.after.plan, 2.0))
    made = Measurement(pair, before, after, Ratio(2.0, 1.98, 2.02), seen, Effort(1, 3, 50.0, 2.0))
    return replace(made, **changes)


@pytest.fixture
def setting() -> Setting:
    release = releases.Release("2.3.0", Path("nowhere"))
    return Setting(targets.Target("x86-sse", targets.Execution.MASKED, "python", release), X86)


def text(measured: Measurement, setting: Setting) -> str:
    return "\n".join(plain(line) for line in measurement_lines(measured, setting, None, "A CPU", 80))


def test_a_gain_reads_well(setting):
    assert (
        text(measurement(), setting)
        == """\
m.tflite: faster: sparse, it is 2.00 times as fast (1.98 to 2.02) as stored
dense
  compared   the file as it is, and the same file with its weights stored dense
  time       40.0 us -> 20.0 us, 0 -> 2 operators run SpMM
  outputs    correct, no error
  measured   LiteRT 2.3.0 on x86-sse (natively, AVX masked), 1 thread; 3
             processes, 50 runs of each in turns
  holds for  this machine's CPU (A CPU), with AVX masked, since XNNPACK has no
             sparse path on x86 with AVX. On a phone the ratio will differ;
             --log reads times that were measured there

  microseconds in                  dense      sparse      change
  1x1 convolutions, SpMM               -         4.0        +4.0
  1x1 convolutions, dense            8.0           -        -8.0
  stem                               4.0         2.0        -2.0
  depthwise convolutions             8.0         4.0        -4.0
  fully connected                    4.0         2.0        -2.0
  layout and copies                  8.0         4.0        -4.0
  pooling and means                  4.0         2.0        -2.0
  outside the operators              4.0         2.0        -2.0
  whole run                         40.0        20.0       -20.0

     dense    sparse    change  layer
       8.0       4.0      -4.0  dense: Static Reshape + GEMM
       4.0       2.0      -2.0  conv2d: IGEMM -> HWC2CHW
       4.0       2.0      -2.0  depthwise_conv2d: DWConv
       4.0       2.0      -2.0  conv2d_1: GEMM -> SPMM
       4.0       2.0      -2.0  depthwise_conv2d_1: DWConv
       4.0       2.0      -2.0  conv2d_2: GEMM -> SPMM
       4.0       2.0      -2.0  global_average_pooling2d: Mean
       4.0       2.0      -2.0  flatten: Static Reshape"""
    )


def test_slower_and_not_clear_are_said(setting):
    assert "slower: sparse, it is 0.80" in text(measurement(ratio=Ratio(0.8, 0.78, 0.82)), setting)
    assert "no difference: sparse, it is 1.00" in text(measurement(ratio=Ratio(1.0, 0.98, 1.02)), setting)


def test_an_operator_that_ran_differently_is_named(setting):
    measured = measurement()
    first, *rest = measured.after.operators
    differing = replace(first, kernel="Convolution (NHWC, F32) IGEMM")
    measured = replace(measured, after=replace(measured.after, operators=(differing, *rest)))
    told = " ".join(text(measured, setting).split())
    assert "differs sparse: conv2d: Convolution (NHWC, F32) IGEMM ran instead of" in told
    assert measured.exit_code == 1


def test_the_document_of_made_up_numbers(setting):
    document = measurement_document(measurement(), setting, None, "A CPU")
    jsonschema.validate(document, published_schema("bench"))
    assert document["variants"][1]["families"]["spmm"] == 4.0


def test_before_that_cannot_run_is_trouble(tmp_path):
    (tmp_path / "broken.tflite").write_bytes(b"not a model" * 9)
    with pytest.raises(XnnlintError, match=r"broken\.tflite"):
        variants.pair_of(str(tmp_path / "broken.tflite"), X86)


# --- xnnlint calibrate -----------------------------------------------------------------------------------------------


@pytest.mark.judge
def test_a_calibration_is_written_and_read_again(capsys, monkeypatch, tmp_path):
    """The measuring itself is not done here: it takes minutes."""
    from xnnlint.calibration import calibrate as calibration
    from xnnlint.cost.profile import shipped_profile

    shipped = shipped_profile("x86-sse")
    asked = []

    def calibrate(target, *, networks, progress):
        asked.append(networks)
        progress(1, 2)
        return calibration.Calibration(shipped, ())

    monkeypatch.setattr(calibration, "calibrate", calibrate)
    place = tmp_path / "rates.json"
    code, out, _ = run(capsys, monkeypatch, "calibrate", "-o", str(place), "--networks", "3")
    assert (code, asked) == (0, [3])
    assert out.startswith(f"{place}: {len(shipped.families)} kinds of operators")
    log = DATA / "benchmark_model" / "guide_sparse.txt"
    code, _, err = run(capsys, monkeypatch, "bench", str(GUIDE), "--log", str(log), "--cost-profile", str(place))
    assert (code, err) == (0, "")


@pytest.mark.judge
def test_a_calibration_needs_a_place(capsys, monkeypatch, tmp_path):
    code, _, err = run(capsys, monkeypatch, "calibrate", "-o", str(tmp_path / "nowhere" / "rates.json"))
    assert (code, "its folder does not exist" in err) == (2, True)
