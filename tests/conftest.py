"""Model sets as fixtures, and the one place that decides whether the real runtime can judge."""

from __future__ import annotations

import functools
import gc
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import models
from tests.kept_children import kept_children
from tests.reporters.page.browser import absent as absent_of_browser
from tests.requirements import REQUIRE_BROWSER, REQUIRE_JUDGE, REQUIRE_KERAS, REQUIRE_TENSORFLOW, missing
from xnnlint.runtime.availability import CpuAvailability, availability
from xnnlint.runtime.execution import place

MARKER = "judge"
TENSORFLOW = "tensorflow"
BROWSER = "browser"
# What the `tf` extra installs.
_OF_TENSORFLOW = ("tensorflow", "tf_keras", "keras", "tensorflow_model_optimization", "h5py")


# The program is started hundreds of times, and would be compiled anew each time; so would the tests in each process.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{MARKER}: the real LiteRT runtime decides; skipped where it cannot run")
    config.addinivalue_line("markers", f"{TENSORFLOW}: loads or converts models; skipped without the tf extra")
    # What is tested is what happens now; the tests of the cache switch it on.
    os.environ["XNNLINT_NO_CACHE"] = "1"
    config.addinivalue_line("markers", f"{BROWSER}: opens pages in Chromium; skipped where it cannot")


@functools.cache
def _judge() -> CpuAvailability:
    return availability().cpus["auto"]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """For `-n auto`: one more than there are processors, since tests also wait, for the clock and for the disk."""
    return (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs TensorFlow comes first, and so to one process: it alone imports it."""
    items.sort(key=lambda item: item.get_closest_marker(TENSORFLOW) is None)


def pytest_collection_finish() -> None:
    """Thousands of tests, and what they import, are garbage for none: they need not be gone through again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker(MARKER) and not _judge().available:
        missing(f"the real runtime cannot judge: {_judge().reason}", REQUIRE_JUDGE)
    if item.get_closest_marker(TENSORFLOW) and (absent := _absent()):
        missing(f"needs the tf extra: no {', '.join(absent)}", REQUIRE_TENSORFLOW)
    if item.get_closest_marker(BROWSER) and (lacking := absent_of_browser()):
        missing(f"no page can be opened: no {', '.join(lacking)}", REQUIRE_BROWSER)


@functools.cache
def _absent() -> tuple[str, ...]:
    return tuple(name for name in _OF_TENSORFLOW if importlib.util.find_spec(name) is None)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    ran, skipped, without_tensorflow = 0, 0, 0
    for outcome, reports in terminalreporter.stats.items():
        judged = [r for r in reports if MARKER in getattr(r, "keywords", ()) and getattr(r, "when", None)]
        if outcome == "skipped":
            without_tensorflow += sum(TENSORFLOW in r.keywords for r in judged) if _absent() else 0
            skipped += len(judged) - without_tensorflow
        elif outcome in ("passed", "failed"):
            ran += sum(r.when == "call" for r in judged)
    if not ran and not skipped and not _judged_errors(terminalreporter):
        line = "judged tests: none selected"
    elif not _judge().available:
        line = f"judged tests: 0 ran, {skipped} skipped: {_judge().reason}"
    else:
        where = place(_judge().litert, _judge().cpu, _judge().execution)
        line = f"judged tests: {ran} ran in {where}, {skipped} skipped"
    if without_tensorflow:
        line += f", {without_tensorflow} need the tf extra"
    terminalreporter.write_line(line)


def _judged_errors(terminalreporter: pytest.TerminalReporter) -> bool:
    return any(MARKER in getattr(r, "keywords", ()) for r in terminalreporter.stats.get("error", []))


def _find(find: Callable[[], Path], variable: str) -> Path:
    try:
        return find()
    except models.Unavailable as error:
        missing(str(error), variable)
        raise


@pytest.fixture(scope="session", autouse=True)
def _children() -> Iterator[None]:
    with kept_children():
        yield


@pytest.fixture(scope="session")
def committed_fixtures() -> Path:
    """The folder of committed model files."""
    return models.FIXTURES


@pytest.fixture(scope="session")
def mediapipe_models() -> Path:
    """`mediapipe/modules` of the mediapipe wheel: real models, read-only."""
    return _find(models.mediapipe_models, REQUIRE_JUDGE)


@pytest.fixture(scope="session")
def keras_models() -> Path:
    """The set that `fixtures/make_keras_set.py` writes; optional, since making it needs TensorFlow."""
    return _find(models.keras_models, REQUIRE_KERAS)
