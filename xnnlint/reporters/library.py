"""The report that `xnnlint.lint` returns: what was found of one model, as attributes, plain values or a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xnnlint.errors import XnnlintError
from xnnlint.linter.findings import ModelReport

if TYPE_CHECKING:
    from xnnlint.cost import Gain
    from xnnlint.xnnpack.plan import Kernel


class Report(ModelReport):
    """What `xnnlint.lint` found of one model; docs/library.md has examples."""

    @classmethod
    def of(cls, model: ModelReport) -> Report:
        """The same with what the library adds."""
        return cls(**{name: getattr(model, name) for name in ModelReport.__struct_fields__})

    @property
    def kernels(self) -> list[Kernel]:
        """The kernel of every operator with weights, in the order in which they run."""
        return list(self.plan.kernels) if self.plan is not None else []

    @property
    def gain(self) -> Gain | None:
        """How many times as fast the model is as the same one run dense, predicted: `ratio`, `low` and `high`; None of
        one that does not run sparse and right. `speed.if_fixed` is the most that its smallest set of changes brings."""
        return self.speed.now if self.speed is not None else None

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values: a model of the document of `xnnlint check --format json`."""
        from xnnlint.reporters.model_json import model_data

        return model_data(self)

    def to_json(self) -> str:
        """`to_dict` as text."""
        from xnnlint.reporters.json_document import dumps

        return dumps(self.to_dict())

    def _repr_html_(self) -> str:
        """What a notebook shows: the outcome, and the graph as a picture where grandalf is installed."""
        from xnnlint.reporters.page.notebook import notebook_html

        return notebook_html(self)

    def to_dataframe(self) -> Any:
        """The findings as a `pandas.DataFrame`, one row each.

        Raises:
            XnnlintError: pandas is not installed.
        """
        from importlib import import_module

        try:
            pandas = import_module("pandas")
        except ImportError:
            raise XnnlintError("to_dataframe needs pandas: pip install pandas") from None
        names = ("path", "rule", "name", "severity", "layer", "operator", "message", "required", "actual", "fix")
        rows = [
            (
                self.path,
                finding.rule,
                finding.name,
                finding.severity.value,
                finding.location.name,
                finding.location.op,
                finding.message,
                finding.required,
                finding.actual,
                finding.remedy.title if finding.remedy is not None else "",
            )
            for finding in self.findings
        ]
        return pandas.DataFrame(rows, columns=list(names))
