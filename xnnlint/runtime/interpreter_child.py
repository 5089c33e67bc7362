"""Child process: runs models through the Python interpreter of LiteRT (or of the older tflite-runtime).

Two uses: the dense reference (resolver BUILTIN_REF: plain reference kernels, no delegate), and the releases that have
no LiteRT C API, where the default resolver applies the XNNPACK delegate but nothing tells which operators it ran.
Started as a script; the protocol is that of litert_child.py, without profiler events.

    interpreter_child.py RESOLVER MODULE FOLDER...     FOLDERs go first on the module search path
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any, TextIO

# TfLiteType of tflite/core/c/c_api_types.h, by numpy name.
TYPE_CODES = {
    "float32": 1,
    "int32": 2,
    "uint8": 3,
    "int64": 4,
    "bool": 6,
    "int16": 7,
    "complex64": 8,
    "int8": 9,
    "float16": 10,
    "float64": 11,
    "uint64": 13,
    "uint32": 16,
    "uint16": 17,
}


class Runner:
    def __init__(self, module: str, resolver: str) -> None:
        import numpy

        self.numpy = numpy
        self.module = importlib.import_module(module)
        self.resolver = resolver

    def open(self, path: str) -> Any:
        arguments: dict[str, Any] = {"model_path": path}
        if self.resolver:
            arguments["experimental_op_resolver_type"] = self.module.OpResolverType[self.resolver]
        return self.module.Interpreter(**arguments)

    def tensor(self, detail: dict) -> dict:
        return {
            "index": int(detail["index"]),
            "name": detail["name"],
            "type": TYPE_CODES.get(self.numpy.dtype(detail["dtype"]).name, 0),
            "shape": [max(1, int(size)) for size in detail["shape"]],
        }

    def quantized(self, interpreter: Any) -> bool:
        integers = ("int8", "uint8", "int16")
        return any(
            self.numpy.dtype(detail["dtype"]).name in integers and len(detail["quantization_parameters"]["scales"])
            for detail in interpreter.get_tensor_details()
        )

    def run(self, interpreter: Any, seeds: list[list[str]], work: str) -> dict:
        """Run once per seed; inputs come in the order of get_input_details()."""
        numpy = self.numpy
        interpreter.allocate_tensors()
        details = interpreter.get_input_details()
        files = []
        for number, sources in enumerate(seeds):
            for detail, source in zip(details, sources, strict=True):
                shape = [max(1, int(size)) for size in detail["shape"]]
                interpreter.set_tensor(detail["index"], numpy.fromfile(source, detail["dtype"]).reshape(shape))
            interpreter.invoke()
            written, shapes = [], []
            for position, detail in enumerate(interpreter.get_output_details()):
                value = interpreter.get_tensor(detail["index"])
                target = f"{work}/reference{number}-output{position}"
                Path(target).write_bytes(numpy.ascontiguousarray(value).tobytes())
                written.append(target)
                shapes.append(list(value.shape))
            files.append(written)
        return {"events": None, "outputs": files, "shapes": shapes}


def serve(runner: Runner, requests: TextIO, replies: TextIO) -> None:
    """Answer jobs until the parent closes the pipe. An error ends the job, not the child."""

    def reply(answer: dict) -> None:
        answer["rss_kib"] = peak_rss_kib()
        replies.write(json.dumps(answer) + "\n")
        replies.flush()

    for line in requests:
        job = json.loads(line)
        try:
            interpreter = runner.open(job["model"])
            inputs = [runner.tensor(detail) for detail in interpreter.get_input_details()]
            outputs = [runner.tensor(detail) for detail in interpreter.get_output_details()]
            quantized = runner.quantized(interpreter)
        except (ValueError, RuntimeError) as error:
            reply({"error": str(error), "loaded": False})
            continue
        reply({"inputs": inputs, "outputs": outputs, "quantized": quantized})
        feeds = json.loads(requests.readline())
        if feeds.get("inputs") is None:
            continue
        try:
            reply(runner.run(interpreter, feeds["inputs"], job["work"]))
        except (ValueError, RuntimeError) as error:
            reply({"error": str(error), "loaded": True})


def peak_rss_kib() -> int:
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 1024 if sys.platform == "darwin" else peak


def forbid_core_dumps() -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    resolver, module, *folders = sys.argv[1:]
    sys.path[:0] = folders
    forbid_core_dumps()
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    serve(Runner(module, "" if resolver == "default" else resolver), sys.stdin, replies)


if __name__ == "__main__":
    main()
