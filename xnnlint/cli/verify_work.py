"""`xnnlint verify` on the workers of a cluster: each runs models in the LiteRT that it has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from xnnlint.cli.session import slim
from xnnlint.errors import XnnlintError
from xnnlint.loaders.addresses import shown
from xnnlint.loaders.search import Excluded
from xnnlint.runtime.verify import Setting, Verification, choose, runnable, verify_each

if TYPE_CHECKING:
    from xnnlint.loaders.remote.fetch import Fetching


class Judge(Struct, frozen=True):
    """Where models run: the arguments of `choose`, which each worker answers for itself.

    Attributes:
        expected: the release and the CPU that they came to where the work is handed out.
    """

    runtime: str | None
    cpu: str
    litert_version: str | None
    seeds: int
    custom_operators: tuple[str, ...]
    expected: tuple[str, str]


class _Piece(Struct, frozen=True):
    path: str
    judge: Judge
    fetching: Fetching | None


@cache
def _setting(judge: Judge) -> Setting:
    setting = choose(judge.runtime, judge.cpu, judge.litert_version, judge.seeds)
    here = (setting.target.release.version, setting.target.cpu)
    if here != judge.expected:
        raise XnnlintError(f"a worker runs LiteRT {' on '.join(here)}, and this is {' on '.join(judge.expected)}")
    return replace(setting, profile=setting.profile.knowing(judge.custom_operators))


def _verify(piece: _Piece) -> Verification:
    """Run one model; whatever goes wrong is in what is returned."""
    name = shown(piece.path)
    try:
        (found,) = verify_each([piece.path], _setting(piece.judge), fetching=piece.fetching)
    except XnnlintError as error:
        return Verification(name, error=f"{name}: {error}")
    return found if found.plan is None else replace(found, plan=slim(found.plan))


def on_cluster(
    scheduler: str,
    workers: int,
    paths: Sequence[str],
    judge: Judge,
    excluded: Excluded,
    fetching: Fetching | None,
) -> Iterator[Verification]:
    """Every model, as they come.

    Args:
        scheduler, workers: as of `cluster`.
        paths, excluded: as of `verify_each`.

    Raises:
        XnnlintError: there is no cluster to use.
    """
    from xnnlint.cluster.client import Lost, cluster

    # Workers fetch into folders of their own.
    how = None if fetching is None else replace(fetching, folder="")
    found = runnable(paths, excluded)
    pieces = [_Piece(one.path, judge, how) for one in found if one.error is None]
    yield from (Verification(shown(one.path), error=one.error) for one in found if one.error is not None)
    if not pieces:
        return
    with cluster(scheduler, min(workers, len(pieces))) as on:
        for number, result in on.each(_verify, pieces, [0] * len(pieces)):
            if isinstance(result, Lost):
                name = shown(pieces[number].path)
                yield Verification(name, error=f"{name}: the process that verified it {result.how}")
            else:
                yield result
