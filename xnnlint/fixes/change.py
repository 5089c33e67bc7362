"""One change of a model: what is done where, and what that does to the outputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import TYPE_CHECKING

from msgspec import Struct, field

from xnnlint.linter.findings import Applicability

if TYPE_CHECKING:
    import numpy as np

    from xnnlint.linter.findings import Finding
    from xnnlint.xnnpack.conditions.condition import Condition

Key = tuple[str, str]
"""What tells one change from another: the name of its kind, and its site."""


class Exactness(str, Enum):
    """What a change does to the outputs.

    `EXACT`: the same bits. `ROUNDING`: the same but for the order of floating-point operations. `DIFFERENT`: others.
    """

    EXACT = "exact"
    ROUNDING = "rounding"
    DIFFERENT = "different"


class CannotChange(Exception):
    """A fix does not fit a place after all; the text says why, as the end of a sentence."""


class Change(Struct, frozen=True, eq=False):
    """One change that was made.

    Attributes:
        fix: name of the `Fixer`, or of the way to rescue a model.
        fulfils: the conditions that hold at its place then.
        applicability: `SAFE` or `UNSAFE`.
        site: what it is about, as the format names it for good: the uid of an operator (see `tflite.editor.Op`), or the
            path of a layer.
        place: the same in the user's words.
        text: what is done, in one sentence without a full stop.
        before, after: the operators or layers that it is about, as they were and as they are then, a line each.
        effect: for unsafe ones, what the model computes differently; else "".
        op: of a .tflite file, the index of the operator in the file as it was; None for one that is not in it.
        layers: of a Keras model, the layers whose findings it may mend.
        weights: of layers that were put in, by the layer's path, in the order of its variables.
        moving: those of these layers that only move channels, so that it is no gain that they run SpMM.
    """

    fix: str
    fulfils: frozenset[Condition]
    applicability: Applicability
    exactness: Exactness
    site: str
    place: str
    text: str
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    effect: str = ""
    op: int | None = None
    layers: frozenset[str] = frozenset()
    weights: Mapping[str, tuple[np.ndarray, ...]] = field(default_factory=dict)
    moving: frozenset[str] = frozenset()

    @property
    def key(self) -> Key:
        return self.fix, self.site

    def answers(self, finding: Finding) -> bool:
        """Whether it is made at a finding's place, for the finding's condition."""
        if finding.condition not in self.fulfils:
            return False
        where = finding.location
        return self.op == where.op if self.op is not None else where.name in self.layers

    @property
    def is_safe(self) -> bool:
        return self.applicability is Applicability.SAFE


def boldest_first(changes: Iterable[Change]) -> list[str]:
    """The kinds of changes, in the order in which one would rather do without them."""
    bold = {change.fix: (not change.is_safe, change.exactness.value) for change in changes}
    return sorted(bold, key=lambda name: (bold[name], name), reverse=True)
