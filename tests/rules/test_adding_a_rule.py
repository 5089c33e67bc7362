"""Adding a rule is adding two files, the rule and its case: tried in a copy of the work tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.models import ROOT

COPIED = ("xnnlint", "rules", "tests", "docs", "pyproject.toml")

RULE = '''"""XNN199: a depthwise convolution of stride 3."""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.linter.findings import Finding, Severity
from xnnlint.linter.rule import Rule, locate
from xnnlint.xnnpack.plan import Plan


class DepthwiseOfStrideThree(Rule):
    """A depthwise convolution skips two pixels of three.

    ## What it does
    Looks for a stride of 3.

    ## Why it matters
    It is made up to try what adding a rule takes.

    ## Example
    A stride of 3 in one direction.

    ## Use instead
    A stride of 1 in both directions.

    ## Fix safety
    There is no fix of its own.

    ## References
    - google/XNNPACK, src/subgraph.c, `xnn_define_depthwise_convolution_2d`: made up
    """

    code = "XNN199"
    name = "depthwise-of-stride-three"
    severity = Severity.NOTE
    summary = "a depthwise convolution must not have a stride of 3"

    def check(self, plan: Plan) -> Iterable[Finding]:
        for operator in plan.graph.operators:
            if operator.type == "DEPTHWISE_CONV_2D" and operator.attributes.get("stride_w") == 3:
                yield self.finding(
                    "it skips pixels", required="a stride of 1", actual="3", location=locate(plan, operator.index)
                )
'''

CASE = """from __future__ import annotations

from tests.rules.case_parts import Pair, depthwise, head
from xnnlint.modelbuilder.building_blocks import tail

PAIRS = [
    Pair(
        "XNN199 stride",
        head(lambda g, x: tail(g, depthwise(3, 1, (3, 3))(g, g.depth_to_space(x)))),
        head(lambda g, x: tail(g, depthwise(3, 1, 1)(g, g.depth_to_space(x)))),
        "sparse",
        "DEPTHWISE_CONV_2D",
        "3",
        "",
        unlocks=False,
    ),
]
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the work tree with one rule more."""
    copy = tmp_path_factory.mktemp("tree")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "difftest"))
        else:
            shutil.copy(ROOT / name, copy / name)
    (copy / "fixtures").symlink_to(ROOT / "fixtures")
    # Where it is installed, `rules` is xnnlint.rules.
    (copy / "xnnlint" / "rules").symlink_to(copy / "rules")
    (copy / "rules" / "depthwise_of_stride_three.py").write_text(RULE)
    (copy / "tests" / "rules" / "cases" / "depthwise_of_stride_three.py").write_text(CASE)
    return copy


def run(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=tree, env=environment, capture_output=True, text=True, timeout=600
    )


def test_it_is_listed_and_explained(tree: Path) -> None:
    assert "XNN199" in run(tree, "-m", "xnnlint", "rules").stdout
    assert run(tree, "-m", "xnnlint", "explain", "depthwise-of-stride-three").stdout.startswith("XNN199 ")


def test_its_documentation_and_its_case_are_tested(tree: Path) -> None:
    done = run(
        tree,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-m",
        "not judge",
        "-k",
        "XNN199 or has_a_pair",
        "tests/rules",
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def test_it_has_a_page(tree: Path) -> None:
    code = "import runpy; print(*runpy.run_path('docs/make_rules.py')['pages']())"
    assert "XNN199.md" in run(tree, "-c", code).stdout.split()
