"""Where a run happens: which interpreter and library, natively or under user-mode emulation."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
from pathlib import Path

from msgspec import Struct

from xnnlint.errors import XnnlintError
from xnnlint.runtime import masking, releases, sysroot, trial
from xnnlint.runtime.execution import Execution

AUTO = "auto"
CPUS = ("x86-sse", "x86-avx", "arm64")
"""CPUs that can be observed, by the names of their profiles."""

PLATFORMS = ("linux", "darwin", "win32")
INSTALL_QEMU = "install user-mode emulation (Debian and Ubuntu: apt-get install qemu-user-static)"
EMULATE = "XNNLINT_EMULATE"
"""Environment variable: 1 runs x86-sse in the emulator even where AVX can be masked."""
CHILDREN = Path(__file__).parent


class Unavailable(XnnlintError):
    """This machine cannot run what was asked for; the text says what to install."""


class Target(Struct, frozen=True):
    """How to start children that see a given CPU.

    Attributes:
        cpu: the CPU profile's name.
        execution: how they see it.
        python: the interpreter as the child sees it.
        release: the LiteRT that the child loads; a private copy where AVX is masked.
        emulator: command words before the interpreter; empty for a native run.
        note: why x86-sse is emulated though AVX could be masked, as a sentence without its full stop, or "".
    """

    cpu: str
    execution: Execution
    python: str
    release: releases.Release
    emulator: tuple[str, ...] = ()
    note: str = ""

    @property
    def emulated(self) -> bool:
        return self.execution is Execution.EMULATED

    @property
    def foreign(self) -> bool:
        """Whether the children are of another machine than this one, and cannot load this one's modules."""
        return self.emulated and self.cpu == "arm64"

    @property
    def environment(self) -> dict[str, str]:
        """The children's environment. OpenBLAS, which numpy loads, recognizes emulated CPUs as some with AVX and
        dies of an illegal instruction, unless told which kernels to use."""
        core = {"x86-sse": "Nehalem", "arm64": "ARMV8"}.get(self.cpu)
        return {**os.environ, **({"OPENBLAS_CORETYPE": core} if core and self.emulated else {})}

    def command(self) -> list[str]:
        """The command of a child for this target: through the C API where the release has one that profiles."""
        start = [*self.emulator, self.python, "-I"]
        if self.release.library:
            return [*start, "-S", str(CHILDREN / "litert_child.py"), str(self.release.library), self.release.version]
        return [*start, *self.interpreter("default")]

    def interpreter(self, resolver: str) -> list[str]:
        """Arguments for a child that uses the Python interpreter of the release, with that op resolver."""
        folders = [self.release.package.parent, *([] if self.foreign else [module_folder("numpy")])]
        script = CHILDREN / "interpreter_child.py"
        return [str(script), resolver, f"{releases.PACKAGE}.interpreter", *(str(f) for f in folders if f)]


def resolve(
    cpu: str = AUTO, litert_version: str | None = None, *, fetch: bool = True, emulate: bool | None = None
) -> Target:
    """The target for a CPU and a LiteRT version (None: the installed one).

    Args:
        fetch: see releases.find.
        emulate: x86-sse in the emulator, even where AVX can be masked; None for what the environment says.

    Raises:
        Unavailable: with the reason and what to install.
    """
    machine = host_machine()
    if cpu == AUTO:
        cpu = "arm64" if machine == "arm64" else "x86-sse"
    if cpu not in CPUS:
        raise Unavailable(f"no run can show CPU {cpu!r}; can be observed: {', '.join(CPUS)}")
    if sys.platform not in PLATFORMS:
        raise Unavailable(f"LiteRT has no wheel for {sys.platform}; use Linux, macOS or Windows")
    if cpu == "arm64":
        return _arm64(machine, litert_version, fetch)
    if machine != "x86-64":
        raise Unavailable(f"{cpu} can only be observed on an x86-64 machine, and this is {machine}")
    release = releases.find(litert_version, fetch=fetch)
    if (cpu == "x86-avx") == has_avx():
        return Target(cpu, Execution.NATIVE, sys.executable, release)
    if cpu == "x86-avx":
        raise Unavailable("this machine's CPU has no AVX")
    return _without_avx(release, os.environ.get(EMULATE) == "1" if emulate is None else emulate)


def host(litert_version: str | None = None) -> Target:
    """This machine as it is, whatever its CPU; for the dense reference."""
    cpu = {"x86-64": "x86-avx" if has_avx() else "x86-sse"}.get(host_machine(), host_machine())
    return Target(cpu, Execution.NATIVE, sys.executable, releases.find(litert_version))


def _without_avx(release: releases.Release, emulate: bool) -> Target:
    """x86-sse on a CPU with AVX: natively with AVX masked, or else in the emulator."""
    why, note = "x86 with AVX has no sparse path", ""
    if sys.platform == "linux" and not emulate:
        try:
            return _masked_target(masking.masked(release, _trial))
        except masking.CannotMask as error:
            note = f"emulated, since AVX cannot be masked: {error}"
            why = f"{why}, AVX cannot be masked ({error})"
    emulator = (_emulator("qemu-x86_64", why), "-cpu", "Nehalem")
    # Emulators run a real program, not the symbolic link or the stub that a virtual environment starts.
    python = str(Path(sys.executable).resolve())
    return Target("x86-sse", Execution.EMULATED, python, release, emulator, note)


def _masked_target(copy: releases.Release) -> Target:
    return Target("x86-sse", Execution.MASKED, sys.executable, copy)


def _trial(copy: releases.Release) -> str:
    target = _masked_target(copy)
    return trial.trouble(target.command(), target.environment)


def _arm64(machine: str, litert_version: str | None, fetch: bool) -> Target:
    if machine == "arm64":
        return Target("arm64", Execution.NATIVE, sys.executable, releases.find(litert_version, fetch=fetch))
    emulator = _emulator("qemu-aarch64", "this machine is not arm64")
    root = sysroot.find()
    if root is None:
        raise Unavailable(f"an arm64 root folder for the emulator is not there; {sysroot.HOW_TO}")
    release = releases.find(litert_version, machine="arm64", fetch=fetch)
    command = (emulator, "-cpu", "cortex-a72", "-L", str(root.folder))
    return Target("arm64", Execution.EMULATED, str(root.python), release, command)


def _emulator(name: str, why: str) -> str:
    if sys.platform != "linux":
        raise Unavailable(f"{why}, and user-mode emulation needs Linux; run xnnlint there or in a container")
    found = shutil.which(f"{name}-static") or shutil.which(name)
    if found is None:
        raise Unavailable(f"{why}, and {name}-static is not there; {INSTALL_QEMU}")
    return found


def host_machine() -> str:
    """ "x86-64", "arm64", or what the platform calls itself."""
    name = platform.machine().lower()
    return {"x86_64": "x86-64", "amd64": "x86-64", "aarch64": "arm64"}.get(name, name)


def has_avx() -> bool:
    """Whether this x86 CPU has AVX; where that cannot be read (not Linux), assume that it has, as nearly all do."""
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return host_machine() == "x86-64"
    return any(line.startswith("flags") and " avx " in f"{line} " for line in info.read_text().splitlines())


def module_folder(module: str) -> Path | None:
    """The folder on the search path that holds a top-level package, found without importing it."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent.parent
