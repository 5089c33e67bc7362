"""A .tflite file with some changes made, and how good that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct, field

from xnnlint.model.macs import pointwise_macs
from xnnlint.xnnpack.plan import Plan, pointwise_ops

if TYPE_CHECKING:
    from xnnlint.fixes.change import Change, Key
    from xnnlint.fixes.tflite.editor import Purpose


class FileVersion(Struct, frozen=True, eq=False, dict=True):
    """A file, its plan, and the changes that led there.

    Attributes:
        microseconds: predicted time of a run; 0 where nothing can be said.
        purposes: of the tensors that fixes put in, where they have one.
        previous: the version that was planned before the last of the changes; None for the file as it is.
    """

    data: bytes
    plan: Plan
    microseconds: float = 0.0
    changes: tuple[Change, ...] = ()
    purposes: Mapping[int, Purpose] = field(default_factory=dict)
    previous: FileVersion | None = None

    def with_changes(self, keys: Sequence[Key]) -> FileVersion | None:
        """The version among this and those before it in which just these changes are made, in this order."""
        version: FileVersion | None = self
        while version is not None and [change.key for change in version.changes] != keys:
            version = version.previous
        return version

    @cached_property
    def reach(self) -> tuple[int, int]:
        """How many 1x1 convolutions run SpMM, and their multiply-accumulates."""
        graph, sparse = self.plan.graph, self.spmm
        return len(sparse), sum(pointwise_macs(graph, graph.operators[op]) for op in sparse)

    @property
    def assumed(self) -> None:
        """A file is planned with the zeros that it has."""

    @cached_property
    def spmm(self) -> frozenset[int]:
        """The operators that run SpMM, without those that fixes made of a stem, or of what only moves channels: to have
        more of these is no gain."""
        return frozenset(op for op in self.plan.spmm_ops if not self._has_purpose(op))

    @cached_property
    def pointwise(self) -> frozenset[int]:
        """The 1x1 convolutions, and what else runs SpMM, without the same ones."""
        return frozenset(op for op in pointwise_ops(self.plan.graph) if not self._has_purpose(op)) | self.spmm

    @property
    def operators_run(self) -> int:
        """How many operators a run takes, XNNPACK's and those left to TFLite."""
        return len(self.plan.operators) + len(self.plan.tflite_ops)

    def _has_purpose(self, op: int) -> bool:
        return self.plan.graph.operators[op].inputs[1] in self.purposes
