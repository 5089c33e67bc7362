"""The command `xnnlint check`.

Exit codes: 0 no finding at or above --fail-on; 1 findings; 2 something could not be read, or a wrong call.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from .cli import OK, Format, FormatOption, app, complain, write, writing
from .quick_parameters import QuickCommand
from .xnnpack.profile import DEFAULT_CPU, DEFAULT_RUNTIME

if TYPE_CHECKING:
    from .findings import ModelReport
    from .xnnpack.profile import Profile


class FailOn(str, Enum):
    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"
    NEVER = "never"


@app.command(cls=QuickCommand)
def check(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Model files, and folders to search for them.")],
    output: FormatOption = Format.TEXT,
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
) -> None:
    """Say what XNNPACK will do with each model, what stops the sparse path, and what to change."""
    # Importing makes many objects and no garbage; looking for some takes a tenth of the start.
    gc.disable()
    from .engine import check_each
    from .xnnpack.profile import load_profile

    gc.freeze()
    gc.enable()
    profile = load_profile(runtime, cpu)
    outcome = _Outcome(fail_on, require_sparse)
    if policy:
        from .policy_check import check_each_with_policy as check_each
    found = check_each(paths, profile, require_sparse=require_sparse, assume_pruned=assume_pruned)
    models = outcome.watch(found)
    if output is Format.JSON:
        from .reporters.json import document, dumps

        write(dumps(document(profile, models)) + "\n")
    else:
        _print_report(models, profile, with_plan=plan)
    outcome.tell()
    raise typer.Exit(outcome.code)


class _Outcome:
    """What becomes of the run: watches the models go by, then says what stderr needs to say."""

    def __init__(self, fail_on: FailOn, require_sparse: bool) -> None:
        self.fail_on = fail_on
        self.require_sparse = require_sparse
        self.code = OK
        self.errors: list[str] = []
        self.not_sparse: list[str] = []

    def watch(self, models: Iterable[ModelReport]) -> Iterator[ModelReport]:
        from .engine import exit_code, is_sparse
        from .findings import Severity

        threshold = None if self.fail_on is FailOn.NEVER else Severity(self.fail_on.value)
        for model in models:
            self.code = max(self.code, exit_code(model, threshold, require_sparse=self.require_sparse))
            if model.error is not None:
                self.errors.append(model.error)
            elif self.require_sparse and not is_sparse(model):
                self.not_sparse.append(model.path)
            yield model

    def tell(self) -> None:
        for error in self.errors:
            complain(error)
        for path in self.not_sparse:
            complain(f"{path}: does not run sparse, which --require-sparse demands")


def _print_report(models: Iterable[ModelReport], profile: Profile, *, with_plan: bool) -> None:
    from .reporters.layout import Printer
    from .reporters.text import Tally, model_lines, summary_lines

    printer, tally = Printer(), Tally()
    for model in models:
        tally.add(model)
        if model.error is None:
            lines = model_lines(model, profile, printer.width, with_plan=with_plan, for_pipe=not printer.is_terminal)
            with writing():
                printer.print([*lines, []])
    if tally.models > 1 or not tally.unreadable:
        with writing():
            printer.print(summary_lines(tally, printer.width))
