"""The command `xnnlint bench`.

Exit codes: 0 timed, and the sparse (or fixed, pruned, second) variant is right and not slower; 1 it is slower or wrong,
or an operator ran differently than predicted; 2 something could not be read or timed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec import Struct, field

from xnnlint.cli.config_options import share_option
from xnnlint.cli.console import Format, print_lines, write
from xnnlint.cli.cost_options import cost_profile
from xnnlint.cli.option_types import CostProfileOption, FormatOption
from xnnlint.cli.status_line import status_line
from xnnlint.errors import XnnlintError

if TYPE_CHECKING:
    from xnnlint.bench.variants import Pair
    from xnnlint.runtime.ratio import Ratio
    from xnnlint.xnnpack.profile import Profile

MOST_THREADS = 64


class ComparedOptions(Struct, frozen=True):
    """What a model is compared with."""

    fix: Annotated[bool, typer.Option("--fix", help="Compare with what `xnnlint fix` would make of it.")] = False
    unsafe: Annotated[
        bool, typer.Option("--unsafe-fixes", help="With --fix or --assume-pruned: unsafe fixes, too.")
    ] = False
    assume_pruned: Annotated[
        str,
        typer.Option(
            metavar="SHARE",
            help="Compare with the model pruned in memory to this share of zeros in its 1x1 kernels: what pruning "
            "would bring.",
        ),
    ] = ""
    keep: Annotated[
        str, typer.Option(metavar="FOLDER", help="Keep the two files there, for example to time them on a device.")
    ] = ""


class TimingOptions(Struct, frozen=True):
    """How it is timed."""

    seconds: Annotated[
        float | None,
        typer.Option(
            metavar="N",
            min=0.1,
            help="Seconds to time for at most, by default 30; it stops earlier where the ratio is clear.",
        ),
    ] = None
    threads: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=MOST_THREADS, help="Threads of XNNPACK, by default 1.")
    ] = None
    litert_version: Annotated[
        str, typer.Option(metavar="VERSION", help="LiteRT release to time, by default the installed one.")
    ] = ""


class DeviceOptions(Struct, frozen=True):
    """What was timed on a device instead."""

    log: Annotated[
        list[str],
        typer.Option(
            metavar="FILE",
            help="What benchmark_model --enable_op_profiling=true printed on a device; once for each MODEL.",
        ),
    ] = field(default_factory=list)
    runtime: Annotated[
        str, typer.Option(metavar="NAME", help="With --log: the device's runtime, by default the one that fits best.")
    ] = ""
    cpu: Annotated[
        str, typer.Option(metavar="NAME", help="With --log: the device's CPU, by default arm64.", show_default=False)
    ] = ""


class BenchOptions(Struct, frozen=True):
    """What `xnnlint bench` is called with."""

    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL", help="A .tflite, .keras or .h5 file; or two, to compare the second with the first."
        ),
    ]
    compared: ComparedOptions = field(default_factory=ComparedOptions)
    timing: TimingOptions = field(default_factory=TimingOptions)
    device: DeviceOptions = field(default_factory=DeviceOptions)
    every_layer: Annotated[bool, typer.Option("--all", help="Show every layer, in the order of a run.")] = False
    rates: CostProfileOption = ""
    output: FormatOption = Format.TEXT


def bench(options: BenchOptions) -> None:
    """Time a model that runs sparse against itself stored dense, and say where the time goes.

    Both run natively on this machine, in turns, until the ratio of their times is known within 2%. A model that runs
    dense is compared with what safe fixes make of it.
    """
    if len(options.models) > 2:
        raise XnnlintError(f"bench takes one model, or two to compare, not {len(options.models)}")
    if options.device.log:
        _from_device(options)
    if options.device.runtime or options.device.cpu:
        raise XnnlintError("--runtime and --cpu go with --log; what is timed here is this machine")
    _here(options)


def _here(options: BenchOptions) -> None:
    from xnnlint.bench.measure import measure
    from xnnlint.calibration.calibrate import cpu_model
    from xnnlint.runtime.verify import choose

    rates = cost_profile(options.rates)
    make = _maker(options)
    setting = choose(None, "auto", options.timing.litert_version or None, 1, _announce)
    with status_line("working out the variants") as show:
        pair = make(setting.profile)
        if options.compared.keep:
            _keep(pair, options.compared.keep)
        threads = options.timing.threads or 1
        measured = measure(
            pair,
            setting,
            seconds=options.timing.seconds or 30.0,
            threads=threads,
            progress=lambda processes, ratio: show(_progress(processes, ratio)),
        )
    gain = None
    if threads == 1:
        from xnnlint.cost.predictor import compared

        gain = compared(pair.before.plan, pair.after.plan, rates)
    if options.output is Format.JSON:
        from xnnlint.reporters.bench_json import measurement_document
        from xnnlint.reporters.json_document import dumps

        write(dumps(measurement_document(measured, setting, gain, cpu_model())) + "\n")
    else:
        from xnnlint.reporters.bench_text import measurement_lines

        print_lines(
            lambda printer: measurement_lines(
                measured, setting, gain, cpu_model(), printer.width, every_layer=options.every_layer
            )
        )
    raise typer.Exit(measured.exit_code)


def _maker(options: BenchOptions) -> Callable[[Profile], Pair]:
    """What makes the two variants, once it is known for which runtime.

    Raises:
        XnnlintError: the options contradict each other.
    """
    from xnnlint.bench import variants

    models, compared = options.models, options.compared
    share = share_option("--assume-pruned", compared.assume_pruned, with_ends=False)
    chosen = [name for name, given in (("--fix", compared.fix), ("--assume-pruned", share is not None)) if given]
    if len(models) == 2 and (chosen or compared.unsafe):
        raise XnnlintError(f"{(chosen or ['--unsafe-fixes'])[0]} takes one model; two are compared as they are")
    if len(chosen) > 1:
        raise XnnlintError("--assume-pruned fixes the model, too; give --unsafe-fixes for more, and leave --fix")
    if compared.unsafe and not chosen:
        raise XnnlintError("--unsafe-fixes goes with --fix or --assume-pruned")
    if len(models) == 2:
        return lambda profile: variants.pair_of_files(models, profile)
    (model,) = models
    if share is not None:
        return lambda profile: variants.pair_if_pruned(model, profile, share, unsafe=compared.unsafe)
    if compared.fix:
        return lambda profile: variants.pair_with_fixes(model, profile, unsafe=compared.unsafe)
    return lambda profile: variants.pair_of(model, profile)


def _progress(processes: int, ratio: Ratio | None) -> str:
    if ratio is None:
        return "running the model for its results" if not processes else "timing"
    within = "" if ratio.high is None else f", within {ratio.precision:.1%}"
    return f"timed in {processes} process{'es' * (processes > 1)}: {ratio.value:.2f} times as fast{within}"


def _keep(pair: Pair, folder: str) -> None:
    """Writes both variants, named by what they are."""
    from xnnlint import atomic

    if not Path(folder).is_dir():
        raise XnnlintError(f"{folder}: there is no such folder")
    for variant in (pair.before, pair.after):
        place = Path(folder, f"{Path(pair.path).stem}.{variant.label}.tflite")
        if place.exists():
            raise XnnlintError(f"{place} exists already")
        atomic.write(variant.data, place)


def _announce(sentence: str) -> None:
    typer.echo(f"xnnlint: {sentence}", err=True)


# --- from a device ---------------------------------------------------------------------------------------------------


def _from_device(options: BenchOptions) -> None:
    compared, timing = options.compared, options.timing
    given = {
        "--fix": compared.fix,
        "--unsafe-fixes": compared.unsafe,
        "--assume-pruned": compared.assume_pruned,
        "--keep": compared.keep,
        "--seconds": timing.seconds,
        "--threads": timing.threads,
        "--litert-version": timing.litert_version,
    }
    if wrong := [name for name, value in given.items() if value]:
        raise XnnlintError(f"{' and '.join(wrong)}: with --log nothing is timed here; give the models that ran")
    from xnnlint.bench.device import read_runs
    from xnnlint.xnnpack.profile import DEFAULT_CPU, every_runtime, load_profile

    cpu = options.device.cpu or DEFAULT_CPU
    profiles = [load_profile(options.device.runtime, cpu)] if options.device.runtime else every_runtime(cpu)
    if profiles[0].is_portable:
        raise XnnlintError("--runtime portable stands for every runtime; leave it out, and the one that fits is taken")
    run = read_runs(options.models, options.device.log, profiles, cost_profile(options.rates))
    if options.output is Format.JSON:
        from xnnlint.reporters.bench_json import device_document
        from xnnlint.reporters.json_document import dumps

        write(dumps(device_document(run)) + "\n")
    else:
        from xnnlint.reporters.bench_text import device_lines

        print_lines(lambda printer: device_lines(run, printer.width, every_layer=options.every_layer))
    raise typer.Exit(run.exit_code)
