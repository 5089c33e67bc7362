"""XNN902: the sparse model fails where the dense one runs."""

from __future__ import annotations

from xnnlint.xnnpack.plan import Outcome

from .wrong_results import WrongResults


class FailsAtRunTime(WrongResults):
    """The runtime returns an error or crashes here, while the dense model runs."""

    code = "XNN902"
    name = "fails-at-run-time"
    summary = "the sparse path errors or crashes where the dense model runs"
    outcome = Outcome.FAILS
    message = "the model fails to load or crashes"
    required = "shapes and weights that the sparse path can handle"
