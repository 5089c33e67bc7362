"""Cost profiles: the rates of a CPU's kernels, as `xnnlint calibrate` measured them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from msgspec import Struct, to_builtins
from msgspec.structs import replace

from xnnlint.cost.work import TILES, Tiles, Work
from xnnlint.errors import XnnlintError
from xnnlint.plain_files import MEGABYTE, read_plain

FORMAT = 1
UNKNOWN_ERROR = 1.0
"""Relative error of a time that is a guess."""


class Family(Struct, frozen=True):
    """The rates of one kernel family.

    Attributes:
        rates: microseconds for one of each count (see work.py).
        error: standard deviation of the relative error, cross-validated: of operators in networks that were left out.
        samples: how many operators the rates were fitted to.
        fastest, slowest: of these, microseconds.
    """

    rates: Mapping[str, float]
    error: float
    samples: int
    fastest: float
    slowest: float

    def time(self, work: Work) -> float:
        """Microseconds."""
        return sum(self.rates.get(name, 0.0) * count for name, count in work.counts.items())


class Rest(Struct, frozen=True):
    """What a run takes beside its operators, microseconds: in all, for each partition behind the first, for each
    XNNPACK operator, and for each element that crosses a partition's border."""

    run: float = 0.0
    partition: float = 0.0
    operator: float = 0.0
    border: float = 0.0

    def time(self, operators: int, partitions: int, border: int) -> float:
        """Microseconds."""
        return self.run + self.partition * max(0, partitions - 1) + self.operator * operators + self.border * border


class WholeErrors(Struct, frozen=True):
    """Standard deviations of the relative errors of whole networks that were left out of the fit.

    Attributes:
        total: of their time.
        ratio: of the ratio of two variants of one network.
        elsewhere: what other processors of the kind add to the error of a ratio; 0 for a profile of one's own machine.
    """

    total: float = 0.1
    ratio: float = 0.1
    elsewhere: float = 0.0


class Scaling(Struct, frozen=True):
    """How a profile that was measured on one CPU stands for another.

    Attributes:
        measured_on: the CPU of the rates.
        factors: by the first word of a family, what its times are multiplied by: low, likely, high.
        sources: what is published about the other CPU, and how the factors follow from it.
    """

    measured_on: str
    factors: Mapping[str, tuple[float, float, float]]
    sources: tuple[str, ...]


class CostProfile(Struct, frozen=True):
    """The rates of a CPU.

    Attributes:
        cpu: the CPU profile's name, "x86-sse" or "arm64".
        cpu_model: what the machine calls its processor.
        date: of the measurement, ISO 8601.
        litert: the release that was measured.
        families: by name.
        rest: what comes on top of the operators.
        errors: of whole networks.
        threads: of XNNPACK.
        scaling: where the rates are another CPU's.
    """

    cpu: str
    cpu_model: str
    date: str
    litert: str
    families: Mapping[str, Family]
    rest: Rest = Rest()
    errors: WholeErrors = WholeErrors()
    threads: int = 1
    scaling: Scaling | None = None

    @property
    def measured(self) -> bool:
        """Whether the rates were measured on a CPU of this kind."""
        return self.scaling is None

    @property
    def tiles(self) -> Tiles:
        return TILES[self.scaling.measured_on if self.scaling else self.cpu]

    def save(self, path: str | Path) -> None:
        """Write it as JSON."""
        data = {"format": FORMAT, **to_builtins(self)}
        data["families"] = {name: _rounded(family) for name, family in sorted(data["families"].items())}
        for name in ("rest", "errors"):
            data[name] = {key: float(f"{number:.4g}") for key, number in data[name].items()}
        if self.scaling is None:
            del data["scaling"]
        Path(path).write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def _rounded(family: dict[str, Any]) -> dict[str, Any]:
    rates = {name: float(f"{rate:.4g}") for name, rate in family["rates"].items() if rate}
    numbers = {name: float(f"{family[name]:.3g}") for name in ("error", "fastest", "slowest")}
    return {"rates": rates, **numbers, "samples": family["samples"]}


def read_profile(path: str | Path) -> CostProfile:
    """A profile that `save` wrote.

    Raises:
        XnnlintError: the file is not there or is none.
    """
    try:
        text = read_plain(path, MEGABYTE).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise XnnlintError(f"cost profile {path} cannot be read: {error}") from None
    return _parse(text, str(path))


def _parse(text: str, name: str) -> CostProfile:
    try:
        data = json.loads(text)
        if data.pop("format") != FORMAT:
            raise XnnlintError(f"cost profile {name} has another format than this version reads; calibrate again")
        families = {family: Family(**entry) for family, entry in data.pop("families").items()}
        rest, errors = Rest(**data.pop("rest")), WholeErrors(**data.pop("errors"))
        scaling = data.pop("scaling", None)
        if scaling is not None:
            factors = {family: tuple(three) for family, three in scaling["factors"].items()}
            scaling = Scaling(scaling["measured_on"], factors, tuple(scaling["sources"]))
        return CostProfile(families=families, rest=rest, errors=errors, scaling=scaling, **data)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise XnnlintError(f"{name} is not a cost profile: {error}") from None


@cache
def shipped_profile(cpu: str) -> CostProfile | None:
    """The profile that comes with xnnlint for a CPU profile's name; None where there is none: on CPUs without the
    sparse path there is nothing to compare, and for the others nobody has measured yet."""
    # importlib.resources is slow to import.
    folder = Path(__file__).parent / "profiles"
    file = folder.joinpath(f"{cpu}.json")
    if file.is_file():
        return _parse(file.read_text(encoding="utf-8"), f"profiles/{cpu}.json")
    scaled = folder.joinpath(f"{cpu}.scaling.json")
    if not scaled.is_file():
        return None
    data = json.loads(scaled.read_text(encoding="utf-8"))
    base = shipped_profile(data["measured_on"])
    assert base is not None, f"no profile {data['measured_on']}"
    factors = {family: tuple(three) for family, three in data["factors"].items()}
    return replace(base, cpu=cpu, scaling=Scaling(data["measured_on"], factors, tuple(data["sources"])))
