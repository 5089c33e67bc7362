"""Every fix of .tflite files has a case that shows what it is for, and a real run says that it does it."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

from tests.fixes import cases
from tests.fixes.fix_case import FixCase
from xnnlint.fixes.change import Exactness
from xnnlint.linter.findings import Applicability
from xnnlint.xnnpack.profile import load_profile

pytest.importorskip("ai_edge_litert", reason="the editor needs the verify extra")

from xnnlint.fixes.request import FixRequest
from xnnlint.fixes.tflite.file_proof import Prover
from xnnlint.fixes.tflite.file_search import FileResult, search
from xnnlint.fixes.tflite.operator_fixer import operator_fixers

MODULES = [importlib.import_module(f"{cases.__name__}.{m.name}") for m in pkgutil.iter_modules(cases.__path__)]
CASES: list[FixCase] = [case for module in MODULES for case in module.CASES]
ALL = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


def fixed(data: bytes, case: FixCase, *, unsafe: bool | None = None) -> FileResult:
    wanted = case.unsafe if unsafe is None else unsafe
    profile = load_profile(case.runtime, "x86-sse")
    # These models are so small that the sparse path does not pay; what a fix does is asked here, not what it gains.
    request = FixRequest(profile, wanted, ignore=case.ignore, prune=case.prune, even_if_slower=True)
    return search(data, "model.tflite", request)


@pytest.fixture(scope="module")
def prover():
    with Prover() as made:
        yield made


def test_every_fix_has_a_case():
    assert {fixer.name for fixer in operator_fixers()} == {case.fix for case in CASES}


@pytest.mark.judge
@ALL
def test_a_fix_makes_a_model_sparse_and_the_run_proves_it(prover, case):
    result = fixed(case.build(), case)
    assert case.fix in {change.fix for change in result.changes}
    proof = prover.prove(result)
    assert proof.passed, proof.reason
    assert proof.observation.outcome == "sparse"
    assert proof.observation.spmm >= case.spmm
    kinds = {change.exactness for change in result.changes}
    if Exactness.DIFFERENT in kinds:
        assert proof.tolerance is None
        assert proof.max_rel_error > 1e-3, "it computes something else, or it would be safe"
    elif kinds == {Exactness.EXACT}:
        assert proof.max_abs_error == 0.0
    else:
        assert proof.max_rel_error <= proof.tolerance
    assert fixed(result.after.data, case).changes == ()


@ALL
def test_nothing_unsafe_is_done_unasked(case):
    if case.unsafe:
        result = fixed(case.build(), case, unsafe=False)
        assert all(change.applicability is Applicability.SAFE for change in result.changes)
