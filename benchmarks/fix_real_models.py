"""What `xnnlint fix` makes of models from elsewhere, and why no more.

    python benchmarks/fix_real_models.py MODEL... [--prune 0.8]

For each model: its 1x1 convolutions, how many run SpMM before and after, XNNPACK operators before and after (a fix can
take several for one), the largest relative error of the real run against TFLite's reference kernels, and what the 1x1
convolutions that stay dense wait for. Without --prune only safe fixes are made.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from xnnlint.fixes.tflite.search_changes import Options, Result, search

from xnnlint.errors import XnnlintError
from xnnlint.fixes.tflite.file_proof import Proof, Prover
from xnnlint.model.macs import pointwise_macs
from xnnlint.xnnpack.plan import Plan, is_pointwise
from xnnlint.xnnpack.profile import load_profile


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--prune", type=float, metavar="SHARE", help="with unsafe fixes, and pruned to this share")
    options = parser.parse_args()
    columns = ("model", "1x1 convolutions with SpMM", "of their work", "operators", "outputs move by")
    columns += ("error of the real run", "s", "what the others wait for")
    print(f"| {' | '.join(columns)} |")
    print(f"| {' | '.join('---' for _ in columns)} |")
    with Prover() as prover:
        settings = {} if options.prune is None else {"prune": options.prune}
        how = Options(load_profile(prover.runtime, prover.target.cpu), options.prune is not None, settings=settings)
        for path in options.models:
            start = time.perf_counter()
            try:
                result = search(path.read_bytes(), str(path), how)
            except XnnlintError as error:
                print(f"| {path.stem} | not read: {error} |")
                continue
            seconds = time.perf_counter() - start
            proof = prover.prove(result) if result.changes else None
            print(line(path.stem, result, proof, seconds), flush=True)


def line(name: str, result: Result, proof: Proof | None, seconds: float) -> str:
    before, after = result.before, result.after
    if proof is None:
        moved = error = "nothing changed"
    elif not proof.passed:
        moved, error = f"NOT PROVEN: {proof.reason}", ""
    else:
        assert proof.observation is not None
        moved, error = f"{proof.max_rel_error or 0:.0e}", f"{proof.observation.max_rel_error or 0:.0e}"
    work = macs(after.plan, after.spmm) / max(macs(after.plan, after.pointwise), 1)
    cells = (
        name,
        f"{len(before.spmm)} of {len(before.pointwise)} -> {len(after.spmm)} of {len(after.pointwise)}",
        f"{work:.0%}",
        f"{len(before.plan.operators)} -> {len(after.plan.operators)}",
        moved,
        error,
        f"{seconds:.0f}",
        ", ".join(f"{count} for {what}" for what, count in waiting(after.plan).most_common()) or "-",
    )
    return f"| {' | '.join(cells)} |"


def macs(plan: Plan, ops: Iterable[int]) -> int:
    """Multiply-accumulates of operators."""
    return sum(pointwise_macs(plan.graph, plan.graph.operators[op]) for op in ops)


def waiting(plan: Plan) -> Counter[str]:
    """For each 1x1 convolution that runs dense, the closest operator before it that cannot run in NCHW."""
    graph = plan.graph
    verdicts = {}
    for part in plan.partitions:
        for node, verdict in zip(part.nodes, part.decision.verdicts, strict=True):
            verdicts.setdefault(node.op, []).append(bool(verdict.layout))
    found = Counter[str]()
    for op in graph.operators:
        if not is_pointwise(graph, op) or op.index in plan.spmm_ops:
            continue
        pending, seen, causes = [op.inputs[0]], set[int](), []
        while pending and not causes:
            producer = graph.producer(pending.pop(0))
            if producer is None:
                causes.append("a model input")
            elif producer.index in plan.tflite_ops:
                causes.append(f"{producer.custom_code or producer.type}, which XNNPACK does not take")
            elif not all(verdicts.get(producer.index, [True])):
                causes.append(producer.custom_code or producer.type)
            else:
                fresh = [t for t in producer.inputs if t >= 0 and t not in seen and not graph.tensors[t].is_constant]
                seen.update(fresh)
                pending += fresh
        found[causes[0] if causes else "more zeros"] += 1
    return found


if __name__ == "__main__":
    main()
