"""Zeros for a cluster whose small dense kernels keep it dense: those of squeeze-and-excite, on a map of one pixel.

Copies of one pixel have them (see `fixes.short_clusters`).
"""

from __future__ import annotations

from xnnlint.fixes.change import CannotChange, Change
from xnnlint.fixes.keras.config_scope import Entry, Scope, name_of
from xnnlint.fixes.keras.layer_changes.class_changes import is_pointwise
from xnnlint.fixes.keras.layer_changes.selecting_layers import selecting, selection, shown
from xnnlint.fixes.keras.layer_code import code
from xnnlint.fixes.keras.layer_fixer import LayerFixer, Match, Stage
from xnnlint.xnnpack.conditions.condition import Condition


class ZerosOnOnePixel(LayerFixer):
    """Copies of the pixel, in front of the convolution that reads the most channels of one."""

    name = "zeros-on-one-pixel"
    stage = Stage.ZEROS
    only_for_sparse = True
    fulfils = frozenset({Condition.ENOUGH_ZEROS})
    of_plan = True

    def match(self, scope: Scope, entry: Entry) -> Match | None:
        short = scope.known.short.get(scope.label(entry))
        if short is None or scope.path or scope.calls(entry) != 1 or not is_pointwise(entry):
            return None
        return Match(scope, entry, frozenset(op.name for op in short.counted))

    def apply(self, match: Match) -> Change:
        scope, entry = match.scope, match.entry
        short = scope.known.short.get(scope.label(entry))
        if short is None:
            raise CannotChange("its cluster has enough zeros")
        channels = short.channels
        shape = scope.shape_into(entry)
        batch = shape[0] if shape else None
        weights, lines = {}, []
        for _ in range(short.copies):
            copy = selecting(scope, entry, f"{name_of(entry)}_copy", channels)
            scope.insert_before(entry, copy, [batch, 1, 1, channels])
            weights[scope.label(copy)] = selection(range(channels), channels)
            lines.append(shown(copy, f"np.eye({channels})"))
        text = f"copy the {channels} channels of its pixel with a 1x1 convolution, whose zeros count"
        after = (*lines, code(entry))
        return self.change(match, text, (code(entry),), after, weights=weights, moving=frozenset(weights))


FIXERS: tuple[LayerFixer, ...] = (ZerosOnOnePixel(),)
