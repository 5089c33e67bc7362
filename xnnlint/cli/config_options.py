"""The options of every command that reads a configuration, and what becomes of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Struct, field

from xnnlint.cli.completion import cpu_names, runtime_names
from xnnlint.errors import XnnlintError
from xnnlint.xnnpack.profile import DEFAULT_CPU, DEFAULT_RUNTIME

if TYPE_CHECKING:
    import typer

    from xnnlint.cli.option_types import ForceExcludeOption
    from xnnlint.config.settings import Resolver


class TargetOptions(Struct, frozen=True):
    """What to predict for; nothing where the configuration says it."""

    runtime: Annotated[
        list[str],
        typer.Option(
            metavar="NAME",
            help=f"Runtime to predict for, by default {DEFAULT_RUNTIME}; `xnnlint profiles` lists them; several: "
            "comma-separated, or repeated.",
            show_default=False,
            autocompletion=runtime_names,
        ),
    ] = field(default_factory=list)
    cpu: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help=f"CPU to predict for, by default {DEFAULT_CPU}; `xnnlint profiles` lists them.",
            show_default=False,
            autocompletion=cpu_names,
        ),
    ] = ""

    @property
    def runtimes(self) -> str:
        """All of them as one name, with commas between; "" where none is given."""
        return ",".join(dict.fromkeys(filter(None, self.runtime)))


class ConfigOptions(Struct, frozen=True):
    """Where settings come from."""

    config: Annotated[
        list[str],
        typer.Option(
            metavar="FILE|KEY=VALUE",
            help="Configuration to use instead of the nearest one, or a key over it as in TOML.",
        ),
    ] = field(default_factory=list)
    isolated: Annotated[bool, typer.Option("--isolated", help="Read no configuration file.")] = False


class ExcludeOptions(Struct, frozen=True):
    """What is passed over, beside what the configuration excludes."""

    exclude: Annotated[list[str], typer.Option(metavar="PATTERN", help="Also skip these in folders and patterns.")] = (
        field(default_factory=list)
    )
    force_exclude: ForceExcludeOption = False

    def as_keys(self) -> dict[str, Any]:
        """The same as keys of the configuration."""
        return {"exclude": self.exclude, "force-exclude": self.force_exclude or None}


def resolver(options: ConfigOptions, given: Mapping[str, Any] | None = None) -> Resolver:
    """What finds the settings of each model, with the options of the command line over the files.

    Args:
        given: keys of the configuration with their values from options; None, "" and [] where an option was not
            given. Selectors are texts with commas, as they were given.

    Raises:
        XnnlintError: a value is wrong.
    """
    from xnnlint.config import keys, settings

    chosen = {name: value for name, value in (given or {}).items() if value not in (None, "", [])}
    for name in ("select", "ignore"):
        if name in chosen:
            rules = [part.strip() for text in chosen[name] for part in text.split(",") if part.strip()]
            chosen[name] = _read(f"--{name}", keys.selectors, rules)
    if "jobs" in chosen:
        chosen["jobs"] = _read("--jobs", keys.jobs, chosen["jobs"])
    if "exclude" in chosen:
        chosen["exclude"] = tuple(chosen["exclude"])
    return settings.Resolver(options.isolated, tuple(options.config), chosen)


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
    from xnnlint.config.keys import WrongValue

    try:
        return read(value)
    except WrongValue as wrong:
        raise XnnlintError(f"{option}: {wrong}") from None
