"""XNN100: operators on quantized values have no sparse kernels."""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.linter.findings import Applicability, Finding
from xnnlint.linter.rule import NodeRule
from xnnlint.model.graph import Graph
from xnnlint.xnnpack.conditions.float_values import FloatValues, quantized_types
from xnnlint.xnnpack.conditions.node_condition import Unmet
from xnnlint.xnnpack.ir import Node, Subgraph
from xnnlint.xnnpack.plan import Plan
from xnnlint.xnnpack.waiver import FLOAT

from ._text import node_type

REQUIRED = "float32 values with float32 or float16 weights"
INT8_GAIN, SPARSE_GAIN = "2.7 to 3.2", "1.2 to 2.4"
"""How many times as fast as dense float networks are with int8, and with sparse kernels: published, see References."""
FIX = (
    "to run sparse, convert without 8-bit quantization; float16 weights keep the sparse path. Compare both first: "
    f"dense int8 is {INT8_GAIN} times as fast as dense float (MobileNet v1 and v2 on a Raspberry Pi 4), sparse float "
    f"{SPARSE_GAIN} times (published, of whole networks)",
    Applicability.MANUAL,
)


class QuantizedOperator(NodeRule):
    """Operators compute on quantized values.

    ## What it does
    Finds operators that read or write int8 or uint8 values: of a model with full integer quantization, and those that
    quantize their input while they run (dynamic-range quantization). One finding for the whole model, with the number
    of operators.

    ## Why it matters
    XNNPACK has sparse kernels for float only. A quantized operator is never part of a sparse cluster, whatever its
    zeros, and a cluster in front of it breaks there. Dynamic-range quantization of weights that are stored sparse even
    makes the model fail to load (XNN902).

    That is no reason to give up int8: by what is published, sparse kernels make whole float networks $sparse times as
    fast, and int8 makes dense networks $int8 times as fast, with weights a quarter as large. Sparse float is for models
    whose accuracy does not survive int8.

    ## Example
    ```python
    converter.optimizations = [tf.lite.Optimize.DEFAULT, tf.lite.Optimize.EXPERIMENTAL_SPARSITY]
    converter.representative_dataset = calibration_data
    ```

    ## Use instead
    ```python
    converter.optimizations = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]
    ```
    or, for half the size of the weights that are left,
    ```python
    converter.optimizations = [tf.lite.Optimize.DEFAULT, tf.lite.Optimize.EXPERIMENTAL_SPARSITY]
    converter.target_spec.supported_types = [tf.float16]
    ```

    ## Fix safety
    Manual: the model has to be converted again, and its size and speed change. Time both on the device before int8 is
    given up: `xnnlint bench dense_int8.tflite sparse_float.tflite --log FILE --log FILE`.

    ## References
    - google/XNNPACK, src/subgraph.c, `xnn_check_nchw_compatibility`: values other than fp32 and fp16 are turned down
      first (d2ad6d02, 2021-11-14)
    - google-ai-edge/LiteRT, tflite/delegates/xnnpack/xnnpack_delegate.cc, `VisitConv2DNode`: the convert operator in
      front of a convolution with int8 weights
    - google/XNNPACK, README.md, "Raspberry Pi": MobileNet v1 takes 77 ms in fp32 and 24 ms in int8 on a Raspberry Pi 4
      (ARM64), v2 46 and 17 ms; all threads, 2022-02-08
    - <https://ai.googleblog.com/2021/03/accelerating-neural-networks-on-mobile.html>, Google on sparse networks in
      XNNPACK: 1.2 to 2.4 times as fast as dense float ones
    """

    code = "XNN100"
    name = "quantized-operator"
    node_condition = FloatValues
    summary = "int8 and uint8 operators have no sparse kernels"
    limits = {"int8": INT8_GAIN, "sparse": SPARSE_GAIN}

    def words(self, unmet: Unmet) -> tuple[str, str]:
        return REQUIRED, _words(unmet.actual)

    def describe(self, node: Node, subgraph: Subgraph) -> str:
        return f"{node_type(node)} computes on quantized values, and XNNPACK has sparse kernels only for float"

    def remedy(self, node: Node, subgraph: Subgraph) -> tuple[str, Applicability]:
        return FIX

    def check(self, plan: Plan) -> Iterable[Finding]:
        """One finding for the whole model: the fix is one line of the conversion, not one for each operator."""
        dtypes: set[str] = set()
        quantized: set[int] = set()
        if plan.failure is not None:
            quantized, dtypes = _with_integer_weights(plan.graph), {"qdint8"}
        for part in plan.partitions:
            for node, condition in zip(part.nodes, part.conditions, strict=True):
                types = quantized_types(node, part.subgraph) if isinstance(condition, FloatValues) else ()
                # Shapes are computed in integers that nobody quantized, and that XNNPACK has no type for.
                if any(type_ != "invalid" for type_ in types):
                    quantized.add(node.op)
                    dtypes.update(types)
        if not quantized:
            return
        delegated = {node.op for part in plan.partitions for node in part.nodes} or plan.graph.operators
        yield self.finding(
            f"{len(quantized)} of {len(delegated)} operators compute on quantized values, and XNNPACK has sparse "
            "kernels only for float",
            required=REQUIRED,
            actual=_words(dtypes),
            fix=FIX[0],
            applicability=FIX[1],
            waivers=[FLOAT],
        )


def _with_integer_weights(graph: Graph) -> set[int]:
    """Operators with int8 weights for float32 values, where the delegate fails before anything is planned."""
    found = set()
    for op in graph.operators:
        values, weights = graph.input_tensor(op, 0), graph.input_tensor(op, 1)
        if values is not None and weights is not None and (values.dtype, weights.dtype) == ("FLOAT32", "INT8"):
            found.add(op.index)
    return found


def _words(dtypes: Iterable[str]) -> str:
    """XNNPACK's types as a user knows them: "int8", "float32 values quantized at run time, int8 weights"."""
    dtypes = set(dtypes)
    words = []
    if any(d.startswith("qd") for d in dtypes):
        words.append("float32 values quantized at run time (dynamic range)")
    if dtypes & {"qint8", "qcint8"}:
        words.append("int8")
    if "quint8" in dtypes:
        words.append("uint8")
    others = dtypes - {"qint8", "qcint8", "quint8", "qint32", "qcint32", "qdint8", "qduint8"}
    return ", ".join([*words, *sorted(others)]) or "int32"
