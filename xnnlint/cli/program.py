"""The commands put together, as typer builds them from their options."""

from __future__ import annotations

from typing import Annotated

import typer

from xnnlint.cli.bench_command import bench
from xnnlint.cli.calibrate_command import calibrate
from xnnlint.cli.check_command import check
from xnnlint.cli.clean_command import clean
from xnnlint.cli.compare_command import compare
from xnnlint.cli.config_command import config
from xnnlint.cli.convert_command import convert
from xnnlint.cli.fix_command import fix
from xnnlint.cli.knowledge_commands import explain, profiles, rules
from xnnlint.cli.option_groups import as_command
from xnnlint.cli.quick_parameters import QuickCommand, QuickGroup
from xnnlint.cli.report_command import report
from xnnlint.cli.verify_command import verify
from xnnlint.version import __version__

# In --help, what the program is for comes first, and the rest as the README has it.
COMMANDS = (
    (check, "Say whether models run sparse and correctly, and what to change."),
    (fix, "Change models so that they run sparse, with correct outputs."),
    (convert, "Convert a pruned Keras model with TensorFlow, and check it."),
    (verify, "Run models in the real runtime, and compare with the prediction."),
    (bench, "Time a model sparse and dense, here or from a device's log."),
    (report, "Write a page to look at: the graph, its kernels, zeros and times."),
    (compare, "Say what became better and worse from one model to another."),
    (calibrate, "Time this machine's operators, for predicted times."),
    (config, "Show the settings for a model, and where each comes from."),
    (rules, "List the rules."),
    (explain, "Explain a rule, an outcome or an operator, or give recipes."),
    (profiles, "List the runtimes and CPUs to predict for, with their facts."),
)

# rich_markup_mode None keeps rich, 0.08 s of it, out of --help and of usage errors.
app = typer.Typer(
    name="xnnlint",
    cls=QuickGroup,
    help="Says whether a .tflite model will run XNNPACK's sparse kernels, whether its outputs will be "
    "correct, and what to change.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"xnnlint {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command(cls=QuickCommand, hidden=True)
def version() -> None:
    """Print the version, as --version does."""
    _print_version(wanted=True)


for _command, _short_help in COMMANDS:
    app.command(cls=QuickCommand, short_help=_short_help)(as_command(_command))
# Not one of them, since it has nothing to say as JSON.
app.command(cls=QuickCommand, short_help="Remove what check has remembered of models.")(clean)
