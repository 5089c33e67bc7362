"""What XNNPACK does with an operator: the delegate's conditions, and what becomes of examples on every runtime."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from xnnlint.linter.findings import Severity
from xnnlint.linter.rule_registry import own_rules
from xnnlint.loaders.tflite.schema_tables import enum
from xnnlint.model.graph import Graph, Operator, Tensor
from xnnlint.reporters.topics.examples import Example, examples_of
from xnnlint.reporters.topics.page import Page
from xnnlint.reporters.topics.runtimes_page import listed
from xnnlint.xnnpack.delegate.accept_checks import Check, Scope
from xnnlint.xnnpack.delegate.rejection import Objection
from xnnlint.xnnpack.operators import CUSTOM_OPERATORS, OPERATORS
from xnnlint.xnnpack.planner import make_plan
from xnnlint.xnnpack.profile import DEFAULT_CPU, every_runtime, load_profile

if TYPE_CHECKING:
    from xnnlint.xnnpack.delegate.rejection import Rejection
    from xnnlint.xnnpack.plan import Plan

SOURCE = "google-ai-edge/LiteRT, tflite/delegates/xnnpack/xnnpack_delegate.cc, `Subgraph::VisitNode`"
_DENSIFY = """\
DENSIFY expands weights that are stored sparse. A converter puts it behind them
where it is asked to keep sparsity (EXPERIMENTAL_SPARSITY).

The delegate expands them once, when it is applied: in a run there is no DENSIFY
any more. What is left of it is the mark that these weights are sparse. Without
one in a partition, its sparse mode is off, whatever the weights hold (XNN302).

The delegate takes it if its input is a constant in the sparse format, of type
{types}, and its output has the same type.
"""


def operator_names() -> list[str]:
    """Every operator of the TFLite schema, and the custom ones that the delegate knows."""
    return [*enum("BuiltinOperator"), *sorted(CUSTOM_OPERATORS)]


def operator_page(kind: str) -> Page:
    """What is known of an operator.

    Args:
        kind: a name of `operator_names`.
    """
    lines: list[str] = []
    known = kind in OPERATORS or kind in CUSTOM_OPERATORS
    if kind == "DENSIFY":
        from xnnlint.xnnpack.claims import SPARSE_DTYPES

        lines += _DENSIFY.format(types=" or ".join(SPARSE_DTYPES)).splitlines()
    elif not known:
        lines += [f"XNNPACK takes no {kind} on any runtime: TFLite runs it itself, and cuts the model there (XNN401)."]
    else:
        lines += _delegated(kind)
    found = list(_fates(kind))
    if found:
        lines += ["", "## What becomes of it", f"In a small pruned network on {DEFAULT_CPU}:", "", *found]
    if known:
        lines += ["", "## What the delegate asks for", "What does not hold leaves it to TFLite (XNN401).", ""]
        lines += [f"- {text}" for text in conditions(kind)]
    lines += ["", "## Source", f"- {SOURCE}"]
    return Page("operator", kind, "operator", "\n".join(lines))


def _delegated(kind: str) -> list[str]:
    """On which runtimes the delegate knows it at all."""
    refusing = [p.runtime for p in every_runtime() if kind in p["undelegated_operators"]]
    options = {
        (option, value): [p.runtime for p in every_runtime() if [kind, option, value] in p["undelegated_options"]]
        for profile in every_runtime()
        for name, option, value in profile["undelegated_options"]
        if name == kind
    }
    text = f"XNNPACK takes {kind} on all runtimes."
    if refusing:
        text = f"XNNPACK takes {kind}, but not on {listed(refusing)}."
    lines = [text]
    for (option, value), where in options.items():
        lines += [f"With {option}={value} it does not on {listed(where)}."]
    return lines


# --- what becomes of examples ----------------------------------------------------------------------------------------


def _fates(kind: str) -> Iterator[str]:
    """An entry for each example and each different fate, with the runtimes."""
    for example in examples_of(kind):
        seen: dict[str, list[str]] = {}
        for runtime, fate in fates(kind, example):
            seen.setdefault(fate, []).append(runtime)
        if len(seen) == 1:
            yield f"- {example.text}: {next(iter(seen))}"
            continue
        yield f"- {example.text}:"
        yield from (f"  - {listed(runtimes)}: {fate}" for fate, runtimes in seen.items())


def fates(kind: str, example: Example) -> Iterator[tuple[str, str]]:
    """For every runtime, what becomes of an example's operator and of the model."""
    from xnnlint.loaders.tflite.read_tflite import load_bytes

    data, op = example.build(kind)
    model = load_bytes(data, "example.tflite")
    for profile in every_runtime():
        plan = make_plan(model, profile)
        assert plan.outcome is not None
        yield profile.runtime, f"{_fate(plan, op)}; outcome: {plan.outcome.value}{_because(plan)}"


def _fate(plan: Plan, op: int) -> str:
    """What becomes of one operator."""
    delegation = plan.delegation
    rejection: Rejection | None = delegation.rejected.get(op) if delegation is not None else None
    if rejection is not None and rejection.condition is Objection.OPERATOR_TYPE:
        return "left to TFLite"
    if rejection is not None:
        return f"left to TFLite ({rejection.required} is asked for, and it has {rejection.actual})"
    if delegation is not None and op in delegation.skipped:
        return "expanded once, when the delegate is applied"
    kernels = [kernel for kernel in plan.operators if kernel.op == op]
    if not kernels:
        return "merged into another operator"
    names = " and ".join(dict.fromkeys(kernel.kernel for kernel in kernels))
    if all(kernel.nchw for kernel in kernels):
        return f"in the sparse cluster, as {names}"
    nodes = [(part.subgraph, node) for part in plan.partitions for node in part.nodes if node.op == op]
    reads_cluster = any(subgraph.values[v].nchw for subgraph, node in nodes for v in node.inputs)
    return f"{'the end of the sparse cluster' if reads_cluster else 'dense'}, as {names}"


def _because(plan: Plan) -> str:
    """The rules behind an outcome that is not the one to wish for."""
    if plan.outcome is None or plan.outcome.value == "sparse":
        return ""
    rules = {f.rule for rule in own_rules() for f in rule.check(plan) if f.severity is Severity.ERROR}
    return f" ({', '.join(sorted(rules))})" if rules else ""


# --- the delegate's conditions ---------------------------------------------------------------------------------------

_OPTIONS: tuple[dict[str, object], ...] = (
    {},
    # Sizes that pass let a check get as far as the conditions behind them.
    dict.fromkeys(("stride_w", "stride_h", "filter_width", "filter_height", "depth_multiplier"), 1)
    | {"fused_activation_function": "TANH", "padding": "UNKNOWN", "beta": 2.0, "shrink_axis_mask": 1},
    {"stride_w": 2, "stride_h": 2, "filter_width": 1, "filter_height": 1, "depth_multiplier": 1, "alpha": 1e9},
)
_CONSTANTS = (None, 0, 2)  # what all inputs but the first hold; None where the user gives them


def conditions(kind: str) -> list[str]:
    """What the delegate asks of an operator: everything that it objects to in operators that are all wrong."""
    check = (OPERATORS.get(kind) or CUSTOM_OPERATORS[kind]).accept
    asked: dict[str, list[str]] = {}
    seen: list[set[str]] = []
    for size in (3, 5):
        tried = [(graph, op, _objections(check, graph, op)) for graph, op in _wrong(kind, size)]
        fitting = [len(op.inputs) for _, op, found in tried if Objection.INPUTS not in {o.condition for o in found}]
        texts: set[str] = set()
        for graph, op, objections in tried:
            usual = len(op.inputs) == max(fitting, default=1)
            for objection in objections:
                rank = graph.tensors[0].rank
                if rank == 4 or (objection.condition is Objection.RANK and str(rank) not in objection.required):
                    texts.add(objection.required)
                    place = _place(op, objection.tensor) if usual else ""
                    places = asked.setdefault(objection.required, [])
                    places += [place] if place and place not in places else []
        seen.append(texts)
    # What changes with the sizes of the made-up tensors says nothing of the operator.
    lasting = [(text, where) for text, where in asked.items() if text in seen[0] & seen[1]]
    return [f"{', '.join(where)}: {text}" if where else text for text, where in lasting]


def _objections(check: Check, graph: Graph, op: Operator) -> list[Rejection]:
    """All that the delegate objects to; it may not come to the end with an operator as wrong as that."""
    found: list[Rejection] = []
    try:
        for rejection in check(Scope(graph, load_profile()), op):
            found.append(rejection)
    except (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError):
        pass
    return found


def _wrong(kind: str, size: int) -> Iterator[tuple[Graph, Operator]]:
    """Operators that are wrong in many ways, in graphs of their own."""
    is_custom = kind in CUSTOM_OPERATORS
    kinds = product(("STRING", "INT8", "FLOAT32"), (4, 7, 1), (1, 2, 3, 4, 6, 0), (1, 4), _OPTIONS, _CONSTANTS)
    for dtype, rank, inputs, outputs, attributes, constant in kinds:
        if constant is not None and (dtype != "FLOAT32" or rank != 4 or inputs < 2):
            continue
        ends = tuple(range(inputs)), tuple(range(inputs, inputs + outputs))
        tensors = [Tensor(i, f"t{i}", dtype, (size,) * rank) for i in range(inputs + outputs)]
        if constant is not None:
            tensors[1:inputs] = [_parameter(i, constant) for i in range(1, inputs)]
        op = Operator(
            0, "CUSTOM" if is_custom else kind, *ends, dict(attributes), custom_code=kind if is_custom else "", name="x"
        )
        yield Graph(tensors, [op], ends[0], ends[1]), op


def _parameter(index: int, value: int) -> Tensor:
    """Begins, sizes, strides and the like, as constants."""
    values = np.full(4, value, np.int32)
    return Tensor(index, f"t{index}", "INT32", (4,), stored=lambda: values)


def _place(op: Operator, tensor: int | None) -> str:
    if tensor is None:
        return ""
    if tensor in op.inputs:
        return f"input {op.inputs.index(tensor)}"
    return f"output {op.outputs.index(tensor)}"
