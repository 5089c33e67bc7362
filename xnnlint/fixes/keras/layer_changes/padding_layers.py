"""Unsafe changes of padding: stems and strided depthwise convolutions run in NCHW only if padded alike on all sides."""

from __future__ import annotations

from xnnlint.fixes.change import Change, Exactness
from xnnlint.fixes.keras.config_scope import Entry, Scope, beside, name_of
from xnnlint.fixes.keras.layer_code import code
from xnnlint.fixes.keras.layer_fixer import LayerFixer, Match, Stage
from xnnlint.linter.findings import Applicability
from xnnlint.xnnpack.conditions.condition import Condition

_LAYERS = ("Conv2D", "DepthwiseConv2D")
_KERNELS = ([3, 3], [5, 5])


class PadLayersOnAllSides(LayerFixer):
    """ZeroPadding2D(((0, 1), (0, 1))), or 'same', before a convolution of stride 2."""

    name = "padding-on-all-sides"
    stage = Stage.UNSAFE
    applicability = Applicability.UNSAFE
    exactness = Exactness.DIFFERENT
    fulfils = frozenset({Condition.STEM, Condition.DEPTHWISE, Condition.POLICY_START, Condition.POLICY_LAYER})

    def match(self, scope: Scope, entry: Entry) -> Match | None:
        config = entry["config"]
        kernel = config.get("kernel_size")
        if entry["class_name"] not in _LAYERS or config.get("strides") != [2, 2] or kernel not in _KERNELS:
            return None
        if config.get("data_format") not in (None, "channels_last") or config.get("dilation_rate", [1, 1]) != [1, 1]:
            return None
        if scope.calls(entry) != 1 or (config.get("padding") != "same" and self._pad(scope, entry) is None):
            return None
        return self.found(scope, entry, *scope.sources(entry))

    def apply(self, match: Match) -> Change:
        scope, entry = match.scope, match.entry
        side = entry["config"]["kernel_size"][0] // 2
        wanted = [[side, side], [side, side]]
        pad = self._pad(scope, entry)
        if pad is not None and entry["config"].get("padding") == "valid":
            before: tuple[str, ...] = (code(pad), code(entry))
            pad["config"]["padding"] = wanted
            scope.reads(entry, _padded(scope.shape_into(pad), side))
            effect = "every output pixel sees its input one pixel further up and left"
        else:
            before = (code(entry),)
            name = scope.fresh(f"{name_of(entry)}_pad")
            pad = beside(entry, "ZeroPadding2D", name, {"padding": wanted, "data_format": "channels_last"})
            shape = scope.shape_into(entry)
            shape = shape if shape is not None and len(shape) == 4 else None
            scope.insert_before(entry, pad, _padded(shape, side))
            entry["config"]["padding"] = "valid"
            scope.reads(entry, _padded(shape, side))
            even = shape is None or any(d is None or d % 2 == 0 for d in shape[1:3])
            effect = (
                "on maps of even size every output pixel sees its input one pixel further up and left" if even else ""
            )
        text = f"pad {side} on every side in front of it, and nothing in it"
        return self.change(match, text, before, (code(pad), code(entry)), effect=effect, safe=not effect)

    def _pad(self, scope: Scope, entry: Entry) -> Entry | None:
        """The ZeroPadding2D in front, if it pads less at the top and left, as Keras's applications do."""
        sources = scope.sources(entry)
        pad = sources[0] if len(sources) == 1 else None
        if pad is None or pad["class_name"] != "ZeroPadding2D" or scope.calls(pad) != 1:
            return None
        side = entry["config"]["kernel_size"][0] // 2
        if pad["config"].get("padding") != [[side - 1, side], [side - 1, side]] or len(scope.readers(pad)) != 1:
            return None
        return None if scope.is_output(pad) else pad


def _padded(shape: list[int | None] | None, side: int) -> list[int | None] | None:
    if shape is None:
        return None
    grown = [None if d is None else d + 2 * side for d in shape[1:3]]
    return [shape[0], *grown, shape[3]]


FIXERS: tuple[LayerFixer, ...] = (PadLayersOnAllSides(),)
