"""A run over many models: which ones, with which settings, in how many processes, and what comes of each."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from xnnlint.cli.code_permission import CODE, REMOTE, ask
from xnnlint.cli.cost_options import cost_profile as cost_profile_of
from xnnlint.cli.declared_layers import declared_layers, search_modules_of
from xnnlint.errors import XnnlintError
from xnnlint.linter.wanted import NOTHING, Wanted
from xnnlint.loaders import is_callable
from xnnlint.loaders.addresses import is_address, shown
from xnnlint.loaders.search import STDIN, Found, search
from xnnlint.xnnpack.profile import load_profile

if TYPE_CHECKING:
    from xnnlint.config.settings import Resolver, Settings
    from xnnlint.linter.findings import ModelReport
    from xnnlint.linter.waiting_process import WaitingProcess
    from xnnlint.loaders.content import Content
    from xnnlint.loaders.remote.fetch import Fetching
    from xnnlint.xnnpack.plan import Plan
    from xnnlint.xnnpack.profile import Profile

Result = TypeVar("Result")


class Request(Struct, frozen=True):
    """One model to check, as it is handed to a process of its own.

    Attributes:
        file: what to read; `path` is what to call it.
        error: why there is nothing to read; then only this is reported.
        fetching: how to get it, where `file` is an address.
        size: its bytes where they are known without asking.
        version: what the server of an address calls this version of it, where that is known without asking.
        content: whether to say which bytes were checked.
    """

    path: str
    file: str
    runtime: str
    cpu: str
    require_sparse: bool = False
    wanted: Wanted = NOTHING
    policy: bool = False
    fixes: bool = False
    error: str | None = None
    custom_operators: tuple[str, ...] = ()
    fetching: Fetching | None = None
    size: int | None = None
    version: str | None = None
    content: bool = False

    @property
    def profile(self) -> Profile:
        """What the model is checked for."""
        return load_profile(self.runtime, self.cpu).knowing(self.custom_operators)


class Task(Struct, frozen=True):
    """A request with the settings that hold for its model."""

    request: Request
    settings: Settings

    @property
    def profile(self) -> Profile:
        return self.request.profile


class Session:
    """The models of one run.

    Args:
        paths: files, folders, patterns, `-` for stdin, "module:callable"; none for the `models` of the configuration.
        resolver: of the settings.
        stdin_name: what to call the model from stdin; its configuration is looked for there.
        wanted: what to say of each model beside its findings.
        cost_profile: file with rates for predicted times; "" for what the configuration names.
        policy: whether to say what TFMOT's pruning policy refuses, too.
        fixes: whether to try what `xnnlint fix` would bring, whatever the size of the model.
        graphs: whether the reports must have their whole plans.
        content: whether to say which bytes each model has.

    Raises:
        XnnlintError: nothing is to be checked, or a configuration is wrong. Nothing has been checked then.
    """

    def __init__(
        self,
        paths: Sequence[str],
        resolver: Resolver,
        *,
        stdin_name: str = "",
        wanted: Wanted = NOTHING,
        cost_profile: str = "",
        policy: bool = False,
        fixes: bool = False,
        graphs: bool = False,
        content: bool = False,
    ) -> None:
        self._resolver = resolver
        self._stdin_name = stdin_name
        self._fixes = fixes
        self._graphs = graphs
        self._content = content
        self._stdin_file = False
        self.settings = resolver.for_run()
        self._files = contextlib.ExitStack()
        if stdin_name and STDIN not in paths:
            raise XnnlintError("--stdin-filename names the model from stdin; give - as PATH to read it")
        self.cost_profile_file = self._rates_file(cost_profile)
        wanted = wanted._replace(cost_profile=cost_profile_of(self.cost_profile_file))
        self.tasks = [self._task(found, wanted, policy) for found in self._found(paths)]
        # A runtime or CPU that is not known is reported before anything is checked.
        self.profiles = list(dict.fromkeys(map(_profile_name, self.tasks)))
        for runtime, cpu in self.profiles:
            load_profile(runtime, cpu)
        rates = wanted.cost_profile
        if rates is not None and self.tasks and all(cpu != rates.cpu for _, cpu in self.profiles):
            raise XnnlintError(f"the cost profile is of {rates.cpu}, and no model is checked for that CPU (--cpu)")

    @property
    def has_stdin(self) -> bool:
        """Whether one of the models came from stdin, and is a file of this run alone."""
        return self._stdin_file

    @property
    def profile(self) -> Profile:
        """What the first model is checked for."""
        chosen = self.profiles[0] if self.profiles else (self.settings["runtime"], self.settings["cpu"])
        return load_profile(*chosen)

    def reports(
        self, tasks: Sequence[Task] | None = None, *, with_bar: bool = True
    ) -> Iterator[tuple[ModelReport, Task]]:
        """Check models, in order; at most one report is kept for each process.

        Args:
            tasks: those to check; without, all of them.
        """
        from xnnlint.config.applied import apply
        from xnnlint.linter.findings import ModelReport

        def ended(task: Task, how: str) -> ModelReport:
            return ModelReport(task.request.path, error=died_sentence(task, how))

        tasks = self.tasks if tasks is None else tasks
        # The whole plan stays in the process that made it; what the policy says of a layer is looked up there.
        whole = self._graphs or any(task.request.policy for task in tasks)
        found = self.each(_check_whole if whole else _check_slim, ended, tasks, with_bar=with_bar, alone=whole)
        with contextlib.closing(found):
            for task, report in zip(tasks, found, strict=True):
                report.profile = task.profile
                yield apply(report, task.settings), task

    def each(
        self,
        work: Callable[[Task], Result],
        died: Callable[[Task, str], Result],
        tasks: Sequence[Task] | None = None,
        *,
        with_bar: bool = True,
        alone: bool = False,
    ) -> Generator[Result]:
        """What `work` makes of each model, in order.

        Args:
            work: as for `jobs.in_processes`.
            died: what to take instead where the process ended, and how it did.
            tasks: the models; without, all of them.
            alone: stay in this process.
        """
        tasks = self.tasks if tasks is None else tasks
        with self._files:
            count = 0 if alone else _processes(self.settings["jobs"], len(tasks))
            found = self._worked(work, died, tasks, count)
            if with_bar:
                from xnnlint.reporters.progress import is_wanted
                from xnnlint.reporters.progress import with_bar as show

                if is_wanted(len(tasks)):
                    found = show(found, [task.request.path for task in tasks])
            with contextlib.closing(found):
                yield from found

    def _rates_file(self, file: str) -> str:
        configured = self.settings["cost-profile"]
        if not file and configured:
            file = os.path.relpath(Path(self.settings.folder, configured))
        return file

    def _found(self, paths: Sequence[str]) -> Iterator[Found]:
        given = list(paths)
        if not given:
            configured = self.settings["models"]
            if not configured:
                raise XnnlintError("no PATH is given, such as . for this folder, and no `models` in a configuration")
            given = [self._configured(path) for path in configured]
        for found in search(given, self._resolver.excluded):
            by_name = found.path == STDIN and self._stdin_name
            if not (by_name and self._resolver.excluded(self._stdin_name, by_hand=True)):
                yield found

    def _task(self, found: Found, wanted: Wanted, policy: bool) -> Task:
        path, error, fetching = found.path, found.error, None
        if path == STDIN:
            name = self._stdin_name or "<stdin>"
            settings = self._resolver.for_model(name) if self._stdin_name else self.settings
            file = self._from_stdin(name)
        elif is_address(path):
            from xnnlint.cli.remote_files import fetching_of

            name, file, settings = shown(path), path, self._resolver.for_model(path)
            fetching = fetching_of(settings)
        else:
            name, file, settings = path, path, self._resolver.for_model(path)
        wanted = wanted._replace(layers=declared_layers(settings, self.settings))
        request = Request(
            name,
            file,
            settings["runtime"],
            settings["cpu"],
            settings["require-sparse"],
            wanted,
            policy,
            self._fixes,
            error,
            settings["custom-operators"],
            fetching,
            found.size,
            found.version,
            self._content,
        )
        return Task(request, settings)

    def _from_stdin(self, name: str) -> str:
        """Stdin as a file: models are mapped into memory, and zip archives are read from their end."""
        if sys.stdin is None or sys.stdin.closed:
            raise XnnlintError("stdin is closed, and - reads the model from there")
        if sys.stdin.isatty():
            raise XnnlintError("- reads a model from stdin, and that is a terminal")
        import shutil
        import tempfile

        self._stdin_file = True
        folder = self._files.enter_context(tempfile.TemporaryDirectory(prefix="xnnlint-"))
        file = Path(folder, "model").with_suffix(Path(name).suffix if name != "<stdin>" else ".tflite")
        with file.open("wb") as stream:
            shutil.copyfileobj(sys.stdin.buffer, stream)
        return str(file)

    def _configured(self, path: str) -> str:
        """A path of the configuration, from the current folder."""
        if is_callable(path):
            ask(CODE, path, self.settings, "models")
            search_modules_of(self.settings)
            return path
        if is_address(path):
            ask(REMOTE, path, self.settings, "models")
            return path
        return os.path.relpath(Path(self.settings.folder, path))

    def _worked(
        self, work: Callable[[Task], Result], died: Callable[[Task, str], Result], tasks: Sequence[Task], count: int
    ) -> Generator[Result]:
        waiting = _waiting() if len(tasks) == count == 1 else None
        if waiting is None:
            load_rules()
        if not count:
            yield from map(work, tasks)
            return
        from xnnlint.linter.own_process import Died, can_fork, in_own_process

        if waiting is not None:
            results = iter([waiting.answer(work, tasks[0], _import_reports)])
        elif len(tasks) == 1 and can_fork():
            results = iter([in_own_process(work, tasks[0], _import_reports)])
        else:
            from xnnlint.linter.jobs import in_processes

            results = in_processes(work, tasks, count)
        for task, result in zip(tasks, results, strict=True):
            yield died(task, result.how) if isinstance(result, Died) else result


def _waiting() -> WaitingProcess | None:
    """The process that has imported what a check needs, unless rules of other packages have a say: they are imported
    once, here, where a failure stops the run."""
    from xnnlint.config.selection import has_plugins
    from xnnlint.linter import waiting_process

    return None if has_plugins() else waiting_process.taken()


def _import_reports() -> None:
    """What a result holds, and what most often tells it: another processor reads the model meanwhile."""
    import xnnlint.cli.judging
    import xnnlint.cost.prediction
    import xnnlint.model.stored_bytes
    import xnnlint.reporters.model_page  # noqa: F401


def load_rules() -> None:
    """A rule that cannot be imported must stop the run, not become one file's error.

    Raises:
        XnnlintError: one cannot be.
    """
    from xnnlint.numpy_import import import_numpy

    import_numpy()
    from xnnlint.linter.rule_registry import all_rules

    all_rules()


def _profile_name(task: Task) -> tuple[str, str]:
    return task.request.runtime, task.request.cpu


def _processes(wanted: int, models: int) -> int:
    """How many to use beside this one; 0 where it is to be done in this one.

    A model is read in a process of its own, so that one that ends it (a file that is cut short while it is mapped, code
    of a plug-in, too little memory) costs that model alone.

    Args:
        wanted: 0 for one for each CPU.
    """
    if os.environ.get("XNNLINT_DEBUG"):
        return 0
    if models < 2 or wanted == 1:
        return 1 if has_own_process() else 0
    if not wanted:
        from xnnlint.linter.jobs import cpus

        wanted = cpus()
    return min(wanted, models)


def has_own_process() -> bool:
    """Whether even a single model is read in a process of its own."""
    from xnnlint.linter.own_process import can_fork

    # Elsewhere a process takes as long to start as a small model to be checked.
    return can_fork() and not os.environ.get("XNNLINT_DEBUG")


def check_one(request: Request) -> ModelReport:
    """Check one model; whatever goes wrong is in the report."""
    from xnnlint.linter import engine
    from xnnlint.linter.findings import ModelReport

    if request.error is not None:
        return ModelReport(request.path, error=request.error)
    fetching = request.fetching
    if fetching is None:
        return _check_file(request)
    from xnnlint.loaders.remote.fetch import fetched
    from xnnlint.loaders.remote.versions import version_at

    try:
        if request.content and request.version is None:
            # Before it is fetched: what is written meanwhile is another version then.
            request = replace(request, version=version_at(request.file))
        with fetched(request.file, fetching, request.size) as file:
            return _check_file(replace(request, file=file))
    except (XnnlintError, OSError) as error:
        return ModelReport(request.path, error=engine.sentence(error, request.path))


def _check_file(request: Request) -> ModelReport:
    from xnnlint.linter import engine
    from xnnlint.linter.findings import called

    profile = request.profile
    if request.policy:
        from xnnlint.linter.policy_check import check_with_policy

        check = check_with_policy
    else:
        check = engine.check_model
    # Before it is read: what is written meanwhile has another content then, and is checked again by `--resume`.
    content = _content(request) if request.content else None
    report = check(request.file, profile, require_sparse=request.require_sparse, wanted=request.wanted)
    report.content = content
    if report.needs_fixes:
        from xnnlint.fixes.check_fixes import add_fixes

        add_fixes(report, profile, search=request.fixes)
    return called(report, request.file, request.path)


def _content(request: Request) -> Content | None:
    from xnnlint.loaders.content import content_of

    content = content_of(request.file)
    return content and content._replace(version=request.version)


def died_sentence(task: Task, how: str) -> str:
    """What to say of a model whose process ended.

    Args:
        how: such as "ended by SIGKILL".
    """
    return f"{task.request.path}: the process that checked it {how}"


def _check_whole(task: Task) -> ModelReport:
    return check_one(task.request)


def _check_slim(task: Task) -> ModelReport:
    """The same, with only as much of the plan as reports show: what goes from one process to another."""
    report = check_one(task.request)
    if report.plan is not None:
        report.plan = slim(report.plan)
    return report


def slim(plan: Plan) -> Plan:
    """A plan without weights, which are views of a mapped file, and without what plans again."""
    from xnnlint.model.graph import Graph

    graph = Graph([], [], (), (), plan.graph.name)
    graph.operators = plan.graph.operators
    model = replace(plan.model, graphs=[graph], signatures=[], metadata={})
    called = [replace(called, plan=slim(called.plan)) for called in plan.called]
    return replace(plan, model=model, graph=graph, delegation=None, partitions=[], planner=None, called=called)
