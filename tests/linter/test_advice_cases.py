"""Models whose advice was false, or could not be followed; what is true of each was seen in real runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import xnnlint
from tests.models import FIXTURES
from tests.rules.case_parts import Fill
from tests.rules.case_parts import model as built
from xnnlint.linter.findings import Finding, ModelReport, Severity
from xnnlint.loaders import load
from xnnlint.model.unwrapped import unwrapped
from xnnlint.modelbuilder.builder import ModelBuilder
from xnnlint.modelbuilder.building_blocks import stem, tail
from xnnlint.xnnpack.plan import Outcome
from xnnlint.xnnpack.planner import make_plan
from xnnlint.xnnpack.profile import load_profile

CASES = FIXTURES / "cases"
TORCH = Path(__file__).parents[1] / "data" / "torch_nchw.tflite"


def check(name: str) -> ModelReport:
    """The report on a case, as it is in its file."""
    return xnnlint.lint(CASES / name)


def found_all(report: ModelReport, rule: str) -> list[Finding]:
    return [f for f in report.findings if f.rule == rule]


def found(report: ModelReport, rule: str) -> Finding:
    (finding,) = found_all(report, rule)
    return finding


def check_built(fill: Fill, folder: Path) -> ModelReport:
    path = folder / "built.tflite"
    path.write_bytes(built(fill))
    return xnnlint.lint(path)


def words(finding: Finding) -> str:
    return f"{finding.message} {finding.actual} {finding.fix.title if finding.fix else ''}"


# -- pruning wrappers ------------------------------------------------------------------------------------------


def test_forgotten_wrappers_are_the_change_and_not_what_they_bring_about() -> None:
    report = check("m1_nostrip.tflite")
    assert [(f.rule, f.severity) for f in report.findings] == [("XNN306", Severity.ERROR), ("XNN601", Severity.NOTE)]
    unlocks = report.findings[0].unlocks
    assert unlocks is not None and unlocks.in_smallest_set and unlocks.alone == 5


def test_a_model_without_its_wrappers_has_the_zeros_of_its_masks_and_no_batch_normalization(tmp_path: Path) -> None:
    """TensorFlow's converter folds the batch normalization, as in the same model after strip_pruning."""
    stripped = unwrapped(load(CASES / "m1_nostrip.tflite"))
    assert stripped is not None
    plan = make_plan(stripped[0], load_profile())
    types = {op.type for op in plan.graph.operators}
    assert types == {"PAD", "CONV_2D", "DEPTHWISE_CONV_2D", "MEAN", "FULLY_CONNECTED"}
    assert plan.summary is not None and plan.summary.pointwise_convs == 5
    assert 0.78 < plan.summary.pointwise_zeros / plan.summary.pointwise_params < 0.82
    assert plan.outcome is Outcome.DENSE, "nothing is stored sparse yet"
    assert unwrapped(stripped[0]) is None


# -- what is pruned ----------------------------------------------------------------------------------------------


def test_kernels_without_spmm_are_named_where_they_alone_are_pruned() -> None:
    """Only the 3x3 stem of this model is pruned, and stored sparse."""
    finding = found(check("m2_only3x3.tflite"), "XNN301")
    assert "only 3x3 kernels are pruned" in finding.actual and "for which there is no SpMM" in finding.actual
    assert "stored sparse" not in words(finding)
    assert finding.fix is not None and finding.fix.title == "prune the 1x1 convolutions to 0.75 to 0.8"


def two_of_four(g: ModelBuilder) -> None:
    """The larger two of four neighbours stay, as `sparsity_m_by_n=(2, 4)` leaves them."""
    x = g.depthwise(stem(g), fused="RELU")
    kernel = np.random.default_rng(1).normal(size=(16, 2, 4)).astype(np.float32)
    kernel[np.argsort(np.argsort(np.abs(kernel), axis=2), axis=2) < 2] = 0
    kernel = g.weight((16, 1, 1, 8), 8, storage="sparse", data=kernel.reshape(16, 1, 1, 8))
    tail(g, g.conv2d(x, 16, weights=kernel))


def test_a_pattern_of_n_of_m_is_told_from_too_little_pruning(tmp_path: Path) -> None:
    finding = found(check_built(two_of_four, tmp_path), "XNN301")
    assert "50.0% (64 of 128" in finding.actual
    assert "2 of every 4 weights are zero, which never passes 2/3" in words(finding)

    def half(g: ModelBuilder) -> None:
        tail(g, g.conv2d(g.depthwise(stem(g)), 16, zeros=0.5, storage="sparse"))

    plain = found(check_built(half, tmp_path), "XNN301")
    assert "prune 22 more" in words(plain), "2/3 of 128 are 85.3, and 64 are zero"
    assert "stored sparse and run dense" in plain.message


# -- nothing that SpMM could run -----------------------------------------------------------------------------------


def strided(g: ModelBuilder) -> None:
    """As the shortcuts of ResNet18."""
    x = g.conv2d(stem(g), 16, stride=2, zeros=0.8, storage="sparse", name="downsample")
    tail(g, g.conv2d(x, 16, 3, padding="SAME"))


def test_a_1x1_convolution_that_is_not_plain_is_one(tmp_path: Path) -> None:
    finding = found(check_built(strided, tmp_path), "XNN304")
    assert finding.message.startswith("no 1x1 convolution of the model is a plain one")
    assert finding.actual.startswith("stride 2x2 at downsample_1, and 1 CONV_2D of larger kernels around")
    assert finding.fix is not None and finding.location.type == "CONV_2D"
    assert "SeparableConv2D" in finding.fix.title and "DepthwiseConv2D(3, strides=2" in finding.fix.title


def test_a_pruned_model_without_1x1_convolutions_is_told_of_sizes() -> None:
    report = check("c03_tfmot722_nosparsity.tflite")
    finding = found(report, "XNN304")
    assert "make it smaller, and not faster" in finding.actual and finding.fix is None
    assert report.size is not None and report.size.sparse < report.size.dense / 3 and report.size.gzipped is not None


def dense_only(g: ModelBuilder) -> None:
    g.output(g.fully_connected(g.input((1, 64)), 10, name="dense"))


def custom(g: ModelBuilder) -> None:
    x = g.conv2d(stem(g), 16, 3, padding="SAME")
    g.output(g.custom_op("FlexMine", [x], [x.shape])[0])


def test_no_convolution_is_advised_for_dense_layers_and_custom_operators(tmp_path: Path) -> None:
    for fill in (dense_only, custom):
        assert "SeparableConv2D" not in words(found(check_built(fill, tmp_path), "XNN304"))


# -- what can be followed --------------------------------------------------------------------------------------------


def test_a_1x1_head_behind_a_pooling_becomes_a_dense_layer() -> None:
    """Flatten and Reshape in front of the convolution were tried: with a fixed batch the converter folds both away."""
    for rule in ("XNN601", "XNN902"):
        said = words(found(check("k3_batch_fixed.keras"), rule))
        assert "a Dense layer of the same weights in the place of conv2d_3" in said and "reshape back" not in said


def test_an_image_of_unknown_size_is_to_be_fixed_and_not_the_batch() -> None:
    report = check("tfk_dynamic_fcn.keras")
    fix = found(report, "XNN902").fix
    assert fix is not None and fix.title == "fix height and width of the image: keras.Input((height, width, channels))"
    assert "batch 1" not in " ".join(map(words, report.findings))
    assert not any(f.rule == "XNN100" for f in report.findings), "the integers are of a shape, and nothing is quantized"


def test_a_constant_that_a_layer_brings_is_not_to_be_turned_round() -> None:
    """Both ways were converted and run: sparse."""
    division, activation = (
        found_all(check(f"{name}.keras"), "XNN105") for name in ("tfk_mbv3_hswish_div", "k3_mbv3_hswish_layer")
    )
    assert {f.fix.title for f in division if f.fix} == {
        "multiply by the reciprocal instead of dividing: tf.constant(1 / c, shape=[1, 1, 1, 1]) * x"
    }
    assert {f.fix.title for f in activation if f.fix} == {
        "write hard_sigmoid out, the constants first: k * tf.nn.relu6(x + 3.0), with k = tf.constant(1 / 6, "
        "shape=[1, 1, 1, 1])"
    }


@pytest.mark.parametrize(
    ("name", "said", "gained"),
    [
        ("tfk_se_is_dense.keras", "Conv2D(units, 1) in the place of each Dense", 2),
        ("tfk_se_is_expand.keras", "set keepdims=True in the pooling and drop", 6),
    ],
)
def test_a_gate_that_is_computed_of_a_vector_is_one_change(name: str, said: str, gained: int) -> None:
    """As 1x1 convolutions on the pooled map the blocks were seen to run sparse."""
    report = check(name)
    first, second, *others = report.findings
    for finding in (first, second):
        assert finding.rule == "XNN401" and said in words(finding)
        assert finding.unlocks is not None and finding.unlocks.in_smallest_set and finding.unlocks.with_others == gained
    assert [f.rule for f in others] == ["XNN204", "XNN601"]
    assert "drop the output" not in words(others[0]), "its value is no output of the model"


def test_what_is_from_pytorch_is_told_in_its_words() -> None:
    report = xnnlint.lint(TORCH)
    assert "let `xnnlint fix` store them sparse" in words(found(report, "XNN302"))
    assert all("litert_torch.to_channel_last_io" in words(f) for f in found_all(report, "XNN110"))


# -- weights that are misread ----------------------------------------------------------------------------------------


def misread(g: ModelBuilder) -> None:
    """Sparse and right, but for a head whose float16 weights are stored sparse, with no DENSIFY."""
    x = g.conv2d(g.depthwise(stem(g), fused="RELU"), 16, zeros=0.8, storage="sparse")
    g.output(g.fully_connected(g.mean(x), 16, zeros=0.8, storage="sparse_direct_fp16", block=4))


def test_what_is_left_once_misread_weights_are_stored_dense(tmp_path: Path) -> None:
    """Nothing: that is the one change, and the model without it would be sparse."""
    report = check_built(misread, tmp_path)
    assert report.plan is not None and report.plan.outcome is not Outcome.SPARSE
    assert [(f.rule, f.severity) for f in report.findings] == [("XNN404", Severity.ERROR), ("XNN601", Severity.NOTE)]
