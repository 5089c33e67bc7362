"""The command `xnnlint verify`.

Exit codes: 0 every prediction agrees with its run, and the results are right; 1 one differs, or the outcome is
wrong-results or fails; 2 something could not be run or read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec import Struct, field
from msgspec.structs import replace

from xnnlint.cli.config_options import ConfigOptions, ExcludeOptions
from xnnlint.cli.console import Format, complain, write, writing
from xnnlint.cli.option_types import FormatOption
from xnnlint.cli.scale_options import Engine, EngineOptions

if TYPE_CHECKING:
    from xnnlint.config.settings import Resolver
    from xnnlint.loaders.remote.fetch import Fetching
    from xnnlint.runtime.verify import Setting, Verification


class VerifyOptions(Struct, frozen=True):
    """What `xnnlint verify` is called with."""

    paths: Annotated[list[str], typer.Argument(metavar="PATH", help="Model files, and folders to search for them.")]
    output: FormatOption = Format.TEXT
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
    passed_over: ExcludeOptions = field(default_factory=ExcludeOptions)
    configuration: ConfigOptions = field(default_factory=ConfigOptions)


def verify(options: VerifyOptions) -> None:
    """Run each model in the real runtime and compare what happens with the prediction, operator by operator."""
    from xnnlint.cli.config_options import resolver
    from xnnlint.cli.remote_files import fetching_of
    from xnnlint.loaders.addresses import is_address
    from xnnlint.runtime.verify import choose, verify_each

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
    fetching = fetching_of(run) if any(map(is_address, options.paths)) else None
    if options.where.engine is Engine.DASK:
        models = _on_cluster(options, settings, setting, fetching)
    else:
        models = verify_each(options.paths, setting, settings.excluded, fetching)
    found = watch.each(models)
    if options.output is Format.JSON:
        from xnnlint.reporters.json_document import dumps
        from xnnlint.reporters.verify_json import document

        write(dumps(document(setting, found)) + "\n")
    else:
        _print_report(found, setting)
    for error in watch.errors:
        complain(error)
    raise typer.Exit(watch.code)


def _on_cluster(
    options: VerifyOptions, settings: Resolver, setting: Setting, fetching: Fetching | None
) -> Iterator[Verification]:
    from xnnlint.cli.verify_work import Judge, on_cluster
    from xnnlint.linter.jobs import cpus

    run = settings.for_run()
    target = setting.target
    judge = Judge(
        run["verify.runtime"],
        run["verify.cpu"],
        run["verify.litert-version"],
        run["verify.seeds"],
        run["custom-operators"],
        (target.release.version, target.cpu),
    )
    workers = run["jobs"] or cpus()
    return on_cluster(options.where.scheduler, workers, options.paths, judge, settings.excluded, fetching)


class _Watch:
    """Sees the models go by, for the exit code and for stderr."""

    def __init__(self) -> None:
        self.code = 0
        self.errors: list[str] = []

    def each(self, models: Iterable[Verification]) -> Iterator[Verification]:
        for model in models:
            self.code = max(self.code, model.exit_code)
            if model.error is not None:
                self.errors.append(model.error)
            yield model


def _announce(sentence: str) -> None:
    typer.echo(f"xnnlint: {sentence}", err=True)


def _print_report(models: Iterable[Verification], setting: Setting) -> None:
    from xnnlint.reporters.printer import Printer
    from xnnlint.reporters.styled_lines import STRONG, Span, wrap
    from xnnlint.reporters.verify_text import VerificationTally, verification_lines

    printer, tally, any_shown = Printer(), VerificationTally(), False
    for number, model in enumerate(models):
        tally.add(model)
        any_shown |= number > 0 or model.observation is not None
        if model.observation is not None:
            lines = verification_lines(model, setting, printer.width, for_pipe=not printer.is_terminal)
            with writing():
                printer.print([*lines, []])
    if any_shown:
        with writing():
            printer.print(wrap([Span(tally.text(), STRONG)], printer.width))
