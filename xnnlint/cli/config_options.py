"""The options of every command that reads a configuration, and what becomes of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xnnlint.errors import XnnlintError
from xnnlint.xnnpack.profile import DEFAULT_CPU, DEFAULT_RUNTIME

if TYPE_CHECKING:
    from xnnlint.config.settings import Resolver

RuntimeOption = Annotated[
    str,
    typer.Option(
        "--runtime",
        metavar="NAME",
        help=f"Runtime to predict for, by default {DEFAULT_RUNTIME}; `xnnlint profiles` lists them.",
        show_default=False,
    ),
]
CpuOption = Annotated[
    str,
    typer.Option(
        "--cpu",
        metavar="NAME",
        help=f"CPU to predict for, by default {DEFAULT_CPU}; `xnnlint profiles` lists them.",
        show_default=False,
    ),
]
SelectOption = Annotated[
    list[str],
    typer.Option(
        "--select",
        metavar="RULES",
        help="Report only these: codes, starts of codes, names; comma-separated, or repeated.",
    ),
]
IgnoreOption = Annotated[
    list[str], typer.Option("--ignore", metavar="RULES", help="Do not report these; the outcome stays what it is.")
]
ExcludeOption = Annotated[
    list[str], typer.Option("--exclude", metavar="PATTERN", help="Skip these, too, in folders and patterns.")
]
ForceExcludeOption = Annotated[
    bool, typer.Option("--force-exclude", help="Skip what is excluded even where it is named.")
]
ConfigOption = Annotated[
    list[str],
    typer.Option(
        "--config",
        metavar="FILE|KEY=VALUE",
        help="Configuration to use instead of the nearest one, or a key over it as in TOML.",
    ),
]
IsolatedOption = Annotated[bool, typer.Option("--isolated", help="Look at no configuration file.")]
StdinNameOption = Annotated[
    str,
    typer.Option("--stdin-filename", metavar="NAME", help="What to call the model that - reads from stdin."),
]


def resolver(
    *,
    config: Sequence[str] = (),
    isolated: bool = False,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    exclude: Sequence[str] = (),
    force_exclude: bool = False,
    **given: Any,
) -> Resolver:
    """What finds the settings of each model, with the options of the command line over the files.

    Args:
        given: further keys, with "_" for "-"; None and "" where the option was not given.

    Raises:
        XnnlintError: a value is wrong.
    """
    from xnnlint.config import keys, settings

    chosen = {name.replace("_", "-"): value for name, value in given.items() if value not in (None, "")}
    for name, texts in (("select", select), ("ignore", ignore)):
        rules = [part.strip() for text in texts for part in text.split(",") if part.strip()]
        if texts:
            chosen[name] = _read(f"--{name}", keys.selectors, rules)
    if "jobs" in chosen:
        chosen["jobs"] = _read("--jobs", keys.jobs, chosen["jobs"])
    if exclude:
        chosen["exclude"] = tuple(exclude)
    if force_exclude:
        chosen["force-exclude"] = True
    return settings.Resolver(isolated, tuple(config), chosen)


def share_option(option: str, text: str, *, with_ends: bool) -> float | None:
    """An option's share of zeros, as 0.8 or 80%; None where it was not given.

    Args:
        with_ends: whether 0 and 1 are shares, too.

    Raises:
        XnnlintError: it is none.
    """
    if not text:
        return None
    number, per_cent, rest = text.partition("%")
    try:
        share = float(number) / (100 if per_cent else 1)
    except ValueError:
        share = -1.0
    if rest:
        share = -1.0
    if 0 < share < 1 or (with_ends and share in (0, 1)):
        return share
    between = "from 0 to 1" if with_ends else "between 0 and 1"
    raise XnnlintError(f"{option} {text}: a share {between} is needed, such as 0.8 or 80%")


def _read(option: str, read: Any, value: Any) -> Any:
    from xnnlint.config.keys import Wrong

    try:
        return read(value)
    except Wrong as wrong:
        raise XnnlintError(f"{option}: {wrong}") from None
