"""Runtime profiles: the data itself, the predictions against kept runs of real releases, and `portable`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.difftest import bugs, matrix, outcomes
from tests.difftest.tfmot_policy import REFUSES, TAKES, says_otherwise, verdict
from tests.models import ROOT
from xnnlint.errors import XnnlintError
from xnnlint.linter import engine
from xnnlint.linter.findings import Severity
from xnnlint.loaders import load
from xnnlint.modelbuilder.builder import ModelBuilder
from xnnlint.modelbuilder.patterns import PATTERNS
from xnnlint.xnnpack.fp16 import METADATA, allows_fp16
from xnnlint.xnnpack.plan import Outcome
from xnnlint.xnnpack.planner import make_plan
from xnnlint.xnnpack.profile import PORTABLE, Profile, _data, cpus, every_runtime, load_profile, runtimes

RUNTIMES = [name for name in runtimes() if name != PORTABLE]


@pytest.fixture(scope="module")
def predicted() -> dict[str, dict[str, str | None]]:
    return matrix.predictions(RUNTIMES)


def model_file(name: str, folder: Path, metadata: dict[str, bytes] | None = None) -> Path:
    path = folder / f"{name}.tflite"
    if metadata is None:
        path.write_bytes(PATTERNS[name].build())
    else:
        builder = ModelBuilder(1)
        PATTERNS[name].fill(builder)
        path.write_bytes(builder.build(metadata=metadata))
    return path


# -- the data ---------------------------------------------------------------------------------------------------------


def test_the_profiles_asked_for_are_there():
    assert set(RUNTIMES) >= {"litert-2.3", "litert-2.1", "litert-2.0", "litert-1.4", "litert-1.1", "tf-2.18", "tf-2.4"}
    assert set(cpus()) >= {"arm64", "arm64-fp16", "arm32-neon", "x86-sse", "x86-avx", "wasm-simd", "riscv-v"}


@pytest.mark.parametrize("cpu", cpus())
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_every_fact_has_a_source_and_says_how_it_is_known(runtime: str, cpu: str):
    profile = load_profile(runtime, cpu)
    assert profile.facts.keys() == load_profile().facts.keys()
    for name, fact in profile.facts.items():
        assert len(fact.source) > 15, name
        assert fact.verified in ("run", "source"), name


def test_code_asks_for_every_fact_and_for_no_other():
    code = "\n".join(p.read_text(encoding="utf-8") for d in ("xnnlint", "rules") for p in (ROOT / d).rglob("*.py"))
    asked = set(re.findall(r"""(?:profile|self|facts)\[['"]([a-z0-9_]+)['"]\]""", code)) - {"name_of_fact"}
    assert asked == set(load_profile().facts)


@pytest.mark.parametrize("runtime", RUNTIMES[1:])
def test_a_profile_only_states_what_differs_from_the_one_it_is_based_on(runtime: str):
    entry = _data("runtimes.json")["runtimes"][runtime]
    base = load_profile(entry["based_on"])
    for name, fact in entry["facts"].items():
        assert fact["value"] != base[name], name


def test_an_unknown_profile_is_one_sentence_with_the_known_ones():
    with pytest.raises(XnnlintError, match=r"unknown runtime 'mine'; known are litert-2\.3, .*portable"):
        load_profile("mine")
    with pytest.raises(XnnlintError, match=r"unknown CPU 'mips'; known are arm64, "):
        load_profile(cpu="mips")


# -- predictions against real runs ------------------------------------------------------------------------------------


def test_nearly_all_patterns_were_run_as_they_are_now():
    seen = outcomes.read()
    current = [name for name, pattern in PATTERNS.items() if seen.is_current(pattern)]
    assert len(current) > 0.95 * len(PATTERNS), "python -m tests.difftest matrix --observe all"
    assert list(seen.seen) == list(outcomes.RELEASES)


@pytest.mark.parametrize("release", outcomes.RELEASES)
def test_predictions_agree_with_what_the_release_did(release: str, predicted: dict[str, dict[str, str | None]]):
    seen = outcomes.read()
    compared, wrong = 0, []
    for name, pattern in PATTERNS.items():
        was = seen.get(release, name)
        if was is None or not seen.is_current(pattern) or (release, name) in outcomes.EXPLAINED:
            continue
        compared += 1
        said = predicted[outcomes.RELEASES[release]][name]
        if said != was:
            wrong.append((name, said, was))
    assert not wrong
    assert compared > 450


def test_the_releases_differ_where_the_facts_say_so():
    """A profile that were a copy of another would agree with neither of its releases here."""
    seen = outcomes.read()

    def was(name: str) -> str:
        return "".join((seen.get(r, name) or "?")[0] for r in ("2.3.0", "2.0.2", "1.2.0", "1.0.1"))

    assert was("maximum_const_scalar") == "swww"
    assert was("base") == "ssds"
    assert was("mean_keep_pw_pruned") == "fwws"
    assert was("unary_tanh") == "ssdw"
    assert was("add_xx") == "ddds"
    assert (seen.get("2.0.2", "add_xx"), seen.get("1.4.0", "add_xx")) == ("dense", "sparse")


def test_the_matrix_is_what_its_command_writes(predicted: dict[str, dict[str, str | None]]):
    text = "\n".join(matrix.render(outcomes.read(), predicted)) + "\n"
    assert text == matrix.DOCUMENT.read_text(encoding="utf-8"), "python -m tests.difftest matrix"


def test_the_list_of_runtime_bugs_is_what_the_command_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    text = "\n".join(bugs.render(outcomes.read())) + "\n"
    assert text == bugs.DOCUMENT.read_text(encoding="utf-8"), "python -m tests.difftest matrix"
    committed = {path.name: path.read_bytes() for path in bugs.FIXTURES.iterdir()}
    monkeypatch.setattr(bugs, "FIXTURES", tmp_path)
    bugs.write_fixtures()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == committed


@pytest.mark.parametrize("bug", bugs.BUGS, ids=lambda bug: bug.patterns[0])
def test_a_bug_was_seen_and_its_contrast_is_right(bug: bugs.Bug):
    seen = outcomes.read()

    def of(name: str) -> set[str | None]:
        return {seen.get(release, name) for release in outcomes.RELEASES}

    for name in bug.patterns if not bug.unseen else ():
        assert of(name) & {"wrong-results", "fails"}, name
    for name in bug.contrast:
        assert not of(name) & {"wrong-results", "fails"}, name


def test_the_policy_of_tfmot_is_marked_where_it_says_otherwise():
    assert verdict(PATTERNS["pad_mid"]) == TAKES
    assert says_otherwise(PATTERNS["pad_mid"], "wrong-results")
    assert verdict(PATTERNS["unary_tanh"]) == REFUSES
    assert says_otherwise(PATTERNS["unary_tanh"], "sparse")
    assert not says_otherwise(PATTERNS["residual_add"], "sparse")
    assert not says_otherwise(PATTERNS["max_pool_2x2"], "wrong-results")
    assert verdict(PATTERNS["dead_branch"]) is None


# -- fp16 arithmetic --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        (b"fp16accfp16", True),
        (b"fp16bf16accfp16\0", True),
        (b"fp16accfp32", False),
        (b"bf16accfp16", False),
        (b"", False),
    ],
)
def test_which_metadata_allows_fp16(text: bytes, allowed: bool):
    assert allows_fp16({METADATA: text}) is allowed


FP16_KERNELS = """Convert (NC)
Constant Pad (ND, X16)
Convolution (NHWC, F16) IGEMM
Convolution (NHWC, F16) DWConv
Fully Connected (NC, F16) GEMM
Mean (ND) Reduce2
Static Reshape (NC)
Fully Connected (NC, F16) GEMM
Convert (NC)"""
"""Seen in LiteRT 2.3.0 on an emulated Neoverse N1."""


def test_fp16_arithmetic_is_dense_since_2_2_and_breaks_before(tmp_path: Path):
    model = load(model_file("fp16_metadata", tmp_path))
    newest = make_plan(model, load_profile("litert-2.3", "arm64-fp16"))
    assert newest.outcome is Outcome.DENSE
    assert [k.kernel for k in newest.operators] == FP16_KERNELS.splitlines()
    assert make_plan(model, load_profile("litert-2.1", "arm64-fp16")).outcome is Outcome.FAILS
    assert make_plan(model, load_profile("litert-2.3", "arm64")).outcome is Outcome.SPARSE


def test_fp16_arithmetic_harms_no_dense_model_in_2_1(tmp_path: Path):
    """Seen in LiteRT 2.1.2 on an emulated Neoverse N1: dense, with convert nodes at both ends."""
    model = load(model_file("dense_weights", tmp_path, {METADATA: b"fp16accfp16"}))
    plan = make_plan(model, load_profile("litert-2.1", "arm64-fp16"))
    assert plan.outcome is Outcome.DENSE
    assert [k.kernel for k in plan.operators][0::7] == ["Convert (NC)", "Convert (NC)"]


# -- portable ---------------------------------------------------------------------------------------------------------


def test_portable_has_the_facts_that_all_share():
    portable = load_profile(PORTABLE)
    assert portable.is_portable
    assert portable.name == "portable on arm64"
    for profile in every_runtime():
        assert all(profile[name] == fact.value for name, fact in portable.facts.items())
    assert "unary_in_cluster" not in portable.facts


@pytest.mark.parametrize(
    ("pattern", "outcome"),
    [
        ("mean_keep_reshape", Outcome.SPARSE),  # keepdims and a reshape: right everywhere
        ("mean_softmax", Outcome.DENSE),  # without keepdims the oldest runtime runs dense
        ("mean_keep_softmax", Outcome.WRONG_RESULTS),
        ("mean_keep_pw_pruned", Outcome.FAILS),  # fails in 2.2, wrong in 2.0, right in 1.0
        ("unary_tanh", Outcome.WRONG_RESULTS),  # sparse in 2.3, wrong in 1.0
    ],
)
def test_portable_is_as_bad_as_the_worst_runtime(pattern: str, outcome: Outcome, tmp_path: Path):
    model = load(model_file(pattern, tmp_path))
    plan = make_plan(model, load_profile(PORTABLE, "x86-sse"))
    assert plan.outcome is outcome
    assert outcome in {make_plan(model, profile).outcome for profile in every_runtime("x86-sse")}


def report(pattern: str, folder: Path, profile: Profile):
    return engine.check_model(model_file(pattern, folder), profile)


def test_portable_findings_say_where_they_hold(tmp_path: Path):
    found = report("unary_tanh", tmp_path, load_profile(PORTABLE))
    by_rule = {f.rule: f for f in found.findings}
    assert by_rule["XNN107"].message.endswith("[tf-2.18]")
    assert found.plan is not None
    assert found.plan.profile.runtime == "tf-2.18"


def test_keepdims_is_an_error_in_portable_and_a_note_elsewhere(tmp_path: Path):
    def severities(profile: Profile) -> set[Severity]:
        return {f.severity for f in report("mean_softmax", tmp_path, profile).findings if f.rule == "XNN601"}

    assert severities(load_profile()) == {Severity.NOTE}
    assert severities(load_profile(PORTABLE)) == {Severity.ERROR}
    (finding,) = (f for f in report("mean_softmax", tmp_path, load_profile(PORTABLE)).findings if f.rule == "XNN601")
    assert finding.message.startswith("this runtime leaves") and finding.message.endswith("[tf-2.4]")


def test_a_portable_model_has_no_findings(tmp_path: Path):
    assert report("mean_keep_reshape", tmp_path, load_profile(PORTABLE)).findings == []
