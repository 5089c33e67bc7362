"""The whole page: one file that needs nothing else, neither a network nor a server."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element

from msgspec import Struct

from xnnlint.linter.comparison import Aspect
from xnnlint.reporters.page import sections
from xnnlint.reporters.page.graph_facts import GraphFacts, graph_facts
from xnnlint.reporters.page.inline_styles import style
from xnnlint.reporters.page.island import graphs_document, island_text, model_data
from xnnlint.reporters.page.markup import element, html_text
from xnnlint.reporters.page.picture import picture
from xnnlint.reporters.page.times import time_series
from xnnlint.reporters.page.words import NO_SCRIPT
from xnnlint.reporters.styled_lines import name
from xnnlint.version import __version__

if TYPE_CHECKING:
    from xnnlint.bench.saved import SavedBench
    from xnnlint.linter.comparison import Comparison
    from xnnlint.linter.findings import ModelReport
    from xnnlint.xnnpack.profile import Profile


class PageModel(Struct, frozen=True):
    """A model of the page, the times that were measured of it, and what to call it."""

    report: ModelReport
    profile: Profile
    benches: tuple[SavedBench, ...] = ()


def page(models: Sequence[PageModel], comparisons: Iterable[Comparison] = ()) -> str:
    """The page as text.

    Args:
        models: in their order; the first of several is an overview.
        comparisons: of two of the models each.
    """
    made = [_Model(f"m{number}", model) for number, model in enumerate(models)]
    by_report = {id(model.report): model for model in made}
    main = [element("h1", "xnnlint report")]
    if len(made) > 1:
        main.append(sections.overview([(model.key, model.report) for model in made]))
    for compared in comparisons:
        before, after = by_report.get(id(compared.before)), by_report.get(id(compared.after))
        strips = [None if model is None else model.ribbon("Operators") for model in (before, after)]
        main.append(sections.comparison_part(compared, compared.worse(list(Aspect)), strips[0], strips[1]))
    main += [model.part() for model in made]
    script = _resource("page.js")
    body = element(
        "body",
        element("main", *main),
        element("footer", element("p", f"xnnlint {__version__}")),
        element(
            "script", island_text([model.data for model in made if model.data]), type="application/json", id="data"
        ),
        element("script", script),
    )
    return f"<!doctype html>\n{html_text(element('html', _head(models, script), body, lang='en'))}\n"


def graphs(models: Sequence[PageModel]) -> dict[str, Any]:
    """What the page shows of the graphs, as plain values; a model that cannot be read has none."""
    shown = []
    for model in models:
        if model.report.plan is not None:
            facts = graph_facts(model.report)
            shown.append((model.report, model.profile, facts, time_series(model.report, facts, model.benches)))
    return graphs_document(shown)


def _title(models: Sequence[PageModel]) -> str:
    return f"xnnlint: {name(models[0].report.path)}" if len(models) == 1 else f"xnnlint: {len(models)} models"


def _head(models: Sequence[PageModel], script: str) -> Element:
    """The policy lets only our own script run, and nothing be loaded, whatever a model's names say."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    policy = "; ".join(
        (
            "default-src 'none'",
            "style-src 'unsafe-inline'",
            f"script-src 'sha256-{digest}'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", _title(models)),
        element("style", style() + _resource("page.css")),
    )


def _resource(file: str) -> str:
    return resources.files("xnnlint.reporters.page").joinpath(file).read_text(encoding="utf-8")


class _Model:
    """One model of the page, under a key that its elements have in their names."""

    def __init__(self, key: str, model: PageModel) -> None:
        self.key = key
        self.report, self._profile = model.report, model.profile
        self._facts: GraphFacts | None = None
        self.data: dict[str, Any] | None = None
        if self.report.plan is not None:
            self._facts = graph_facts(self.report)
            series = time_series(self.report, self._facts, model.benches)
            self.data = model_data(self.report, self._facts, series, key)

    def ribbon(self, label: str) -> Element | None:
        return None if self._facts is None else sections.ribbon(self._facts, label)

    def part(self) -> Element:
        """Everything about the model."""
        parts = [element("h2", name(self.report.path)), sections.verdict_part(self.report, self._profile)]
        if self._facts is not None:
            parts += [sections.ribbon(self._facts, "Operators in the order of a run"), _graph(self._facts, self.key)]
            findings = sections.findings_part(self.report, self.key)
            parts += [findings] if findings is not None else []
            parts += [element("div", class_="charts"), element("div", class_="operators")]
        return element("section", *parts, id=self.key, class_="card model")


def _graph(facts: GraphFacts, key: str) -> Element:
    drawn = picture(facts, key)
    stage = element("div", drawn, class_="stage")
    panel = element("div", class_="panel", tabindex=0, role="group", aria_label="Selected operator", aria_live="polite")
    return element(
        "section",
        element("h3", "Graph"),
        element("div", class_="tools"),
        element("div", stage, panel, class_="graph"),
        sections.legend(facts),
        element("noscript", element("p", NO_SCRIPT)),
    )
