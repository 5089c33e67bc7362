"""Types of options that several commands have, with what --help says of them.

The modules of options import these and typer for type checkers only: an annotation is read once typer builds the
command (`option_groups`), and a `check` that needs no typer does without its import (0.08 s).
"""

from __future__ import annotations

from typing import Annotated

import typer

from xnnlint.cli.console import Format

FormatOption = Annotated[Format, typer.Option("--format", "-f", help="How to print.")]
ForceExcludeOption = Annotated[
    bool, typer.Option("--force-exclude", help="Skip what is excluded even where it is named.")
]
CostProfileOption = Annotated[
    str,
    typer.Option(
        "--cost-profile",
        metavar="FILE",
        help="Rates for predicted times that `xnnlint calibrate` wrote, instead of those that come with xnnlint.",
    ),
]
