"""Writes keras_lowering_cases.json.gz: configs of Keras models, and what the converter and the runtime make of them.

    python -m tests.keras.make_keras_lowering_cases FOLDER... [--keras-set FOLDER] [--observations FILE...]

Each FOLDER is one that make_keras_lowering_models.py fills, KERAS_SET the one that fixtures/make_keras_set.py fills.
Cases of models that are in none of them stay as they are recorded.

Taken are the models converted with EXPERIMENTAL_SPARSITY in which every 1x1 Conv2D, and nothing else, has 80% zeros, so
that the config alone says what they are. Operators are those of the converted file, in its order; kernels, and for the
models of KERAS_SET the outcome, those of the real runtime, which is asked for them unless a FILE has them already (JSON
lines with path, outcome and kernels). The outputs of the others say nothing: for weights that are all positive, most
are the same whatever goes in.
"""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from tests.models import DATA
from xnnlint.loaders.tflite.read_tflite import load

CASES = DATA / "keras_lowering_cases.json.gz"
# Their weights are zero in other places, or the config does not say what they are.
_OTHERWISE = ("zeros_", "net_negative_zeros", "net_large_dense", "net_mlp", "net_no_pointwise", "net_sequence")
_ONLY_SOME = ("_unpruned", "_conv_dense", "_dense_small", "body_separable", "_lambda", "head_pruned_dense")
_SHARED = ("body_spatial_attention",)
_UNUSED = ("_initializer", "_regularizer", "_constraint")


def is_plain(name: str) -> bool:
    """Whether a model's zeros are exactly those of the 1x1 kernels."""
    return not name.startswith(_OTHERWISE) and not name.endswith(_ONLY_SOME) and name not in _SHARED


def slim(value: Any) -> Any:
    """A config without what does not matter for inference."""
    if isinstance(value, dict):
        return {k: slim(v) for k, v in value.items() if not k.endswith(_UNUSED)}
    return [slim(v) for v in value] if isinstance(value, list) else value


def observed(models: list[Path], recorded: list[Path]) -> dict[str, dict[str, Any]]:
    """Outcome and kernels of each model."""
    if recorded:
        lines = [json.loads(line) for file in recorded for line in file.read_text().splitlines()]
        return {Path(line["path"]).stem: line for line in lines}
    from xnnlint.runtime.observe import observe

    seen = observe(models)
    return {Path(o.path).stem: {**o.to_json(), "outcome": str(getattr(o.outcome, "value", o.outcome))} for o in seen}


def read_case(name: str, source: Path, converted: Path) -> dict[str, Any]:
    """A model's config, and the operators that the converter made of it."""
    with ZipFile(source) as archive:
        config = json.loads(archive.read("config.json"))
        version = json.loads(archive.read("metadata.json"))["keras_version"]
    main, *called = ([op.type for op in graph.operators] for graph in load(converted).graphs)
    case = {"name": name, "keras_version": version, "config": slim(config), "operators": main}
    return {**case, "called": called} if called else case


def run_of(name: str, seen: dict[str, Any]) -> dict[str, Any]:
    """Kernels of one of MORE, or that it fails; a size that the model leaves open is 1 in these runs."""
    fails = seen["outcome"] == "fails" and not name.endswith("_unknown")
    called = {str(run["subgraph"]): run["kernels"] for run in seen["called"] or () if run["kernels"]}
    found = {"kernels": seen["kernels"], **({"called_kernels": called} if called else {})}
    return {**found, **({"outcome": "fails"} if fails else {})}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="*")
    parser.add_argument("--keras-set", type=Path)
    parser.add_argument("--observations", type=Path, nargs="*", default=[])
    options = parser.parse_args()
    folder: Path = options.keras_set
    manifest = json.loads((folder / "manifest.json").read_text()) if folder is not None else []
    models = [m for m in manifest if m["mode"] == "sparse" and m["group"] == "small" and is_plain(m["name"])]
    further = [converted for more in options.folders for converted in sorted(more.glob("*.tflite"))]
    runs = observed([*(folder / m["file"] for m in models), *further], options.observations)
    cases = {case["name"]: case for case in json.loads(gzip.decompress(CASES.read_bytes()))}
    for model in models:
        name = model["name"]
        case = read_case(name, folder / model["sources"]["keras"], folder / model["file"])
        cases[name] = {**case, "outcome": runs[name]["outcome"], "kernels": runs[name]["kernels"]}
    for converted in further:
        case = read_case(converted.stem, converted.with_suffix(".keras"), converted)
        cases[case["name"]] = {**case, **run_of(converted.stem, runs[converted.stem])}
    # No time in the header: the same cases give the same bytes.
    CASES.write_bytes(gzip.compress(json.dumps([*cases.values()], separators=(",", ":")).encode(), 9, mtime=0))
    print(f"{len(cases)} cases, {CASES.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
