"""Where files are, from the root of the sources: as reports for other programs name them."""

from __future__ import annotations

import os
from collections.abc import Mapping

from xnnlint.loaders.addresses import is_address

SOURCE_ROOT_VARIABLES = ("GITHUB_WORKSPACE", "CI_PROJECT_DIR")


def source_root(environ: Mapping[str, str] = os.environ) -> str:
    """The folder that paths in reports count from: that of the checkout in a CI job, else the working directory."""
    here = os.path.abspath(os.curdir)  # noqa: PTH100 (no links resolved: the user's words)
    for variable in SOURCE_ROOT_VARIABLES:
        root = environ.get(variable, "")
        if root and _below(here, root) is not None:
            return os.path.abspath(root)  # noqa: PTH100
    return here


def from_root(path: str, root: str) -> str | None:
    """A path from the root, with forward slashes; None where it is somewhere else."""
    if is_address(path):
        return None
    inside = _below(os.path.abspath(path), root)  # noqa: PTH100
    return None if inside is None else inside.replace(os.sep, "/")


def uri(path: str, root: str) -> tuple[str, bool]:
    """A model as a URI reference, and whether that is relative to the root (else it is absolute)."""
    from urllib.parse import quote

    inside = from_root(path, root)
    if inside is not None:
        # The colon: "name:x" would be read as a scheme.
        return quote(_encoded(inside), safe="/"), True
    if is_address(path):
        return quote(_encoded(path), safe="/:@%"), False
    absolute = os.path.abspath(path).replace(os.sep, "/")  # noqa: PTH100
    return "file://" + quote(_encoded(absolute if absolute.startswith("/") else f"/{absolute}"), safe="/"), False


def _encoded(path: str) -> bytes:
    """A path's bytes; of a name that cannot be a file's here, those of its characters."""
    try:
        return os.fsencode(path)
    except UnicodeEncodeError:
        return path.encode("utf-8", "surrogatepass")


def _below(path: str, root: str) -> str | None:
    for resolve in (os.path.abspath, os.path.realpath):
        try:
            inside = os.path.relpath(resolve(path), resolve(root))
        except (OSError, ValueError):
            continue
        if inside != os.pardir and not inside.startswith(os.pardir + os.sep):
            return inside
    return None
