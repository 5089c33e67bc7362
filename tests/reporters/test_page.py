"""The page on one model, and the table of several: the exact text that a person sees."""

from __future__ import annotations

import pytest

from tests.reporters.test_reporters import PROFILE, finding, report, several_changes, shown, summary, written
from xnnlint.linter.findings import (
    Applicability,
    Fix,
    FixForecast,
    FixOutcome,
    Location,
    ModelReport,
    Severity,
    Unlock,
)
from xnnlint.model.graph import Graph, Operator, Tensor
from xnnlint.reporters import next_steps
from xnnlint.reporters import styled_lines as layout
from xnnlint.reporters.causes import causes
from xnnlint.reporters.check_report import ModelJudgement, ReportSetting
from xnnlint.reporters.finding_words import percent
from xnnlint.reporters.formats.text_report import TextReport
from xnnlint.reporters.model_page import model_lines
from xnnlint.reporters.model_record import record_of
from xnnlint.reporters.model_row import Checked, row_of
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.fault import Fault, Wrong
from xnnlint.xnnpack.plan import Hazard, Outcome

POSE = report(Outcome.SPARSE, path="pose_detection.tflite", totals=summary(45, 38, 1000, 970, params=1000, zeros=816))


# --- the verdict -----------------------------------------------------------------------------------------------------


def test_the_verdict_for_a_pipe_is_one_line():
    assert shown(POSE, for_pipe=True).splitlines()[:3] == [
        "pose_detection.tflite: sparse: 38 of 45 1x1 convolutions run SpMM, 97% of their MACs  (litert-2.3 on arm64)",
        "  Outputs are correct.",
        "  Zeros in 1x1 weights: 82%.",
    ]


def test_the_verdict_on_a_screen_breaks_between_its_parts():
    assert shown(POSE) == written(
        """
        pose_detection.tflite: sparse
          38 of 45 1x1 convolutions run SpMM, 97% of their MACs
          Outputs are correct.
          Zeros in 1x1 weights: 82%.  For litert-2.3 on arm64.

        Next:
          xnnlint verify pose_detection.tflite  runs it in LiteRT, and compares
          xnnlint bench pose_detection.tflite  times it, sparse and dense
        """
    )
    assert shown(POSE, width=120).splitlines()[0] == (
        "pose_detection.tflite: sparse: 38 of 45 1x1 convolutions run SpMM, 97% of their MACs"
    )


def broken(outcome: Outcome) -> ModelReport:
    graph = Graph([Tensor(0, "x", "FLOAT32", (1,))], [Operator(0, "MAX_POOL_2D", (0,), (0,), name="pool")], (0,), (0,))
    wrong = finding(
        "XNN901",
        "wrong-results",
        message="the outputs are wrong from here on",
        location=Location(0, "pool", "MAX_POOL_2D"),
        fix=Fix("convert without EXPERIMENTAL_SPARSITY", Applicability.SAFE),
        condition=Condition.RIGHT_RESULTS,
    )
    blocker = finding(unlocks=Unlock(3, 1.0, 3, True), location=Location(0, "pool", "MAX_POOL_2D"))
    model = report(outcome, [wrong, blocker], totals=summary(3, 2, 100, 60), graph=graph)
    model.plan.hazards.append(Hazard(0, Fault(Wrong.READS_WRONG_ORDER), outcome))
    return model


def test_wrong_results_are_said_plainly_and_first():
    assert shown(broken(Outcome.WRONG_RESULTS)) == written(
        """
        model.tflite: wrong-results: outputs will be wrong; no error is reported
          Zeros in 1x1 weights: 80% (enough).  For litert-2.3 on arm64.

        Why: 2 blockers. Make one of these changes, that of XNN104, and 3 of 3 1x1
          convolutions run sparse and outputs are correct.
          XNN901     pool (MAX_POOL_2D #0)
                 the outputs are wrong from here on. Keras: convert without
                 EXPERIMENTAL_SPARSITY (same outputs)
          XNN104     pool (MAX_POOL_2D #0)
                 it cannot run in NCHW

        Next:
          xnnlint explain XNN901  what it means, with an example
        """
    )


def test_where_it_breaks_is_in_the_verdict_only_if_no_finding_says_so():
    model = broken(Outcome.FAILS)
    assert shown(model).startswith("model.tflite: fails: the runtime refuses the model or crashes\n  Zeros ")
    model.ignored, model.findings = model.findings, []
    assert "  The sparse path breaks at pool (MAX_POOL_2D #0): it reads NCHW data" in shown(model)
    assert shown(report(Outcome.FAILS)).startswith("model.tflite: fails: ")


def test_a_model_without_1x1_convolutions():
    model = report(totals=summary(0, params=0, zeros=0, macs=0))
    assert "dense: it has no 1x1 convolution that could run SpMM" in shown(model)
    assert "0%" not in shown(model)


def test_a_dense_model_says_so_where_nothing_helps():
    assert "xnnlint knows no set of changes that makes it run sparse." in shown(report())
    helpful = finding(unlocks=Unlock(2, 0.1, 0, False), location=Location(4, "dw", "DEPTHWISE_CONV_2D"))
    said = shown(report(findings=[helpful]))
    assert "by itself: 2 of 14 1x1 convolutions run sparse (10% of their MACs)" in said
    assert "no set of changes" not in said


def test_what_a_sparse_model_could_still_win_is_counted_as_more():
    more = finding(severity=Severity.WARNING, unlocks=Unlock(2, 0.1, 2, True), location=Location(4, "dw", "ADD"))
    said = shown(report(Outcome.SPARSE, [more], totals=summary(14, 10, 100, 60)))
    assert "Also: 1 finding. Make this change and 2 more of 14 1x1 convolutions run sparse.\n" in said


def test_an_outcome_that_is_not_known():
    model = report()
    model.plan.outcome = None
    assert shown(model).startswith("model.tflite: unknown: ")


@pytest.mark.parametrize(
    ("part", "whole", "said"),
    [(0, 0, "0%"), (0, 9, "0%"), (1, 1000, "<1%"), (999, 1000, ">99%"), (9, 9, "100%"), (2, 3, "67%")],
)
def test_a_percentage_never_rounds_to_nothing_or_to_everything(part, whole, said):
    assert percent(part, whole) == said


def test_a_dense_model_is_yellow_where_it_fails_and_bold_where_it_passes():
    for failed, style in ((True, layout.CAUTION), (False, layout.STRONG)):
        (line, *_) = model_lines(report(), PROFILE, 80, failed=failed)
        assert layout.Span("dense", style) in [layout.Span(span.text, span.style) for span in line]
    (line, *_) = model_lines(report(Outcome.WRONG_RESULTS), PROFILE, 80, failed=True)
    assert ("wrong-results", layout.BAD) in [(span.text, span.style) for span in line]


# --- why -------------------------------------------------------------------------------------------------------------


def test_findings_alike_are_one_cause_with_its_places():
    assert shown(several_changes()) == written(
        """
        model.tflite: dense: 0 of 14 1x1 convolutions run SpMM
          Outputs are correct, but there is no speed-up.
          Zeros in 1x1 weights: 80% (enough).  For litert-2.3 on arm64.

        Why: 4 blockers. Make these 4 changes and 14 of 14 1x1 convolutions run sparse.
          All are needed.
          XNN104     conv_dw_4, conv_dw_10, conv_dw_16 (3 DEPTHWISE_CONV_2D)
                 needs padding 1 on each side; has top 0, bottom 1, left 0, right 1
                 Keras: use ZeroPadding2D(1) and padding='valid'
          XNN302     no weight is stored sparse, so the runtime never looks at the zeros
                 Keras: convert with EXPERIMENTAL_SPARSITY (same outputs)
          XNN900     note: this is only good to know
          Changes in Keras need training again, but for those with (same outputs).

        Next:
          xnnlint explain XNN104  what it means, with an example
        """
    )


def fixable(brought: FixOutcome | None = None, declined: FixOutcome | None = None, unsafe: int = 0) -> ModelReport:
    made = finding(
        location=Location(1, "a", "ADD"), repair=Fix("write it as two", Applicability.SAFE), fix=Fix("write it as two")
    )
    other = finding(
        "XNN105", location=Location(2, "b", "ADD"), repair=Fix("use another", Applicability.UNSAFE) if unsafe else None
    )
    model = report(findings=[made, other])
    model.fixes = FixForecast(1, unsafe, brought, declined)
    return model


def test_what_fix_does_is_marked_and_said_once():
    page = shown(fixable(unsafe=1))
    assert "  XNN104 [*] a (ADD #1)\n" in page
    assert "  XNN105 [!] b (ADD #2)\n" in page
    assert page.endswith(
        "Next:\n"
        "  xnnlint fix model.tflite -o fixed.tflite\n"
        "      [*] rewrites 1 of 2 findings: same outputs, no retraining; 1 more with\n"
        "      --unsafe-fixes ([!]: other outputs, train again); check --fixes tries it\n"
        "  xnnlint explain XNN104  what it means, with an example\n"
    )


def test_what_was_tried_says_what_comes_of_it():
    page = shown(fixable(FixOutcome(5, Outcome.SPARSE, 4, 4)))
    assert "      [*] sparse, 4 of 4: same outputs, no retraining\n" in page
    assert "--fixes" not in page
    page = shown(fixable(FixOutcome(1, Outcome.DENSE, 0, 4), FixOutcome(5, Outcome.SPARSE, 4, 4)))
    assert "      [*] rewrites 1 of 2 findings: same outputs, no retraining; dense all the\n      same\n" in page
    assert "-o fixed.tflite --even-if-slower\n      [*] sparse, 4 of 4; slower, as predicted\n" in page


def test_unsafe_fixes_alone_are_named_as_such():
    model = fixable(FixOutcome(0, Outcome.DENSE, 0, 4), unsafe=1)
    assert "--unsafe-fixes\n      [!] rewrites 1 of 2 findings: other outputs, train again\n" in shown(model)


def test_a_change_that_helps_alone_and_more_with_others():
    one = finding(unlocks=Unlock(3, 0.25, 14, True), location=Location(1, "a", "ADD"))
    two = finding("XNN105", "other", unlocks=Unlock(0, 0.0, 14, True), location=Location(2, "b", "ADD"))
    lone = finding("XNN106", "third", unlocks=Unlock(0, 0.0, 0, False), location=Location(3, "c", "ADD"))
    model = report(findings=[one, two, lone])
    assert "by itself: 3 of 14 1x1 convolutions run sparse (25% of their MACs)" in shown(model)
    full = " ".join(shown(model, verbose=True).split())
    assert "unlocks 3 1x1 convolutions (25% of their MACs) by itself; 14 1x1 convolutions with 1 other change" in full
    assert "unlocks 14 1x1 convolutions with 1 other change, none by itself" in full
    assert "unlocks nothing by itself" in full


def test_findings_that_differ_in_what_they_ask_stay_apart():
    near = [finding(required=f"stride {n}", actual="stride 3") for n in (1, 2)]
    near += [finding("XNN105"), finding(severity=Severity.NOTE), finding(message="else")]
    near += [finding(unlocks=Unlock(1, 0.1, 0, False)), finding(repair=Fix("x", Applicability.SAFE))]
    near += [finding(fix=Fix(f"use {n}"), location=Location(n, str(n), kind)) for n, kind in enumerate(("ADD", "MUL"))]
    assert [len(cause.findings) for cause in causes(near)] == [1] * 9


def test_operators_of_two_types_are_one_cause_where_the_same_is_to_be_done():
    both = [finding(fix=Fix("use it"), location=Location(n, f"at_{n}", kind)) for n, kind in enumerate(("ADD", "MUL"))]
    (cause,) = causes(both)
    assert len(cause.findings) == 2
    assert "  XNN104     at_0, at_1 (1 ADD, 1 MUL)\n" in shown(report(findings=both))


def test_what_only_one_place_has_is_that_of_the_first():
    few = [
        finding(
            "XNN301",
            message=f"too few zeros; {name} has the fewest",
            required="more than 66.7% zeros",
            actual=f"{share}%",
            location=Location(op, name, "CONV_2D"),
            fix=Fix("prune it further"),
            condition=Condition.ENOUGH_ZEROS,
        )
        for op, name, share in ((3, "conv", 48), (7, "conv_1", 55))
    ]
    page = shown(report(findings=few))
    assert "         needs more than 66.7% zeros; has 48% (the first)\n         Training: prune it further\n" in page
    assert "has" in shown(report(findings=few), verbose=True) and "55%" in shown(report(findings=few), verbose=True)


def test_a_message_with_the_places_own_name_does_not_keep_findings_apart():
    alike = [finding(message=f"{n} cannot run", location=Location(i, n, "ADD")) for i, n in enumerate(["a1", "b2"])]
    assert [len(cause.findings) for cause in causes(alike)] == [2]


def test_a_page_is_no_longer_than_a_screen():
    many = [
        finding(f"XNN{n}", message=f"message {n} " + "word " * 20, location=Location(n, f"layer_{n}", "ADD"))
        for n in range(100, 140)
    ]
    page = shown(report(findings=many))
    assert len(page.splitlines()) <= 35
    assert "more findings, of XNN1" in page
    assert "XNN139" in shown(report(findings=many), verbose=True)


@pytest.mark.parametrize("width", [60, 80])
def test_long_lists_of_long_names_take_one_line(width):
    name = "model/" + "very_long_layer_name/" * 5
    alike = [finding(location=Location(n, f"{name}{n}", "CONV_2D")) for n in range(30)]
    lines = shown(report(findings=alike), width).splitlines()
    (where,) = [line for line in lines if line.startswith("  XNN104")]
    assert where.endswith(" more (30 CONV_2D)") and len(where) <= width
    one = shown(report(findings=alike[:1]), width).splitlines()
    assert max(len(line) for line in one) <= width
    assert f"{name}0" in shown(report(findings=alike), width, for_pipe=True)


# --- several models --------------------------------------------------------------------------------------------------


def table(models: list[ModelReport], width: int = 80, *, for_pipe: bool = False) -> list[str]:
    names = tuple(model.path for model in models)
    text = TextReport(ReportSetting(PROFILE, width=width, for_pipe=for_pipe, names=names))
    lines = []
    for model in models:
        if text.takes_rows:
            record = record_of(model, PROFILE, exit_code=int(ModelJudgement().fails(model)))
            lines += text.add_row(Checked(row_of(record)))
        else:
            lines += text.add(model, ModelJudgement())
    return [layout.plain(line) for line in (*lines, *text.end(1))]


def test_several_models_are_a_table():
    unreadable = ModelReport("models/gone.tflite", error="models/gone.tflite: no such file")
    long = report(path="models/a_model_with_a_name_that_is_much_too_long.tflite", findings=[finding()] * 2)
    fixed = fixable(FixOutcome(1, Outcome.SPARSE, 4, 4))
    fixed.path = "models/fix.tflite"
    sparse = report(Outcome.SPARSE, path="models/sparse.tflite", totals=summary(14, 14, 9, 9))
    assert table([long, unreadable, fixed, sparse]) == [
        "models/:",
        "model                   outcome        SpMM      gain    findings   next",
        "a_model_w...ong.tflite  dense          0 of 14           2 errors   by hand",
        "fix.tflite              dense          0 of 14           2 errors   fix",
        "sparse.tflite           sparse         14 of 14          none",
        "Predicted for litert-2.3 on arm64.",
        "next: by hand = you change it where it is made; fix = xnnlint fix does it,",
        "outputs stay.",
        "More on one of them: xnnlint check MODEL; on all: --verbose",
        "",
        "4 models: 1 sparse, 2 dense, 1 unreadable. 4 errors, 1 fixable. Exit code 1.",
    ]
    piped = table([long, fixed], for_pipe=True)
    assert piped[1].startswith("models/a_model_with_a_name_that_is_much_too_long.tflite  dense ")


def test_names_in_a_table_are_never_the_same_text():
    """What two long names share is cut, not what tells them apart."""
    paths = [f"models/mobilenet_v3_with_pruned_bottlenecks_run_000{n}_finetuned_and_converted.tflite" for n in (1, 2)]
    other = "models/mobilenet_v3_large_of_another_project_that_is_long_too.tflite"
    lines = table([report(path=path) for path in [*paths, other]])[2:5]
    names = [line.split()[0] for line in lines]
    assert len(set(names)) == 3 and all(len(name) <= 22 for name in names)
    assert "run_0001" in names[0] and "run_0002" in names[1]
    assert [line.index("dense") for line in lines] == [24] * 3


@pytest.mark.parametrize("width", [10, 16, 22, 40])
def test_texts_are_shortened_apart(width):
    texts = [f"{'a' * 30}_{n}_{'b' * 30}_{m}_{'c' * 30}" for n in range(4) for m in "xy"] + ["short", "\u6a21" * 30]
    made = layout.shorten_apart(texts, width)
    assert list(made) == list(dict.fromkeys(texts)) or set(made) == set(texts)
    assert len(set(made.values())) == len(texts)
    assert all(layout.columns(short) <= width or short == text for text, short in made.items())
    two = layout.shorten_apart(["p" * 50 + "1" + "q" * 50, "p" * 50 + "2" + "q" * 50], width)
    assert all(layout.columns(short) <= width for short in two.values())


def test_every_word_of_the_last_column_has_a_meaning():
    aside = {next_steps.Kind.VERIFY, next_steps.Kind.BENCH, next_steps.Kind.EXPLAIN}
    assert set(next_steps.MEANINGS) == {kind.value for kind in next_steps.Kind if kind not in aside}


def test_what_is_to_be_changed_is_counted_as_the_findings_are():
    """A set that is not all that was found says which findings it is of."""
    place = [Location(n, f"op_{n}", "ADD") for n in range(4)]
    chosen = [finding("XNN104", unlocks=Unlock(0, 0.0, 2, True), location=place[0])]
    chosen.append(finding("XNN105", unlocks=Unlock(0, 0.0, 2, True), location=place[1]))
    others = [finding("XNN106", location=place[2])]
    said = shown(report(findings=[*chosen, *others]))
    assert "Why: 3 blockers. Make 2 of these 3 changes (XNN104, XNN105) and 2 of 14 1x1" in said
    assert "Why: 2 blockers. Make these 2 changes and 2 of 14 1x1" in shown(report(findings=chosen))


def test_a_single_model_and_several_in_full_are_pages():
    assert table([POSE])[0].startswith("pose_detection.tflite: sparse")
    models = [report(path="a.tflite"), report(path="b.tflite")]
    text = TextReport(ReportSetting(PROFILE, verbose=True, names=("a.tflite", "b.tflite")))
    pages = [layout.plain(line) for model in models for line in text.add(model, ModelJudgement())]
    assert [line for line in pages if "dense:" in line] == [
        f"{name}.tflite: dense: 0 of 14 1x1 convolutions run SpMM  (litert-2.3 on arm64)" for name in "ab"
    ]


def test_what_is_to_be_installed_is_the_next_step():
    model = fixable()
    model.findings = [finding(condition=Condition.DEPTHWISE), finding("XNN501", condition=Condition.SPARSE_CPU)]
    model.fixes = FixForecast(0, 0, extra="verify")
    last = shown(model).partition("Next:")[2]
    assert last.index("xnnlint explain") < last.index("pip install ai-edge-litert")
    assert "lets check say what xnnlint fix can do" in " ".join(shown(model).split())
    assert next_steps.word(model) == "install", "nobody has to do by hand what a fix may do"
    model.findings = model.findings[1:]
    assert "pip install" not in shown(model)
