"""Rules of a team: what its own devices need besides what XNNPACK needs."""

from __future__ import annotations

import math
from collections.abc import Iterable

from xnnlint.linter.findings import Applicability, Finding, Severity
from xnnlint.linter.rule import Rule, locate
from xnnlint.xnnpack.plan import Plan

MOST_INPUT_ELEMENTS = 16 * 16 * 3


class InputTooLarge(Rule):
    """The model's input is larger than the camera pipeline gives.

    ## What it does
    Finds inputs of more than $elements elements.

    ## Why it matters
    The device scales every frame up to the input's size, which costs more than the model.

    ## Example
    ```python
    inputs = keras.Input((224, 224, 3))
    ```

    ## Use instead
    ```python
    inputs = keras.Input((16, 16, 3))
    ```

    ## Fix safety
    Unsafe: train again.

    ## References
    - the handbook of the device
    """

    code = "ACME001"
    name = "input-too-large"
    severity = Severity.WARNING
    summary = f"an input must have at most {MOST_INPUT_ELEMENTS} elements"
    limits = {"elements": str(MOST_INPUT_ELEMENTS)}

    def check(self, plan: Plan) -> Iterable[Finding]:
        for index in plan.graph.inputs:
            tensor = plan.graph.tensors[index]
            elements = math.prod(tensor.shape)
            readers = plan.graph.consumers(index)
            if elements > MOST_INPUT_ELEMENTS and readers:
                yield self.finding(
                    f"the input {tensor.name} is too large for the device",
                    required=f"at most {MOST_INPUT_ELEMENTS} elements",
                    actual=f"{elements}",
                    location=locate(plan, readers[0].index),
                    fix="make the input smaller",
                    applicability=Applicability.UNSAFE,
                )
