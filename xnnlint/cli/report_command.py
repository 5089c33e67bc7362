"""The command `xnnlint report`.

Exit codes: 0 the page is written, whatever is in it; 2 something could not be read or written, or a wrong call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xnnlint.cli.config_options import ConfigOptions, ExcludeOptions, TargetOptions
from xnnlint.cli.console import OK, TROUBLE, complain
from xnnlint.cli.cost_options import CostProfileOption
from xnnlint.errors import XnnlintError

if TYPE_CHECKING:
    from xnnlint.bench.saved import SavedBench
    from xnnlint.linter.findings import ModelReport
    from xnnlint.reporters.page.document import PageModel
    from xnnlint.xnnpack.profile import Profile


@dataclass(frozen=True)
class PageOptions:
    """What the page shows beside the models."""

    fix: Annotated[bool, typer.Option("--fix", help="Show what `xnnlint fix` would make of each, too.")] = False
    unsafe: Annotated[bool, typer.Option("--unsafe-fixes", help="With --fix: unsafe fixes, too.")] = False
    bench: Annotated[
        list[str],
        typer.Option(
            metavar="FILE", help="Times that `xnnlint bench --format json` wrote; may be given several times."
        ),
    ] = field(default_factory=list)
    assume_pruned: Annotated[
        str, typer.Option(metavar="SHARE", help="Show Keras models as if they were pruned to this share, such as 0.8.")
    ] = ""


@dataclass(frozen=True)
class ReportOptions:
    """What `xnnlint report` is called with."""

    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL", help="Model files, folders, patterns. Two files are compared, too.", show_default=False
        ),
    ]
    output: Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="The page to write.")] = "report.html"
    target: TargetOptions = field(default_factory=TargetOptions)
    page: PageOptions = field(default_factory=PageOptions)
    passed_over: ExcludeOptions = field(default_factory=ExcludeOptions)
    cost_profile: CostProfileOption = ""
    configuration: ConfigOptions = field(default_factory=ConfigOptions)


def report(options: ReportOptions) -> None:
    """Write an HTML page: the graph with what runs each operator, what stops the sparse path, zeros and times.

    It is one file that needs no network. Of two models it also says what became better and worse.
    """
    shown = options.page
    if shown.unsafe and not shown.fix:
        raise XnnlintError("--unsafe-fixes goes with --fix")
    _check_target(options.output)
    from xnnlint import atomic
    from xnnlint.bench.saved import read_bench
    from xnnlint.cli.status_line import status_line
    from xnnlint.linter.comparison import compare
    from xnnlint.reporters.page.document import page

    benches = [read_bench(file) for file in shown.bench]
    checked = list(_checked(options))
    models = [_page_model(model, profile, benches) for model, profile in checked]
    _check_benches(shown.bench, benches, models)
    readable = [model for model in models if model.report.plan is not None]
    comparisons = []
    if shown.fix:
        with status_line("working out the fixes"):
            pairs = [(model, _fixed(model, unsafe=shown.unsafe)) for model in readable]
        for model, fixed in pairs:
            if fixed is not None:
                models.insert(models.index(model) + 1, fixed)
                comparisons.append(compare(model.report, fixed.report))
    elif len(models) == len(readable) == 2:
        comparisons.append(compare(readable[0].report, readable[1].report))
    errors = [model.report.error for model in models if model.report.error is not None]
    if not readable:
        # A page that is there is worth more than one of errors.
        raise XnnlintError(errors[0] if len(errors) == 1 else f"none of {len(errors)} models can be read: {errors[0]}")
    atomic.write(page(models, comparisons).encode("utf-8", "backslashreplace"), Path(options.output))
    for error in errors:
        complain(error)
    typer.echo(f"xnnlint: wrote {options.output}", err=True)
    raise typer.Exit(TROUBLE if errors else OK)


def _checked(options: ReportOptions) -> Sequence[tuple[ModelReport, Profile]]:
    from xnnlint.cli.config_options import resolver, share_option
    from xnnlint.cli.session import Session
    from xnnlint.linter.value import Wanted

    share = share_option("--assume-pruned", options.page.assume_pruned, with_ends=True)
    target = options.target
    given = {"runtime": target.runtime, "cpu": target.cpu} | options.passed_over.as_keys()
    session = Session(
        options.models,
        resolver(options.configuration, given),
        wanted=Wanted(() if share is None else (share,)),
        cost_profile=options.cost_profile,
        graphs=True,
    )
    return [(model, model.profile or session.profile) for model, _ in session.reports()]


def _page_model(model: ModelReport, profile: Profile, benches: Sequence[SavedBench]) -> PageModel:
    from xnnlint.reporters.page.document import PageModel

    return PageModel(
        model, profile, tuple(bench for bench in benches if Path(bench.path).name == Path(model.path).name)
    )


def _check_benches(files: Sequence[str], benches: Sequence[SavedBench], models: Sequence[PageModel]) -> None:
    used = {id(bench) for model in models for bench in model.benches}
    for file, bench in zip(files, benches, strict=True):
        if id(bench) not in used:
            raise XnnlintError(f"{file}: it has times of {bench.path}, which is not among the models")


def _fixed(model: PageModel, *, unsafe: bool) -> PageModel | None:
    """What `xnnlint fix` would make of a model; None where it changes nothing or does not take it."""
    from xnnlint.fixes.remedies import what_fix_would_do
    from xnnlint.linter.engine import check_loaded
    from xnnlint.reporters.page.document import PageModel

    try:
        result = what_fix_would_do(model.report.path, model.profile, unsafe=unsafe)
    except (XnnlintError, OSError):
        return None
    if not result.after.changes:
        return None
    fixed = replace(result.after.plan.model, path=f"{model.report.path}, fixed")
    checked = check_loaded(fixed, model.profile)
    checked.profile = model.profile
    return PageModel(checked, model.profile)


def _check_target(target: str) -> None:
    """What cannot be written is reported before any model is checked."""
    place = Path(target)
    if place.suffix.lower() not in (".html", ".htm"):
        raise XnnlintError(f"{target}: the page is HTML; give it the suffix .html")
    if not place.parent.is_dir():
        raise XnnlintError(f"{target}: there is no folder {str(place.parent)!r} to write to")
