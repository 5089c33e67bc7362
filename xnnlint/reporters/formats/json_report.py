"""The report as one JSON document; its published schema is `reporters/report.schema.json`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from xnnlint.reporters.check_report import KeepingReport, ReportSetting
from xnnlint.reporters.json_document import SCHEMA_VERSION, dumps, tool
from xnnlint.reporters.model_row import row_from, row_of
from xnnlint.reporters.statistics import Statistics
from xnnlint.reporters.zoo_summary import ZooSummary

if TYPE_CHECKING:
    from xnnlint.linter.baseline import Baseline
    from xnnlint.linter.findings import ModelReport
    from xnnlint.reporters.check_report import ModelJudgement
    from xnnlint.xnnpack.profile import Profile


def document(profile: Profile, models: Iterable[ModelReport]) -> dict[str, Any]:
    """The whole report as plain values; consumes `models` one by one, so that each can be let go of."""
    from xnnlint.reporters.model_json import model_data

    return {
        "schema_version": SCHEMA_VERSION,
        "tool": tool(),
        "profile": _profile(profile),
        "models": [model_data(model) for model in models],
    }


class JsonReport(KeepingReport):
    """One document, at the end."""

    name = "json"
    counts_rules = True

    def __init__(self, setting: ReportSetting) -> None:
        self._setting = setting
        self._models: list[dict[str, Any]] = []
        self._summary = ZooSummary(setting.names)
        self._statistics = Statistics() if setting.statistics else None

    def taken(self, model: ModelReport, judged: ModelJudgement) -> dict[str, Any]:
        from xnnlint.reporters.model_json import model_data
        from xnnlint.reporters.model_record import record_with

        own = {"profile": {"runtime": judged.profile.runtime, "cpu": judged.profile.cpu}} if judged.profile else {}
        data = model_data(model)
        record = record_with(data, model, judged.profile or self._setting.profile, exit_code=int(judged.fails(model)))
        return {"model": data | own, "row": row_of(record).values(), "rules": Statistics.taken(model)}

    def put(self, taken: dict[str, Any]) -> str:
        self._models.append(taken["model"])
        self._summary.add(row_from(taken["row"]))
        if self._statistics is not None:
            self._statistics.put(taken["rules"])
        return ""

    def end(self, exit_code: int) -> str:
        report = document(self._setting.profile, ()) | {"models": self._models}
        if self._summary.models > 1:
            report["summary"] = self._summary.document()
        if self._statistics is not None:
            keys = ("findings", "models", "rule", "name")
            report["statistics"] = [dict(zip(keys, row, strict=True)) for row in self._statistics.rows()]
        if self._setting.baseline is not None:
            report["baseline"] = _baseline(self._setting.baseline)
        return dumps(report) + "\n"


def _profile(profile: Profile) -> dict[str, Any]:
    return {
        "runtime": profile.runtime,
        "runtime_title": profile.runtime_title,
        "cpu": profile.cpu,
        "cpu_title": profile.cpu_title,
        "facts": {name: fact.value for name, fact in profile.facts.items()},
    }


def _baseline(baseline: Baseline) -> dict[str, Any]:
    stale = [
        {
            "path": one.path,
            "rule": one.entry.rule if one.entry else None,
            "layer": one.entry.layer if one.entry else None,
        }
        for one in baseline.finish()
    ]
    return {"file": baseline.file, "stale": stale}
