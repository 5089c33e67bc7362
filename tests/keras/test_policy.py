"""TFMOT's pruning policy: the same answers as from the real one, and the runtime beside it.

The real policy's answers are in `data/tfmot_policy.json.xz`, made by `fixtures/ask_tfmot_policy.py` with the models'
configs: the Keras-made set, hand-made graphs and random networks.
"""

from __future__ import annotations

import copy
import json
import lzma
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests import models
from tests.models import DATA, FIXTURES, ROOT
from tests.requirements import REQUIRE_KERAS, missing
from xnnlint.cli.program import app
from xnnlint.keras.description import KerasModel
from xnnlint.keras.policy import supported_layers as policy_layers
from xnnlint.keras.policy.verdicts import NO_END, NO_START, PolicyVerdict, Stage, judge, unsupported_paths
from xnnlint.linter.policy_check import Does, check_with_policy, policy_rules, runtime_view
from xnnlint.linter.rule import SECTIONS
from xnnlint.loaders.keras.read_config import read_model
from xnnlint.loaders.keras.read_file import read
from xnnlint.reporters.formats.json_report import document
from xnnlint.reporters.json_document import published_schema
from xnnlint.xnnpack.profile import load_profile

ANSWERS = DATA / "tfmot_policy.json.xz"
# Which layer the policy names first, or whether it sees one, is a matter of chance in so many models.
MOST_UNDECIDED = 6
# Code in a Lambda is not looked at, so that there is no forecast.
UNREADABLE = ("head_depth_to_space_lambda",)


@cache
def asked() -> dict[str, Any]:
    return json.loads(lzma.decompress(ANSWERS.read_bytes()))


def answers() -> list[tuple[dict[str, Any], KerasModel, PolicyVerdict]]:
    """The real answer, the model and our verdict."""
    return [(one, model, judge(model)) for one in asked()["models"] for model in [read_model(one["config"])]]


ALL = cache(answers)


def named(name: str) -> KerasModel:
    return read_model(copy.deepcopy(next(one["config"] for one in asked()["models"] if one["name"] == name)))


# --- parity ----------------------------------------------------------------------------------------------------------


def test_enough_was_asked() -> None:
    real = [one["refusal"] for one, _, _ in ALL()]
    assert len(real) >= 650
    assert {NO_START, NO_END, None} <= set(real)
    assert len(set(real)) >= 15, "many different layers are refused"


def test_the_verdict_and_its_message_are_the_real_ones() -> None:
    differ = [(one["name"], one["refusal"]) for one, _, ours in ALL() if (one["refusal"] or "") not in ours.possible]
    assert differ == []
    decided = [(one, ours) for one, _, ours in ALL() if len(ours.possible) == 1]
    assert len(ALL()) - len(decided) <= MOST_UNDECIDED
    assert all((one["refusal"] or "") == ours.message and (not one["refusal"]) == ours.takes for one, ours in decided)


def test_the_layers_to_prune_are_the_real_ones() -> None:
    assert [one["name"] for one, _, ours in ALL() if sorted(ours.prunable) != one["prunable"]] == []


def test_the_list_of_layers_is_the_real_one() -> None:
    """For every layer of every model, also where the policy does not look."""
    differ = {
        one["name"]: set(one["unsupported"]) ^ set(unsupported_paths(model))
        for one, model, _ in ALL()
        if sorted(unsupported_paths(model)) != one["unsupported"]
    }
    assert differ == {}


def test_every_refused_layer_is_named() -> None:
    """The real policy, made to go on after a refusal, visits the same layers; it may give up early, by chance."""
    refused = [one for one, _, ours in ALL() if one["refusal"] not in (NO_START, NO_END)]
    assert len(refused) >= 400
    differ = []
    for one, _, ours in ALL():
        if one["refusal"] in (NO_START, NO_END):
            continue
        named = {refusal.path for refusal in ours.refusals}
        same = named == set(one["refused"]) if len(ours.possible) == 1 else named >= set(one["refused"])
        differ += [] if same else [(one["name"], named ^ set(one["refused"]))]
    assert differ == []


def test_start_and_end_are_the_real_ones() -> None:
    assert [one["name"] for one, _, ours in ALL() if sorted(ours.start) != one["start"]] == []
    found = [(one, ours) for one, _, ours in ALL() if one["refusal"] != NO_START]
    assert [one["name"] for one, ours in found if sorted(ours.end) != one["end"]] == []


def test_a_refusal_always_names_a_layer() -> None:
    for one, _, ours in ALL():
        reached = [refusal for refusal in ours.refusals if refusal.reached]
        assert bool(ours.message) == bool(reached), one["name"]
        stages = {NO_START: Stage.START, NO_END: Stage.END}
        if reached:
            assert reached[0].stage is stages.get(ours.message, Stage.BETWEEN), one["name"]
        assert all(refusal.required and refusal.actual for refusal in ours.refusals), one["name"]


def test_classes_are_those_of_tf_keras() -> None:
    """What the policy's isinstance takes: SpatialDropout2D is a Dropout, Conv2DTranspose a Conv2D."""
    real = asked()["classes"]
    listed = {name for kind in ("Add", "Multiply", "ZeroPadding2D", "ReLU", "LeakyReLU", "ELU") for name in real[kind]}
    assert set(policy_layers.ALWAYS) == listed | set(real["Dropout"])
    assert set(policy_layers.CONVOLUTIONS) == set(real["Conv2D"])
    for kind in ("DepthwiseConv2D", "GlobalAveragePooling2D", "BatchNormalization", "UpSampling2D", "Activation"):
        assert real[kind] == [kind]


def test_the_same_from_the_files_themselves() -> None:
    try:
        folder = models.keras_models() / "sources"
    except models.Unavailable as reason:
        missing(str(reason), REQUIRE_KERAS)
    real = {one["name"]: one for one in asked()["models"]}
    compared, differ = 0, []
    for path in sorted([*folder.glob("*.keras"), *folder.glob("*.h5")]):
        if path.stem in real:
            ours = judge(read(path)[1])
            compared += 1
            if (ours.message or None) != real[path.stem]["refusal"] or sorted(ours.prunable) != real[path.stem][
                "prunable"
            ]:
                differ.append(path.name)
    assert differ == [] and compared >= 400


# Its answers to all models are stored, and compared above on each run.
@pytest.mark.more
@pytest.mark.tensorflow
def test_the_installed_policy_says_the_same(tmp_path: Path) -> None:
    out = tmp_path / "answers.json.xz"
    script = FIXTURES / "ask_tfmot_policy.py"
    subprocess.run([sys.executable, script, out, "--random", "20"], check=True, capture_output=True)
    for one in json.loads(lzma.decompress(out.read_bytes()))["models"]:
        ours = judge(read_model(one["config"]))
        assert (one["refusal"] or "") in ours.possible and sorted(ours.prunable) == one["prunable"], one["name"]


# --- words -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "stage", "layer", "required", "actual"),
    [
        ("stem_same", Stage.START, "conv2d", "ZeroPadding2D(1) before it", "padding='same'; InputLayer before it"),
        ("stem_stride_1", Stage.START, "conv2d", "strides=2", "strides=1x1"),
        ("stem_4_channels", Stage.START, "conv2d", "a 3x3 kernel over 3 channels", "3x3x4"),
        ("head_flatten", Stage.END, "dense", "a GlobalAveragePooling2D on every way", "Flatten flatten"),
        ("nested_head", Stage.END, "sequential", "a GlobalAveragePooling2D", "inside of a nested model"),
        ("body_act_tanh", Stage.BETWEEN, "activation", "one of relu, relu6", "tanh"),
        ("body_upsample_nearest", Stage.BETWEEN, "up_sampling2d", "interpolation='bilinear'", "nearest"),
        ("gate_without_keepdims", Stage.BETWEEN, "global_average_pooling2d", "keepdims=True", "keepdims=False"),
        ("wrapped_body", Stage.BETWEEN, "padded", "ZeroPadding2D(1) before it", "no single layer before it"),
    ],
)
def test_a_refusal_says_what_is_missing(name: str, stage: Stage, layer: str, required: str, actual: str) -> None:
    found = [r for r in judge(named(name)).refusals if r.stage is stage and r.path == layer]
    assert len(found) == 1
    assert required in found[0].required and actual in found[0].actual


def test_what_comes_after_the_first_error_is_named_too() -> None:
    """MobileNet: the policy stops at the stem, without a word on the four depthwise convolutions."""
    refusals = judge(named("mobilenet_v1")).refusals
    assert [(r.path, r.reached) for r in refusals] == [
        ("conv1", True),
        *((f"conv_dw_{block}", False) for block in (2, 4, 6, 12)),
    ]


def test_chance_is_reported() -> None:
    verdict = judge(named("nested_sequential_beside_refused"))
    assert verdict.possible == {"", verdict.message} and not verdict.takes
    assert "order of a Python set" in " ".join(verdict.notes)


def test_keepdims_of_the_last_pooling_is_not_looked_at() -> None:
    """Since 2021-06-23 (tensorflow/model-optimization 33a3718)."""
    for name in ("head_keepdims_flatten", "body_plain"):
        assert judge(named(name)).takes


def test_channels_are_found_without_weights_and_shapes() -> None:
    for name, takes in (("one_channel", False), ("made_three_channels", True), ("colours_converted", True)):
        config = next(one["config"] for one in asked()["models"] if one["name"] == name)
        config = json.loads(json.dumps(config).replace('"build_config"', '"forgotten"'))
        assert judge(read_model(config)).takes == takes, name


# --- the runtime beside it -------------------------------------------------------------------------------------------


def checked(name: str, tmp_path: Path) -> Any:
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps(next(one["config"] for one in asked()["models"] if one["name"] == name)))
    return check_with_policy(path, load_profile("litert-2.3", "x86-sse"))


@pytest.mark.parametrize(
    ("name", "does"),
    [
        ("body_act_tanh", {Does.ABLE, Does.SPARSE}),
        ("body_act_linear", {Does.NOTHING}),
        ("body_max_pool", {Does.DENSE, Does.BREAKS}),
        ("body_upsample_nearest", {Does.TFLITE}),
    ],
)
def test_the_runtime_has_its_own_mind(name: str, does: set[Does], tmp_path: Path) -> None:
    """Seen in LiteRT 2.3.0: tanh runs in the cluster, a linear activation is gone, a max pooling has no NCHW kernel."""
    report = checked(name, tmp_path)
    views = [runtime_view(r, report.plan).does for r in report.policy.refusals if r.stage is Stage.BETWEEN]
    assert views and set(views) <= does


def test_findings_stand_before_the_others(tmp_path: Path) -> None:
    findings = checked("mobilenet_v1", tmp_path).findings
    family = [finding for finding in findings if finding.rule.startswith("XNP")]
    assert [f.rule for f in findings[:5]] == [f.rule for f in family] == ["XNP101", *["XNP103"] * 4]
    assert "once it gets this far" in family[1].message and "the runtime" in family[1].message


def run(capsys: pytest.CaptureFixture, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        app(["check", "--policy", *arguments], prog_name="xnnlint")
    out, err = capsys.readouterr()
    return end.value.code or 0, out, err


def test_a_model_that_is_taken(capsys: pytest.CaptureFixture) -> None:
    code, out, _ = run(capsys, os.fspath(FIXTURES / "guide_sparse.keras"))
    assert code == 0 and "policy takes it and prunes 2 1x1 convolutions." in " ".join(out.split())


def test_a_wrapped_model(capsys: pytest.CaptureFixture) -> None:
    _, out, _ = run(capsys, os.fspath(FIXTURES / "guide_wrapped.h5"))
    assert "2 layers are wrapped in PruneLowMagnitude already" in " ".join(out.split())


def test_a_keras_3_model(capsys: pytest.CaptureFixture) -> None:
    _, out, _ = run(capsys, os.fspath(FIXTURES / "guide_keras3.keras"))
    assert "TFMOT takes tf_keras models only" in out


def test_a_tflite_model_has_no_layers(capsys: pytest.CaptureFixture) -> None:
    code, out, err = run(capsys, os.fspath(FIXTURES / "guide_sparse.tflite"))
    assert code == 2 and "this is no Keras model; pass the .keras or .h5 file" in err
    assert "1 unreadable" not in out


def test_refusals_make_the_exit_code_1(capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_text(json.dumps(next(one["config"] for one in asked()["models"] if one["name"] == "body_act_tanh")))
    code, out, _ = run(capsys, os.fspath(path))
    assert code == 1 and "XNP103     activation (Activation #" in out
    assert run(capsys, os.fspath(path), "--fail-on", "never")[0] == 0


def test_json_follows_its_schema(tmp_path: Path) -> None:
    profile = load_profile()
    reports = [checked(name, tmp_path) for name in ("body_act_tanh", "head_flatten", "body_plain")]
    reports.append(check_with_policy(FIXTURES / "guide_sparse.tflite", profile))
    printed = document(profile, reports)
    jsonschema.validate(printed, published_schema("report"))
    tanh, flatten, plain, tflite = printed["models"]
    (refusal,) = tanh["policy"]["refusals"]
    assert (
        refusal["layer"] == "activation" and refusal["stage"] == "between" and refusal["runtime"] in ("able", "sparse")
    )
    assert flatten["policy"]["message"] == NO_END and plain["policy"]["takes"]
    assert "policy" not in tflite and tflite["error"]


# --- the document ----------------------------------------------------------------------------------------------------


def documented() -> list[tuple[str, bool, str]]:
    """Of every row of the tables in docs/policy.md: model, whether the policy takes it, and the observed outcome."""
    rows = []
    for part in (ROOT / "docs" / "policy.md").read_text(encoding="utf-8").split("<!-- ")[1:]:
        for line in part.split("##")[0].splitlines():
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if line.startswith("| `"):
                rows.append((cells[0].strip("`"), part.startswith("taken"), cells[-1]))
    return rows


def test_the_document_has_the_verdicts_of_the_real_policy() -> None:
    real = {one["name"]: one["refusal"] is None for one in asked()["models"]}
    rows = documented()
    assert len(rows) >= 90
    assert [name for name, takes, _ in rows if real[name] != takes] == []


def test_the_outcomes_in_the_document_are_the_forecast_ones() -> None:
    try:
        folder = models.keras_models() / "sources"
    except models.Unavailable as reason:
        missing(str(reason), REQUIRE_KERAS)
    differ = []
    for name, takes, outcome in documented():
        if name in UNREADABLE:
            continue
        report = check_with_policy(folder / f"{name}.keras", load_profile("litert-2.3", "x86-sse"))
        if (report.policy.takes, report.plan.outcome.value) != (takes, outcome):
            differ.append((name, report.plan.outcome.value, outcome))
    assert differ == []


# --- the rules -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", policy_rules(), ids=lambda rule: rule.code)
def test_rules_are_documented(rule: Any, capsys: pytest.CaptureFixture) -> None:
    heads = [line[3:] for line in rule.documentation.splitlines() if line.startswith("## ")]
    assert tuple(heads) == SECTIONS
    with pytest.raises(SystemExit):
        app(["explain", rule.code.lower()], prog_name="xnnlint")
    assert rule.name in capsys.readouterr().out


def test_rules_are_listed(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        app(["rules"], prog_name="xnnlint")
    out = capsys.readouterr().out
    assert [rule.code for rule in policy_rules()] == ["XNP101", "XNP102", "XNP103", "XNP104"]
    assert all(rule.code in out for rule in policy_rules())


def from_set(name: str) -> Any:
    try:
        path = models.keras_models() / "sources" / f"{name}.keras"
    except models.Unavailable as reason:
        missing(str(reason), REQUIRE_KERAS)
    return check_with_policy(path, load_profile("litert-2.3", "x86-sse"))


@pytest.mark.parametrize(
    ("name", "does"),
    [
        ("body_act_tanh", Does.SPARSE),
        ("body_depth_to_space", Does.SPARSE),
        ("body_max_pool", Does.BREAKS),
        ("body_act_linear", Does.NOTHING),
        ("body_upsample_nearest", Does.TFLITE),
        ("body_residual_subtract", Does.DENSE),
    ],
)
def test_a_pruned_model_shows_what_the_layer_does_to_it(name: str, does: Does) -> None:
    """As runs of these models in LiteRT 2.3.0 went: sparse, sparse, wrong results, sparse, dense, dense."""
    report = from_set(name)
    (refusal,) = [r for r in report.policy.refusals if r.stage is Stage.BETWEEN]
    assert runtime_view(refusal, report.plan).does is does


def test_what_is_taken_and_fails() -> None:
    """LiteRT 2.3.0 does not load a pruned 1x1 classifier behind a pooling with keepdims."""
    report = from_set("head_keepdims_conv_pruned")
    (finding,) = [f for f in report.findings if f.rule.startswith("XNP")]
    assert report.policy.takes and finding.rule == "XNP104" and finding.actual == "fails"
