"""The command `xnnlint check`.

Exit codes: 0 no finding at or above --fail-on; 1 findings; 2 something could not be read, or a wrong call.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

from msgspec import Struct, field
from msgspec.structs import replace

from xnnlint.cli.completion import formats, rule_codes
from xnnlint.cli.config_options import ConfigOptions, ExcludeOptions, TargetOptions
from xnnlint.cli.console import FINDINGS, OK, TROUBLE, complain, warn
from xnnlint.cli.scale_options import Engine, EngineOptions
from xnnlint.errors import XnnlintError
from xnnlint.reporters.check_formats import TEXT, format_names, report_class

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import typer

    from xnnlint.cli.option_types import CostProfileOption
    from xnnlint.cli.report_files import ReportFiles
    from xnnlint.cli.result_cache import ResultCache
    from xnnlint.cli.session import Session, Task
    from xnnlint.config.settings import Resolver, Settings
    from xnnlint.linter.baseline import Baseline
    from xnnlint.linter.findings import ModelReport
    from xnnlint.linter.wanted import Wanted
    from xnnlint.reporters.check_report import ReportSetting
    from xnnlint.reporters.model_row import Checked


class FailOn(str, Enum):
    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"
    NEVER = "never"


def _known_format(value: str) -> str:
    if value not in format_names():
        import typer

        raise typer.BadParameter(f"{value!r} is not one of {', '.join(map(repr, format_names()))}.")
    return value


class SelectionOptions(Struct, frozen=True):
    """Which findings count, and how much."""

    select: Annotated[
        list[str],
        typer.Option(
            metavar="RULES",
            help="Report only these: codes, starts of codes, names; comma-separated, or repeated.",
            autocompletion=rule_codes,
        ),
    ] = field(default_factory=list)
    ignore: Annotated[
        list[str],
        typer.Option(
            metavar="RULES", help="Do not report these; the outcome stays what it is.", autocompletion=rule_codes
        ),
    ] = field(default_factory=list)
    fail_on: Annotated[
        FailOn | None, typer.Option(help="Exit with 1 on findings at or above this severity; by default error.")
    ] = None
    require_sparse: Annotated[
        bool | None,
        typer.Option(
            "--require-sparse/--no-require-sparse",
            show_default=False,
            help="Fail for every model that does not run sparse, pruned or not.",
        ),
    ] = None


class ShownOptions(Struct, frozen=True):
    """What the report says."""

    plan: Annotated[
        bool, typer.Option("--plan", help="Print the table of operators: kernel, partition, time (JSON always has it).")
    ] = False
    assume_pruned: Annotated[
        str, typer.Option(metavar="SHARES", help="Forecast a model pruned to this share, such as 0.8, or to several.")
    ] = ""
    fixes: Annotated[
        bool, typer.Option("--fixes", help="Try what xnnlint fix would bring, for large models, too; writes nothing.")
    ] = False
    cost_profile: CostProfileOption = ""
    policy: Annotated[
        bool, typer.Option("--policy", help="Also say what TFMOT's pruning policy refuses in a Keras model.")
    ] = False
    statistics: Annotated[bool, typer.Option("--statistics", help="Say how often each rule was found.")] = False
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only the models that fail, no summary.")] = False
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print everything about each model and finding, with sources.")
    ] = False


class CheckOptions(Struct, frozen=True):
    """What `xnnlint check` is called with."""

    paths: Annotated[
        list[str] | None,  # click 8.1 takes no list as the default of an argument
        typer.Argument(
            metavar="PATH",
            help="Model files, folders to search for them, quoted patterns such as 'models/**/*.tflite', addresses "
            "such as s3://bucket/folder, - for stdin; "
            "or module:function, your own code that makes a Keras model: it is imported and run, while files never "
            "are. Without PATH: the `models` of the configuration.",
        ),
    ] = None
    form: Annotated[
        str,
        typer.Option(
            "--format",
            "-f",
            metavar="NAME",
            callback=_known_format,
            help=f"How to print: {', '.join(format_names())}.",
            autocompletion=formats,
        ),
    ] = TEXT
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", show_default=False, help="Write to FILE instead of stdout.")
    ] = "-"
    report: Annotated[
        list[str],
        typer.Option(metavar="FORMAT=FILE", help="Write a report in another format, too; may be given several times."),
    ] = field(default_factory=list)
    target: TargetOptions = field(default_factory=TargetOptions)
    selection: SelectionOptions = field(default_factory=SelectionOptions)
    shown: ShownOptions = field(default_factory=ShownOptions)
    exit_zero: Annotated[
        bool,
        typer.Option("--exit-zero", help="Exit with 0 whatever is found; a file that cannot be read still gives 2."),
    ] = False
    baseline: Annotated[
        str, typer.Option(metavar="FILE", help="Report only what is not in this file of accepted findings.")
    ] = ""
    write_baseline: Annotated[
        bool, typer.Option("--write-baseline", help="Accept what is found now: write it to the baseline.")
    ] = False
    jobs: Annotated[
        str, typer.Option("--jobs", "-j", metavar="N", help="Processes, by default 1; 0 or auto: one for each CPU.")
    ] = ""
    allow_code: Annotated[
        bool, typer.Option("--allow-code", help="Allow the project's configuration to name code that is run.")
    ] = False
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="Allow the project's configuration to name models at addresses.")
    ] = False
    where: EngineOptions = field(default_factory=EngineOptions)
    resume: Annotated[
        str,
        typer.Option(metavar="FILE", help="Add a JSON line for each model to FILE; those that it has are not checked."),
    ] = ""
    watch: Annotated[bool, typer.Option("--watch", help="Check again whenever a model is written, until Ctrl-C.")] = (
        False
    )
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Check every model anew, and remember nothing of it.")
    ] = False
    passed_over: ExcludeOptions = field(default_factory=ExcludeOptions)
    stdin_filename: Annotated[
        str, typer.Option(metavar="NAME", help="What to call the model that - reads from stdin.")
    ] = ""
    configuration: ConfigOptions = field(default_factory=ConfigOptions)


def check(options: CheckOptions) -> None:
    """Say what XNNPACK will do with each model, what stops the sparse kernels, and what to change."""
    import typer

    raise typer.Exit(run(options))


def run(options: CheckOptions) -> int:
    """The command without typer; the exit code."""
    # Importing makes many objects and no garbage; looking for some takes a tenth of the start.
    gc.disable()
    import xnnlint.cli.report_files
    import xnnlint.cli.session  # noqa: F401

    gc.freeze()
    gc.enable()
    if options.shown.quiet and options.shown.verbose:
        raise XnnlintError("--quiet and --verbose contradict each other")
    options.where.check()
    if options.allow_code:
        from xnnlint.cli.code_permission import CODE, allow

        allow(CODE)
    if options.allow_remote:
        from xnnlint.cli.code_permission import REMOTE, allow

        allow(REMOTE)
    if options.watch:
        _watch(options)
    return _checked(options)


def _watch(options: CheckOptions) -> NoReturn:
    """Check once, and then each model that is written."""
    from xnnlint.cli.watching import changed
    from xnnlint.loaders import is_callable
    from xnnlint.loaders.addresses import is_address
    from xnnlint.loaders.search import STDIN, search

    given = options.paths or []
    if options.resume or options.where.engine is Engine.DASK:
        raise XnnlintError("--watch checks here, and goes without --resume and --engine dask")
    unwatched = any(path == STDIN or is_callable(path) or is_address(path) for path in given)
    if not given or unwatched or options.write_baseline:
        raise XnnlintError("--watch takes files and folders as PATH, and writes no baseline")
    excluded = _resolver(options).excluded
    written = changed(lambda: [found.path for found in search(given, excluded) if found.error is None])
    _checked(options)
    if not options.shown.quiet:
        print("xnnlint: watching; Ctrl-C ends", file=sys.stderr)
    for paths in written:
        if options.form == TEXT:
            print(flush=True)  # between two reports
        _checked(replace(options, paths=paths))
    raise AssertionError("it is watched for ever")


def _checked(options: CheckOptions) -> int:
    """One check of all models; the exit code."""
    from xnnlint.cli.report_files import ReportFiles
    from xnnlint.cli.session import Session

    shown, of_graphs = options.shown, _of_one_graph(options)
    session = Session(
        options.paths or [],
        _resolver(options),
        stdin_name=options.stdin_filename,
        wanted=_wanted(shown),
        cost_profile=shown.cost_profile,
        policy=shown.policy,
        fixes=shown.fixes,
        graphs=bool(of_graphs),
        content=_has_rows_kept(options),
    )
    if of_graphs and len(session.tasks) > 1:
        raise XnnlintError(f"{of_graphs[0]} shows one model, not {len(session.tasks)}")
    with_bar = not shown.quiet
    accepted = _baseline(options.baseline, session.settings, to_write=options.write_baseline)
    if options.write_baseline and accepted is not None:
        return _write_baseline(accepted, session.reports(with_bar=with_bar))
    files = ReportFiles(options.form, options.output, options.report, _setting(shown, session, accepted))
    of_many = bool(options.resume) or options.where.engine is Engine.DASK
    if of_many and (accepted is not None or not files.takes_rows):
        raise XnnlintError(
            "--engine dask and --resume are for tables of many models: text, jsonl or parquet, without --baseline"
        )
    outcome = _RunOutcome()
    with contextlib.closing(files):
        cache = None if of_many or accepted is not None else _cache(options, session, files)
        if of_many:
            _add_rows_of_many(options, session, files, outcome)
        elif files.takes_rows and accepted is None:
            _add_rows(session, files, outcome, cache, with_bar=with_bar)
        else:
            _add_models(session, files, outcome, accepted, cache, with_bar=with_bar)
        if cache is not None:
            cache.end()
        code = OK if options.exit_zero and outcome.code == FINDINGS else outcome.code
        try:
            files.end(code)
        finally:
            outcome.complain()
            if accepted is not None and not shown.quiet:
                _warn_of_stale(accepted)
    return code


def _add_rows_of_many(options: CheckOptions, session: Session, files: ReportFiles, outcome: _RunOutcome) -> None:
    """Check all models on a cluster, or those that a file of lines does not have; it is all that is kept."""
    from xnnlint.cli.many_models import rows

    with_bar, with_lines = not options.shown.quiet, files.takes_lines
    for checked in rows(session, options.where, options.resume, with_lines=with_lines, with_bar=with_bar):
        files.add_row(checked)
        outcome.add(checked.row.exit_code, checked.row.error, checked.row.failures)


def _add_rows(
    session: Session, files: ReportFiles, outcome: _RunOutcome, cache: ResultCache | None, *, with_bar: bool
) -> None:
    """Check all models where they are told by rows: all of it is done in the processes that check them."""
    from xnnlint.cli.result_cache import Kept, checked

    def fresh(tasks: Sequence[Task], *, with_bar: bool = with_bar) -> Iterator[Checked]:
        from xnnlint.cli.work import check_line, check_row, failed

        return session.each(check_line if files.takes_lines else check_row, failed, tasks, with_bar=with_bar)

    for task, found in checked(session.tasks, cache, fresh):
        if isinstance(found, Kept):
            files.put(found.taken)
            outcome.add(found.code, None, found.failures)
            continue
        row = found.row
        files.add_row(found)
        outcome.add(row.exit_code, row.error, row.failures)
        if cache is not None and row.error is None:
            cache.keep(task, Kept(row.exit_code, row.failures, files.taken_rows(found)))


def _add_models(
    session: Session,
    files: ReportFiles,
    outcome: _RunOutcome,
    accepted: Baseline | None,
    cache: ResultCache | None,
    *,
    with_bar: bool,
) -> None:
    """Check all models where a report needs the whole of each, or the baseline does."""
    from xnnlint.cli.result_cache import Kept, checked

    def fresh(tasks: Sequence[Task], *, with_bar: bool = with_bar) -> Iterator[ModelReport]:
        return (model for model, _ in session.reports(tasks, with_bar=with_bar))

    for task, model in checked(session.tasks, cache, fresh):
        if isinstance(model, Kept):
            files.put(model.taken)
            outcome.add(model.code, None, model.failures)
            continue
        from xnnlint.cli.judging import judged

        if accepted is not None:
            accepted.judge(model)
        code, judgement = judged(model, task.settings, session.profile)
        row = None
        if files.takes_some_rows:
            from xnnlint.cli.work import judged_record, with_line

            row = with_line(judged_record(model, task))
        taken = files.add(model, judgement, row)
        outcome.add(code, model.error, judgement.failures)
        if cache is not None and model.error is None:
            cache.keep(task, Kept(code, judgement.failures, taken))


def _has_rows_kept(options: CheckOptions) -> bool:
    """Whether a report has rows that are kept, and not only shown."""
    return bool(options.resume) or any(
        name in format_names() and report_class(name).keeps_rows for name in _formats(options)
    )


def _cache(options: CheckOptions, session: Session, files: ReportFiles) -> ResultCache | None:
    from xnnlint.cli.result_cache import ResultCache, is_wanted

    if files.can_keep and is_wanted(given=options.no_cache, configured=session.settings["no-cache"]):
        return ResultCache(session, files)
    return None


def _of_one_graph(options: CheckOptions) -> list[str]:
    """The formats that are wanted and show the graph of one model."""
    return [name for name in _formats(options) if name in format_names() and report_class(name).of_one_graph]


def _formats(options: CheckOptions) -> list[str]:
    return [options.form, *(text.partition("=")[0] for text in options.report)]


def _wanted(shown: ShownOptions) -> Wanted:
    from xnnlint.cli.config_options import share_option
    from xnnlint.linter.wanted import Wanted

    texts = shown.assume_pruned.split(",") if shown.assume_pruned else []
    shares = [share_option("--assume-pruned", text.strip() or ",", with_ends=True) for text in texts]
    return Wanted(tuple(share for share in shares if share is not None), pack_all=shown.verbose)


def _resolver(options: CheckOptions) -> Resolver:
    from xnnlint.cli.config_options import resolver

    selection = options.selection
    given = {
        "runtime": options.target.runtimes,
        "cpu": options.target.cpu,
        "select": selection.select,
        "ignore": selection.ignore,
        "fail-on": selection.fail_on and selection.fail_on.value,
        "require-sparse": selection.require_sparse,
        "jobs": options.jobs,
    }
    return resolver(options.configuration, given | options.passed_over.as_keys())


def _setting(shown: ShownOptions, session: Session, accepted: Baseline | None) -> ReportSetting:
    from xnnlint.reporters.check_report import ReportSetting
    from xnnlint.reporters.source_paths import source_root

    return ReportSetting(
        session.profile,
        with_plan=shown.plan,
        verbose=shown.verbose,
        quiet=shown.quiet,
        statistics=shown.statistics,
        names=tuple(task.request.path for task in session.tasks),
        root=source_root(),
        baseline=accepted,
    )


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


def _write_baseline(baseline: Baseline, found: Iterator[tuple[ModelReport, Task]]) -> int:
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
    print(f"xnnlint: wrote {counted} to {baseline.file}", file=sys.stderr)
    return TROUBLE if errors else OK


def _warn_of_stale(baseline: Baseline) -> None:
    from xnnlint.linter.baseline import stale_sentence

    warning = stale_sentence(baseline.finish(), baseline.file)
    if warning:
        warn(warning)


class _RunOutcome:
    """What becomes of the run, and what stderr needs to say of it at the end."""

    def __init__(self) -> None:
        self.code = OK
        self.errors: list[str] = []
        self.failures: list[str] = []

    def add(self, code: int, error: str | None, failures: Sequence[str]) -> None:
        """Remember what a model means for the run."""
        self.code = max(self.code, code)
        self.errors += [error] if error is not None else []
        self.failures += failures

    def complain(self) -> None:
        for sentence in [*self.errors, *self.failures]:
            complain(sentence)
