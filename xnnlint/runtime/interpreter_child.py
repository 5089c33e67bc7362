"""Child process: runs models through the Python interpreter of LiteRT.

Two uses: the dense reference (resolver BUILTIN_REF: plain reference kernels, no delegate), and the releases whose C API
cannot profile a model (before 2.1), where the resolver "default" applies the XNNPACK delegate. Started as a script; the
protocol is that of litert_child.py.

    interpreter_child.py RESOLVER MODULE FOLDER...     FOLDERs go first on the module search path

The interpreter has no profiler in Python, but the delegate asks only TfLiteContext::profiler for one
(AddEventsToProfiler in tflite/delegates/xnnpack/xnnpack_delegate.cc). ProfilerHook puts one there: a TfLiteDelegate
that takes no operators sees the context before the XNNPACK delegate does.
"""

from __future__ import annotations

import ctypes
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


TFLITE_OPERATOR_EVENT = 2  # OPERATOR_INVOKE_EVENT
ALLOW_DYNAMIC_TENSORS = 1  # kTfLiteDelegateFlagsAllowDynamicTensors; without it the graph would count as final
MAIN_SUBGRAPH = 0
POINTER = ctypes.c_void_p


class Context(ctypes.Structure):
    """The beginning of TfLiteContext (tflite/core/c/common.h); the same in all releases since 1.0."""

    _fields_ = [
        ("tensors_size", ctypes.c_size_t),
        ("get_execution_plan", POINTER),
        ("tensors", POINTER),
        ("impl", POINTER),
        ("resize_tensor", POINTER),
        ("report_error", POINTER),
        ("add_tensors", POINTER),
        ("get_node_and_registration", POINTER),
        ("replace_node_subsets", POINTER),
        ("recommended_num_threads", ctypes.c_int),
        ("get_external_context", POINTER),
        ("set_external_context", POINTER),
        ("allow_fp32_relax_to_fp16", ctypes.c_bool),
        ("profiler", POINTER),
    ]


class DelegateRecord(ctypes.Structure):
    """TfLiteDelegate (tflite/core/c/common.h)."""

    _fields_ = [
        ("data", POINTER),
        ("prepare", POINTER),
        ("copy_from_buffer_handle", POINTER),
        ("copy_to_buffer_handle", POINTER),
        ("free_buffer_handle", POINTER),
        ("flags", ctypes.c_int64),
        ("opaque_delegate_builder", POINTER),
    ]


class ProfilerHook:
    """Looks like a delegate to the Python interpreter, and like a tflite::Profiler to the XNNPACK delegate."""

    PREPARE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(Context), POINTER)
    # The virtual functions of tflite::Profiler (tflite/core/api/profiler.h) in the order of the Itanium C++ ABI.
    DESTROY = ctypes.CFUNCTYPE(None, POINTER)
    BEGIN = ctypes.CFUNCTYPE(ctypes.c_uint32, POINTER, ctypes.c_char_p, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    END_WITH = ctypes.CFUNCTYPE(None, POINTER, ctypes.c_uint32, ctypes.c_int64, ctypes.c_int64)
    END = ctypes.CFUNCTYPE(None, POINTER, ctypes.c_uint32)
    ADD = ctypes.CFUNCTYPE(
        None, POINTER, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint64, ctypes.c_int64, ctypes.c_int64
    )
    ADD_DATA = ctypes.CFUNCTYPE(None, POINTER, ctypes.c_char_p, ctypes.c_int, POINTER)
    GET_PLAN = ctypes.CFUNCTYPE(ctypes.c_int, POINTER, ctypes.POINTER(ctypes.POINTER(ctypes.c_int)))

    def __init__(self) -> None:
        self.events: list[list[Any]] = []
        self.main_context: int | None = None
        self._get_plan: Any = None
        self._functions = [
            self.DESTROY(lambda this: None),
            self.DESTROY(lambda this: None),
            self.BEGIN(lambda this, tag, kind, first, second: 0),
            self.END_WITH(lambda this, event, first, second: None),
            self.END(lambda this, event: None),
            self.ADD(self._add),
            self.ADD_DATA(lambda this, tag, kind, data: None),
        ]
        self._table = (POINTER * len(self._functions))(*(ctypes.cast(f, POINTER) for f in self._functions))
        self._profiler = POINTER(ctypes.addressof(self._table))
        self._prepare = self.PREPARE(self._see)
        self._record = DelegateRecord(prepare=ctypes.cast(self._prepare, POINTER), flags=ALLOW_DYNAMIC_TENSORS)

    def _get_native_delegate_pointer(self) -> int:
        return ctypes.addressof(self._record)

    def _see(self, context: Any, delegate: int) -> int:
        if self.main_context is None:  # of the subgraphs the primary one comes first
            # With a profiler in the others, too, models with a WHILE crash in LiteRT 1.4.
            context.contents.profiler = ctypes.addressof(self._profiler)
            self.main_context = ctypes.addressof(context.contents)
            self._get_plan = self.GET_PLAN(context.contents.get_execution_plan)
        return 0

    def _add(self, this: int, tag: bytes, kind: int, metric: int, first: int, second: int) -> None:
        self.events.append([kind, (tag or b"").decode("utf-8", "replace"), first, MAIN_SUBGRAPH])

    def execution_plan(self) -> list[int]:
        """The nodes that TFLite runs itself, delegates' nodes included."""
        plan = ctypes.POINTER(ctypes.c_int)()
        if self._get_plan is None or self._get_plan(self.main_context, ctypes.byref(plan)) != 0:
            return []
        return plan[1 : 1 + plan[0]]  # TfLiteIntArray: the size, then the numbers


class Runner:
    def __init__(self, module: str, resolver: str) -> None:
        import numpy

        self.numpy = numpy
        self.module = importlib.import_module(module)
        self.resolver = resolver
        self.hook: ProfilerHook | None = None

    def open(self, path: str) -> Any:
        if self.resolver != "default":
            kind = self.module.OpResolverType[self.resolver]
            return self.module.Interpreter(model_path=path, experimental_op_resolver_type=kind)
        self.hook = ProfilerHook()
        return self.module.Interpreter(model_path=path, experimental_delegates=[self.hook])

    def tensor(self, detail: dict[str, Any]) -> dict[str, Any]:
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

    def run(self, interpreter: Any, seeds: list[list[str]], work: str) -> dict[str, Any]:
        """Run once per seed; inputs come in the order of get_input_details()."""
        numpy = self.numpy
        interpreter.allocate_tensors()
        details = interpreter.get_input_details()
        events = None
        files = []
        for number, sources in enumerate(seeds):
            for detail, source in zip(details, sources, strict=True):
                shape = [max(1, int(size)) for size in detail["shape"]]
                interpreter.set_tensor(detail["index"], numpy.fromfile(source, detail["dtype"]).reshape(shape))
            interpreter.invoke()
            if number == 0 and self.hook:
                events = [*self.hook.events, *self.tflite_events(interpreter)]
            written, shapes = [], []
            for position, detail in enumerate(interpreter.get_output_details()):
                value = interpreter.get_tensor(detail["index"])
                target = f"{work}/reference{number}-output{position}"
                Path(target).write_bytes(numpy.ascontiguousarray(value).tobytes())
                written.append(target)
                shapes.append(list(value.shape))
            files.append(written)
        return {"events": events, "outputs": files, "shapes": shapes}

    def tflite_events(self, interpreter: Any) -> list[list[Any]]:
        """Operators that TFLite ran itself in the main subgraph, as if it had profiled them."""
        assert self.hook is not None
        operators = {detail["index"]: detail["op_name"] for detail in interpreter._get_ops_details()}
        plan = self.hook.execution_plan()
        return [[TFLITE_OPERATOR_EVENT, operators[node], node, MAIN_SUBGRAPH] for node in plan if node in operators]


def serve(runner: Runner, requests: TextIO, replies: TextIO) -> None:
    """Answer jobs until the parent closes the pipe. An error ends the job, not the child."""

    def reply(answer: dict[str, Any]) -> None:
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


def die_with_parent() -> None:
    """A child that hangs in the runtime must not outlive a parent that was killed (Linux only)."""
    if sys.platform == "linux":
        set_death_signal, kill = 1, 9
        ctypes.CDLL(None).prctl(set_death_signal, kill)


def forbid_core_dumps() -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    resolver, module, *folders = sys.argv[1:]
    sys.path[:0] = folders
    die_with_parent()
    forbid_core_dumps()
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    serve(Runner(module, resolver), sys.stdin, replies)


if __name__ == "__main__":
    main()
