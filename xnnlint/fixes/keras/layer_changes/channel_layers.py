"""Layers that only move channels about, as frozen 1x1 convolutions of zeros and ones; see `selecting_layers`.

A concatenation is the sum of convolutions that put each part in its place, as in ShuffleNet and DenseNet.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from xnnlint.fixes.change import CannotChange, Change
from xnnlint.fixes.keras.config_scope import Entry, Scope, name_of
from xnnlint.fixes.keras.layer_changes.pooling_layers import back_to_convolution
from xnnlint.fixes.keras.layer_changes.selecting_layers import selecting, selection, shown
from xnnlint.fixes.keras.layer_code import code
from xnnlint.fixes.keras.layer_fixer import LayerFixer, Match, Stage
from xnnlint.xnnpack.conditions.condition import Condition

_MOST_CHANNELS = 1024
_MOST_PARTS = 8
_RANK = 4
_INSIDE = frozenset({Condition.NCHW_KERNEL, Condition.DELEGATED, Condition.RIGHT_RESULTS})
# What a reshape of a size that is computed at run time is the reason for, at the convolution in front.
_AROUND = frozenset({Condition.CLUSTER_END, Condition.BRANCH_END, Condition.CONSUMER_INSIDE, Condition.OUTPUT_OUTSIDE})


class ShuffleByConvolution(LayerFixer):
    """Reshape, Permute and Reshape that shuffle channels, as layers or as operations."""

    name = "shuffle-by-convolution"
    stage = Stage.CHANNELS
    only_for_sparse = True
    fulfils = _INSIDE | _AROUND

    def match(self, scope: Scope, entry: Entry) -> Match | None:
        chain = _shuffle(scope, entry)
        if scope.path or not chain:
            return None
        return self.found(scope, entry, *chain, *back_to_convolution(scope, entry))

    def apply(self, match: Match) -> Change:
        scope, entry = match.scope, match.entry
        chain = _shuffle(scope, entry)
        target, order = _target(entry), _order(chain[1]) if chain else None
        if target is None or order is None:
            raise CannotChange("it does more than to shuffle channels")
        rows, channels = np.arange(target[-1] * target[-2]).reshape(target[-2:]).T.reshape(-1), target[-1] * target[-2]
        new = selecting(scope, entry, f"{name_of(entry)}_shuffle", channels)
        before = tuple(code(e) for e in chain)
        shape = scope.shape_into(entry)
        scope.insert_before(entry, new, shape if shape is not None and len(shape) == _RANK else None)
        for layer in chain:
            scope.remove(layer)
        after = (shown(new, f"np.eye({channels})[:, order], {target[-2]} groups"),)
        weights = {scope.label(new): selection(rows.tolist(), channels)}
        text = "shuffle the channels by a 1x1 convolution"
        return self.change(match, text, before, after, weights=weights, moving=frozenset(weights))


class _Selected(LayerFixer):
    """What gives some of the channels of a map, in one output or several."""

    stage = Stage.CHANNELS
    only_for_sparse = True
    fulfils = _INSIDE | _AROUND

    @abstractmethod
    def parts(self, scope: Scope, entry: Entry, channels: int) -> list[list[int]] | None:
        """The channels of each output; None where it does something else."""

    def match(self, scope: Scope, entry: Entry) -> Match | None:
        if scope.path or scope.is_sequential or scope.calls(entry) != 1 or scope.is_output(entry):
            return None
        if not self._found(scope, entry):
            return None
        return self.found(scope, entry, *back_to_convolution(scope, entry))

    def apply(self, match: Match) -> Change:
        scope, entry = match.scope, match.entry
        shape, before, parts = scope.shape_into(entry), code(entry), self._found(scope, entry)
        if shape is None or shape[3] is None or not parts:
            raise CannotChange("it does more than to select channels")
        made, weights = {}, {}
        for output in scope.outputs_read(entry):
            rows = parts[output]
            new = made[output] = selecting(scope, entry, f"{name_of(entry)}_part{output}", len(rows))
            scope.insert_beside(entry, new)
            weights[scope.label(new)] = selection(rows, shape[3])
        scope.replace(entry, made)
        after = tuple(shown(new, f"np.eye({shape[3]})[:, {_span(parts[i])}]") for i, new in made.items())
        text = (
            "select the channels by 1x1 convolutions" if len(made) > 1 else "select the channels by a 1x1 convolution"
        )
        return self.change(match, text, (before,), after, weights=weights, moving=frozenset(weights))

    def _found(self, scope: Scope, entry: Entry) -> list[list[int]] | None:
        shape = scope.shape_into(entry)
        if not _is_map(shape) or shape is None or shape[3] is None:
            return None
        return self.parts(scope, entry, shape[3])


class SplitByConvolution(_Selected):
    """tf.split and keras.ops.split into equal parts."""

    name = "split-by-convolution"

    def parts(self, scope: Scope, entry: Entry, channels: int) -> list[list[int]] | None:
        given = _arguments(entry, "split", "Split")
        count = given.get("num_or_size_splits", given.get("indices_or_sections"))
        if type(count) is not int or count < 1 or channels % count or given.get("axis") not in (3, -1):
            return None
        width = channels // count
        return [list(range(i * width, (i + 1) * width)) for i in range(count)]


class SliceByConvolution(_Selected):
    """x[..., a:b] of a map."""

    name = "slice-by-convolution"

    def parts(self, scope: Scope, entry: Entry, channels: int) -> list[list[int]] | None:
        spec = _arguments(entry, "__operators__.getitem", "GetItem").get("slice_spec")
        if not isinstance(spec, list) or not spec or not all(isinstance(part, dict) for part in spec):
            return None
        *front, last = (part.get("config", part) if part.get("class_name") != "__ellipsis__" else None for part in spec)
        ellipsis = front == [None]
        if last is None or not (ellipsis or (len(front) == _RANK - 1 and all(_takes_all(part) for part in front))):
            return None
        limits = [last.get(key) for key in ("start", "stop", "step")]
        if any(limit is not None and type(limit) is not int for limit in limits) or limits[2] == 0:
            return None
        taken = list(range(channels)[slice(*limits)])
        return [taken] if taken else None


class ConcatenateByAdding(LayerFixer):
    """Each part in its channels, zeros in the others, and the sum of all."""

    name = "concatenate-by-adding"
    stage = Stage.CHANNELS
    only_for_sparse = True
    fulfils = _INSIDE

    def match(self, scope: Scope, entry: Entry) -> Match | None:
        if scope.path or entry["class_name"] != "Concatenate" or entry["config"].get("axis") not in (3, -1):
            return None
        parts = self._parts(scope, entry)
        if entry.get("module", "keras.layers") != "keras.layers" or scope.calls(entry) != 1 or not parts:
            return None
        fits = 1 < len(parts) <= _MOST_PARTS and sum(part[3] for part in parts) <= _MOST_CHANNELS
        return self.found(scope, entry) if fits else None

    def apply(self, match: Match) -> Change:
        scope, entry = match.scope, match.entry
        parts, before = self._parts(scope, entry), code(entry)
        if not parts:
            raise CannotChange("it joins something else than maps of known sizes")
        total, first = sum(part[3] for part in parts), 0
        weights, lines = {}, []
        for index, part in enumerate(parts):
            channels = part[3]
            new = selecting(scope, entry, f"{name_of(entry)}_place{index}", total)
            scope.insert_on(entry, index, new, [*part[:3], total])
            rows = [c - first if first <= c < first + channels else None for c in range(total)]
            weights[scope.label(new)] = selection(rows, channels)
            lines.append(shown(new, f"np.eye({channels}, {total}, {first})"))
            first += channels
        entry["class_name"] = "Add"
        entry["config"] = {key: value for key, value in entry["config"].items() if key != "axis"}
        if isinstance(entry.get("build_config"), dict):
            entry["build_config"] = {"input_shape": [[*part[:3], total] for part in parts]}
        text = f"put its {len(parts)} parts in their places by 1x1 convolutions, and add them"
        after = (*lines, code(entry))
        return self.change(match, text, (before,), after, weights=weights, moving=frozenset(weights))

    def _parts(self, scope: Scope, entry: Entry) -> list[list[Any]]:
        """The shapes of its inputs, all maps of one size; none where it has others."""
        parts = scope.known.parts.get(scope.label(entry), ())
        fits = len(parts) == len(scope.inputs(entry)) and all(map(_is_map, parts))
        return [list(part) for part in parts] if fits and len({tuple(part[1:3]) for part in parts}) == 1 else []


# --- what layers say -------------------------------------------------------------------------------------------------


def _shuffle(scope: Scope, entry: Entry) -> list[Entry]:
    """The three layers of a shuffle of channels that begins with `entry`; none where it is something else."""
    apart = _target(entry)
    if apart is None:
        return []
    chain = [entry]
    while len(chain) < 3:
        readers = scope.readers(chain[-1])
        if len(readers) != 1 or scope.is_output(chain[-1]):
            return []
        chain.append(readers[0])
    if scope.is_output(chain[-1]) or any(scope.calls(e) != 1 or len(scope.sources(e)) != 1 for e in chain):
        return []
    order, together = _order(chain[1]), _target(chain[2])
    if order != [0, 1, 2, 4, 3] or together is None or (len(apart), len(together)) != (5, _RANK):
        return []
    groups, each = apart[3:]
    shape = scope.shape_into(entry)
    sizes = None if shape is None or len(shape) != _RANK else shape[1:3]
    same = all(
        a == b and (sizes is None or a in (sizes[i], -1))
        for i, (a, b) in enumerate(zip(apart[1:3], together[1:3], strict=True))
    )
    fits = groups > 0 and each > 0 and together[3] == groups * each <= _MOST_CHANNELS
    return chain if same and fits and (shape is None or shape[-1] in (None, groups * each)) else []


def _target(entry: Entry) -> list[Any] | None:
    """The shape that a layer or an operation reshapes to, batch first."""
    target = entry["config"].get("target_shape")
    given = [None, *target] if isinstance(target, (list, tuple)) else None
    if entry["class_name"] != "Reshape" or given is None:
        arguments = _arguments(entry, "reshape", "Reshape")
        given = arguments.get("shape", arguments.get("newshape"))
    return list(given) if isinstance(given, list) and all(type(d) is int for d in given[1:]) else None


def _order(entry: Entry) -> list[int] | None:
    """The order of dimensions that a layer or an operation gives, batch first."""
    if entry["class_name"] == "Permute":
        dims = entry["config"].get("dims")
        return [0, *dims] if isinstance(dims, (list, tuple)) else None
    arguments = _arguments(entry, "compat.v1.transpose", "Transpose") or _arguments(entry, "transpose", "Transpose")
    order = arguments.get("perm", arguments.get("axes"))
    return list(order) if isinstance(order, (list, tuple)) else None


def _arguments(entry: Entry, function: str, operation: str) -> dict[str, Any]:
    """What an operation is given besides tensors: tf_keras has it in its call, Keras 3 in its config as a rule."""
    nodes = entry.get("inbound_nodes")
    node = nodes[0] if isinstance(nodes, list) and len(nodes) == 1 else None
    if entry["config"].get("function") == function and isinstance(node, list) and len(node) == 4:
        return node[3] if isinstance(node[3], dict) else {}
    if entry["class_name"] != operation or not _is_operation(entry):
        return {}
    args = node.get("args") if isinstance(node, dict) else None
    spec = {"slice_spec": args[1]} if isinstance(args, list) and len(args) == 2 else {}
    return {**entry["config"], **spec}


def _is_operation(entry: Entry) -> bool:
    """Whether it is an operation of Keras 3 and no layer; legacy files do not say of which module a class is."""
    module = entry.get("module")
    return module.startswith("keras.src.ops") if isinstance(module, str) else "trainable" not in entry["config"]


def _takes_all(part: dict[str, Any] | None) -> bool:
    return part is not None and not any(part.get(key) is not None for key in ("start", "stop", "step"))


def _is_map(shape: Sequence[int | None] | None) -> bool:
    """[N, H, W, C], the last three known and more than one pixel."""
    if shape is None or len(shape) != _RANK or any(type(d) is not int for d in shape[1:]):
        return False
    return list(shape[1:3]) != [1, 1]


def _span(channels: Sequence[int]) -> str:
    step = channels[1] - channels[0] if len(channels) > 1 else 1
    return f"{channels[0]}:{channels[-1] + 1}" + (f":{step}" if step != 1 else "")


FIXERS: tuple[LayerFixer, ...] = (
    ShuffleByConvolution(),
    SplitByConvolution(),
    SliceByConvolution(),
    ConcatenateByAdding(),
)
