"""The start and the end of the program: what is imported where, which process reads, and what is left of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.program import spawn
from tests.models import ROOT
from xnnlint.cli import app
from xnnlint.linter.engine import check_made
from xnnlint.linter.own_process import can_fork
from xnnlint.xnnpack.profile import load_profile

MODEL = ROOT / "fixtures" / "guide_sparse.tflite"
TWO = can_fork() and len(os.sched_getaffinity(0)) > 1
ahead = pytest.mark.skipif(not TWO, reason="only with another processor, and where processes fork")
# What the program itself has imported by its end, and how many processes it has started.
WATCHED = """
import atexit, os, sys
forks, fork = [], os.fork
def counted():
    number = fork()
    forks.append(number)
    return number
os.fork = counted
atexit.register(lambda: print(len(forks), *sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr))
from xnnlint.cli.app import program
program()
"""


def watched(*arguments: str, **options) -> tuple[int, int, list[str]]:
    """Exit code, processes started, and packages imported by the program itself."""
    environment = {k: v for k, v in os.environ.items() if k not in ("XNNLINT_NO_CACHE", "XNNLINT_DEBUG")}
    environment |= options.pop("env", {})
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, *arguments], capture_output=True, text=True, env=environment, **options
    )
    count, *packages = done.stderr.splitlines()[-1].split()
    return done.returncode, int(count), packages


@pytest.fixture
def model(tmp_path):
    return str(shutil.copy(MODEL, tmp_path))


@pytest.fixture
def own_cache(tmp_path):
    return {"XNNLINT_CACHE_DIR": str(tmp_path / "cache")}


@ahead
def test_numpy_is_imported_by_the_process_that_reads(model, own_cache):
    code, count, packages = watched("check", model, env=own_cache)
    assert (code, count) == (0, 1)
    assert not {"numpy", "typer", "typing_extensions", "threading", "tensorflow"} & set(packages)
    assert "msgspec" in packages


def test_none_waits_for_a_model_that_is_remembered(model, own_cache):
    assert watched("check", model, env=own_cache)[:2] == (0, 1 if can_fork() else 0)
    assert watched("check", model, env=own_cache)[:2] == (0, 0)


@ahead
@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        (["check", "{model}", "--no-cache"], 1),
        (["check", "{model}", "--policy", "--no-cache"], 1),
        (["check", "nothing.tflite"], 1),
        (["check", "{folder}", "--no-cache"], 1),
        (["check", "{model}", "--no-such-option"], 0),
        (["check", "{model}", "--cpu", "no-such-cpu", "--no-cache"], 1),
        (["rules"], 0),
    ],
)
def test_one_process_at_most_for_one_model(model, own_cache, tmp_path, arguments, count):
    words = [word.format(model=model, folder=tmp_path) for word in arguments]
    assert watched(*words, env=own_cache)[1] == count


@ahead
def test_none_waits_where_there_is_one_processor(model, own_cache):
    one = min(os.sched_getaffinity(0))
    code, count, packages = watched(
        "check", model, "--no-cache", env=own_cache, preexec_fn=lambda: os.sched_setaffinity(0, {one})
    )
    assert (code, count) == (0, 1)
    assert "numpy" in packages


@pytest.mark.parametrize("arguments", [["check", "{model}"], ["check", "nothing.tflite"], ["rules"]])
def test_what_was_to_be_done_at_the_end_is_done(model, arguments):
    code = "import atexit; atexit.register(print, 'bye'); from xnnlint.cli.app import program; program()"
    words = [word.format(model=model) for word in arguments]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert done.stdout.endswith("bye\n")
    assert done.returncode == spawn(*words).returncode


def test_a_thread_is_waited_for():
    code = (
        "import threading; from xnnlint.cli.app import program; "
        "threading.Thread(target=lambda: (threading.main_thread().join(), print('done'))).start(); program()"
    )
    done = subprocess.run([sys.executable, "-c", code, "rules"], capture_output=True, text=True)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "done")


def test_a_profiler_gets_to_its_end(model):
    done = subprocess.run(
        [sys.executable, "-m", "cProfile", "-s", "calls", "-m", "xnnlint", "check", model],
        capture_output=True,
        text=True,
    )
    assert "function calls" in done.stdout, done.stderr


def test_output_to_a_full_disk_is_told(model):
    with Path("/dev/full").open("w") as full:
        done = spawn("check", model, "--no-cache", capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert (done.returncode, "cannot write the output" in done.stderr) == (2, True)


def test_msgspec_does_without_typing_extensions_and_others_have_it():
    code = (
        "import sys; from xnnlint.msgspec_import import import_msgspec; import_msgspec()\n"
        "before = 'typing_extensions' in sys.modules\n"
        "import typing, typing_extensions, msgspec\n"
        "class Kind(typing.TypedDict):\n    share: typing.Required[float]\n    name: typing.NotRequired[str]\n"
        "class Row(msgspec.Struct, frozen=True):\n    kind: Kind\n"
        'print(before, msgspec.json.decode(b\'{"kind": {"share": 0.5}}\', type=Row), typing_extensions.Required)\n'
    )
    if sys.version_info < (3, 11):
        pytest.skip("typing has less than msgspec needs")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False Row(kind={'share': 0.5}) typing.Required\n", done.stderr


def _wrapped(end: BaseException) -> None:
    """What Python 3.11 makes of a signal that comes while it makes a class."""
    raise RuntimeError("Error calling __set_name__ on 'cached_property' instance") from end


@pytest.mark.parametrize("end", [SystemExit(143), KeyboardInterrupt()])
def test_an_end_that_is_asked_for_is_no_mistake(end, monkeypatch, capsys):
    monkeypatch.setattr(app, "_run", lambda words: _wrapped(end))
    with pytest.raises(type(end)):
        app.main()
    with pytest.raises(type(end)):
        check_made("m.tflite", lambda: _wrapped(end), load_profile())
    assert "itself failed" not in capsys.readouterr().err
