"""A run of `xnnlint check` over very many models: some lines are there already, and others do the rest."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

from msgspec.structs import replace

from xnnlint.cli.cluster_progress import with_progress
from xnnlint.cli.console import warn
from xnnlint.cli.resume import Meant, Resumed
from xnnlint.cli.scale_options import Engine, EngineOptions
from xnnlint.cli.session import Session, Task
from xnnlint.cli.work import check_line, check_row, failed, settings_key
from xnnlint.errors import XnnlintError
from xnnlint.loaders import is_callable
from xnnlint.loaders.search import Found
from xnnlint.reporters.model_row import Checked, row_of


def rows(
    session: Session, engine: EngineOptions, resume: str, *, with_lines: bool, with_bar: bool
) -> Generator[Checked]:
    """All models of a session: from processes in order, from a cluster as they come, and first of all known ones.

    Args:
        resume: the file of lines to add to, or "".
        with_lines: whether the whole record is wanted of each.

    Raises:
        XnnlintError: the file, or the cluster, is not to be used.
    """
    work = check_line if with_lines or resume else check_row
    with contextlib.ExitStack() as stack:
        if resume:
            meant = [_meant(task) for task in session.tasks]
            lines = stack.enter_context(contextlib.closing(Resumed(resume, meant, "check")))
            for remark in lines.remarks():
                warn(remark)
            yield from (Checked(row_of(record), line) for record, line in lines.known())
            session.tasks = [session.tasks[number] for number in lines.left]
        if engine.engine is Engine.DASK:
            found = _on_cluster(session, engine, work, with_bar=with_bar)
        else:
            found = session.each(work, failed, with_bar=with_bar)
        for checked in stack.enter_context(contextlib.closing(found)):
            if resume:
                assert checked.line is not None
                lines.add(checked.line)
            yield checked


def _meant(task: Task) -> Meant:
    request = task.request
    found = Found(request.file, request.error, request.size, request.version)
    return Meant(request.path, found, settings_key(task))


def _on_cluster(
    session: Session, engine: EngineOptions, work: Callable[[Task], Checked], *, with_bar: bool
) -> Generator[Checked]:
    if session.has_stdin or any(is_callable(task.request.path) for task in session.tasks):
        raise XnnlintError("--engine dask takes files, folders and addresses, which workers can open, too")
    if not session.tasks:
        return
    from xnnlint.cluster.client import Cluster, Lost, cluster
    from xnnlint.linter.jobs import cpus

    tasks = [_for_worker(task) for task in session.tasks]
    modules = tuple(
        {task.settings.folder for task in tasks if any(":" in what for _, what in task.request.wanted.layers)}
    )

    def checked(on: Cluster) -> Iterator[Checked]:
        for number, result in on.each(work, tasks, [_size(task) for task in tasks], modules):
            yield failed(tasks[number], result.how) if isinstance(result, Lost) else result

    with cluster(engine.scheduler, min(session.settings["jobs"] or cpus(), len(tasks))) as on:
        found = checked(on)
        yield from with_progress(found, on, len(tasks)) if with_bar else found
    if any(task.request.fetching for task in tasks):
        from xnnlint.loaders.remote.scratch import remove_stale

        remove_stale()  # what workers of this machine that were killed left


def _for_worker(task: Task) -> Task:
    """The same, fetched into a folder of the worker's."""
    fetching = task.request.fetching
    if fetching is None:
        return task
    return replace(task, request=replace(task.request, fetching=replace(fetching, folder="")))


def _size(task: Task) -> int:
    request = task.request
    if request.size is not None or request.fetching is not None or request.error is not None:
        return request.size or 0
    try:
        return Path(request.file).stat().st_size
    except OSError:
        return 0
