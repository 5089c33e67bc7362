"""The words for what goes wrong with a model, made from the facts of the plan; the only place that has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from xnnlint.xnnpack.fault import Fault, TensorRef, Wrong


def fault_words(fault: Fault) -> str:
    """What is wrong, as the end of a sentence that has named the operator."""
    words = _WORDS[fault.wrong]
    return words if isinstance(words, str) else words(fault.required, fault.actual, fault.subject)


def _tensor(ref: TensorRef) -> str:
    return f"tensor {ref.index}" + (f" ({ref.name})" if ref.name else "")


def _weight_types(types: tuple[str | None, ...]) -> str:
    names = zip(("filter", "input", "bias", "output"), types, strict=True)
    return ", ".join(f"{name} {type_}" for name, type_ in names if type_)


_NCHW_ONLY = "it reads {} NCHW, and its NCHW kernel reads nothing else"
_WRONG_SHAPE = "it works with a shape that the pooling before it reports wrongly"

# Functions take what is required, what there is, and what it is about.
_WORDS: dict[Wrong, str | Callable[[Any, Any, Any], str]] = {
    Wrong.NO_SUCH_TYPE: lambda r, a, s: f"XNNPACK has no type for {_tensor(s)}",
    Wrong.RANK_TOO_HIGH: lambda r, a, s: f"{_tensor(s)} has rank {a}, and XNNPACK's limit is {r}",
    Wrong.NO_SUCH_AXIS: lambda r, a, s: f"it names axis {a} of a value of rank {r}",
    Wrong.AXIS_REPEATED: "it names an axis twice, which this runtime refuses",
    Wrong.FIRST_PART_UNREAD: (
        "nothing reads the first part of the split, and this runtime then sets up none of its parts"
    ),
    Wrong.TYPES_DIFFER: lambda r, a, s: f"{s} of different types: {', '.join(a)}",
    Wrong.SCALES_DIFFER: lambda r, a, s: f"{s} of values with different scales",
    Wrong.FILTER_WITHOUT_DATA: (
        "the filter has no data: its DENSIFY is claimed, but integer weights are read from the file"
    ),
    Wrong.BIAS_NOT_CONSTANT: lambda r, a, s: f"the bias of {s} isn't constant",
    Wrong.FILTER_ZERO_POINT: lambda r, a, s: f"the filter of {s} has zero point {a}",
    Wrong.WEIGHT_TYPES: lambda r, a, s: f"{s} of types that don't go together: {_weight_types(a)}",
    Wrong.GROUPS_UNEVEN: lambda r, a, s: f"{a} output channels can't be split into {r} groups",
    Wrong.STRIDE_BELOW_1: lambda r, a, s: f"its stride is {a[0]}x{a[1]}, for which the delegate finds no padding",
    Wrong.ONLY_READER_REMOVED: (
        "XNNPACK removes the only reader of its output, a branch that nothing reads, and crashes"
    ),
    Wrong.WEIGHTS_NOT_UNPACKED: "it reads weights that are never unpacked",
    Wrong.STORED_READ_AS_DENSE: lambda r, a, s: (
        f"it reads the {a:,} bytes that are stored of {_tensor(s)}, which is sparse, as if they were all {r:,}"
    ),
    Wrong.READ_PAST_FILE: lambda r, a, s: (
        f"it reads {r:,} bytes at {_tensor(s)}, which is sparse, as if all were stored, and the file ends after {a:,}"
    ),
    Wrong.BLOCKS_MISREAD: lambda r, a, s: f"it reads {_tensor(s)} in {r}, and it is stored in {a}",
    Wrong.ENCODING_REFUSED: lambda r, a, s: f"{_tensor(s)} is stored sparse in {a}, and TFLite's kernel takes {r}",
    Wrong.OUTPUT_SHAPE_LATE: (
        "its shape is known only once it runs, and LiteRT's compiled models, unlike its interpreter, cannot bind such "
        "an output"
    ),
    Wrong.OUTPUT_SHAPE_UNTOLD: lambda r, a, s: (
        f"it gives {list(a)}, which the file does not tell: LiteRT has memory for {list(r)}"
    ),
    Wrong.OUTPUT_SIZE_UNKNOWN: lambda r, a, s: (
        f"the file does not hold the size of this output, for which LiteRT has memory of {list(r)}"
    ),
    Wrong.NAME_SHARED: lambda r, a, s: (
        f"the file's signature has no name of its own for each of the {r}, over which LiteRT's compiled models crash"
        if s
        else f"several {r} are called {a!r}, and without a signature LiteRT's compiled models crash over it"
    ),
    Wrong.INPUT_IS_OUTPUT: "it reads an input of the model that is an output, too, and LiteRT binds one buffer to both",
    Wrong.UNREAD_INPUT_IS_OUTPUT: (
        "an input of the model that no operator reads is an output, whose buffer LiteRT leaves unfilled"
    ),
    Wrong.UNREAD_WEIGHT_IS_OUTPUT: (
        "a float16 weight that no operator reads is an output, which the delegate keeps as float16 and cannot set up"
    ),
    Wrong.BROADCAST_TO_FEWER: lambda r, a, s: f"it broadcasts {r} dimensions to {a}, which TFLite refuses",
    Wrong.SQUEEZE_OF_MORE: lambda r, a, s: (
        f"it drops dimensions {list(a[0])} of {list(a[1])}, which are not all 1, and TFLite refuses that"
    ),
    Wrong.WINDOW_BELOW_1: lambda r, a, s: f"its {s} is {a}, which TFLite refuses",
    Wrong.BLOCKS_NOT_READ: lambda r, a, s: f"{s} reads values quantized in blocks, at which the runtime crashes",
    Wrong.TENSOR_TYPE: lambda r, a, s: f"LiteRT's compiled models know no tensors of type {a}",
    Wrong.VARIABLE_TENSOR: lambda r, a, s: f"{_tensor(a)} is a variable, which LiteRT's compiled models do not take",
    Wrong.VARIANT_TENSOR: lambda r, a, s: f"{_tensor(a)} holds variants, which LiteRT's compiled models do not take",
    Wrong.INTERMEDIATE_TENSORS: lambda r, a, s: (
        f"{s} has intermediate tensors, which LiteRT's compiled models do not take"
    ),
    Wrong.NO_KERNEL: lambda r, a, s: (
        f"{s} is of version {a}, and this runtime has it up to version {r}" if r else f"this runtime has no {s}"
    ),
    Wrong.NO_CUSTOM_KERNEL: lambda r, a, s: f"it needs the operator {s}, which LiteRT does not bring",
    Wrong.SIGNATURE: lambda r, a, s: (
        f"the signature {s!r} lists {a[0]} inputs and {a[1]} outputs, and its subgraph has {r[0]} and {r[1]}"
    ),
    Wrong.BIAS_READ_AS_FP16: "this runtime reads its fp32 bias as fp16, as the filter is",
    Wrong.PADDING_BELOW_0: lambda r, a, s: (
        f"its 'same' padding comes to {a}, for which this runtime reads nothing but padding"
    ),
    Wrong.FP16_KERNEL_BROKEN: "in fp16 arithmetic this runtime's sparse kernels are broken",
    Wrong.LEAVES_IN_NCHW: "its output leaves the cluster in NCHW order",
    Wrong.OUTPUT_TOO_LARGE: lambda r, a, s: f"it makes an output of {a} elements instead of {r}",
    Wrong.BUFFER_TOO_SMALL: lambda r, a, s: f"it writes {a} elements into a buffer of {r}",
    Wrong.RESHAPE_IMPOSSIBLE: lambda r, a, s: (
        f"it gets the shape {list(a)}, which comes from the shape {list(r)} of a pooling with keepdims"
    ),
    Wrong.READER_MISLED: lambda r, a, s: f"it gets the shape {list(a)} of a pooling with keepdims instead of {list(r)}",
    Wrong.WRONG_SHAPE: _WRONG_SHAPE,
    Wrong.RESHAPES_WRONG_SHAPE: _WRONG_SHAPE,
    Wrong.READS_WRONG_ORDER: "it reads NCHW data as if it were NHWC",
    Wrong.OTHER_AXES: "in NCHW the runtime reduces other axes than the model says",
    Wrong.TOO_FEW_DIMENSIONS: "a convolution gets fewer than 3 dimensions",
    Wrong.TOO_FEW_DIMENSIONS_FOR_SPMM: "the sparse 1x1 kernel gets fewer than 3 dimensions",
    Wrong.OTHER_CHANNELS: lambda r, a, s: f"it gets {a} channels where {r} are expected",
    Wrong.ELEMENTS_NOT_DIVIDED: lambda r, a, s: f"it gets {a} elements, which {r} channels do not divide",
    Wrong.NHWC_INTO_NCHW_KERNEL: _NCHW_ONLY.format("data that is not"),
    Wrong.CONSTANT_INTO_NCHW_KERNEL: _NCHW_ONLY.format("a constant map, which is never"),
    Wrong.AXES_MERGED: "in NCHW the runtime makes one axis of several, and then asks for different ones",
    Wrong.RESHAPE_OF_OTHER_SIZE: lambda r, a, s: f"{a} elements cannot be reshaped to {list(r)}",
    Wrong.SLICE_TOO_LONG: "it slices more than the pooling before it reports",
    Wrong.SHAPES_NOT_BROADCAST: lambda r, a, s: f"operands of shapes {list(a[0])} and {list(a[1])} cannot be broadcast",
    Wrong.OUTER_SIZES_DIFFER: "inputs of different outer sizes cannot be concatenated",
    Wrong.BLOCKS_DO_NOT_FIT: lambda r, a, s: f"{a[0]}x{a[1]} cannot be cut into blocks of {r}",
}
