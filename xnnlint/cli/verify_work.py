"""`xnnlint verify` on the workers of a cluster: each runs models in the LiteRT that it has."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from xnnlint.cli.cluster_progress import with_progress
from xnnlint.cli.session import slim
from xnnlint.errors import XnnlintError
from xnnlint.loaders.addresses import shown
from xnnlint.loaders.search import Found
from xnnlint.runtime.verify import Setting, Verification, choose, verify_found
from xnnlint.version import __version__

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
    model: Found
    judge: Judge
    fetching: Fetching | None


def settings_key(setting: Setting, custom_operators: Sequence[str]) -> str:
    """16 digits that tell what a model is verified with: the version of xnnlint, what runs, and what is predicted."""
    target, profile = setting.target, setting.profile
    said = [
        __version__,
        [target.release.version, target.cpu, target.execution.value, list(setting.seeds)],
        [profile.runtime, profile.cpu, sorted(custom_operators)],
    ]
    return sha256(json.dumps(said).encode()).hexdigest()[:16]


@cache
def _setting(judge: Judge) -> Setting:
    setting = choose(judge.runtime, judge.cpu, judge.litert_version, judge.seeds)
    here = (setting.target.release.version, setting.target.cpu)
    if here != judge.expected:
        raise XnnlintError(f"a worker runs LiteRT {' on '.join(here)}, and this is {' on '.join(judge.expected)}")
    return replace(setting, profile=setting.profile.knowing(judge.custom_operators))


def _verify(piece: _Piece) -> Verification:
    """Run one model; whatever goes wrong is in what is returned."""
    name = shown(piece.model.path)
    try:
        (found,) = verify_found([piece.model], _setting(piece.judge), piece.fetching)
    except XnnlintError as error:
        return Verification(name, error=f"{name}: {error}")
    return found if found.plan is None else replace(found, plan=slim(found.plan))


def on_cluster(
    scheduler: str,
    workers: int,
    models: Sequence[Found],
    judge: Judge,
    fetching: Fetching | None,
) -> Iterator[Verification]:
    """Every model, as they come.

    Args:
        scheduler, workers: as of `cluster`.
        models: as of `verify_found`.

    Raises:
        XnnlintError: there is no cluster to use.
    """
    from xnnlint.cluster.client import Lost, cluster

    # Workers fetch into folders of their own.
    how = None if fetching is None else replace(fetching, folder="")
    pieces = [_Piece(one, judge, how) for one in models if one.error is None]
    yield from (Verification(shown(one.path), error=one.error) for one in models if one.error is not None)
    if not pieces:
        return
    with cluster(scheduler, min(workers, len(pieces))) as on:
        results = on.each(_verify, pieces, [piece.model.size or 0 for piece in pieces])
        for number, result in with_progress(results, on, len(pieces)):
            if isinstance(result, Lost):
                name = shown(pieces[number].model.path)
                yield Verification(name, error=f"{name}: the process that verified it {result.how}")
            else:
                yield result
