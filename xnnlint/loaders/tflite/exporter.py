"""Which program wrote a .tflite file, by what it leaves in it.

TFLiteConverter says in its metadata what it converted (tensorflow/tensorflow tensorflow/lite/schema/
conversion_metadata.fbs). The others say nothing, but name tensors after what they see: litert-torch after the modules
of PyTorch, onnx2tf after the functions of TensorFlow of which it builds the model, or after ONNX's nodes with "wa" in
front of a leading slash (seen in exports of litert-torch 0.10 and onnx2tf 1.29; PINTO0309/onnx2tf onnx2tf/onnx2tf.py).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from xnnlint.loaders.tflite.flatbuffer import Malformed, Reader, Table
from xnnlint.loaders.tflite.schema_tables import Field
from xnnlint.model.exporter import Exporter
from xnnlint.model.graph import Signature, Tensor

METADATA = "CONVERSION_METADATA"
# Set by the converter that litert-torch brings.
_STABLEHLO = "keep_stablehlo_constant"
_ENVIRONMENT, _MODEL_TYPE = Field(0, "Environment", False, "", 0), Field(2, "ModelType", False, "i", 0)
# ModelType by number; NONE stands for nothing known.
_BY_MODEL_TYPE = {
    1: Exporter.TENSORFLOW,
    2: Exporter.KERAS,
    3: Exporter.TENSORFLOW,
    4: Exporter.TENSORFLOW,
    5: Exporter.TENSORFLOW,
    6: Exporter.JAX,
}
_OF_TORCH = re.compile(r"torch\.nn\.modules|litert_torch|ai_edge_torch")
_OF_ONNX2TF = re.compile(r"(^|/)(tf\.nn\.convolution|tf\.compat\.v1\.(nn\.depthwise_conv2d|pad)|wa/)")
_TORCH_INPUT = re.compile(r"args_\d+")
_MOST_NAMES = 5_000


def exporter_of(
    description: str, metadata: Mapping[str, bytes], tensors: Sequence[Tensor], signatures: Iterable[Signature]
) -> Exporter:
    """Who wrote a file.

    Args:
        description: the file's own.
        metadata: its entries by name.
        tensors: of its main subgraph.
        signatures: its entry points.
    """
    names = [tensor.name for tensor in islice(tensors, _MOST_NAMES)]
    if any(_OF_TORCH.search(name) for name in names):
        return Exporter.LITERT_TORCH
    if any(_OF_ONNX2TF.search(name) for name in names):
        return Exporter.ONNX2TF
    arguments = [name for signature in signatures for name in signature.inputs]
    if _STABLEHLO in metadata and arguments and all(map(_TORCH_INPUT.fullmatch, arguments)):
        return Exporter.LITERT_TORCH
    if description.startswith("TOCO"):
        return Exporter.TOCO
    return _BY_MODEL_TYPE.get(_model_type(metadata.get(METADATA, b"")), Exporter.UNKNOWN)


def _model_type(data: bytes) -> int:
    """What was converted, 0 where the metadata does not say."""
    try:
        reader = Reader(data, len(data))
        root = Table(reader, reader.follow(0), {"environment": _ENVIRONMENT})
        if not root.has("environment"):
            return 0
        environment = Table(reader, reader.follow(root.place("environment")), {"model_type": _MODEL_TYPE})
        return int(environment.scalar("model_type"))
    except (Malformed, struct.error):
        return 0
