"""How a run sees its CPU."""

from __future__ import annotations

from enum import Enum


class Execution(str, Enum):
    """How a child sees its CPU; the values are those of JSON documents."""

    NATIVE = "native"
    MASKED = "native-avx-masked"
    EMULATED = "emulated"

    @property
    def words(self) -> str:
        """For the end of "a run on x86-sse, "."""
        return {"native": "natively", "native-avx-masked": "natively, AVX masked"}.get(self.value, self.value)


def place(litert: str | None, cpu: str, execution: Execution) -> str:
    """Such as "LiteRT 2.3.0 on x86-sse (natively, AVX masked)"."""
    return f"LiteRT {litert} on {cpu} ({execution.words})"
