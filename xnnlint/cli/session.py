"""A run over many models: which ones, with which settings, in how many processes, and what comes of each."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from xnnlint.cli.code_permission import ask_to_run
from xnnlint.cli.cost_options import cost_profile as cost_profile_of
from xnnlint.cli.declared_layers import declared_layers, search_modules_of
from xnnlint.errors import XnnlintError
from xnnlint.linter.wanted import NOTHING, Wanted
from xnnlint.loaders import is_callable
from xnnlint.loaders.search import STDIN, search
from xnnlint.xnnpack.profile import load_profile

if TYPE_CHECKING:
    from xnnlint.config.settings import Resolver, Settings
    from xnnlint.linter.findings import ModelReport
    from xnnlint.xnnpack.plan import Plan
    from xnnlint.xnnpack.profile import Profile


@dataclass(frozen=True, slots=True)
class Request:
    """One model to check, as it is handed to a process of its own.

    Attributes:
        file: what to read; `path` is what to call it.
        error: why there is nothing to read; then only this is reported.
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

    @property
    def profile(self) -> Profile:
        """What the model is checked for."""
        return load_profile(self.runtime, self.cpu).knowing(self.custom_operators)


@dataclass(frozen=True, slots=True)
class Task:
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
    ) -> None:
        self._resolver = resolver
        self._stdin_name = stdin_name
        self._fixes = fixes
        self._graphs = graphs
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
    def profile(self) -> Profile:
        """What the first model is checked for."""
        chosen = self.profiles[0] if self.profiles else (self.settings["runtime"], self.settings["cpu"])
        return load_profile(*chosen)

    def reports(
        self, tasks: Sequence[Task] | None = None, *, with_bar: bool = True
    ) -> Iterator[tuple[ModelReport, Settings]]:
        """Check models, in order; at most one report is kept for each process.

        Args:
            tasks: those to check; without, all of them.
        """
        from xnnlint.config.applied import apply

        tasks = self.tasks if tasks is None else tasks
        load_rules()
        requests = [task.request for task in tasks]
        with self._files:
            found = self._checked(requests)
            if with_bar:
                from xnnlint.reporters.progress import is_wanted
                from xnnlint.reporters.progress import with_bar as show

                if is_wanted(len(requests)):
                    found = show(found, [request.path for request in requests])
            with contextlib.closing(found):
                for task, report in zip(tasks, found, strict=True):
                    report.profile = task.profile
                    yield apply(report, task.settings), task.settings

    def _rates_file(self, file: str) -> str:
        configured = self.settings["cost-profile"]
        if not file and configured:
            file = os.path.relpath(Path(self.settings.folder, configured))
        return file

    def _found(self, paths: Sequence[str]) -> Iterator[tuple[str, str | None]]:
        """(path, why it cannot be checked)."""
        given = list(paths)
        if not given:
            configured = self.settings["models"]
            if not configured:
                raise XnnlintError("no PATH is given, such as . for this folder, and no `models` in a configuration")
            given = [self._configured(path) for path in configured]
        for found in search(given, self._resolver.excluded):
            by_name = found.path == STDIN and self._stdin_name
            if not (by_name and self._resolver.excluded(self._stdin_name, by_hand=True)):
                yield found.path, found.error

    def _task(self, found: tuple[str, str | None], wanted: Wanted, policy: bool) -> Task:
        path, error = found
        if path == STDIN:
            name = self._stdin_name or "<stdin>"
            settings = self._resolver.for_model(name) if self._stdin_name else self.settings
            file = self._from_stdin(name)
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

        folder = self._files.enter_context(tempfile.TemporaryDirectory(prefix="xnnlint-"))
        file = Path(folder, "model").with_suffix(Path(name).suffix if name != "<stdin>" else ".tflite")
        with file.open("wb") as stream:
            shutil.copyfileobj(sys.stdin.buffer, stream)
        return str(file)

    def _configured(self, path: str) -> str:
        """A path of the configuration, from the current folder."""
        if is_callable(path):
            ask_to_run(path, self.settings, "models")
            search_modules_of(self.settings)
            return path
        return os.path.relpath(Path(self.settings.folder, path))

    def _checked(self, requests: Sequence[Request]) -> Generator[ModelReport]:
        # The whole plan stays in the process that made it.
        count = 0 if self._graphs else _processes(self.settings["jobs"], requests)
        if not count:
            yield from map(check_one, requests)
            return
        from xnnlint.linter.jobs import Died, in_processes

        for request, report in zip(requests, in_processes(check_slim, requests, count), strict=True):
            if isinstance(report, Died):
                from xnnlint.linter.findings import ModelReport

                report = ModelReport(request.path, error=f"{request.path}: the process that checked it {report.how}")
            yield report


def load_rules() -> None:
    """A rule that cannot be imported must stop the run, not become one file's error.

    Raises:
        XnnlintError: one cannot be.
    """
    from xnnlint.linter.rule_registry import all_rules

    all_rules()


def _profile_name(task: Task) -> tuple[str, str]:
    return task.request.runtime, task.request.cpu


def _processes(wanted: int, requests: Sequence[Request]) -> int:
    """How many to use beside this one; 0 where it is to be done in this one.

    A model is read in a process of its own, so that one that ends it (a file that is cut short while it is mapped, code
    of a plug-in, too little memory) costs that model alone.

    Args:
        wanted: 0 for one for each CPU.
    """
    # What the policy says of a layer is looked up in the whole plan, which stays in its process.
    if any(request.policy for request in requests) or os.environ.get("XNNLINT_DEBUG"):
        return 0
    if len(requests) < 2 or wanted == 1:
        return 1 if has_own_process() else 0
    if not wanted:
        from xnnlint.linter.jobs import cpus

        wanted = cpus()
    return min(wanted, len(requests))


def has_own_process() -> bool:
    """Whether even a single model is read in a process of its own."""
    # Elsewhere than on Linux a process takes as long to start as a small model to be checked.
    return sys.platform == "linux" and not os.environ.get("XNNLINT_DEBUG")


def check_one(request: Request) -> ModelReport:
    """Check one model; whatever goes wrong is in the report."""
    from xnnlint.linter import engine
    from xnnlint.linter.findings import ModelReport

    if request.error is not None:
        return ModelReport(request.path, error=request.error)
    profile = request.profile
    if request.policy:
        from xnnlint.linter.policy_check import check_with_policy

        check = check_with_policy
    else:
        check = engine.check_model
    report = check(request.file, profile, require_sparse=request.require_sparse, wanted=request.wanted)
    if report.needs_fixes:
        from xnnlint.fixes.check_fixes import add_fixes

        add_fixes(report, profile, search=request.fixes)
    if request.file != request.path:
        report.path = request.path
        if report.error is not None:
            report.error = report.error.replace(request.file, request.path)
    return report


def check_slim(request: Request) -> ModelReport:
    """The same, with only as much of the plan as reports show: what goes from one process to another."""
    report = check_one(request)
    if report.plan is not None:
        report.plan = _slim(report.plan)
    return report


def _slim(plan: Plan) -> Plan:
    """A plan without weights, which are views of a mapped file, and without what plans again."""
    from xnnlint.model.graph import Graph

    graph = Graph([], [], (), (), plan.graph.name)
    graph.operators = plan.graph.operators
    model = replace(plan.model, graphs=[graph], signatures=[], metadata={})
    called = [replace(called, plan=_slim(called.plan)) for called in plan.called]
    return replace(plan, model=model, graph=graph, delegation=None, partitions=[], planner=None, called=called)
