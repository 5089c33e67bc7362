"""Slices in Keras models: what is none of those that are known is said, never stumbled over."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from xnnlint.linter.engine import check_model
from xnnlint.xnnpack.profile import load_profile

WHOLE = {"start": None, "stop": None, "step": None}


def _config(spec: object) -> dict:
    """x[spec], as tf_keras writes it, behind an input of [batch, 8, 8, 3]."""
    first = {"name": "input_1", "batch_input_shape": [None, 8, 8, 3], "dtype": "float32"}
    layers = [
        {"class_name": "InputLayer", "config": first, "name": "input_1", "inbound_nodes": []},
        {
            "class_name": "SlicingOpLambda",
            "config": {"name": "part", "dtype": "float32", "function": "__operators__.getitem"},
            "name": "part",
            "inbound_nodes": [["input_1", 0, 0, {"slice_spec": spec}]],
        },
    ]
    ends = {"input_layers": [["input_1", 0, 0]], "output_layers": [["part", 0, 0]]}
    return {"class_name": "Functional", "config": {"name": "model", "layers": layers, **ends}, "backend": "tensorflow"}


@pytest.mark.parametrize("spec", [[WHOLE, WHOLE, None], None, [WHOLE, "1"], [[0]], [{"start": 1}]], ids=str)
def test_what_is_no_slice_makes_an_unknown_layer(spec: object, tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_text(json.dumps(_config(spec)))
    report = check_model(path, load_profile("litert-2.3", "arm64"))
    assert report.error is None
    assert [(f.rule, f.location.name) for f in report.findings if f.rule == "XNN403"] == [("XNN403", "part")]


def test_a_slice_is_known(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_text(json.dumps(_config([WHOLE, {"start": 1, "stop": None, "step": 2}, WHOLE, 0])))
    report = check_model(path, load_profile("litert-2.3", "arm64"))
    assert report.error is None
    assert [op.type for op in report.plan.graph.operators] == ["STRIDED_SLICE"]
    assert report.plan.graph.tensors[report.plan.graph.outputs[0]].shape == (1, 4, 8)
