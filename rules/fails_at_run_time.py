"""XNN902: the sparse model fails where the dense one runs."""

from __future__ import annotations

from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.fault import FaultKind
from xnnlint.xnnpack.plan import Hazard, Outcome

from .wrong_results import WrongResults, what_happens


class FailsAtRunTime(WrongResults):
    """The runtime returns an error or crashes here, while the dense model runs.

    ## What it does
    Names the operator at which the runtime gives up, and the one that causes it: a pooling with keepdims whose wrong
    shape does not fit what follows, a pooling over axes other than height and width, which writes past the end of its
    buffer, a fully-connected operator on a pooled vector inside the cluster, int8 weights stored sparse for float32
    values, an output whose shape is computed at run time (a Reshape at the end of a model with a dynamic batch), a
    BROADCAST_TO that TFLite refuses (a GroupNormalization of Keras 2 with a dynamic batch), inputs or outputs that
    share a name in a file without a signature. Of a file that does not even load it says why: an operator without a
    kernel (custom operators that neither LiteRT brings nor `custom-operators` names, Flex operators, parts compiled for
    another device, newer versions than the runtime knows), variable tensors, or a signature that does not fit its
    subgraph.

    ## Why it matters
    The whole model fails to load; LiteRT does not fall back to other kernels. Where memory is overwritten it may also
    crash later, or not at all. Most of it does not happen on x86 with AVX, where the file runs dense. An output of a
    computed shape is not filled in the first run of LiteRT 2.1 and later, and refused in the second, sparse or dense;
    older releases, and the interpreter, run it.

    ## Example
    ```python
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Conv2D(classes, 1)(x)  # pruned, too: it gets H channels where C are expected
    ```

    ## Use instead
    ```python
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(classes)(x)
    ```
    The finding's fix says what to do for its own cause. Converted without EXPERIMENTAL_SPARSITY the same model runs,
    unless an output is the cause.

    ## Fix safety
    That of the rule that the cause belongs to. A Reshape or Flatten behind a pooling is safe: the numbers stay.

    ## References
    - google/XNNPACK, src/subgraph/static-reduce.c, `reshape_reduce_operator` and `rewrite_reduction_axes_for_nchw`
    - google/XNNPACK, src/subgraph/fully-connected.c, `reshape_fully_connected_operator`: channels are checked since
      a3fc80e2 (2026-07-10; LiteRT 2.2), before the numbers were wrong
    - google-ai-edge/LiteRT, tflite/delegates/xnnpack/xnnpack_delegate.cc, `Delegate::PrepareOpsToDelegate`: DENSIFY of
      int8 weights is claimed although a convolution with float32 values reads them from the file
    - google-ai-edge/LiteRT, tflite/core/signature_runner.cc, `SignatureRunner::SignatureRunner`: names by tensor, of
      which one is missing where two have the same (LiteRT 2.1 and later)
    - google-ai-edge/LiteRT, litert/core/model/model_load.cc, tflite/core/kernels/register.cc and
      tflite/core/interpreter_builder.cc: what is loaded
    - google-ai-edge/LiteRT, litert/runtime/compiled_model.cc and tflite/core/subgraph.cc,
      `Subgraph::SetCustomAllocationForTensor`: a dynamic tensor cannot have a buffer of the caller's
    """

    code = "XNN902"
    name = "fails-at-run-time"
    condition = Condition.LOADS_AND_RUNS
    summary = "the sparse path errors or crashes where the dense model runs"
    outcome = Outcome.FAILS

    def _message(self, hazard: Hazard, why: str) -> str:
        if hazard.kind is FaultKind.LOADING:
            return f"the runtime does not load this file: {why}"
        if hazard.of_output:
            return f"LiteRT's first run leaves this output unfilled, or crashes, and the next is refused: {why}"
        return f"the model fails to load, or crashes here: {what_happens(hazard, why)}{why}"
