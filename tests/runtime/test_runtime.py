"""The judge itself: does it see what the runtime does, and survive what the runtime does?"""

from __future__ import annotations

import json
import math
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from xnnlint.errors import XnnlintError
from xnnlint.modelbuilder.builder import ModelBuilder, Value
from xnnlint.runtime import releases, targets
from xnnlint.runtime.availability import availability
from xnnlint.runtime.execution import Execution
from xnnlint.runtime.inputs import random_tensor
from xnnlint.runtime.observation import Observation, OutputError, compare, decide
from xnnlint.runtime.observe import fast_folder, observe
from xnnlint.runtime.process import Child, ChildEnded, ChildTimeout, describe_exit, informative

AVAILABLE = availability()
needs_emulator = pytest.mark.skipif(
    not (AVAILABLE.cpus["x86-avx"].available and shutil.which("qemu-x86_64-static") and sys.platform == "linux"),
    reason="x86-64 is emulated on x86-64 Linux with AVX and qemu-user-static",
)


def sparse_trunk(storage: str = "sparse") -> tuple[ModelBuilder, Value]:
    """The smallest graph that XNNPACK runs sparsely once a MEAN follows: padded stem, then a pruned 1x1 convolution."""
    g = ModelBuilder()
    x = g.pad(g.input((1, 24, 40, 3)))
    x = g.conv2d(x, 8, kernel=3, stride=2, fused="RELU")
    return g, g.conv2d(x, 16, zeros=0.8, storage=storage)


def write(path: Path, g: ModelBuilder, *outputs: Value) -> Path:
    g.output(*outputs)
    path.write_bytes(g.build())
    return path


def good(folder: Path, name: str = "good.tflite") -> Path:
    g, x = sparse_trunk()
    return write(folder / name, g, g.mean(x))


def crashing(folder: Path) -> Path:
    """A mean over batch and width of a value in NCHW layout; seen to end in a segmentation fault."""
    g, x = sparse_trunk()
    return write(folder / "crashing.tflite", g, g.mean(x, (0, 2)))


def one(path: Path, **options: object) -> Observation:
    (observation,) = observe([path], **options)  # type: ignore[arg-type]
    return observation


# -- the real runtime ------------------------------------------------------------------------------------------------


@pytest.mark.judge
@pytest.mark.parametrize(
    ("model", "spmm"), [("pose_detection.tflite", 38), ("face_detection_full_range_sparse.tflite", 48)]
)
def test_production_models_run_sparse(mediapipe_models: Path, model: str, spmm: int) -> None:
    seen = one(next(mediapipe_models.rglob(model)))
    assert (seen.outcome, seen.spmm, seen.reference) == ("sparse", spmm, "kernels")
    assert seen.max_rel_error is not None and seen.max_rel_error < 1e-5
    assert len(seen.outputs) == 2


@pytest.mark.judge
def test_kernels_come_in_order_of_execution(tmp_path: Path) -> None:
    seen = one(good(tmp_path))
    assert seen.kernels == (
        "Convolution (NCHW, F32) Conv2D HWC2CHW",
        "Convolution (NCHW, F32) SPMM",
        "Mean (ND) Reduce2",
    )
    assert (seen.status, seen.outcome, seen.partitions, seen.tflite_ops) == ("ran", "sparse", 1, ())


@pytest.mark.judge
def test_weights_stored_dense_run_dense(tmp_path: Path) -> None:
    g, x = sparse_trunk(storage="dense")
    seen = one(write(tmp_path / "dense.tflite", g, g.mean(x)))
    assert (seen.outcome, seen.spmm) == ("dense", 0)
    assert not any("NCHW" in kernel for kernel in seen.kernels or ())


@pytest.mark.judge
def test_a_dense_convolution_inside_the_cluster_gives_wrong_results(tmp_path: Path) -> None:
    g, x = sparse_trunk()
    x = g.conv2d(x, 16, kernel=3, padding="SAME")
    x = g.conv2d(x, 11, zeros=0.8, storage="sparse")
    seen = one(write(tmp_path / "wrong.tflite", g, g.mean(x)))
    assert seen.outcome == "wrong-results"
    assert seen.max_rel_error is not None and seen.max_rel_error > 0.01


@pytest.mark.judge
def test_a_shape_reported_wrongly_is_recorded_though_the_elements_agree(tmp_path: Path) -> None:
    g, x = sparse_trunk()
    seen = one(write(tmp_path / "keep.tflite", g, g.mean(x, keep_dims=True)))
    (output,) = seen.outputs
    assert (output.shape, output.reference_shape, output.shape_differs) == ((1, 16, 1, 1), (1, 1, 1, 16), True)
    assert seen.outcome == "sparse"


@pytest.mark.judge
def test_a_crash_is_an_observation_and_the_next_model_is_not_hurt(tmp_path: Path) -> None:
    before, crash, after = observe([good(tmp_path), crashing(tmp_path), good(tmp_path, "after.tflite")])
    assert before.outcome == after.outcome == "sparse"
    assert (crash.status, crash.outcome) in (("crash", "fails"), ("error", "fails"))
    assert crash.kernels is None and crash.error
    assert before.kernels == after.kernels


@pytest.mark.judge
def test_operators_that_tflite_runs_are_told_apart_from_the_delegate(tmp_path: Path) -> None:
    g, x = sparse_trunk()
    seen = one(write(tmp_path / "squeeze.tflite", g, g.squeeze(g.mean(x, keep_dims=False), (0,))))
    assert seen.tflite_ops == ("SQUEEZE",)
    assert seen.spmm == 1


@pytest.mark.judge
def test_no_reference_no_outcome(tmp_path: Path) -> None:
    seen = one(good(tmp_path), reference=False)
    assert (seen.outcome, seen.spmm) == (None, 1)
    assert seen.undecided == "no dense reference was asked for"


@pytest.mark.judge
def test_where_the_reference_kernels_lack_an_operator_the_optimized_ones_judge_without_a_delegate(
    tmp_path: Path,
) -> None:
    """ELU is not among the reference kernels. TANH keeps the second convolution from XNNPACK, whose delegate has
    unpacked its weights for itself only: wrong on every CPU, dense XNNPACK included."""
    g, x = sparse_trunk(storage="sparse_int8")
    x = g.conv2d(g.unary("ELU", x), 9, zeros=0.8, storage="sparse_int8", fused="TANH")
    seen = one(write(tmp_path / "elu.tflite", g, g.mean(x)))
    assert (seen.reference, seen.outcome) == ("optimized-kernels", "wrong-results")
    assert "ELU" in (seen.reference_error or "")
    assert seen.tflite_ops is not None and "CONV_2D" in seen.tflite_ops


@pytest.mark.judge
def test_a_model_that_nobody_can_run_fails(tmp_path: Path) -> None:
    g, x = sparse_trunk()
    (y,) = g.custom_op("Nowhere", [x], [x.shape])
    seen = one(write(tmp_path / "custom.tflite", g, g.mean(y)))
    assert (seen.status, seen.outcome, seen.undecided) == ("error", "fails", None)
    assert "Nowhere" in (seen.error or "") and "Nowhere" in (seen.reference_error or "")


@pytest.mark.judge
@pytest.mark.parametrize("content", [b"", b"not a model" * 50], ids=["empty", "garbage"])
def test_a_file_that_is_no_model_is_unreadable(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.tflite"
    path.write_bytes(content)
    seen = one(path)
    assert (seen.status, seen.outcome) == ("unreadable", None)
    assert seen.error


@pytest.mark.judge
def test_dynamic_batch_runs_as_one(tmp_path: Path) -> None:
    g, x = sparse_trunk()
    g.output(g.mean(x))
    path = tmp_path / "dynamic.tflite"
    path.write_bytes(g.build(dynamic_batch=True))
    assert one(path).outputs[0].shape == (1, 16)


@pytest.mark.judge
def test_a_small_batch_changes_nothing(tmp_path: Path) -> None:
    paths = [good(tmp_path, f"{number}.tflite") for number in range(3)]
    assert [seen.spmm for seen in observe(paths, batch=1)] == [1, 1, 1]


@pytest.mark.judge
def test_an_observation_is_json(tmp_path: Path) -> None:
    text = json.dumps(one(good(tmp_path)).to_json(), allow_nan=False)
    assert json.loads(text)["kernels"][1] == "Convolution (NCHW, F32) SPMM"


@pytest.mark.judge
@needs_emulator
def test_avx_masked_is_what_an_emulated_cpu_without_avx_does(tmp_path: Path) -> None:
    """On a model that is right, one that is wrong and one that crashes."""
    g, x = sparse_trunk()
    x = g.conv2d(g.conv2d(x, 16, kernel=3, padding="SAME"), 11, zeros=0.8, storage="sparse")
    paths = [good(tmp_path), write(tmp_path / "wrong.tflite", g, g.mean(x)), crashing(tmp_path)]
    masked, emulated = (list(observe(paths, seeds=(0,), emulate=emulate)) for emulate in (False, True))
    assert [seen.execution for seen in (masked[0], emulated[0])] == [Execution.MASKED, Execution.EMULATED]
    assert [seen.outcome for seen in masked] == ["sparse", "wrong-results", "fails"]
    for one_way, other in zip(masked, emulated, strict=True):
        assert (one_way.outcome, one_way.kernels, one_way.kernel_indices) == (
            other.outcome,
            other.kernels,
            other.kernel_indices,
        )


# Not marked as judged: other releases and CPUs are extras, which the judged tests may do without.


def test_older_releases_are_profiled_too(tmp_path: Path) -> None:
    """The oldest, the newest before the C API, the first two forms of the C API, and the last release but one."""
    versions = [v for v in ("1.0.1", "2.0.3", "2.1.2", "2.1.3", "2.2.0") if releases.cached(v)]
    if not AVAILABLE.available or not versions:
        pytest.skip(AVAILABLE.reason or "no other LiteRT release is in the cache")
    for version in versions:
        seen = one(good(tmp_path), litert_version=version)
        assert (seen.litert, seen.outcome, seen.spmm) == (version, "sparse", 1)
        assert seen.kernels is not None and seen.kernels[0] == "Convolution (NCHW, F32) Conv2D HWC2CHW"


def test_arm64_runs_the_same_kernels(tmp_path: Path) -> None:
    arm64 = AVAILABLE.cpus["arm64"]
    if not arm64.available:
        pytest.skip(arm64.reason or "")
    seen = one(good(tmp_path), cpu="arm64")
    assert (seen.cpu, seen.outcome, seen.spmm) == ("arm64", "sparse", 1)


# -- without the runtime ---------------------------------------------------------------------------------------------


def test_relative_error_is_of_the_largest_reference_element() -> None:
    assert compare(np.array([1.0, 4.0]), np.array([1.5, 4.0])) == (0.5, 0.125)


def test_a_nan_on_one_side_only_is_an_infinite_error() -> None:
    assert compare(np.array([math.nan, 1.0]), np.array([1.0, 1.0])) == (math.inf, math.inf)
    assert compare(np.array([math.nan, 1.0]), np.array([math.nan, 1.0])) == (0.0, 0.0)
    assert compare(np.array([math.nan]), np.array([math.inf])) is None


def test_different_numbers_of_elements_are_an_infinite_error() -> None:
    assert compare(np.zeros(3), np.zeros(4)) == (math.inf, math.inf)


def test_elements_are_compared_in_memory_order() -> None:
    values = np.arange(6.0)
    assert compare(values.reshape(1, 6, 1, 1), values.reshape(1, 1, 1, 6)) == (0.0, 0.0)
    assert compare(values.reshape(2, 3), values.reshape(3, 2).T) == (2.0, 0.4)


def output_error(relative: float | None, rounding: float | None) -> OutputError:
    return OutputError(0, "y", "float32", (1,), (1,), False, relative, relative, 0, 0, rounding)


@pytest.mark.parametrize(
    ("relative", "rounding", "wrong"),
    [
        (9e-4, None, False),
        (2e-3, None, True),
        (2e-3, 1e-7, True),  # the dense run is exact, so this is no rounding
        (8e-3, 4e-3, False),  # one int8 step, in the dense run as well
        (8e-3, 4e-4, True),
        (0.3, 0.3, True),  # far too much to be rounding, even if dense XNNPACK shares it
    ],
)
def test_rounding_is_not_a_wrong_result(relative: float, rounding: float | None, wrong: bool) -> None:
    assert output_error(relative, rounding).wrong is wrong


def test_a_model_fails_unless_it_is_for_the_inputs() -> None:
    assert decide("crash", "SIGSEGV", None, [], "kernels", None) == ("fails", None)
    assert decide("error", "no such operator", None, [], None, "no such operator") == ("fails", None)
    outcome, why = decide("error", "FLOOR_MOD failed to invoke", None, [], None, "Division by 0")
    assert outcome is None and why == "no dense reference: Division by 0"
    assert decide("unreadable", "", None, [], None, "no model", is_model=False)[0] is None


def test_where_nothing_is_finite_nothing_is_decided() -> None:
    outcome, why = decide("ran", None, ["Mean (ND) Reduce2"], [output_error(None, None)], "kernels", None)
    assert outcome is None and why is not None and "no finite element" in why


def test_inputs_depend_on_the_seed_alone() -> None:
    first, again, other = (random_tensor((2, 3), np.dtype("float32"), seed) for seed in ((7, 0), (7, 0), (8, 0)))
    assert (first == again).all() and (first != other).any()
    assert random_tensor((-1, 4), np.dtype("int8"), (0, 0)).shape == (1, 4)


def test_a_child_that_dies_is_reported_by_its_signal(tmp_path: Path) -> None:
    child = Child([sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGABRT)"], tmp_path / "log")
    with pytest.raises(ChildEnded, match="SIGABRT"):
        child.receive(timeout=20)


def test_a_child_that_hangs_is_killed(tmp_path: Path) -> None:
    child = Child([sys.executable, "-c", "import time; time.sleep(60)"], tmp_path / "log")
    with pytest.raises(ChildTimeout, match="no answer within"):
        child.receive(timeout=0.2)


@pytest.mark.judge
@needs_emulator
@pytest.mark.parametrize(
    ("answers", "status", "outcome"),
    [
        ("hang, load, run", "ran", "sparse"),
        ("load, hang, load, run", "ran", "sparse"),
        ("hang, hang", "hang", "fails"),
        ("load, hang, load, hang", "hang", "fails"),
    ],
)
def test_a_model_that_the_emulator_hung_on_gets_a_second_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: str, status: str, outcome: str
) -> None:
    receive, left = Child.receive, answers.split(", ")

    def hang_at_times(child: Child, timeout: float) -> object:
        if child.emulated_by_test and left.pop(0) == "hang":
            child.kill()
            raise ChildTimeout("no answer within 0 seconds")
        return receive(child, timeout)

    start = Child.__init__

    def remember(child: Child, command: list[str], *args: object) -> None:
        child.emulated_by_test = "qemu" in command[0]
        start(child, command, *args)

    monkeypatch.setattr(Child, "__init__", remember)
    monkeypatch.setattr(Child, "receive", hang_at_times)
    (observation,) = observe([good(tmp_path)], seeds=(0,), emulate=True)
    assert (observation.status, observation.outcome, left) == (status, outcome, [])


@pytest.mark.judge
def test_how_long_a_run_may_take_depends_on_the_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut off long after the reference it is a hang; where the time itself was short, nothing was shown."""
    monkeypatch.setattr("xnnlint.runtime.observe.PATIENCE", 0.0)
    monkeypatch.setattr("xnnlint.runtime.observe.HANGS_AFTER", 0.0)
    (observation,) = observe([good(tmp_path)], seeds=(0,))
    assert (observation.status, observation.outcome) == ("hang", "fails")
    monkeypatch.setattr("xnnlint.runtime.observe.HANGS_AFTER", 1e9)
    (observation,) = observe([good(tmp_path)], seeds=(0,), timeout=1e-6)
    assert (observation.status, observation.outcome) == ("timeout", None)


def test_exit_codes_above_128_are_signals() -> None:
    assert (describe_exit(-11), describe_exit(139), describe_exit(3)) == ("SIGSEGV", "SIGSEGV", "exit code 3")


def test_the_log_is_shown_without_chatter() -> None:
    lines = ["INFO: hello", "ERROR: bad", "WARNING: Sparsity tensors may not yet be fully supported.", "ERROR: bad"]
    assert informative(lines) == ["ERROR: bad"]


def test_asking_for_an_unknown_cpu_or_version_is_refused() -> None:
    with pytest.raises(XnnlintError, match="x86-sse, x86-avx, arm64"):
        targets.resolve("z80")
    with pytest.raises(XnnlintError, match="not a LiteRT version"):
        releases.find("2.3.0; evil")


def test_without_emulator_the_refusal_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "host_machine", lambda: "x86-64")
    monkeypatch.setattr(targets, "has_avx", lambda: True)
    monkeypatch.setattr(targets.sys, "platform", "linux")
    monkeypatch.setattr(targets.shutil, "which", lambda name: None)
    monkeypatch.setattr(releases, "find", lambda version=None, **options: releases.Release("2.3.0", Path("nowhere")))
    reason = availability().reason
    assert reason is not None and "apt-get install qemu-user-static" in reason
    monkeypatch.setattr(targets.sys, "platform", "darwin")
    reason = availability().reason
    assert reason is not None and "needs Linux" in reason


@pytest.mark.parametrize(("free", "folder"), [(2**26, None), (2**34, "/dev/shm")])
def test_files_go_to_memory_only_where_there_is_room(monkeypatch, free, folder):
    """Containers have 64 MB there by default, which two copies of a model fill."""
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=free))
    assert fast_folder() == folder


def test_where_there_is_no_such_folder_files_go_to_the_usual_place(monkeypatch):
    monkeypatch.setattr("xnnlint.runtime.observe._MEMORY", "/no/such/folder")
    assert fast_folder() is None
