"""The command `xnnlint convert`."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer
from msgspec import Struct, field

from xnnlint.cli.config_options import ConfigOptions, TargetOptions
from xnnlint.cli.console import Format
from xnnlint.cli.option_types import FormatOption
from xnnlint.errors import XnnlintError

_ON_STDERR = 80  # columns


class ConvertOptions(Struct, frozen=True):
    """What `xnnlint convert` is called with."""

    model: Annotated[str, typer.Argument(metavar="MODEL", help="A .keras or .h5 file, or a SavedModel folder.")]
    output: Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="The .tflite file to write.")]
    float16: Annotated[bool, typer.Option("--float16", "--fp16", help="Store the weights as float16.")] = False
    batch: Annotated[int, typer.Option(metavar="N", min=0, help="Fix the batch size; 0 leaves it as it is.")] = 0
    fix: Annotated[
        bool, typer.Option("--fix", help="Make the safe changes of `xnnlint fix` in what is written, proven by a run.")
    ] = False
    even_if_slower: Annotated[
        bool,
        typer.Option(
            "--even-if-slower", help="With --fix: make the changes that let more run sparse even where it gets slower."
        ),
    ] = False
    target: TargetOptions = field(default_factory=TargetOptions)
    form: FormatOption = Format.TEXT
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Let through what TensorFlow logs.")] = False


def convert(options: ConvertOptions) -> None:
    """Convert a pruned Keras model or a SavedModel with TensorFlow, zeros stored sparse, and check the result.

    TensorFlow loads and builds the model for this. Exit code 0: written, and no finding is an error.
    """
    from xnnlint import atomic
    from xnnlint.cli.check_command import CheckOptions, check
    from xnnlint.fixes.tflite.readable import readable
    from xnnlint.loaders.other_formats import refuse_url
    from xnnlint.runtime import tensorflow_converter as converting
    from xnnlint.runtime.tensorflow_log import errors_only

    model, output = options.model, options.output
    refuse_url(model)
    if options.even_if_slower and not options.fix:
        raise XnnlintError("--even-if-slower says which changes are made: give --fix, too")
    if Path(output).exists() and Path(model).exists() and Path(model).samefile(output):
        raise XnnlintError(f"{output} is the model itself; name another file for the .tflite model")
    if Path(output).suffix in (".keras", ".h5", ".hdf5"):
        raise XnnlintError(f"{output}: what is written is a TFLite model; end its name in '.tflite'")
    if not Path(output).parent.is_dir():
        raise XnnlintError(f"{output}: its folder does not exist")
    with nullcontext() if options.verbose else errors_only():
        data = converting.convert(model, float16=options.float16, batch=options.batch or None)
    data, decoded = readable(data, output)
    if decoded:
        names = ", ".join(decoded)
        typer.echo(f"xnnlint: stored dense, since LiteRT would misread them stored sparse: {names}", err=True)
    if options.fix:
        data = _fixed(data, options)
    else:
        atomic.write(data, output)
    typer.echo(f"xnnlint: wrote {output}, {len(data)} bytes", err=True)
    check(CheckOptions(paths=[output], target=options.target, form=options.form.value))


def _fixed(data: bytes, options: ConvertOptions) -> bytes:
    """Writes a converted file with its safe changes, once they are proven, and prints what was changed.

    Returns:
        What was written.

    Raises:
        XnnlintError: the file is wrong and cannot be made right, or nothing can be proven here.
    """
    from xnnlint import atomic
    from xnnlint.cli.config_options import resolver
    from xnnlint.cli.console import print_lines
    from xnnlint.fixes.request import FixRequest
    from xnnlint.fixes.tflite.file_fixer import FileFixer
    from xnnlint.reporters.fix_text import repair_lines
    from xnnlint.reporters.styled_lines import plain
    from xnnlint.xnnpack.profile import load_profile

    target = options.target
    given = {"runtime": target.runtimes, "cpu": target.cpu}
    settings = resolver(ConfigOptions(), given).for_model(options.output)
    request = FixRequest(
        load_profile(settings["runtime"], settings["cpu"]),
        select=settings["fix.select"],
        ignore=settings["fix.ignore"],
        even_if_slower=options.even_if_slower,
    )
    with FileFixer(request) as fixer:
        done = fixer.fix_data(data, options.output, options.output)
    if not done.written:
        atomic.write(done.after.data, options.output)
    if options.form is Format.TEXT:
        print_lines(lambda printer: repair_lines(done, printer.width))
    else:  # stdout is for the document of the check
        for line in repair_lines(done, _ON_STDERR):
            typer.echo(plain(line), err=True)
    return done.after.data
