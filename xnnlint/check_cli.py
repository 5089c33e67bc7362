"""The command `xnnlint check`.

Exit codes: 0 no finding at or above --fail-on; 1 findings; 2 something could not be read, or a wrong call.
"""

from __future__ import annotations

import gc
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from .cli import FINDINGS, OK, app, complain
from .errors import XnnlintError
from .quick_parameters import QuickCommand
from .reporters.formats import CheckFormat
from .xnnpack.profile import DEFAULT_CPU, DEFAULT_RUNTIME

if TYPE_CHECKING:
    from .findings import ModelReport
    from .reporters.formats import Judgement


class FailOn(str, Enum):
    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"
    NEVER = "never"


@app.command(cls=QuickCommand)
def check(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            help="Model files, and folders to search for them; or module:function, your own code that makes a Keras "
            "model: it is imported and run, while files never are.",
        ),
    ],
    form: Annotated[CheckFormat, typer.Option("--format", "-f", help="How to print.")] = CheckFormat.TEXT,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="Where to write that; - is stdout.")
    ] = "-",
    report: Annotated[
        list[str],
        typer.Option(metavar="FORMAT=FILE", help="Write a report in another format, too; may be given several times."),
    ] = [],  # noqa: B006 (typer copies it)
    runtime: Annotated[
        str, typer.Option(metavar="NAME", help="Runtime to predict for; `xnnlint profiles` lists them.")
    ] = DEFAULT_RUNTIME,
    cpu: Annotated[
        str, typer.Option(metavar="NAME", help="CPU to predict for; `xnnlint profiles` lists them.")
    ] = DEFAULT_CPU,
    fail_on: Annotated[FailOn, typer.Option(help="Least severity that makes the exit code 1.")] = FailOn.ERROR,
    require_sparse: Annotated[
        bool, typer.Option("--require-sparse", help="Fail for every model that does not run sparse, pruned or not.")
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Print the kernel of every operator, too (JSON always has them).")
    ] = False,
    assume_pruned: Annotated[
        float | None,
        typer.Option(metavar="SHARE", min=0, max=1, help="Forecast a Keras model pruned to this share, such as 0.8."),
    ] = None,
    policy: Annotated[
        bool, typer.Option("--policy", help="Say, too, what TFMOT's pruning policy refuses in a Keras model.")
    ] = False,
    statistics: Annotated[bool, typer.Option("--statistics", help="Say how often each rule was found.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only the models that fail, no summary.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print each finding by itself, with its condition and source.")
    ] = False,
    exit_zero: Annotated[
        bool, typer.Option("--exit-zero", help="Exit with 0 whatever is found; what cannot be read is still 2.")
    ] = False,
) -> None:
    """Say what XNNPACK will do with each model, what stops the sparse path, and what to change."""
    # Importing makes many objects and no garbage; looking for some takes a tenth of the start.
    gc.disable()
    from .engine import check_each
    from .output import Outputs
    from .reporters.formats import Setting
    from .reporters.words import source_root
    from .xnnpack.profile import load_profile

    gc.freeze()
    gc.enable()
    if quiet and verbose:
        raise XnnlintError("--quiet and --verbose contradict each other")
    profile = load_profile(runtime, cpu)
    outcome = _Outcome(fail_on, require_sparse)
    if policy:
        from .policy_check import check_each_with_policy as check_each
    found = check_each(paths, profile, require_sparse=require_sparse, assume_pruned=assume_pruned)
    setting = Setting(profile, with_plan=plan, verbose=verbose, quiet=quiet, statistics=statistics, root=source_root())
    outputs = Outputs(form, output, report, setting)
    for model in found:
        outputs.add(model, outcome.judge(model))
    code = OK if exit_zero and outcome.code == FINDINGS else outcome.code
    try:
        outputs.end(code)
    finally:
        outcome.tell()
    raise typer.Exit(code)


class _Outcome:
    """What becomes of the run: judges each model, then says what stderr needs to say."""

    def __init__(self, fail_on: FailOn, require_sparse: bool) -> None:
        self.fail_on = fail_on
        self.require_sparse = require_sparse
        self.code = OK
        self.errors: list[str] = []
        self.failures: list[str] = []

    def judge(self, model: ModelReport) -> Judgement:
        """What the options make of a model; remembers what it means for the run."""
        from .engine import exit_code, is_sparse
        from .findings import Severity
        from .reporters.formats import Judgement

        threshold = None if self.fail_on is FailOn.NEVER else Severity(self.fail_on.value)
        self.code = max(self.code, exit_code(model, threshold, require_sparse=self.require_sparse))
        failures: tuple[str, ...] = ()
        if model.error is not None:
            self.errors.append(model.error)
        elif self.require_sparse and self.fail_on is not FailOn.NEVER and not is_sparse(model):
            failures = (f"{model.path}: does not run sparse, which --require-sparse demands",)
            self.failures += failures
        return Judgement(threshold, failures)

    def tell(self) -> None:
        for error in self.errors:
            complain(error)
        for failure in self.failures:
            complain(failure)
