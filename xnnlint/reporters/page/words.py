"""The sentences that only the page has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xnnlint.reporters.finding_words import counted, percent

if TYPE_CHECKING:
    from xnnlint.reporters.page.graph_facts import ClusterFacts

NO_SCRIPT = "Search, zoom, the panel and the tables need JavaScript; the picture is whole without it."
HINT = "Select an operator in the graph or in the table."


def cluster_sentence(cluster: ClusterFacts) -> str:
    """What the two-thirds test says of a cluster, and what comes of it."""
    where = f"{counted(len(cluster.ops), 'operator')}, partition {cluster.partition}"
    if not cluster.elements:
        return f"{where}: it has no weights that count."
    share = f"{percent(cluster.zeros, cluster.elements)} of its weights are zero"
    if not cluster.has_enough:
        return f"{where}: {share}; more than two thirds are needed, and it runs in NHWC."
    if cluster.is_nchw:
        return f"{where}: {share}, more than two thirds: it runs in NCHW."
    why = "another condition keeps it" if cluster.is_broken else "the sparse path is off here, and it runs"
    return f"{where}: {share}, more than two thirds, but {why} in NHWC."


def alone_sentence() -> str:
    """Of weights that are in no cluster."""
    return "In no cluster: nothing around these could run in NCHW."
