"""Fixes of .tflite files: what they change, that the real runtime proves it, and that nothing unproven is written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import jsonschema
import numpy as np
import pytest

from tests.models import FIXTURES, ROOT
from xnnlint.cli import app as cli
from xnnlint.errors import XnnlintError
from xnnlint.linter.findings import Applicability
from xnnlint.loaders import load
from xnnlint.modelbuilder.builder import ModelBuilder
from xnnlint.modelbuilder.flatwriter import table
from xnnlint.modelbuilder.patterns import named_patterns
from xnnlint.reporters.json_document import published_schema
from xnnlint.runtime import targets
from xnnlint.runtime.observe import observe
from xnnlint.xnnpack.profile import load_profile

pytest.importorskip("ai_edge_litert", reason="the editor needs the verify extra")

from xnnlint.fixes.change import Exactness
from xnnlint.fixes.not_made import Why
from xnnlint.fixes.request import FixRequest
from xnnlint.fixes.tflite import file_search, known_fixes
from xnnlint.fixes.tflite import fix_table as catalog
from xnnlint.fixes.tflite import object_api as schema
from xnnlint.fixes.tflite import sparse_encoding as encoding
from xnnlint.fixes.tflite.editor import Edit
from xnnlint.fixes.tflite.file_fixer import FileFixer
from xnnlint.fixes.tflite.file_proof import Prover
from xnnlint.fixes.tflite.file_search import FileResult as Result
from xnnlint.fixes.tflite.file_search import search
from xnnlint.fixes.tflite.graph_parts import is_constant
from xnnlint.fixes.tflite.operator_fixer import OperatorFixer, Stage, operator_fixers

DENSE_ZEROS = FIXTURES / "guide_dense_zeros.tflite"
PROFILE = load_profile("litert-2.3", "x86-sse")
PATTERNS = {pattern.name: pattern for pattern in named_patterns()}


def fixed(data: bytes, **options) -> Result:
    return search(data, "model.tflite", FixRequest(PROFILE, **options))


def guide(name: str = "dense_zeros") -> bytes:
    return (FIXTURES / f"guide_{name}.tflite").read_bytes()


@pytest.fixture(scope="module")
def prover():
    with Prover() as made:
        yield made


def run(capsys, monkeypatch, *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one call of the program."""
    monkeypatch.setattr(sys, "argv", ["xnnlint", "fix", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code, *capsys.readouterr()


@pytest.mark.judge
def test_what_is_sparse_and_right_stays_as_it_is(tmp_path):
    for name in ("guide_sparse", "guide_fp16_sparse", "guide_unpruned", "guide_half", "guide_int8"):
        data = (FIXTURES / f"{name}.tflite").read_bytes()
        result = fixed(data)
        assert result.changes == ()
        assert result.after.data is result.before.data


def test_only_what_helps_is_changed():
    """A pooling without keep_dims is right here as it is, whatever else is fixed."""
    result = fixed(guide())
    assert {change.fix for change in result.changes} == {"encode-zeros"}
    assert [change.place for change in result.changes] == ["conv2d_1", "conv2d_2"]


def test_select_and_ignore_choose():
    assert fixed(guide(), ignore=("encode-zeros",)).changes == ()
    assert fixed(guide(), select=("constant-first",)).changes == ()
    assert len(fixed(guide(), select=("encode-zeros",)).changes) == 2
    with pytest.raises(XnnlintError, match=r"there is no fix 'nonsense'; there are .*encode-zeros"):
        fixed(guide(), select=("nonsense",))


def test_names_are_unique_and_unsafe_fixes_say_what_they_change():
    fixes = operator_fixers()
    assert len({fix.name for fix in fixes}) == len(fixes)
    for fix in fixes:
        assert fix.summary
        unsafe = fix.applicability is Applicability.UNSAFE
        assert unsafe == bool(fix.effect), fix.name
        assert unsafe or fix.exactness is not Exactness.DIFFERENT, fix.name


# --- as the converter encodes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sparse", "fp16_sparse", "wide_sparse", "drq_sparse", "keepdims_false"])
def test_zeros_are_encoded_bit_by_bit_as_the_converter_does(name):
    edit = Edit.open(guide(name), name)
    seen = 0
    for tensor, raw in enumerate(edit.main.tensors):
        if raw.sparsity is None:
            continue
        seen += 1
        dense = encoding.dense_values(edit.main, tensor)
        values, sparsity = encoding.encoded(dense)
        assert values.tobytes() == bytes(edit.model.buffers[raw.buffer].data)
        assert list(sparsity.traversalOrder) == list(raw.sparsity.traversalOrder)
        assert not list(raw.sparsity.blockMap if raw.sparsity.blockMap is not None else [])
        for ours, theirs in zip(sparsity.dimMetadata, raw.sparsity.dimMetadata, strict=True):
            assert (ours.format, ours.denseSize) == (theirs.format, theirs.denseSize)
            assert (ours.arraySegmentsType, ours.arrayIndicesType) == (
                theirs.arraySegmentsType,
                theirs.arrayIndicesType,
            )
            for part in ("arraySegments", "arrayIndices"):
                one, other = getattr(ours, part), getattr(theirs, part)
                assert (one is None) == (other is None)
                assert one is None or np.asarray(one.values).tobytes() == np.asarray(other.values).tobytes()
    assert seen >= 2


@pytest.mark.parametrize(("dense", "sparse"), [("dense_zeros", "sparse"), ("fp16_dense_zeros", "fp16_sparse")])
def test_the_fixed_file_has_the_converters_operators_and_gets_smaller(dense, sparse):
    result = fixed(guide(dense))
    ours, theirs = result.after.plan.graph, load(FIXTURES / f"guide_{sparse}.tflite").main
    assert sorted(op.type for op in ours.operators) == sorted(op.type for op in theirs.operators)
    for op in ours.operators:
        if op.type == "DENSIFY":
            reader = ours.consumers(op.outputs[0])[0]
            assert reader.type == ("DEQUANTIZE" if "fp16" in dense else "CONV_2D")
            assert op.index < reader.index
    assert len(result.after.data) < len(result.before.data)


def test_a_filter_of_zeros_only_keeps_one_value():
    values, sparsity = encoding.encoded(np.zeros((4, 1, 1, 8), np.float32))
    assert values.tolist() == [0.0]
    assert list(sparsity.dimMetadata[-1].arraySegments.values) == [0, 1, 1, 1, 1]


# --- proof -----------------------------------------------------------------------------------------------------------


class Liar(OperatorFixer):
    """Says that it changes nothing, and doubles a bias."""

    name = "liar"
    fulfils = frozenset()
    stage = Stage.EXIT
    summary = "a lie"

    def sites(self, view):
        return [op for op in view.of_type("CONV_2D") if view.plan.graph is not None][:1]

    def apply(self, view, op):
        graph = view.graph
        op.inputs[2] = graph.add_constant("lie", graph.constant(op.inputs[2]) * 2 + 1)
        return "lie"


class RoundingLiar(Liar):
    name = "rounding-liar"
    exactness = Exactness.ROUNDING


@pytest.mark.judge
def test_a_fix_that_changes_outputs_is_not_written(tmp_path, monkeypatch):
    honest = operator_fixers()
    monkeypatch.setattr("xnnlint.fixes.tflite.file_search._FileSearch._smallest", lambda self, full: full)
    monkeypatch.setattr("xnnlint.fixes.tflite.file_fixer._RETRIES", 0)
    monkeypatch.setattr(file_search, "operator_fixers", lambda: (*honest, Liar()))
    target = tmp_path / "fixed.tflite"
    with (
        FileFixer(FixRequest(PROFILE)) as fixer,
        pytest.raises(XnnlintError, match="not written: an output would differ by"),
    ):
        fixer.fix(str(DENSE_ZEROS), str(target))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.judge
def test_what_is_not_proven_is_left_out_where_the_rest_is_of_use(tmp_path, monkeypatch):
    """The lie is needed for nothing: without it the rest is proven, and written."""
    honest = operator_fixers()
    monkeypatch.setattr("xnnlint.fixes.tflite.file_search._FileSearch._smallest", lambda self, full: full)
    fixers = (*(f for f in honest if f.name == "encode-zeros"), RoundingLiar())
    for module in (file_search, known_fixes):
        monkeypatch.setattr(module, "operator_fixers", lambda: fixers)
    target = tmp_path / "fixed.tflite"
    with FileFixer(FixRequest(PROFILE)) as fixer:
        done = fixer.fix(str(DENSE_ZEROS), str(target))
    assert [change.fix for change in done.changes] == ["encode-zeros"] * 2
    assert done.result.refused[0][0] == "rounding-liar"
    assert [item.why for item in done.not_made if item.fix == "rounding-liar"] == [Why.NOT_PROVEN]
    assert done.proof.passed
    written = load(target).main
    assert [op.type for op in written.operators].count("DENSIFY") == 2
    assert "lie" not in {tensor.name for tensor in written.tensors}


@pytest.mark.judge
def test_a_run_that_differs_from_the_plan_is_not_written(tmp_path, monkeypatch):
    """As if the plan were wrong: on the CPU that runs, the sparse kernels are off."""
    real = targets.resolve
    monkeypatch.setattr(targets, "resolve", lambda cpu="auto", *rest, **options: real("x86-avx", *rest, **options))
    monkeypatch.setattr("xnnlint.fixes.tflite.file_proof.load_profile", lambda runtime, cpu: PROFILE)
    if not targets.has_avx():
        pytest.skip("this machine has no AVX")
    target = tmp_path / "fixed.tflite"
    with (
        FileFixer(FixRequest(PROFILE)) as fixer,
        pytest.raises(XnnlintError, match="not written: the real run was not as"),
    ):
        fixer.fix(str(DENSE_ZEROS), str(target))
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_can_run_nothing_is_written(capsys, monkeypatch, tmp_path):
    def missing(*_, **__):
        raise targets.Unavailable("install user-mode emulation")

    monkeypatch.setattr(targets, "resolve", missing)
    target = tmp_path / "fixed.tflite"
    code, out, err = run(capsys, monkeypatch, str(DENSE_ZEROS), "-o", str(target))
    assert (code, out) == (2, "")
    assert "install user-mode emulation" in err
    assert "--no-proof" in err
    assert not target.exists()
    code, out, err = run(capsys, monkeypatch, str(DENSE_ZEROS), "-o", str(target), "--no-proof")
    assert code == 0
    assert "it was not proven (--no-proof)" in out
    assert load(target).main.operators


def test_without_the_extra_it_says_what_to_install(capsys, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.schema_py_generated", None)
    # Another test may have imported TensorFlow, which has a copy.
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    schema.generated.cache_clear()
    target = tmp_path / "fixed.tflite"
    try:
        code, out, err = run(capsys, monkeypatch, str(DENSE_ZEROS), "-o", str(target), "--no-proof")
    finally:
        schema.generated.cache_clear()
    assert (code, out) == (2, "")
    assert "pip install 'xnnlint[verify]'" in err
    assert not target.exists()


# --- the command -----------------------------------------------------------------------------------------------------


@pytest.mark.judge
def test_the_report_says_what_was_done_and_proven(capsys, monkeypatch, tmp_path):
    before, target = DENSE_ZEROS.read_bytes(), tmp_path / "fixed.tflite"
    code, out, err = run(capsys, monkeypatch, str(DENSE_ZEROS), "-o", str(target))
    assert (code, err) == (0, "")
    assert DENSE_ZEROS.read_bytes() == before
    words = " ".join(out.split())
    assert "encode-zeros (safe, same bits), 2 places" in words
    assert "before dense: 0 of 2 1x1 convolutions run SpMM, 80% zeros, 11,604 bytes, 9 operators run" in words
    assert "after sparse: 2 of 2 1x1 convolutions run SpMM, 80% zeros" in words
    assert "4 random inputs: outputs are the same in the reference kernels" in words
    assert "2 SpMM as predicted, outputs correct" in words
    (observation,) = observe([target], seeds=(7,))
    assert (observation.outcome, observation.spmm) == ("sparse", 2)


@pytest.mark.judge
def test_in_place_keeps_a_copy(capsys, monkeypatch, tmp_path):
    model = tmp_path / "model.tflite"
    model.write_bytes(guide())
    code, _, _ = run(capsys, monkeypatch, str(model), "--in-place")
    assert code == 0
    assert (tmp_path / "model.tflite.bak").read_bytes() == guide()
    assert {op.type for op in load(model).main.operators} >= {"DENSIFY"}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.tflite", "model.tflite.bak"]


def test_diff_shows_operators_and_writes_nothing(capsys, monkeypatch, tmp_path):
    model = tmp_path / "model.tflite"
    model.write_bytes(guide())
    code, out, _ = run(capsys, monkeypatch, str(model), "--diff")
    assert code == 0
    assert "  - CONV_2D(?x16x16x8, constant 16x1x1x8, constant 16, padding=VALID) -> ?x16x16x16\n" in out
    assert "  + DENSIFY(sparse constant 16x1x1x8) -> 16x1x1x8\n" in out
    assert [p.name for p in tmp_path.iterdir()] == ["model.tflite"]
    assert model.read_bytes() == guide()


@pytest.mark.judge
def test_json_tells_the_same(capsys, monkeypatch, tmp_path):
    target = tmp_path / "fixed.tflite"
    code, out, err = run(capsys, monkeypatch, str(DENSE_ZEROS), "-o", str(target), "--format", "json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    jsonschema.Draft202012Validator(published_schema("fix")).validate(document)
    (told,) = document["models"]
    assert (told["before"]["outcome"], told["after"]["outcome"], told["after"]["spmm"]) == ("dense", "sparse", 2)
    assert told["after"]["bytes"] == target.stat().st_size
    assert {change["fix"] for change in told["changes"]} == {"encode-zeros"}
    assert told["proof"]["passed"] is True
    assert told["proof"]["max_abs_error"] == 0.0
    assert told["proof"]["run"]["spmm"] == 2


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["{model}"], "say where to write"),
        (["{model}", "-o", "{model}"], "is the model itself"),
        (["{model}", "--diff", "--select", "nonsense"], "there is no fix 'nonsense'"),
        (["{model}", "--diff", "--prune", "0.8"], "give --unsafe-fixes"),
        (["{model}", "--diff", "--batch", "4"], "can only be fixed to 1"),
        (["{model}", "--diff", "--prune", "8", "--unsafe-fixes"], "a share between 0 and 1"),
        (["{folder}/none.tflite", "--diff"], "none.tflite"),
    ],
)
def test_wrong_calls_end_in_one_sentence(capsys, monkeypatch, tmp_path, arguments, reason):
    model = tmp_path / "model.tflite"
    model.write_bytes(guide())
    given = [a.format(model=model, folder=tmp_path) for a in arguments]
    code, out, err = run(capsys, monkeypatch, *given)
    assert (code, out) == (2, "")
    assert reason in err
    assert err.count("\n") == 1
    assert model.read_bytes() == guide()


@pytest.mark.parametrize("content", [b"", b"\x1c\0\0\0TFL3", guide()[:4000], bytes(range(256)) * 40])
def test_damaged_files_end_in_one_sentence(capsys, monkeypatch, tmp_path, content):
    model = tmp_path / "model.tflite"
    model.write_bytes(content)
    code, out, err = run(capsys, monkeypatch, str(model), "-o", str(tmp_path / "fixed.tflite"))
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["model.tflite"]


def test_flipped_bytes_end_in_one_sentence_or_a_file_that_can_be_read(tmp_path):
    rng = np.random.default_rng(3)
    model, target = tmp_path / "model.tflite", tmp_path / "fixed.tflite"
    data, written = guide(), 0
    with FileFixer(FixRequest(PROFILE), proof=False) as fixer:
        for _ in range(60):
            damaged = np.frombuffer(data, np.uint8).copy()
            damaged[rng.integers(0, len(data), rng.integers(1, 4))] = rng.integers(0, 256)
            model.write_bytes(damaged.tobytes())
            target.unlink(missing_ok=True)
            try:
                fixer.fix(str(model), str(target))
            except XnnlintError as error:
                assert "\n" not in str(error)
                assert "xnnlint itself failed" not in str(error)
                assert not target.exists()
            else:
                assert load(target).main.operators
                written += 1
    assert written > 10


_KILLED = """
import sys, time
from pathlib import Path
from xnnlint import atomic
from xnnlint.fixes.request import FixRequest
from xnnlint.fixes.tflite.file_fixer import FileFixer
from xnnlint.xnnpack.profile import load_profile

at, source, target = sys.argv[1:]
write, commit = Path.write_bytes, atomic.commit

def slowly(self, data):
    # Half of the file is on the disk when the test kills this process.
    write(self, data[: len(data) // 2])
    if at == "write":
        print("now", flush=True)
        time.sleep(60)
    return write(self, data)

def late(drafted, to, backup=""):
    commit(drafted, to, backup)
    if at == "end":
        print("now", flush=True)
        time.sleep(60)

Path.write_bytes, atomic.commit = slowly, late
FileFixer(FixRequest(load_profile("litert-2.3", "x86-sse")), proof=False).fix(source, target)
"""


@pytest.mark.skipif(os.name != "posix", reason="kill -9")
@pytest.mark.parametrize(("at", "whole"), [("write", False), ("end", True)])
def test_killed_while_it_writes(tmp_path, at, whole):
    """Killed in the middle there is no output; killed after it, a whole one; the input is as it was."""
    target = tmp_path / "fixed.tflite"
    command = [sys.executable, "-c", _KILLED, at, str(DENSE_ZEROS), str(target)]
    before = DENSE_ZEROS.read_bytes()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "now\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert DENSE_ZEROS.read_bytes() == before
    assert target.exists() is whole
    if whole:
        assert target.read_bytes() == fixed(before).after.data


@pytest.mark.skipif(os.name != "posix", reason="kill -9")
def test_killed_at_any_moment(tmp_path):
    """The same at moments that nobody chose."""
    target, model = tmp_path / "model.tflite", guide()
    command = [sys.executable, "-m", "xnnlint", "fix", str(target), "--in-place", "--no-backup", "--no-proof"]
    for moment in np.random.default_rng(0).uniform(0.2, 1.2, 6):
        target.write_bytes(model)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(moment)
        process.kill()
        process.wait()
        assert target.read_bytes() in (model, fixed(model).after.data)


# --- a dynamic batch -----------------------------------------------------------------------------------------------


def outputs(data: bytes, batch: int) -> list[np.ndarray]:
    """What TFLite's reference kernels compute of random inputs with this batch."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    model = Interpreter(model_content=data, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    rng = np.random.default_rng(0)
    for detail in model.get_input_details():
        model.resize_tensor_input(detail["index"], [batch, *detail["shape"][1:]])
    model.allocate_tensors()
    for detail in model.get_input_details():
        model.set_tensor(detail["index"], rng.uniform(-1, 1, [batch, *detail["shape"][1:]]).astype(np.float32))
    model.invoke()
    return [model.get_tensor(detail["index"]) for detail in model.get_output_details()]


def network(
    *, padding: str = "SAME", size: int = 32, filters: int = 8, depthwise: bool = False, gate: bool = False
) -> bytes:
    """A stem, two pruned 1x1 convolutions, and a classifier, of a dynamic batch, as the converter writes them.

    Args:
        padding: of the stem.
        depthwise: a 5x5 depthwise convolution of stride 2 between the two.
        gate: squeeze and excite in between, with Keras's Reshape((1, 1, C)).
    """
    builder = ModelBuilder()
    image = builder.input((1, size, size, 3))
    x = builder.conv2d(image, filters, 3, 2, padding, fused="RELU")
    x = builder.conv2d(x, 64, zeros=0.8, storage="sparse", fused="RELU")
    if depthwise:
        x = builder.conv2d(builder.depthwise(x, 4, 1, "SAME"), 64, zeros=0.8, storage="sparse")
        x = builder.depthwise(x, 5, 2, "SAME", fused="RELU6")
    if gate:
        pooled = builder.mean(x)
        first = builder.op("SHAPE", [pooled], [(2,)], table("ShapeOptions", out_type=2), dtype="int32")[0]
        cuts = [builder.constant(np.array([v], np.int32)) for v in (0, 1, 1)]
        options = table("StridedSliceOptions", shrink_axis_mask=1)
        count = builder.op("STRIDED_SLICE", [first, *cuts], [()], options, dtype="int32")[0]
        sizes = [count, *(builder.constant(np.array(v, np.int32)) for v in (1, 1, 64))]
        shape = builder.op("PACK", sizes, [(4,)], table("PackOptions", values_count=4), dtype="int32")[0]
        gated = builder.op("RESHAPE", [pooled, shape], [(1, 1, 1, 64)], table("ReshapeOptions"))[0]
        gated = builder.unary("LOGISTIC", builder.conv2d(gated, 64, zeros=0.8, storage="sparse"))
        x = builder.binary("MUL", x, gated)
    x = builder.conv2d(x, 64, zeros=0.8, storage="sparse", fused="RELU")
    builder.output(builder.fully_connected(builder.mean(x), 5))
    return builder.build(dynamic_batch=True)


@pytest.mark.judge
@pytest.mark.parametrize(
    ("fix", "data", "spmm"),
    [
        ("entry-by-picking", network(filters=16), 2),
        ("entry-in-parts", network(padding="VALID", size=34), 2),
        ("taps-in-parts", network(size=35, depthwise=True), 2),
        ("entry-by-zero-taps", network(size=33), 2),
        ("constant-reshape", network(size=33, gate=True), 4),
        ("constant-reshape", network(filters=16, gate=True), 4),
    ],
    ids=["picked", "four stems", "5x5 of stride 2", "odd", "squeeze and excite", "both"],
)
def test_a_dynamic_batch_stays_dynamic(prover, fix, data, spmm):
    result = fixed(data, even_if_slower=True)
    assert fix in {change.fix for change in result.changes}
    proof = prover.prove(result)
    assert proof.passed, proof.reason
    assert proof.observation.spmm >= spmm - 1
    assert proof.observation.spmm == len(result.after.plan.spmm_ops)
    for batch in (1, 3):
        for before, after in zip(outputs(data, batch), outputs(result.after.data, batch), strict=True):
            assert before.shape == after.shape == (batch, 5)
            np.testing.assert_allclose(after, before, rtol=0, atol=1e-5 * np.abs(before).max())
    graph = result.after.plan.graph
    assert graph.tensors[graph.inputs[0]].shape_signature[0] == -1
    assert graph.tensors[graph.outputs[0]].shape_signature == (-1, 5)


def test_a_batch_of_1_is_made_only_where_asked():
    result = fixed(network(size=33, gate=True), batch=1)
    graph = result.after.plan.graph
    assert "constant-reshape" in {change.fix for change in result.changes}
    assert not any(tensor.is_dynamic for tensor in graph.tensors)


def of_any_size(*, known_inputs: bool = False) -> bytes:
    """A network with SAME padding at stride 2, which is another one at each size; stored as of 1x1 or, with
    `known_inputs`, of 33x33 where only the maps behind the first are dynamic."""
    size = 33 if known_inputs else 1
    builder = ModelBuilder()
    x = builder.input((1, size, size, 3))
    x = builder.conv2d(builder.pad(x), 8, 3, 2, fused="RELU")
    x = builder.conv2d(builder.depthwise(x, 3, 2, "SAME"), 16, zeros=0.8, storage="sparse")
    builder.output(builder.fully_connected(builder.mean(builder.conv2d(x, 16, zeros=0.8, storage="sparse")), 5))
    maps = [value for op in builder.operators if op.code != "DENSIFY" for value in op.outputs]
    for value in maps if known_inputs else [builder.inputs[0].id, *maps]:
        tensor = builder.tensors[value]
        if len(tensor.value.shape) == 4:
            tensor.signature = (-1, -1, -1, tensor.value.shape[3])
    return builder.build()


@pytest.mark.parametrize("known_inputs", [False, True])
def test_nothing_is_made_right_for_one_of_many_sizes(known_inputs):
    """Where the pixels of SAME lie depends on the size, so that zero taps for one size are wrong for another."""
    data = of_any_size(known_inputs=known_inputs)
    result = fixed(data, everything=True)
    assert "zero-taps" not in {change.fix for change in result.changes}
    assert {reason.split(";")[0] for _, reason in result.refused} == {
        "sizes other than its batch are known only at run time"
    }
    assert known_inputs or not result.changes


def test_one_filter_of_several_convolutions_is_encoded_once():
    builder = ModelBuilder()
    x = builder.conv2d(builder.pad(builder.input((1, 16, 16, 3))), 16, 3, 2)
    x = builder.conv2d(builder.depthwise(x), 16, zeros=0.8)
    x = builder.conv2d(x, 16)
    last = builder.operators[-1]
    last.inputs = (last.inputs[0], builder.operators[-2].inputs[1], *last.inputs[2:])
    builder.output(builder.fully_connected(builder.mean(x), 5))
    result = fixed(builder.build())
    assert [change.fix for change in result.changes] == ["encode-zeros"]
    assert not result.refused
    assert len(result.after.spmm) == 2


def test_an_input_with_an_empty_buffer_is_no_constant():
    """Older converters give every tensor a buffer of its own."""
    model = schema.read(guide("unpruned"))
    for tensor in model.subgraphs[0].tensors:
        if not tensor.buffer or model.buffers[tensor.buffer].data is None:
            model.buffers.append(schema.make("Buffer"))
            tensor.buffer = len(model.buffers) - 1
    graph = Edit(schema.write(model, identifier=True), "model.tflite").main
    assert [is_constant(graph, t) for t in (graph.inputs[0], graph.operators[-1].inputs[1])] == [False, True]


# --- documentation, and what counts -----------------------------------------------------------------------------------


def test_the_documentation_lists_every_fix():
    page = (ROOT / "docs" / "fix-tflite.md").read_text(encoding="utf-8")
    assert catalog.with_table(page) == page, "python -m xnnlint.fixes.tflite.fix_table"


def test_convolutions_that_only_move_channels_are_no_gain():
    """A concatenation behind the last 1x1 convolution could be done by SpMM, but nothing of the model would be."""
    builder = ModelBuilder()
    x = builder.conv2d(builder.pad(builder.input((1, 24, 40, 3))), 8, 3, 2, "VALID", fused="RELU")
    x = builder.conv2d(x, 16, zeros=0.8, storage="sparse", fused="RELU")
    x = builder.concat([x, builder.unary("LOGISTIC", x)])
    builder.output(builder.fully_connected(builder.mean(x), 5))
    result = fixed(builder.build(), even_if_slower=True)
    assert [change.fix for change in result.changes] == ["concatenate-by-adding"]
    assert len(result.after.plan.spmm_ops) == 3
    assert len(result.after.spmm) == len(result.after.pointwise) == 1
