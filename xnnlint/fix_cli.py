"""The command `xnnlint fix`.

Exit codes: 0 fixed, or nothing to fix; 1 findings remain that it could not fix; 2 something could not be read, written
or proved.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .cli import Format, FormatOption, app, write, writing
from .errors import XnnlintError
from .quick_parameters import QuickCommand
from .xnnpack.profile import DEFAULT_CPU, DEFAULT_RUNTIME

if TYPE_CHECKING:
    from .fixes.repair import Repair


@app.command(cls=QuickCommand)
def fix(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A .keras or .h5 file.")],
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
    output: FormatOption = Format.TEXT,
    runtime: Annotated[
        str, typer.Option(metavar="NAME", help="Runtime to plan for; `xnnlint profiles` lists them.")
    ] = DEFAULT_RUNTIME,
    cpu: Annotated[
        str, typer.Option(metavar="NAME", help="CPU to plan for; `xnnlint profiles` lists them.")
    ] = DEFAULT_CPU,
) -> None:
    """Rewrite a Keras model's layers so that its pruned 1x1 convolutions run sparse; no weight is changed."""
    target = _target(model, out, in_place, diff)
    share = _share(assume_pruned)
    from .fixes.repair import Options, repair
    from .xnnpack.profile import load_profile

    options = Options(load_profile(runtime, cpu), unsafe, share)
    done = repair(model, options)
    if target and (done.changes or not in_place):
        _write(done, target, f"{model}.bak" if in_place else "")
    if output is Format.JSON:
        from .reporters.json import dumps, tool

        write(dumps({"schema_version": 1, "tool": tool(), **_data(done)}) + "\n")
    else:
        _print_report(done, unsafe=unsafe)
    raise typer.Exit(done.exit_code)


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
    if Path(out).suffix.lower() != Path(model).suffix.lower():
        raise XnnlintError(f"{out}: the format stays that of the model; end its name in {Path(model).suffix!r}")
    return out


def _share(text: str) -> float | None:
    if not text:
        return None
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise XnnlintError(f"--assume-pruned {text}: a share from 0 to 1 is needed, such as 0.8")
    return share


def _write(done: Repair, target: str, backup: str) -> None:
    from .fixes.repair import write as write_model

    try:
        write_model(done, target, backup=backup)
    except OSError as error:
        raise XnnlintError(f"{target}: not written: {error.strerror or error}") from None


# --- output ----------------------------------------------------------------------------------------------------------


def _data(done: Repair) -> dict[str, object]:
    from .fixes.report import repair_data

    return repair_data(done)


def _print_report(done: Repair, *, unsafe: bool) -> None:
    from .fixes.report import repair_lines
    from .reporters.layout import Printer

    printer = Printer()
    with writing():
        printer.print(repair_lines(done, printer.width, unsafe=unsafe))
