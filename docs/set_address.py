"""Sets the repository's address: in pyproject.toml, from where the site takes it, and in every recipe.

python docs/set_address.py https://github.com/OWNER/xnnlint
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_SET = re.compile(r'(?<=^Repository = ")[^"]+', re.MULTILINE)


def address(root: Path = ROOT) -> str:
    """The address as pyproject.toml has it."""
    found = _SET.search((root / "pyproject.toml").read_text(encoding="utf-8"))
    if found is None:
        raise SystemExit("pyproject.toml has no Repository among its urls")
    return found.group()


def pages(root: Path = ROOT) -> Iterator[Path]:
    """What may hold the address."""
    yield from (root / name for name in ("pyproject.toml", "README.md", "CHANGELOG.md", "CONTRIBUTING.md"))
    yield from sorted((root / "docs").rglob("*.md"))


def set_address(new: str, root: Path = ROOT) -> None:
    """Writes another address wherever the present one stands."""
    old = address(root)
    for page in pages(root):
        text = page.read_text(encoding="utf-8")
        if old in text:
            page.write_text(text.replace(old, new), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2 or "://" not in sys.argv[1]:
        raise SystemExit(__doc__)
    set_address(sys.argv[1].rstrip("/"))
