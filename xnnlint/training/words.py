"""What a training run is told, in lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from xnnlint.reporters.finding_words import counted, sentence, share_text
from xnnlint.reporters.value_words import pruned_sentence
from xnnlint.xnnpack.plan import Outcome

if TYPE_CHECKING:
    from xnnlint.linter.findings import Finding
    from xnnlint.training.watch import ClusterZeros, Look, Start

NEEDED = "more than 66.7%"


def start_lines(start: Start) -> Iterator[str]:
    """Before the first step: whether pruning can pay, and what stands in the way."""
    yield pruned_sentence(start.forecast)
    if start.forecast.outcome is Outcome.SPARSE and not start.pays:
        yield "Pruning makes this network smaller, not faster."
    yield from _listed("To change before the training is spent:", start.blockers)


def epoch_line(epoch: int, look: Look) -> str:
    """After an epoch, counted from 0.

    "Epoch 3: dense, 0 SpMM; zeros 41% of 640 weights (more than 66.7% needed)".
    """
    counts = ", ".join(map(_cluster, look.clusters)) or "no 1x1 weights"
    needed = "" if all(cluster.is_enough for cluster in look.clusters) else f" ({NEEDED} needed)"
    return f"Epoch {epoch + 1}: {look.outcome.value}, {look.spmm} SpMM; zeros {counts}{needed}"


def end_lines(look: Look) -> Iterator[str]:
    """At the end: what it became, or what is missing."""
    if look.outcome is Outcome.SPARSE:
        yield f"The model runs sparse: {look.spmm} of its operators run SpMM."
        return
    yield f"The model does not run sparse ({look.outcome.value})."
    for cluster in look.clusters:
        if not cluster.is_enough:
            first, *more = cluster.layers
            where = f"{first} and {counted(len(more), 'more layer')}" if more else first
            yield f"Zeros: {share_text(cluster.share)} of the 1x1 weights of {where}; {NEEDED} must be zero."
    yield from _listed("To change:", look.missing)


def _cluster(cluster: ClusterZeros) -> str:
    return f"{share_text(cluster.share)} of {cluster.weights:,} weights"


def _listed(title: str, findings: list[Finding]) -> Iterator[str]:
    if findings:
        yield title
        yield from (f"  {finding.rule} {sentence(finding)}" for finding in findings)
