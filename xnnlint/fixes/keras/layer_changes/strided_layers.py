"""Convolutions padded by 'same' at stride 2, or at the bottom and right alone, with symmetric padding: the same sums.

A 3x3 depthwise kernel that starts at the pixel itself is a 5x5 kernel with padding 2 whose other taps are zero; how a
first convolution is written says `fixes.stem_picks`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xnnlint.fixes.change import CannotChange, Change, Exactness
from xnnlint.fixes.keras.config_scope import Entry, Scope, beside, name_of
from xnnlint.fixes.keras.layer_changes.class_changes import POINTWISE, can_become
from xnnlint.fixes.keras.layer_changes.selecting_layers import selecting
from xnnlint.fixes.keras.layer_code import code
from xnnlint.fixes.keras.layer_fixer import LayerFixer, Match, Stage
from xnnlint.fixes.stem_picks import is_picked, picks, zeros_remain
from xnnlint.fixes.windows import Window, same_padding
from xnnlint.xnnpack.conditions import stem
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.conditions.depthwise import PADDING_OF_KERNEL

_RANK = 4


class ZeroTaps(LayerFixer):
    """A depthwise convolution of stride 2, in a larger kernel."""

    name = "zero-taps"
    rivals = ("padding-on-all-sides",)
    stage = Stage.TAPS
    only_for_sparse = True
    exactness = Exactness.ROUNDING
    fulfils = frozenset({Condition.DEPTHWISE})

    def match(self, scope: Scope, entry: Entry) -> Match | None:
        if entry["class_name"] != "DepthwiseConv2D" or entry["config"].get("depth_multiplier", 1) != 1:
            return None
        windows = _windows(scope, entry)
        if windows is None or _padding_for(windows) is None:
            return None
        return self.found(scope, entry, *scope.sources(entry))

    def apply(self, match: Match) -> Change:
        scope, entry = match.scope, match.entry
        windows = _windows(scope, entry)
        padding = None if windows is None else _padding_for(windows)
        if windows is None or padding is None:
            raise CannotChange("no kernel that XNNPACK has can stand for it")
        size, label = 2 * padding + 1, scope.label(entry)
        rows, columns = ([tap + padding for tap in window.taps] for window in windows)
        kernel, *rest = _arrays(scope, entry)
        weights = {}
        if kernel is not None:
            grown = np.zeros((size, size, *kernel.shape[2:]), kernel.dtype)
            grown[np.array(rows)[:, None], np.array(columns)[None, :]] = kernel
            weights[label] = (grown, *rest)
        was, before = f"{len(rows)}x{len(columns)}", _shown_before(scope, entry)
        pad = _pad_alike(scope, entry, padding)
        entry["config"]["kernel_size"] = [size, size]
        told = f"rows {rows[0]} to {rows[-1]} and columns {columns[0]} to {columns[-1]} as they were, else 0"
        text = f"write the {was} kernel as a {size}x{size} kernel with zero taps (padding {padding})"
        after = (code(pad), f"{code(entry)}  # kernel: {told}")
        return self.change(match, text, before, after, weights=weights)


class StemByPicking(LayerFixer):
    """A first convolution of three channels: a frozen one that picks pixels, a shift, and a 1x1 convolution."""

    name = "stem-by-picking"
    rivals = ("padding-on-all-sides",)
    stage = Stage.TAPS
    only_for_sparse = True
    exactness = Exactness.ROUNDING
    fulfils = frozenset({Condition.STEM})

    def match(self, scope: Scope, entry: Entry) -> Match | None:
        config = entry["config"]
        if entry["class_name"] != "Conv2D" or config.get("groups", 1) != 1 or not can_become(scope, entry):
            return None
        windows = _windows(scope, entry)
        if windows is None or not all(map(is_picked, windows)) or _channels(scope, entry) != stem.CHANNELS:
            return None
        taps = len(windows[0].taps) * len(windows[1].taps) * stem.CHANNELS
        if not zeros_remain(*scope.known.zeros, taps * config["filters"]):
            return None
        return self.found(scope, entry, *scope.sources(entry))

    def apply(self, match: Match) -> Change:
        scope, entry = match.scope, match.entry
        windows = _windows(scope, entry)
        if windows is None:
            raise CannotChange("the file does not say how large a map it reads")
        before, config = _shown_before(scope, entry), entry["config"]
        picked, shift = picks(windows, stem.CHANNELS)
        taps = len(picked)
        shape = scope.shape_into(entry)
        batch = shape[0] if shape else None
        small = [batch, *(window.outputs for window in windows), taps]
        pad = _pad_alike(scope, entry, stem.PAD)
        first = selecting(scope, entry, f"{name_of(entry)}_picks", taps)
        first["config"] |= {"kernel_size": list(stem.KERNEL), "strides": list(stem.STRIDE)}
        moved = beside(entry, "DepthwiseConv2D", scope.fresh(f"{name_of(entry)}_shifts"), _SHIFT | {"trainable": False})
        scope.insert_before(entry, first, small)
        scope.insert_before(entry, moved, small)
        kernel, *rest = _arrays(scope, entry)
        config |= {"kernel_size": [1, 1], "strides": [1, 1], "dilation_rate": [1, 1], **POINTWISE}
        scope.reads(entry, small)
        weights: dict[str, tuple[np.ndarray, ...]] = {
            scope.label(first): (np.ascontiguousarray(picked.transpose(1, 2, 3, 0)),),
            scope.label(moved): (shift[..., None],),
        }
        if kernel is not None:
            weights[scope.label(entry)] = (kernel.reshape(1, 1, taps, -1), *rest)
        frozen = ", trainable=False)  # kernel: zeros and ones"
        after = (code(pad), code(first)[:-1] + frozen, code(moved)[:-1] + frozen, code(entry))
        text = "pick the pixels by a frozen convolution, and convolve them by a 1x1 kernel of the same weights"
        return self.change(match, text, before, after, weights=weights, moving=frozenset({scope.label(entry)}))


# --- padding and sizes -----------------------------------------------------------------------------------------------

_SHIFT: dict[str, Any] = {
    "kernel_size": [3, 3],
    "strides": [1, 1],
    "padding": "same",
    "depth_multiplier": 1,
    "data_format": "channels_last",
    "dilation_rate": [1, 1],
    "activation": "linear",
    "use_bias": False,
}


def _windows(scope: Scope, entry: Entry) -> tuple[Window, Window] | None:
    """Height and width of a convolution of stride 2 that is padded less at the top and left; None for other ones."""
    config = entry["config"]
    kernel, padding = config.get("kernel_size"), config.get("padding")
    if scope.path or scope.calls(entry) != 1 or config.get("data_format") not in (None, "channels_last"):
        return None
    if config.get("strides") != [2, 2] or config.get("dilation_rate", [1, 1]) != [1, 1]:
        return None
    pad = _pad_in_front(scope, entry)
    if padding != ("same" if pad is None else "valid"):
        return None
    shape = _map(scope, entry, pad)
    if shape is None or len(shape) != _RANK or any(type(d) is not int for d in shape[1:3]):
        return None
    found = []
    for size, length, given in zip(shape[1:3], kernel, _amounts(pad) or (None, None), strict=True):
        assert size is not None
        found.append(Window.of(size, length, 2, 1, given or same_padding(size, length, 2)))
    height, width = found
    return None if -height.taps[0] == height.taps[-1] and -width.taps[0] == width.taps[-1] else (height, width)


def _map(scope: Scope, entry: Entry, pad: Entry | None) -> list[int | None] | None:
    """The shape of the map in front of a convolution and its padding."""
    # A padding that 'same' would be is part of the planned convolution, which then reads what the padding does.
    planned = [scope.known.shapes.get(scope.label(layer)) for layer in (pad, entry) if layer is not None]
    return next((shape for shape in planned if shape is not None), None) or scope.shape_into(pad or entry)


def _padding_for(windows: tuple[Window, Window]) -> int | None:
    """The padding of the smallest kernel that has all taps."""
    return next((p for p in sorted(PADDING_OF_KERNEL.values()) if all(w.fits(p) for w in windows)), None)


def _pad_in_front(scope: Scope, entry: Entry) -> Entry | None:
    """The ZeroPadding2D that a convolution alone reads."""
    sources = scope.sources(entry)
    pad = sources[0] if len(sources) == 1 else None
    if pad is None or pad["class_name"] != "ZeroPadding2D" or scope.calls(pad) != 1:
        return None
    return pad if scope.readers(pad) == [entry] and not scope.is_output(pad) and _amounts(pad) else None


def _amounts(pad: Entry | None) -> tuple[tuple[int, int], ...] | None:
    given = None if pad is None else pad["config"].get("padding")
    sides = [side for side in given if isinstance(side, (list, tuple))] if isinstance(given, (list, tuple)) else []
    return tuple((side[0], side[1]) for side in sides) if [len(side) for side in sides] == [2, 2] else None


def _pad_alike(scope: Scope, entry: Entry, side: int) -> Entry:
    """Lets a convolution be padded by so much on every side by a layer in front, and not by itself."""
    pad, wanted = _pad_in_front(scope, entry), [[side, side], [side, side]]
    shape = scope.shape_into(entry if pad is None else pad)
    if pad is None:
        pad = beside(entry, "ZeroPadding2D", scope.fresh(f"{name_of(entry)}_pad"), {"data_format": "channels_last"})
        scope.insert_before(entry, pad, _grown(shape, side))
    pad["config"]["padding"] = wanted
    entry["config"]["padding"] = "valid"
    scope.reads(entry, _grown(shape, side))
    return pad


def _grown(shape: list[int | None] | None, side: int) -> list[int | None] | None:
    if shape is None or len(shape) != _RANK:
        return None
    return [shape[0], *(None if d is None else d + 2 * side for d in shape[1:3]), shape[3]]


def _channels(scope: Scope, entry: Entry) -> int | None:
    kernel, *_ = _arrays(scope, entry)
    if kernel is not None:
        return int(kernel.shape[2])
    shape = _map(scope, entry, _pad_in_front(scope, entry))
    return shape[-1] if shape else None


def _arrays(scope: Scope, entry: Entry) -> list[Any]:
    """The weights of a layer, kernel first; [None] where they are not known."""
    return [read() for read in scope.known.weights.get(scope.label(entry), {}).values()] or [None]


def _shown_before(scope: Scope, entry: Entry) -> tuple[str, ...]:
    pad = _pad_in_front(scope, entry)
    return (code(entry),) if pad is None else (code(pad), code(entry))


FIXERS: tuple[LayerFixer, ...] = (ZeroTaps(), StemByPicking())
