"""The command `xnnlint fix`.

Exit codes: 0 fixed, or nothing to fix; 1 findings remain that it could not fix; 2 something could not be read, written
or proved.
"""

from __future__ import annotations

import tempfile
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xnnlint.cli.config_options import (
    ConfigOption,
    CpuOption,
    ForceExcludeOption,
    IsolatedOption,
    RuntimeOption,
    share_option,
)
from xnnlint.cli.console import FINDINGS, OK, TROUBLE, Format, FormatOption, complain, write, writing
from xnnlint.cli.fix_tflite_command import TfliteFixes
from xnnlint.errors import XnnlintError

if TYPE_CHECKING:
    from xnnlint.fixes.keras.config_search import Options, Repair


class Goal(str, Enum):
    """What a model is changed for."""

    RUNTIME = "runtime"
    POLICY = "policy"


def fix(
    models: Annotated[list[str], typer.Argument(metavar="MODEL", help=".tflite, .keras or .h5 files.")],
    out: Annotated[str, typer.Option("--out", "-o", metavar="OUT", help="Where to write the fixed model.")] = "",
    in_place: Annotated[bool, typer.Option("--in-place", help="Replace MODEL, and keep it as MODEL.bak.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Show what would change, and write nothing.")] = False,
    unsafe: Annotated[
        bool, typer.Option("--unsafe-fixes", help="Change what the model computes, too; train it again afterwards.")
    ] = False,
    assume_pruned: Annotated[
        str,
        typer.Option(
            metavar="SHARE",
            help="Share of zeros in the 1x1 kernels to plan for; default 0.8 if the model is not pruned.",
        ),
    ] = "",
    goal: Annotated[
        Goal,
        typer.Option(help="What the model is changed for: the runtime, or also TFMOT's pruning policy for XNNPACK."),
    ] = Goal.RUNTIME,
    prove: Annotated[
        bool,
        typer.Option(
            "--prove", help="Also load, convert and run the changed model before it is written (extras tf and verify)."
        ),
    ] = False,
    backup: Annotated[
        bool, typer.Option("--backup/--no-backup", help="Whether --in-place keeps a copy of what it replaces.")
    ] = True,
    fix_only: Annotated[
        bool, typer.Option("--fix-only", help="Report only what is fixed, and exit with 0 whatever findings remain.")
    ] = False,
    exit_non_zero_on_fix: Annotated[
        bool, typer.Option("--exit-non-zero-on-fix", help="Exit with 1 if something was fixed, as hooks do.")
    ] = False,
    select: Annotated[
        str, typer.Option(metavar="NAMES", help="Of a .tflite file: only these fixes, with commas between them.")
    ] = "",
    ignore: Annotated[str, typer.Option(metavar="NAMES", help="Of a .tflite file: all fixes but these.")] = "",
    batch: Annotated[
        int, typer.Option(metavar="N", min=0, show_default=False, help="Of a .tflite file: fix a dynamic batch.")
    ] = 0,
    prune: Annotated[
        str,
        typer.Option(
            metavar="SHARE",
            help="Of a .tflite file, with --unsafe-fixes: prune the 1x1 kernels, to measure what pruning would bring.",
        ),
    ] = "",
    no_proof: Annotated[
        bool, typer.Option("--no-proof", help="Of a .tflite file: write it without having run it.")
    ] = False,
    output: FormatOption = Format.TEXT,
    runtime: RuntimeOption = "",
    cpu: CpuOption = "",
    force_exclude: ForceExcludeOption = False,
    config: ConfigOption = [],  # noqa: B006 (typer copies it)
    isolated: IsolatedOption = False,
) -> None:
    """Rewrite a model so that its pruned 1x1 convolutions run sparse, and its results are right.

    Of a Keras model the layers are changed, and no weight; of a .tflite file the operators, proven by a real run.
    """
    if out and len(models) > 1:
        raise XnnlintError(f"-o {out} takes one model, and these are {len(models)}; --in-place replaces each")
    targets = {model: _target(model, out, in_place, diff) for model in models}
    share = share_option("--assume-pruned", assume_pruned, with_ends=True)
    from xnnlint.cli.config_options import resolver
    from xnnlint.fixes.keras.config_search import Options
    from xnnlint.linter.engine import sentence
    from xnnlint.xnnpack.profile import load_profile

    held = resolver(config=config, isolated=isolated, force_exclude=force_exclude, runtime=runtime, cpu=cpu)
    tools = {}
    code, told = OK, []
    for model, target in targets.items():
        if held.excluded(model, by_hand=True):
            continue
        settings = held.for_model(model)
        profile = load_profile(settings["runtime"], settings["cpu"])
        usual = (settings["fix.select"], settings["fix.ignore"])
        if (profile.name, usual) not in tools:
            tools[profile.name, usual] = (
                Options(profile, unsafe, share, policy=goal is Goal.POLICY),
                TfliteFixes(profile, unsafe, diff, select, ignore, batch, prune, not no_proof, *usual),
            )
        options, tflite = tools[profile.name, usual]
        is_tflite = False
        try:
            is_tflite = tflite.takes(model)
            if is_tflite:
                done = tflite.fix(model, target, f"{model}.bak" if in_place and backup else "")
            else:
                done = _fix(model, target, options, in_place=in_place, backup=backup, prove=prove)
        except (XnnlintError, OSError) as error:
            # One bad file never stops the rest.
            reason = sentence(error, model)
            code = max(code, complain(reason))
            told.append({"path": model, "exit_code": TROUBLE, "error": reason})
            continue
        left = FINDINGS if exit_non_zero_on_fix and done.changes and target else OK
        code = max(code, left, OK if fix_only else done.exit_code)
        if output is Format.JSON:
            told.append(tflite.data(done) if is_tflite else _data(done))
        elif fix_only and not done.changes:
            continue
        elif is_tflite:
            tflite.print(done)
        else:
            _print_report(done, unsafe=unsafe)
    if output is Format.JSON:
        from xnnlint.reporters.json import dumps, tool

        data = told[0] if len(models) == len(told) == 1 else {"models": told}
        write(dumps({"schema_version": 1, "tool": tool(), **data}) + "\n")
    raise typer.Exit(code)


def _fix(model: str, target: str, options: Options, *, in_place: bool, backup: bool, prove: bool) -> Repair:
    """Finds out what to change in one model, and writes it where there is a target."""
    from xnnlint.fixes.keras.config_search import repair

    done = repair(model, options)
    if target and (done.changes or not in_place):
        _write(done, target, f"{model}.bak" if in_place and backup else "", options if prove else None)
    elif prove and done.changes:
        _prove(done, options)
    return done


def _target(model: str, out: str, in_place: bool, diff: bool) -> str:
    """Where to write; "" for nowhere.

    Raises:
        XnnlintError: that is not clear, or would overwrite the model.
    """
    if sum((bool(out), in_place, diff)) != 1:
        raise XnnlintError("say where to write with -o OUT, or --in-place; or only look with --diff")
    if not out:
        return model if in_place else ""
    if Path(out).exists() and Path(model).exists() and Path(model).samefile(out):
        raise XnnlintError(f"{out} is the model itself; --in-place replaces it and keeps a copy")
    if not Path(out).parent.is_dir():
        raise XnnlintError(f"{out}: cannot be written (its folder does not exist)")
    if Path(out).suffix.lower() != Path(model).suffix.lower():
        raise XnnlintError(f"{out}: the format stays that of the model; end its name in {Path(model).suffix!r}")
    return out


def _write(done: Repair, target: str, backup: str, proving: Options | None) -> None:
    """Writes the model; where `proving`, only once it has been run."""
    from xnnlint.fixes.keras.config_search import write as write_model

    def check(drafted: str) -> list[str]:
        if proving is None or not done.changes:
            return []
        from xnnlint.fixes.keras.conversion_proof import prove

        return prove(done, proving, drafted)

    try:
        write_model(done, target, backup=backup, check=check)
    except OSError as error:
        raise XnnlintError(f"{target}: not written: {error.strerror or error}") from None


def _prove(done: Repair, options: Options) -> None:
    """The same for a model that is not written."""
    from xnnlint.fixes.keras.archive import Archive
    from xnnlint.fixes.keras.config_search import write_draft
    from xnnlint.fixes.keras.conversion_proof import prove

    with tempfile.TemporaryDirectory(prefix="xnnlint-") as folder:
        path = str(Path(folder, f"fixed{Path(done.path).suffix}"))
        write_draft(done, Archive(done.path), path)
        done.proof += prove(done, options, path)


# --- output ----------------------------------------------------------------------------------------------------------


def _data(done: Repair) -> dict[str, object]:
    from xnnlint.fixes.keras.config_report import repair_data

    return repair_data(done)


def _print_report(done: Repair, *, unsafe: bool) -> None:
    from xnnlint.fixes.keras.config_report import repair_lines
    from xnnlint.reporters.styled_lines import Printer

    printer = Printer()
    with writing():
        printer.print(repair_lines(done, printer.width, unsafe=unsafe))
