"""The command `xnnlint compare`.

Exit codes: 0 the second model is no worse; 1 it is, in what --fail-on names; 2 something could not be read, or a wrong
call.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec import Struct, field

from xnnlint.cli.config_options import ConfigOptions, TargetOptions
from xnnlint.cli.console import FINDINGS, OK, print_lines, write
from xnnlint.cli.cost_options import cost_profile
from xnnlint.cli.option_types import CostProfileOption
from xnnlint.errors import XnnlintError

if TYPE_CHECKING:
    from xnnlint.linter.comparison import Aspect
    from xnnlint.linter.findings import ModelReport

DEFAULT_FAIL_ON = "outcome,spmm,time,findings"
NEVER = "never"


class CompareFormat(str, Enum):
    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"


class SecondOptions(Struct, frozen=True):
    """What the second model is planned for, where that is something else."""

    to_runtime: Annotated[
        str,
        typer.Option(metavar="NAME", help="Predict the second for another runtime; with one MODEL, for the same file."),
    ] = ""
    to_cpu: Annotated[str, typer.Option(metavar="NAME", help="Predict the second for another CPU.")] = ""


class CompareOptions(Struct, frozen=True):
    """What `xnnlint compare` is called with."""

    models: Annotated[
        list[str],
        typer.Argument(
            metavar="BEFORE [AFTER]",
            help="Two model files; or one, with --to-runtime or --to-cpu; or two results of check, .jsonl or .json.",
            show_default=False,
        ),
    ]
    target: TargetOptions = field(default_factory=TargetOptions)
    second: SecondOptions = field(default_factory=SecondOptions)
    fail_on: Annotated[
        str,
        typer.Option(
            metavar="ASPECTS",
            help="Exit with 1 where the second is worse in one of: outcome, spmm, time, size, findings; or never.",
        ),
    ] = DEFAULT_FAIL_ON
    form: Annotated[CompareFormat, typer.Option("--format", "-f", help="How to print.")] = CompareFormat.TEXT
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show every operator and finding that differs.")] = (
        False
    )
    rates: CostProfileOption = ""
    configuration: ConfigOptions = field(default_factory=ConfigOptions)


def compare(options: CompareOptions) -> None:
    """Say what became better and worse from one model to another, operator by operator.

    Two exports of one network, before and after pruning, fixing or converting; or one file under two runtimes. Times
    are predicted; `xnnlint bench BEFORE AFTER` measures them.
    """
    aspects = _aspects(options.fail_on)
    from xnnlint.reporters.result_files import is_result_file

    if any(map(is_result_file, options.models)):
        raise typer.Exit(_compare_results(options, aspects))
    from xnnlint.linter.comparison import compare as compared_of

    compared = compared_of(*_reports(options))
    worse = compared.worse(aspects)
    if options.form is CompareFormat.JSON:
        from xnnlint.reporters.compare_json import document
        from xnnlint.reporters.json_document import dumps

        write(dumps(document(compared, worse)) + "\n")
    elif options.form is CompareFormat.MARKDOWN:
        from xnnlint.reporters.compare_markdown import comparison_markdown

        write(comparison_markdown(compared, worse))
    else:
        from xnnlint.reporters.compare_text import comparison_lines

        print_lines(lambda printer: comparison_lines(compared, worse, printer.width, verbose=options.verbose))
    raise typer.Exit(FINDINGS if worse else OK)


def _compare_results(options: CompareOptions, aspects: list[Aspect]) -> int:
    """Compare what `xnnlint check` wrote of many models; the exit code."""
    from xnnlint.reporters.result_files import is_result_file, read_rows
    from xnnlint.reporters.zoo_comparison import ZooComparison, results_of

    first, last, runtimes = options.models[0], options.models[-1], (options.target.runtimes, options.second.to_runtime)
    alone = len(options.models) == 1
    if len(options.models) > 2 or not (is_result_file(first) and is_result_file(last)) or (alone and not all(runtimes)):
        raise XnnlintError("compare takes two results; or one of several runtimes, with --runtime and --to-runtime")
    if options.form is CompareFormat.MARKDOWN:
        raise XnnlintError("results are compared as text or as json, and not as markdown")
    names = tuple(
        f"{path} ({runtime})" if runtime else path for path, runtime in zip((first, last), runtimes, strict=True)
    )
    before, after = (
        results_of(read_rows(path), runtime) for path, runtime in zip((first, last), runtimes, strict=True)
    )
    compared = ZooComparison((names[0], names[1]), before, after)
    worse = compared.worse(aspects)
    if options.form is CompareFormat.JSON:
        from xnnlint.reporters.json_document import dumps

        write(dumps(compared.document(worse)) + "\n")
    else:
        print_lines(lambda printer: compared.lines(printer.width, verbose=options.verbose))
    return FINDINGS if worse else OK


def _aspects(text: str) -> list[Aspect]:
    from xnnlint.linter.comparison import Aspect

    if text == NEVER:
        return []
    known = {aspect.value: aspect for aspect in Aspect}
    names = [part.strip() for part in text.split(",")]
    for name in names:
        if name not in known:
            raise XnnlintError(f"--fail-on {text}: {name!r} is none of {', '.join(known)}, or never")
    return [known[name] for name in names]


def _reports(options: CompareOptions) -> tuple[ModelReport, ModelReport]:
    """Both models, checked as `xnnlint check` does.

    Raises:
        XnnlintError: one of them cannot be read, or the call names something else than two.
    """
    second = options.second
    elsewhere = bool(second.to_runtime or second.to_cpu)
    if len(options.models) > 2 or (len(options.models) == 1 and not elsewhere):
        raise XnnlintError("compare takes two models; or one, with --to-runtime or --to-cpu")
    before, after = options.models[0], options.models[-1]
    target = options.target
    return (
        _report(before, options, target.runtimes, target.cpu),
        _report(after, options, second.to_runtime or target.runtimes, second.to_cpu or target.cpu),
    )


def _report(path: str, options: CompareOptions, runtime: str, cpu: str) -> ModelReport:
    from xnnlint.cli.config_options import resolver
    from xnnlint.cli.remote_files import as_file
    from xnnlint.config.applied import apply
    from xnnlint.linter.engine import check_model
    from xnnlint.linter.findings import called
    from xnnlint.linter.wanted import Wanted
    from xnnlint.loaders.addresses import shown
    from xnnlint.xnnpack.profile import load_profile

    settings = resolver(options.configuration, {"runtime": runtime, "cpu": cpu}).for_model(path)
    profile = load_profile(settings["runtime"], settings["cpu"]).knowing(settings["custom-operators"])
    with as_file(path, settings) as file:
        report = check_model(file, profile, wanted=Wanted(cost_profile=cost_profile(options.rates)))
    report = called(report, file, shown(path))
    if report.error is not None:
        raise XnnlintError(report.error)
    report.profile = profile
    return apply(report, settings)
