"""Names of a model's inputs and outputs, by which LiteRT's compiled models know them.

They are those of the signature that runs, the first one; in a file without signatures those of the tensors, "input0"
and "output0" where a tensor has none. A name that stands for two tensors is that of the last one: the runtime ends the
process over the other, which has none.

Sources, read at f674577 (2026-08-21) of google-ai-edge/LiteRT: tflite/core/interpreter.cc
`CreatePlaceholderSignatureDef`, tflite/core/signature_runner.cc `SignatureRunner::SignatureRunner`. Seen in LiteRT 2.1
to 2.3.
"""

from __future__ import annotations

from collections.abc import Iterator

from xnnlint.model.graph import Graph, Model

INPUTS, OUTPUTS = "inputs", "outputs"


def nameless(model: Model, graph: Graph) -> Iterator[tuple[str, int]]:
    """The inputs and outputs of the graph that runs that have no name of their own: `INPUTS` or `OUTPUTS`, and the
    tensor."""
    signature = model.signatures[0] if model.signatures else None
    if signature and (signature.input_count, signature.output_count) != (len(graph.inputs), len(graph.outputs)):
        return  # It is refused before anybody asks for names; see `loading`.
    for kind, tensors in ((INPUTS, graph.inputs), (OUTPUTS, graph.outputs)):
        if signature is None:
            names = {graph.tensors[t].name or f"{kind[:-1]}{i}": t for i, t in enumerate(tensors) if t >= 0}
        else:
            names = signature.inputs if kind == INPUTS else signature.outputs
        named = set(names.values())
        yield from ((kind, t) for t in dict.fromkeys(tensors) if t >= 0 and t not in named)
