"""Files in formats that are not read, by their names and first bytes: what each is, and what to check instead."""

from __future__ import annotations

import os
from pathlib import Path

from xnnlint.errors import ModelError
from xnnlint.loaders.addresses import is_address
from xnnlint.loaders.model_names import MODELS

_OWN_RUNTIME = "convert the model that it was made from to .tflite, and check that"
_TORCH = "convert the model to .tflite with litert-torch (once ai-edge-torch), and check that"

# By their names, since most are zip archives or protocol buffers that say nothing of themselves.
_BY_SUFFIX = {
    ".onnx": ("this is an ONNX model", "convert it to .tflite, with onnx2tf say, and check that"),
    ".pb": (
        "this is a TensorFlow graph",
        "convert it with tf.compat.v1.lite.TFLiteConverter.from_frozen_graph, and check the .tflite file",
    ),
    ".pt": ("this is a PyTorch file", _TORCH),
    ".pth": ("this is a PyTorch file", _TORCH),
    ".pt2": ("this is a PyTorch program", _TORCH),
    ".ckpt": ("this is a checkpoint, weights without a model", "check the model that they belong to"),
    ".safetensors": ("these are weights without a model", "check the model that they belong to"),
    ".pte": ("this is an ExecuTorch program, which LiteRT does not run", _OWN_RUNTIME),
    ".mlmodel": ("this is a Core ML model, which LiteRT does not run", _OWN_RUNTIME),
    ".mlpackage": ("this is a Core ML model, which LiteRT does not run", _OWN_RUNTIME),
    ".task": (
        "this is a MediaPipe bundle, a zip archive of .tflite files",
        "unpack it with `unzip`, and check the folder",
    ),
}
_SAVED_MODEL = "saved_model.pb"
_TFJS_FILE = "model.json"
_TFJS_WORD = b'"modelTopology"'

# By their first bytes, whatever they are called.
_BY_HEAD = (
    (b"version https://git-lfs", "this is a Git LFS pointer, not the model itself", "run `git lfs pull`"),
    (b"\x1f\x8b", "this is a gzip file, not a TFLite model", "unpack it first"),
    (b"\x89PNG", "this is a picture, not a model", MODELS),
    (b"\xff\xd8\xff", "this is a picture, not a model", MODELS),
    (b"%PDF", "this is a PDF document, not a model", MODELS),
    (b"\x7fELF", "this is a program, not a model", MODELS),
    (b"<", "this is a web page or XML, not a TFLite model", "check where the download came from"),
)


def refuse_url(path: str | os.PathLike[str]) -> None:
    """Raises:
    ModelError: this is the address of something, and no file.
    """
    if is_address(os.fspath(path)):
        raise ModelError(path, "this is an address, and files alone are read here", "download it first")


def refuse_named(path: str | os.PathLike[str]) -> None:
    """Of a file that is there and is no .tflite file.

    Raises:
        ModelError: its name says that it is in a format that is not read.
    """
    place = Path(path)
    if place.name == _SAVED_MODEL:
        folder = os.path.dirname(path) or "."  # noqa: PTH120 (Path would take one slash from an address)
        raise ModelError(path, "this is a part of a SavedModel", f"name its folder: {folder}")
    if place.suffix.lower() in _BY_SUFFIX:
        raise ModelError(path, *_BY_SUFFIX[place.suffix.lower()])


def refuse_folder(path: str | os.PathLike[str]) -> None:
    """Of a folder that holds no model.

    Raises:
        ModelError: it holds one in a format that is not read.
    """
    place = Path(path)
    if place.suffix.lower() in _BY_SUFFIX:
        raise ModelError(path, *_BY_SUFFIX[place.suffix.lower()])
    if _is_tfjs(place / _TFJS_FILE):
        raise ModelError(path, "this folder holds a TensorFlow.js model", f"name its file: {place / _TFJS_FILE}")


def refuse_by_head(path: str | os.PathLike[str], head: bytes) -> None:
    """Raises:
    ModelError: a file begins as one of another format.
    """
    for magic, problem, advice in _BY_HEAD:
        if head.startswith(magic):
            raise ModelError(path, problem, advice)
    if _is_text(head):
        raise ModelError(path, "this is a text file, not a TFLite model", MODELS)


def _is_text(head: bytes) -> bool:
    """Whether a file begins with words; a model begins with offsets, which have bytes of 0."""
    text = head.decode("utf-8", errors="ignore")  # the last character may be cut
    return len(text.encode()) > len(head) - 4 and all(char.isprintable() or char in "\t\n\r" for char in text)


def _is_tfjs(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            return _TFJS_WORD in stream.read(4096)
    except OSError:
        return False
