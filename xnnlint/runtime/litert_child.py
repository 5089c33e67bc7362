"""Child process: runs models in LiteRT through its C API and reports what XNNPACK executed.

Standard library only, because it also runs under user-mode emulation, where importing numpy is slow and may need
instructions that the emulated CPU lacks. Started as a script (never imported by xnnlint); it speaks JSON lines:

    parent: {"model": path, "work": folder for the outputs}
    child:  {"inputs": [tensor...], "outputs": [tensor...]}              (or {"error": text})
    parent: {"inputs": [[file per input] per seed]}                    (raw bytes; null instead: do not run)
    child:  {"events": [[type, tag, node, subgraph, source]...], "outputs": [[file...] per seed],
             "shapes": [[int...]...]}                                     (or {"error": text})

where a tensor is {"index", "name", "type", "shape"}. How the API is used follows google-ai-edge/LiteRT: litert/c/*.h,
read at tags v2.1.0 to v2.2.0 and at f674577 (2026-08-21).
"""

from __future__ import annotations

import ctypes
import json
import os
import sys

TYPE_CHECKING = False  # importing typing, like pathlib, takes a tenth of a second under emulation
if TYPE_CHECKING:
    from typing import Any, TextIO

MAX_RANK = 8
CPU_ACCELERATOR = 1
LOCK_READ, LOCK_WRITE = 0, 1
# The library does not export LiteRtGetStatusString; these are LiteRtStatus of litert/c/litert_common.h.
STATUS_NAMES = {
    1: "invalid argument",
    2: "memory allocation failure",
    3: "runtime failure",
    4: "missing input tensor",
    5: "unsupported",
    6: "not found",
    7: "timeout expired",
    8: "wrong version",
    9: "unknown error",
    10: "already exists",
    500: "file I/O error",
    501: "invalid flatbuffer",
    502: "dynamic loading error",
    503: "serialization error",
    504: "compilation error",
    1000: "index out of bounds",
    1001: "invalid IR type",
    1002: "invalid graph invariant",
    1003: "graph modification error",
}
UNWRITTEN = 0xFF  # as float16, float32 and float64 this is NaN, so an output that nobody writes shows up


class Layout(ctypes.Structure):
    """LiteRtLayout: rank in the low 7 bits of the first word."""

    _fields_ = [
        ("rank_and_flag", ctypes.c_uint32),
        ("dimensions", ctypes.c_int32 * MAX_RANK),
        ("strides", ctypes.c_uint32 * MAX_RANK),
    ]

    def shape(self) -> list[int]:
        return list(self.dimensions[: self.rank_and_flag & 0x7F])


class RankedTensorType(ctypes.Structure):
    _fields_ = [("element_type", ctypes.c_int32), ("layout", Layout)]


class ProfilerEvent(ctypes.Structure):
    """ProfiledEventData; the layout is the same from 2.1.0 to 2.3.0."""

    _fields_ = [
        ("tag", ctypes.c_char_p),
        ("event_type", ctypes.c_int32),
        ("start_us", ctypes.c_uint64),
        ("elapsed_us", ctypes.c_uint64),
        ("memory", ctypes.c_size_t * 6),
        ("metadata1", ctypes.c_uint64),
        ("metadata2", ctypes.c_uint64),
        ("source", ctypes.c_int32),
    ]


class CallFailed(Exception):
    """A LiteRT call that did not return kLiteRtStatusOk."""


class LiteRt:
    """The library, one environment, and the options of every run."""

    def __init__(self, library: str, version: tuple[int, ...]) -> None:
        self.lib = ctypes.CDLL(library)
        self.libc = ctypes.CDLL(None)
        self.version = version
        self.libc.calloc.restype = ctypes.c_void_p
        self.environment = self.handle("LiteRtCreateEnvironment", ctypes.c_int(0), None)

    def call(self, name: str, *arguments: object) -> None:
        status = getattr(self.lib, name)(*arguments)
        if status != 0:
            raise CallFailed(f"{name}: {STATUS_NAMES.get(status, 'status')} ({status})")

    def handle(self, name: str, *arguments: object) -> ctypes.c_void_p:
        """Call a function whose last parameter is where it stores a pointer; returns that pointer."""
        out = ctypes.c_void_p()
        self.call(name, *arguments, ctypes.byref(out))
        return out

    def size(self, name: str, *arguments: object) -> int:
        out = ctypes.c_size_t()
        self.call(name, *arguments, ctypes.byref(out))
        return out.value

    def open_model(self, path: str) -> ctypes.c_void_p:
        # The environment became the first parameter in 2.1.6 and 2.2.0.
        first = (self.environment,) if self.version >= (2, 1, 6) else ()
        return self.handle("LiteRtCreateModelFromFile", *first, ctypes.c_char_p(os.fsencode(path)))

    def options(self, threads: int | None = None) -> ctypes.c_void_p:
        """CPU only, with profiling; everything else, and without `threads` their number, as the runtime has it."""
        options = self.handle("LiteRtCreateOptions")
        self.call("LiteRtSetOptionsHardwareAccelerators", options, ctypes.c_int(CPU_ACCELERATOR))
        if self.version >= (2, 1, 3):
            self._add(options, b"runtime_options_string", b"enable_profiling = true\n")
        else:  # a C struct whose first byte is enable_profiling (LiteRtRuntimeOptionsT)
            self._add(options, b"runtime", b"\x01")
        if threads is not None:
            if self.version < (2, 1, 3):
                raise CallFailed("the number of threads can be set from LiteRT 2.1.3 on")
            # LrtGetOpaqueCpuOptionsData in litert/c/options/litert_cpu_options.cc
            self._add(options, b"xnnpack", b"num_threads = %d\n" % threads)
        return options

    def _add(self, options: ctypes.c_void_p, identifier: bytes, text: bytes) -> None:
        payload = ctypes.c_void_p(self.libc.calloc(ctypes.c_size_t(1), ctypes.c_size_t(256)))
        ctypes.memmove(payload, text, len(text))
        deallocate = ctypes.cast(self.libc.free, ctypes.c_void_p)
        opaque = self.handle("LiteRtCreateOpaqueOptions", ctypes.c_char_p(identifier), payload, deallocate)
        self.call("LiteRtAddOpaqueOptions", options, opaque)


class Model:
    """One model file, opened but not yet compiled. Only its first signature is run."""

    def __init__(self, runtime: LiteRt, path: str) -> None:
        self.runtime = runtime
        self.model = runtime.open_model(path)
        self.signature = runtime.handle("LiteRtGetModelSignature", self.model, ctypes.c_size_t(0))
        self.inputs = self._tensors("Input")
        self.outputs = self._tensors("Output")
        self.owned: list[tuple[str, ctypes.c_void_p]] = []

    def _tensors(self, side: str) -> list[dict[str, Any]]:
        count = self.runtime.size(f"LiteRtGetNumSignature{side}s", self.signature)
        return [self._tensor(side, position) for position in range(count)]

    def _tensor(self, side: str, position: int) -> dict[str, Any]:
        runtime = self.runtime
        tensor = runtime.handle(f"LiteRtGetSignature{side}TensorByIndex", self.signature, ctypes.c_size_t(position))
        name, index, kind = ctypes.c_char_p(), ctypes.c_uint32(), RankedTensorType()
        runtime.call("LiteRtGetTensorName", tensor, ctypes.byref(name))
        runtime.call("LiteRtGetTensorIndex", tensor, ctypes.byref(index))
        runtime.call("LiteRtGetRankedTensorType", tensor, ctypes.byref(kind))
        for axis in range(kind.layout.rank_and_flag & 0x7F):
            kind.layout.dimensions[axis] = max(1, kind.layout.dimensions[axis])
        return {
            "index": index.value,
            "name": (name.value or b"").decode("utf-8", "replace"),
            "type": kind.element_type,
            "shape": kind.layout.shape(),
            "ranked": kind,
        }

    def _buffers(self, compiled: ctypes.c_void_p, side: str, tensors: list[dict[str, Any]]) -> list[ctypes.c_void_p]:
        runtime = self.runtime
        made = []
        for position, tensor in enumerate(tensors):
            requirements = runtime.handle(
                f"LiteRtGetCompiledModel{side}BufferRequirements",
                compiled,
                ctypes.c_size_t(0),
                ctypes.c_size_t(position),
            )
            buffer = runtime.handle(
                "LiteRtCreateManagedTensorBufferFromRequirements",
                runtime.environment,
                ctypes.byref(tensor["ranked"]),
                requirements,
            )
            self.owned.append(("LiteRtDestroyTensorBuffer", buffer))
            made.append(buffer)
        return made

    def compile(self, threads: int | None = None) -> Compiled:
        """The model ready to run; `release` destroys what this makes."""
        runtime = self.runtime
        options = runtime.options(threads)
        self.owned.append(("LiteRtDestroyOptions", options))
        compiled = runtime.handle("LiteRtCreateCompiledModel", runtime.environment, self.model, options)
        self.owned.append(("LiteRtDestroyCompiledModel", compiled))
        profiler = runtime.handle("LiteRtCompiledModelGetProfiler", compiled)
        inputs = self._buffers(compiled, "Input", self.inputs)
        outputs = self._buffers(compiled, "Output", self.outputs)
        return Compiled(runtime, compiled, profiler, inputs, outputs)

    def run(self, seeds: list[list[str]], work: str) -> dict[str, Any]:
        """Run once per seed; the profile is taken of the first run only."""
        ready = self.compile()
        events: list[list[Any]] = []
        files = []
        for number, sources in enumerate(seeds):
            for buffer, source in zip(ready.inputs, sources, strict=True):
                with open(source, "rb") as file:  # noqa: PTH123
                    ready.write(buffer, file.read())
            for buffer in ready.outputs:
                ready.write(buffer, None)
            if number == 0:
                ready.start_profile()
                ready.run()
                # Before anything else runs: the names are the profiler's memory, which the runtime uses again.
                events = [[e.event_type, tag(e), e.metadata1, e.metadata2, e.source] for e in ready.stop_profile()]
            else:
                ready.run()
            files.append([ready.read(b, f"{work}/run{number}-output{i}") for i, b in enumerate(ready.outputs)])
        shapes = self._output_shapes(ready.compiled)
        self.release()
        return {"events": events, "outputs": files, "shapes": shapes}

    def _output_shapes(self, compiled: ctypes.c_void_p) -> list[list[int]]:
        """As they are after the run, which need not be those of the file."""
        count = len(self.outputs)
        if not count:  # the call refuses to report nothing
            return []
        layouts = (Layout * count)()
        self.runtime.call(
            "LiteRtGetCompiledModelOutputTensorLayouts",
            compiled,
            ctypes.c_size_t(0),
            ctypes.c_size_t(count),
            layouts,
            ctypes.c_bool(False),
        )
        return [layout.shape() for layout in layouts]

    def release(self) -> None:
        """Destroy what the run made, the last first. Before the answer of a good run, so that a crash here counts."""
        while self.owned:
            name, handle = self.owned.pop()
            getattr(self.runtime.lib, name)(handle)

    def close(self) -> None:
        self.release()
        self.runtime.lib.LiteRtDestroyModel(self.model)


class Compiled:
    """A compiled model with its buffers and its profiler; `Model.release` ends it."""

    def __init__(
        self,
        runtime: LiteRt,
        compiled: ctypes.c_void_p,
        profiler: ctypes.c_void_p,
        inputs: list[ctypes.c_void_p],
        outputs: list[ctypes.c_void_p],
    ) -> None:
        self.runtime, self.compiled, self.profiler = runtime, compiled, profiler
        self.inputs, self.outputs = inputs, outputs
        # Made once: between two readings of the clock there shall be the run alone.
        self._arguments = (
            compiled,
            ctypes.c_size_t(0),
            ctypes.c_size_t(len(inputs)),
            (ctypes.c_void_p * max(1, len(inputs)))(*inputs),
            ctypes.c_size_t(len(outputs)),
            (ctypes.c_void_p * max(1, len(outputs)))(*outputs),
        )

    def run(self) -> None:
        self.runtime.call("LiteRtRunCompiledModel", *self._arguments)

    def start_profile(self) -> None:
        self.runtime.call("LiteRtStartProfiler", self.profiler)

    def stop_profile(self) -> list[ProfilerEvent]:
        """The events since the start; none is kept for the next time. Their tags last until the next run."""
        self.runtime.call("LiteRtStopProfiler", self.profiler)
        count = ctypes.c_int()
        self.runtime.call("LiteRtGetNumProfilerEvents", self.profiler, ctypes.byref(count))
        events = (ProfilerEvent * max(1, count.value))()
        self.runtime.call("LiteRtGetProfilerEvents", self.profiler, count, events)
        return list(events[: count.value])

    def write(self, buffer: ctypes.c_void_p, data: bytes | None) -> None:
        """Fill an input with data, or an output with the pattern that marks it as unwritten."""
        size = self.size(buffer)
        if data is not None and len(data) != size:
            raise CallFailed(f"an input has {len(data)} bytes where the runtime wants {size}")
        address = self._lock(buffer, LOCK_WRITE)
        if data is None:
            ctypes.memset(address, UNWRITTEN, size)
        else:
            ctypes.memmove(address, data, size)
        self.runtime.call("LiteRtUnlockTensorBuffer", buffer)

    def read(self, buffer: ctypes.c_void_p, target: str) -> str:
        size = self.size(buffer)
        address = self._lock(buffer, LOCK_READ)
        with open(target, "wb") as file:  # noqa: PTH123
            file.write(ctypes.string_at(address, size))
        self.runtime.call("LiteRtUnlockTensorBuffer", buffer)
        return target

    def size(self, buffer: ctypes.c_void_p) -> int:
        """Bytes of a buffer."""
        return self.runtime.size("LiteRtGetTensorBufferPackedSize", buffer)

    def _lock(self, buffer: ctypes.c_void_p, mode: int) -> ctypes.c_void_p:
        address = ctypes.c_void_p()
        self.runtime.call("LiteRtLockTensorBuffer", buffer, ctypes.byref(address), ctypes.c_int(mode))
        return address


def tag(event: ProfilerEvent) -> str:
    return (event.tag or b"").decode("utf-8", "replace")


def public(tensors: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The tensors without what only this process can use."""
    return [{key: value for key, value in tensor.items() if key != "ranked"} for tensor in tensors]


def serve(runtime: LiteRt, requests: TextIO, replies: TextIO) -> None:
    """Answer jobs until the parent closes the pipe. An error ends the job, not the child."""

    def reply(answer: dict[str, Any]) -> None:
        answer["rss_kib"] = peak_rss_kib()
        replies.write(json.dumps(answer) + "\n")
        replies.flush()

    for line in requests:
        job = json.loads(line)
        try:
            model = Model(runtime, job["model"])
        except CallFailed as error:
            reply({"error": str(error), "loaded": False})
            continue
        reply({"inputs": public(model.inputs), "outputs": public(model.outputs)})
        feeds = json.loads(requests.readline())
        if feeds.get("inputs") is None:
            model.close()
            continue
        try:
            reply(model.run(feeds["inputs"], job["work"]))
        except CallFailed as error:
            reply({"error": str(error), "loaded": True})
        model.close()


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
    """A crash is an expected observation here; neither the kernel nor qemu shall leave a file for it."""
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def keep_freed_memory() -> None:
    """Make malloc keep what is freed instead of giving it back to the system.

    With profiling on, LiteRT allocates some 60 MB of event buffer for each model (GetOrCreateProfiler in
    litert/runtime/compiled_model.cc); under emulation, faulting those pages in anew took most of the time of a small
    model: 18 models a second without this, 45 with it.
    """
    mmap_max, trim_threshold = -4, -1  # M_MMAP_MAX, M_TRIM_THRESHOLD in glibc's malloc.h
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(mmap_max, 0)
        mallopt(trim_threshold, 1 << 30)


def main() -> None:
    # A nightly's ends in a date: "2.4.0.dev20261026".
    library, version = sys.argv[1], tuple(int(part) for part in sys.argv[2].split(".") if part.isdigit())
    die_with_parent()
    forbid_core_dumps()
    keep_freed_memory()
    # The runtime may print to standard output, which would break the protocol: keep that descriptor for ourselves.
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    serve(LiteRt(library, version), sys.stdin, replies)


if __name__ == "__main__":
    main()
