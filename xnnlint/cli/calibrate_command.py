"""The command `xnnlint calibrate`.

Exit codes: 0 the profile is written; 2 this machine cannot be timed, or the file not be written.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from xnnlint.cli.console import Format, write
from xnnlint.cli.option_types import FormatOption
from xnnlint.cli.status_line import status_line
from xnnlint.errors import XnnlintError

MOST_NETWORKS = 500


def calibrate(
    output: Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="The cost profile to write.")] = "",
    networks: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, max=MOST_NETWORKS, help="Networks of each kind to time; fewer for a quick try."
        ),
    ] = None,
    litert_version: Annotated[
        str, typer.Option(metavar="VERSION", help="LiteRT release to time, by default the installed one.")
    ] = "",
    form: FormatOption = Format.TEXT,
) -> None:
    """Time XNNPACK's operators on this machine, and write the rates that predicted times are made of.

    Small graphs run natively for some minutes; leave the machine alone meanwhile. `--cost-profile FILE` of other
    commands uses the result.
    """
    from xnnlint import atomic
    from xnnlint.calibration import calibrate as calibration
    from xnnlint.runtime.verify import choose

    setting = choose(None, "auto", litert_version or None)
    target = setting.target
    place = output or f"xnnlint-cost-{target.cpu}.json"
    if not Path(place).parent.is_dir():
        raise XnnlintError(f"{place}: its folder does not exist")
    with status_line("timing small graphs") as show:
        made = calibration.calibrate(
            target,
            networks=networks or calibration.NETWORKS,
            progress=lambda done, total: show(f"timing small graphs: {done} of {total}"),
        )
    profile = made.profile
    with atomic.draft(place) as drafted:
        profile.save(drafted)
        atomic.commit(drafted, place)
    if form is Format.JSON:
        from xnnlint.reporters.calibrate_json import document
        from xnnlint.reporters.json_document import dumps

        write(dumps(document(made, place)) + "\n")
        return
    samples = sum(family.samples for family in profile.families.values())
    typer.echo(f"{place}: {len(profile.families)} kinds of operators from {samples} timed ones on {profile.cpu_model}")
    for failed in made.failed:
        typer.echo(f"xnnlint: left out: {Path(failed.path).stem}: {failed.error}", err=True)
