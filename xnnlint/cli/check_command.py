"""The command `xnnlint check`.

Exit codes: 0 no finding at or above --fail-on; 1 findings; 2 something could not be read, or a wrong call.
"""

from __future__ import annotations

import gc
import os
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xnnlint.cli.config_options import (
    ConfigOption,
    CpuOption,
    ExcludeOption,
    ForceExcludeOption,
    IgnoreOption,
    IsolatedOption,
    RuntimeOption,
    SelectOption,
    StdinNameOption,
)
from xnnlint.cli.console import FINDINGS, OK, TROUBLE, complain
from xnnlint.errors import XnnlintError
from xnnlint.reporters.formats import CheckFormat

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xnnlint.config.settings import Settings
    from xnnlint.linter.baseline import Baseline
    from xnnlint.linter.findings import ModelReport
    from xnnlint.reporters.formats import Judgement
    from xnnlint.xnnpack.profile import Profile


class FailOn(str, Enum):
    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"
    NEVER = "never"


def check(
    paths: Annotated[
        list[str] | None,  # click 8.1 takes no list as the default of an argument
        typer.Argument(
            metavar="PATH",
            help="Model files, folders to search for them, quoted patterns such as 'models/**/*.tflite', - for stdin; "
            "or module:function, your own code that makes a Keras model: it is imported and run, while files never "
            "are. Without PATH: the `models` of the configuration.",
        ),
    ] = None,
    form: Annotated[CheckFormat, typer.Option("--format", "-f", help="How to print.")] = CheckFormat.TEXT,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", show_default=False, help="Write to FILE instead of stdout.")
    ] = "-",
    report: Annotated[
        list[str],
        typer.Option(metavar="FORMAT=FILE", help="Write a report in another format, too; may be given several times."),
    ] = [],  # noqa: B006 (typer copies it)
    runtime: RuntimeOption = "",
    cpu: CpuOption = "",
    select: SelectOption = [],  # noqa: B006
    ignore: IgnoreOption = [],  # noqa: B006
    fail_on: Annotated[
        FailOn | None, typer.Option(help="Least severity that makes the exit code 1; by default error.")
    ] = None,
    require_sparse: Annotated[
        bool | None,
        typer.Option(
            "--require-sparse/--no-require-sparse",
            show_default=False,
            help="Fail for every model that does not run sparse, pruned or not.",
        ),
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Print the kernel of every operator, too (JSON always has them).")
    ] = False,
    assume_pruned: Annotated[
        str, typer.Option(metavar="SHARE", help="Forecast a Keras model pruned to this share, such as 0.8.")
    ] = "",
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
    baseline: Annotated[
        str, typer.Option(metavar="FILE", help="Report only what is not in this file of accepted findings.")
    ] = "",
    write_baseline: Annotated[
        bool, typer.Option("--write-baseline", help="Accept what is found now: write it to the baseline.")
    ] = False,
    jobs: Annotated[
        str, typer.Option("--jobs", "-j", metavar="N", help="Processes, by default 1; 0 or auto: one for each CPU.")
    ] = "",
    exclude: ExcludeOption = [],  # noqa: B006
    force_exclude: ForceExcludeOption = False,
    stdin_filename: StdinNameOption = "",
    config: ConfigOption = [],  # noqa: B006
    isolated: IsolatedOption = False,
) -> None:
    """Say what XNNPACK will do with each model, what stops the sparse path, and what to change."""
    # Importing makes many objects and no garbage; looking for some takes a tenth of the start.
    gc.disable()
    from xnnlint.cli.config_options import resolver, share_option
    from xnnlint.cli.output import Outputs
    from xnnlint.cli.session import Session
    from xnnlint.reporters.formats import Setting
    from xnnlint.reporters.words import source_root

    gc.freeze()
    gc.enable()
    if quiet and verbose:
        raise XnnlintError("--quiet and --verbose contradict each other")
    assumed = share_option("--assume-pruned", assume_pruned, with_ends=True)
    settings = resolver(
        config=config,
        isolated=isolated,
        select=select,
        ignore=ignore,
        exclude=exclude,
        force_exclude=force_exclude,
        runtime=runtime,
        cpu=cpu,
        fail_on=fail_on and fail_on.value,
        require_sparse=require_sparse,
        jobs=jobs,
    )
    session = Session(paths or [], settings, stdin_name=stdin_filename, assume_pruned=assumed, policy=policy)
    found = session.reports(with_bar=not quiet)
    accepted = _baseline(baseline, session.settings, to_write=write_baseline)
    if write_baseline and accepted is not None:
        raise typer.Exit(_write_baseline(accepted, found))
    setting = Setting(
        session.profile,
        with_plan=plan,
        verbose=verbose,
        quiet=quiet,
        statistics=statistics,
        root=source_root(),
        baseline=accepted,
    )
    outputs = Outputs(form, output, report, setting)
    outcome = _Outcome(session.profile)
    for model, held in found:
        if accepted is not None:
            accepted.judge(model)
        outputs.add(model, outcome.judge(model, held))
    code = OK if exit_zero and outcome.code == FINDINGS else outcome.code
    try:
        outputs.end(code)
    finally:
        outcome.tell()
        if accepted is not None and not quiet:
            _tell_stale(accepted)
    raise typer.Exit(code)


def _baseline(file: str, settings: Settings, *, to_write: bool) -> Baseline | None:
    """The accepted findings; without a file to write to, or with one that is not there yet, none."""
    configured = settings["baseline"]
    if not file and configured:
        file = os.path.relpath(Path(settings.folder, configured))
    if not file and to_write:
        raise XnnlintError("say where to write with --baseline FILE, or with `baseline` in the configuration")
    if not file:
        return None
    from xnnlint.linter.baseline import Baseline, read

    return Baseline(file) if to_write and not Path(file).exists() else read(file)


def _write_baseline(baseline: Baseline, found: Iterator[tuple[ModelReport, Settings]]) -> int:
    """Accept all findings; the exit code."""
    errors, findings, models = [], 0, 0
    for model, _ in found:
        if model.error is not None:
            errors.append(model.error)
        accepted = baseline.accept(model)
        findings, models = findings + accepted, models + (accepted > 0)
    baseline.write()
    for error in errors:
        complain(error)
    counted = f"{findings} finding{'' if findings == 1 else 's'} of {models} model{'' if models == 1 else 's'}"
    typer.echo(f"xnnlint: wrote {counted} to {baseline.file}", err=True)
    return TROUBLE if errors else OK


def _tell_stale(baseline: Baseline) -> None:
    from xnnlint.linter.baseline import stale_sentence
    from xnnlint.reporters.styled_lines import safe

    told = stale_sentence(baseline.finish(), baseline.file)
    if told:
        typer.echo(f"xnnlint: warning: {safe(told)}", err=True)


class _Outcome:
    """What becomes of the run: judges each model, then says what stderr needs to say."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.code = OK
        self.errors: list[str] = []
        self.failures: list[str] = []

    def judge(self, model: ModelReport, settings: Settings) -> Judgement:
        """What its settings make of a model; remembers what it means for the run."""
        from xnnlint.linter.engine import exit_code, is_sparse
        from xnnlint.linter.findings import Severity
        from xnnlint.reporters.formats import Judgement

        fail_on, require_sparse = settings["fail-on"], settings["require-sparse"]
        threshold = None if fail_on == FailOn.NEVER.value else Severity(fail_on)
        self.code = max(self.code, exit_code(model, threshold, require_sparse=require_sparse))
        failures: tuple[str, ...] = ()
        if model.error is not None:
            self.errors.append(model.error)
        elif require_sparse and threshold is not None and not is_sparse(model):
            failures = (f"{model.path}: does not run sparse, which --require-sparse demands",)
            self.failures += failures
        other = model.profile if model.profile != self.profile else None
        return Judgement(threshold, failures, other, settings.tells)

    def tell(self) -> None:
        for error in self.errors:
            complain(error)
        for failure in self.failures:
            complain(failure)
