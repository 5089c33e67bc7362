"""The option for cost profiles, wherever predicted times are used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from xnnlint.cost.profile import CostProfile

CostProfileOption = Annotated[
    str,
    typer.Option(
        "--cost-profile",
        metavar="FILE",
        help="Rates for predicted times that `xnnlint calibrate` wrote, instead of those that come with xnnlint.",
    ),
]


def cost_profile(path: str) -> CostProfile | None:
    """The profile of the option; None where it was not given.

    Raises:
        XnnlintError: it cannot be read, or is none.
    """
    if not path:
        return None
    from xnnlint.cost.profile import read_profile

    return read_profile(path)
