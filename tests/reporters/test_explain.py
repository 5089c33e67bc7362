"""`xnnlint explain` beyond rules: outcomes, operators, suggestions; and docs/rules/, which is made of the same."""

from __future__ import annotations

import json
import re
import runpy
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.models import ROOT
from tests.xnnpack.delegate_cases import CASES
from xnnlint.cli import app as cli
from xnnlint.linter.known_rules import every_rule
from xnnlint.linter.rule import SECTIONS
from xnnlint.loaders.tflite.read_tflite import load_bytes
from xnnlint.reporters.catalog import page_lines
from xnnlint.reporters.styled_lines import plain
from xnnlint.reporters.topics import operators_page as operators
from xnnlint.reporters.topics.examples import examples_of
from xnnlint.reporters.topics.lookup import pages
from xnnlint.reporters.topics.operators_page import fates, operator_names
from xnnlint.reporters.topics.page import Page
from xnnlint.reporters.topics.runtimes_page import listed
from xnnlint.runtime.observation import WRONG_ABOVE
from xnnlint.runtime.observe import observe
from xnnlint.xnnpack.claims import delegate
from xnnlint.xnnpack.delegate.rejection import Objection
from xnnlint.xnnpack.operators import CUSTOM_OPERATORS, OPERATORS
from xnnlint.xnnpack.plan import Outcome
from xnnlint.xnnpack.planner import make_plan
from xnnlint.xnnpack.profile import DEFAULT_RUNTIME, every_runtime, load_profile

KNOWN = [*OPERATORS, *CUSTOM_OPERATORS]
conditions, operator_page = cache(operators.conditions), cache(operators.operator_page)
WITH_EXAMPLES = [name for name in operator_names() if examples_of(name)]


@pytest.fixture
def call(capsys, monkeypatch):
    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["xnnlint", "explain", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return end.value.code, *capsys.readouterr()

    return run


# --- what can be asked -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "titles"),
    [
        ("XNN104", ["XNN104 depthwise-convolution-without-nchw-kernel"]),
        ("pooling-keepdims", ["XNN601 pooling-keepdims"]),
        ("xnp103", ["XNP103 policy-layer-not-supported"]),
        ("sparse", ["sparse"]),
        ("dense", ["dense"]),
        ("fails", ["fails"]),
        ("unknown", ["unknown"]),
        ("Wrong_Results", ["wrong-results", "XNN901 wrong-results"]),
        ("outcomes", ["outcomes"]),
        ("recipe", ["recipes"]),
        ("Segmentation_Head", ["segmentation-head"]),
        ("conv_2d", ["CONV_2D"]),
        ("Conv2D", ["CONV_2D"]),
        ("densify", ["DENSIFY"]),
        ("MaxUnpooling2D", ["MaxUnpooling2D"]),
    ],
)
def test_what_is_found(asked, titles):
    assert [page.title for page in pages(asked)] == titles


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("DENSFY", "DENSIFY"),
        ("CONV2", "CONV_2D"),
        ("DEPTHWISE_CONV", "DEPTHWISE_CONV_2D"),
        ("sprase", "sparse"),
        ("wrong-result", "wrong-results"),
        ("gray-scale-stem", "grey-scale-stem"),
        ("zeros-stored", "zeros-stored-dense"),
    ],
)
def test_a_misspelling_is_answered_with_what_was_meant(call, asked, meant):
    code, out, err = call(asked)
    assert (code, out) == (2, "")
    assert re.search(rf"did you mean (\S+ or )?{re.escape(meant)}\b", err)


def test_nothing_close_is_said_plainly(call):
    code, _, err = call("qqqqqqq")
    assert code == 2
    assert "did you mean" not in err
    assert "`xnnlint rules`" in err


@pytest.mark.parametrize(("name", "kind"), [("tf-2.4", "runtime"), ("portable", "runtime"), ("arm64", "CPU")])
def test_runtimes_and_cpus_are_elsewhere(call, name, kind):
    told = f"xnnlint: error: {name} is a {kind}; `xnnlint profiles` lists what is known of it\n"
    assert call(name) == (2, "", told)


def test_pages_as_json(call):
    code, out, _ = call("wrong-results", "--format", "json")
    assert code == 0
    told = json.loads(out)["pages"]
    assert [(page["kind"], page["title"]) for page in told] == [
        ("outcome", "wrong-results"),
        ("rule", "XNN901 wrong-results"),
    ]
    assert "## In a run" in told[0]["text"]


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_says_what_it_is_in_a_run(outcome):
    (page, *_) = pages(outcome.value)
    assert page.kind == "outcome"
    assert "## In a run" in page.text and "## In a report" in page.text
    assert "$" not in page.text
    assert f"- {outcome.value}: " in pages("outcomes")[0].text


def test_the_numbers_behind_the_outcomes_are_those_of_the_judge():
    assert f"more than {WRONG_ABOVE:g} of its largest element" in pages("wrong-results")[0].text


def test_lists_within_lists_are_wrapped_each_at_its_own_indent():
    page = Page("operator", "X", "operator", "- one two three\n  - four five six seven\n\n```\nas    is\n```")
    lines = [plain(line) for line in page_lines([page], 14)]
    assert lines == [
        *("X (operator)", "", "- one two", "  three", "  - four five", "    six seven"),
        *("", "```", "as    is", "```"),
    ]


# --- operators -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KNOWN)
def test_every_operator_that_the_delegate_knows_has_conditions(kind):
    assert conditions(kind)
    assert not [text for text in conditions(kind) if "t0" in text]


def test_every_operator_of_the_schema_has_a_page():
    names = operator_names()
    assert {"CONV_2D", "DENSIFY", "STABLEHLO_ADD", "MaxPoolingWithArgmax2D"} <= set(names)
    page = operator_page("RESIZE_NEAREST_NEIGHBOR")
    assert "XNNPACK takes no RESIZE_NEAREST_NEIGHBOR on any runtime" in page.text
    assert "left to TFLite; outcome: dense (XNN202, XNN401)" in page.text


def test_the_conditions_are_those_that_real_refusals_name():
    """Of the graphs that the delegate refuses, nearly every reason is on the operator's page."""
    profile, named, asked = load_profile(), 0, 0
    known = {kind: [text.rpartition(": ")[2] for text in conditions(kind)] for kind in KNOWN}
    for case in CASES:
        graph = load_bytes(case.build(), "case.tflite").main
        for index, rejection in delegate(graph, profile).rejected.items():
            operator = graph.operators[index]
            kind = operator.custom_code or operator.type
            if kind in known and rejection.condition is not Objection.OPERATOR_TYPE:
                asked += 1
                named += rejection.required in known[kind]
    assert asked >= 40
    assert named / asked > 0.85


def test_where_an_operator_is_not_taken_is_the_profiles_to_say():
    for profile in every_runtime():
        for kind in profile["undelegated_operators"]:
            first = operator_page(kind).text.splitlines()[0]
            assert first.startswith(f"XNNPACK takes {kind}, but not on ")
    assert "XNNPACK takes TANH, but not on tf-2.4." in operator_page("TANH").text
    assert "With approximate=True it does not on litert-1.1 to tf-2.4." in operator_page("GELU").text


def test_mean_is_reported_as_the_guide_tells_it():
    text = operator_page("MEAN").text
    assert (
        "- over height and width, keepdims=False:\n"
        "  - litert-2.3 to litert-2.0: the end of the sparse cluster, as Mean (ND) Reduce2; outcome: sparse\n"
    ) in text
    assert "tf-2.4: left to TFLite (keep_dims=True is asked for, and it has keep_dims=False); outcome: dense" in text


@pytest.mark.parametrize("kind", ["CONV_2D", "DEPTHWISE_CONV_2D", "RESHAPE", "PAD", "DENSIFY", "LOGISTIC", "ADD"])
def test_the_usual_examples_are_sparse_on_all_runtimes_but_the_oldest(kind):
    told = dict(fates(kind, examples_of(kind)[0]))
    assert all(fate.endswith("outcome: sparse") for runtime, fate in told.items() if runtime != "tf-2.4"), told


# --- docs/rules/ ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made() -> dict:
    return runpy.run_path(str(ROOT / "docs" / "make_rules.py"))


def test_the_committed_pages_are_up_to_date(made):
    committed = {path.name: path.read_text(encoding="utf-8") for path in made["TARGET"].iterdir()}
    assert committed == made["pages"](), "run python docs/make_rules.py"


def test_the_runtimes_of_the_rules_are_up_to_date(made):
    assert made["RUNTIMES"].read_text(encoding="utf-8") == made["runtimes_json"](), "run python docs/make_rules.py"


def test_a_page_says_all_there_is_to_say(made):
    pages = made["pages"]()
    assert {f"{rule.code}.md" for rule in every_rule()} | {"README.md"} == set(pages)
    for name, text in pages.items():
        if name == "README.md":
            assert set(re.findall(r"\]\((\w+\.md)\)", text)) == set(pages) - {"README.md"}
        else:
            assert [section for section in SECTIONS if f"\n## {section}\n" not in text] == []
    # Before LiteRT 1.1 XNNPACK ran no FULLY_CONNECTED in NCHW; the profile and the tests' models say the same.
    assert "Applies to tf-2.18 and tf-2.4; not to litert-2.3 to litert-1.1." in pages["XNN103.md"]


def test_spans_of_runtimes():
    assert listed(["tf-2.4"]) == "tf-2.4"
    assert listed(["litert-2.1", "litert-2.3"]) == "litert-2.3 and litert-2.1"
    assert listed(["litert-2.1", "litert-2.1.5", "litert-2.3", "tf-2.4"]) == "litert-2.3 to litert-2.1 and tf-2.4"


@pytest.mark.judge
def test_the_real_runtime_does_with_the_examples_what_is_reported(tmp_path):
    profile = load_profile(DEFAULT_RUNTIME, "x86-sse")
    planned = {}
    for kind in WITH_EXAMPLES:
        for number, example in enumerate(examples_of(kind)):
            path = tmp_path / f"{kind}-{number}.tflite"
            path.write_bytes(example.build(kind)[0])
            plan = make_plan(load_bytes(path.read_bytes(), str(path)), profile)
            planned[path] = (plan.outcome.value, tuple(kernel.kernel for kernel in plan.operators))
    differing = {}
    for seen in observe(list(planned), seeds=(0,)):
        if (seen.outcome, seen.kernels) != planned[Path(seen.path)]:
            differing[Path(seen.path).stem] = (seen.outcome, seen.error, *planned[Path(seen.path)])
    assert not differing, "\n".join(f"{name}: {what}" for name, what in differing.items())
    assert len(planned) > 70
