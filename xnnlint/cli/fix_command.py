"""The command `xnnlint fix`.

Exit codes: 0 fixed, or nothing to fix; 1 findings remain that it could not fix; 2 something could not be read, written
or proved.
"""

from __future__ import annotations

from contextlib import nullcontext, suppress
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from msgspec import Struct, field
from msgspec.structs import replace

from xnnlint.cli.config_options import ConfigOptions, TargetOptions, share_option
from xnnlint.cli.console import FINDINGS, OK, TROUBLE, Format, complain, print_lines, write
from xnnlint.cli.fix_keras_command import KerasFixes
from xnnlint.cli.fix_tflite_command import TfliteFixes, TfliteOptions
from xnnlint.cli.option_types import ForceExcludeOption, FormatOption
from xnnlint.errors import ModelError, XnnlintError

if TYPE_CHECKING:
    from xnnlint.config.settings import Settings


class Goal(str, Enum):
    """What a model is changed for."""

    RUNTIME = "runtime"
    POLICY = "policy"


class WrittenOptions(Struct, frozen=True):
    """Where the fixed model goes."""

    out: Annotated[str, typer.Option("--output", "-o", metavar="OUT", help="Where to write the fixed model.")] = ""
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Replace MODEL, and keep it as MODEL.bak (.bak.1, ...).")
    ] = False
    diff: Annotated[bool, typer.Option("--diff", help="Show what would change, and write nothing.")] = False
    backup: Annotated[
        bool, typer.Option("--backup/--no-backup", help="Whether --in-place keeps a copy of what it replaces.")
    ] = True

    def backup_of(self, model: str) -> str:
        """The path for the copy of a model that is replaced; "" for no copy."""
        return f"{model}.bak" if self.in_place and self.backup else ""


class FixOptions(Struct, frozen=True):
    """What `xnnlint fix` is called with."""

    models: Annotated[list[str], typer.Argument(metavar="MODEL", help=".tflite, .keras or .h5 files.")]
    written: WrittenOptions = field(default_factory=WrittenOptions)
    unsafe: Annotated[
        bool,
        typer.Option("--unsafe-fixes", help="Also make changes to what the model computes; train it again afterwards."),
    ] = False
    assume_pruned: Annotated[
        str,
        typer.Option(
            metavar="SHARE",
            help="Share of zeros in the 1x1 kernels to plan for; default 0.8 if the model is not pruned.",
        ),
    ] = ""
    goal: Annotated[
        Goal,
        typer.Option(help="What the model is changed for: the runtime, or also TFMOT's pruning policy for XNNPACK."),
    ] = Goal.RUNTIME
    prove: Annotated[
        bool,
        typer.Option(
            "--prove", help="Also load, convert and run the changed model before it is written (extras tf and verify)."
        ),
    ] = False
    even_if_slower: Annotated[
        bool,
        typer.Option(
            "--even-if-slower", help="Make the changes that let more run sparse even where the model gets slower."
        ),
    ] = False
    fix_only: Annotated[
        bool, typer.Option("--fix-only", help="Report only what is fixed, and exit with 0 whatever findings remain.")
    ] = False
    exit_non_zero_on_fix: Annotated[
        bool, typer.Option("--exit-non-zero-on-fix", help="Exit with 1 if something was fixed, as hooks do.")
    ] = False
    tflite: TfliteOptions = field(default_factory=TfliteOptions)
    output: FormatOption = Format.TEXT
    target: TargetOptions = field(default_factory=TargetOptions)
    force_exclude: ForceExcludeOption = False
    configuration: ConfigOptions = field(default_factory=ConfigOptions)


def fix(options: FixOptions) -> None:
    """Rewrite a model so that its pruned 1x1 convolutions run sparse, with correct outputs.

    Of a Keras model it changes the layers, but no weight; of a .tflite file the operators, proven by a real run.
    """
    from xnnlint.loaders.other_formats import refuse_url

    models, written = options.models, options.written
    for model in models:
        refuse_url(model)
    if written.out and len(models) > 1:
        raise XnnlintError(f"-o {written.out} takes one model, not {len(models)}; --in-place replaces each")
    targets = {model: _target(model, written) for model in models}
    fixes = _Fixes(options)
    from xnnlint.cli.config_options import resolver

    given = {
        "force-exclude": options.force_exclude or None,
        "runtime": options.target.runtimes,
        "cpu": options.target.cpu,
    }
    settings = resolver(options.configuration, given)
    code, documents = OK, []
    for model, target in targets.items():
        if not settings.excluded(model, by_hand=True):
            held = fixes.with_settings(settings.for_model(model), settings.for_run())
            result, document = _fix_one(model, target, held, options)
            code = max(code, result)
            documents.append(document)
    if options.output is Format.JSON:
        from xnnlint.reporters.json_document import dumps, tool

        write(dumps({"schema_version": 2, "tool": tool(), "models": documents}) + "\n")
    raise typer.Exit(code)


def _fix_one(
    model: str, target: str, fixes: tuple[TfliteFixes, KerasFixes], options: FixOptions
) -> tuple[int, dict[str, Any]]:
    """The exit code for one model, and what JSON says of it; as text it is printed right away."""
    from xnnlint.atomic import replacing
    from xnnlint.linter.engine import sentence

    tflite, keras = fixes
    try:
        _read_elsewhere(model)
        kind: TfliteFixes | KerasFixes = tflite if tflite.takes(model) else keras
        with replacing(model) if target == model and Path(model).is_file() else nullcontext():
            done = kind.fix(model, target, options.written.backup_of(model))
    except (XnnlintError, OSError) as error:
        # One bad file never stops the rest.
        reason = sentence(error, model)
        from xnnlint.reporters.fix_json import failure_data

        return complain(reason), failure_data(model, reason, TROUBLE)
    if options.output is not Format.JSON and (done.changed or not options.fix_only):
        print_lines(lambda printer: done.lines(printer.width))
    changed = FINDINGS if options.exit_non_zero_on_fix and done.changed and target else OK
    code = max(changed, OK if options.fix_only else done.exit_code)
    return code, done.data() if options.output is Format.JSON else {}


def _read_elsewhere(model: str) -> None:
    """Reads a model in a process of its own first, where check reads it so: one that ends its reader ends no more.

    Raises:
        XnnlintError: it did.
    """
    import xnnlint.model.weights  # noqa: F401 (so that the process has it already)
    from xnnlint.cli.session import has_own_process
    from xnnlint.linter.own_process import Died, in_own_process

    if Path(model).is_file() and has_own_process():
        end = in_own_process(_read, model)
        if isinstance(end, Died):
            raise XnnlintError(f"{model}: the process that read it {end.how}")


def _read(model: str) -> None:
    """Reads a model and all of its weights; what is wrong with it is told by who reads it next."""
    from xnnlint.loaders import load
    from xnnlint.model.weights import measure

    with suppress(XnnlintError, OSError):
        graph = load(model).main
        for tensor in graph.tensors:
            measure(graph, tensor.index)


class _Fixes:
    """The fixes of both kinds of files, made once for all models with the same settings."""

    def __init__(self, options: FixOptions) -> None:
        self._options = options
        self._share = share_option("--assume-pruned", options.assume_pruned, with_ends=True)
        self._known: dict[tuple[object, ...], tuple[TfliteFixes, KerasFixes]] = {}

    def with_settings(self, settings: Settings, of_run: Settings) -> tuple[TfliteFixes, KerasFixes]:
        from xnnlint.cli.declared_layers import declared_layers
        from xnnlint.fixes.request import FixRequest
        from xnnlint.xnnpack.profile import load_profile

        profile = load_profile(settings["runtime"], settings["cpu"]).knowing(settings["custom-operators"])
        select, ignore = settings["fix.select"], settings["fix.ignore"]
        key = (profile.name, profile.custom_operators, select, ignore, layers := declared_layers(settings, of_run))
        if key not in self._known:
            given = self._options
            request = FixRequest(profile, given.unsafe, even_if_slower=given.even_if_slower, layers=layers)
            self._known[key] = (
                TfliteFixes(request, given.tflite, given.written.diff, select, ignore),
                KerasFixes(
                    replace(request, assume_pruned=self._share, policy=given.goal is Goal.POLICY),
                    in_place=given.written.in_place,
                    with_proof=given.prove,
                ),
            )
        return self._known[key]


def _target(model: str, written: WrittenOptions) -> str:
    """Where to write; "" for nowhere.

    Raises:
        XnnlintError: that is not clear, or would overwrite the model.
    """
    from xnnlint.loaders.other_formats import refuse_named

    out = written.out
    if sum((bool(out), written.in_place, written.diff)) != 1:
        raise XnnlintError("say where to write with -o OUT, or --in-place; or only look with --diff")
    if not out:
        return model if written.in_place else ""
    if Path(out).exists() and Path(model).exists() and Path(model).samefile(out):
        raise XnnlintError(f"{out} is the model itself; --in-place replaces it and keeps a copy")
    if not Path(out).parent.is_dir():
        raise XnnlintError(f"{out}: cannot be written (its folder does not exist)")
    if Path(out).suffix.lower() != Path(model).suffix.lower():
        refuse_named(model)
        if Path(model).suffix.lower() == ".json":
            raise ModelError(
                model, "only .tflite, .keras and .h5 files can be fixed", "save the model as .keras or .h5"
            )
        raise XnnlintError(f"{out}: the format stays that of the model; end its name in {Path(model).suffix!r}")
    return out
