"""The hooks, run by pre-commit itself: installed from this work tree, on a repository with models."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.models import FIXTURES, ROOT

INSTALLED = ("xnnlint", "rules", "pyproject.toml", "README.md", "LICENSE", ".pre-commit-hooks.yaml")
HEAVY = ("tensorflow", "tf_keras", "keras", "torch")

pytestmark = pytest.mark.slow


@dataclass
class Sample:
    """A repository that uses the hooks."""

    folder: Path
    environment: dict[str, str]

    def git(self, *arguments: str) -> str:
        return run_git(self.folder, *arguments)

    def hooks(self, *arguments: str) -> tuple[int, str]:
        """Exit code and output of `pre-commit run --all-files`."""
        command = [sys.executable, "-m", "pre_commit", "run", "--all-files", "--color", "never", *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=600
        )
        return done.returncode, done.stdout + done.stderr


def run_git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> tuple[Path, str]:
    """A repository with this work tree's package in it, and its commit."""
    folder = tmp_path_factory.mktemp("xnnlint")
    for name in INSTALLED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / name)
    run_git(folder, "init", "-q")
    run_git(folder, "add", "-A")
    run_git(folder, "commit", "-qm", "x")
    return folder, run_git(folder, "rev-parse", "HEAD")


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """Where pre-commit keeps its environments, shared by the tests here."""
    return tmp_path_factory.mktemp("pre-commit")


@pytest.fixture
def sample(source, home, tmp_path) -> Sample:
    repository, revision = source
    (tmp_path / ".pre-commit-config.yaml").write_text(
        f"repos:\n- repo: {repository}\n  rev: {revision}\n  hooks:\n  - id: xnnlint-fix\n  - id: xnnlint\n"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "PYTHON", "VIRTUAL_ENV"))}
    made = Sample(tmp_path, environment | {"PRE_COMMIT_HOME": str(home)})
    made.git("init", "-q")
    return made


def without_keepdims(target: Path) -> None:
    """The guide's model as a .keras file, its pooling as Keras makes it by default."""
    with zipfile.ZipFile(FIXTURES / "guide_sparse.keras") as old, zipfile.ZipFile(target, "w") as new:
        for member in old.namelist():
            data = old.read(member)
            if member == "config.json":
                changed = data.replace(b'"keepdims": true', b'"keepdims": false')
                assert changed != data
                data = changed
            new.writestr(member, data)


def keepdims(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        return b'"keepdims": true' in archive.read("config.json")


def test_the_hooks_pass_fail_and_fix(sample, home):
    models = sample.folder / "models"
    models.mkdir()
    shutil.copy(FIXTURES / "guide_sparse.tflite", models / "passing.tflite")
    shutil.copy(FIXTURES / "guide_half.tflite", models / "failing.tflite")
    without_keepdims(models / "pooled.keras")
    (models / "notes.txt").write_text("no model")
    sample.git("add", "-A")

    code, output = sample.hooks()
    assert code == 1, output
    fixed, _, checked = output.partition("\nxnnlint.")
    assert "xnnlint fix" in fixed and "Failed" in fixed and "files were modified by this hook" in fixed
    assert "set keepdims=True" in fixed
    assert keepdims(models / "pooled.keras")
    assert "Failed" in checked and re.search(r"models/failing\.tflite +dense", checked)
    assert "passing.tflite" not in checked
    assert sorted(path.name for path in models.iterdir()) == [
        "failing.tflite",
        "notes.txt",
        "passing.tflite",
        "pooled.keras",
    ]

    # Fixed and staged, with the failing model gone, all is well, and nothing is changed again.
    (models / "failing.tflite").unlink()
    sample.git("add", "-A")
    code, output = sample.hooks()
    assert code == 0, output
    assert output.count("Passed") == 2
    assert sample.git("diff", "--name-only") == ""

    # Light: nothing of what trains models is installed, and for the check nothing that runs them.
    installed = [
        {path.name for path in folder.iterdir()} for folder in home.glob("*/py_env*/lib/python*/site-packages")
    ]
    assert len(installed) == 2 and all("xnnlint" in packages for packages in installed)
    assert not set().union(*installed) & set(HEAVY)
    assert sorted("ai_edge_litert" in packages for packages in installed) == [False, True]


@pytest.mark.judge
def test_the_fixing_hook_changes_a_tflite_file_that_is_proven_by_a_run(sample):
    model = sample.folder / "zeros.tflite"
    shutil.copy(FIXTURES / "guide_dense_zeros.tflite", model)
    sample.git("add", "-A")
    code, output = sample.hooks()
    assert code == 1, output
    assert "encode-zeros (safe, same bits)" in output
    assert "outputs correct" in output
    # Hooks run one after the other: what is fixed passes at once.
    assert output.count("Passed") == 1
    assert model.read_bytes() != (FIXTURES / "guide_dense_zeros.tflite").read_bytes()
    sample.git("add", "-A")
    assert sample.hooks()[0] == 0


def test_the_hooks_ask_for_what_the_extra_asks_for():
    hooks = (ROOT / ".pre-commit-hooks.yaml").read_text()
    extra = re.search(r"^verify = (\[.*\])$", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert extra and f"additional_dependencies: {extra[1]}" in hooks


def test_a_model_that_cannot_be_read_fails(sample):
    (sample.folder / "broken.tflite").write_bytes(b"no model")
    shutil.copy(FIXTURES / "guide_half.tflite", sample.folder / "failing.tflite")
    sample.git("add", "-A")
    code, output = sample.hooks("xnnlint")
    assert code == 1, output
    assert "broken.tflite: this is a text file, not a TFLite model" in output
    # One bad file hides no other.
    assert re.search(r"failing\.tflite +dense", output)
    assert "exit code: 2" in output


def test_many_models_are_one_start(sample):
    for number in range(40):
        shutil.copy(FIXTURES / "guide_sparse.tflite", sample.folder / f"{number}.tflite")
    sample.git("add", "-A")
    sample.hooks("xnnlint")  # installed, and compiled
    start = time.perf_counter()
    code, output = sample.hooks("xnnlint")
    assert code == 0, output
    # 40 starts of the program alone would take longer than this.
    assert time.perf_counter() - start < 20
