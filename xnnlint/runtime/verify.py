"""Prediction beside observation: a model runs in the real runtime, and its plan is compared with what happened."""

from __future__ import annotations

import contextlib
import heapq
import os
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct
from msgspec.structs import replace

from xnnlint.errors import ModelError, XnnlintError
from xnnlint.loaders.addresses import is_address, shown
from xnnlint.loaders.content import content_of
from xnnlint.loaders.search import Excluded, Found, nothing, search
from xnnlint.runtime.broken import Broken
from xnnlint.xnnpack.loading import of_application
from xnnlint.xnnpack.plan import Outcome, Plan
from xnnlint.xnnpack.profile import load_profile, runtime_of_litert

if TYPE_CHECKING:
    from xnnlint.loaders.content import Content
    from xnnlint.loaders.remote.fetch import Fetching
    from xnnlint.runtime.observation import Observation
    from xnnlint.runtime.targets import Target
    from xnnlint.xnnpack.profile import Profile

OUTCOME, OPERATORS, PARTITIONS, TFLITE_OPERATORS = "outcome", "operators", "partitions", "tflite-operators"
"""What can differ; see Verification."""

AGREES, DIFFERS, TROUBLE = 0, 1, 2
_CONVERT = "convert it with xnnlint convert, and verify the .tflite file"


class Ran(Protocol):
    """What a run showed; see Observation."""

    @property
    def kernels(self) -> tuple[str, ...] | None: ...

    @property
    def kernel_indices(self) -> tuple[int, ...] | None: ...

    @property
    def tflite_ops(self) -> tuple[str, ...] | None: ...


class Row(Struct, frozen=True):
    """A predicted operator beside the observed one in its place; one of the two may be missing.

    Attributes:
        tflite: whether TFLite runs it itself; else XNNPACK does.
        predicted, observed: XNNPACK's name of the operator, or TFLite's; None where there is none.
        op, name, type: of the TFLite operator that the prediction says it comes from; None and "" without prediction.
        predicted_partition, observed_partition: number of the delegate partition, from 0; None for TFLite's own.
        subgraph: in which of the file's subgraphs; None in the main one.
        times: how often that ran; None in the main one.
    """

    tflite: bool
    predicted: str | None
    observed: str | None
    op: int | None = None
    name: str = ""
    type: str = ""
    predicted_partition: int | None = None
    observed_partition: int | None = None
    subgraph: int | None = None
    times: int | None = None

    @property
    def agrees(self) -> bool:
        return self.predicted == self.observed


class Verdict(Struct, frozen=True):
    """What a verification comes to, of whatever run it is.

    Attributes:
        path, agrees, differs, broken, exit_code, error: as of a Verification.
        predicted, observed: the outcomes; None where there is none.
    """

    path: str
    agrees: bool | None
    differs: tuple[str, ...]
    broken: Broken | None
    predicted: str | None
    observed: str | None
    exit_code: int
    error: str | None


class Verification(Struct, frozen=True):
    """One model's prediction and observation.

    Attributes:
        path: as given.
        plan, observation: both views; None where `error` says that the file could not be read.
        rows: all operators, predicted and observed ones aligned, in the order in which they run; empty where the model
            did not run, or the release does not tell what it ran.
        differs: what does: "outcome"; "operators" (XNNPACK's, in order); "partitions" (which operators run in which
            delegate partition); "tflite-operators" (those that TFLite runs itself, in order).
        error: why it could not be judged, in one sentence that names the file; None where it could.
        broken: whether LiteRT's other kernels get the file wrong, too, so that it is right nowhere; None where not.
        content: which content it was that ran; None where it could not be read.
    """

    path: str
    plan: Plan | None = None
    observation: Observation | None = None
    rows: tuple[Row, ...] = ()
    differs: tuple[str, ...] = ()
    error: str | None = None
    broken: Broken | None = None
    content: Content | None = None

    @property
    def verdict(self) -> Verdict:
        predicted = None if self.plan is None else self.plan.outcome.value
        observed = None if self.observation is None else self.observation.outcome
        return Verdict(
            self.path, self.agrees, self.differs, self.broken, predicted, observed, self.exit_code, self.error
        )

    @property
    def agrees(self) -> bool | None:
        """None where that could not be judged."""
        if self.differs:
            return False
        # Where nothing computes a number, nobody knows what a model that is called right should have given.
        unknown = self.broken is Broken.NOTHING_FINITE and self.plan is not None and self.plan.is_correct
        return None if self.error or unknown else True

    @property
    def exit_code(self) -> int:
        """0: agrees, and results are right; 1: something differs, the outcome is wrong-results or fails, or the file is
        broken; 2: it could not be judged."""
        if self.agrees is None:
            return TROUBLE if self.broken is None else DIFFERS
        right = self.observation is not None and self.observation.outcome in ("sparse", "dense")
        return AGREES if self.agrees and right else DIFFERS


class Setting(Struct, frozen=True):
    """Where models run, and what they are compared with.

    Attributes:
        target: the LiteRT release and the CPU.
        profile: the runtime and the CPU that the plan is made for.
        seeds: of the random inputs.
        note: what the user should know of the pair and of how it runs, in one sentence, or "".
    """

    target: Target
    profile: Profile
    seeds: tuple[int, ...] = (0, 1, 2)
    note: str = ""


def choose(
    runtime: str | None = None,
    cpu: str = "auto",
    litert_version: str | None = None,
    seeds: int = 3,
    announce: Callable[[str], None] = lambda sentence: None,
) -> Setting:
    """Where to run, and which profile matches that.

    Args:
        runtime: runtime profile to compare with; None for that of the release.
        cpu: "auto" or one of `xnnlint.runtime.targets.CPUS`.
        litert_version: a release to run, installed into a cache where it isn't there yet; "nightly" for the newest
            nightly wheel; None for the installed one.
        seeds: how many random inputs.
        announce: told when a release is about to be installed.

    Raises:
        XnnlintError: this cannot run here, with what to install; or no such profile.
    """
    from xnnlint.cache.place import cache_folder
    from xnnlint.runtime import targets
    from xnnlint.runtime.releases import ReleaseMissing, find, installed, numbered

    # A wrong name shall be told before anything is installed.
    if runtime is not None and load_profile(runtime).is_portable:
        raise XnnlintError(f"{runtime!r} stands for every runtime, and a run shows one: name it, or a LiteRT version")
    litert_version = numbered(litert_version)
    try:
        target = targets.resolve(cpu, litert_version, fetch=False)
        find(litert_version, fetch=False)  # runs the dense reference
    except ReleaseMissing:
        here = installed()
        if litert_version is None and here is None:
            raise
        version = litert_version or (here.version if here else "")
        announce(f"installing LiteRT {version} into {cache_folder() / 'litert'}")
        target = targets.resolve(cpu, litert_version)
    own, known = runtime_of_litert(target.release.version)
    note = "" if known else f"LiteRT {target.release.version} has no profile of its own; {own} is the nearest one"
    if runtime is not None and runtime != own:
        note = f"LiteRT {target.release.version} is not {runtime} but {own}; --litert-version runs another release"
    note = "; ".join(filter(None, (note, target.note)))
    return Setting(target, load_profile(runtime or own, target.cpu), tuple(range(seeds)), note)


def verify_each(
    paths: Iterable[str | os.PathLike[str]],
    setting: Setting,
    excluded: Excluded = nothing,
    fetching: Fetching | None = None,
) -> Iterator[Verification]:
    """Run and compare every model, in order; folders stand for the .tflite files in them.

    Args:
        excluded: what to pass over, as for `search.search`.
        fetching: how to get models at addresses.

    Raises:
        XnnlintError: nothing can run here.
    """
    yield from verify_found(runnable(paths, excluded), setting, fetching)


def verify_found(models: Iterable[Found], setting: Setting, fetching: Fetching | None = None) -> Iterator[Verification]:
    """The same of models that were found, see `runnable`."""
    from xnnlint.runtime.observe import observe

    # Each with what was fetched for it, which is kept until it has run.
    planned: deque[tuple[Verification, contextlib.ExitStack]] = deque()

    def readable() -> Iterator[str]:
        for found in models:
            stack = files.enter_context(contextlib.ExitStack())
            file, verification = _planned(found, setting.profile, fetching, stack)
            planned.append((verification, stack))
            if verification.error is None:
                yield file

    target = setting.target
    version = target.release.version
    with contextlib.ExitStack() as files:
        for observation in observe(readable(), cpu=target.cpu, litert_version=version, seeds=setting.seeds):
            # Those before the observed one could not be read, so that nobody ran them.
            while planned[0][0].error is not None:
                yield planned.popleft()[0]
            verification, stack = planned.popleft()
            assert verification.plan is not None
            found = compare(verification.path, verification.plan, observation)
            yield replace(found, content=verification.content)
            stack.close()
    yield from (verification for verification, _ in planned)


def runnable(paths: Iterable[str | os.PathLike[str]], excluded: Excluded = nothing) -> list[Found]:
    """Files as given, and of folders the .tflite files, since the runtime runs nothing else."""
    given = [os.fspath(path) for path in paths]
    found = list(search(given, excluded))
    runnable = [one for one in found if one.path in given or one.path.lower().endswith(".tflite")]
    return runnable if runnable or not found else [Found(path) for path in given]


def _planned(
    found: Found, profile: Profile, fetching: Fetching | None, stack: contextlib.ExitStack
) -> tuple[str, Verification]:
    """The file to run, and the model's plan, or why there is none.

    Args:
        stack: keeps what is fetched.
    """
    from xnnlint.linter.engine import internal, sentence
    from xnnlint.loaders import load
    from xnnlint.xnnpack.planner import make_plan

    path = file = found.path
    version = found.version
    try:
        if is_address(path) and fetching is not None:
            from xnnlint.loaders.remote.fetch import fetched
            from xnnlint.loaders.remote.versions import version_at

            path = shown(path)
            if found.error is not None:
                raise XnnlintError(found.error)
            # Before it is fetched: what is written meanwhile is another version then.
            version = version or version_at(found.path)
            file = stack.enter_context(fetched(found.path, fetching, found.size))
        _refuse_keras(file)
        content = content_of(file)
        if content is not None and version is not None:
            content = content._replace(version=version)
        return file, Verification(path, make_plan(load(file), profile), content=content)
    except (XnnlintError, OSError) as error:
        return file, Verification(path, error=sentence(error, file if file in str(error) else path).replace(file, path))
    except Exception as error:
        # One file that trips a mistake of ours must not hide what the others have.
        if os.environ.get("XNNLINT_DEBUG"):
            raise
        return file, Verification(path, error=f"{path}: {internal(error)}")


def _refuse_keras(path: str) -> None:
    """A Keras model can be planned but not run."""
    from xnnlint.loaders.keras.read_file import format_of

    place, head = Path(path), b""
    if place.is_file():
        with place.open("rb") as file:
            head = file.read(64)
    if format_of(path, head):
        raise ModelError(path, "this is a Keras model, and LiteRT runs .tflite files only", _CONVERT)


# --- comparing -------------------------------------------------------------------------------------------------------


def compare(path: str, plan: Plan, observation: Observation) -> Verification:
    """Compares what can be: a model that does not run has no operators, and without a reference there is no outcome."""
    rows = (*align(plan, observation), *_called(plan, observation))
    differs = []
    if observation.outcome is not None and not plan.allows(Outcome(observation.outcome)):
        differs.append(OUTCOME)
    if any(not row.agrees and not row.tflite for row in rows):
        differs.append(OPERATORS)
    elif _numbered((r.subgraph, r.predicted_partition) for r in rows) != _numbered(
        (r.subgraph, r.observed_partition) for r in rows
    ):
        differs.append(PARTITIONS)
    if any(not row.agrees and row.tflite for row in rows):
        differs.append(TFLITE_OPERATORS)
    own = of_application(plan)
    if own and observation.status != "ran":
        reason = f"LiteRT alone does not run it, since {', '.join(own)} is your application's"
        return Verification(path, plan, observation, error=f"{path}: it could not be judged: {reason}")
    broken = observation.broken
    if broken is Broken.NOTHING_RUNS and plan.outcome is not Outcome.FAILS:
        broken = None  # Of an operator that LiteRT lacks, say, nothing can be told.
    undecided = observation.outcome is None and not differs and broken is None
    error = f"{path}: it could not be judged: {observation.undecided or observation.error}" if undecided else None
    return Verification(path, plan, observation, rows, tuple(differs), error, broken)


def _called(plan: Plan, observation: Observation) -> Iterator[Row]:
    """The subgraphs that operators called; one that did not run, such as a branch not taken, is not compared."""
    plans = {called.subgraph: called.plan for called in plan.called}
    for run in observation.called or ():
        nothing = Plan(plan.model, plan.graph, plan.profile, plan.outcome)
        for row in align(plans.get(run.subgraph, nothing), run):
            yield replace(row, subgraph=run.subgraph, times=run.times)


def align(plan: Plan, observation: Ran) -> tuple[Row, ...]:
    """Predicted and observed operators side by side, in the order in which they run."""
    if observation.kernels is None:
        return ()
    # Places in TFLite's execution plan, by partition and by operator.
    schedule = plan.delegation.schedule if plan.delegation is not None else []
    of_partition = {entry.index: place for place, entry in enumerate(schedule) if not isinstance(entry, int)}
    of_operator = {entry: place for place, entry in enumerate(schedule) if isinstance(entry, int)}
    partitions = list(partitions_of(observation.kernel_indices or ()))

    xnnpack: list[tuple[int, Row]] = []
    for i, j in _pairs([kernel.kernel for kernel in plan.operators], observation.kernels):
        observed, in_partition = (None, None) if j is None else (observation.kernels[j], partitions[j])
        if i is None:
            # It stands where the one before it stands.
            row = Row(False, None, observed, observed_partition=in_partition)
            xnnpack.append((xnnpack[-1][0] if xnnpack else -1, row))
        else:
            kernel = plan.operators[i]
            row = Row(
                False, kernel.kernel, observed, kernel.op, kernel.name, kernel.type, kernel.partition, in_partition
            )
            xnnpack.append((of_partition.get(kernel.partition, -1), row))

    tflite: list[tuple[int, Row]] = []
    operators = [plan.graph.operators[op] for op in plan.tflite_ops]
    kinds = [operator.custom_code or operator.type for operator in operators]
    seen = observation.tflite_ops or ()
    for i, j in _pairs(kinds, seen):
        observed = None if j is None else seen[j]
        if i is None:
            tflite.append((tflite[-1][0] if tflite else -1, Row(True, None, observed)))
        else:
            row = Row(True, kinds[i], observed, operators[i].index, operators[i].name, kinds[i])
            tflite.append((of_operator.get(operators[i].index, -1), row))
    return tuple(row for _, row in heapq.merge(xnnpack, tflite, key=lambda placed: placed[0]))


def partitions_of(kernel_indices: Iterable[int]) -> Iterator[int]:
    """The number of the partition that each operator ran in: XNNPACK counts its operators anew in each."""
    number, previous = -1, None
    for index in kernel_indices:
        if previous is None or index <= previous:
            number += 1
        previous = index
        yield number


def _pairs(predicted: Sequence[str], observed: Sequence[str]) -> Iterator[tuple[int | None, int | None]]:
    """Positions in both that belong together; None where the other side has nothing."""
    matcher = SequenceMatcher(None, predicted, observed, autojunk=False)
    for _, i, i_end, j, j_end in matcher.get_opcodes():
        yield from zip_longest(range(i, i_end), range(j, j_end))


def _numbered(partitions: Iterable[Hashable]) -> list[int]:
    """Numbers from 0 in the order of their first appearance: a partition may be left without any operator."""
    seen: dict[Hashable, int] = {}
    return [seen.setdefault(number, len(seen)) for number in partitions]
