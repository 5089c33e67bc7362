"""What keeps the runtime from loading a file at all, whatever the delegate would do with it.

Sources (google-ai-edge/LiteRT): litert/core/model/model_load.cc `UnpackTensor`, `UnpackOp`, `UnpackSignatures` and
flatbuffer_to_litert.cc `MapElementType`, of compiled models alone; tflite/core/interpreter_builder.cc
`BuildLocalIndexToRegistrationMapping` with the kernels of tflite/core/kernels/register.cc; litert/runtime/
compiled_model.cc `InitializeRuntime`, tflite/core/subgraph.cc `Subgraph::PrepareOpsStartingAt` for custom operators.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

from xnnlint.model.graph import Graph, Model, Operator, Tensor
from xnnlint.xnnpack.fault import Fault, TensorRef, Wrong
from xnnlint.xnnpack.plan import Plan, running
from xnnlint.xnnpack.profile import Profile, kernel_versions


class Refusal(NamedTuple):
    """Why the runtime refuses a file; `op` is an operator of the main subgraph, where one has to do with it."""

    op: int | None
    fault: Fault


def refusals(model: Model, profile: Profile) -> list[Refusal]:
    """What stands in the file; of each kind of fault the first, in the runtime's order.

    Of the file that a Keras model will become only its variables are known so far.
    """
    checks = (_of_tensors, _of_operators) if model.format == "tflite" else (_of_variables,)
    found: dict[tuple[object, object], Refusal] = {}
    for number, graph in enumerate(model.graphs):
        for op, fault in chain.from_iterable(check(graph, profile) for check in checks):
            found.setdefault((fault.wrong, fault.subject), Refusal(op if number == model.entry else None, fault))
    for fault in _of_signatures(model) if profile["loader_types"] else ():
        found.setdefault((fault.wrong, fault.subject), Refusal(None, fault))
    return list(found.values())


def _of_tensors(graph: Graph, profile: Profile) -> Iterator[tuple[int | None, Fault]]:
    known = profile["loader_types"]
    if not known:
        return
    for tensor in graph.tensors:
        op, ref = _user(graph, tensor), TensorRef(tensor.index, tensor.name)
        if tensor.dtype not in known:
            yield op, Fault(Wrong.TENSOR_TYPE, actual=tensor.dtype, subject=tensor.dtype)
        if tensor.is_variable:
            yield op, Fault(Wrong.VARIABLE_TENSOR, actual=ref)
        if tensor.is_variant:
            yield op, Fault(Wrong.VARIANT_TENSOR, actual=ref)


def _of_variables(graph: Graph, profile: Profile) -> Iterator[tuple[int | None, Fault]]:
    for tensor in graph.tensors if profile["loader_types"] else ():
        if tensor.is_variable:
            yield _user(graph, tensor), Fault(Wrong.VARIABLE_TENSOR, actual=TensorRef(tensor.index, tensor.name))


def _user(graph: Graph, tensor: Tensor) -> int | None:
    """The first operator that reads a tensor, or the one that computes it."""
    op = next(iter(graph.consumers(tensor.index)), None) or graph.producer(tensor.index)
    return None if op is None else op.index


def _of_operators(graph: Graph, profile: Profile) -> Iterator[tuple[int | None, Fault]]:
    kernels = kernel_versions(profile.runtime)
    for op in graph.operators:
        if op.has_intermediates and profile["loader_types"]:
            yield op.index, Fault(Wrong.INTERMEDIATE_TENSORS, subject=op.type)
        if op.type == "CUSTOM":
            continue
        least, most = kernels.get(op.type, (0, 0))
        if not least <= op.version <= most or not most:
            yield op.index, Fault(Wrong.NO_KERNEL, most, op.version, op.type)


def _of_signatures(model: Model) -> Iterator[Fault]:
    for signature in model.signatures:
        graph = model.graphs[signature.subgraph]
        has = (len(graph.inputs), len(graph.outputs))
        if (signature.input_count, signature.output_count) != has:
            yield Fault(Wrong.SIGNATURE, has, (signature.input_count, signature.output_count), signature.key)


def is_unresolved(op: Operator, profile: Profile) -> bool:
    """Whether the runtime has no kernel for a custom operator, and the user has named none, either."""
    known = profile["custom_operators"]
    return op.type == "CUSTOM" and op.custom_code not in known and op.custom_code not in profile.custom_operators


def of_application(plan: Plan) -> list[str]:
    """Names of the custom operators that run and that only the user's application has: nobody here knows what they
    compute."""
    names = plan.profile.custom_operators
    ops = (part.graph.operators[index] for part in running(plan) for index in part.tflite_ops)
    return sorted({op.custom_code for op in ops if op.type == "CUSTOM" and op.custom_code in names})


def unresolved(plan: Plan) -> list[Refusal]:
    """Custom operators that neither the delegate takes nor the runtime has a kernel for, each name once."""
    found: dict[str, Refusal] = {}
    callers = {id(called.plan): called.op for called in plan.called}
    for part in running(plan):
        for index in part.tflite_ops:
            op = part.graph.operators[index]
            if is_unresolved(op, plan.profile):
                at = index if part is plan else callers[id(part)]
                found.setdefault(op.custom_code, Refusal(at, Fault(Wrong.NO_CUSTOM_KERNEL, subject=op.custom_code)))
    return list(found.values())
