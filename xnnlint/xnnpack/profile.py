"""Runtime profiles: what depends on the runtime's version or on the CPU, as data.

`profiles/runtimes.json` and `profiles/cpus.json` hold the facts, each with its value, its source and how it is known
("run": seen in a real run; "source": read from source only). `litert_releases` are the first and the last LiteRT
release that a runtime stands for. Code asks a profile, never a version number.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from xnnlint.errors import XnnlintError

DEFAULT_RUNTIME = "litert-2.3"
DEFAULT_CPU = "arm64"
PORTABLE = "portable"
"""The runtime that stands for all of them: a model has to be sparse and right on every one."""
ALL = "all"
"""Another name for it, which asks for each of them."""
# What others call the CPUs.
_ARCHITECTURES = {
    "aarch64": "arm64",
    "arm": "arm64",
    "arm64_v8a": "arm64",
    "armv8": "arm64",
    "android": "arm64",
    "armeabi_v7a": "arm32-neon",
    "armv7": "arm32-neon",
    "arm32": "arm32-neon",
    "x86_64": "x86-avx",
    "x86": "x86-avx",
    "amd64": "x86-avx",
    "wasm": "wasm-simd",
    "riscv": "riscv-v",
    "riscv64": "riscv-v",
}


class Fact(NamedTuple):
    """One fact about a runtime or a CPU: its value, where it comes from and how it is known."""

    value: Any
    source: str
    verified: str  # "run" or "source"


class Profile(Struct, frozen=True):
    """A runtime on a CPU; `profile["name_of_fact"]` is that fact's value.

    Attributes:
        custom_operators: names of custom operators that the application brings, beside those of the runtime.
        stands_for: names of the runtimes that it stands for, newest first, where it is of several.
    """

    runtime: str
    cpu: str
    runtime_title: str
    cpu_title: str
    facts: dict[str, Fact]
    custom_operators: frozenset[str] = frozenset()
    stands_for: tuple[str, ...] = ()

    def __getitem__(self, fact: str) -> Any:
        return self.facts[fact].value

    def knowing(self, custom_operators: Iterable[str]) -> Profile:
        """The same, where the application brings these custom operators."""
        return replace(self, custom_operators=frozenset(custom_operators))

    @property
    def name(self) -> str:
        return f"{'all runtimes' if self.runtime == ALL else self.runtime} on {self.cpu}"

    @property
    def is_portable(self) -> bool:
        """Whether it stands for several runtimes; it then has only the facts that all of them share."""
        return bool(self.stands_for)

    def each(self) -> list[Profile]:
        """The profiles that it stands for, newest first; itself, where that is a single one."""
        if not self.stands_for:
            return [self]
        return [load_profile(name, self.cpu).knowing(self.custom_operators) for name in self.stands_for]

    @property
    def sparse_cpu(self) -> bool:
        """Whether the CPU and the build have XNNPACK's sparse path switched on."""
        return bool(self["sparse_inference"])


@cache
def _data(name: str) -> dict[str, Any]:
    # importlib.resources is slow to import.
    text = (Path(__file__).parent / "profiles" / name).read_text(encoding="utf-8")
    data: dict[str, Any] = json.loads(text)
    return data


def runtimes() -> dict[str, str]:
    """Runtime profile names -> titles, newest first."""
    return {name: entry["title"] for name, entry in _data("runtimes.json")["runtimes"].items()}


def cpus() -> dict[str, str]:
    """CPU profile names -> titles."""
    return {name: entry["title"] for name, entry in _data("cpus.json")["cpus"].items()}


def runtime_of_litert(version: str) -> tuple[str, bool]:
    """The runtime profile of a LiteRT release such as "2.1.6", and whether it was made for that release: of releases
    that none was made for it is the one of the last before them, or the oldest."""
    number = _numbers(version)
    oldest = ""
    for name, entry in _data("runtimes.json")["runtimes"].items():
        if "litert_releases" in entry:
            first, last = map(_numbers, entry["litert_releases"])
            if number >= first:
                return name, number <= last
            oldest = name
    return oldest, False


# TensorFlow releases, oldest last, and their runtime. From 2.18 on the wheels' interpreters were run on all fixtures
# (`python -m tests.difftest tensorflow`): outcomes and kernels are those of these profiles.
_TENSORFLOW = (
    ((2, 22), ""),
    ((2, 21), "tf-2.21"),
    ((2, 20), "litert-2.0"),
    ((2, 19), "litert-1.1"),
    ((2, 5), "tf-2.18"),
)
_OLDEST_TENSORFLOW = "tf-2.4"


def _runtime_of_release(product: str, version: str) -> str:
    """The runtime of a release of LiteRT or its AAR (com.google.ai.edge.litert:litert:2.1.0), or of TensorFlow or
    TensorFlow Lite's AAR (org.tensorflow:tensorflow-lite:2.16.1), which share a number; "" where it is not known.
    LiteRT has no 2.5 yet."""
    number = _numbers(version)
    of_tensorflow = re.search(r"tensorflow|tflite|\btf\b", product) and "litert" not in product
    if not of_tensorflow and ("litert" in product or number < (2, 5)):
        return runtime_of_litert(version + ".0" * (2 - version.count(".")))[0]
    return next((name for first, name in _TENSORFLOW if number >= first), _OLDEST_TENSORFLOW)


def _numbers(version: str) -> tuple[int, ...]:
    """ "2.1.0rc1" as (2, 1, 0)."""
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, found.group().split("."))) if found else ()


def _choose(kind: str, name: str, known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    if name in known:
        return known[name]
    meant = _meant(name, known)
    hint = f"; did you mean {meant}?" if meant else ""
    raise XnnlintError(f"unknown {kind} {name!r}{hint or ';'} known are {', '.join(known)}")


def _meant(name: str, known: Iterable[str]) -> str:
    """The name that was meant: of a release its runtime, of an architecture its CPU; "" where nobody knows."""
    architecture = _ARCHITECTURES.get(name.lower().replace("-", "_"), "")
    if architecture in known:
        return architecture
    if DEFAULT_RUNTIME in known and (version := re.search(r"(?<![\w.])v?(\d+(?:\.\d+)*)$", name.lower())):
        return _runtime_of_release(name.lower()[: version.start()], version[1])
    from difflib import get_close_matches

    close = get_close_matches(name.lower(), known, n=1)
    return close[0] if close else ""


def runtime_facts(name: str) -> dict[str, Fact]:
    """A runtime's facts: its own over those of the runtime that it is `based_on`."""
    several = stands_for(name)
    if several:
        return _shared_facts(several)
    entry = _choose("runtime", name, _data("runtimes.json")["runtimes"])
    facts = runtime_facts(entry["based_on"]) if "based_on" in entry else {}
    return facts | {key: Fact(**fact) for key, fact in entry["facts"].items()}


def cpu_facts(name: str) -> dict[str, Fact]:
    """A CPU's facts."""
    entry = _choose("CPU", name, _data("cpus.json")["cpus"])
    return {key: Fact(**fact) for key, fact in entry["facts"].items()}


@cache
def kernel_versions(runtime: str) -> dict[str, tuple[int, int]]:
    """The oldest and newest version of each builtin operator for which a runtime has a kernel.

    Source: google-ai-edge/LiteRT tflite/core/kernels/register.cc at the tag of each profile's first release; of
    runtimes that are older than LiteRT 1.1, that of 1.1.
    """
    entry = _data("runtimes.json")["runtimes"][runtime]
    known = kernel_versions(entry["based_on"]) if "based_on" in entry else {}
    own = _data("kernels.json").get(runtime, {})
    return known | {name: (least, most) for name, (least, most) in own.items()}


def stands_for(name: str) -> tuple[str, ...]:
    """The runtimes that "portable", "all" or "litert-2.3,tf-2.18" stand for, newest first; () of a single one."""
    known = [runtime for runtime in runtimes() if runtime != PORTABLE]
    if name in (PORTABLE, ALL):
        return tuple(known)
    names = {part.strip() for part in name.split(",")} if "," in name else set()
    for part in sorted(names):
        if part in (PORTABLE, ALL):
            raise XnnlintError(f"--runtime {name}: {part} stands for every runtime, so that it is given alone")
        _choose("runtime", part, _data("runtimes.json")["runtimes"])
    return tuple(runtime for runtime in known if runtime in names)


def _shared_facts(names: Iterable[str]) -> dict[str, Fact]:
    """The facts with the same value in all of some runtimes."""
    first, *others = map(runtime_facts, names)
    return {key: fact for key, fact in first.items() if all(o[key].value == fact.value for o in others)}


def every_runtime(cpu: str = DEFAULT_CPU) -> list[Profile]:
    """The profiles of all runtimes on a CPU, newest first."""
    return [load_profile(name, cpu) for name in runtimes() if name != PORTABLE]


@cache
def load_profile(runtime: str = DEFAULT_RUNTIME, cpu: str = DEFAULT_CPU) -> Profile:
    """The profile of a runtime on a CPU.

    Raises:
        XnnlintError: no such runtime or CPU.
    """
    facts = runtime_facts(runtime) | cpu_facts(cpu)
    if "sparse_compiled_in" in facts and not facts["sparse_compiled_in"].value:
        facts["sparse_inference"] = facts["sparse_compiled_in"]
    several = stands_for(runtime)
    title = ", ".join(several) if "," in runtime else runtimes()[PORTABLE if several else runtime]
    return Profile(runtime, cpu, title, cpus()[cpu], facts, stands_for=several)
