"""What can be observed on this machine, and what is missing where it cannot."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from xnnlint.errors import XnnlintError
from xnnlint.runtime import targets
from xnnlint.runtime.execution import Execution


class CpuAvailability(Struct, frozen=True):
    """Whether runs on one CPU can be observed here.

    Attributes:
        cpu: the CPU profile's name.
        available: whether they can.
        execution: how a run would see the CPU; None where unavailable.
        litert: the LiteRT version that would run; None where unavailable.
        reason: why not, and what to install, in one sentence; None where available.
        note: why it is emulated though AVX could be masked, or "".
    """

    cpu: str
    available: bool
    execution: Execution | None = None
    litert: str | None = None
    reason: str | None = None
    note: str = ""

    @property
    def emulated(self) -> bool:
        return self.execution is Execution.EMULATED


class Availability(Struct, frozen=True):
    """By CPU profile name, and "auto" for the CPU that observe() takes unasked."""

    cpus: Mapping[str, CpuAvailability]

    @property
    def available(self) -> bool:
        """Whether the default run can be observed."""
        return self.cpus[targets.AUTO].available

    @property
    def reason(self) -> str | None:
        return self.cpus[targets.AUTO].reason


def availability() -> Availability:
    """Of the installed LiteRT, since nothing is installed; at most a copy of it is made, in which AVX is masked."""
    return Availability({cpu: _check(cpu) for cpu in (targets.AUTO, *targets.CPUS)})


def _check(cpu: str) -> CpuAvailability:
    try:
        target = targets.resolve(cpu, fetch=False)
    except XnnlintError as error:
        return CpuAvailability(cpu, available=False, reason=str(error))
    return CpuAvailability(
        target.cpu, available=True, execution=target.execution, litert=target.release.version, note=target.note
    )
