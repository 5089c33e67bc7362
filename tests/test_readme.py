"""README.md and docs/commands.md are real: what follows a `$ xnnlint` line is what the program prints at 80 columns.

`XNNLINT_UPDATE_README=1 python -m pytest tests/test_readme.py` writes them anew.
"""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.models import ROOT
from xnnlint.cli import app as cli
from xnnlint.runtime.availability import availability
from xnnlint.runtime.execution import Execution

README, COMMANDS, ZOO = ROOT / "README.md", ROOT / "docs" / "commands.md", ROOT / "docs" / "zoo.md"
TRANSCRIPT = re.compile(r"(?<=```console\n)\$ xnnlint ([^\n]*)\n(.*?)(?=```)", re.DOTALL)

# Commands that run models.
JUDGED = re.compile(r"verify |fix \S+\.tflite -o")
# The last digits of errors of the size of fp32 rounding depend on the machine, and so do measured times.
VARYING = re.compile(r"\d(\.\d)?e-0[67]|\d\.\d\d times as fast \(\d\.\d\d to \d\.\d\d\)(?=, measured)")


class Screen(io.TextIOWrapper):
    """A terminal of 80 columns without colour, or a pipe."""

    terminal = True

    def isatty(self) -> bool:
        return self.terminal


def printed(command: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a command prints; it may end in `| head -n N`."""
    command, _, lines = command.partition(" | head -n ")
    screen = Screen(io.BytesIO(), encoding="utf-8")
    screen.terminal = not lines
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(sys, "argv", ["xnnlint", *shlex.split(command)])
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    with tempfile.TemporaryDirectory() as place, pytest.raises(SystemExit):
        # Commands may write; what they read stands where the README says.
        Path(place, "fixtures").symlink_to(ROOT / "fixtures")
        monkeypatch.chdir(place)
        cli.main()
    monkeypatch.chdir(ROOT)
    screen.flush()
    output = screen.buffer.getvalue().decode().splitlines(keepends=True)
    return "".join(output[: int(lines) if lines else None])


def compare_transcripts(monkeypatch: pytest.MonkeyPatch, judged: bool) -> int:
    """Compare the transcripts that need the real runtime, or those that do not; how many there are."""
    count = 0
    for page in (README, COMMANDS, ZOO):
        text = page.read_text(encoding="utf-8")
        found = [m for m in TRANSCRIPT.finditer(text) if bool(JUDGED.match(m[1])) is judged]
        real = {m[0]: f"$ xnnlint {m[1]}\n{printed(m[1], monkeypatch)}" for m in found}
        monkeypatch.undo()
        count += len(found)
        if os.environ.get("XNNLINT_UPDATE_README"):
            page.write_text(TRANSCRIPT.sub(lambda m, real=real: real.get(m[0], m[0]), text), encoding="utf-8")
            continue
        for written, output in real.items():
            differ = "run XNNLINT_UPDATE_README=1 python -m pytest -n 0 tests/test_readme.py"
            assert VARYING.sub("#", written) == VARYING.sub("#", output), differ
    return count


def test_the_transcripts_of_the_readme_are_what_is_printed(monkeypatch):
    assert compare_transcripts(monkeypatch, judged=False) >= 3


@pytest.mark.judge
def test_the_transcripts_of_the_readme_are_what_runs(monkeypatch):
    here = availability().cpus["auto"]
    if (here.cpu, here.litert, here.execution) != ("x86-sse", "2.3.0", Execution.MASKED):
        pytest.skip("the transcripts were made with LiteRT 2.3.0 on x86-sse, natively with AVX masked")
    assert compare_transcripts(monkeypatch, judged=True) >= 1


# A line of a shell block with the program in it, up to a comment.
SHELL_LINE = re.compile(r"^(?:- run: )?xnnlint ([^#\n]*)", re.MULTILINE)
SHELL_BLOCK = re.compile(r"```(?:sh|yaml)\n(.*?)```|`xnnlint ([^`\n]+)`", re.DOTALL)


NETS = """
def make_model():
    import tf_keras
    return tf_keras.Sequential([tf_keras.layers.Conv2D(8, 1, input_shape=(8, 8, 3))])
"""


def shell_commands() -> list[Any]:
    """Commands of blocks and sentences that are not transcripts; with the files that they mean."""
    text = "".join(TRANSCRIPT.sub("", page.read_text(encoding="utf-8")) for page in (README, COMMANDS))
    found = [c for m in SHELL_BLOCK.finditer(text) for c in (SHELL_LINE.findall(m[1]) if m[1] else [m[2]])]
    names = {"MODEL": "model.keras", "DIR": "models", "PATH...": "models", "OUT.tflite": "out.tflite"}
    named = [" ".join(names.get(word, word) for word in c.partition(" | ")[0].split()) for c in found]
    marks = {
        "verify": pytest.mark.judge,
        "bench": pytest.mark.judge,
        "convert": pytest.mark.tensorflow,
        "check train.nets": pytest.mark.tensorflow,
    }
    return [
        pytest.param(c, marks=[mark for start, mark in marks.items() if c.startswith(start)])
        for c in sorted({c for c in named if " " in c})
    ]


@pytest.mark.parametrize("command", shell_commands())
def test_every_command_of_the_readme_works(command, tmp_path, capsys, monkeypatch):
    """They are tried on models that stand where the commands look for them."""
    (tmp_path / "models").mkdir()
    for target in ("model.keras", "models/model.keras"):
        shutil.copy(ROOT / "fixtures/guide_no_keepdims.keras", tmp_path / target)
    for target in ("model.tflite", "models/model.tflite"):
        shutil.copy(ROOT / "fixtures/guide_sparse.tflite", tmp_path / target)
    monkeypatch.chdir(tmp_path)
    command += " --seconds 1" if command.startswith("bench") else ""
    words = [word.replace("$GITHUB_STEP_SUMMARY", "summary.md") for word in shlex.split(command)]
    monkeypatch.setattr(sys, "argv", ["xnnlint", *words])
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "nets.py").write_text(NETS)
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code in (0, 1), capsys.readouterr().err


@pytest.mark.parametrize("command", ["check", "fix", "verify", "bench", "report", "convert"])
def test_every_option_is_documented(command, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["xnnlint", command, "--help"])
    with pytest.raises(SystemExit):
        cli.main()
    options = set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help"}
    options -= {"--no-require-sparse", "--backup"}  # what holds without the option
    text = COMMANDS.read_text(encoding="utf-8")
    text = text[text.index(f"## xnnlint {command}") :].partition("\n## ")[0]
    assert options and [option for option in sorted(options) if option not in text] == []


def pages() -> list[Path]:
    return [README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_file_that_is_linked_to_is_there(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    links = re.findall(r"\]\((?!http)([^)#]+)\)", text)
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_readme_is_short_and_has_a_picture_of_what_is_printed():
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 200
    assert "](docs/check.svg)" in text
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import make_picture; print(make_picture.picture() == make_picture.PICTURE.read_text())",
        ],
        cwd=ROOT / "docs",
        capture_output=True,
        text=True,
    )
    assert done.stdout == "True\n", f"run python docs/make_picture.py {done.stderr}"


def test_every_page_is_reached_from_the_site_and_from_the_readme():
    nav, text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), README.read_text(encoding="utf-8")
    names = [page.relative_to(ROOT / "docs").as_posix() for page in sorted((ROOT / "docs").glob("*.md"))]
    assert [name for name in names if f": {name}" not in nav] == []
    assert [name for name in names if f"(docs/{name})" not in text] == []


def test_the_address_of_the_repository_is_set_in_one_place(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import set_address

    old, new = set_address.address(), "https://git.example.com/someone/xnnlint"
    recipes = re.compile(r"(?:git\+|repo: )(\w+://[^\s@]+)")
    for page in set_address.pages():
        assert set(recipes.findall(page.read_text(encoding="utf-8"))) <= {old}, page
        copy = tmp_path / page.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(page, copy)
    set_address.set_address(new, tmp_path)
    assert set_address.address(tmp_path) == new
    assert not any(old in page.read_text(encoding="utf-8") for page in set_address.pages(tmp_path))
    assert recipes.findall((tmp_path / "README.md").read_text(encoding="utf-8")) == [new, new]


def test_the_count_of_the_patterns_is_that_of_the_runs():
    observed = json.loads((ROOT / "fixtures" / "observed_outcomes.json").read_text(encoding="utf-8"))
    newest = observed["releases"].index("2.3.0")
    came = Counter(observed["letters"][letters[newest]] for _, letters in observed["patterns"].values())
    wrong, sparse, dense, fails = (came[outcome] for outcome in ("wrong-results", "sparse", "dense", "fails"))
    told = " ".join(README.read_text(encoding="utf-8").split())
    assert f"of {came.total()} small pruned CNNs" in told
    assert f"{wrong} gave wrong results in LiteRT 2.3, {sparse} ran sparse, {dense} dense, and {fails} failed" in told


def test_recipes_name_the_version_that_is_released():
    from xnnlint import __version__

    for page in (README, ROOT / "docs" / "ci.md"):
        text = page.read_text(encoding="utf-8")
        named = re.findall(r"(?:rev: |@)v(\d+\.\d+\.\d+)", text)
        assert named and set(named) == {__version__}
    assert f"## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
