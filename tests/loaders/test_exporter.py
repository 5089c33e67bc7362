"""Who wrote a file: by what converters and exporters leave in it, and what a person is told then."""

from __future__ import annotations

import re

import pytest

from tests.models import FIXTURES
from xnnlint.linter.engine import find
from xnnlint.linter.rule_registry import all_rules
from xnnlint.loaders import load
from xnnlint.loaders.tflite.exporter import METADATA, exporter_of
from xnnlint.loaders.tflite.read_tflite import load_bytes
from xnnlint.model.exporter import Exporter
from xnnlint.model.graph import Signature, Tensor
from xnnlint.modelbuilder.patterns import named_patterns
from xnnlint.xnnpack.planner import make_plan
from xnnlint.xnnpack.profile import load_profile

# A layer or a function of Keras and TensorFlow.
KERAS = re.compile(
    r"ZeroPadding2D|\bConv2D|DepthwiseConv2D|AveragePooling2D|\bFlatten\b(?<!nn\.Flatten)|\bReshape\b|SeparableConv2D"
    r"|\btf\.|EXPERIMENTAL_SPARSITY|\bkeepdims\b|\bDense\b|UpSampling2D"
)


def written(
    *names: str, description: str = "", metadata: dict[str, bytes] | None = None, inputs: str = "x"
) -> Exporter:
    tensors = [Tensor(index, name, "FLOAT32", ()) for index, name in enumerate(names)]
    return exporter_of(description, metadata or {}, tensors, [Signature("serving_default", 0, {inputs: 0}, {})])


# As the exporters named tensors of one small network each: litert-torch 0.10, onnx2tf 1.29, TensorFlow 2.21.
@pytest.mark.parametrize(
    "name, exporter",
    [
        ("N/torch.nn.modules.container.Sequential_b/torch.nn.modules.conv.Conv2d_0;", Exporter.LITERT_TORCH),
        ("litert_torch._convert.to_channel_last_io.ChannelLastIOWrapper/__main__.N_wrapped", Exporter.LITERT_TORCH),
        ("model_1/tf.nn.relu/Relu;model_1/tf.math.add/Add;model_1/tf.nn.convolution/convolution;x", Exporter.ONNX2TF),
        ("model_1/tf.compat.v1.nn.depthwise_conv2d_3/depthwise", Exporter.ONNX2TF),
        ("model/wa/features/features.0/Conv", Exporter.ONNX2TF),
        ("model/tf.nn.relu/Relu", Exporter.UNKNOWN),
        ("model/conv2d/Conv2D", Exporter.UNKNOWN),
        ("swallow/warbler", Exporter.UNKNOWN),
    ],
)
def test_names_of_tensors_tell(name, exporter):
    assert written("serving_default_x:0", name) is exporter


def test_what_else_tells():
    torch = {"keep_stablehlo_constant": b"true"}
    assert written(metadata=torch, inputs="args_0") is Exporter.LITERT_TORCH
    assert written(metadata=torch, inputs="image") is Exporter.UNKNOWN
    assert written(description="TOCO Converted.") is Exporter.TOCO
    assert written(description="MLIR Converted.") is Exporter.UNKNOWN


def test_metadata_of_the_converter():
    assert load(str(FIXTURES / "guide_sparse.tflite")).exporter is Exporter.KERAS


@pytest.mark.parametrize("data", [b"", b"\0", b"\xff" * 40, b"\x10\0\0\0" + b"\0" * 30, b"\x0c\0\0\0\x08\0\x0e\0" * 3])
def test_damaged_metadata_tell_nothing(data):
    assert written(metadata={METADATA: data}) is Exporter.UNKNOWN


def findings(data: bytes, exporter: Exporter):
    model = load_bytes(data, "model.tflite")
    model.exporter = exporter
    return find(make_plan(model, load_profile("litert-2.3", "arm64")))


BROKEN = ("stem_same", "pw_stride2", "exit_flatten", "concat_2", "resize_nearest", "conv_3x3", "dw_7x7")
PATTERNS = {pattern.name: pattern for pattern in named_patterns()}


@pytest.mark.parametrize("name", [name for name in BROKEN if name in PATTERNS])
def test_advice_is_in_the_words_of_who_wrote_the_model(name):
    """The same findings, and of those whose rule has words of PyTorch none that names a layer of Keras."""
    data = PATTERNS[name].build()
    keras, torch = (findings(data, exporter) for exporter in (Exporter.KERAS, Exporter.LITERT_TORCH))
    assert [f.rule for f in keras] == [f.rule for f in torch]
    rules = {rule.code: rule for rule in all_rules()}
    for finding in torch:
        if finding.fix is not None and rules[finding.rule].terms:
            assert not KERAS.search(finding.fix.title), finding


def test_a_stem_is_told_as_torch_writes_it():
    name = next(name for name in ("stem_same_even", "stem_5x5", "stem_same") if name in PATTERNS)
    titles = [f.fix.title for f in findings(PATTERNS[name].build(), Exporter.ONNX2TF) if f.rule == "XNN101" and f.fix]
    assert titles and all("nn.Conv2d(3, filters, 3, stride=2, padding=1)" in title for title in titles)


def test_advice_names_what_the_model_is_written_in() -> None:
    sources = {exporter.value: exporter.source for exporter in Exporter}
    assert sources == {
        "keras": "Keras",
        "tensorflow": "TensorFlow",
        "jax": "JAX",
        "litert-torch": "PyTorch",
        "onnx2tf": "PyTorch",
        "toco": "TensorFlow",
        "unknown": "Keras",
    }
