"""Files that the runtime does not load, with the real runtime as judge."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from xnnlint.fixes.tflite import object_api as schema
from xnnlint.fixes.tflite.editor import Edit
from xnnlint.loaders.tflite.read_tflite import load_bytes
from xnnlint.modelbuilder.builder import ModelBuilder
from xnnlint.modelbuilder.flatwriter import table
from xnnlint.runtime import releases
from xnnlint.runtime.availability import availability
from xnnlint.runtime.verify import choose, verify_each
from xnnlint.xnnpack.fault import Wrong
from xnnlint.xnnpack.plan import Outcome
from xnnlint.xnnpack.planner import make_plan
from xnnlint.xnnpack.profile import kernel_versions, load_profile

PROFILE = load_profile("litert-2.3", "x86-sse")


def plain() -> bytes:
    g = ModelBuilder()
    g.output(g.unary("ABS", g.unary("ABS", g.input((1, 4, 4, 3)))))
    return g.build()


def changed(change: Callable[[Edit], None]) -> bytes:
    edit = Edit.open(plain(), "m.tflite")
    change(edit)
    return edit.to_bytes()


def variable(edit: Edit) -> None:
    edit.main.tensors[edit.main.operators[0].outputs[0]].isVariable = True


def intermediates(edit: Edit) -> None:
    edit.main.operators[0].raw.intermediates = [0]


def signature(edit: Edit) -> None:
    given = [schema.make("TensorMap", name="x", tensorIndex=edit.main.inputs[0])]
    made = schema.make("SignatureDef", inputs=given, outputs=[], signatureKey="serve", subgraphIndex=0)
    edit.model.signatureDefs = [made]


def newer(edit: Edit) -> None:
    edit.model.operatorCodes[0].version = kernel_versions("litert-2.3")["ABS"][1] + 1


def custom(code: str) -> bytes:
    g = ModelBuilder()
    g.output(*g.custom_op(code, [g.input((1, 4, 4, 3))], [(1, 4, 4, 3)]))
    return g.build()


FILES = {
    Wrong.VARIABLE_TENSOR: lambda: changed(variable),
    Wrong.INTERMEDIATE_TENSORS: lambda: changed(intermediates),
    Wrong.SIGNATURE: lambda: changed(signature),
    Wrong.NO_KERNEL: lambda: changed(newer),
    Wrong.NO_CUSTOM_KERNEL: lambda: custom("Mine"),
}


@pytest.mark.judge
@pytest.mark.parametrize("wrong", FILES)
def test_refused_by_the_runtime(wrong: Wrong, tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(FILES[wrong]())
    (found,) = verify_each([tmp_path / "m.tflite"], choose())
    assert found.plan is not None and found.observation is not None
    assert found.observation.outcome == "fails", found.observation
    assert [hazard.fault.wrong for hazard in found.plan.hazards] == [wrong]
    assert found.agrees


@pytest.mark.judge
def test_plain_file_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(plain())
    (found,) = verify_each([tmp_path / "m.tflite"], choose())
    assert found.agrees and found.observation is not None and found.observation.outcome == "dense"


@pytest.mark.judge
def test_model_without_operators(tmp_path: Path) -> None:
    """Its output is its input, and nobody fills the buffer of the output."""
    g = ModelBuilder()
    g.output(g.input((1, 4, 4, 3)))
    (tmp_path / "m.tflite").write_bytes(g.build())
    (found,) = verify_each([tmp_path / "m.tflite"], choose())
    assert found.observation is not None and found.observation.outcome == "wrong-results"
    assert found.agrees


def test_interpreter_takes_variables(tmp_path: Path) -> None:
    if not availability().available or not releases.cached("1.4.0"):
        pytest.skip(availability().reason or "LiteRT 1.4.0 is not in the cache")
    (tmp_path / "m.tflite").write_bytes(changed(variable))
    (found,) = verify_each([tmp_path / "m.tflite"], choose(litert_version="1.4.0"))
    assert found.agrees and found.observation is not None and found.observation.status == "ran"


def test_custom_operators_that_the_user_names_are_taken_as_there() -> None:
    model = load_bytes(custom("Mine"), "m.tflite")
    assert make_plan(model, PROFILE).outcome is Outcome.FAILS
    assert make_plan(model, PROFILE.knowing(["Mine"])).outcome is Outcome.DENSE
    assert make_plan(model, load_profile("portable").knowing(["Mine"])).outcome is Outcome.DENSE


@pytest.mark.parametrize("code", PROFILE["custom_operators"])
def test_custom_operators_of_the_runtime_itself(code: str) -> None:
    faults = [hazard.fault.wrong for hazard in make_plan(load_bytes(custom(code), "m"), PROFILE).hazards]
    assert Wrong.NO_CUSTOM_KERNEL not in faults


@pytest.mark.judge
@pytest.mark.parametrize(("axes", "outcome"), [([0], "dense"), ([1], "fails"), ([-9], "fails")])
def test_squeeze_of_dimensions_that_are_not_1(axes: list[int], outcome: str, tmp_path: Path) -> None:
    g = ModelBuilder()
    x = g.input((1, 4, 3))
    g.output(g.op("SQUEEZE", [x], [(4, 3)], table("SqueezeOptions", squeeze_dims=np.array(axes, np.int32)))[0])
    (tmp_path / "m.tflite").write_bytes(g.build())
    (found,) = verify_each([tmp_path / "m.tflite"], choose())
    assert found.agrees and found.observation is not None
    assert found.observation.outcome == outcome


def test_outputs_of_detection_whose_size_the_file_does_not_hold() -> None:
    """Files of automated training have none for them; seen in a run: "Custom allocation is too small"."""
    g = ModelBuilder()
    boxes, scores, anchors = (g.input(shape) for shape in ((1, 9, 4), (1, 9, 3), (9, 4)))
    g.output(*g.custom_op("TFLite_Detection_PostProcess", [boxes, scores, anchors], [()] * 4))
    faults = [hazard.fault.wrong for hazard in make_plan(load_bytes(g.build(), "m.tflite"), PROFILE).hazards]
    assert faults == [Wrong.OUTPUT_SIZE_UNKNOWN] * 4
