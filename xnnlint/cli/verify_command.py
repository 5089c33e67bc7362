"""The command `xnnlint verify`.

Exit codes: 0 every prediction agrees with its run, and the results are right; 1 one differs, or the outcome is
wrong-results or fails; 2 something could not be run or read.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer
from msgspec import Struct, field
from msgspec.structs import replace

from xnnlint.cli.config_options import ConfigOptions, ExcludeOptions
from xnnlint.cli.console import complain, warn, write, writing
from xnnlint.cli.scale_options import Engine, EngineOptions

if TYPE_CHECKING:
    from xnnlint.config.settings import Settings
    from xnnlint.loaders.search import Found
    from xnnlint.reporters.model_record import Record
    from xnnlint.runtime.verify import Setting, Verdict, Verification


class VerifyFormat(str, Enum):
    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"


class VerifyOptions(Struct, frozen=True):
    """What `xnnlint verify` is called with."""

    paths: Annotated[list[str], typer.Argument(metavar="PATH", help="Model files, and folders to search for them.")]
    output: Annotated[VerifyFormat, typer.Option("--format", "-f", help="How to print.")] = VerifyFormat.TEXT
    runtime: Annotated[
        str, typer.Option(metavar="NAME", help="Runtime to predict for; by default that of the release that runs.")
    ] = ""
    cpu: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="CPU to run on: x86-sse, x86-avx, arm64, or auto for one with the sparse path; by default auto.",
        ),
    ] = ""
    litert_version: Annotated[
        str, typer.Option(metavar="VERSION", help="LiteRT release to run, installed into a cache of its own.")
    ] = ""
    seeds: Annotated[int | None, typer.Option(metavar="N", min=1, help="Random inputs per model, by default 3.")] = None
    where: EngineOptions = field(default_factory=EngineOptions)
    jobs: Annotated[
        str, typer.Option("--jobs", "-j", metavar="N", help="With --engine dask and no scheduler: workers here.")
    ] = ""
    resume: Annotated[
        str,
        typer.Option(metavar="FILE", help="Add a JSON line for each model to FILE; those that it has are not run."),
    ] = ""
    passed_over: ExcludeOptions = field(default_factory=ExcludeOptions)
    configuration: ConfigOptions = field(default_factory=ConfigOptions)


def verify(options: VerifyOptions) -> None:
    """Run each model in the real runtime and compare what happens with the prediction, operator by operator."""
    from xnnlint.cli.config_options import resolver
    from xnnlint.runtime.verify import choose, runnable

    given = {
        "verify.runtime": options.runtime,
        "verify.cpu": options.cpu,
        "verify.litert-version": options.litert_version,
        "verify.seeds": options.seeds,
        "jobs": options.jobs,
    }
    options.where.check()
    settings = resolver(options.configuration, given | options.passed_over.as_keys())
    run = settings.for_run()
    setting = choose(
        run["verify.runtime"], run["verify.cpu"], run["verify.litert-version"], run["verify.seeds"], _announce
    )
    setting = replace(setting, profile=setting.profile.knowing(run["custom-operators"]))
    watch = _Watch()
    models = runnable(options.paths, settings.excluded)
    with contextlib.closing(_verified(options, run, setting, models)) as found:
        if options.output is VerifyFormat.JSON:
            from xnnlint.reporters.json_document import dumps
            from xnnlint.reporters.verify_json import document

            write(dumps(document(setting, (model.line for model in watch.each(found)))) + "\n")
        elif options.output is VerifyFormat.JSONL:
            _print_lines(watch.each(found))
        else:
            _print_report(watch.each(found), setting)
    for error in watch.errors:
        complain(error)
    raise typer.Exit(watch.code)


class _Judged(NamedTuple):
    """A model, and all that is told of it.

    Attributes:
        line: the document of its line.
        verification: None where the line is all that is known, from an earlier run.
    """

    verdict: Verdict
    line: Record
    verification: Verification | None = None


def _verified(options: VerifyOptions, run: Settings, setting: Setting, models: Sequence[Found]) -> Generator[_Judged]:
    """All models: first those that the file of lines knows, then the others, whose lines it gets."""
    from xnnlint.cli.resume import Meant, Resumed
    from xnnlint.cli.verify_work import settings_key
    from xnnlint.loaders.addresses import shown
    from xnnlint.reporters.model_record import line
    from xnnlint.reporters.verify_json import line_data, verdict_of

    key = settings_key(setting, run["custom-operators"])
    with contextlib.ExitStack() as stack:
        lines = None
        if options.resume:
            meant = [Meant(shown(model.path), model, key) for model in models]
            lines = stack.enter_context(contextlib.closing(Resumed(options.resume, meant, "verify")))
            for remark in lines.remarks():
                warn(remark)
            for record, _ in lines.known():
                yield _Judged(verdict_of(record), record)
            models = [models[number] for number in lines.left]
        for model in stack.enter_context(contextlib.closing(_run(options, run, setting, models))):
            record = line_data(setting, model, key)
            if lines is not None:
                lines.add(line(record))
            yield _Judged(model.verdict, record, model)


def _run(options: VerifyOptions, run: Settings, setting: Setting, models: Sequence[Found]) -> Generator[Verification]:
    from xnnlint.cli.remote_files import fetching_of
    from xnnlint.cli.verify_work import Judge, on_cluster
    from xnnlint.linter.jobs import cpus
    from xnnlint.loaders.addresses import is_address
    from xnnlint.runtime.verify import verify_found

    fetching = fetching_of(run) if any(is_address(model.path) for model in models) else None
    if options.where.engine is not Engine.DASK:
        yield from verify_found(models, setting, fetching)
        return
    target = setting.target
    judge = Judge(
        run["verify.runtime"],
        run["verify.cpu"],
        run["verify.litert-version"],
        run["verify.seeds"],
        run["custom-operators"],
        (target.release.version, target.cpu),
    )
    yield from on_cluster(options.where.scheduler, run["jobs"] or cpus(), models, judge, fetching)


class _Watch:
    """Sees the models go by, for the exit code and for stderr."""

    def __init__(self) -> None:
        self.code = 0
        self.errors: list[str] = []

    def each(self, models: Iterator[_Judged]) -> Iterator[_Judged]:
        for model in models:
            self.code = max(self.code, model.verdict.exit_code)
            if model.verdict.error is not None:
                self.errors.append(model.verdict.error)
            yield model


def _announce(sentence: str) -> None:
    typer.echo(f"xnnlint: {sentence}", err=True)


def _print_lines(models: Iterator[_Judged]) -> None:
    """Lines alone, for programs; what the run comes to goes to stderr."""
    from xnnlint.reporters.model_record import line
    from xnnlint.reporters.verify_text import VerificationTally

    tally = VerificationTally()
    for model in models:
        tally.add(model.verdict)
        write(line(model.line) + "\n")
    if tally.count > 1:
        typer.echo(tally.text(), err=True)


def _print_report(models: Iterator[_Judged], setting: Setting) -> None:
    from xnnlint.reporters.printer import Printer
    from xnnlint.reporters.styled_lines import STRONG, Span, wrap
    from xnnlint.reporters.verify_text import VerificationTally, verdict_lines, verification_lines

    printer, tally, any_shown = Printer(), VerificationTally(), False
    known = False
    for number, model in enumerate(models):
        tally.add(model.verdict)
        found = model.verification
        any_shown |= number > 0 or found is None or found.observation is not None
        with writing():
            if found is None:
                printer.print(verdict_lines(model.verdict, setting, printer.width, for_pipe=not printer.is_terminal))
            elif found.observation is not None:
                lines = verification_lines(found, setting, printer.width, for_pipe=not printer.is_terminal)
                printer.print([*([[]] if known else []), *lines, []])
        known = found is None
    if any_shown:
        with writing():
            printer.print([*([[]] if known else []), *wrap([Span(tally.text(), STRONG)], printer.width)])
