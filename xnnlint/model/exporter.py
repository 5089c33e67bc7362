"""Who wrote a file, which decides in whose words a person is told what to change."""

from __future__ import annotations

from enum import Enum


class Exporter(str, Enum):
    """The program that wrote a .tflite file, or the format of another file; the value is its name in JSON.

    `KERAS`: TFLiteConverter.from_keras_model, and Keras files themselves. `TENSORFLOW`: the same converter, of a
    SavedModel or of functions. `TOCO`: the converter before 2.2. `LITERT_TORCH`: also under its old name,
    ai-edge-torch. `ONNX2TF`: PyTorch by way of ONNX, as a rule.
    """

    KERAS = "keras"
    TENSORFLOW = "tensorflow"
    JAX = "jax"
    LITERT_TORCH = "litert-torch"
    ONNX2TF = "onnx2tf"
    TOCO = "toco"
    UNKNOWN = "unknown"

    @property
    def is_of_pytorch(self) -> bool:
        """Whether the model was, or as good as certainly was, written in PyTorch."""
        return self in (Exporter.LITERT_TORCH, Exporter.ONNX2TF)

    @property
    def source(self) -> str:
        """What a person changes, who changes the model; of who is not known, what advice is written for."""
        if self.is_of_pytorch:
            return "PyTorch"
        return _SOURCES.get(self, "Keras")


_SOURCES = {Exporter.TENSORFLOW: "TensorFlow", Exporter.TOCO: "TensorFlow", Exporter.JAX: "JAX"}
