"""Hard sigmoids, whose numbers have no dimensions: spelled by layers whose numbers have four.

Keras 3 computes relu6(x + 3) / 6 (`hard_sigmoid` of keras/src/backend/tensorflow/nn.py), Keras 2 0.2 x + 0.5 between 0
and 1 (`hard_sigmoid` of tf_keras/src/backend.py). A Rescaling takes a scale of any shape.
"""

from __future__ import annotations

from xnnlint.fixes.change import Change, Exactness
from xnnlint.fixes.keras.config_scope import Entry, Scope, beside, name_of
from xnnlint.fixes.keras.layer_code import code
from xnnlint.fixes.keras.layer_fixer import LayerFixer, Match, Stage
from xnnlint.xnnpack.conditions.condition import Condition

_NAME = "hard_sigmoid"
# scale and offset in front of the ReLU, its highest value, and the scale behind it.
_KERAS_2 = (0.2, 0.5, 1.0, 1.0)
_KERAS_3 = (1.0, 3.0, 6.0, 1.0 / 6.0)


class HardSigmoidOfLayers(LayerFixer):
    """A hard sigmoid becomes Rescaling, ReLU and Rescaling."""

    name = "hard-sigmoid-of-layers"
    stage = Stage.CONSTANTS
    exactness = Exactness.ROUNDING
    fulfils = frozenset(
        {Condition.ELEMENTWISE_OPERAND, Condition.NCHW_KERNEL, Condition.RIGHT_RESULTS, Condition.LOADS_AND_RUNS}
    )

    def match(self, scope: Scope, entry: Entry) -> Match | None:
        if entry["config"].get("activation") != _NAME or scope.calls(entry) != 1:
            return None
        return self.found(scope, entry)

    def apply(self, match: Match) -> Change:
        scope, entry, before = match.scope, match.entry, code(match.entry)
        scale, offset, highest, last = _KERAS_3 if scope.is_of_keras3 else _KERAS_2
        name = name_of(entry)
        into = beside(entry, "Rescaling", scope.fresh(f"{name}_rescaling"), _rescaling(scale, offset))
        if entry["class_name"] == "Activation":
            shape = scope.shape_into(entry)
            relu = beside(entry, "ReLU", name, {"max_value": highest, "negative_slope": 0.0, "threshold": 0.0})
            entry["class_name"], entry["config"] = "ReLU", relu["config"]
            scope.insert_before(entry, into, shape)
            new = [into, entry]
        else:
            shape = scope.shape_behind(entry)
            entry["config"]["activation"] = "linear"
            config = {"max_value": highest, "negative_slope": 0.0, "threshold": 0.0}
            relu = beside(entry, "ReLU", scope.fresh(f"{name}_relu"), config)
            scope.insert_behind(entry, into, shape)
            scope.insert_behind(into, relu, shape)
            new = [entry, into, relu]
        if last != 1.0:
            out = beside(entry, "Rescaling", scope.fresh(f"{name}_sixth"), _rescaling(last, 0.0))
            scope.insert_behind(new[-1], out, shape)
            new.append(out)
        text = "compute the hard sigmoid by Rescaling and ReLU, with numbers of four dimensions"
        return self.change(match, text, (before,), tuple(code(e) for e in new))


def _rescaling(scale: float, offset: float) -> Entry:
    return {"scale": [[[[scale]]]] if scale != 1.0 else 1.0, "offset": [[[[offset]]]] if offset else 0.0}


FIXERS: tuple[LayerFixer, ...] = (HardSigmoidOfLayers(),)
