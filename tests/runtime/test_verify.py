"""`xnnlint verify`: does it see where prediction and run part, and say so?"""

from __future__ import annotations

import json
import sys
from itertools import count
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from msgspec.structs import replace

from tests.models import ROOT
from xnnlint.cache.place import cache_folder
from xnnlint.cli import app as cli
from xnnlint.loaders import load
from xnnlint.modelbuilder.builder import ModelBuilder
from xnnlint.modelbuilder.flatwriter import table
from xnnlint.reporters.json_document import published_schema
from xnnlint.reporters.styled_lines import plain
from xnnlint.reporters.verify_text import VerificationTally, verification_lines
from xnnlint.runtime import observe, releases, targets
from xnnlint.runtime.availability import availability
from xnnlint.runtime.execution import Execution
from xnnlint.runtime.observation import Observation, OutputError
from xnnlint.runtime.verify import Row, Setting, Verification, choose, compare, verify_each
from xnnlint.xnnpack.plan import Plan
from xnnlint.xnnpack.planner import make_plan
from xnnlint.xnnpack.profile import load_profile, runtime_of_litert, runtimes

GUIDE = ROOT / "fixtures" / "guide_sparse.tflite"
PATTERNS = ROOT / "fixtures" / "patterns"
CASES = ROOT / "fixtures" / "cases"


def verify(*paths: Path, **options) -> list[Verification]:
    return list(verify_each(paths, choose(**options)))


def run(capsys, monkeypatch, *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one call of the program."""
    monkeypatch.setattr(sys, "argv", ["xnnlint", "verify", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code, *capsys.readouterr()


# --- the real runtime ------------------------------------------------------------------------------------------------


@pytest.mark.judge
def test_models_of_every_outcome_agree():
    names = {
        GUIDE: "sparse",
        PATTERNS / "zeros_two_thirds.tflite": "dense",
        PATTERNS / "body_max_pool.tflite": "wrong-results",
        PATTERNS / "head_keepdims_dense.tflite": "fails",
    }
    found = verify(*names)
    assert [(v.agrees, v.observation.outcome) for v in found] == [(True, outcome) for outcome in names.values()]
    assert [v.exit_code for v in found] == [0, 0, 1, 1]
    assert [bool(v.rows) for v in found] == [True, True, True, False]


@pytest.mark.judge
def test_every_operator_is_reported_with_its_layer():
    (found,) = verify(GUIDE)
    spmm = [(row.op, row.name) for row in found.rows if row.observed == "Convolution (NCHW, F32) SPMM"]
    assert spmm == [(4, "conv2d_1"), (8, "conv2d_2")]
    assert all(row.agrees and row.observed_partition == 0 for row in found.rows)


@pytest.mark.judge
def test_a_plan_for_another_runtime_differs_from_the_run(capsys, monkeypatch):
    """LiteRT 1.1 had a MEAN kernel of its own and no static reshapes."""
    if releases.installed().version not in ("2.2.0", "2.3.0"):
        pytest.skip("written for LiteRT 2.2 and 2.3")
    code, out, _ = run(capsys, monkeypatch, str(GUIDE), "--runtime", "litert-1.1", "--seeds", "1", "--format", "json")
    assert code == 1
    document = json.loads(out)
    (model,) = document["models"]
    assert (model["agrees"], model["differs"]) == (False, ["operators"])
    pairs = [(o["predicted"], o["observed"]) for o in model["operators"]]
    assert ("Mean (ND) Mean", "Mean (ND) Reduce2") in pairs
    assert (None, "Static Reshape (NC)") in pairs
    assert "litert-1.1" in document["note"] and "--litert-version" in document["note"]


@pytest.mark.judge
def test_operators_of_tflite_stand_where_they_run(tmp_path):
    """TANH keeps a convolution from XNNPACK, between two partitions."""
    g = ModelBuilder()
    x = g.conv2d(g.pad(g.input((1, 24, 40, 3))), 8, kernel=3, stride=2, fused="RELU")
    x = g.conv2d(x, 16, fused="TANH")
    g.output(g.mean(g.conv2d(x, 7)))
    (tmp_path / "two.tflite").write_bytes(g.build())
    (found,) = verify(tmp_path / "two.tflite")
    assert found.agrees
    places = [(row.tflite, row.observed_partition) for row in found.rows]
    middle = next(i for i, row in enumerate(found.rows) if row.tflite)
    assert found.rows[middle].observed == "CONV_2D"
    assert {partition for _, partition in places[:middle]} == {0}
    assert {partition for _, partition in places[middle + 1 :]} == {1}


@pytest.mark.judge
def test_what_cannot_be_read_or_judged_is_2_and_the_others_are_verified(capsys, monkeypatch, tmp_path):
    (tmp_path / "broken.tflite").write_bytes(b"not a model" * 9)
    g = ModelBuilder()
    x = g.conv2d(g.input((1, 8, 8, 3)), 8)
    g.output(*g.custom_op("Nowhere", [x], [x.shape]))
    (tmp_path / "custom.tflite").write_bytes(g.build())
    by_zero = ModelBuilder()
    zero = by_zero.constant(np.zeros(1, np.int32))
    by_zero.output(*by_zero.op("FLOOR_MOD", [by_zero.input((1,), dtype="int32"), zero], [(1,)], dtype="int32"))
    (tmp_path / "by_zero.tflite").write_bytes(by_zero.build())
    names = ("broken.tflite", GUIDE, "custom.tflite", "by_zero.tflite", "none.tflite")
    paths = [str(tmp_path / name) for name in names]
    code, out, err = run(capsys, monkeypatch, *paths, "--seeds", "1", "--format", "json")
    assert code == 2
    document = json.loads(out)
    jsonschema.validate(document, published_schema("verify"))
    assert [model["path"] for model in document["models"]] == paths
    assert [model["agrees"] for model in document["models"]] == [None, True, True, None, None]
    complaints = err.splitlines()
    assert len(complaints) == 3
    assert "broken.tflite" in complaints[0] and "Division by 0" in complaints[1] and "none.tflite" in complaints[2]
    assert document["models"][2]["observed"]["outcome"] == "fails"


@pytest.mark.judge
def test_the_document_is_that_of_the_schema(capsys, monkeypatch):
    paths = [str(GUIDE), *(str(PATTERNS / f"head_keepdims_{n}.tflite") for n in ("dense", "output", "softmax"))]
    code, out, err = run(capsys, monkeypatch, *paths, "--format", "json")
    assert (code, err) == (1, "")
    document = json.loads(out)
    jsonschema.validate(document, published_schema("verify"))
    assert document["run"]["seeds"] == [0, 1, 2]
    reported = document["models"][2]["observed"]["outputs"][0]
    assert (reported["shape"], reported["reference_shape"]) == ([1, 24, 1, 1], [1, 1, 1, 24])
    assert (reported["shape_differs"], reported["wrong"]) == (True, False)


@pytest.mark.judge
@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_the_verdict_does_not_depend_on_the_number_of_seeds(seeds):
    """The size of the output is computed at run time: its buffer is unfilled at first, and refused in the next run."""
    (found,) = verify(CASES / "dynfcn.tflite", seeds=seeds)
    assert (found.plan.outcome.value, found.observation.outcome, found.agrees) == ("fails", "fails", True)


@pytest.mark.judge
def test_a_file_that_nothing_runs_as_predicted_is_broken(capsys, monkeypatch, tmp_path):
    """BROADCAST_TO to fewer dimensions, as the converter writes it for a GroupNormalization."""
    g = ModelBuilder()
    x = g.conv2d(g.input((1, 8, 8, 3)), 8)
    g.output(*g.op("BROADCAST_TO", [x, g.constant(np.array([8, 8], np.int32))], [(8, 8)], version=2))
    (tmp_path / "model.tflite").write_bytes(g.build())
    code, out, err = run(capsys, monkeypatch, str(tmp_path / "model.tflite"))
    assert (code, err) == (1, "")
    assert "broken: fails, as predicted" in out and "no kernel of LiteRT runs it" in out
    assert out.rstrip().splitlines()[-1].startswith("broken")


@pytest.mark.judge
def test_a_model_of_nan_alone_is_broken_and_nobody_knows_the_rest(capsys, monkeypatch, tmp_path):
    g = ModelBuilder()
    x = g.conv2d(g.input((1, 8, 8, 3)), 8)
    nothing = g.constant(np.full((1, 1, 1, 8), np.nan, np.float32))
    g.output(g.binary("ADD", x, nothing))
    (tmp_path / "model.tflite").write_bytes(g.build())
    code, out, err = run(capsys, monkeypatch, str(tmp_path / "model.tflite"), "--format", "json")
    assert (code, err) == (1, "")
    document = json.loads(out)
    jsonschema.validate(document, published_schema("verify"))
    (model,) = document["models"]
    assert (model["agrees"], model["broken"], model["error"]) == (None, "nothing-finite", None)


@pytest.mark.judge
@pytest.mark.parametrize("radius", [1, 3, 8])
def test_a_wrong_reference_kernel_is_not_asked(tmp_path, radius):
    """LOCAL_RESPONSE_NORMALIZATION: the reference kernel leaves out a channel, which the optimized kernel has."""
    g = ModelBuilder(3)
    x = g.conv2d(g.input((1, 9, 11, 3)), 8, 3, fused="RELU")
    options = table("LocalResponseNormalizationOptions", radius=radius, bias=1.0, alpha=0.5, beta=0.5)
    (y,) = g.op("LOCAL_RESPONSE_NORMALIZATION", [x], [x.shape], options)
    g.output(g.mean(y))
    (tmp_path / "model.tflite").write_bytes(g.build())
    (found,) = verify(tmp_path / "model.tflite")
    assert (found.agrees, found.observation.outcome, found.observation.reference) == (
        True,
        "dense",
        "optimized-kernels",
    )


@pytest.mark.judge
def test_what_is_random_is_not_judged(tmp_path):
    """Dropout that was called with training=True becomes RANDOM_UNIFORM; its operators are compared all the same."""
    g = ModelBuilder(3)
    x = g.conv2d(g.input((1, 9, 11, 3)), 8, 3, fused="RELU")
    shape = g.constant(np.array(x.shape, np.int32))
    (noise,) = g.op("RANDOM_UNIFORM", [shape], [x.shape], table("RandomOptions", seed=0, seed2=0))
    g.output(g.binary("MUL", x, noise))
    (tmp_path / "model.tflite").write_bytes(g.build())
    (found,) = verify(tmp_path / "model.tflite", seeds=1)
    assert (found.agrees, found.differs, found.exit_code) == (None, (), 2)
    assert "RANDOM_UNIFORM gives other numbers in each run" in found.error
    assert found.rows and all(row.agrees for row in found.rows)


@pytest.mark.judge
@pytest.mark.parametrize("values", ["inputs", "outputs"])
@pytest.mark.parametrize("signature", [None, "serving_default"])
def test_a_name_for_two_tensors_crashes_without_a_signature(values, signature, tmp_path):
    g = ModelBuilder(3)
    x, y = g.input((1, 9, 11, 3)), g.input((1, 9, 11, 3))
    outputs = [g.conv2d(x, 4, 3), g.conv2d(y, 5, 3)]
    g.output(*outputs)
    first, second = (x, y) if values == "inputs" else outputs
    g.tensors[second.id].name = g.tensors[first.id].name
    g.signature_key = signature
    (tmp_path / "model.tflite").write_bytes(g.build())
    (found,) = verify(tmp_path / "model.tflite")
    expected = "fails" if signature is None else "dense"
    assert (found.agrees, found.observation.outcome) == (True, expected)
    older = make_plan(load(tmp_path / "model.tflite"), load_profile("litert-2.0"))
    assert older.is_correct, "the interpreter knows its tensors by number"


@pytest.mark.judge
def test_a_model_with_its_pruning_wrappers_agrees():
    """Masks are variables that CALL_ONCE sets up; their products run in XNNPACK, in partitions of their own."""
    (found,) = verify(CASES / "m1_nostrip.tflite", seeds=1)
    assert found.agrees and found.observation.outcome == "dense"
    assert len({row.observed_partition for row in found.rows if row.observed_partition is not None}) >= 6


@pytest.mark.judge
def test_a_broken_file_says_what_the_other_kernels_do(capsys, monkeypatch):
    code, out, err = run(capsys, monkeypatch, str(CASES / "g02_cnn_dense99_fp16.tflite"), "--seeds", "1")
    assert (code, err) == (1, "")
    assert "broken: wrong-results, as predicted" in out
    assert "LiteRT's kernels without a delegate give wrong numbers, too" in out.replace("\n             ", " ")


# Not marked as judged: other releases and CPUs are extras, which the judged tests may do without.


@pytest.mark.parametrize("version", ["1.0.1", "1.4.0", "2.0.3", "2.1.2", "2.1.6", "2.2.0"])
def test_other_releases_agree_with_their_profiles(version):
    if not availability().available or not releases.cached(version):
        pytest.skip(availability().reason or f"LiteRT {version} is not in the cache")
    (found,) = verify(GUIDE, litert_version=version, seeds=1)
    assert (found.observation.litert, found.observation.outcome) == (version, "sparse")
    assert found.differs == ()


def test_arm64_agrees():
    arm64 = availability().cpus["arm64"]
    if not arm64.available:
        pytest.skip(arm64.reason or "")
    (found,) = verify(GUIDE, cpu="arm64", seeds=1)
    assert (found.observation.cpu, found.exit_code) == ("arm64", 0)


# --- comparing, with made-up observations ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plan() -> Plan:
    return make_plan(load(GUIDE), load_profile("litert-2.3", "x86-sse"))


def observation(plan: Plan, **changes) -> Observation:
    """The run that the plan predicts, with changes."""
    kernels = tuple(kernel.kernel for kernel in plan.operators)
    output = OutputError(27, "y", "float32", (1, 10), (1, 10), False, 3e-7, 2.7e-7, 0, 0)
    as_predicted = Observation(
        path="m.tflite",
        status="ran",
        error=None,
        kernels=kernels,
        kernel_indices=tuple(range(len(kernels))),
        tflite_ops=(),
        outputs=(output,),
        reference="kernels",
        reference_error=None,
        litert="2.3.0",
        cpu="x86-sse",
        execution=Execution.MASKED,
        outcome=plan.outcome.value,
        undecided=None,
        seconds=0.1,
    )
    return replace(as_predicted, **changes)


def found(plan: Plan, **changes) -> Verification:
    return compare("m.tflite", plan, observation(plan, **changes))


def test_the_run_that_is_predicted_agrees(plan):
    assert (found(plan).agrees, found(plan).exit_code, found(plan).error) == (True, 0, None)


@pytest.mark.parametrize("outcome", ["dense", "wrong-results", "fails"])
def test_another_outcome_differs(plan, outcome):
    assert (found(plan, outcome=outcome).differs, found(plan, outcome=outcome).exit_code) == (("outcome",), 1)


def test_a_missing_and_an_additional_operator_do_not_shift_the_others(plan):
    kernels = list(observation(plan).kernels)
    removed = kernels.pop(2)
    kernels.insert(5, "Copy (NC, X32)")
    result = found(plan, kernels=tuple(kernels), kernel_indices=tuple(range(len(kernels))))
    assert result.differs == ("operators",)
    assert [(r.predicted, r.observed, r.op) for r in result.rows if not r.agrees] == [
        (removed, None, 4),
        (None, "Copy (NC, X32)", None),
    ]


def test_the_same_operators_in_other_partitions_differ(plan):
    indices = count()
    split = tuple(next(indices) if i < 4 else i - 4 for i in range(len(plan.operators)))
    result = found(plan, kernel_indices=split)
    assert result.differs == ("partitions",)
    assert [row.observed_partition for row in result.rows] == [0] * 4 + [1] * (len(split) - 4)


def test_an_operator_that_is_unexpectedly_left_to_tflite_differs(plan):
    result = found(plan, tflite_ops=("MEAN",))
    assert result.differs == ("tflite-operators",)
    assert Row(True, None, "MEAN") in result.rows


def test_a_difference_counts_even_without_an_outcome(plan):
    result = found(plan, outcome=None, undecided="no output is finite", tflite_ops=("MEAN",))
    assert (result.agrees, result.exit_code) == (False, 1)


def test_without_outcome_nothing_agrees(plan):
    result = found(plan, outcome=None, undecided="no output is finite")
    assert (result.agrees, result.exit_code) == (None, 2)
    assert result.error == "m.tflite: it could not be judged: no output is finite"


def test_of_a_release_that_does_not_profile_the_outcome_is_compared(plan):
    assert found(plan, kernels=None, kernel_indices=None, tflite_ops=None).rows == ()
    assert found(plan, kernels=None, kernel_indices=None, tflite_ops=None, outcome="fails").differs == ("outcome",)


# --- the text --------------------------------------------------------------------------------------------------------


@pytest.fixture
def setting() -> Setting:
    release = releases.Release("2.3.0", Path("nowhere"))
    target = targets.Target("x86-sse", Execution.MASKED, "python", release)
    return Setting(target, load_profile("litert-2.3", "x86-sse"))


def text(result: Verification, setting: Setting, width: int = 80) -> str:
    return "\n".join(plain(line) for line in verification_lines(result, setting, width))


def test_an_agreement_reads_well(plan, setting):
    assert (
        text(found(plan), setting)
        == """\
m.tflite: agrees: sparse  (LiteRT 2.3.0 on x86-sse)
  run        LiteRT 2.3.0 on x86-sse (natively, AVX masked); predicted for
             litert-2.3
  operators  9 in 1 partition, 2 run SpMM, none left to TFLite; all as predicted
  reference  LiteRT's reference kernels; the largest errors of 3 random inputs
  output     y [1, 10]: correct, relative error 2.7e-07, absolute 3.0e-07

   op part kernel                                 layer
    1    0 Convolution (NCHW, F32) Conv2D HWC2CHW conv2d
    2    0 Convolution (NCHW, F32) DWConv         depthwise_conv2d
 *  4    0 Convolution (NCHW, F32) SPMM           conv2d_1
    6    0 Convolution (NCHW, F32) DWConv         depthwise_conv2d_1
 *  8    0 Convolution (NCHW, F32) SPMM           conv2d_2
    9    0 Mean (ND) Reduce2                      global_average_pooling2d
   10    0 Static Reshape (NC)                    flatten
   11    0 Static Reshape (NC)                    dense
   11    0 Fully Connected (NC, F32) GEMM         dense

* runs SpMM; part: delegate partition, - for an operator that TFLite runs itself"""
    )


def test_a_difference_reads_like_a_diff(plan, setting):
    kernels = list(observation(plan).kernels)
    kernels[4] = "Fully Connected (NC, F32) GEMM"
    wrong = replace(observation(plan).outputs[0], max_abs_error=1.5, max_rel_error=0.25)
    result = found(plan, kernels=tuple(kernels), outcome="wrong-results", outputs=(wrong,), tflite_ops=("TANH",))
    lines = text(result, setting).splitlines()
    assert lines[0] == "m.tflite: differs: predicted sparse, observed wrong-results"
    assert "  predicted  9 in 1 partition, 2 run SpMM, none left to TFLite" in lines
    assert "  observed   9 in 1 partition, 1 runs SpMM, 1 left to TFLite" in lines
    assert "  output     y [1, 10]: wrong, relative error 2.5e-01, absolute 1.5e+00" in lines
    at = lines.index("-*  8    0 Convolution (NCHW, F32) SPMM           conv2d_2")
    assert lines[at + 1] == "+        0 Fully Connected (NC, F32) GEMM"
    assert "+        - (TFLite) TANH" in lines


def test_every_output_is_reported_and_a_wrong_shape_named(plan, setting):
    right = observation(plan).outputs[0]
    shaped = replace(right, name="z", shape=(1, 10, 1, 1), reference_shape=(1, 1, 1, 10), shape_differs=True)
    unwritten = replace(right, name="w", max_abs_error=float("inf"), max_rel_error=float("inf"), nonfinite=4)
    words = " ".join(text(found(plan, outputs=(right, shaped, unwritten), outcome="wrong-results"), setting).split())
    assert "outputs y [1, 10]: correct, relative error 2.7e-07" in words
    assert "z [1, 10, 1, 1]: correct, relative error 2.7e-07, absolute 3.0e-07; the reported shape is wrong" in words
    assert "it is [1, 1, 1, 10], the elements agree" in words
    assert "w [1, 10]: wrong: NaN or infinite elements, or their number, are not those of the reference" in words


def test_a_crash_is_reported_in_the_runtimes_words(plan, setting):
    crash = found(plan, status="crash", error="SIGSEGV: \x1b[31mred", outcome="fails", kernels=None, outputs=())
    words = text(crash, setting)
    assert "m.tflite: differs: predicted sparse, observed fails" in words
    assert r"runtime    SIGSEGV: \x1b[31mred" in words
    assert "LiteRT's reference kernels; there it runs" in words


def test_in_a_pipe_the_verdict_is_one_line(plan, setting):
    result = replace(found(plan), path="a" * 100)
    (first, *_) = verification_lines(result, setting, 80, for_pipe=True)
    assert plain(first) == f"{'a' * 100}: agrees: sparse  (LiteRT 2.3.0 on x86-sse)"


def test_the_last_line_counts(plan):
    tally = VerificationTally()
    tally.add(found(plan).verdict)
    assert tally.text() == "agrees: sparse."
    tally.add(found(plan, outcome="fails").verdict)
    tally.add(Verification("broken", error="broken: no").verdict)
    assert tally.text() == "3 models: 1 agree, 1 differ, 1 not judged; observed: 1 sparse, 1 fails."


# --- where it runs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "runtime", "known"),
    [
        ("2.3.0", "litert-2.3", True),
        ("2.2.0", "litert-2.3", True),
        ("2.1.5", "litert-2.1.5", True),
        ("2.1.4", "litert-2.1", True),
        ("1.2.0", "litert-1.1", True),
        ("1.0.1", "tf-2.18", True),
        ("9.0.0", "litert-2.3", False),
    ],
)
def test_each_release_has_its_profile(version, runtime, known):
    assert runtime_of_litert(version) == (runtime, known)
    assert runtime in runtimes()


@pytest.fixture
def no_emulator(monkeypatch):
    monkeypatch.setattr(targets, "host_machine", lambda: "x86-64")
    monkeypatch.setattr(targets, "has_avx", lambda: True)
    monkeypatch.setattr(targets.sys, "platform", "linux")
    monkeypatch.setattr(targets.shutil, "which", lambda name: None)
    here = releases.Release("2.3.0", Path("nowhere"))
    monkeypatch.setattr(releases, "installed", lambda: here)


@pytest.mark.parametrize("form", ["text", "json"])
def test_without_emulator_it_says_what_to_install(no_emulator, capsys, monkeypatch, form):
    code, out, err = run(capsys, monkeypatch, str(GUIDE), "--format", form)
    assert (code, out) == (2, "")
    assert "apt-get install qemu-user-static" in err and "Traceback" not in err


def test_without_litert_it_says_what_to_install(capsys, monkeypatch):
    monkeypatch.setattr(releases, "installed", lambda: None)
    code, out, err = run(capsys, monkeypatch, str(GUIDE))
    assert (code, out) == (2, "")
    assert "pip install 'xnnlint[verify]'" in err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--cpu", "z80"], "x86-sse, x86-avx, arm64"),
        (["--runtime", "litert-99"], "unknown runtime 'litert-99'"),
        (["--runtime", "portable"], "stands for every runtime"),
        (["--seeds", "0"], "--seeds"),
        ([], "PATH"),
    ],
)
def test_a_wrong_call_is_2_with_a_reason(capsys, monkeypatch, arguments, reason):
    code, out, err = run(capsys, monkeypatch, *([str(GUIDE)] if arguments else []), *arguments)
    assert (code, out) == (2, "")
    assert reason in err


def test_installing_another_release_is_announced(no_emulator, monkeypatch):
    fetched = []

    def fetch(version, wheel):
        fetched.append(version)
        return releases.Release(version, Path("nowhere"))

    monkeypatch.setattr(releases, "_fetch", fetch)
    monkeypatch.setattr(releases, "cached", lambda version, machine=None: None)
    told: list[str] = []
    setting = choose(cpu="x86-avx", litert_version="2.1.2", announce=told.append)
    assert told == [f"installing LiteRT 2.1.2 into {cache_folder() / 'litert'}"]
    assert fetched == ["2.1.2"]
    assert (setting.profile.runtime, setting.profile.cpu, setting.note) == ("litert-2.1", "x86-avx", "")


def test_a_release_without_a_profile_of_its_own_is_noted(no_emulator, monkeypatch):
    newer = releases.Release("9.0.0", Path("nowhere"))
    monkeypatch.setattr(releases, "installed", lambda: newer)
    setting = choose(cpu="x86-avx")
    assert setting.profile.runtime == "litert-2.3"
    assert setting.note == "LiteRT 9.0.0 has no profile of its own; litert-2.3 is the nearest one"


def test_a_keras_model_cannot_be_run(no_emulator, monkeypatch, tmp_path):
    seen: list[str] = []
    monkeypatch.setattr(observe, "observe", lambda paths, **where: iter(seen.extend(paths) or []))
    keras, folder = ROOT / "fixtures" / "guide_sparse.keras", tmp_path / "models"
    folder.mkdir()
    for source in (keras, GUIDE):
        (folder / source.name).write_bytes(source.read_bytes())
    first, *others = verify_each([keras, folder], choose(cpu="x86-avx"))
    assert first.exit_code == 2 and "LiteRT runs .tflite files only" in first.error
    assert seen == [str(folder / GUIDE.name)]
    assert [v.path for v in others] == seen


def test_a_bug_of_the_planner_is_one_models_error(no_emulator, monkeypatch):
    monkeypatch.delenv("XNNLINT_DEBUG", raising=False)
    monkeypatch.setattr("xnnlint.xnnpack.planner.make_plan", lambda model, profile: 1 / 0)
    monkeypatch.setattr(observe, "observe", lambda paths, **where: iter([*paths][:0]))
    (result,) = verify_each([GUIDE], choose(cpu="x86-avx"))
    assert result.exit_code == 2
    assert "xnnlint itself failed (ZeroDivisionError" in result.error
