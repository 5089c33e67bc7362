"""What is asked of a check beside the findings; `value` answers it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from xnnlint.cost import CostProfile


class Wanted(NamedTuple):
    """What is to be said of a model beside its findings.

    Attributes:
        assume_pruned: shares of zeros, 0 to 1, to forecast a pruned model for. A single one is assumed of a Keras model
            as it is read, so that its whole report is that of the pruned model.
        cost_profile: rates of a CPU, instead of those that come with xnnlint for it.
        pack_all: try how well the weights pack even where that takes seconds.
        layers: (layer, what it is) of a Keras model, as the configuration declares layers whose code is not read.
    """

    assume_pruned: tuple[float, ...] = ()
    cost_profile: CostProfile | None = None
    pack_all: bool = False
    layers: tuple[tuple[str, str], ...] = ()

    @property
    def read_as_pruned(self) -> float | None:
        """The share that a Keras model is read with."""
        return self.assume_pruned[0] if len(self.assume_pruned) == 1 else None


NOTHING = Wanted()
