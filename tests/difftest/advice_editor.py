"""Does to a .tflite file what pieces of advice say, also where no fix of the project can: the editor of advice.

A condition that a finding wants fulfilled is fulfilled by real operators. What they compute is of no interest, only
that the runtime runs the changed file as it was promised; so an operator that cannot be part of a cluster is replaced
by a depthwise convolution, say, and not by what its author would choose.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from xnnlint.rules.pooling_axes import shrinks_side

from tests.difftest.advice_gates import CannotWrite, write_gates
from xnnlint.fixes.change import CannotChange
from xnnlint.fixes.request import FixRequest
from xnnlint.fixes.tflite.editor import Edit, GraphEdit, Op
from xnnlint.fixes.tflite.graph_parts import (
    activation,
    add_pad,
    insert_depthwise,
    is_constant,
    is_float,
    plain_bias,
    set_activation,
)
from xnnlint.fixes.tflite.graph_view import View
from xnnlint.fixes.tflite.object_api import number
from xnnlint.fixes.tflite.operator_changes.depthwise_taps import pad_in_front
from xnnlint.fixes.tflite.operator_changes.encode_zeros import EncodeZeros
from xnnlint.fixes.tflite.operator_changes.magnitude_pruning import prune
from xnnlint.fixes.tflite.rescues.misread_weights import store_misread_dense
from xnnlint.fixes.tflite.sparse_encoding import dense_values, encode, store_dense, stored_filter
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.delegate.rejection import Objection
from xnnlint.xnnpack.waiver import PRUNED_SHARE, WaiverKind

if TYPE_CHECKING:
    from xnnlint.linter.findings import Finding
    from xnnlint.xnnpack.plan import PartitionPlan, Plan

# What the plan takes pruned weights to have.
SPARSITY = PRUNED_SHARE
# Stand-ins bring 1x1 convolutions of their own, which must not tip the count of zeros.
STAND_IN_ZEROS = 0.95
# The largest fully-connected stand-in, in weights.
LARGEST = 2_000_000
STEM, POOLING, IN_CLUSTER_POOLING = ("XNN101",), ("XNN109", "XNN602"), ("XNN601",)
CONSTANT = ("XNN901", "XNN902")
FILTER = 1
LAYERS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
# These only give values another shape.
SHAPE_ONLY = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")
ACTIVATIONS = {"TANH": "TANH", "SIGN_BIT": "SIGN"}


class NotFollowed(Exception):
    """The editor cannot do what a piece of advice says; the text is the kind of it, for counting."""


class Followed:
    """The file after the advice.

    Attributes:
        data: the file.
        places: index of an operator as it was -> its index in the new file, where it is still there.
        counts_more: whether 1x1 convolutions were put in, whose zeros count with those of a cluster.
    """

    def __init__(self, data: bytes, places: dict[int, int], counts_more: bool) -> None:
        self.data, self.places, self.counts_more = data, places, counts_more


def follow(data: bytes, name: str, plan: Plan, findings: Sequence[Finding]) -> Followed:
    """Does what all these findings say.

    Raises:
        NotFollowed: one of them asks for something that this editor cannot do.
    """
    editor = _Editor(Edit.open(data, name), plan)
    return editor.follow(findings)


def without_misread_weights(data: bytes, name: str, plan: Plan) -> bytes:
    """The file with weights stored dense that an operator takes for dense ones."""
    edit = Edit.open(data, name)
    store_misread_dense(View(edit.main, plan, FixRequest(plan.profile)))
    return edit.to_bytes()


class _Editor:
    def __init__(self, edit: Edit, plan: Plan) -> None:
        self.edit, self.plan = edit, plan
        self.graph: GraphEdit = edit.main
        self.view = View(edit.main, plan, FixRequest(plan.profile))
        self.ops = list(self.graph.operators)
        self.rng = np.random.default_rng(7)
        self.counts_more = False
        # Kind of condition -> what it is about -> the rule that asks for it.
        self.asked: dict[str, dict[int, str]] = {}

    def follow(self, findings: Sequence[Finding]) -> Followed:
        asked = self.asked
        if any(finding.condition is Condition.WRAPPERS_STRIPPED for finding in findings):
            raise NotFollowed("pruning wrappers that are to be taken off before the model is converted")
        for finding in findings:
            for kind, index in finding.waivers:
                asked.setdefault(kind, {})[index] = finding.rule
        steps: dict[str, Callable[[int, str], None]] = {
            "float": self._float,
            "fp32": self._fp32,
            "cpu": lambda *_: None,  # The run is on a CPU with the sparse path.
            "reshape": self._reshape,
            "exit": self._exit,
            "entry": self._entry,
            "once": self._once,
            "delegated": self._delegated,
            "compatible": self._compatible,
            "pruned": self._pruned,
            "encoded": self._encoded,
        }
        # Who reads a value in the cluster is as the plan has it, before anything is moved.
        claims = [w for f in findings for w in f.waivers if w.kind in (WaiverKind.DELEGATED, WaiverKind.FLOAT)]
        partitions = self.plan.planner.plan(claims).partitions if self.plan.planner else []
        self.inside = {t: self._insiders(t, partitions) for t in asked.get("exit", ())}
        for kind in asked.keys() - steps.keys():
            raise NotFollowed(f"unknown condition {kind}")
        self._gates(findings)
        self._constants()
        for kind, step in steps.items():
            for index, rule in asked.get(kind, {}).items():
                step(index, rule)
        self._keep_stored_sparse()
        uids = {op.uid: i for i, op in enumerate(self.ops)}
        data = self.edit.to_bytes()
        places = {uids[op.uid]: i for i, op in enumerate(self.graph.operators) if op.uid in uids}
        return Followed(data, places, self.counts_more)

    def _constants(self) -> None:
        """What a unary operator computes of constants becomes one."""
        graph = self.plan.graph
        for index, rule in self.asked.get("compatible", {}).items():
            op = self.ops[index]
            if rule != "XNN107" or not graph.needed(graph.operators[index].inputs).isdisjoint(graph.inputs):
                continue
            target = op.outputs[0]
            self._need_floats(target)
            values = self.rng.uniform(0.5, 1.5, self.graph.shape(target)).astype(np.float32)
            self.graph.rewire(target, self.graph.add_constant(f"{self.graph.name(target)}/constant", values))
            self.graph.remove(op)

    def _gates(self, findings: Sequence[Finding]) -> None:
        """What stands between a pooling and the map that it scales is written as one."""
        waivers = frozenset().union(*(f.waivers for f in findings))
        # Weights that count are pruned before they get another form.
        dense = [index for index in self.asked.get("pruned", {}) if self.ops[index].type == "FULLY_CONNECTED"]
        for index in dense:
            self._pruned(index, "")
        before = len(self.graph.operators)
        try:
            self.counts_more |= write_gates(self.graph, self.plan.graph, self.ops, waivers)
        except CannotWrite as reason:
            raise NotFollowed(str(reason)) from None
        # A branch that nobody read before stays: it may hold the only weights that are stored sparse.
        if len(self.graph.operators) != before:
            self._drop_unread()

    def _keep_stored_sparse(self) -> None:
        """Where weights that are stored sparse were replaced, others are: a model that is converted again gets all of
        them stored sparse, as before."""
        self.graph.drop_idle()
        sides = (self.plan.graph.operators, self.graph.operators)
        had, has = (sum(op.type == "DENSIFY" for op in side) for side in sides)
        if has < had:
            self._encode_all()

    # -- between operators

    def _insiders(self, tensor: int, partitions: Sequence[PartitionPlan]) -> list[Op]:
        """The readers of a value that can run in NCHW, in the partition that computes it."""
        for part in partitions:
            if any(part.subgraph.values[v].tensor == tensor for node in part.nodes for v in node.outputs):
                capable = dict.fromkeys(part.partition.ops, True)
                nodes = {node.op for node in part.nodes}
                for node, verdict in zip(part.nodes, part.decision.verdicts, strict=True):
                    capable[node.op] = capable.get(node.op, True) and bool(verdict.layout)
                return [op for op in self.graph.consumers(tensor) if self._is_inside(op, capable, nodes)]
        return []

    def _is_inside(self, op: Op, capable: dict[int, bool], nodes: set[int]) -> bool:
        """Of what XNNPACK folds into others, such as a PAD, these decide."""
        index = self.ops.index(op)
        if index in nodes or index not in capable:
            return capable.get(index, False)
        readers = [reader for t in op.outputs for reader in self.graph.consumers(t)]
        exposed = any(t in self.graph.outputs for t in op.outputs)
        return bool(readers) and not exposed and all(self._is_inside(reader, capable, nodes) for reader in readers)

    def _producer(self, tensor: int) -> Op:
        producer = self.graph.producer(tensor)
        if producer is None:
            raise NotFollowed("a change behind an input")
        return producer

    def _reshape(self, tensor: int, _: str) -> None:
        producer = self._producer(tensor)
        new, old = self.graph.displace(producer, "_flat", slot=producer.outputs.index(tensor))
        self._shape_to(new, old, near=producer, after=True)

    def _shape_to(self, source: int, target: int, *, near: Op, after: bool = False) -> Op:
        shape = list(self.graph.signature(target))
        if sum(d < 0 for d in shape) > 1:
            raise NotFollowed("several dynamic dimensions")
        constant = self.graph.add_constant(f"{self.graph.name(target)}/shape", np.array(shape, np.int32))
        return self.graph.insert(
            "RESHAPE", [source, constant], [target], near=near, after=after, options="ReshapeOptions", newShape=shape
        )

    def _exit(self, tensor: int, _: str) -> None:
        """DEPTH_TO_SPACE ends the cluster; SPACE_TO_DEPTH gives the readers outside the map that they had.

        Where the channels don't divide by 4 it would take a 1x1 convolution, which counts for the zeros of the cluster;
        there a pooling ends it, and a dense layer makes a map of what is pooled.
        """
        from xnnlint.fixes.tflite.nchw_leaks import Leak
        from xnnlint.fixes.tflite.operator_changes.cluster_exits import leave

        producer = self._producer(tensor)
        if len(self.graph.shape(tensor)) != 4:
            raise NotFollowed("an end behind a value that is no map")
        inside = tuple(op for op in self.inside[tensor] if op in self.graph.operators)
        if self.graph.shape(tensor)[3] % 4:
            new, old = self.graph.displace(producer, "_nchw")
            self.graph.rewire(old, new, inside)
            place = self.graph.operators.index(producer)
            self._pool(new, old, near=producer)
            self.graph.move(producer, before=self.graph.operators[place])
            return
        try:
            leave(self.view, Leak(tensor, producer, inside, live=False))
        except CannotChange as reason:
            raise NotFollowed(f"an end: {reason}") from None

    def _entry(self, tensor: int, _: str) -> None:
        readers = self.graph.consumers(tensor)
        if not readers or len(self.graph.shape(tensor)) != 4:
            raise NotFollowed("a stem behind a value that is no map")
        entered = self.graph.add_like(tensor, "_entered")
        first = min(readers, key=self.graph.operators.index)
        self._write_stem(tensor, entered, near=first)
        self.graph.rewire(tensor, entered, readers)

    def _write_stem(self, source: int, target: int, *, near: Op) -> None:
        """A 3x3 convolution of stride 2 on three channels, behind whatever makes a map of twice its output's size."""
        graph = self.graph
        _, height, width, filters = graph.shape(target)
        batch, rows, columns, channels = graph.shape(source)
        if channels != 3 or (-(-rows // 2), -(-columns // 2)) != (height, width):
            ratio = max(-(-2 * height // rows), -(-2 * width // columns))
            if ratio > 1:
                source = self._resize(source, (rows * ratio, columns * ratio), near)
            stride = max(min(rows // (2 * height), columns // (2 * width)), 1)
            source = self._dense_conv(source, 3, near, stride)
            source = self._cut(source, (batch, 2 * height, 2 * width, 3), near)
        stem = graph.insert(
            "CONV_2D",
            [source, self._weights((filters, 3, 3, 3), "stem"), self._bias(filters)],
            [target],
            near=near,
            options="Conv2DOptions",
            padding=number("Padding", "VALID"),
            strideH=2,
            strideW=2,
        )
        add_pad(self.view, stem, ((0, 0), (1, 1), (1, 1), (0, 0)))

    def _dense_conv(self, source: int, filters: int, near: Op, stride: int = 1) -> int:
        """A 3x3 convolution that no cluster takes; stride 1 or more, SAME."""
        batch, rows, columns, channels = self.graph.shape(source)
        if channels == 3 and stride == 2:
            stride = 1
        shape = (batch, -(-rows // stride), -(-columns // stride), filters)
        made = self.graph.add_like(source, "_spatial", shape)
        self.graph.insert(
            "CONV_2D",
            [source, self._weights((filters, 3, 3, channels), "spatial"), self._bias(filters)],
            [made],
            near=near,
            options="Conv2DOptions",
            padding=number("Padding", "SAME"),
            strideH=stride,
            strideW=stride,
        )
        return made

    def _cut(self, source: int, shape: Sequence[int], near: Op) -> int:
        """Cuts off rows and columns, and adds others of zeros."""
        graph, has = self.graph, self.graph.shape(source)
        common = [min(a, b) for a, b in zip(has, shape, strict=True)]
        if tuple(common) != has:
            cut = graph.add_like(source, "_cut", common)
            vectors = {"begin": [0] * 4, "end": common, "strides": [1] * 4}
            given = [graph.add_constant(f"{graph.name(cut)}/{k}", np.array(v, np.int32)) for k, v in vectors.items()]
            masks = {"beginMask": 1, "endMask": 1}
            graph.insert("STRIDED_SLICE", [source, *given], [cut], near=near, options="StridedSliceOptions", **masks)
            source = cut
        if tuple(common) != tuple(shape):
            grown = graph.add_like(source, "_grown", shape)
            amounts = np.array([(0, b - a) for a, b in zip(common, shape, strict=True)], np.int32)
            given = [graph.add_constant(f"{graph.name(grown)}/paddings", amounts)]
            graph.insert("PAD", [source, *given], [grown], near=near, options="PadOptions")
            source = grown
        return source

    # -- operators

    def _compatible(self, index: int, rule: str) -> None:
        op = self.ops[index]
        if op not in self.graph.operators:
            return  # It was replaced as one that XNNPACK does not take.
        if rule in CONSTANT:
            self._as_constant(op)
        elif rule in IN_CLUSTER_POOLING:
            self._pointwise_behind(op)
        elif rule == "XNN602" and shrinks_side(self.plan.graph, self.plan.graph.operators[index]):
            self._as_member(op)  # A pooling over one side alone.
        elif rule in POOLING:
            self._as_pooling(op)
        elif rule in STEM:
            self._as_stem(op)
        elif op.type == "CONV_2D" and self.graph.shape(op.inputs[FILTER])[1:3] == (1, 1):
            self._plain_pointwise(op)
        elif op.type == "FULLY_CONNECTED" and len(self.graph.shape(op.inputs[0])) == 4:
            self._dense_on_map(op)
        elif op.type in SHAPE_ONLY and len(self.graph.shape(op.outputs[0])) == 4:
            self._kept_map(op)
        else:
            self._as_member(op)

    def _delegated(self, index: int, _: str) -> None:
        """The finding asks for an operator that XNNPACK takes, and has in NCHW."""
        op, graph = self.ops[index], self.graph
        if op not in graph.operators:
            return
        rejected = self.plan.delegation.rejected.get(index) if self.plan.delegation else None
        if any(o.type == "SHAPE" for o in [op, *self._feeding(op)]):
            self._constant_shape(op)
        elif op.type in LAYERS and rejected is not None and rejected.condition is Objection.BIAS:
            plain_bias(self.view, op)
        elif op.type in (*LAYERS, "ADD", "MUL") and activation(op) in ACTIVATIONS:
            self._activation_behind(op)
        elif op.type in SHAPE_ONLY and len(graph.shape(op.outputs[0])) == 4:
            self._kept_map(op)
        elif op.type in SHAPE_ONLY and self._is_undone(op):
            for reader in graph.consumers(op.outputs[0]):
                graph.rewire(reader.outputs[0], op.inputs[0])
                graph.remove(reader)
            graph.remove(op)
        elif op.type in SHAPE_ONLY:
            self._shape_to(op.inputs[0], op.outputs[0], near=op)
            graph.remove(op)
        else:
            for tensor in op.outputs:
                if graph.dtype(tensor) == "BOOL":  # Of a comparison; the stand-in gives numbers.
                    graph.tensors[tensor].type = number("TensorType", "FLOAT32")
            self._as_member(op)

    def _is_undone(self, op: Op) -> bool:
        """Whether every reader only gives back the dimension that was taken away."""
        graph, shape = self.graph, self.graph.shape(op.inputs[0])
        readers = graph.consumers(op.outputs[0])
        outputs = [t for reader in readers for t in reader.outputs]
        if op.outputs[0] in graph.outputs or not readers or any(t in graph.outputs for t in outputs):
            return False
        return all(r.type in SHAPE_ONLY for r in readers) and all(graph.shape(t) == shape for t in outputs)

    def _activation_behind(self, op: Op) -> None:
        type_ = ACTIVATIONS[activation(op)]
        set_activation(op, "NONE")
        new, old = self.graph.displace(op, "_linear")
        self.graph.insert(type_, [new], [old], near=op, after=True)

    def _as_constant(self, op: Op) -> None:
        """What is computed of constants becomes one value for each channel, the first operand of its readers."""
        target = op.outputs[0]
        readers = self.graph.consumers(target)
        if target in self.graph.outputs or any(r.type not in ("ADD", "MUL") for r in readers):
            raise NotFollowed("a constant map that others than ADD and MUL read")
        channels = self.graph.shape(target)[-1]
        values = self.rng.uniform(0.5, 1.5, (1, 1, 1, channels)).astype(np.float32)
        constant = self.graph.add_constant(f"{self.graph.name(target)}/constant", values)
        for reader in readers:
            others = [t for t in reader.inputs if t != target]
            reader.inputs = [constant, *others]
        self._drop_unread()

    def _dense_on_map(self, op: Op) -> None:
        """A 1x1 convolution with the weights of a dense layer that flattens the map."""
        graph, source = self.graph, op.inputs[0]
        units, channels = graph.shape(op.inputs[FILTER])
        if graph.shape(source)[3] != channels:
            self._as_pooling(op)
            return
        target = op.outputs[0]
        kept = graph.add_like(target, "_map", (*graph.shape(source)[:3], units))
        self._pointwise(source, kept, near=op)
        self._shape_to(kept, target, near=op)
        graph.remove(op)

    def _kept_map(self, op: Op) -> None:
        """A value that became a map again stays the map that it was."""
        graph, target, source = self.graph, op.outputs[0], op.inputs[0]
        pool = graph.producer(source)
        if pool is not None and pool.type in ("MEAN", "SUM") and not pool.options.keepDims:
            if graph.consumers(source) != [op] or source in graph.outputs:
                raise NotFollowed("keepdims of a pooling that others read, too")
            pool.options.keepDims = True
            pool.outputs = [target]
            graph.remove(op)
            return
        source = self._map_behind(source)
        if len(graph.shape(source)) != 4:
            raise NotFollowed("a map made of a value that was none")
        fitted = self._fit(source, graph.shape(target), near=op)
        if target in graph.outputs:
            self._depthwise(fitted, target, near=op)
        else:
            graph.rewire(target, fitted)
        graph.remove(op)
        self._drop_unread()

    def _map_behind(self, tensor: int) -> int:
        """What a value was before it only got other shapes."""
        while (producer := self.graph.producer(tensor)) is not None and producer.type in SHAPE_ONLY:
            tensor = producer.inputs[0]
        return tensor

    def _feeding(self, op: Op) -> list[Op]:
        found: list[Op] = []
        pending = [t for t in op.inputs[1:] if t >= 0]
        while pending:
            producer = self.graph.producer(pending.pop())
            if producer is not None and producer not in found:
                found.append(producer)
                if producer.type != "SHAPE":
                    pending += [t for t in producer.inputs if t >= 0]
        return found

    def _constant_shape(self, op: Op) -> None:
        """A shape that is computed at run time becomes a constant; what computed it goes once nobody reads it."""
        if op.type in ("RESHAPE", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"):
            shape = list(self.graph.signature(op.outputs[0]))
            if op.type == "RESHAPE":
                if any(d < 0 for d in shape[1:]):
                    raise NotFollowed("a shape computed at run time that the file does not know")
                op.options and setattr(op.options, "newShape", shape)
            else:
                shape = shape[1:3]
            op.inputs[1] = self.graph.add_constant(f"{self.graph.name(op.outputs[0])}/constant_shape", _int32(shape))
        elif op.type != "SHAPE" and not is_float(self.graph, op.outputs[0]):
            pass  # A link of the chain, which ends once its reader has a constant.
        elif op.type != "SHAPE":
            raise NotFollowed(f"a shape computed at run time for {op.type}")
        self._drop_unread()

    def _drop_unread(self) -> None:
        while True:
            read = {t for o in self.graph.operators for t in o.inputs} | set(self.graph.outputs)
            idle = [o for o in self.graph.operators if not read.intersection(o.outputs)]
            if not idle:
                return
            for o in idle:
                self.graph.remove(o)

    def _as_stem(self, op: Op) -> None:
        pad = pad_in_front(self.view, op)
        source = op.inputs[0] if pad is None else pad.inputs[0]
        self._need_floats(source, op.outputs[0])
        self._write_stem(source, op.outputs[0], near=op)
        self.graph.remove(op)
        if pad is not None and not self.graph.consumers(pad.outputs[0]) and pad.outputs[0] not in self.graph.outputs:
            self.graph.remove(pad)

    def _as_pooling(self, op: Op) -> None:
        """The mean over height and width, behind a RESHAPE; readers get what they had in shape, from a dense layer."""
        graph, source, target = self.graph, self._map_behind(op.inputs[0]), op.outputs[0]
        self._need_floats(source, target)
        shape = graph.shape(source)
        if len(shape) != 4:
            raise NotFollowed("a pooling of a value that is no map")
        broadcast = self._broadcast(op)
        if broadcast:
            op.inputs[1] = graph.add_constant(f"{graph.name(source)}/axes", _int32([1, 2]))
            for tensor in broadcast:
                batch = graph.signature(tensor)[0]
                graph.set_shape(tensor, (shape[0], 1, 1, shape[3]))
                if batch < 0:
                    graph.tensors[tensor].shapeSignature = _int32([batch, 1, 1, shape[3]])
            self._pointwise_behind(op)
            return
        self._pool(source, target, near=op)
        graph.remove(op)

    def _pool(self, source: int, target: int, *, near: Op) -> None:
        """MEAN, RESHAPE, and a dense layer where the target is larger than what is pooled."""
        graph, shape = self.graph, self.graph.shape(source)
        pooled = graph.add_like(source, "_pooled", (shape[0], 1, 1, shape[3]))
        axes = graph.add_constant(f"{graph.name(source)}/axes", _int32([1, 2]))
        graph.insert("MEAN", [source, axes], [pooled], near=near, options="ReducerOptions", keepDims=True)
        elements = math.prod(graph.shape(target))
        if elements != math.prod(graph.shape(pooled)):
            if graph.shape(target)[:1] != shape[:1] and shape[0] != 1:
                raise NotFollowed("a pooling over the batch")
            flat = graph.add_like(source, "_flat", (shape[0], shape[3]))
            self._shape_to(pooled, flat, near=near)
            per_image = elements // shape[0]
            if per_image * shape[3] > LARGEST:
                raise NotFollowed("a pooling of which much is computed")
            pooled = graph.add_like(source, "_dense", (shape[0], per_image))
            self._dense(flat, pooled, near=near)
        self._shape_to(pooled, target, near=near)

    def _broadcast(self, op: Op) -> set[int]:
        """What becomes of a pooling with keepdims until it is added to maps, or multiplied by them, which takes any
        axes; empty where something else happens to it."""
        found = {op.outputs[0]}
        if op.type not in ("MEAN", "SUM") or not op.options.keepDims:
            return set()
        pending = [op.outputs[0]]
        while pending:
            tensor = pending.pop()
            readers = self.graph.consumers(tensor)
            if not readers or tensor in self.graph.outputs:
                return set()
            for reader in readers:
                if len(reader.inputs) == 1:  # An elementwise operator.
                    found.add(reader.outputs[0])
                    pending.append(reader.outputs[0])
                elif reader.type not in ("ADD", "MUL") or len(found.intersection(reader.inputs)) != 1:
                    return set()
        return found

    def _dense(self, source: int, target: int, *, near: Op) -> None:
        (_, channels), (_, units) = self.graph.shape(source), self.graph.shape(target)
        inputs = [source, self._weights((units, channels), "dense"), self._bias(units)]
        self.graph.insert("FULLY_CONNECTED", inputs, [target], near=near, options="FullyConnectedOptions")

    def _pointwise_behind(self, op: Op) -> None:
        """As in a squeeze-and-excite block: a 1x1 convolution reads the pooled value."""
        new, old = self.graph.displace(op, "_squeezed")
        self._pointwise(new, old, near=op, after=True)

    def _plain_pointwise(self, op: Op) -> None:
        """Stride, padding and groups leave a 1x1 convolution; a resizing in front gives it the map that it needs."""
        graph = self.graph
        pad = pad_in_front(self.view, op)
        if pad is not None and len(graph.consumers(pad.outputs[0])) == 1:
            op.inputs[0] = pad.inputs[0]
            graph.remove(pad)
        filters, _, _, channels = graph.shape(op.inputs[FILTER])
        source = op.inputs[0]
        self._need_floats(source, op.outputs[0])
        batch, *_, wide = graph.shape(source)
        if channels != wide:
            op.inputs[FILTER] = self._weights((filters, 1, 1, wide), "ungrouped", STAND_IN_ZEROS)
        op.inputs[0] = self._fit(source, (batch, *graph.shape(op.outputs[0])[1:3], wide), near=op)
        op.options.strideH = op.options.strideW = op.options.dilationHFactor = op.options.dilationWFactor = 1
        op.options.padding = number("Padding", "VALID")

    def _as_member(self, op: Op) -> None:
        """Something that can run in NCHW, of the same shapes."""
        if any(len(self.graph.shape(t)) != 4 for t in op.outputs):
            if len(op.outputs) > 1:
                raise NotFollowed(f"{op.type} with several outputs that are no maps")
            self._as_pooling(op)
        else:
            self._as_member_of(op, self._maps(op))

    def _as_member_of(self, op: Op, maps: Sequence[int]) -> None:
        pad = pad_in_front(self.view, op)
        for target in op.outputs:
            self._sum(op, maps, target)
        self.graph.remove(op)
        if pad is not None:
            self._drop_unread()

    def _sum(self, op: Op, maps: Sequence[int], target: int) -> None:
        """The sum of maps, once they have its shape; of a single one a depthwise convolution."""
        total = -1
        for place, source in enumerate(maps):
            fitted = self._fit(source, self.graph.shape(target), near=op, broadcast=len(maps) > 1)
            if total < 0:
                total = fitted
                continue
            summed = target if place == len(maps) - 1 else self.graph.add_like(target, "_sum")
            self._add(total, fitted, summed, near=op)
            total = summed
        if len(maps) == 1:
            self._depthwise(total, target, near=op)

    def _maps(self, op: Op) -> list[int]:
        found = [t for t in op.inputs if t >= 0 and not is_constant(self.graph, t)]
        self._need_floats(*found, op.outputs[0])
        if any(len(self.graph.shape(t)) != 4 for t in found):
            raise NotFollowed("an operand that is no map")
        if not found:
            raise NotFollowed(f"{op.type} of constants")
        pad = pad_in_front(self.view, op) if op.type in ("CONV_2D", "DEPTHWISE_CONV_2D") else None
        return [pad.inputs[0]] if pad is not None else found

    def _fit(self, source: int, shape: Sequence[int], *, near: Op, broadcast: bool = False) -> int:
        """A map of another size and number of channels, through operators that run in NCHW."""
        graph, has = self.graph, self.graph.shape(source)
        if broadcast and len(shape) == 4 and all(a in (1, b) for a, b in zip(has, shape, strict=True)):
            return source
        if has[1:3] != tuple(shape[1:3]):
            source = self._resize(source, shape[1:3], near)
        if has[3] != shape[3]:
            widened = graph.add_like(source, "_widened", (has[0], *shape[1:]))
            self._pointwise(source, widened, near=near)
            source = widened
        return source

    def _resize(self, source: int, size: Sequence[int], near: Op) -> int:
        graph, has = self.graph, self.graph.shape(source)
        if min(has[1:3]) < 2:
            raise NotFollowed("a single pixel that is resized")
        resized = graph.add_like(source, "_resized", (has[0], *size, has[3]))
        given = graph.add_constant(f"{graph.name(resized)}/size", _int32(size))
        graph.insert(
            "RESIZE_BILINEAR",
            [source, given],
            [resized],
            near=near,
            version=3,
            options="ResizeBilinearOptions",
            halfPixelCenters=True,
        )
        return resized

    def _pointwise(self, source: int, target: int, *, near: Op, after: bool = False) -> None:
        self.counts_more = True
        filters, channels = self.graph.shape(target)[3], self.graph.shape(source)[3]
        self.graph.insert(
            "CONV_2D",
            [source, self._weights((filters, 1, 1, channels), "pointwise", STAND_IN_ZEROS), self._bias(filters)],
            [target],
            near=near,
            after=after,
            options="Conv2DOptions",
            padding=number("Padding", "VALID"),
            strideH=1,
            strideW=1,
        )

    def _depthwise(self, source: int, target: int, *, near: Op) -> None:
        channels = self.graph.shape(source)[3]
        kernel = self.rng.normal(0, 0.5, (1, 3, 3, channels)).astype(np.float32)
        insert_depthwise(self.view, near, source, target, kernel, label="stand_in")

    def _add(self, first: int, second: int, target: int, *, near: Op) -> None:
        self.graph.insert("ADD", [first, second], [target], near=near, options="AddOptions")

    def _once(self, index: int, _: str) -> None:
        """An operator that reads a value twice reads it once."""
        op = self.ops[index]
        maps = self._maps(op)[:1]
        self._as_member_of(op, maps)

    def _need_floats(self, *tensors: int) -> None:
        if not is_float(self.graph, *tensors):
            raise NotFollowed("an operator on values that are not float32")

    # -- weights

    def _pruned(self, index: int, _: str) -> None:
        op = self.ops[index]
        if op not in self.graph.operators:
            return
        densify = self._densify(op)
        if densify is not None:
            store_dense(self.graph, densify)
        stored = stored_filter(self.graph, op)
        if stored is None:  # Integers that the operator itself reads.
            stored = op.inputs[FILTER]
        values = self.graph.constant(stored)
        if values is None:
            raise NotFollowed("weights that are no constant, to be pruned")
        self.graph.tensors[stored].buffer = self.edit.add_buffer(prune(values, SPARSITY).tobytes())
        if densify is not None:
            encode(self.graph, stored, near=next(o for o in self.graph.operators if stored in o.inputs))

    def _densify(self, op: Op) -> Op | None:
        producer = self.graph.producer(op.inputs[FILTER])
        if producer is not None and producer.type == "DEQUANTIZE":
            producer = self.graph.producer(producer.inputs[0])
        return producer if producer is not None and producer.type == "DENSIFY" else None

    def _encoded(self, *_: object) -> None:
        if not self._encode_all():
            raise NotFollowed("stored sparse: no weight has zeros enough")

    def _encode_all(self) -> bool:
        """Whether there were weights to store sparse."""
        fix = EncodeZeros()
        found = list(fix.sites(self.view))
        for op in found:
            try:
                fix.apply(self.view, op)
            except CannotChange as reason:
                raise NotFollowed(f"stored sparse: {reason}") from None
        return bool(found)

    def _weights(self, shape: tuple[int, ...], name: str, zeros: float = 0.0) -> int:
        fan_in = max(math.prod(shape[1:]) * (1 - zeros), 1.0)
        values = self.rng.normal(0, 1.4 / math.sqrt(fan_in), shape).astype(np.float32)
        if zeros:
            values = prune(values, zeros)
        return self.graph.add_constant(f"stand_in/{name}{len(self.graph.tensors)}", values)

    def _bias(self, channels: int) -> int:
        values = self.rng.normal(0, 0.1, channels).astype(np.float32)
        return self.graph.add_constant(f"stand_in/bias{len(self.graph.tensors)}", values)

    # -- the whole model

    def _fp32(self, *_: object) -> None:
        model = self.edit.model
        kept = [m for m in model.metadata or () if b"reduced_precision" not in _bytes(m.name)]
        if len(kept) == len(model.metadata or ()):
            raise NotFollowed("float32 arithmetic: no metadata to drop")
        model.metadata = kept

    def _float(self, *_: object) -> None:
        """Every quantized tensor becomes a float one; QUANTIZE and DEQUANTIZE of values go."""
        graph = self.graph
        for op in list(graph.operators):
            if op.type in ("QUANTIZE", "DEQUANTIZE") and not is_constant(graph, op.inputs[0]):
                graph.rewire(op.outputs[0], op.inputs[0])
                if op.outputs[0] in graph.outputs:
                    graph.give_instead(op.outputs[0], op.inputs[0])
                graph.remove(op)
        for tensor, raw in enumerate(graph.tensors):
            if not graph.is_quantized(tensor):
                continue
            if graph.data(tensor) is not None:
                self._unpack(tensor, raw)
            raw.type, raw.quantization = number("TensorType", "FLOAT32"), None
        for op in list(graph.operators):
            if op.type == "DEQUANTIZE" and graph.dtype(op.inputs[0]) == "FLOAT32":
                graph.rewire(op.outputs[0], op.inputs[0])
                graph.remove(op)

    def _unpack(self, tensor: int, raw: Any) -> None:
        try:
            values = dense_values(self.graph, tensor)
        except CannotChange:
            raise NotFollowed("quantized constants of an unknown type") from None
        quantization = raw.quantization
        scale = np.asarray(quantization.scale, np.float32)
        zero = np.asarray(quantization.zeroPoint if quantization.zeroPoint is not None else [0], np.float32)
        shape = [1] * values.ndim
        if scale.size > 1:
            shape[int(quantization.quantizedDimension or 0)] = scale.size
        zero = zero.reshape(shape) if zero.size > 1 else zero
        plain = (values.astype(np.float32) - zero) * (scale.reshape(shape) if scale.size > 1 else scale)
        if raw.sparsity is not None:
            from xnnlint.fixes.tflite.sparse_encoding import encoded

            kept, raw.sparsity = encoded(plain)
            raw.buffer = self.edit.add_buffer(kept.tobytes())
        else:
            raw.buffer = self.edit.add_buffer(np.ascontiguousarray(plain).tobytes())


def _int32(values: Iterable[int]) -> np.ndarray:
    return np.array(list(values), np.int32)


def _bytes(text: Any) -> bytes:
    return text if isinstance(text, bytes) else str(text).encode()
