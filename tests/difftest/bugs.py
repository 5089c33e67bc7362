"""Distinct ways in which XNNPACK's sparse path gives wrong results or fails: the texts of docs/runtime-bugs.md.

Each has the hand-made models that show it and what the source says. What the releases did with them comes from the kept
runs (`outcomes`). `python -m tests.difftest matrix` writes the document and the models in `fixtures/runtime_bugs`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.difftest.outcomes import RELEASES, Outcomes
from tests.models import ROOT
from xnnlint.modelbuilder.patterns import PATTERNS

FIXTURES = ROOT / "fixtures" / "runtime_bugs"
DOCUMENT = ROOT / "docs" / "runtime-bugs.md"
SHORT = {"sparse": "correct", "dense": "correct, dense", "wrong-results": "**wrong**", "fails": "**fails**", None: "?"}


@dataclass(frozen=True)
class Bug:
    """A bug of the runtime.

    Attributes:
        title: what goes wrong, in one line.
        where: whose bug it is.
        patterns: hand-made models that show it; the first is the reproduction.
        contrast: hand-made models that differ in little and are right.
        happens: what the runtime does.
        cause: why, by source.
        hint: how it could be mended, or what mended it.
        unseen: what happens where the kept runs do not show it; empty where they do.
    """

    title: str
    where: str
    patterns: tuple[str, ...]
    contrast: tuple[str, ...]
    happens: str
    cause: str
    hint: str
    unseen: str = ""


BUGS = (
    Bug(
        "An operator without an NCHW kernel reads NCHW data as NHWC",
        "google/XNNPACK",
        ("prelu", "max_pool_2x2", "softmax_mid", "pw_stride_2", "two_heads_add", "mid_exposed", "reshape_id"),
        ("unary_relu", "residual_maximum", "exit_flatten"),
        "The part of the network before the operator runs in NCHW. The operator's producer is created as an "
        "NHWC operator but gets NCHW data, and from there on every number is wrong. Nothing is logged.",
        "src/subgraph.c `xnn_subgraph_rewrite_for_nchw` marks the inputs of the nodes of a cluster as NCHW. "
        "It checks that all readers of such a value are in the cluster, but never where the outputs of the "
        "cluster's nodes go: an output that only an incompatible node reads stays NHWC, and its producer, "
        "whose input is marked, is created by that output (src/subgraph/convolution-2d.c, unary.c, binary.c). "
        "The assertions that forbid it are not in release builds.",
        "A node that can run in NCHW and is not a cluster end should break the cluster unless all readers of "
        "its outputs are in it.",
    ),
    Bug(
        "A constant second operand is judged by the shape of the first",
        "google/XNNPACK",
        ("mul_const_111c", "add_const_1111"),
        ("mul_const_111c_first", "add_const_1111_first"),
        "MUL(x, constant[1,1,1,C]) stops the cluster, and with the bug above gives wrong results. "
        "MUL(constant[1,1,1,C], x) is sparse and correct.",
        "src/subgraph.c `xnn_check_nchw_compatibility`, binary nodes: the loop for `inputs[1]` counts the "
        "dimensions of `inputs[0]`. So it is since 9de90e0b (2020-06-18).",
        "Use `inputs[1]` in the second loop.",
    ),
    Bug(
        "A layer on a constant map joins the cluster, and reads or gives NHWC",
        "google/XNNPACK",
        ("const_map_pointwise", "const_map_depthwise", "const_map_unary"),
        ("add_const_111c_first", "residual_add"),
        "What a network adds to a map may be computed from a constant alone. As a 1x1 convolution it cannot be "
        "created, and the model does not load; a depthwise convolution reads the constant as if it were NCHW, and a "
        "unary operator gives it as it is to a reader of NCHW.",
        "src/subgraph.c `xnn_subgraph_rewrite_for_nchw` passes over inputs with static data: they neither turn NCHW "
        "nor break the cluster. src/subgraph/convolution-2d.c `create_nchw_convolution` then says XNN_FLAG_INPUT_NHWC, "
        "for which src/operators/convolution-nchw.c `select_convolution2d_ukernel` has no 1x1 kernel; "
        "src/subgraph/depthwise-convolution-2d.c does not say it.",
        "Only a binary node may pass over static inputs; others should break the cluster.",
    ),
    Bug(
        "In NCHW, MEAN and SUM reduce other axes than they are told",
        "google/XNNPACK",
        ("mean_axes_1", "mean_axes_2", "mean_axes_0_3", "mean_axes_2_3", "sum_axes_1_3"),
        ("mean_axes_1_2", "mean_axes_0_1_2", "mean_axes_3"),
        "Over any axes but height and width together the numbers are wrong. Some sets write more elements "
        "than the output has (over [2]: 320 instead of 192 with a 12x20x16 map), which crashes; others turn "
        "one axis into several and are refused when the model is set up.",
        "src/subgraph/static-reduce.c: the table that maps NCHW back to NHWC is {0, 3, 2, 1} where {0, 3, 1, "
        "2} is the inverse, so height and width are swapped; and the loop of "
        "`rewrite_reduction_axes_for_nchw` only ever starts at axis 0. Since 813a14bf (2024-10-07).",
        "Correct the table, and map each axis by itself; or let only {1, 2} be a cluster end.",
    ),
    Bug(
        "A pooling with keep_dims that ends the cluster reports the shape [N, C, 1, 1]",
        "google/XNNPACK",
        ("mean_keep_softmax", "mean_keep_squeeze", "mean_keep_prelu", "mean_keep_conv_3x3", "mean_keep_slice"),
        ("mean_keep_reshape", "mean_keep_fc", "mean_softmax"),
        "The numbers are correct, their shape is not. SOFTMAX normalizes one element at a time, SQUEEZE and 3x3 "
        "convolutions are refused, PRELU and ADD with [C] broadcast to C x C elements and write past the end "
        "of their output.",
        "src/subgraph/static-reduce.c `reshape_reduce_operator`: the same inverse table, used for the shape "
        "of an NHWC output. Since 813a14bf (2024-10-07).",
        "Correct the table.",
    ),
    Bug(
        "A pooling with keep_dims inside the cluster reports the shape [N, 1, 1, H]",
        "google/XNNPACK",
        ("mean_keep_logistic", "mean_keep_pw_pruned", "mean_keep_mul_111c_first", "mean_keep_relu_reshape"),
        ("mean_keep_pw_pw_pruned", "se", "mean_keep_pw_pruned_h_is_c"),
        "The channel count becomes the height of the map. Unary operators compute only H of C values; a 1x1 "
        "classifier reads too few channels, which 2.1.5 and later refuse and earlier releases do not notice. "
        "It goes unseen where H equals C, and in squeeze-and-excite blocks, whose first 1x1 convolution does "
        "not look at its channels.",
        "src/subgraph/static-reduce.c `reshape_reduce_operator`, the branch for an NCHW output. Since "
        "813a14bf (2024-10-07); src/subgraph/fully-connected.c checks since d45f4523 (2026-03-26) and "
        "a3fc80e2 (2026-07-10).",
        "Correct the table.",
    ),
    Bug(
        "A fully-connected node of a rank-2 value is made a sparse convolution",
        "google/XNNPACK",
        ("mean_fc_keep_pruned",),
        ("mean_fc_pruned", "mean_fc_keep"),
        "The model does not load: the sparse 1x1 kernel needs 4 dimensions.",
        "src/subgraph.c `xnn_check_nchw_compatibility` takes every `fully_connected` node, whatever its rank, "
        "since 8dffc30d (2025-01-13). In LiteRT 1.1 to 1.3 an ordinary classifier is such a node, too, and "
        "its weights count in the two-thirds test: a dense one makes a pruned network dense (`base`).",
        "Ask for an input of rank 4.",
    ),
    Bug(
        "Sparse int8 weights of a float convolution fail to load",
        "google-ai-edge/LiteRT",
        ("weights_sparse_int8_direct",),
        ("weights_sparse_int8", "weights_int8_direct"),
        "What the converter makes of EXPERIMENTAL_SPARSITY with dynamic-range quantization (DENSIFY of int8 "
        "weights of 1024 elements and more, read by a float CONV_2D) does not load on any CPU.",
        "tflite/delegates/xnnpack/xnnpack_delegate.cc: `PrepareOpsToDelegate` claims the DENSIFY, "
        "`VisitConv2DNode` then takes the filter's data from the TFLite tensor, which nobody wrote, and "
        "`xnn_define_convolution_2d` refuses a filter without data.",
        "Take the unpacked data, or do not delegate.",
    ),
    Bug(
        "fp16 weights behind DENSIFY and DEQUANTIZE are garbage where their reader is not delegated",
        "google-ai-edge/LiteRT",
        ("fp16_chain_refused", "weights_sparse_fp16"),
        ("densify_refused", "weights_fp16"),
        "DENSIFY is claimed by the delegate and never run; DEQUANTIZE is handed back to TFLite and reads a "
        "tensor that nobody wrote. LiteRT 1.4 to 2.1 refuse convolutions with an fp16 filter and an fp32 "
        "bias, which is what the converter writes for biases that stay fp32, so that there an ordinary fp16 "
        "model with sparse weights is wrong.",
        "tflite/delegates/xnnpack/xnnpack_delegate.cc `PrepareOpsToDelegate`: for a rejected node only the "
        "direct producers of its inputs are taken off the list of unpacked nodes. `CheckFilterAndBiasTypes` "
        "refused the pair from bee71230 (2025-06-10) to 673a95a1 (2026-07-23).",
        "Walk up the whole chain.",
    ),
    Bug(
        "Block-sparse int8 weights of dynamic range are delegated, and read as if they were dense",
        "google-ai-edge/LiteRT",
        ("fc_sparse_direct_qc8_16", "conv_sparse_direct"),
        ("fc_sparse_direct_int8_16", "fc_sparse_direct_4"),
        "The converter stores FULLY_CONNECTED weights that are pruned in blocks sparse, without DENSIFY. With "
        "dynamic-range quantization it gives such an operator version 12. The delegate takes it, reads the stored "
        "values as if they were all, and goes on behind their end: garbage, or the process dies where that leaves the "
        "file (seen on an emulated Cortex-A53), sparse or dense, on every CPU. TFLite's own kernel is correct.",
        "tflite/converter/tools/versioning/op_version.cc `GetBuiltinOperatorVersion` returns 12 for scales of channels "
        "before it looks for sparse weights; tflite/delegates/xnnpack/xnnpack_delegate.cc `VisitNode` refuses version "
        "8 alone, and `VisitFullyConnectedNode` looks at no encoding, nor do the other operators: a comment in "
        "`PrepareOpsToDelegate` says so. tflite/core/subgraph.cc `SetTensorParametersReadOnly` checks no sizes of "
        "sparse tensors.",
        "Refuse every operator that reads a tensor with `sparsity`, whatever its version.",
    ),
    Bug(
        "Block-sparse fp16 weights are read by a DEQUANTIZE that knows no encoding",
        "google-ai-edge/LiteRT",
        ("fc_sparse_direct_fp16_4", "fc_sparse_direct_int8_dequantize_16"),
        ("fc_sparse_direct_4",),
        "With float16 weights the DEQUANTIZE reads the stored values as if they were the dense tensor, with a delegate "
        "or without: NaN, or the process dies. Dense layers that are pruned far enough (99%) are stored so without "
        "having been pruned in blocks.",
        "tflite/converter/transforms/dense_to_sparse_pass.cc asks for the block sizes of the FULLY_CONNECTED behind "
        "the DEQUANTIZE, and leaves out DENSIFY where they fit; tflite/kernels/dequantize.cc `Eval` looks at no "
        "encoding.",
        "Put a DENSIFY in front of every DEQUANTIZE; let DEQUANTIZE refuse tensors with `sparsity`.",
    ),
    Bug(
        "The hybrid FULLY_CONNECTED takes every encoding for blocks of 1x16, and loses blocks beyond 255",
        "google-ai-edge/LiteRT",
        ("fc_blocks_many", "fc_sparse_direct_int8_1"),
        ("fc_sparse_direct_int8_16",),
        "Float values and sparse int8 weights, in TFLite's own kernel: rows with more than 255 blocks, or wider than "
        "4,096, are wrong, and so are other blocks than 1x16 (which the converter does not write).",
        "tflite/kernels/fully_connected.cc `PopulateLedgerData` returns an error for numbers above 255, which "
        "`EvalHybrid` drops; it never calls `SupportedSparsityFormat`, as the float and int8 kernels do.",
        "Check the format and the sizes in `Prepare`, and hand the error on.",
    ),
    Bug(
        "Two outputs or inputs of one name end the process where the file has no signature",
        "google-ai-edge/LiteRT",
        ("outputs_one_name",),
        ("exit_two_means",),
        "LiteRT's compiled models (2.1 and later) end the process (SIGABRT, `basic_string: construction from null`), "
        "sparse or dense, on every CPU; the interpreter runs the file.",
        "tflite/core/interpreter.cc `CreatePlaceholderSignatureDef` makes a map from name to tensor, in which the last "
        "of one name is left; tflite/core/signature_runner.cc `SignatureRunner` has a null pointer for the name of the "
        "other, of which the compiled model makes a string.",
        "Give such tensors placeholder names, too.",
    ),
    Bug(
        "The sparse kernel reads an fp32 bias as fp16 where the filter is fp16",
        "google/XNNPACK",
        ("parts_sparse_fp16_dense",),
        ("parts_sparse_dense",),
        "In LiteRT 1.2 and 1.3 a sparse 1x1 convolution with an fp16 filter and an fp32 bias adds garbage. "
        "(In 1.4 to 2.1 the same model is wrong for the reason above: such a convolution is not delegated.)",
        "src/subgraph/convolution-2d.c `create_nchw_convolution` took the type of the bias from "
        "`values[filter_id]`, so that XNN_FLAG_FP32_STATIC_BIASES was never set. From 8dffc30d (2025-01-13) "
        "to d45f4523 (2026-03-26).",
        "Mended by d45f4523.",
    ),
    Bug(
        "A branch that nothing reads crashes the delegate",
        "google/XNNPACK",
        ("dead_branch",),
        ("mid_read_by_reshape",),
        "A chain of two or more operators ends nowhere: LiteRT 1.2 and 1.3 always end the process (SIGABRT), and "
        "1.4 and 2.0 as a rule, sparse or dense, on every CPU.",
        "src/subgraph.c `xnn_subgraph_fusion` logs a fatal error, which aborts, where the only reader of a value "
        "is a node that was removed before. From d0ea90d1 (2025-05-26) on `xnn_subgraph_clean_up` looks up the new "
        "index of that reader in memory that was never written, so that the heap decides.",
        "Mended by fd15d8d8 (2025-09-03), which removes dead branches as a whole.",
    ),
    Bug(
        "A split whose first part nothing reads cannot be run",
        "google/XNNPACK",
        ("mean_split_last",),
        ("mean_fc",),
        "LiteRT 1.0 fails at the first run (`failed to invoke XNNPACK runtime`), sparse or dense, on every CPU.",
        "src/subgraph/even-split.c made the operators of a split under the numbers of its parts; src/runtime.c takes a "
        "node without operator 0 for one that was removed, and sets up none of the others.",
        "Mended by 8c7d7e7a (2024-11-18), which numbers the parts that are read.",
    ),
    Bug(
        "A pooling that names an axis twice fails to load",
        "google/XNNPACK",
        ("mean_axes_1_2_2",),
        ("mean_axes_1_2",),
        "TFLite's own kernels take each axis once. Up to LiteRT 2.1.4 XNNPACK refuses the model, sparse or dense, on "
        "every CPU.",
        "src/operators/reduce-nd.c `reshape_reduce_nd` asks for axes that ascend, once they are sorted.",
        "Mended by de3504fd (2026-03-15), which drops repeated axes.",
    ),
    Bug(
        "A convolution whose stride is above its kernel reads nothing but SAME padding",
        "google/XNNPACK",
        ("exit_d2s_dw_3x1_s2", "exit_d2s_conv_1x3_s2"),
        ("exit_d2s_dw_3x3_s2", "exit_d2s_dw_1x1_s2", "exit_d2s_conv_1x1_s2"),
        "Up to LiteRT 2.1 every output of a 3x1 convolution of stride 2 on a map of even width is its bias, sparse or "
        "dense, on every CPU. So it is wherever, in one dimension, the last window ends before the map does. 1x1 "
        "kernels are correct, and so are odd sizes at stride 2.",
        "src/operators/convolution-nhwc.c `reshape_convolution2d_nhwc` subtracts the input's size from what the "
        "windows span, in unsigned numbers; TensorFlow pads nothing where that is negative. "
        "`create_convolution2d_nhwc` computes no padding for 1x1 kernels.",
        "Mended by bf301454 (2026-07-06), which stops at 0.",
    ),
    Bug(
        "An fp16 bias beside an fp32 filter fails to load",
        "google-ai-edge/LiteRT",
        ("fp16_bias_fp32_filter",),
        ("fp16_bias",),
        "LiteRT 1.1 to 1.3 delegate the convolution and then cannot define it; loading fails on every CPU.",
        "tflite/delegates/xnnpack/xnnpack_delegate.cc had no `CheckFilterAndBiasTypes`.",
        "Mended by bee71230 (2025-06-10), which leaves such a convolution to TFLite.",
    ),
    Bug(
        "fp16 arithmetic breaks sparse models, and since 2.2 makes them dense",
        "google/XNNPACK and google-ai-edge/LiteRT",
        ("fp16_metadata",),
        ("base",),
        "The file's metadata `reduced_precision_support` says `fp16accfp16`, and the CPU has fp16 arithmetic "
        "(seen on an emulated Neoverse N1). LiteRT 2.1.2: a segmentation fault, or infinite numbers. LiteRT "
        "2.3.0: dense.",
        "2.1: src/subgraph/convolution-2d.c `create_nchw_convolution` chooses the operator by the type of the "
        "filter; the stem's and depthwise filters stay fp32 in src/subgraph.c "
        "`xnn_subgraph_rewrite_for_fp16`, so that fp32 operators work on fp16 buffers. 2.2 and later: the "
        "delegate makes the values fp16 before XNNPACK folds PAD into the stem, and `xnn_subgraph_fusion` "
        "folds only fp32 and 8-bit padding (6eb86b09, 2026-07-23).",
        "Fold fp16 padding; choose the sparse operator by the type of the values.",
        unseen="The table shows x86, which has no fp16 arithmetic and ignores the metadata.",
    ),
)


def write_fixtures() -> None:
    """The reproductions, as small files."""
    FIXTURES.mkdir(parents=True, exist_ok=True)
    for bug in BUGS:
        for name in bug.patterns:
            (FIXTURES / f"{name}.tflite").write_bytes(PATTERNS[name].build())


def render(seen: Outcomes) -> Iterator[str]:
    """The document, line by line."""
    releases = [r for r in RELEASES if r in seen.seen]
    yield "# Bugs of the runtime that pruned models meet"
    yield ""
    yield "<!-- Generated: python -m tests.difftest matrix -->"
    yield ""
    yield "Every distinct way, found so far, in which XNNPACK's sparse path (or the delegate in front of it) gives"
    yield "wrong results or fails, each with a minimal model, what the runtime does, since when, and why by source:"
    yield "ready to be reported. None of the wrong results comes with a message."
    yield ""
    yield "The models are in `fixtures/runtime_bugs` (random weights; heights, widths and channel counts differ, since"
    yield "equal ones hide layout errors). `xnnlint verify fixtures/runtime_bugs/NAME.tflite` runs one in the real"
    yield "runtime, next to TFLite's reference kernels; `xnnlint check` predicts it. The tables hold what was seen in"
    yield "real runs on x86-64 without AVX; on x86 with AVX the sparse path is off, and only what fails to"
    yield "load shows there."
    for number, bug in enumerate(BUGS, 1):
        yield from _section(number, bug, releases, seen)


def _section(number: int, bug: Bug, releases: list[str], seen: Outcomes) -> Iterator[str]:
    yield ""
    yield f"## {number}. {bug.title}"
    yield ""
    yield f"**Where**: {bug.where}. **Reproduction**: `fixtures/runtime_bugs/{bug.patterns[0]}.tflite`"
    yield f"({PATTERNS[bug.patterns[0]].text})."
    yield ""
    yield bug.happens + (f" {bug.unseen}" if bug.unseen else "")
    yield ""
    yield f"| model | | {' | '.join(releases)} |"
    yield f"| --- | --- |{' --- |' * len(releases)}"
    for name in (*bug.patterns, *bug.contrast):
        cells = " | ".join(SHORT[seen.get(release, name)] for release in releases)
        yield f"| `{name}` | {PATTERNS[name].text} | {cells} |"
    yield ""
    yield f"**Why**: {bug.cause}"
    yield ""
    yield f"**Remedy**: {bug.hint}"
