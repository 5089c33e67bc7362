"""The command `xnnlint report`: a page to look at, or the graph alone for a document or a program.

Exit codes: 0 it is written, whatever is in it; 2 something could not be read or written, or a wrong call.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec import Struct, field
from msgspec.structs import replace

from xnnlint.cli.config_options import ConfigOptions, ExcludeOptions, TargetOptions
from xnnlint.cli.console import OK, TROUBLE, complain, warn, write
from xnnlint.cli.option_types import CostProfileOption
from xnnlint.errors import XnnlintError

if TYPE_CHECKING:
    from xnnlint.bench.saved import SavedBench
    from xnnlint.cli.session import Session
    from xnnlint.config.settings import Settings
    from xnnlint.linter.findings import ModelReport
    from xnnlint.reporters.page.document import PageModel
    from xnnlint.xnnpack.profile import Profile


class ReportFormat(str, Enum):
    HTML = "html"
    SVG = "svg"
    DOT = "dot"
    JSON = "json"


_STDOUT = "-"
_PAGE = "report.html"
_BY_SUFFIX = {
    ".html": ReportFormat.HTML,
    ".htm": ReportFormat.HTML,
    ".svg": ReportFormat.SVG,
    ".dot": ReportFormat.DOT,
    ".gv": ReportFormat.DOT,
    ".json": ReportFormat.JSON,
}


class PageOptions(Struct, frozen=True):
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


class ReportOptions(Struct, frozen=True):
    """What `xnnlint report` is called with."""

    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL", help="Model files, folders, patterns. Two files are compared, too.", show_default=False
        ),
    ]
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="What to write; by default report.html, and stdout for other formats.",
            show_default=False,
        ),
    ] = ""
    form: Annotated[
        ReportFormat | None,
        typer.Option(
            "--format",
            "-f",
            help="html, the page; svg or dot, the graph of one model alone; json, all graphs for programs. By default "
            "what FILE ends in says so.",
            show_default=False,
        ),
    ] = None
    target: TargetOptions = field(default_factory=TargetOptions)
    page: PageOptions = field(default_factory=PageOptions)
    passed_over: ExcludeOptions = field(default_factory=ExcludeOptions)
    cost_profile: CostProfileOption = ""
    configuration: ConfigOptions = field(default_factory=ConfigOptions)


def report(options: ReportOptions) -> None:
    """Write an HTML page: the graph with what runs each operator, what stops the sparse path, zeros and times.

    It is one file that needs no network. Of two models it also says what became better and worse. With
    `-o graph.svg` it is the graph alone, for a document.
    """
    if options.page.unsafe and not options.page.fix:
        raise XnnlintError("--unsafe-fixes goes with --fix")
    form = options.form or _BY_SUFFIX.get(Path(options.output).suffix.lower(), ReportFormat.HTML)
    target = options.output or (_PAGE if form is ReportFormat.HTML else _STDOUT)
    _check_target(target, form)
    errors: list[str] = []
    if form in (ReportFormat.SVG, ReportFormat.DOT):
        text = _graph_alone(options, form.value)
    else:
        text, errors = _all_graphs(options, form)
    if target == _STDOUT:
        write(text)
    else:
        from xnnlint import atomic

        atomic.write(text.encode("utf-8", "backslashreplace"), target)
    for error in errors:
        complain(error)
    if target != _STDOUT:
        typer.echo(f"xnnlint: wrote {target}", err=True)
    raise typer.Exit(TROUBLE if errors else OK)


def _graph_alone(options: ReportOptions, form: str) -> str:
    """The graph of one model, as `xnnlint check --format` gives it, too."""
    from xnnlint.reporters.check_formats import new_report
    from xnnlint.reporters.check_report import ModelJudgement, ReportSetting

    if options.page.fix or options.page.bench:
        raise XnnlintError(f"{form} is the graph of the model as it is; --fix and --bench go with the page")
    session = _session(options)
    if len(session.tasks) != 1:
        raise XnnlintError(f"{form} shows one model, not {len(session.tasks)}")
    ((model, _),) = session.reports()
    if model.error is not None:
        raise XnnlintError(model.error)
    text = new_report(form, ReportSetting(session.profile)).add(model, ModelJudgement())
    assert isinstance(text, str)
    return text


def _all_graphs(options: ReportOptions, form: ReportFormat) -> tuple[str, list[str]]:
    """The page or the document of all models, and what is wrong with those that cannot be read.

    Raises:
        XnnlintError: none can be read; a page that is there is worth more than one of errors.
    """
    from xnnlint.bench.saved import read_bench
    from xnnlint.cli.status_line import status_line
    from xnnlint.linter.comparison import compare
    from xnnlint.reporters.json_document import dumps
    from xnnlint.reporters.page.document import graphs, page

    shown = options.page
    benches = [read_bench(file) for file in shown.bench]
    session = _session(options)
    models = [_page_model(model, model.profile or session.profile, benches) for model, _ in session.reports()]
    _check_benches(shown.bench, benches, models)
    readable = [model for model in models if model.report.plan is not None]
    errors = [model.report.error for model in models if model.report.error is not None]
    if not readable:
        raise XnnlintError(errors[0] if len(errors) == 1 else f"none of {len(errors)} models can be read: {errors[0]}")
    comparisons = []
    if shown.fix:
        with status_line("working out the fixes"):
            pairs = [(model, _fixed(model, session.settings, unsafe=shown.unsafe)) for model in readable]
        for model, fixed in pairs:
            if isinstance(fixed, str):
                warn(fixed)
            else:
                models.insert(models.index(model) + 1, fixed)
                comparisons.append(compare(model.report, fixed.report))
    elif len(models) == len(readable) == 2:
        comparisons.append(compare(readable[0].report, readable[1].report))
    return (dumps(graphs(models)) + "\n" if form is ReportFormat.JSON else page(models, comparisons)), errors


def _session(options: ReportOptions) -> Session:
    from xnnlint.cli.config_options import resolver, share_option
    from xnnlint.cli.session import Session
    from xnnlint.linter.wanted import Wanted

    share = share_option("--assume-pruned", options.page.assume_pruned, with_ends=True)
    target = options.target
    given = {"runtime": target.runtimes, "cpu": target.cpu} | options.passed_over.as_keys()
    return Session(
        options.models,
        resolver(options.configuration, given),
        wanted=Wanted(() if share is None else (share,)),
        cost_profile=options.cost_profile,
        graphs=True,
    )


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


def _fixed(model: PageModel, settings: Settings, *, unsafe: bool) -> PageModel | str:
    """What `xnnlint fix` would make of a model; or why there is nothing to show."""
    from xnnlint.cli.remote_files import as_file
    from xnnlint.fixes.remedies import what_fix_would_do
    from xnnlint.linter.engine import check_loaded, sentence
    from xnnlint.reporters.page.document import PageModel

    try:
        with as_file(model.report.path, settings) as file:
            result = what_fix_would_do(file, model.profile, unsafe=unsafe)
    except (XnnlintError, OSError) as error:
        return sentence(error, model.report.path)
    if not result.after.changes:
        return f"{model.report.path}: fix changes nothing"
    fixed = replace(result.after.plan.model, path=f"{model.report.path}, fixed")
    checked = check_loaded(fixed, model.profile)
    checked.profile = model.profile
    return PageModel(checked, model.profile)


def _check_target(target: str, form: ReportFormat) -> None:
    """What cannot be written is reported before any model is checked."""
    if target == _STDOUT:
        return
    place = Path(target)
    if _BY_SUFFIX.get(place.suffix.lower()) is not form:
        right = [suffix for suffix, meant in _BY_SUFFIX.items() if meant is form]
        raise XnnlintError(f"{target}: what is written is {form.value}; give it the suffix {right[0]}")
    if not place.parent.is_dir():
        raise XnnlintError(f"{target}: there is no folder {str(place.parent)!r} to write to")
