"""Folders, patterns, stdin, several processes, and the bar on a terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.program import run
from tests.models import FIXTURES, ROOT
from tests.rounds import some
from xnnlint.linter import jobs
from xnnlint.loaders import find_models
from xnnlint.loaders.search import search
from xnnlint.reporters import progress

HALF = FIXTURES / "guide_half.tflite"
SPARSE = FIXTURES / "guide_sparse.tflite"


@pytest.fixture
def call(capsys, monkeypatch):
    return lambda *arguments: run(capsys, monkeypatch, *map(str, arguments))


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Empty files, where only their names matter."""
    names = (
        "b.tflite", "a.tflite", "notes.txt", "m.weights.h5", "deep/c.KERAS", "deep/d.bin", "deep/er/e.tflite",
        ".git/f.tflite", "deep/.venv/g.tflite", "node_modules/h.tflite", "saved/saved_model.pb",
        "saved/assets/i.tflite",
    )  # fmt: skip
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def models(tmp_path, monkeypatch):
    """Three models to check; the current folder is theirs."""
    shutil.copy(HALF, tmp_path / "half.tflite")
    shutil.copy(SPARSE, tmp_path / "sparse.tflite")
    shutil.copy(FIXTURES / "guide_sparse.keras", tmp_path / "sparse.keras")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def paths(*given: str, **options) -> list[str]:
    return [found.path for found in search(given, **options)]


def program(*arguments: str, **options) -> subprocess.CompletedProcess:
    options = {"capture_output": True, "text": True, "timeout": 120} | options
    return subprocess.run([sys.executable, "-m", "xnnlint", *arguments], env=environment(), **options)


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)}


# --- finding ---------------------------------------------------------------------------------------------------------


def test_a_folder_stands_for_the_models_in_it(tree):
    assert paths(".") == ["a.tflite", "b.tflite", "deep/c.KERAS", "deep/er/e.tflite", "saved"]
    assert paths("deep") == ["deep/c.KERAS", "deep/er/e.tflite"]
    # A folder that is passed over is searched where it is named.
    assert paths(".git") == [".git/f.tflite"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.tflite", ["a.tflite", "b.tflite"]),
        ("**/*.tflite", ["a.tflite", "b.tflite", "deep/er/e.tflite"]),
        ("./**/*.tflite", ["a.tflite", "b.tflite", "deep/er/e.tflite"]),
        ("deep/**", ["deep/c.KERAS", "deep/er/e.tflite"]),
        ("deep/*", ["deep/c.KERAS", "deep/er/e.tflite"]),
        ("d*/**/e.*", ["deep/er/e.tflite"]),
        ("*/*/*.tflite", ["deep/er/e.tflite"]),
        ("[a]*.tflite", ["a.tflite"]),
        ("?.tflite", ["a.tflite", "b.tflite"]),
        ("deep/*.bin", ["deep/d.bin"]),
        ("*.txt", ["notes.txt"]),
        ("s*", ["saved"]),
    ],
)
def test_patterns(tree, pattern, found):
    assert paths(pattern) == found
    assert paths(str(tree / pattern)) == [str(tree / name) for name in found]


def test_a_name_with_brackets_is_a_name_where_it_is_there(tree):
    (tree / "m[1].tflite").touch()
    assert paths("m[1].tflite") == ["m[1].tflite"]


def test_a_pattern_without_a_match_is_an_error(tree, call):
    code, out, err = call("check", "x*.tflite")
    assert (code, out, err) == (2, "", "xnnlint: error: x*.tflite: no model matches this pattern\n")
    assert call("check", "missing/**/*.tflite")[0] == 2


def test_each_model_comes_once_by_the_name_that_was_given_first(tree):
    given = ["b.tflite", "./a.tflite", ".", "a.tflite", str(tree / "b.tflite"), "deep/../a.tflite", "*.tflite"]
    assert paths(*given) == ["b.tflite", "./a.tflite", "deep/c.KERAS", "deep/er/e.tflite", "saved"]


def test_links_that_go_round_in_a_circle(tree):
    (tree / "deep" / "up").symlink_to(tree)
    (tree / "self").symlink_to("self")
    assert paths("deep") == ["deep/c.KERAS", "deep/er/e.tflite"]
    assert paths("**/e.tflite") == ["deep/er/e.tflite"]
    assert "deep/up/a.tflite" in paths("deep/up")
    assert paths("self") == ["self"]


def test_a_link_to_itself_is_reported(tree, call):
    (tree / "self.tflite").symlink_to("self.tflite")
    code, _, err = call("check", "self.tflite")
    assert code == 2
    assert err.startswith("xnnlint: error: self.tflite: ")


def deny(monkeypatch, folder: Path) -> None:
    """Make a folder unreadable, for root, too."""
    real = os.scandir

    def scandir(path="."):
        if Path(path).absolute() == folder:
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)


@pytest.mark.parametrize("given", [["."], ["**/*.tflite"], ["deep", "a.tflite", "b.tflite"]])
def test_a_folder_that_cannot_be_read_is_reported_and_stops_nothing(tree, monkeypatch, given):
    deny(monkeypatch, tree / "deep" / "er")
    found = list(search(given))
    assert {f.path for f in found if f.error is None} >= {"a.tflite", "b.tflite"}
    (told,) = [f for f in found if f.error is not None]
    assert (told.path, told.error) == ("deep/er", "deep/er: the folder cannot be read: permission denied")
    assert "deep/er" in find_models(given)


def test_an_unreadable_folder_makes_the_exit_code_2(models, call, monkeypatch):
    (models / "closed").mkdir()
    deny(monkeypatch, models / "closed")
    code, out, err = call("check", ".", "--ignore", "ALL")
    assert code == 2
    assert "sparse.tflite  sparse " in out
    assert err == "xnnlint: error: closed: the folder cannot be read: permission denied\n"


def test_excluded_models_are_passed_over_unless_they_are_named(tree, call):
    (tree / "xnnlint.toml").write_text('exclude = ["er", "b.*"]\n')
    from xnnlint.config.settings import Resolver

    excluded = Resolver().excluded
    assert paths(".", excluded=excluded) == ["a.tflite", "deep/c.KERAS", "saved"]
    assert paths("**/*.tflite", excluded=excluded) == ["a.tflite"]
    assert paths("b.tflite", excluded=excluded) == ["b.tflite"]
    more = Resolver(given={"exclude": ("deep/c*",), "force-exclude": True}).excluded
    assert paths(".", "b.tflite", excluded=more) == ["a.tflite", "saved"]


def test_what_is_excluded_altogether_is_nothing_to_check(models, call):
    assert call("check", "half.tflite", "--exclude", "half*", "--force-exclude") == (0, "", "")
    assert call("check", "half.tflite", "--exclude", "half*")[0] == 1
    code, out, _ = call("check", "half.tflite", "--exclude", "half*", "--force-exclude", "--format", "json")
    assert (code, json.loads(out)["models"]) == (0, [])


# --- stdin -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["guide_sparse.tflite", "guide_sparse.keras", "guide_sparse.h5"])
def test_a_model_from_stdin(name, tmp_path):
    with (FIXTURES / name).open("rb") as stream:
        done = program("check", "-", "--format", "json", stdin=stream, cwd=tmp_path)
    (model,) = json.loads(done.stdout)["models"]
    assert (model["path"], model["outcome"], model["summary"]["spmm"]) == ("<stdin>", "sparse", 2)
    assert (done.returncode, done.stderr) == (0, "")


def test_stdin_has_the_settings_of_the_name_that_is_given_to_it(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "xnnlint.toml").write_text('[per-file-ignores]\n"new.tflite" = ["XNN301"]\n')
    for name, code in (("sub/new.tflite", 0), ("sub/other.tflite", 1), ("", 1)):
        with HALF.open("rb") as stream:
            done = program("check", "-", *(["--stdin-filename", name] if name else []), stdin=stream, cwd=tmp_path)
        assert done.returncode == code, done.stderr
        assert done.stdout.startswith(f"{name or '<stdin>'}: dense")


@pytest.mark.parametrize(
    ("data", "problem"), [(b"", "the file is empty"), (b"<html>", "web page"), (b"\x1c\0\0\0TFL3" + b"\0" * 8, "")]
)
def test_what_is_wrong_on_stdin_is_reported_under_its_name(data, problem, tmp_path):
    done = program("check", "-", "--stdin-filename", "m.tflite", input=data, text=False, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, b"")
    told = done.stderr.decode()
    assert told.startswith("xnnlint: error: m.tflite: ")
    assert problem in told
    assert "xnnlint-" not in told
    assert told.count("\n") == 1


def test_a_name_for_stdin_without_stdin(models, call):
    code, out, err = call("check", "half.tflite", "--stdin-filename", "x")
    assert (code, out) == (2, "")
    assert "give - as PATH" in err


def test_what_is_excluded_by_force_is_not_read_from_stdin_either(tmp_path):
    for option, code in ([], 1), (["--force-exclude"], 0):
        with HALF.open("rb") as stream:
            arguments = ["--stdin-filename", "old/m.tflite", "--exclude", "old", *option]
            assert program("check", "-", *arguments, stdin=stream, cwd=tmp_path).returncode == code


def test_a_current_folder_that_is_gone_is_reported(tmp_path):
    script = f"mkdir gone && cd gone && rmdir ../gone && {sys.executable} -m xnnlint check {HALF}"
    done = subprocess.run(script, shell=True, capture_output=True, text=True, cwd=tmp_path, env=environment())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("xnnlint: error: the current folder is gone")


def test_a_nameless_model_from_stdin_has_the_settings_of_the_current_folder(tmp_path):
    (tmp_path / "xnnlint.toml").write_text('ignore = ["XNN301"]\n')
    with HALF.open("rb") as stream:
        assert program("check", "-", stdin=stream, cwd=tmp_path).returncode == 0


# --- processes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", some(["text", "json", "sarif", "concise", "junit", "github", "markdown"], 3))
def test_several_processes_print_what_one_prints(form, tmp_path, call, monkeypatch):
    for path in sorted(FIXTURES.glob("patterns/*.tflite"))[::24]:
        shutil.copy(path, tmp_path)
    for name in ("guide_half.tflite", "guide_sparse.keras", "guide_int8.tflite", "runtime_bugs/prelu.tflite"):
        shutil.copy(FIXTURES / name, tmp_path)
    (tmp_path / "bad.tflite").write_bytes(b"TFL3" * 9)
    monkeypatch.chdir(tmp_path)
    arguments = ["check", ".", "missing.tflite", "--format", form, "--runtime", "portable"]
    arguments += ["--plan"] if form == "text" else []
    alone = call(*arguments)
    assert alone[0] == 2
    assert call(*arguments, "--jobs", "3") == alone


def double(piece: int) -> int:
    if piece == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    if piece == 5:
        os._exit(7)
    time.sleep(0.02 * (piece % 3))
    return 2 * piece


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_a_process_that_dies_loses_one_piece_and_the_order_stays(platform, monkeypatch):
    monkeypatch.setattr(sys, "platform", platform)  # elsewhere than on Linux processes are spawned
    done = list(jobs.in_processes(double, range(12), 3))
    assert [d for d in done if isinstance(d, int)] == [2 * n for n in range(12) if n not in (3, 5)]
    assert (done[3].how, done[5].how) == ("ended by SIGKILL", "ended with exit code 7")


def unpicklable(piece: int) -> object:
    return (lambda: piece) if piece == 1 else piece


def test_a_result_that_cannot_be_handed_over_is_reported():
    first, second, third = jobs.in_processes(unpicklable, range(3), 2)
    assert (first, third) == (0, 2)
    assert second.how.startswith("failed, which is a bug in xnnlint (")


def test_no_process_is_left_behind_where_nobody_waits_for_the_rest():
    import multiprocessing

    results = jobs.in_processes(double, [0] * 50, 2)
    assert next(results) == 0
    assert len(multiprocessing.active_children()) == 2
    results.close()
    assert multiprocessing.active_children() == []


def test_results_do_not_pile_up_behind_a_slow_one(tmp_path):
    def seen() -> int:
        return len(list(tmp_path.iterdir()))

    results = jobs.in_processes(leave_a_mark, [(tmp_path, number) for number in range(200)], 2)
    # The first one waits for as many others as may come before it is told.
    assert next(results) < 200
    assert seen() < 100
    results.close()


def leave_a_mark(piece: tuple[Path, int]) -> int:
    folder, number = piece
    (folder / str(number)).touch()
    if number == 0:
        time.sleep(1)
        return len(list(folder.iterdir()))
    return number


def test_a_dying_process_is_the_error_of_its_model(models, call):
    (models / "killer.py").write_text("import os, signal\ndef make():\n    os.kill(os.getpid(), signal.SIGKILL)\n")
    arguments = ["check", "half.tflite", "killer:make", "sparse.tflite", "--format", "json", "--jobs", "2"]
    code, out, err = call(*arguments)
    assert code == 2
    assert [m["outcome"] for m in json.loads(out)["models"]] == ["dense", None, "sparse"]
    assert err == "xnnlint: error: killer:make: the process that checked it ended by SIGKILL\n"


SLOW = "import os, time, pathlib\ndef make():\n    pathlib.Path(f'{os.getpid()}.pid').touch()\n    time.sleep(120)\n"


@pytest.mark.parametrize("count", ["1", "2"])
def test_ctrl_c_ends_everything_at_once(models, count):
    (models / "slow.py").write_text(SLOW)
    (models / "slow2.py").write_text(SLOW)
    child = start(models, "check", "sparse.tflite", "slow:make", "slow2:make", "--jobs", count)
    pids = wait_for_pids(models, int(count))
    os.killpg(child.pid, signal.SIGINT)
    out, err = child.communicate(timeout=20)
    assert child.returncode == 130
    assert err == ""
    assert out.splitlines()[1].startswith("sparse.tflite  sparse ")
    assert not any(map(is_running, pids))


def test_processes_end_with_the_one_that_started_them(models):
    quick = SLOW.replace("120", "2")
    (models / "slow.py").write_text(quick)
    (models / "slow2.py").write_text(quick)
    child = start(models, "check", "slow:make", "slow2:make", "--jobs", "2")
    pids = wait_for_pids(models, 2)
    child.kill()
    child.communicate(timeout=20)
    deadline = time.monotonic() + 20
    while any(map(is_running, pids)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(is_running, pids))


def start(folder: Path, *arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "xnnlint", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=environment(),
        start_new_session=True,
        # Whoever runs the tests in the background may ignore Ctrl-C, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def wait_for_pids(folder: Path, count: int) -> list[int]:
    deadline = time.monotonic() + 60
    while len(list(folder.glob("*.pid"))) < count:
        assert time.monotonic() < deadline, "the models are not read"
        time.sleep(0.05)
    return [int(path.stem) for path in folder.glob("*.pid")]


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_what_can_be_asked_of_jobs(models, call, monkeypatch):
    counts = []

    def alone(work, requests, count):
        counts.append(count)
        return map(work, requests)

    monkeypatch.setattr(jobs, "in_processes", alone)
    monkeypatch.setattr(jobs, "cpus", lambda: 2)
    for asked in ("auto", "0", "2", "64"):
        assert call("check", ".", "--jobs", asked)[0] == 1
    (models / "xnnlint.toml").write_text('jobs = "auto"\n')
    assert call("check", ".")[0] == 1
    # What the policy says is looked up in the whole plan, so that is done in one process.
    assert call("check", ".", "--policy", "--format", "json")[0] == 2
    assert counts == [2, 2, 2, 3, 2]
    assert jobs.cpus() >= 1


# --- the bar ---------------------------------------------------------------------------------------------------------

ERASE = "\x1b[2K"


def in_terminal(folder: Path, *arguments: str, stdout_too: bool) -> tuple[str, str]:
    """What a terminal and what a pipe on stdout get."""
    master, terminal = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "xnnlint", *arguments],
        stdout=terminal if stdout_too else subprocess.PIPE,
        stderr=terminal,
        cwd=folder,
        env=environment() | {"TERM": "xterm", "NO_COLOR": "1", "COLUMNS": "80"},
    )
    os.close(terminal)
    piped = child.stdout.read().decode() if child.stdout else ""
    shown = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    child.wait(timeout=60)
    os.close(master)
    return shown.decode().replace("\r\n", "\n"), piped


@pytest.fixture
def slow_models(models):
    (models / "lazy.py").write_text("import time\ndef make():\n    time.sleep(0.9)\n")
    return models


def test_a_bar_is_shown_on_stderr_while_stdout_is_piped(slow_models):
    shown, piped = in_terminal(slow_models, "check", "lazy:make", "half.tflite", "sparse.tflite", stdout_too=False)
    assert ERASE not in piped
    assert piped.count("half.tflite    dense ") == 1
    assert re.search(r"━ +[12]/3 \w+\.tflite", shown)
    # Nothing of it stays, and the error stands alone.
    (only,) = after_erasing(shown)
    assert only.startswith("xnnlint: error: lazy:make: ")


def test_the_bar_does_not_mix_with_a_report_in_the_same_terminal(slow_models):
    for arguments in (["--jobs", "1"], ["--format", "json"], ["--jobs", "2"]):
        names = ["lazy:make", "half.tflite", "sparse.tflite"]
        shown, _ = in_terminal(slow_models, "check", *names, *arguments, stdout_too=True)
        plain = program("check", *names, *arguments, cwd=slow_models)
        kept = "\n".join(after_erasing(shown))
        assert kept.replace(plain.stderr.strip(), "").split() == plain.stdout.split()


def after_erasing(text: str) -> list[str]:
    """The lines that are left on the screen, as a terminal reads what was written."""
    screen, row = [""], 0
    for piece in re.split(r"(\x1b\[[?0-9]*[A-Za-z]|[\r\n])", text):
        if piece == "\n":
            row += 1
            screen += [""] * (row == len(screen))
        elif piece == "\x1b[1A":
            row -= 1
        elif piece == ERASE:
            screen[row] = ""
        elif not piece.startswith(("\x1b", "\r")):
            screen[row] += piece
    return [line for line in screen if line]


@pytest.mark.parametrize("arguments", [["--quiet"], ["half.tflite"]])
def test_no_bar_where_it_is_not_wanted(slow_models, arguments):
    given = ["lazy:make", *arguments] if arguments == ["--quiet"] else ["lazy:make"]
    assert ERASE not in in_terminal(slow_models, "check", *given, stdout_too=False)[0]


def test_what_is_quick_imports_no_bar(monkeypatch):
    monkeypatch.setattr(progress, "_bar", lambda total: pytest.fail("it is drawn"))
    assert list(progress.with_bar("ab", ["a.tflite", "b.tflite"])) == ["a", "b"]


def test_long_names_fit_into_a_line_and_cannot_move_the_cursor(monkeypatch, capsys):
    monkeypatch.setattr(progress, "_PATIENCE", -1)
    monkeypatch.setenv("COLUMNS", "50")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    assert list(progress.with_bar("a", ["a\x1b[31m/very/long/folder/" * 9 + "model.tflite"])) == ["a"]
    drawn = capsys.readouterr().err
    assert "\x1b[31m/very" not in drawn
    plain = re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", drawn)
    assert " 0/1 a\\x1b[31m/very" in plain
    assert max(map(len, re.split(r"[\r\n]", plain))) <= 50


def test_what_a_file_holds_does_not_matter_between_processes(call):
    """Files with several subgraphs, variables, composites: the same of each alone and of all together."""
    paths = sorted((FIXTURES / "cases").glob("*.tflite"))
    together = json.loads(call("check", *paths, "--format", "json", "--jobs", "2")[1])["models"]
    assert [model["error"] for model in together] == [None] * len(paths)
    for path, model in zip(paths[::4], together[::4], strict=True):
        (alone,) = json.loads(call("check", path, "--format", "json")[1])["models"]
        assert alone == model
