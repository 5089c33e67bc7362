"""Shapes that are known only at run time: the cure is told in the words of the program that wrote the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.models import FIXTURES
from xnnlint.linter.engine import find
from xnnlint.loaders.tflite.read_tflite import load
from xnnlint.model.exporter import Exporter
from xnnlint.xnnpack.planner import make_plan
from xnnlint.xnnpack.profile import load_profile

CURES = {
    Exporter.KERAS: "keras.Input((height, width, channels))",
    Exporter.TENSORFLOW: "tf.TensorSpec([1, height, width, channels])",
    Exporter.TOCO: "from_frozen_graph(..., input_shapes={name: [1, height, width, channels]})",
    Exporter.LITERT_TORCH: "litert_torch.convert(model, (torch.rand(1, channels, height, width),))",
    Exporter.ONNX2TF: "onnx2tf -i model.onnx -ois input:1,channels,height,width",
    Exporter.JAX: "without polymorphic_shapes",
    Exporter.UNKNOWN: "keras.Input((height, width, channels))",
}


def cure(name: str, exporter: Exporter) -> str:
    model = load(FIXTURES / "cases" / f"{name}.tflite")
    model.exporter = exporter
    (found,) = [f for f in find(make_plan(model, load_profile())) if f.rule == "XNN902"]
    assert found.fix is not None
    return found.fix.title


@pytest.mark.parametrize("exporter", Exporter)
def test_cure_is_in_the_words_of_the_exporter(exporter: Exporter) -> None:
    assert CURES[exporter] in cure("dynfcn", exporter)


@pytest.mark.parametrize("exporter", Exporter)
@pytest.mark.parametrize("name", ["resize_ranked", "resize_unranked"])
def test_nothing_is_to_be_fixed_where_all_sizes_of_inputs_are(name: str, exporter: Exporter) -> None:
    told = cure(name, exporter)
    assert "as numbers" in told
    assert "batch" not in told and "another operator" not in told


@pytest.mark.judge
@pytest.mark.parametrize("name", ["resize_ranked", "resize_unranked"])
def test_another_operator_behind_it_does_not_help(name: str, tmp_path: Path) -> None:
    """So that it is not advised: XNNPACK tells the shapes of what it runs, but not before the run."""
    editor = pytest.importorskip("xnnlint.fixes.tflite.editor")
    from xnnlint.runtime.verify import choose, verify_each

    edit = editor.Edit.open((FIXTURES / "cases" / f"{name}.tflite").read_bytes(), name)
    last = edit.main.operators[-1]
    inner, out = edit.main.displace(last, "_inner")
    edit.main.insert("RELU", [inner], [out], near=last, after=True)
    (tmp_path / "m.tflite").write_bytes(edit.to_bytes())
    (found,) = verify_each([tmp_path / "m.tflite"], choose())
    assert found.agrees and found.observation is not None and found.observation.outcome == "fails"
