"""The pages of the recipes."""

from __future__ import annotations

from string import Template

from xnnlint.loaders.tflite.read_tflite import load_bytes
from xnnlint.reporters.topics.page import Page
from xnnlint.reporters.topics.recipes import RECIPES, Recipe
from xnnlint.reporters.topics.runtimes_page import listed
from xnnlint.xnnpack.conditions.stem import CHANNELS, KERNEL, PAD, STRIDE
from xnnlint.xnnpack.plan import Outcome, Plan
from xnnlint.xnnpack.planner import make_plan
from xnnlint.xnnpack.profile import every_runtime

ALL = "recipes"
_LIMITS = {"channels": CHANNELS, "kernel": KERNEL[0], "pad": PAD, "stride": STRIDE[0]}
_INTRODUCTION = """\
What to write before training where no change of a trained file helps, or where that costs more time in each run.
Each was tried in the real runtime, in a small model with 80% zeros; older runtimes are predicted. Prune the 1x1
convolutions as always. Keras 3 takes `tf.nn.depth_to_space` only within a layer of your own."""


def recipe_page(recipe: Recipe) -> Page:
    """What to write, and what comes of it on which runtimes."""
    return Page("recipe", recipe.name, "recipe", _text(recipe))


def overview() -> Page:
    """All recipes."""
    parts = [_INTRODUCTION, *(f"## {recipe.name}\n{_text(recipe)}" for recipe in RECIPES)]
    return Page("recipe", ALL, "what to write before training", "\n\n".join(parts))


def _text(recipe: Recipe) -> str:
    where = f"{recipe.spmm} of {recipe.spmm} 1x1 convolutions run SpMM on {listed(_runtimes(recipe))}."
    text = f"{recipe.text}\n```python\n{recipe.code}\n```\n{where}"
    return Template(text).substitute(_LIMITS)


def _runtimes(recipe: Recipe) -> list[str]:
    """Those on which all of it runs sparse and is correct."""
    model = load_bytes(recipe.build(), f"{recipe.name}.tflite")
    plans = {profile.runtime: make_plan(model, profile) for profile in every_runtime()}
    return [name for name, plan in plans.items() if (plan.outcome, _spmm(plan)) == (Outcome.SPARSE, recipe.spmm)]


def _spmm(plan: Plan) -> int:
    return plan.summary.spmm if plan.summary is not None else 0
