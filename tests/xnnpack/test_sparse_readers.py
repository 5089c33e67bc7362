"""Sparse-encoded weights without DENSIFY: who reads them right, who wrong, and who not at all. LiteRT judges."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.models import FIXTURES
from tests.rounds import every
from xnnlint.loaders import load
from xnnlint.modelbuilder.builder import ModelBuilder
from xnnlint.modelbuilder.building_blocks import trunk
from xnnlint.modelbuilder.flatwriter import table
from xnnlint.runtime import releases
from xnnlint.runtime.availability import availability
from xnnlint.runtime.broken import Broken
from xnnlint.runtime.observe import observe
from xnnlint.runtime.references import dense_copy
from xnnlint.runtime.verify import choose, compare, verify_each
from xnnlint.xnnpack.fault import FaultKind, Wrong
from xnnlint.xnnpack.plan import Outcome, Plan
from xnnlint.xnnpack.planner import make_plan
from xnnlint.xnnpack.profile import load_profile, runtime_of_litert

CASES = FIXTURES / "cases"
DRQ, FP16 = CASES / "d06_fc_block16_drq.tflite", CASES / "g02_cnn_dense99_fp16.tflite"


def dense_layer(storage: str, block: int, inputs: int = 64, units: int = 12, zeros: float = 0.75) -> bytes:
    """A FULLY_CONNECTED of such weights, and a dense one behind it, so that garbage shows."""
    g = ModelBuilder(3)
    x = g.fully_connected(g.input((1, inputs)), units, zeros=zeros, storage=storage, block=block, fused="RELU")
    g.output(g.fully_connected(x, 5))
    return g.build()


SMALL = [
    # storage, block, what comes of it in every release and on every CPU, and what is wrong
    ("sparse_direct", 1, "dense", None),
    ("sparse_direct", 4, "dense", None),
    ("sparse_direct", 8, "fails", Wrong.ENCODING_REFUSED),
    ("sparse_direct_fp16", 1, "wrong-results", Wrong.STORED_READ_AS_DENSE),
    ("sparse_direct_fp16", 4, "wrong-results", Wrong.STORED_READ_AS_DENSE),
    ("sparse_direct_int8", 16, "dense", None),
    ("sparse_direct_int8", 4, "wrong-results", Wrong.BLOCKS_MISREAD),
    ("sparse_direct_int8", 1, "wrong-results", Wrong.BLOCKS_MISREAD),
    ("sparse_direct_qc8", 16, "wrong-results", Wrong.STORED_READ_AS_DENSE),
    ("sparse_direct_qc8", 1, "wrong-results", Wrong.STORED_READ_AS_DENSE),
    ("sparse_direct_int8_dequantize", 16, "wrong-results", Wrong.STORED_READ_AS_DENSE),
]
MODELS = {f"{storage}_{block}": (dense_layer(storage, block), *told) for storage, block, *told in SMALL}
MODELS |= {
    # Nothing is left out, so that what is stored is the dense tensor; but a kernel for blocks asks which they are.
    "full_fp16": (dense_layer("sparse_direct_fp16", 4, zeros=0.0), "dense", None),
    "full_qc8": (dense_layer("sparse_direct_qc8", 16, zeros=0.0), "dense", None),
    "full_int8_blocks_of_4": (dense_layer("sparse_direct_int8", 4, zeros=0.0), "wrong-results", Wrong.BLOCKS_MISREAD),
    "300_blocks_a_row": (dense_layer("sparse_direct_int8", 16, 4800), "wrong-results", Wrong.BLOCKS_MISREAD),
}
# On x86 something is mapped behind the file as a rule, on (emulated) arm64 nothing is.
PAST_FILE = {
    "fp16": dense_layer("sparse_direct_fp16", 4, 512, 256, 0.97),
    "qc8": dense_layer("sparse_direct_qc8", 16, 512, 256, 0.97),
    "int8 single values": dense_layer("sparse_direct_int8", 1, 512, 256, 0.97),
}


def planned(data: bytes, folder: Path, cpu: str = "x86-sse", runtime: str = "litert-2.3") -> Plan:
    path = folder / "model.tflite"
    path.write_bytes(data)
    return make_plan(load(path), load_profile(runtime, cpu))


@pytest.mark.parametrize("name", MODELS)
def test_each_reader_is_judged(name, tmp_path):
    data, outcome, wrong = MODELS[name]
    for cpu in ("x86-sse", "x86-avx", "arm64"):
        plan = planned(data, tmp_path, cpu)
        assert plan.outcome.value == outcome
        assert [hazard.fault.wrong for hazard in plan.hazards] == ([wrong] if wrong else [])
        assert all(hazard.kind is FaultKind.SPARSE_ENCODING for hazard in plan.hazards)


@pytest.mark.judge
@pytest.mark.parametrize("cpu", ["x86-sse", "x86-avx"])
def test_litert_does_as_is_said(cpu, tmp_path):
    """Outcome, and who runs the layer: all of it is independent of the sparse path."""
    if not availability().cpus[cpu].available:
        pytest.skip(availability().cpus[cpu].reason or "")
    assert agreement(tmp_path, cpu=cpu) == {name: outcome for name, (_, outcome, _) in MODELS.items()}


# Not marked as judged: other releases are extras, which the judged tests may do without.


@pytest.mark.parametrize("version", every(2, ["1.0.1", "1.2.0", "1.4.0", "2.0.3", "2.1.2"]))
def test_other_releases_do_the_same(version, tmp_path):
    if not availability().available or not releases.cached(version):
        pytest.skip(availability().reason or f"LiteRT {version} is not in the cache")
    assert agreement(tmp_path, litert_version=version) == {name: outcome for name, (_, outcome, _) in MODELS.items()}


def agreement(folder: Path, **options) -> dict[str, str | None]:
    """What each model did; it must be as predicted, operator by operator."""
    for name, (data, *_) in MODELS.items():
        (folder / f"{name}.tflite").write_bytes(data)
    found = list(verify_each([folder / f"{name}.tflite" for name in MODELS], choose(**options)))
    assert [(v.path, v.differs) for v in found if v.agrees is not True] == []
    return {Path(v.path).stem: v.observation.outcome for v in found}


@pytest.mark.parametrize("name", PAST_FILE)
def test_a_read_past_the_file_is_told_as_such(name, tmp_path):
    plan = planned(PAST_FILE[name], tmp_path)
    assert [hazard.fault.wrong for hazard in plan.hazards] == [Wrong.READ_PAST_FILE]
    assert plan.outcome is Outcome.WRONG_RESULTS and plan.allows(Outcome.FAILS) and not plan.allows(Outcome.DENSE)
    assert planned(PAST_FILE[name], tmp_path, "arm64").outcome is Outcome.FAILS


@pytest.mark.parametrize("name", PAST_FILE)
def test_the_process_dies_where_a_read_leaves_the_file(name, tmp_path):
    if not availability().cpus["arm64"].available:
        pytest.skip(availability().cpus["arm64"].reason or "")
    plan = planned(PAST_FILE[name], tmp_path, "arm64")
    (seen,) = observe([tmp_path / "model.tflite"], cpu="arm64")
    # Whether a page lies behind the file's last one, nobody knows.
    assert plan.outcome is Outcome.FAILS and seen.outcome is not None and plan.allows(Outcome(seen.outcome))


@pytest.mark.judge
def test_a_read_past_the_file_agrees_with_garbage_and_with_a_crash(tmp_path):
    for data in PAST_FILE.values():
        plan = planned(data, tmp_path)
        (seen,) = observe([tmp_path / "model.tflite"], seeds=(0,))
        assert seen.outcome in ("wrong-results", "fails")
        assert compare("model.tflite", plan, seen).agrees


def misread_in_a_cluster(behind: float) -> bytes:
    """A 1x1 convolution that reads 64 values stored sparse, and one number most often, as its 2,048 weights."""
    g = ModelBuilder(3)
    around = np.full((16, 128), behind, np.float32)
    first = g.constant(around)
    x = g.conv2d(trunk(g), 128, zeros=1984, storage="sparse_direct")
    g.output(g.binary("ADD", g.binary("ADD", g.mean(x), first), g.constant(around)))
    return g.build()


@pytest.mark.judge
@pytest.mark.parametrize("behind", [0.0, 0.25])
def test_what_lies_behind_misread_weights_decides_about_the_cluster(behind, tmp_path):
    plan = planned(misread_in_a_cluster(behind), tmp_path)
    (seen,) = observe([tmp_path / "model.tflite"])
    assert plan.outcome is Outcome.WRONG_RESULTS and compare("model.tflite", plan, seen).agrees
    assert any("SPMM" in kernel for kernel in seen.kernels) == (behind == 0.0)


# -- files of the converter ----------------------------------------------------------------------------------


@pytest.mark.judge
def test_dynamic_range_weights_in_blocks_are_wrong_in_xnnpack_alone():
    (found,) = verify_each([DRQ], choose())
    assert found.plan.outcome is Outcome.WRONG_RESULTS and len(found.plan.hazards) == 3
    assert found.agrees and found.exit_code == 1 and found.broken is None


@pytest.mark.judge
def test_float16_weights_in_blocks_are_broken():
    (found,) = verify_each([FP16], choose())
    assert found.plan.outcome is Outcome.WRONG_RESULTS
    assert len(found.plan.spmm_ops) == found.observation.spmm == 4, "the convolutions are sparse all the same"
    assert (found.agrees, found.exit_code, found.broken) == (True, 1, Broken.OWN_KERNELS_ERR)


@pytest.mark.parametrize("version", ["1.0.1", "1.4.0", "2.0.3", "2.1.2"])
def test_files_of_the_converter_on_other_releases(version):
    if not availability().available or not releases.cached(version):
        pytest.skip(availability().reason or f"LiteRT {version} is not in the cache")
    for found in verify_each([DRQ, FP16], choose(litert_version=version)):
        assert found.plan.profile.runtime == runtime_of_litert(version)[0]
        assert found.plan.outcome is Outcome.WRONG_RESULTS and found.agrees


@pytest.mark.parametrize("path", [DRQ, FP16], ids=lambda path: path.stem)
def test_files_of_the_converter_on_arm64(path):
    if not availability().cpus["arm64"].available:
        pytest.skip(availability().cpus["arm64"].reason or "")
    (found,) = verify_each([path], choose(cpu="arm64", seeds=1))
    assert found.plan.outcome is Outcome.FAILS and found.observation.outcome == "fails" and found.agrees


# -- what is not the converter's -----------------------------------------------------------------------------


def test_a_layer_that_no_output_depends_on_does_no_harm(tmp_path):
    g = ModelBuilder(3)
    x = g.input((1, 64))
    g.fully_connected(x, 12, zeros=0.75, storage="sparse_direct_qc8", block=16)
    g.output(g.fully_connected(x, 5))
    plan = planned(g.build(), tmp_path)
    assert plan.outcome is Outcome.DENSE and not plan.hazards


def test_a_bias_is_read_as_it_is_stored(tmp_path):
    """Any operator, any input."""
    g = ModelBuilder(3)
    bias = g.weight((12,), 12, 0.75, "sparse_direct")
    g.output(g.fully_connected(g.input((1, 64)), 12, bias=bias))
    plan = planned(g.build(), tmp_path)
    assert [hazard.fault.wrong for hazard in plan.hazards] == [Wrong.STORED_READ_AS_DENSE]


def test_a_weight_that_densify_reads_too_is_judged_at_the_other_reader(tmp_path):
    g = ModelBuilder(3)
    weights = g.weight((12, 64), 64, 0.75, "sparse_direct")
    options = table("FullyConnectedOptions")
    x = g.input((1, 64))
    (direct,) = g.op("FULLY_CONNECTED", [x, weights], [(1, 12)], options, version=1)
    (decoded,) = g.op("FULLY_CONNECTED", [x, g.densify(weights)], [(1, 12)], options, version=1)
    g.output(direct, decoded)
    plan = planned(g.build(), tmp_path)
    assert [(hazard.op, hazard.fault.wrong) for hazard in plan.hazards] == [(0, Wrong.STORED_READ_AS_DENSE)]


# -- the dense copy, which the outputs are compared with ------------------------------------------------------


@pytest.mark.parametrize("name", ["sparse_direct_4", "sparse_direct_fp16_4", "sparse_direct_qc8_16"])
def test_a_dense_copy_has_the_same_weights(name, tmp_path):
    import numpy as np

    from xnnlint.loaders.tflite.read_tflite import load_bytes
    from xnnlint.model.weights import dense_values

    path = tmp_path / "model.tflite"
    path.write_bytes(MODELS[name][0])
    copy = dense_copy(path)
    before, after = load(path).main, load_bytes(copy, "copy").main
    assert any(t.sparsity for t in before.tensors) and not any(t.sparsity for t in after.tensors)
    for old, new in zip(before.tensors, after.tensors, strict=True):
        assert (old.name, old.shape, old.dtype, old.quantization) == (new.name, new.shape, new.dtype, new.quantization)
        if old.is_constant:
            np.testing.assert_array_equal(dense_values(old, 1 << 20), dense_values(new, 1 << 20))


def test_what_densify_reads_needs_no_copy(tmp_path):
    assert dense_copy(FIXTURES / "guide_sparse.tflite") is None
    assert dense_copy(tmp_path / "none.tflite") is None
    (tmp_path / "damaged.tflite").write_bytes(b"not a model" * 9)
    assert dense_copy(tmp_path / "damaged.tflite") is None
