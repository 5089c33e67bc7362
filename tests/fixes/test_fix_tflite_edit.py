"""The editor of .tflite files: what is not touched survives, and what cannot survive is refused."""

from __future__ import annotations

import io
import struct
import zipfile

import numpy as np
import pytest

from tests.models import ROOT
from tests.rounds import every
from xnnlint.errors import ModelError
from xnnlint.linter.engine import check_loaded
from xnnlint.loaders import load
from xnnlint.loaders.tflite.read_tflite import load_bytes
from xnnlint.modelbuilder.builder import ModelBuilder
from xnnlint.modelbuilder.flatwriter import serialize, table
from xnnlint.runtime.observe import observe
from xnnlint.xnnpack.profile import load_profile

pytest.importorskip("ai_edge_litert", reason="the editor needs the verify extra")

from xnnlint.fixes.tflite import object_api as schema
from xnnlint.fixes.tflite.editor import Edit
from xnnlint.fixes.tflite.lossless import Walk, first_difference

FIXTURES = sorted((ROOT / "fixtures").rglob("*.tflite"))
GUIDE = ROOT / "fixtures" / "guide_sparse.tflite"


def unchanged(data: bytes) -> bytes:
    return Edit.open(data, "model.tflite").to_bytes()


def small(**options) -> bytes:
    builder = ModelBuilder()
    x = builder.input((1, 4, 6, 3))
    builder.output(builder.conv2d(x, 2, 1))
    return builder.build(**options)


@pytest.mark.parametrize("path", every(4, FIXTURES), ids=lambda p: p.stem)
def test_a_file_written_again_says_and_lints_the_same(path):
    data = path.read_bytes()
    written = unchanged(data)
    assert first_difference(Walk(data), Walk(written)) == ""
    profile = load_profile("litert-2.3", "arm64")
    before, after = (check_loaded(load_bytes(d, str(path)), profile) for d in (data, written))
    assert before.plan.outcome is after.plan.outcome
    assert before.plan.operators == after.plan.operators
    # Messages may count the file's bytes, and it is written with other gaps.
    places = [[(f.rule, f.severity, f.location, f.fix) for f in report.findings] for report in (before, after)]
    assert places[0] == places[1]


@pytest.mark.judge
def test_a_file_written_again_runs_the_same(tmp_path):
    paths = [p for p in FIXTURES if p.parent.name == "fixtures"]
    copies = [tmp_path / p.name for p in paths]
    for path, copy in zip(paths, copies, strict=True):
        copy.write_bytes(unchanged(path.read_bytes()))
    observations = list(observe([*paths, *copies], seeds=(0,)))
    for old, new in zip(observations[: len(paths)], observations[len(paths) :], strict=True):
        assert (new.status, new.kernels, new.tflite_ops) == (old.status, old.kernels, old.tflite_ops)
        assert [o.max_abs_error for o in new.outputs] == [o.max_abs_error for o in old.outputs]


@pytest.mark.parametrize("path", [GUIDE, ROOT / "fixtures" / "guide_int8.tflite"], ids=lambda p: p.stem)
def test_every_buffer_is_aligned(path):
    model = schema.generated().Model.GetRootAs(unchanged(path.read_bytes()))
    places = []
    for index in range(model.BuffersLength()):
        tables = model.Buffers(index)._tab
        field = tables.Offset(4)
        if field and tables.VectorLen(field):
            places.append(tables.Vector(field))
    assert len(places) > 5
    assert [place % 16 for place in places] == [0] * len(places)


def test_metadata_signatures_and_identifier_survive():
    builder = ModelBuilder()
    builder.signature_key = "serve"
    x = builder.input((1, 4, 6, 3))
    builder.output(builder.conv2d(x, 2, 1))
    data = builder.build(metadata={"min_runtime_version": b"1.5.0\0", "kept": b"\1\2\3"}, dynamic_batch=True)
    before, after = load_bytes(data, "m"), load_bytes(unchanged(data), "m")
    assert after.metadata == before.metadata
    assert after.metadata["kept"] == b"\1\2\3"
    assert after.signatures == before.signatures
    assert after.signatures[0].key == "serve"
    assert after.main.tensors[after.main.inputs[0]].shape_signature == (-1, 4, 6, 3)
    nameless = small(identifier=False)
    assert unchanged(nameless)[4:8] != b"TFL3"
    assert unchanged(small())[4:8] == b"TFL3"


def test_an_archive_behind_the_flatbuffer_survives():
    packed = io.BytesIO(small())
    packed.seek(0, io.SEEK_END)
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("labels.txt", "cat\ndog\n")
    written = unchanged(packed.getvalue())
    with zipfile.ZipFile(io.BytesIO(written)) as archive:
        assert archive.read("labels.txt") == b"cat\ndog\n"
    assert load_bytes(written, "m").main.operators[0].type == "CONV_2D"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (small(weights_outside=True), "behind the flatbuffer"),
        (small() + bytes(1000), "bytes behind the flatbuffer"),
    ],
    ids=["weights outside", "appended bytes"],
)
def test_what_would_be_lost_is_refused(data, reason):
    with pytest.raises(ModelError, match=reason) as refusal:
        unchanged(data)
    assert "\n" not in str(refusal.value)
    assert str(refusal.value).startswith("model.tflite: ")


def test_a_field_of_a_newer_schema_is_refused():
    """The root table gets a field with a number that no schema has yet, as a newer converter would write it."""
    data = small()
    root = struct.unpack_from("<I", data, 0)[0]
    vtable = root - struct.unpack_from("<i", data, root)[0]
    length, size = struct.unpack_from("<HH", data, vtable)
    slots = struct.unpack_from(f"<{length // 2 - 2}H", data, vtable + 4)
    longer = struct.pack(f"<HH{len(slots)}H", 4 + 2 * 21, size, *slots) + bytes(2 * (20 - len(slots)))
    at = len(data)
    changed = bytearray(data + longer + struct.pack("<H", slots[0]))
    struct.pack_into("<i", changed, root, root - at)
    with pytest.raises(ModelError, match="Model has a field number 20"):
        unchanged(bytes(changed))


def test_damaged_files_end_in_one_sentence():
    data = GUIDE.read_bytes()
    for cut in range(8, len(data), 997):
        with pytest.raises(ModelError):
            unchanged(data[:cut])


def test_operators_and_tensors_change_and_the_rest_is_renumbered():
    edit = Edit.open(GUIDE.read_bytes(), "m")
    graph = edit.main
    names = [graph.name(t) for t in range(len(graph.tensors))]
    mean = next(op for op in graph.operators if op.type == "MEAN")
    reshape = graph.consumers(mean.outputs[0])[0]
    assert reshape.type == "RESHAPE"
    # The RESHAPE and the constant that only it reads go; its readers read the MEAN, which drops its dimensions.
    mean.options.keepDims = False
    graph.set_shape(mean.outputs[0], graph.shape(reshape.outputs[0]))
    gone = {graph.name(reshape.outputs[0]), graph.name(reshape.inputs[1])}
    graph.rewire(reshape.outputs[0], mean.outputs[0])
    graph.remove(reshape)
    after = load_bytes(edit.to_bytes(), "m").main
    assert [t.name for t in after.tensors] == [name for name in names if name not in gone]
    assert [op.type for op in after.operators][-2:] == ["MEAN", "FULLY_CONNECTED"]
    assert after.operators[-2].attributes["keep_dims"] is False
    assert after.tensors[after.outputs[0]].shape == (1, 10)


def test_tensors_without_references_stay_where_the_edit_did_not_cause_it():
    builder = ModelBuilder()
    x = builder.input((1, 4, 6, 3))
    builder.constant(np.ones(5, np.float32), "nobody")
    builder.output(builder.conv2d(x, 2, 1))
    edit = Edit.open(builder.build(), "m")
    op = edit.main.operators[0]
    new, old = edit.main.displace(op, "_before")
    edit.main.insert("RELU", [new], [old], near=op, after=True)
    after = load_bytes(edit.to_bytes(), "m").main
    assert "nobody" in [t.name for t in after.tensors]
    assert [o.type for o in after.operators] == ["CONV_2D", "RELU"]
    assert after.producer(after.outputs[0]).type == "RELU"


def test_other_subgraphs_survive():
    data = (ROOT / "fixtures" / "guide_sparse.tflite").read_bytes()
    model = schema.read(data)
    model.subgraphs.append(schema.read(data).subgraphs[0])
    two = schema.write(model, identifier=True)
    edit = Edit.open(two, "m")
    mean = next(op for op in edit.main.operators if op.type == "MEAN")
    edit.main.insert("RELU", [mean.outputs[0]], [edit.main.add_like(mean.outputs[0], "_x")], near=mean, after=True)
    after, original = load_bytes(edit.to_bytes(), "m"), load(GUIDE).main
    assert len(after.graphs) == 2
    assert [o.type for o in after.graphs[1].operators] == [o.type for o in original.operators]
    assert len(after.graphs[0].operators) == len(original.operators) + 1


def test_no_table_is_missing_from_the_walk():
    """A table that the loader's schema lacks is seen as having unknown fields, not as empty."""
    root = table(
        "Model", version=3, description="x", subgraphs=[table("SubGraph", name="g")], buffers=[table("Buffer")]
    )
    paths = dict(Walk(serialize(root)).content)
    assert paths["model.subgraphs[0].name"] == b"g"
    assert paths["model.description"] == b"x"
