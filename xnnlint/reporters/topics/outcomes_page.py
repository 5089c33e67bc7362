"""The four outcomes: what each means, how it is recognized in a run, what xnnlint makes of it; and "unknown"."""

from __future__ import annotations

from xnnlint.reporters.topics.page import Page
from xnnlint.runtime.observation import ROUNDING_FACTOR, WRONG_ABOVE
from xnnlint.xnnpack.plan import Outcome

ALL = "outcomes"
UNKNOWN = "unknown"
_UNKNOWN = """\
No outcome: a Keras model has layers of which nobody can tell from the file what the converter makes, so that xnnlint
does not guess.

These are Lambda and custom layers, whose code is never read or run, and uses of Keras' own layers that are not known
here. XNN403 names each of them.

## In a report
`unknown`, with what the model would be if these layers kept their inputs as they are (one with weights or with several
inputs is taken for an operator that XNNPACK refuses). In JSON `outcome` is null, and `assumed` says what was assumed. A
model that is unknown passes; --require-sparse makes it fail.

## What to do
- say in the configuration what a layer is, as `xnnlint explain XNN403` shows
- or convert the model, and check the .tflite file, in which every operator is known:
  `xnnlint convert MODEL -o OUT.tflite`
"""
_MEANING = {
    Outcome.SPARSE: """\
At least one 1x1 convolution runs as SpMM, the kernel that skips zeros, and all outputs are correct.

## In a run
The runtime's profiler names at least one operator that ends in SPMM. No output differs from the dense reference by
more than $wrong of its largest element.

## In a report
`38 of 45 1x1 convolutions run SpMM, 97% of their MACs`: how many of the model's 1x1 convolutions, and what share of
the multiply-accumulates of all of them. The rest runs dense, each for a reason that a finding names.

## What it takes
- a cluster: operators in NCHW from a stem (XNN205) to a pooling or DEPTH_TO_SPACE (XNN202, XNN203)
- strictly more than 2/3 zeros over the 1x1 weights of the cluster (XNN301)
- weights that are stored sparse (XNN302)
- a CPU and a build with the sparse path (XNN501)
""",
    Outcome.DENSE: """\
No 1x1 convolution runs as SpMM; all outputs are correct, and the speed is that of a model that was never pruned.

## In a run
The model runs, its outputs are correct, and the profiler names no operator that ends in SPMM.

## In a report
The findings that are errors each name what stands in the way, with `unlocks`: what changing this alone would bring, or
together with the others of the smallest set of changes. A model that is not pruned yet gets a note (XNN303) and
passes; --require-sparse makes every dense model fail.
""",
    Outcome.WRONG_RESULTS: """\
The model runs, and its outputs are wrong. No error is reported.

## In a run
An output differs from the dense reference by more than $wrong of its largest element, and by more than $rounding times
what a dense run of XNNPACK differs by.

## In a report
The verdict names the first place where an operator reads data laid out in one order as if it were in the other. XNN901
is an error; fix it, or convert without EXPERIMENTAL_SPARSITY: then the model is dense, and its outputs are correct.
""",
    Outcome.FAILS: """\
The dense model runs; the sparse one ends with an error of the runtime, or crashes.

## In a run
Creating the interpreter, allocating the tensors or invoking returns an error, or ends the process, or (rarely, where
memory was overwritten) never returns; without the delegate the same file runs.

## In a report
XNN902 is an error that names the operator and the runtime's reason.
""",
}


def outcome_page(outcome: Outcome) -> Page:
    """What an outcome means."""
    from string import Template

    text = Template(_MEANING[outcome]).substitute(wrong=f"{WRONG_ABOVE:g}", rounding=f"{ROUNDING_FACTOR:g}")
    return Page("outcome", outcome.value, "outcome", text.rstrip())


def unknown_page() -> Page:
    """What stands in the place of an outcome where there is none."""
    return Page("outcome", UNKNOWN, "no outcome", _UNKNOWN.rstrip())


def overview() -> Page:
    """The four together."""
    lines = ["What can become of a model in the runtime; each is recognized in a real run, see `xnnlint verify`.", ""]
    for outcome in Outcome:
        first, _, _ = _MEANING[outcome].partition("\n\n")
        lines.append(f"- {outcome.value}: {first[0].lower()}{' '.join(first.split())[1:]}")
    lines += ["", f"A model with layers whose code is not in the file is `{UNKNOWN}`: `xnnlint explain {UNKNOWN}`."]
    return Page("outcome", ALL, "the four outcomes", "\n".join(lines))
