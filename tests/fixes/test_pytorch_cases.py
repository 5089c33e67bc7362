"""Files that litert-torch exported, and a detector's heads: what the fixes make of them, proven by a run.

What must come of each was seen in real runs of forms written by hand; fixtures/cases has the files.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.models import FIXTURES
from xnnlint.loaders.tflite.read_tflite import load_bytes
from xnnlint.model.exporter import Exporter
from xnnlint.xnnpack.profile import load_profile

pytest.importorskip("ai_edge_litert", reason="the editor needs the verify extra")

from xnnlint.fixes.request import FixRequest
from xnnlint.fixes.tflite.file_proof import Prover
from xnnlint.fixes.tflite.file_search import search


@dataclass(frozen=True)
class Exported:
    """A file, and what must be reached.

    Attributes:
        spmm: of its own 1x1 convolutions, in SpMM.
        fix: the kind of change that it is about.
        faster: how many times as fast it is predicted to be then, at least.
    """

    name: str
    spmm: int
    fix: str
    faster: float


CASES = (
    Exported("m_shuffle", 2, "gather-channels", 1.5),
    Exported("m_gray3x3", 2, "convolve-one-channel", 1.1),
    Exported("m_sefc", 2, "excite-by-convolving", 1.4),
    Exported("m_padadd", 3, "compute-in-nhwc", 1.7),
    Exported("m_elu", 2, "elu-by-name", 1.5),
    Exported("m_pshuf", 1, "depth-to-space-by-name", 1.1),
    Exported("u_cat_no1", 4, "leave-through-depth-to-space", 1.05),
    Exported("m_aspp_cat", 4, "concatenate-a-pixel", 1.4),
    Exported("p01_torch_nchw", 4, "pool-before-transpose", 1.7),
    Exported("k01_ssd_before", 10, "leave-through-depth-to-space", 1.7),
)


@pytest.fixture(scope="module")
def prover():
    with Prover() as made:
        yield made


@pytest.mark.judge
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_what_an_exporter_wrote_runs_sparse(prover, case):
    data = (FIXTURES / "cases" / f"{case.name}.tflite").read_bytes()
    assert load_bytes(data, case.name).exporter is (
        Exporter.KERAS if case.name.startswith("k") else Exporter.LITERT_TORCH
    )
    result = search(data, case.name, FixRequest(load_profile("litert-2.3", "x86-sse")))
    assert case.fix in {change.fix for change in result.changes}
    assert len(result.after.spmm) >= case.spmm
    assert result.gain is not None and result.gain.ratio >= case.faster
    proof = prover.prove(result)
    assert proof.passed, proof.reason
    assert proof.observation.outcome == "sparse" and proof.observation.spmm >= case.spmm
