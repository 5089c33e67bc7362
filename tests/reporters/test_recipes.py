"""`xnnlint explain recipes`: every recipe comes true in the real runtime, and the usual form does not."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from tests.models import ROOT
from xnnlint.linter.known_rules import find_any_rule
from xnnlint.loaders.tflite.read_tflite import load_bytes
from xnnlint.reporters.topics.lookup import pages, rule_page
from xnnlint.reporters.topics.recipes import RECIPES, Recipe
from xnnlint.runtime.observe import observe
from xnnlint.xnnpack.plan import Outcome, Plan
from xnnlint.xnnpack.planner import make_plan
from xnnlint.xnnpack.profile import load_profile


def plan_of(recipe: Recipe, usual: bool) -> Plan:
    return make_plan(load_bytes(recipe.build(usual), recipe.name), load_profile())


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_what_is_promised_is_planned(recipe):
    usual, made = (plan_of(recipe, usual=form) for form in (True, False))
    assert (usual.outcome, usual.summary.spmm) == (Outcome.DENSE, 0)
    assert made.outcome is Outcome.SPARSE
    assert (made.summary.spmm, made.summary.pointwise_convs) == (recipe.spmm, recipe.spmm)


@pytest.mark.judge
def test_what_is_promised_comes_true(tmp_path):
    forms = {}
    for recipe in RECIPES:
        for usual in (True, False):
            path = tmp_path / f"{recipe.name}-{usual}.tflite"
            path.write_bytes(recipe.build(usual))
            forms[path] = ("dense", 0) if usual else ("sparse", recipe.spmm)
    ran = {}
    for seen in observe(list(forms), seeds=(0,)):
        spmm = sum(kernel.endswith("SPMM") for kernel in seen.kernels or ())
        ran[Path(seen.path)] = (seen.outcome, spmm)
    assert ran == forms


def test_a_detector_in_blocks_has_as_many_boxes_for_the_same_work():
    recipe = next(recipe for recipe in RECIPES if recipe.name == "detection-heads")
    usual, made = (plan_of(recipe, usual=form) for form in (True, False))
    shapes = [[plan.graph.tensors[t].shape for t in plan.graph.outputs] for plan in (usual, made)]
    assert shapes[0] == shapes[1] == [(1, 4 * (12 * 20 + 6 * 10), 4), (1, 4 * (12 * 20 + 6 * 10), 3)]
    assert usual.summary.pointwise_macs == made.summary.pointwise_macs


def test_the_page_has_every_recipe_with_its_limits_filled_in():
    (page,) = pages("recipes")
    assert re.findall(r"^## (.+)$", page.text, re.MULTILINE) == [recipe.name for recipe in RECIPES]
    assert "$" not in page.text
    for recipe in RECIPES:
        (own,) = pages(recipe.name)
        assert own.text in page.text
        assert f"{recipe.spmm} of {recipe.spmm} 1x1 convolutions run SpMM on litert-2.3" in own.text


@pytest.mark.parametrize("code", ["XNN101", "XNN201", "XNN202"])
def test_the_rules_name_what_can_be_explained(code):
    text = rule_page(find_any_rule(code)).text
    (named,) = re.findall(r"`xnnlint explain ([a-z-]+)`", text)
    assert pages(named)[0].kind == "recipe"


def test_the_committed_page_is_up_to_date():
    made = runpy.run_path(str(ROOT / "docs" / "make_rules.py"))
    assert made["RECIPES"].read_text(encoding="utf-8") == made["recipes_text"](), "run python docs/make_rules.py"
