"""Variables that live on between runs: a file reads and assigns them, and a graph of its own fills them at first.

In which order handles stand in a file was seen in files that TensorFlow 2.21 converted.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from xnnlint.keras.lower.layer_scope import Scope, normalize
from xnnlint.keras.lower.program import Constant, Node, Program, Shape, Step, Value, Variable


def variable(scope: Scope, name: str, reader: str, shape: Shape, dtype: str = "FLOAT32") -> Value:
    """The handle of a variable of a layer, which starts with zeros.

    Args:
        name: what it is called in the layer.
        reader: the operation that reads it, as of `Scope.weight`.
    """
    key = "/".join((*(scope.layer.path or (scope.layer.name,)), name))
    known = scope.builder.program.variables
    if key not in known:
        source = normalize(f"{scope.prefix}/{reader}/resource")
        known[key] = Variable(Value((), "RESOURCE", name=source), shape, dtype)
    return known[key].handle


def read(scope: Scope, handle: Value, shape: Shape, at: str | Step, dtype: str = "FLOAT32") -> Value:
    """The value of a variable."""
    return scope.op("READ_VARIABLE", [handle], shape, at, dtype=dtype)


def assign(scope: Scope, handle: Value, value: Value, at: str | Step) -> None:
    """Gives a variable another value."""
    scope.ops("ASSIGN_VARIABLE", [handle, value], [], at)


def put_first(program: Program) -> None:
    """Adds what a file with variables begins with: the call that fills them, and their handles."""
    if not program.variables:
        return
    begin = Program(
        nodes=[node for name in sorted(program.variables) for node in _filled(name, program.variables[name])]
    )
    call = Node("CALL_ONCE", [], [], {}, "", Step("CALL_ONCE"), called=(begin,))
    handles = sorted(program.variables.items(), key=lambda item: item[1].handle.name, reverse=True)
    program.nodes[:0] = [call, *(_handle(name, variable.handle) for name, variable in handles)]


def _filled(name: str, variable: Variable) -> Sequence[Node]:
    handle = Value((), "RESOURCE", name=f"{name}/handle")
    sizes, type_ = tuple(n or 0 for n in variable.shape), "<i8" if variable.dtype == "INT64" else "<f4"
    zeros = Constant(lambda: np.broadcast_to(np.zeros((), type_), sizes), ("zeros", variable.dtype, sizes))
    value = Value(sizes, variable.dtype, zeros, name=f"{name}/zeros")
    return [_handle(name, handle), Node("ASSIGN_VARIABLE", [handle, value], [], {}, "", Step(name))]


def _handle(name: str, handle: Value) -> Node:
    node = Node("VAR_HANDLE", [], [handle], {"container": "", "shared_name": name}, "", Step(name))
    handle.producer = node
    return node
