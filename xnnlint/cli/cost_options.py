"""What becomes of the option for cost profiles, wherever predicted times are used."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xnnlint.cost.profile import CostProfile


def cost_profile(path: str) -> CostProfile | None:
    """The profile of the option; None where it was not given.

    Raises:
        XnnlintError: it cannot be read, or is none.
    """
    if not path:
        return None
    from xnnlint.cost.profile import read_profile

    return read_profile(path)
