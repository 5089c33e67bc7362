"""What is installed is what is in the work tree: every package, and the data that packages need."""

from __future__ import annotations

import sys

import pytest

from tests.models import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOMS = ("xnnlint", "rules")
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]


def folder(package: str) -> str:
    """Where a package lies in the work tree."""
    return package.replace(".", "/").replace("xnnlint/rules", "rules")


def test_every_package_is_installed() -> None:
    # setuptools finds none by itself where one lies elsewhere (rules/ is xnnlint.rules).
    listed = set(map(folder, SETUPTOOLS["packages"]))
    there = {str(path.parent.relative_to(ROOT)) for room in ROOMS for path in (ROOT / room).rglob("__init__.py")}
    assert there - listed == set()
    assert [name for name in listed if not (ROOT / name).is_dir()] == []


def test_every_folder_of_code_is_a_package() -> None:
    code = {path.parent for room in ROOMS for path in (ROOT / room).rglob("*.py")}
    assert [path for path in code if not (path / "__init__.py").exists()] == []


@pytest.mark.parametrize("suffix", [".css", ".js", ".json", ".typed"])
def test_every_file_of_data_is_installed(suffix: str) -> None:
    for path in [path for room in ROOMS for path in (ROOT / room).rglob(f"*{suffix}")]:
        patterns = [
            pattern
            for package, given in SETUPTOOLS["package-data"].items()
            for pattern in given
            if folder(package) == str(path.parent.relative_to(ROOT))
        ]
        assert any(path.match(pattern) for pattern in patterns), path
