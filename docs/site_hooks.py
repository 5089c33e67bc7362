"""What mkdocs needs to make a site of files that are also read in the repository: see mkdocs.yml.

The README is the first page. Links to files that are no pages (code, fixtures, CONTRIBUTING.md) go to the repository,
whose address is that of pyproject.toml.
"""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "docs"))

from set_address import address  # noqa: E402 (a script beside this one)

_LINK = re.compile(r"(\]\()([^)#:]+)((?:#[^)]*)?\))")
_PAGES = (".md", ".svg")


def on_config(config: Any) -> Any:
    """The address of the repository, from the one place where it is set."""
    config.repo_url = address()
    return config


def on_files(files: Any, config: Any) -> Any:
    """The README as the first page."""
    files.append(File.generated(config, "index.md", content=(ROOT / "README.md").read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Links as the site needs them; one to a file that is not there fails the build.

    Raises:
        SystemExit: nothing is at a link's end.
    """
    is_readme = page.file.src_uri == "index.md"
    folder = "" if is_readme else posixpath.join("docs", posixpath.dirname(page.file.src_uri))

    def linked(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, match[2]))
        if not (ROOT / target).exists():
            raise SystemExit(f"{page.file.src_uri}: nothing is at {match[2]}")
        if target == "README.md":
            inside = "index.md"
        elif target.startswith("docs/") and target.endswith(_PAGES):
            inside = target.removeprefix("docs/")
        else:
            kind = "tree" if (ROOT / target).is_dir() else "blob"
            return f"{match[1]}{address()}/{kind}/main/{target}{match[3]}"
        here = "" if is_readme else posixpath.dirname(page.file.src_uri)
        return f"{match[1]}{posixpath.relpath(inside, here or '.')}{match[3]}"

    # Code has brackets that are no links.
    parts = re.split(r"(^```.*?^```$)", markdown, flags=re.DOTALL | re.MULTILINE)
    return "".join(part if part.startswith("```") else _LINK.sub(linked, part) for part in parts)
