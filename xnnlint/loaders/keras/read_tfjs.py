"""Reads TensorFlow.js layers models: model.json with a Keras config, and the shards that it lists with the weights.

Source: tensorflow/tfjs tfjs-core/src/io/types.ts `ModelJSON`, `WeightsManifestGroupConfig`, `WeightsManifestEntry`;
tfjs-converter/python/tensorflowjs/read_weights.py for quantized ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xnnlint.keras.description import KerasModel
from xnnlint.loaders.keras.read_config import DAMAGED, Unreadable, read_model
from xnnlint.loaders.keras.read_h5 import share_out
from xnnlint.loaders.keras.read_mapped import map_file

if TYPE_CHECKING:
    import numpy as np

Variable = Callable[[], "np.ndarray"]

# Size in bytes, and how numpy sees what is stored.
_TYPES = {
    "float32": (4, "<f4"), "float16": (2, "<f2"), "int32": (4, "<i4"), "uint8": (1, "u1"), "uint16": (2, "<u2"),
    "bool": (1, "?"),
}  # fmt: skip
_MOST_SHARDS = 10_000


def is_tfjs(entry: Any) -> bool:
    """Whether parsed JSON is the model.json of TensorFlow.js."""
    return isinstance(entry, dict) and "modelTopology" in entry


def read_tfjs(path: str, entry: dict[str, Any]) -> KerasModel:
    """Reads a layers model.

    Args:
        path: of model.json, beside which the shards lie.
        entry: what is in it.

    Raises:
        Unreadable: it is a graph model, or damaged, or a shard is missing.
    """
    topology = entry["modelTopology"]
    config = topology.get("model_config", topology) if isinstance(topology, dict) else None
    if not isinstance(config, dict) or "class_name" not in config:
        problem = "this is a TensorFlow.js graph model, which LiteRT does not run, and its layers are unknown"
        raise Unreadable(problem, "check the Keras model or SavedModel that it was made from")
    version = topology.get("keras_version")
    model = read_model(config, version if isinstance(version, str) else "")
    variables = dict(_variables(Path(path).parent, entry.get("weightsManifest")))
    if variables:
        share_out(model, variables)
    else:
        model.has_weights = False
    return model


def _variables(folder: Path, manifest: Any) -> Iterator[tuple[str, Variable]]:
    """Name and reader of every variable."""
    for group in manifest if isinstance(manifest, list) else []:
        if not isinstance(group, dict) or not isinstance(group.get("weights"), list):
            raise Unreadable("its weightsManifest is damaged", DAMAGED)
        shards = _shards(folder, group.get("paths"))
        room, offset = sum(len(shard) for shard in shards), 0
        for weight in group["weights"]:
            name, shape, dtype, quantization = _entry(weight)
            size = math.prod(shape) * _TYPES[dtype][0]
            if offset + size > room:
                raise Unreadable(f"the weights of {name!r} end behind the last shard", DAMAGED)
            yield name, partial(_values, shards, offset, shape, dtype, quantization)
            offset += size


def _entry(weight: Any) -> tuple[str, tuple[int, ...], str, dict[str, Any]]:
    """Name, shape, stored type and quantization of a variable."""
    known = weight if isinstance(weight, dict) else {}
    name, shape, quantization = known.get("name"), known.get("shape"), known.get("quantization") or {}
    whole = isinstance(shape, list) and all(isinstance(n, int) and n >= 0 for n in shape)
    if not isinstance(name, str) or not whole or not isinstance(quantization, dict):
        raise Unreadable("its weightsManifest is damaged", DAMAGED)
    dtype = quantization.get("dtype", known.get("dtype"))
    if dtype not in _TYPES:
        raise Unreadable(f"the weights of {name!r} are of type {dtype!r}, which is not read")
    assert isinstance(shape, list)
    return name, tuple(shape), dtype, quantization


def _shards(folder: Path, names: Any) -> list[memoryview]:
    if not isinstance(names, list) or len(names) > _MOST_SHARDS:
        raise Unreadable("its weightsManifest is damaged", DAMAGED)
    shards = []
    for name in names:
        # A file may name others in its own folder, and nothing else.
        if not isinstance(name, str) or Path(name).name != name or not Path(folder, name).is_file():
            raise Unreadable(
                f"the file {name!r}, named in its weightsManifest, is missing", "copy all files of the model"
            )
        shards.append(map_file(str(Path(folder, name))))
    return shards


def _values(
    shards: list[memoryview], offset: int, shape: tuple[int, ...], dtype: str, quantization: dict[str, Any]
) -> np.ndarray:
    import numpy as np

    size, kind = _TYPES[dtype]
    data, start, end = b"", offset, offset + math.prod(shape) * size
    for shard in shards:
        data += shard[max(start, 0) : max(end, 0)]
        start, end = start - len(shard), end - len(shard)
    stored = np.frombuffer(data, kind).reshape(shape)
    if not quantization or dtype == "float16":
        return stored
    scale, low = (float(quantization.get(key, default)) for key, default in (("scale", 1.0), ("min", 0.0)))
    return (stored * scale + low).astype(np.float32)
