"""XNNPACK subgraphs built by hand, a value and a node at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

from xnnlint.xnnpack.ir import Node, NodeType, Subgraph

STEM = {
    "kernel": (3, 3),
    "stride": (2, 2),
    "dilation": (1, 1),
    "padding": (1, 1, 1, 1),
    "same_padding": False,
    "groups": 1,
    "group_input_channels": 3,
    "group_output_channels": 8,
}


class HandBuilt:
    """A subgraph in the making; every method that adds a node gives the id of its output."""

    def __init__(self) -> None:
        self.subgraph = Subgraph([], [])

    def input(self, *shape: int) -> int:
        return self.subgraph.new_value("fp32", shape, external_input=True).id

    def constant(self, *shape: int) -> int:
        return self.subgraph.new_value("fp32", shape, data=lambda: np.ones(shape, np.float32).reshape(-1)).id

    def node(self, type_: str, inputs: list[int], shape: tuple[int, ...], operator: str = "", **params: Any) -> int:
        out = self.subgraph.new_value("fp32", shape).id
        self.subgraph.nodes.append(Node(type_, inputs, [out], len(self.subgraph.nodes), operator, params))
        return out

    def stem(self, x: int, *shape: int) -> int:
        return self.node(NodeType.CONVOLUTION_2D, [x, self.constant(shape[-1], 3, 3, 3)], shape, **STEM)

    def pointwise(self, x: int, channels: int) -> int:
        *others, before = self.subgraph.values[x].shape
        weights = self.constant(channels, 1, 1, before)
        return self.node(NodeType.FULLY_CONNECTED, [x, weights], (*others, channels))

    def clamp(self, x: int) -> int:
        return self.node(NodeType.UNARY, [x], self.subgraph.values[x].shape, "clamp", min=0.0, max=6.0)

    def add(self, a: int, b: int) -> int:
        return self.node(NodeType.BINARY, [a, b], self.subgraph.values[a].shape, "add")

    def max_pool(self, x: int) -> int:
        n, h, w, c = self.subgraph.values[x].shape
        return self.node(NodeType.MAX_POOLING_2D, [x], (n, h // 2, w // 2, c))

    def mean(self, x: int, axes: tuple[int, ...] = (1, 2), keep_dims: bool = False) -> int:
        shape = self.subgraph.values[x].shape
        kept = tuple(1 if a in axes else d for a, d in enumerate(shape) if keep_dims or a not in axes)
        return self.node(NodeType.MEAN, [x], kept, axes=axes, keep_dims=keep_dims)

    def output(self, *values: int) -> None:
        for v in values:
            self.subgraph.values[v].external_output = True

    def mark(self, *values: int) -> None:
        """Lay values out in NCHW."""
        for v in values:
            self.subgraph.values[v].nchw = True

    @property
    def marked(self) -> set[int]:
        return {v.id for v in self.subgraph.values if v.nchw}
