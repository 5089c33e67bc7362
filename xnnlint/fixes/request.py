"""What a user can ask of a fix."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from xnnlint.xnnpack.profile import Profile


class FixRequest(Struct, frozen=True):
    """How to fix.

    Attributes:
        profile: the runtime to plan for.
        unsafe: whether changes may be made after which the model must be trained again.
        select, ignore: names of fixes of .tflite files; without `select` all.
        batch: of a .tflite file, what a dynamic batch becomes; None leaves it.
        prune: of a .tflite file, the share of zeros to prune its 1x1 kernels to; None prunes nothing.
        everything: whether also what helps nothing is changed in a .tflite file, to test the changes themselves.
        even_if_slower: whether more SpMM counts as better, even where that is predicted to be slower.
        assume_pruned: of a Keras model, the share of zeros to plan for; None for the usual one where the model is not
            pruned yet.
        policy: whether TFMOT's pruning policy shall take the Keras model, too.
        layers: of a Keras model, (layer, what it is) of layers whose code is not read.
    """

    profile: Profile
    unsafe: bool = False
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    batch: int | None = None
    prune: float | None = None
    everything: bool = False
    even_if_slower: bool = False
    assume_pruned: float | None = None
    policy: bool = False
    layers: tuple[tuple[str, str], ...] = ()

    def allows(self, name: str) -> bool:
        """Whether a fix of a .tflite file was chosen."""
        return name not in self.ignore and (not self.select or name in self.select)
