"""Code that a project's configuration names runs only where the user allows it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.models import ROOT


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A project of somebody else's, whose configuration names code that leaves a mark."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "evil.py").write_text("open('ran', 'w').close()\ndef make():\n    return 3\n")
    (folder / "xnnlint.toml").write_text('models = ["evil:make"]\n')
    return folder


def check(folder: Path, *arguments: str, **variables: str) -> str:
    """What a check without PATH says; its exit code is always 2, since no model comes of it."""
    environment = {k: v for k, v in os.environ.items() if k != "XNNLINT_ALLOW_CODE"}
    environment |= {"PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(folder.parent / "home"), **variables}
    command = [sys.executable, "-m", "xnnlint", "check", *arguments]
    run = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)
    assert run.returncode == 2 and not run.stdout
    return run.stderr


def test_it_is_refused_and_the_sentence_says_how_to_allow_it(checkout: Path) -> None:
    said = check(checkout)
    assert "models: 'evil:make' would run code of this project" in said and said.count("\n") == 1
    assert all(way in said for way in ("--allow-code", "XNNLINT_ALLOW_CODE=1", "settings.toml"))
    assert not (checkout / "ran").exists()


@pytest.mark.parametrize("way", ["option", "variable", "settings", "all"])
def test_the_user_can_allow_it(checkout: Path, way: str) -> None:
    own = checkout.parent / "home" / "xnnlint"
    own.mkdir(parents=True)
    if way in ("settings", "all"):
        (own / "settings.toml").write_text("allow-code = " + ("true" if way == "all" else f"['{checkout.parent}']"))
    arguments = ["--allow-code"] if way == "option" else []
    said = check(checkout, *arguments, **({"XNNLINT_ALLOW_CODE": "1"} if way == "variable" else {}))
    assert "int is no Keras model" in said and (checkout / "ran").exists()


def test_another_folder_in_the_settings_is_no_permission(checkout: Path) -> None:
    own = checkout.parent / "home" / "xnnlint"
    own.mkdir(parents=True)
    (own / "settings.toml").write_text(f"allow-code = ['{checkout}/below', '/elsewhere']\n")
    check(checkout)
    assert not (checkout / "ran").exists()


@pytest.mark.parametrize("way", ["nothing", "option", "variable", "settings"])
def test_an_address_is_fetched_where_the_user_allows_it_or_typed_it(checkout: Path, way: str) -> None:
    (checkout / "xnnlint.toml").write_text('models = ["memory://zoo"]\n')
    if way == "settings":
        own = checkout.parent / "home" / "xnnlint"
        own.mkdir(parents=True)
        (own / "settings.toml").write_text("allow-remote = true\nallow-code = false\n")
    arguments = ["--allow-remote"] if way == "option" else []
    said = check(checkout, *arguments, **({"XNNLINT_ALLOW_REMOTE": "1"} if way == "variable" else {}))
    if way != "nothing":
        assert "memory://zoo: nothing is there" in said
        return
    assert "models: 'memory://zoo' would use the network" in said and said.count("\n") == 1
    assert all(way in said for way in ("--allow-remote", "XNNLINT_ALLOW_REMOTE=1", "allow-remote = ["))
    assert "memory://zoo: nothing is there" in check(checkout, "memory://zoo")


def test_code_and_addresses_are_allowed_each_by_itself(checkout: Path) -> None:
    assert "would run code" in check(checkout, "--allow-remote")
    (checkout / "xnnlint.toml").write_text('models = ["memory://zoo"]\n')
    assert "would use the network" in check(checkout, "--allow-code")


def test_a_project_cannot_allow_itself(checkout: Path) -> None:
    with (checkout / "xnnlint.toml").open("a") as file:
        file.write("allow-code = true\n")
    assert "allow-code" in check(checkout) and not (checkout / "ran").exists()
