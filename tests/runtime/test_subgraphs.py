"""Models of several subgraphs: variables, composites and loops, with the real runtime as judge."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.models import FIXTURES
from xnnlint.fixes.request import FixRequest
from xnnlint.fixes.tflite.file_search import search
from xnnlint.fixes.tflite.sparse_encoding import stored_dense
from xnnlint.runtime.verify import Verification, choose, verify_each
from xnnlint.xnnpack.profile import load_profile

pytestmark = pytest.mark.judge
INTERPRETER = "1.4.0"  # a release without compiled models


def verified(name: str, release: str | None) -> Verification:
    (found,) = verify_each([FIXTURES / "cases" / f"{name}.tflite"], choose(litert_version=release))
    return found


@pytest.mark.parametrize("name", ["stream_sparse", "var_B", "var_C", "composite_sparse", "lstm"])
def test_plan_agrees_with_run(name: str) -> None:
    found = verified(name, None)
    assert found.agrees, (found.differs, found.error, found.rows)
    assert any(row.observed for row in found.rows)


@pytest.mark.parametrize("name", ["stream_sparse", "var_B", "var_C", "composite_sparse", "lstm"])
def test_interpreter_tells_of_the_main_subgraph_only(name: str) -> None:
    """Where SpMM may have run in another one, it does not say that none did."""
    found = verified(name, INTERPRETER)
    assert not found.differs and not any(not row.agrees for row in found.rows)
    assert found.observation is not None and found.observation.called is None
    assert found.observation.outcome == ("sparse" if name == "stream_sparse" else None)


def test_variable_is_read_before_it_is_assigned() -> None:
    """One partition reads and assigns it: what reads it comes first, in an order of XNNPACK's own."""
    rows = verified("var_B", None).rows
    main = [row.observed for row in rows if row.subgraph is None and not row.tflite]
    init = [(row.observed, row.times) for row in rows if row.subgraph == 1]
    assert main == ["Multiply (ND)", "Clamp (NC)", "Add (ND)"]
    assert init == [("Copy (NC, X32)", 1)]


def test_streaming_model_is_sparse() -> None:
    found = verified("stream_sparse", None)
    assert found.observation is not None and found.observation.outcome == "sparse"
    assert found.observation.spmm == 2


def test_composite_is_inlined_by_compiled_models_only() -> None:
    found = verified("composite_sparse", None)
    assert sum(row.observed is not None and row.observed.endswith("SPMM") for row in found.rows) == 2
    assert {row.subgraph for row in found.rows} == {None}
    old = verified("composite_sparse", INTERPRETER)
    assert [row.observed for row in old.rows] == ["STABLEHLO_COMPOSITE"]


def test_loop_runs_its_body_step_by_step() -> None:
    found = verified("lstm", None)
    times = {row.subgraph: row.times for row in found.rows}
    assert times == {None: None, 1: 11, 2: 10}  # The condition once more than the body.
    assert [row.observed for row in found.rows if row.subgraph == 2 and row.tflite] == ["ADD", "ADD", "GATHER"]


def test_fix_leaves_a_composite_that_needs_no_change() -> None:
    data = (FIXTURES / "cases" / "composite_sparse.tflite").read_bytes()
    result = search(data, "m.tflite", FixRequest(load_profile("litert-2.3", "x86-sse")))
    assert result.after.data == data


def test_fix_changes_what_is_inside_a_composite(tmp_path: Path) -> None:
    """Stored dense, so that there is something to change; the run of the changed file is sparse."""
    dense = stored_dense((FIXTURES / "cases" / "composite_sparse.tflite").read_bytes(), "m.tflite")
    result = search(dense, "m.tflite", FixRequest(load_profile("litert-2.3", "x86-sse"), even_if_slower=True))
    (tmp_path / "fixed.tflite").write_bytes(result.after.data)
    (found,) = verify_each([tmp_path / "fixed.tflite"], choose())
    assert found.agrees and found.observation is not None
    assert (found.observation.outcome, found.observation.spmm) == ("sparse", 2)
