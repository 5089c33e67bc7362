"""What `check` has said of models that did not change since, without reading them again.

An entry holds what each report of the run took of a model (`reporters.check_report.KeepingReport`), under a key of
everything that it follows from: the content of the model's files, xnnlint itself and what is installed beside it, and
what the run asks. So the reports of a later run come out the same, byte for byte.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from xnnlint.cache import seen
from xnnlint.cache.answers import is_off, store
from xnnlint.cache.digests import digest_of
from xnnlint.cache.fingerprints import Stamp, content, program, stamps
from xnnlint.cache.store import key_of
from xnnlint.config.selection import has_plugins
from xnnlint.loaders import is_callable
from xnnlint.loaders.search import STDIN

if TYPE_CHECKING:
    from xnnlint.cli.report_files import ReportFiles
    from xnnlint.cli.session import Session, Task

Result_co = TypeVar("Result_co", covariant=True)
# Keys of the configuration that say what is checked and how, and nothing of what comes of it.
_OF_THE_RUN = ("models", "exclude", "force-exclude", "jobs", "no-cache", "cost-profile")


class Kept(NamedTuple):
    """What is known of a model from an earlier run.

    Attributes:
        code: what it makes the exit code.
        failures: why it fails besides its findings.
        taken: what each report took of it; None where one left it out.
    """

    code: int
    failures: tuple[str, ...]
    taken: list[Any]


class ResultCache:
    """The entries for the models of one run."""

    def __init__(self, session: Session, files: ReportFiles) -> None:
        self._store = store()
        self._is_of_one = len(session.tasks) == 1
        rates = session.cost_profile_file
        self._of_run = [
            program(),
            os.getcwd(),  # noqa: PTH109
            [session.profile.runtime, session.profile.cpu],
            files.kinds(),
            rates and _text_of(rates),
        ]
        self._files: dict[str, tuple[str, list[tuple[str, Stamp]]]] = {}
        # A cost profile that cannot be read is for the run to complain of.
        self._is_on = not (rates and self._of_run[-1] is None)

    def has(self, task: Task) -> bool:
        """Whether there is an entry for a model as it is now."""
        path = task.request.path
        if not self._is_on or not _can_keep(task):
            return False
        found = stamps(path)
        digest = None if found is None else content(found, os.path.dirname(path) or ".")  # noqa: PTH120
        if found is None or digest is None:
            return False
        key = key_of([*self._of_run, digest, os.path.abspath(path), *self._asked(task)])  # noqa: PTH100
        self._files[path] = key, found
        return self._store.has(key)

    def read(self, task: Task) -> Kept | None:
        """What is known of a model; None where its entry turns out to be damaged, or is gone."""
        key, _ = self._files[task.request.path]
        found = self._store.read(key)
        try:
            return Kept(found["code"], tuple(found["failures"]), found["taken"])
        except (TypeError, KeyError):
            return None

    def keep(self, task: Task, kept: Kept) -> None:
        """Remember what came of a model that could be read, unless it was written meanwhile."""
        key, before = self._files.get(task.request.path, ("", []))
        if key and stamps(task.request.path) == before and not has_plugins():
            self._store.write(key, {"code": kept.code, "failures": kept.failures, "taken": kept.taken})
            if self._is_of_one:
                self._store.write(seen.mark_of(task.request.path), True)

    def end(self) -> None:
        self._store.end()

    def _asked(self, task: Task) -> list[Any]:
        """What is asked of a model."""
        request, settings = task.request, task.settings
        wanted = request.wanted._replace(cost_profile=None)
        return [
            {key: repr(value) for key, value in settings.values.items() if key not in _OF_THE_RUN},
            repr(settings.layers),
            request.path,
            [request.runtime, request.cpu, request.require_sparse, request.policy, request.fixes],
            repr(request.custom_operators),
            repr(wanted),
        ]


class Fresh(Protocol[Result_co]):
    """Checks models, in order."""

    def __call__(self, tasks: Sequence[Task], *, with_bar: bool = ...) -> Iterator[Result_co]: ...


def checked(
    tasks: Sequence[Task], cache: ResultCache | None, fresh: Fresh[Result_co]
) -> Iterator[tuple[Task, Result_co | Kept]]:
    """What comes of all models, in order; only those are read that no entry is known for."""
    known = [cache is not None and cache.has(task) for task in tasks]
    unknown = [task for task, is_known in zip(tasks, known, strict=True) if not is_known]
    results = fresh(unknown) if unknown else iter(())
    for task, is_known in zip(tasks, known, strict=True):
        kept = cache.read(task) if cache is not None and is_known else None
        if kept is not None:
            yield task, kept
        elif is_known:
            # Damaged, or removed just now by another run.
            yield from ((task, result) for result in fresh([task], with_bar=False))
        else:
            yield task, next(results)
    # Let it clean up behind itself.
    next(results, None)


def _can_keep(task: Task) -> bool:
    """Whether what comes of a model follows from its files and from what is asked."""
    request = task.request
    runs_code = any(":" in what for _, what in request.wanted.layers)
    named = request.path != STDIN and request.file == request.path and not is_callable(request.path)
    # What is at an address can change without a file here changing.
    return named and request.error is None and request.fetching is None and not runs_code


def _text_of(file: str) -> str | None:
    try:
        with open(file, "rb") as stream:  # noqa: PTH123
            return digest_of(stream.read())
    except OSError:
        return None


def is_wanted(*, given: bool, configured: bool) -> bool:
    """Whether a run may use the cache.

    Args:
        given: --no-cache.
        configured: `no-cache` of the configuration.
    """
    return not (given or configured or is_off())
