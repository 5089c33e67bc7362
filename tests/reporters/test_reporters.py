"""The exact text that a person sees and the exact document that a program gets."""

from __future__ import annotations

import io
import json
import re
from textwrap import dedent

import jsonschema
import pytest

from xnnlint.linter.findings import (
    Applicability,
    Finding,
    Fix,
    FixForecast,
    FixOutcome,
    Location,
    ModelReport,
    Severity,
    Unlock,
)
from xnnlint.model.graph import Graph, Model, Operator, Tensor
from xnnlint.reporters import catalog, json_document
from xnnlint.reporters import model_page as text
from xnnlint.reporters import styled_lines as layout
from xnnlint.reporters.formats import json_report
from xnnlint.reporters.plan_table import plan_table
from xnnlint.reporters.printer import Printer
from xnnlint.reporters.tally import ModelTally
from xnnlint.xnnpack.plan import Kernel, Outcome, Plan, Summary
from xnnlint.xnnpack.profile import load_profile

PROFILE = load_profile()


def finding(
    rule="XNN104", name="depthwise-convolution-without-nchw-kernel", severity=Severity.ERROR, **fields
) -> Finding:
    return Finding(rule, name, severity, **{"message": "it cannot run in NCHW", **fields})


def summary(convs=14, spmm=0, macs=1000, spmm_macs=0, params=800, zeros=640, partitions=1) -> Summary:
    return Summary(convs, spmm, macs, spmm_macs, params, zeros, partitions)


def report(
    outcome=Outcome.DENSE, findings=(), path="model.tflite", totals=None, operators=(), tflite_ops=(), graph=None
):
    graph = graph or Graph([], [], (), ())
    plan = Plan(
        Model(path, "tflite", [graph]),
        graph,
        PROFILE,
        outcome,
        operators=list(operators),
        kernels=[k for k in operators if "Conv" in k.kernel],
        tflite_ops=list(tflite_ops),
        summary=totals or summary(),
    )
    return ModelReport(path, "tflite", plan, list(findings))


def shown(model: ModelReport, width=80, **options) -> str:
    lines = [layout.plain(line) for line in text.model_lines(model, PROFILE, width, **options)]
    return "\n".join(lines) + "\n"


def written(expected: str) -> str:
    return dedent(expected).lstrip("\n")


# --- text: several changes ------------------------------------------------------------------------------------------


def several_changes() -> ModelReport:
    padding = [
        finding(
            message="XNNPACK has no NCHW kernel for this depthwise convolution",
            required="padding 1 on each side",
            actual="top 0, bottom 1, left 0, right 1",
            location=Location(op, f"conv_dw_{op}", "DEPTHWISE_CONV_2D"),
            unlocks=Unlock(0, 0.0, 14, True),
            fix=Fix("use ZeroPadding2D(1) and padding='valid'", Applicability.UNSAFE),
        )
        for op in (4, 10, 16)
    ]
    stored = finding(
        "XNN302",
        "zeros-stored-dense",
        message="no weight is stored sparse, so the runtime never looks at the zeros",
        unlocks=Unlock(0, 0.0, 14, True),
        fix=Fix("convert with EXPERIMENTAL_SPARSITY", Applicability.SAFE),
    )
    note = finding("XNN900", "something-to-know", Severity.NOTE, message="this is only good to know")
    return report(findings=[*padding, stored, note])


# --- text: hostile names ---------------------------------------------------------------------------------------------

HOSTILE = "\x1b]0;owned\x07\x1b[2J[red]x[/red]\u202egpj\n\r\x00\x9b1m"


def test_names_from_a_file_can_neither_steer_the_terminal_nor_act_as_markup():
    model = report(
        path=f"m{HOSTILE}.tflite",
        findings=[
            finding(
                message=f"bad {HOSTILE}",
                required=HOSTILE,
                actual=HOSTILE,
                location=Location(1, HOSTILE, "CUSTOM" + HOSTILE),
                unlocks=Unlock(1, 0.1, 1, True),
                fix=Fix(HOSTILE),
            )
        ],
        operators=[Kernel(1, HOSTILE, "CUSTOM", "Copy (NC, X32)", 0)],
    )
    for environ in ({}, {"FORCE_COLOR": "1"}):
        stream = io.StringIO()
        printer = Printer(stream, environ)
        printer.print(text.model_lines(model, PROFILE, 80, with_plan=True))
        output = stream.getvalue()
        if environ:
            # What rich itself writes are colour codes; without them nothing may be left.
            assert "\x1b[" in output
            output = re.sub(r"\x1b\[[0-9;]*m", "", output)
        assert all(c.isprintable() or c == "\n" for c in output)
        assert "[red]x[/red]" in output


def test_a_name_that_is_too_long_loses_its_middle():
    assert layout.shorten("abcdefghij", 7) == "ab...ij"
    assert layout.shorten("abcdefghij", 10) == "abcdefghij"
    assert len(layout.name("n" * 10_000)) == layout.LONGEST_NAME


def test_wide_characters_count_twice():
    assert layout.columns("conv") == 4
    assert layout.columns("畳み込み") == 8
    lines = layout.wrap(["畳み込み 畳み込み"], 12)
    assert [layout.plain(line) for line in lines] == ["畳み込み", "畳み込み"]


# --- text: the plan --------------------------------------------------------------------------------------------------


def planned() -> ModelReport:
    types = ["CONV_2D", "CONV_2D", "SQUEEZE", "MEAN"]
    graph = Graph(
        [Tensor(0, "x", "FLOAT32", (1,))],
        [Operator(i, t, (0,), (0,), name=f"layer_{i}") for i, t in enumerate(types)],
        (0,),
        (0,),
    )
    operators = [
        Kernel(0, "layer_0", "CONV_2D", "Convolution (NCHW, F32) Conv2D HWC2CHW", 0, nchw=True),
        Kernel(
            1, "a_name_of_a_layer_that_is_too_long_for_80_columns", "CONV_2D", "Convolution (NCHW, F32) SPMM", 0, True
        ),
        Kernel(3, "layer_3", "MEAN", "Mean (ND) Reduce2", 1),
    ]
    return report(Outcome.SPARSE, operators=operators, tflite_ops=[2], graph=graph, totals=summary(1, 1, 9, 9, 100, 80))


def plan_at(width: int | None) -> str:
    return "\n".join(layout.plain(line) for line in plan_table(planned().plan, width)) + "\n"


def test_the_plan_lists_every_operator_and_marks_spmm():
    assert plan_at(80) == written(
        """
          op part kernel                                 name
           0 0    Convolution (NCHW, F32) Conv2D HWC2CHW layer_0
        *  1 0    Convolution (NCHW, F32) SPMM           a_name_of_a_la...for_80_columns
           2 -    (TFLite)                               layer_2
           3 1    Mean (ND) Reduce2                      layer_3

        * runs SpMM; part: delegate partition, - for an operator that TFLite runs itself
        """
    )
    assert "layout" in plan_at(120).splitlines()[0]
    assert max(map(len, plan_at(70).splitlines()[:5])) <= 70


def test_the_plan_shortens_no_name_without_a_width():
    assert "a_name_of_a_layer_that_is_too_long_for_80_columns" in plan_at(None)
    assert "layout" in plan_at(None)


# --- text: the summary -----------------------------------------------------------------------------------------------


def tally(*models: ModelReport) -> str:
    counts = ModelTally()
    for model in models:
        counts.add(model)
    return counts.text(1)


def test_the_summary_of_one_model_and_of_several():
    unreadable = ModelReport("x.tflite", error="x.tflite: the file is empty")
    warned = report(findings=[finding(severity=Severity.WARNING), finding("XNN200"), finding("XNN201")])
    assert tally(report()) == "No findings. Exit code 1."
    warned.fixes = FixForecast(2, 1)
    assert tally(warned) == "2 errors, 1 warning, 2 fixable (1 more with --unsafe-fixes). Exit code 1."
    assert tally(report(Outcome.SPARSE), warned, report(Outcome.FAILS), unreadable) == (
        "4 models: 1 sparse, 1 dense, 1 fails, 1 unreadable. "
        "2 errors, 1 warning, 2 fixable (1 more with --unsafe-fixes). Exit code 1."
    )


# --- colour and width ------------------------------------------------------------------------------------------------


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environ", "coloured"),
    [
        (Screen(), {}, True),
        (Screen(), {"TERM": "dumb"}, False),
        (Screen(), {"NO_COLOR": "1"}, False),
        (Screen(), {"NO_COLOR": ""}, True),
        (io.StringIO(), {}, False),
        (io.StringIO(), {"FORCE_COLOR": "1"}, True),
        (io.StringIO(), {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_colour_only_where_it_is_wanted(stream, environ, coloured):
    Printer(stream, environ).print([[layout.Span("sparse", layout.GOOD)]])
    assert ("\x1b[" in stream.getvalue()) is coloured
    assert "sparse" in stream.getvalue()


def test_the_words_are_the_same_with_colour_and_without():
    outputs = []
    for environ in ({}, {"FORCE_COLOR": "1"}):
        stream = io.StringIO()
        Printer(stream, environ).print(text.model_lines(several_changes(), PROFILE, 80))
        outputs.append(re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue()))
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize(("environ", "width"), [({}, 80), ({"COLUMNS": "132"}, 132), ({"COLUMNS": "no"}, 80)])
def test_the_width_of_a_pipe(environ, width):
    assert Printer(io.StringIO(), environ).width == width


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_no_line_is_wider_than_the_screen_if_its_words_are_not(width):
    for line in shown(several_changes(), width).splitlines():
        assert len(line) <= width or " " not in line.strip()


# --- JSON ------------------------------------------------------------------------------------------------------------


def valid(document: dict) -> dict:
    jsonschema.Draft202012Validator(json_document.published_schema("report")).validate(document)
    return json.loads(json_document.dumps(document))


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(json_document.published_schema("report"))
    assert json_document.published_schema("report")["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_the_document_follows_the_contract():
    unlocked = finding(
        required="padding 1",
        actual="padding 0",
        location=Location(4, "conv_dw_4", "DEPTHWISE_CONV_2D"),
        unlocks=Unlock(3, 0.25, 14, True),
        fix=Fix("pad", Applicability.UNSAFE),
    )
    kernels = [Kernel(1, "conv", "CONV_2D", "Convolution (NCHW, F32) SPMM", 0, True)]
    models = [
        report(Outcome.WRONG_RESULTS, [unlocked, finding()], "./a/../m.tflite", operators=kernels),
        ModelReport("gone.tflite", error="gone.tflite: no such file or directory"),
    ]
    models[0].fixes = FixForecast(3, 1, FixOutcome(5, Outcome.SPARSE, 4, 4))
    document = valid(json_report.document(PROFILE, models))
    assert list(document) == ["schema_version", "tool", "profile", "models"]
    assert document["schema_version"] == 1
    assert document["tool"]["name"] == "xnnlint"
    assert document["profile"]["runtime"] == "litert-2.3"
    assert document["profile"]["facts"]["sparse_inference"] is True
    first, second = document["models"]
    names = [told.pop("fingerprint") for told in first["findings"]]
    assert len(set(names)) == 2
    assert all(re.fullmatch("[0-9a-f]{16}", name) for name in names)
    assert first.pop("suppressed") == {"ignored": 0, "baseline": 0}
    assert first.pop("fixes") == {
        "safe": 3,
        "unsafe": 1,
        "brought": {"changes": 5, "outcome": "sparse", "spmm": 4, "convolutions": 4},
        "declined": None,
        "converted": None,
        "converted_if_slower": None,
        "converted_untried": 0,
    }
    assert first == {
        "path": "./a/../m.tflite",
        "format": "tflite",
        "exporter": "unknown",
        "outcome": "wrong-results",
        "subgraphs": [],
        "kernels": [
            {
                "op": 1,
                "name": "conv",
                "type": "CONV_2D",
                "kernel": "Convolution (NCHW, F32) SPMM",
                "predicted_us": None,
            }
        ],
        "predicted_us": None,
        "gain": None,
        "gain_if_fixed": None,
        "if_pruned": [],
        "at_schedule_end": None,
        "pruned_weights": None,
        "summary": {
            "pointwise_convs": 14,
            "spmm": 0,
            "pointwise_macs": 1000,
            "spmm_macs": 0,
            "pointwise_params": 800,
            "pointwise_zeros": 640,
            "partitions": 1,
        },
        "findings": [
            {
                "rule": "XNN104",
                "name": "depthwise-convolution-without-nchw-kernel",
                "severity": "error",
                "message": "it cannot run in NCHW",
                "required": "padding 1",
                "actual": "padding 0",
                "location": {"op": 4, "name": "conv_dw_4"},
                "unlocks": {
                    "alone": 3,
                    "alone_macs": 0.25,
                    "with_others": 14,
                    "in_smallest_set": True,
                    "all_or_none": False,
                },
                "fix": {"title": "pad", "applicability": "unsafe"},
            },
            {
                "rule": "XNN104",
                "name": "depthwise-convolution-without-nchw-kernel",
                "severity": "error",
                "message": "it cannot run in NCHW",
                "required": "",
                "actual": "",
                "location": {"op": None, "name": ""},
                "unlocks": None,
                "fix": None,
            },
        ],
        "error": None,
    }
    assert second == {
        "path": "gone.tflite",
        "format": None,
        "exporter": None,
        "outcome": None,
        "kernels": [],
        "subgraphs": [],
        "summary": None,
        "predicted_us": None,
        "gain": None,
        "gain_if_fixed": None,
        "if_pruned": [],
        "at_schedule_end": None,
        "pruned_weights": None,
        "findings": [],
        "fixes": None,
        "suppressed": {"ignored": 0, "baseline": 0},
        "error": "gone.tflite: no such file or directory",
    }


@pytest.mark.parametrize("outcome", [*Outcome, None])
def test_every_outcome_is_in_the_schema(outcome):
    model = report()
    model.plan.outcome = outcome
    assert valid(json_report.document(PROFILE, [model]))["models"][0]["outcome"] == (outcome and outcome.value)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d.update(extra=1),
        lambda d: d.pop("tool"),
        lambda d: d["models"][0].update(extra=1),
        lambda d: d["models"][0].update(outcome="fast"),
        lambda d: d["models"][0].update(summary=None),
        lambda d: d["models"][0].update(error="sparse, yet an error"),
        lambda d: d["models"][0]["summary"].pop("spmm"),
        lambda d: d["models"][0]["findings"][0].update(severity="fatal"),
        lambda d: d["models"][0]["findings"][0]["location"].update(type="CONV_2D"),
        lambda d: d["models"][0]["findings"][0].update(unlocks={"alone": -1}),
    ],
)
def test_the_schema_is_strict(spoil):
    document = json_report.document(PROFILE, [report(findings=[finding()])])
    valid(document)
    spoil(document)
    with pytest.raises(jsonschema.ValidationError):
        valid(document)


def test_any_name_makes_json_that_ascii_can_carry():
    odd = report(path="caf\udce9\u202e.tflite", findings=[finding(location=Location(1, HOSTILE, "ADD"))])
    printed = json_document.dumps(json_report.document(PROFILE, [odd]))
    assert printed.isascii()
    assert json.loads(printed)["models"][0]["findings"][0]["location"]["name"] == HOSTILE


# --- the catalogue ---------------------------------------------------------------------------------------------------


def test_the_profiles_are_listed_with_every_fact_and_its_source():
    lines = [*catalog.profile_facts_lines("litert-2.3", 10_000), *catalog.profile_facts_lines("arm64", 10_000)]
    listed = "\n".join(layout.plain(line) for line in lines)
    for fact_name, fact in PROFILE.facts.items():
        assert f"{fact_name} = " in listed
        assert fact.source in listed
    of_avx = "\n".join(layout.plain(line) for line in catalog.profile_facts_lines("x86-avx", 10_000))
    assert "sparse_inference = no  (seen in a run)" in of_avx
    short = [layout.plain(line) for line in catalog.profile_list_lines(80)]
    assert len(short) <= 24 and max(map(len, short)) <= 80
    data = catalog.profile_data()
    assert {entry["name"] for entry in data["cpus"]} >= {"arm64", "x86-avx"}
    of_arm64 = next(entry for entry in data["cpus"] if entry["name"] == "arm64")
    of_default = next(entry for entry in data["runtimes"] if entry["name"] == data["default"]["runtime"])
    named = [fact["name"] for fact in of_arm64["facts"] + of_default["facts"]]
    assert sorted(named) == sorted(PROFILE.facts)
