"""A file can claim anything: fixes look at operators of no form that TFLite knows, and find no place there."""

from __future__ import annotations

import random

import numpy as np
import pytest

from tests.fixes.cases.map_pooling import pooled_in_nchw
from tests.fixes.cases.one_channel import grey
from tests.fixes.fix_case import pattern
from xnnlint.loaders.tflite.read_tflite import load_bytes
from xnnlint.xnnpack.planner import make_plan
from xnnlint.xnnpack.profile import load_profile

pytest.importorskip("ai_edge_litert", reason="the editor needs the verify extra")

from xnnlint.fixes.request import FixRequest
from xnnlint.fixes.tflite.editor import Edit, GraphEdit, Purpose
from xnnlint.fixes.tflite.file_search import search
from xnnlint.fixes.tflite.graph_view import View
from xnnlint.fixes.tflite.operator_fixer import operator_fixers
from xnnlint.fixes.tflite.rescue import rescues

PROFILE = load_profile("litert-2.3", "x86-sse")
REQUEST = FixRequest(PROFILE, unsafe=True, prune=0.8, batch=1, even_if_slower=True)
MODELS = ("conv_3x3", "concat_2", "split_concat", "dw_s2_same_even", "pw_grouped", "fc_nokeep_reshape", "max_pool_2x2",
          "resize_nearest", "reshape_flat_and_back", "stem_same_odd", "add_const_c", "weights_fp16")  # fmt: skip
BUILD = {
    **{name: pattern(name) for name in MODELS},
    "pooled_in_nchw": lambda: pooled_in_nchw("MEAN", keep_dims=True),
    "grey": lambda: grey("VALID", 24),
}
OTHER_TYPES = ("CONV_2D", "DEPTHWISE_CONV_2D", "MEAN", "PAD", "CONCATENATION", "SPLIT", "GATHER", "SOFTMAX", "RESHAPE")


def damage(rng: random.Random, graph: GraphEdit) -> None:
    """Makes something of an operator, or of what it reads or writes, that no converter does."""
    op = rng.choice(graph.operators)
    tensor = rng.choice([t for t in (*op.inputs, *op.outputs) if t >= 0])
    what = rng.randrange(6)
    if what == 0:
        op.inputs = op.inputs[:-1]
    elif what == 1 and op.inputs:
        op.inputs[rng.randrange(len(op.inputs))] = -1
    elif what == 2:
        op.raw.builtinOptions = None
    elif what == 3 and graph.tensors[tensor].sparsity is None:
        graph.tensors[tensor].shape = np.array([rng.randint(0, 4) for _ in range(rng.randint(0, 5))], np.int32)
    elif what == 4:
        op.type = rng.choice(OTHER_TYPES)
    elif what == 5 and graph.tensors[tensor].sparsity is None:
        graph.tensors[tensor].type = rng.randrange(10)


@pytest.mark.parametrize("name", BUILD)
def test_no_fix_stumbles_over_an_odd_operator(name):
    data = BUILD[name]()
    plan = make_plan(load_bytes(data, name), PROFILE)
    rng = random.Random(name)
    for _ in range(25):
        view = View(Edit(data, name).main, plan, REQUEST)
        for _ in range(rng.randint(1, 3)):
            damage(rng, view.graph)
        for fixer in operator_fixers():
            assert all(op in view.graph.operators for op in fixer.sites(view))
        for rescue in rescues():
            assert all(view.graph.find(way.uid) for way in rescue.ways(view))


def places(fix: str, data: bytes) -> int:
    """At how many operators a fix could be made."""
    fixer = next(fixer for fixer in operator_fixers() if fixer.name == fix)
    view = View(Edit(data, fix).main, make_plan(load_bytes(data, fix), PROFILE), REQUEST)
    return len(list(fixer.sites(view)))


@pytest.mark.parametrize(
    ("order", "axes", "expected"),
    [((0, 3, 1, 2), (2, 3), 1), ((0, 3, 1, 2), (-1, -2), 1), ((0, 3, 2, 1), (2, 3), 0), ((0, 3, 1, 2), (1, 2), 0)],
)
def test_only_a_pooling_over_height_and_width_goes_in_front_of_a_transpose(order, axes, expected):
    """Height and width exchanged would be the same but for the order of the sums, and so not the same bits."""
    assert places("pool-before-transpose", pooled_in_nchw("MEAN", False, order, axes)) == expected


@pytest.mark.parametrize(("channels", "stride", "expected"), [(1, 2, 1), (1, 1, 0), (2, 2, 0)])
def test_only_a_depthwise_convolution_of_one_channel_is_an_ordinary_one(channels, stride, expected):
    assert places("convolve-one-channel", grey("VALID", 24, channels, stride)) == expected


def test_a_mistake_of_ours_is_no_silence(monkeypatch):
    """A fix that stumbles ends the search; it is not taken for one that fits nowhere."""

    def stumble(self, view):
        raise IndexError("a mistake")

    monkeypatch.setattr(type(operator_fixers()[0]), "sites", stumble)
    with pytest.raises(IndexError, match="a mistake"):
        search(pattern("concat_2")(), "model.tflite", REQUEST)


# --- what a fix put in -----------------------------------------------------------------------------------------------


def test_only_convolutions_of_a_fix_are_no_gain():
    """Whatever a user calls his tensors: what a fix put in is known by a record, and by no name."""
    data = pattern("concat_2")()
    edit = Edit(data, "model.tflite")
    for tensor in edit.main.tensors:
        tensor.name = f"{tensor.name}/moved_channels"
    named = edit.to_bytes()
    plain, result = (search(d, "model.tflite", FixRequest(PROFILE, even_if_slower=True)) for d in (data, named))
    assert len(result.before.pointwise) == len(plain.before.pointwise) > 0
    assert len(result.after.spmm) == len(plain.after.spmm) > 0
    moving = len(result.after.plan.spmm_ops) - len(result.after.spmm)
    assert moving == list(result.after.purposes.values()).count(Purpose.MOVES_CHANNELS) > 0


def test_the_record_of_what_a_fix_put_in_follows_its_tensors():
    edit = Edit(pattern("concat_2")(), "model.tflite")
    graph = edit.main
    unread = graph.add_constant("unread", np.zeros(4, np.float32))
    kernel = graph.add_constant("kernel", np.ones((16, 1, 1, 16), np.float32), Purpose.MOVES_CHANNELS)
    convolution = next(
        op for op in graph.operators if op.type == "CONV_2D" and graph.shape(op.inputs[1])[1:3] == (1, 1)
    )
    convolution.inputs[1] = kernel
    edit.to_bytes()
    assert unread < kernel
    assert edit.main.purposes == {convolution.inputs[1]: Purpose.MOVES_CHANNELS}
    assert graph.name(convolution.inputs[1]) == "kernel"
