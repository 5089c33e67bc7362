"""Every rule: its documentation, a model that breaks it, one that nearly does, what its fix brings. LiteRT judges."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from tests.rules.case_parts import Pair, head, model
from tests.rules.cases.fails_at_run_time import flattened
from tests.rules.rule_cases import PAIRS
from xnnlint.linter.engine import find
from xnnlint.linter.findings import Finding, Severity
from xnnlint.linter.policy_check import policy_rules
from xnnlint.linter.rule import SECTIONS, Rule
from xnnlint.linter.rule_registry import all_rules, find_rule, rule_of
from xnnlint.loaders import load
from xnnlint.modelbuilder.builder import ModelBuilder, Value
from xnnlint.modelbuilder.building_blocks import pruned
from xnnlint.modelbuilder.patterns import named_patterns
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.conditions.registry import judge, node_conditions
from xnnlint.xnnpack.fault import FaultKind
from xnnlint.xnnpack.ir import Node, NodeType, Subgraph
from xnnlint.xnnpack.plan import Outcome, Plan
from xnnlint.xnnpack.planner import make_plan
from xnnlint.xnnpack.profile import load_profile

RULES = all_rules()
OUTCOME_RULES = ("XNN901", "XNN902", "XNN404")
# In a .tflite file there are no layers any more: see test_confidence.py.
OF_KERAS_ALONE = {"XNN307", "XNN403"}
NAMES = {pair.name: pair for pair in PAIRS}


def paired(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(name, PAIRS, ids=lambda pair: pair.name.replace(" ", "-"))


# -- documentation -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_documentation_has_its_sections_in_order(rule: Rule) -> None:
    head, *_ = rule.documentation.split("\n\n", 1)
    assert re.fullmatch(r"[A-Z][^.]*\.", head), "the first line is one sentence on the problem"
    sections = re.split(r"^## (.+)$", rule.documentation, flags=re.MULTILINE)
    assert tuple(sections[1::2]) == SECTIONS
    assert all(len(text.split()) > 3 for text in sections[2::2]), "no section is empty"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_documentation_names_files_and_functions(rule: Rule) -> None:
    references = rule.documentation.split("## References\n")[1]
    for line in references.replace("\n  ", " ").splitlines():
        source = r"- (google/XNNPACK|google-ai-edge/LiteRT|tensorflow/model-optimization), [\w/.\-]+\.(cc?|h|py|txt|md)"
        assert re.match(rf"{source}|- <https://[^>]+>, ", line), line
    assert "$" not in rule.documentation


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_documented_python_is_python(rule: Rule) -> None:
    for snippet in re.findall(r"```python\n(.*?)```", rule.documentation, flags=re.DOTALL):
        compile(snippet, rule.code, "exec")


def test_codes_and_names_are_unique_and_name_the_problem() -> None:
    assert len({rule.code for rule in RULES}) == len({rule.name for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert re.fullmatch(r"XNN[1-9]\d\d", rule.code)
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", rule.name)
        assert not rule.name.startswith(("use-", "add-", "avoid-", "fix-", "no-use", "replace-"))
        assert "\n" not in rule.summary and not rule.summary.endswith(".")
        assert find_rule(rule.code.lower()) is find_rule(rule.name) is rule


def test_each_condition_is_reported_by_one_rule() -> None:
    """Fixes declare conditions, and find the findings that they answer by them."""
    conditions = [rule.condition for rule in (*RULES, *policy_rules()) if rule.condition is not None]
    assert sorted(conditions) == sorted(Condition)


def test_numbers_in_the_documentation_come_from_the_rule() -> None:
    """A limit that is changed in the rule changes in the text."""
    from xnnlint.rules.depthwise_convolution import ALLOWED
    from xnnlint.rules.stem_convolution import LAYERS

    assert LAYERS in find_rule("XNN101").documentation and ALLOWED in find_rule("XNN104").documentation


# -- who judges what -----------------------------------------------------------------------------------------


def node_types() -> list[str]:
    return [value for name, value in vars(NodeType).items() if name.isupper()]


@pytest.mark.parametrize("type_", node_types())
def test_every_node_type_is_judged(type_: str) -> None:
    """A node that no condition applies to would stop the plan."""
    subgraph = Subgraph([], [])
    x, y = (subgraph.new_value("fp32", (1, 4, 6, 8)) for _ in range(2))
    params = {
        "kernel": (3, 3),
        "stride": (1, 1),
        "dilation": (1, 1),
        "padding": (0, 0, 0, 0),
        "same_padding": False,
        "groups": 1,
        "group_input_channels": 8,
        "depth_multiplier": 1,
        "axes": (1, 2),
    }
    node = Node(type_, [x.id, x.id], [y.id], 0, operator="add" if type_ == NodeType.BINARY else "clamp", params=params)
    subgraph.nodes.append(node)
    judged = judge(node, subgraph, load_profile())
    rule, verdict = rule_of(judged.condition), judged.verdict
    assert bool(verdict.layout) != bool(verdict.unmet), "either it can run in NCHW, or the rule says why not"
    if verdict.unmet:
        assert rule.describe(node, subgraph) and rule.remedy(node, subgraph)[0]
        assert all(all(rule.words(unmet)) for unmet in verdict.unmet)


def test_each_condition_on_nodes_has_a_rule_with_its_words() -> None:
    for condition in node_conditions():
        assert rule_of(condition).condition is condition.key


# -- one model that breaks a rule, one that nearly does --------------------------------------------------------


@cache
def planned(name: str, good: bool, folder: Path) -> tuple[Plan, tuple[Finding, ...]]:
    pair = NAMES[name]
    path = file(pair, good, folder)
    cpu = pair.good_cpu if good and pair.good_cpu else pair.cpu
    plan = make_plan(load(path), load_profile(pair.runtime, cpu))
    return plan, tuple(find(plan))


def file(pair: Pair, good: bool, folder: Path) -> Path:
    path = folder / f"{re.sub('[^a-z0-9]+', '_', pair.name.lower())}_{'good' if good else 'bad'}.tflite"
    if not path.exists():
        fill, metadata = (pair.good, pair.good_metadata) if good else (pair.bad, pair.metadata)
        path.write_bytes(model(fill, metadata))
    return path


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rules")


def of(rule: str, findings: tuple[Finding, ...]) -> list[Finding]:
    return [finding for finding in findings if finding.rule == rule]


def the_finding(pair: Pair, folder: Path) -> Finding:
    found = of(pair.rule, planned(pair.name, False, folder)[1])
    here = [f for f in found if f.location.type == pair.at and pair.actual in f.actual]
    assert here, [(f.location.type, f.actual) for f in found]
    return here[0]


def test_every_rule_has_a_pair() -> None:
    assert {pair.rule for pair in PAIRS} | OF_KERAS_ALONE == {rule.code for rule in RULES}


@paired("pair")
def test_the_rule_tells_where_it_is_broken(pair: Pair, folder: Path) -> None:
    finding = the_finding(pair, folder)
    assert pair.fix in (finding.fix.title if finding.fix else "")
    assert finding.message and len(finding.message) < 330
    assert finding.name == find_rule(pair.rule).name
    assert planned(pair.name, False, folder)[0].outcome.value == pair.outcome


@paired("pair")
def test_the_rule_is_silent_once_it_is_fixed(pair: Pair, folder: Path) -> None:
    plan, findings = planned(pair.name, True, folder)
    assert not of(pair.rule, findings)
    assert plan.outcome.value == pair.good_outcome


@paired("pair")
def test_the_fix_unlocks_what_was_said(pair: Pair, folder: Path) -> None:
    """The promise, held against the plan of the model in which the fix was really made."""
    finding = the_finding(pair, folder)
    if not pair.unlocks:
        return
    before, after = (planned(pair.name, good, folder)[0] for good in (False, True))
    gained = len(after.spmm_ops) - (len(before.spmm_ops) if before.outcome is Outcome.SPARSE else 0)
    assert finding.unlocks is not None and gained > 0
    smallest = [f for f in planned(pair.name, False, folder)[1] if f.unlocks and f.unlocks.in_smallest_set]
    assert {f.unlocks.with_others for f in smallest if f.unlocks} == {gained}
    if pair.together:
        assert {f.rule for f in smallest} == {pair.rule, *pair.together}
        assert finding.unlocks.alone == 0
    else:
        assert finding.unlocks.alone == gained
        assert len(smallest) == 1, "one change, be it this one or another that does the same"


@paired("pair")
def test_findings_never_change_the_plan(pair: Pair, folder: Path) -> None:
    """Asking the rules, and planning again for what they say, leaves the plan as it was."""
    plan, findings = planned(pair.name, False, folder)
    again = make_plan(load(file(pair, False, folder)), plan.profile)
    assert [k.kernel for k in plan.operators] == [k.kernel for k in again.operators]
    assert [(h.op, h.kind) for h in plan.hazards] == [(h.op, h.kind) for h in again.hazards]
    assert findings == tuple(find(again))


@paired("pair")
def test_a_broken_model_is_reported_first(pair: Pair, folder: Path) -> None:
    plan, findings = planned(pair.name, False, folder)
    told = {Outcome.WRONG_RESULTS: "XNN901", Outcome.FAILS: "XNN902"}.get(plan.outcome)
    if pair.rule == "XNN404":
        told = pair.rule
    if told is None:
        assert not any(f.rule in OUTCOME_RULES for f in findings)
    else:
        assert findings[0].rule in OUTCOME_RULES and told in {f.rule for f in findings}


@paired("pair")
def test_a_place_is_reported_once(pair: Pair, folder: Path) -> None:
    findings = planned(pair.name, False, folder)[1]
    places = [(f.rule, f.location.op, f.actual) for f in findings]
    assert len(places) == len(set(places))


# -- what wrong results are due to ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "victim", "cause"),
    [
        ("XNN110 max pool", "CONV_2D", "max_pool_2d (MAX_POOL_2D #5) cannot run in NCHW (XNN110)"),
        ("XNN104 kernel 7x7", "CONV_2D", "(DEPTHWISE_CONV_2D #5) cannot run in NCHW (XNN104)"),
        ("XNN105 constant second", "CONV_2D", "add (ADD #5) cannot run in NCHW (XNN105)"),
        ("XNN201 map output", "CONV_2D", "an output of the model, with no pooling"),
        ("XNN601 softmax", "SOFTMAX", "mean (MEAN #5) keeps its dimensions"),
        ("XNN601 pruned classifier", "CONV_2D", "mean (MEAN #5) keeps its dimensions"),
        ("XNN602 over the height", "MEAN", "mean (MEAN #5) pools over axes [1]"),
        ("XNN603 two dense layers", "FULLY_CONNECTED", "reads a vector of shape [1, 24]"),
        ("XNN100 dynamic range, stored sparse", "CONV_2D", "its weights are int8 and stored sparse"),
    ],
)
def test_wrong_results_name_their_cause(name: str, victim: str, cause: str, folder: Path) -> None:
    findings = planned(name, False, folder)[1]
    told = [f for f in findings if f.rule in OUTCOME_RULES]
    assert [f.location.type for f in told] == [victim]
    assert cause in told[0].message and told[0].fix is not None


@cache
def findings_of_pattern(name: str, folder: Path) -> tuple[Plan, tuple[Finding, ...]]:
    pattern = next(p for p in named_patterns() if p.name == name)
    path = folder / f"pattern_{name}.tflite"
    path.write_bytes(pattern.build())
    plan = make_plan(load(path), load_profile())
    return plan, tuple(find(plan))


@pytest.mark.parametrize("name", [pattern.name for pattern in named_patterns()])
def test_every_dense_or_broken_model_has_a_reason(name: str, folder: Path) -> None:
    """Of all hand-made models: what isn't sparse and right has an error, or a note where nothing is wrong."""
    plan, findings = findings_of_pattern(name, folder)
    errors = [f for f in findings if f.severity is Severity.ERROR]
    unlocking = [f for f in findings if f.unlocks is not None and (f.unlocks.alone or f.unlocks.in_smallest_set)]
    if plan.outcome is Outcome.SPARSE:
        assert not errors
    elif name == "stem_mean":
        assert [f.rule for f in findings] == ["XNN304"], "no 1x1 convolution: nothing to unlock, nothing wrong"
    elif name == "dense_weights":
        assert not errors and [f.rule for f in unlocking] == ["XNN303"]
    elif all(hazard.kind is FaultKind.SPARSE_ENCODING for hazard in plan.hazards) and plan.spmm_ops:
        assert {f.rule for f in errors} == {"XNN404"}, "a sparse network, and weights that are misread"
    elif name == "outputs_one_name":
        assert {f.rule for f in errors} == {"XNN902"}, "the names alone: nothing in the graph is to be changed"
    else:
        assert errors and unlocking
    assert all(f.fix and f.required for f in errors)


# -- models as the converter writes them ---------------------------------------------------------------------

# What stops them, other than notes: rule, layer's name, a part of what it says. The next one of each group is right.
CONVERTED = {
    "guide_dense_zeros": [("XNN302", "conv2d_1", "80.0% zeros, all stored dense")],
    "guide_fp16_dense_zeros": [("XNN302", "conv2d_1", "80.0% zeros, all stored dense")],
    "guide_half": [("XNN301", "conv2d_1", "50.0% (320 of 640 weights)")],
    "guide_int8": [("XNN100", "", "int8")],
    "guide_drq_sparse": [("XNN902", "conv2d_2", "int8 weights"), ("XNN100", "", "quantized at run time")],
    "guide_drq_small": [],
    "guide_sparse": [],
    "guide_fp16_sparse": [],
    "patterns/stem_same": [("XNN101", "conv2d", "'same' padding at stride 2x2")],
    "patterns/stem_4_channels": [("XNN101", "conv2d", "4 input channels")],
    "patterns/stem_rescaling": [],
    "patterns/body_conv_pointwise_stride_2": [("XNN901", "conv2d_1", ""), ("XNN102", "conv2d_2", "stride 2x2")],
    "patterns/body_depthwise_7x7": [("XNN901", "conv2d_1", ""), ("XNN104", "depthwise_conv2d_1", "kernel 7x7")],
    "patterns/body_depthwise_5x5": [],
    "patterns/body_depthwise_stride_2_same": [
        ("XNN901", "conv2d_1", "'same' padding"),
        ("XNN104", "depthwise_conv2d_1", "'same' padding at stride 2x2"),
    ],
    "patterns/body_depthwise_stride_2": [],
    "patterns/body_add_vector": [("XNN901", "conv2d_1", ""), ("XNN105", "tf.__operators__.add", "of shape [16]")],
    "patterns/body_act_prelu": [("XNN901", "conv2d_2", ""), ("XNN106", "p_re_lu", "PRELU")],
    "patterns/body_act_relu_max_3": [],
    "patterns/body_max_pool": [("XNN901", "conv2d_1", "max_pooling2d"), ("XNN110", "max_pooling2d", "MAX_POOL_2D")],
    "patterns/body_pool_1x1": [],
    "patterns/body_add_itself": [("XNN206", "add", "with itself")],
    "patterns/body_multiply_itself": [],
    "patterns/head_flatten": [("XNN202", "conv2d_3", "none behind")],
    "patterns/head_depth_to_space": [],
    "patterns/head_keepdims_softmax": [
        ("XNN901", "StatefulPartitionedCall:0", "global_average_pooling2d"),
        ("XNN601", "global_average_pooling2d", "(SOFTMAX"),
    ],
    "patterns/head_keepdims_conv_dense": [("XNN601", "global_average_pooling2d", "classifier")],
    "patterns/head_mean_height": [
        ("XNN901", "StatefulPartitionedCall:0", "axes [1]"),
        ("XNN602", "StatefulPartitionedCall:0", "MEAN over axes [1]"),
    ],
    "patterns/net_map_input": [("XNN205", "add", "the model's input")],
    "patterns/net_two_inputs": [],
    "patterns/zeros_341_of_512": [("XNN301", "first", "66.6% (341 of 512 weights)")],
    "patterns/zeros_342_of_512": [],
    "patterns/zeros_two_thirds": [("XNN301", "first", "66.7% (256 of 384 weights)")],
}


@pytest.mark.parametrize("name", CONVERTED)
def test_findings_of_converted_models(name: str, committed_fixtures: Path) -> None:
    plan = make_plan(load(committed_fixtures / f"{name}.tflite"), load_profile())
    errors = [f for f in find(plan) if f.severity is Severity.ERROR]
    assert [(f.rule, f.location.name) for f in errors] == [(rule, layer) for rule, layer, _ in CONVERTED[name]]
    assert all(text in f.actual for f, (*_, text) in zip(errors, CONVERTED[name], strict=True))
    assert bool(errors) == (plan.outcome is not Outcome.SPARSE)


@pytest.mark.parametrize(
    ("name", "cause", "fix"),
    [
        ("fp16_chain_refused", "but takes the DENSIFY that unpacks its float16 weights", "float32 weights"),
        ("add_external_before_mean", None, None),
        ("mid_exposed", "its map is an output of the model", "depth_to_space"),
        ("two_heads_pw_concat", "concatenation (CONCATENATION #9) cannot run in NCHW", "add the branches"),
        ("int8_boundary", "quantize (QUANTIZE #5) cannot run in NCHW (XNN100)", "8-bit quantization"),
        ("const_map_pointwise", "pointwise_2_1 (CONV_2D #6) reads a constant of shape", "one value for each channel"),
        ("const_map_unary", "tanh (TANH #5) reads a constant of shape [1, 12, 20, 16]", "one value for each channel"),
        ("mean_keep_resize", "mean (MEAN #5) keeps its dimensions", "Reshape or Flatten"),
    ],
)
def test_causes_of_hand_made_models(name: str, cause: str | None, fix: str | None, folder: Path) -> None:
    told = [f for f in findings_of_pattern(name, folder)[1] if f.rule in OUTCOME_RULES]
    if cause is None:
        assert not told, "dense and right"
    else:
        assert told and all(cause in f.message and f.fix and fix in f.fix.title for f in told)


def test_an_unpruned_model_is_a_note(committed_fixtures: Path) -> None:
    plan = make_plan(load(committed_fixtures / "guide_unpruned.tflite"), load_profile())
    findings = [f for f in find(plan) if f.severity is not Severity.WARNING]
    assert [(f.rule, f.severity) for f in findings] == [("XNN303", Severity.NOTE)]
    assert findings[0].unlocks is not None and findings[0].unlocks.alone == 2


def test_production_models(mediapipe_models: Path) -> None:
    """38 of 44 and 48 of 48: seen in a real run; the other 6 are told of in notes, and nothing else is."""
    spmm = {"pose_detection": 38, "face_detection_full_range_sparse": 48}
    for name, expected in spmm.items():
        (path,) = mediapipe_models.rglob(f"{name}.tflite")
        plan = make_plan(load(path), load_profile())
        findings = find(plan)
        assert len(plan.spmm_ops) == expected and plan.outcome is Outcome.SPARSE
        assert {f.rule for f in findings} <= {"XNN305"}
        told = [f for f in findings if "NO_PRUNING" in f.actual and "DEPTH_TO_SPACE" in f.message]
        assert len(told) == (3 if name == "pose_detection" else 0)


def test_an_output_that_cannot_be_bound_hides_no_blocker(tmp_path: Path) -> None:
    """What would run SpMM does not depend on the output's buffer; both problems are told, each with its own fix."""

    def fill(g: ModelBuilder, x: Value) -> None:
        x = g.binary("ADD", pruned(g, x, 24), g.random_constant((1, 1, 1, 24)))
        g.output(flattened(g, g.mean(pruned(g, x, 16))))

    path = tmp_path / "model.tflite"
    path.write_bytes(model(head(fill)))
    plan = make_plan(load(path), load_profile())
    assert plan.outcome is Outcome.FAILS
    findings = find(plan)
    (broken,) = of("XNN902", tuple(findings))
    assert broken.fix is not None and "as numbers" in broken.fix.title
    (blocker,) = of("XNN105", tuple(findings))
    assert blocker.unlocks is not None and blocker.unlocks.alone > 0


def test_padding_below_0_hides_no_blocker(tmp_path: Path) -> None:
    """It is wrong sparse or dense; what keeps the network from being sparse is told beside it."""

    def fill(g: ModelBuilder, x: Value) -> None:
        x = g.binary("ADD", pruned(g, x, 24), g.random_constant((1, 1, 1, 24)))
        g.output(g.mean(g.conv2d(g.depth_to_space(pruned(g, x, 16)), 4, (1, 3), 2, "SAME")))

    path = tmp_path / "model.tflite"
    path.write_bytes(model(head(fill)))
    findings = tuple(find(make_plan(load(path), load_profile("litert-2.1.5"))))
    (padding,) = [f for f in of("XNN901", findings) if "'same' padding" in f.actual]
    assert padding.fix is not None and "EXPERIMENTAL_SPARSITY" not in padding.fix.title
    (blocker,) = of("XNN105", findings)
    assert blocker.unlocks is not None and blocker.unlocks.alone > 0


def test_a_fully_quantized_model_is_one_finding(committed_fixtures: Path) -> None:
    plan = make_plan(load(committed_fixtures / "guide_int8.tflite"), load_profile())
    (finding,) = of("XNN100", tuple(find(plan)))
    assert finding.location.op is None and finding.unlocks is not None
    assert re.match(r"\d+ of \d+ operators compute on quantized values", finding.message)


def test_shadowed_problems_of_quantized_operators_are_told(folder: Path) -> None:
    """An int8 stem with 'same' padding has two problems, and both have to be solved."""
    _, findings = findings_of_pattern("int8_full", folder)
    needed = {f.rule for f in findings if f.unlocks and f.unlocks.in_smallest_set}
    assert needed == {"XNN100", "XNN101"}


# -- the real runtime ----------------------------------------------------------------------------------------


@pytest.mark.judge
def test_litert_agrees_on_all_pairs(folder: Path) -> None:
    """Both models of every pair, run in LiteRT: outcome, and number of sparse operators."""
    from xnnlint.runtime.observe import observe

    cases = [(pair, good) for pair in PAIRS if pair.is_default for good in (False, True)]
    # Some fail in their second run only.
    observations = observe([file(pair, good, folder) for pair, good in cases], seeds=(0, 1))
    wrong = []
    for (pair, good), seen in zip(cases, observations, strict=True):
        plan, _ = planned(pair.name, good, folder)
        expected = pair.good_outcome if good else pair.outcome
        spmm = len([k for k in plan.kernels if k.is_spmm])
        # Where TFLite's own kernels refuse the model as well, nothing is left to compare with.
        outcome = seen.outcome or ("fails" if seen.status == "error" else None)
        if outcome != expected or (seen.spmm is not None and seen.spmm != spmm):
            wrong.append(f"{pair.name} {good=}: {outcome} {seen.spmm}, not {expected} {spmm} ({seen.error})")
    assert len(cases) > 80 and not wrong
