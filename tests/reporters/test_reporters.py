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
from xnnlint.reporters import styled_lines as layout
from xnnlint.reporters.formats import json_report
from xnnlint.reporters.formats import text_report as text
from xnnlint.reporters.plan_table import plan_table
from xnnlint.reporters.printer import Printer
from xnnlint.reporters.tally import ModelTally
from xnnlint.xnnpack.fault import Fault, Wrong
from xnnlint.xnnpack.plan import Hazard, Kernel, Outcome, Plan, Summary
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


# --- text: the verdict -----------------------------------------------------------------------------------------------


POSE = report(Outcome.SPARSE, path="pose_detection.tflite", totals=summary(45, 38, 1000, 970, params=1000, zeros=816))


def test_the_verdict_for_a_pipe_is_one_line():
    assert shown(POSE, for_pipe=True) == (
        "pose_detection.tflite: sparse: 38 of 45 1x1 convolutions run SpMM, 97% of their MACs  (litert-2.3 on arm64)\n"
        "  Results are right. Zeros in 1x1 weights: 82%.\n"
    )


def test_the_verdict_on_a_screen_breaks_between_its_parts():
    assert shown(POSE) == written(
        """
        pose_detection.tflite: sparse
          38 of 45 1x1 convolutions run SpMM, 97% of their MACs  (litert-2.3 on arm64)
          Results are right. Zeros in 1x1 weights: 82%.
        """
    )
    assert shown(POSE, width=120).splitlines()[0] == (
        "pose_detection.tflite: sparse: 38 of 45 1x1 convolutions run SpMM, 97% of their MACs  (litert-2.3 on arm64)"
    )


def broken(outcome: Outcome) -> ModelReport:
    graph = Graph([Tensor(0, "x", "FLOAT32", (1,))], [Operator(0, "MAX_POOL_2D", (0,), (0,), name="pool")], (0,), (0,))
    wrong = finding(
        "XNN901",
        "wrong-results",
        message="the outputs are wrong from here on",
        location=Location(0, "pool", "MAX_POOL_2D"),
        fix=Fix("convert without EXPERIMENTAL_SPARSITY", Applicability.SAFE),
    )
    blocker = finding(unlocks=Unlock(3, 1.0, 3, True), location=Location(0, "pool", "MAX_POOL_2D"))
    model = report(outcome, [wrong, blocker], totals=summary(3, 2, 100, 60), graph=graph)
    model.plan.hazards.append(Hazard(0, Fault(Wrong.READS_WRONG_ORDER), outcome))
    return model


def test_wrong_results_are_said_plainly_and_first():
    assert shown(broken(Outcome.WRONG_RESULTS)).split("\n\n")[0] + "\n" == written(
        """
        model.tflite: wrong-results: outputs will be wrong; no error is reported
          (litert-2.3 on arm64)
          The sparse path breaks at pool (MAX_POOL_2D #0): it reads NCHW data as if it
          were NHWC.
          To be right, at pool (MAX_POOL_2D #0): convert without EXPERIMENTAL_SPARSITY.
          To run sparse and right: one change, XNN104 at pool (MAX_POOL_2D #0); it
          unlocks 3 of 3 1x1 convolutions.
        """
    )


def test_a_model_that_fails():
    assert shown(broken(Outcome.FAILS)).startswith(
        "model.tflite: fails: the runtime refuses the model or crashes\n  (litert-2.3 on arm64)\n"
        "  The sparse path breaks at pool (MAX_POOL_2D #0)"
    )
    assert shown(report(Outcome.FAILS)).startswith("model.tflite: fails: ")


def test_a_model_without_1x1_convolutions():
    model = report(totals=summary(0, params=0, zeros=0, macs=0))
    assert "dense: it has no 1x1 convolution that could run SpMM" in shown(model)
    assert "0%" not in shown(model)


def test_a_dense_model_says_so_where_nothing_helps():
    assert "No set of changes that xnnlint knows would make it run sparse." in shown(report())
    helpful = finding(unlocks=Unlock(2, 0.1, 0, False), location=Location(4, "dw", "DEPTHWISE_CONV_2D"))
    said = " ".join(shown(report(findings=[helpful])).split())
    assert "To run sparse: one change, XNN104 at dw (DEPTHWISE_CONV_2D #4); it unlocks 2 of 14 1x1" in said


def test_what_a_sparse_model_could_still_win_is_counted_as_more():
    more = finding(severity=Severity.WARNING, unlocks=Unlock(2, 0.1, 2, True), location=Location(4, "dw", "ADD"))
    said = shown(report(Outcome.SPARSE, [more], totals=summary(14, 10, 100, 60)))
    assert "To run more of it sparse: one change, XNN104 at dw (ADD #4); it unlocks 2 more\n  of 14 1x1" in said


def test_an_outcome_that_is_not_known():
    model = report()
    model.plan.outcome = None
    assert shown(model).startswith("model.tflite: unknown: ")


@pytest.mark.parametrize(
    ("part", "whole", "said"),
    [(0, 0, "0%"), (0, 9, "0%"), (1, 1000, "<1%"), (999, 1000, ">99%"), (9, 9, "100%"), (2, 3, "67%")],
)
def test_a_percentage_never_rounds_to_nothing_or_to_everything(part, whole, said):
    assert text.percent(part, whole) == said


# --- text: findings --------------------------------------------------------------------------------------------------


def test_a_single_change_is_reported_in_the_verdict():
    zeros = finding(
        "XNN301",
        "zeros-at-or-below-two-thirds",
        message="the zeros of this cluster are too few for the sparse path",
        required="more than 2/3 of the cluster's weights are zero",
        actual="50% (384 of 768)",
        location=Location(12, "conv_pw_3", "CONV_2D"),
        unlocks=Unlock(14, 1.0, 14, True),
        fix=Fix("prune to at least 70% and train again", Applicability.UNSAFE),
    )
    assert shown(report(findings=[zeros])) == written(
        """
        model.tflite: dense: 0 of 14 1x1 convolutions run SpMM  (litert-2.3 on arm64)
          Results are right. Speed is that of a dense model. Zeros in 1x1 weights: 80%.
          To run sparse: one change, XNN301 at conv_pw_3 (CONV_2D #12); it unlocks 14 of
          14 1x1 convolutions.

        XNN301 error  zeros-at-or-below-two-thirds  conv_pw_3 (CONV_2D #12)
          the zeros of this cluster are too few for the sparse path
          required  more than 2/3 of the cluster's weights are zero
          actual    50% (384 of 768)
          unlocks   14 of 14 1x1 convolutions (100% of their MACs) alone
          fix       prune to at least 70% and train again (unsafe: other outputs, train
                    again)
        """
    )


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


def test_findings_alike_are_one_with_every_place_named():
    assert shown(several_changes()) == written(
        """
        model.tflite: dense: 0 of 14 1x1 convolutions run SpMM  (litert-2.3 on arm64)
          Results are right. Speed is that of a dense model. Zeros in 1x1 weights: 80%.
          To run sparse: 4 changes together, for XNN104 and XNN302; they unlock 14 of 14
          1x1 convolutions.

        XNN104 error  depthwise-convolution-without-nchw-kernel  3 DEPTHWISE_CONV_2D
          XNNPACK has no NCHW kernel for this depthwise convolution
          required  padding 1 on each side
          actual    top 0, bottom 1, left 0, right 1
          unlocks   14 of 14 1x1 convolutions together with 3 others, none alone
          fix       use ZeroPadding2D(1) and padding='valid' (unsafe: other outputs,
                    train again)
          at        conv_dw_4 (#4), conv_dw_10 (#10), conv_dw_16 (#16)

        XNN302 error  zeros-stored-dense
          no weight is stored sparse, so the runtime never looks at the zeros
          unlocks   14 of 14 1x1 convolutions together with 3 others, none alone
          fix       convert with EXPERIMENTAL_SPARSITY (safe: same outputs)

        XNN900 note  something-to-know
          this is only good to know

        Smallest set of changes that makes it sparse, all of them needed:
          XNN104  3 DEPTHWISE_CONV_2D: use ZeroPadding2D(1) and padding='valid'
          XNN302  convert with EXPERIMENTAL_SPARSITY
        """
    )


def test_a_change_that_helps_alone_and_more_with_others():
    one = finding(unlocks=Unlock(3, 0.25, 14, True), location=Location(1, "a", "ADD"))
    two = finding("XNN105", "other", unlocks=Unlock(0, 0.0, 14, True), location=Location(2, "b", "ADD"))
    lone = finding("XNN106", "third", unlocks=Unlock(0, 0.0, 0, False), location=Location(3, "c", "ADD"))
    said = shown(report(findings=[one, two, lone]))
    assert (
        "unlocks   3 of 14 1x1 convolutions (25% of their MACs) alone; 14 together with\n            1 other\n" in said
    )
    assert "unlocks   14 of 14 1x1 convolutions together with 1 other, none alone\n" in said
    assert "unlocks   nothing by itself\n" in said


def test_findings_that_differ_in_what_they_ask_stay_apart():
    near = [finding(required="stride 1"), finding(required="stride 2"), finding("XNN105", required="stride 1")]
    near += [finding(required="stride 1", severity=Severity.NOTE), finding(required="stride 1", message="else")]
    near += [finding(required="stride 1", unlocks=Unlock(1, 0.1, 0, False))]
    near += [finding(required="stride 1", location=Location(1, "pool", "MAX_POOL_2D"))]
    assert len(text.group(near)) == 7


def test_what_only_one_place_has_is_reported_with_it():
    few = [
        finding(
            "XNN301",
            "zeros-at-or-below-two-thirds",
            message=f"too few zeros; {name} has the fewest",
            required="more than 66.7% zeros",
            actual=f"{share}%",
            location=Location(op, name, "CONV_2D"),
            fix=Fix("prune it further"),
        )
        for op, name, share in ((3, "conv", 48), (7, "conv_1", 55))
    ]
    assert shown(report(findings=few)).split("\n\n")[1] == written(
        """
        XNN301 error  zeros-at-or-below-two-thirds  2 CONV_2D
          too few zeros; this one has the fewest
          required  more than 66.7% zeros
          fix       prune it further
          at        conv (#3): 48%
                    conv_1 (#7): 55%
        """
    )


def test_a_message_with_the_places_own_name_does_not_keep_findings_apart():
    alike = [finding(message=f"{n} cannot run", location=Location(i, n, "ADD")) for i, n in enumerate(["a1", "b2"])]
    assert [len(g) for g in text.group(alike)] == [2]


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


def test_the_plan_lists_every_operator_and_marks_spmm():
    assert shown(planned(), with_plan=True) == written(
        """
        model.tflite: sparse: 1 of 1 1x1 convolution runs SpMM, 100% of their MACs
          (litert-2.3 on arm64)
          Results are right. Zeros in 1x1 weights: 80%.

          op part layout kernel                                 type    name
           0 0    NCHW   Convolution (NCHW, F32) Conv2D HWC2CHW CONV_2D layer_0
        *  1 0    NCHW   Convolution (NCHW, F32) SPMM           CONV_2D a_name...columns
           2 -    -      (TFLite)                               SQUEEZE layer_2
           3 1    NHWC   Mean (ND) Reduce2                      MEAN    layer_3

        * runs SpMM; part: delegate partition, - for an operator that TFLite runs itself
        """
    )


def test_the_plan_shortens_no_name_without_a_width():
    table = "\n".join(layout.plain(line) for line in plan_table(planned().plan, None))
    assert "a_name_of_a_layer_that_is_too_long_for_80_columns" in table


# --- text: the summary -----------------------------------------------------------------------------------------------


def tally(*models: ModelReport) -> str:
    counts = ModelTally()
    for model in models:
        counts.add(model)
    return counts.text()


def test_the_summary_of_one_model_and_of_several():
    unreadable = ModelReport("x.tflite", error="x.tflite: the file is empty")
    warned = report(findings=[finding(severity=Severity.WARNING), finding("XNN200"), finding("XNN201")])
    assert tally(report()) == "dense: no findings."
    assert tally(warned) == "dense: 2 errors, 1 warning. More on a finding: xnnlint explain XNN104"
    assert tally(report(Outcome.SPARSE), warned, report(Outcome.FAILS), unreadable) == (
        "4 models: 1 sparse, 1 dense, 1 fails, 1 unreadable; 2 errors, 1 warning. "
        "More on a finding: xnnlint explain XNN104"
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
    }
    assert first == {
        "path": "./a/../m.tflite",
        "format": "tflite",
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
        "outcome": None,
        "kernels": [],
        "subgraphs": [],
        "summary": None,
        "predicted_us": None,
        "gain": None,
        "gain_if_fixed": None,
        "if_pruned": [],
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
    listed = "\n".join(layout.plain(line) for line in catalog.profile_lines(10_000))
    for fact_name, fact in PROFILE.facts.items():
        assert f"{fact_name} = " in listed
        assert fact.source in listed
    assert "sparse_inference = no  (seen in a run)" in listed.split("x86-avx")[1].split("x86-sse")[0]
    data = catalog.profile_data()
    assert {entry["name"] for entry in data["cpus"]} >= {"arm64", "x86-avx"}
    of_arm64 = next(entry for entry in data["cpus"] if entry["name"] == "arm64")
    of_default = next(entry for entry in data["runtimes"] if entry["name"] == data["default"]["runtime"])
    named = [fact["name"] for fact in of_arm64["facts"] + of_default["facts"]]
    assert sorted(named) == sorted(PROFILE.facts)
