"""What a condition on single nodes is: which nodes it judges, what they may do in a cluster, and what they lack.

Source of all of them: google/XNNPACK src/subgraph.c `xnn_check_nchw_compatibility`. A module of this package holds one;
its rule in `rules/` has the words, the remedy and the documentation.
"""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import Any, ClassVar

from msgspec import Struct

from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.ir import Layout, Node, Subgraph, Value
from xnnlint.xnnpack.profile import Profile


class Precedence(IntEnum):
    """Which condition judges a node that several of them apply to: the first."""

    BEFORE_ALL = 0
    """On nodes of any kind, and looked at first."""
    ONE_KIND = 1
    """On nodes of one kind; no node is of two."""
    AFTER_ALL = 2
    """On what no other condition applies to."""


class Fact(Enum):
    """What the runtime looks at in a node. The comments tell what `Unmet.required` and `Unmet.actual` hold of it."""

    VALUE_TYPES = "value types"  # types as in `Value.dtype`: those allowed, those found
    GROUPS = "groups"  # numbers
    DILATION = "dilation"  # (height, width)
    DEPTH_MULTIPLIER = "depth multiplier"  # numbers
    KERNEL = "kernel"  # every allowed (height, width); the one found
    STRIDE = "stride"  # every allowed (height, width); the one found
    PADDING = "padding"  # pixels on each side; a `Padding`
    INPUT_CHANNELS = "input channels"  # numbers
    INPUT_RANK = "input rank"  # a number; the input's shape
    INPUT_SIZE = "input size"  # the smallest height and width; the input's shape
    OPERAND_RANK = "operand rank"  # a number; an `Operand`
    CONSTANT_SHAPE = "constant shape"  # how many dimensions may be other than 1; an `Operand`
    CONSTANT_PLACE = "constant place"  # the slot; an `Operand`
    OPERATOR = "operator"  # every allowed operator, None where that is a matter of the runtime; an `Operation`
    REDUCTION = "reduction"  # axes; an `Operation`


class Padding(Struct, frozen=True):
    """A node's padding in pixels: (top, right, bottom, left).

    `same_at_stride` is the stride where XNNPACK has yet to work TensorFlow's SAME padding out of it, else None.
    """

    sides: tuple[int, int, int, int]
    same_at_stride: tuple[int, int] | None = None

    @classmethod
    def of(cls, node: Node) -> Padding:
        return cls(node.params["padding"], node.params["stride"] if node.params.get("same_padding") else None)


class Operand(Struct, frozen=True):
    """An operand of a binary operator."""

    is_constant: bool
    shape: tuple[int, ...]

    @classmethod
    def of(cls, value: Value) -> Operand:
        return cls(value.is_static, value.shape)


class Operation(Struct, frozen=True):
    """What a node computes.

    Attributes:
        type, operator: as in `Node`.
        kernel: (height, width) of a convolution.
        groups: of its channels.
        axes: those of a reduction.
        flattens_map: whether it is the reshape that a FULLY_CONNECTED brings along.
    """

    type: str
    operator: str = ""
    kernel: tuple[int, int] | None = None
    groups: int = 1
    axes: tuple[int, ...] = ()
    flattens_map: bool = False


class Unmet(Struct, frozen=True):
    """A condition that does not hold, with the value that the runtime requires and the one that the model has.

    `fact` is a `Fact`, or one of the condition's own where there is none for it.
    """

    fact: Enum
    required: Any
    actual: Any


class Verdict(Struct, frozen=True):
    """What the layout pass may do with a node, and, where that is nothing, every reason why not."""

    layout: Layout = Layout.NONE
    unmet: tuple[Unmet, ...] = ()


class NodeCondition:
    """A condition on single XNNPACK nodes, asked by the layout pass.

    Class attributes:
        key: its name, by which rules and fixes refer to it; None for one that no fix knows.
        precedence: where it stands among the conditions that apply to the same node.
        layout: what a node may do that fulfils it.
    """

    key: ClassVar[Condition | None] = None
    precedence: ClassVar[Precedence] = Precedence.ONE_KIND
    layout: ClassVar[Layout] = Layout.NCHW

    def applies(self, node: Node, subgraph: Subgraph) -> bool:
        """Whether this is the condition that judges the node, if no other comes before it."""
        raise NotImplementedError

    def judge(self, node: Node, subgraph: Subgraph, profile: Profile) -> Verdict:
        """Whether the node can run in NCHW, and if not, every reason."""
        raise NotImplementedError

    def verdict(self, *tests: tuple[bool, Enum, Any, Any]) -> Verdict:
        """`layout` if all tests hold, else every one that does not.

        Args:
            tests: (holds, fact, required, actual).
        """
        unmet = tuple(Unmet(fact, required, actual) for holds, fact, required, actual in tests if not holds)
        return Verdict(Layout.NONE, unmet) if unmet else Verdict(self.layout)
