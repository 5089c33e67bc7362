"""Configuration files: finding the one that holds, reading it, and refusing whatever is not known.

A folder's `xnnlint.toml` comes before its `pyproject.toml`, and the nearest folder wins as a whole; a pyproject.toml
without `[tool.xnnlint]` does not count.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import Struct, field

from xnnlint.config.keys import BY_NAME, FILES, KEYS, OVERRIDES, TABLES, WrongValue, overridable, suggestion
from xnnlint.errors import XnnlintError
from xnnlint.plain_files import MEGABYTE, read_plain

OWN, SHARED = "xnnlint.toml", "pyproject.toml"
COMMAND_LINE = "command line"
_TABLE = ("tool", "xnnlint")
_NO_TOML = "this is no valid TOML"
MOST = MEGABYTE
"""Bytes of a configuration file; lists of thousands of models take a tenth of it."""
# The parser takes the square of the number of dots in time.
_DEEP_KEY = re.compile(r"^[ \t\[]*[\w-]+(?:[ \t]*\.[ \t]*[\w\"'-]+){50}", re.MULTILINE)
_UNQUOTED = re.compile(r"[\w.*/%+-]+")


class Values(Struct, frozen=True):
    """Keys with their values, and the line of each; line 0 is unknown."""

    given: Mapping[str, Any] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)


class Override(NamedTuple):
    """What `[[overrides]]` sets for the models that one of its patterns means."""

    files: tuple[str, ...]
    values: Values


class Configuration(NamedTuple):
    """A configuration file that was read.

    Attributes:
        path: of the file, or `COMMAND_LINE`.
        folder: absolute; patterns and paths in the file count from it.
    """

    path: str
    folder: str
    values: Values = Values()
    overrides: tuple[Override, ...] = ()


class Finder:
    """Finds the configuration of each folder; looks at every folder once."""

    def __init__(self) -> None:
        self._of_folder: dict[str, Configuration | None] = {}

    def nearest(self, folder: str) -> Configuration | None:
        """The configuration of a folder or of the nearest one above it.

        Args:
            folder: absolute.

        Raises:
            XnnlintError: it cannot be read, or something in it is wrong.
        """
        if folder not in self._of_folder:
            parent = str(Path(folder).parent)
            found = _in_folder(folder)
            if found is None and parent != folder:
                found = self.nearest(parent)
            self._of_folder[folder] = found
        return self._of_folder[folder]


def _in_folder(folder: str) -> Configuration | None:
    own = os.path.join(folder, OWN)  # noqa: PTH118 (for each folder above each model)
    if os.path.isfile(own):  # noqa: PTH113
        return read_file(_shown(own), folder)
    shared = os.path.join(folder, SHARED)  # noqa: PTH118
    if not os.path.isfile(shared):  # noqa: PTH113
        return None
    shared = _shown(shared)
    text = _text_of(shared)
    # Most of them are not ours, and parsing TOML is not free.
    if _TABLE[1] not in text:
        return None
    return _read(text, shared, folder) if _has_table(_parsed(text, shared)) else None


def _shown(path: str) -> str:
    """A path from the current folder where it is below, as a person would write it."""
    here = os.path.join(os.getcwd(), "")  # noqa: PTH109, PTH118
    return path.removeprefix(here)


def read_file(path: str | os.PathLike[str], folder: str) -> Configuration:
    """Reads a configuration file.

    Args:
        path: a pyproject.toml, whose table `[tool.xnnlint]` counts; of any other file the whole.
        folder: absolute; where its patterns and paths count from.

    Raises:
        XnnlintError: it cannot be read, or something in it is wrong.
    """
    place = os.fspath(path)
    text = _text_of(place)
    if _is_shared(place) and not _has_table(_parsed(text, place)):
        raise XnnlintError(f"{place}: it has no table [{'.'.join(_TABLE)}]")
    return _read(text, place, folder)


def read_inline(text: str, folder: str) -> Configuration:
    """Reads `key = value` from the command line.

    Raises:
        XnnlintError: it is no TOML, or something in it is wrong.
    """
    try:
        return _read(text, COMMAND_LINE, folder)
    except XnnlintError as error:
        problem = str(error).removeprefix(COMMAND_LINE).lstrip(": ")
        key, _, value = text.partition("=")
        if problem.startswith(_NO_TOML) and _UNQUOTED.fullmatch(value.strip()):
            # A shell takes one pair of quotes away, so both are easily forgotten.
            problem += f"; text needs quotes of its own: --config '{key.strip()}=\"{value.strip()}\"'"
        raise XnnlintError(f"--config {text!r}: {problem}") from None


def _text_of(path: str) -> str:
    try:
        return read_plain(path, MOST).decode("utf-8-sig")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise XnnlintError(f"{path}: the configuration cannot be read: {reason}") from None
    except UnicodeDecodeError:
        raise XnnlintError(f"{path}: the configuration is not UTF-8") from None


def _parsed(text: str, path: str) -> dict[str, Any]:
    if dotted := _DEEP_KEY.search(text):
        place = f"{path}:{text[: dotted.start()].count(chr(10)) + 1}"
        raise XnnlintError(f"{place}: {_NO_TOML} that is read here: a key has more than 50 dots")
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    try:
        return tomllib.loads(text.replace("\r\n", "\n"))
    except (ValueError, RecursionError) as error:  # TOMLDecodeError, and what int() says of too many digits
        reason = " ".join(str(error).split()) or type(error).__name__
        at = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", reason)
        line = at.group(1) or len(text.splitlines()) if at else 0
        where = f"{path}:{line}" if line and path != COMMAND_LINE else path
        reason = reason[: at.start()] if at else reason
        raise XnnlintError(f"{where}: {_NO_TOML}: {reason[:1].lower()}{reason[1:]}") from None


def _is_shared(path: str) -> bool:
    return Path(path).name == SHARED


def _has_table(document: dict[str, Any]) -> bool:
    tool = document.get(_TABLE[0])
    return isinstance(tool, dict) and _TABLE[1] in tool


def _read(text: str, path: str, folder: str) -> Configuration:
    document = _parsed(text, path)
    reader = _TableReader(path, text, _TABLE if _is_shared(path) else ())
    table = document
    for name in reader.root:
        table = table[name]
    if not isinstance(table, dict):
        raise reader.wrong((), f"[{'.'.join(reader.root)}] must be a table")
    overrides = reader.overrides(table.pop(OVERRIDES, []))
    return Configuration(path, folder, reader.values(table, (), KEYS), overrides)


class _TableReader:
    """Checks the tables of one file.

    Args:
        root: names of the tables that lead to ours.
    """

    def __init__(self, path: str, text: str, root: tuple[str, ...]) -> None:
        self.path = path
        self.root = root
        self._text = text

    def values(self, table: dict[str, Any], above: tuple[str, ...], keys: Any, after: int = 0) -> Values:
        """The keys of a table.

        Args:
            above: where the table is, below the root.
            keys: those that are allowed.
            after: the line after which to look for them.
        """
        allowed = {key.name: key for key in keys}
        given, lines = {}, {}
        for name, value in _flattened(table):
            if name not in allowed:
                raise self._unknown(name, above, allowed, after)
            place = (*above, *name.split("."))
            line = self._line(place, after)
            try:
                given[name] = allowed[name].read(value)
            except WrongValue as wrong:
                line = self._line_of_value(wrong.culprit, line)
                raise self.wrong(place, str(wrong), line) from None
            if self.path != COMMAND_LINE:
                lines[name] = line
        return Values(given, lines)

    def overrides(self, tables: Any) -> tuple[Override, ...]:
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            header = ".".join((*self.root, OVERRIDES))
            raise self.wrong((OVERRIDES,), f"write [[{header}]], once for each group of files")
        found, line = [], 0
        for table in tables:
            line = self._line_of_header(line)
            table = dict(table)
            try:
                files = BY_NAME["exclude"].read(table.pop(FILES, None))
            except WrongValue:
                raise self.wrong((OVERRIDES,), 'it needs `files`, such as files = ["big/*.tflite"]', line) from None
            found.append(Override(files, self.values(table, (OVERRIDES,), overridable(), line)))
        return tuple(found)

    def wrong(self, place: tuple[str, ...], sentence: str, line: int = 0) -> XnnlintError:
        where = f"{self.path}:{line}" if line and self.path != COMMAND_LINE else self.path
        return XnnlintError(f"{where}: {'.'.join(place)}{': ' if place else ''}{sentence}")

    def _unknown(self, name: str, above: tuple[str, ...], allowed: Mapping[str, Any], after: int) -> XnnlintError:
        line = self._line((*above, *name.split(".")), after)
        if name in TABLES and not above:
            return self.wrong((name,), "it is a table, with keys of its own", line)
        if above and name in BY_NAME:
            return self.wrong((*above, name), "this key holds for all models alike", line)
        if name == _TABLE[0] and not self.root and not above:
            table = f"[{'.'.join(_TABLE)}]"
            sentence = f"its keys stand without {table}, which is for {SHARED}; take it away"
            return self.wrong((), sentence, self._line(_TABLE, after))
        names = [*allowed, *(() if above else (OVERRIDES,))]
        hint = suggestion(name, names) or "; `xnnlint config` lists those that there are"
        where = f"{self.path}:{line}" if line and self.path != COMMAND_LINE else self.path
        return XnnlintError(f"{where}: unknown key {'.'.join((*above, name))!r}{hint}")

    # tomllib gives no lines. These look for a key under its table's header; a file written in another way (one dotted
    # key over several tables, a key within a multi-line text) only loses the number.

    def _line(self, place: tuple[str, ...], after: int = 0) -> int:
        wanted = (*self.root, *place)
        table: tuple[str, ...] = ()
        for number, line in enumerate(self._text.splitlines(), 1):
            header = re.match(r"\s*\[\[?\s*([^\[\]]+?)\s*\]\]?\s*(#.*)?$", line)
            if header:
                table = _names(header.group(1))
                if table == wanted and number > after:
                    return number
                continue
            key = re.match(r"""\s*((?:"[^"]*"|'[^']*'|[\w.-]|\s*\.\s*)+?)\s*=""", line)
            if key and number > after and (*table, *_names(key.group(1))) == wanted:
                return number
        return 0

    def _line_of_header(self, after: int) -> int:
        header = ".".join((*self.root, OVERRIDES))
        for number, line in enumerate(self._text.splitlines(), 1):
            if number > after and line.split("#")[0].replace(" ", "").strip() == f"[[{header}]]":
                return number
        return after

    def _line_of_value(self, culprit: object, first: int) -> int:
        """The first line from the key's on with the wrong part of its value, or the key's."""
        if not isinstance(culprit, str) or not first:
            return first
        for number, line in enumerate(self._text.splitlines()[first - 1 :], first):
            if culprit in line:
                return number
        return first


def _flattened(table: dict[str, Any]) -> list[tuple[str, Any]]:
    """Keys with those of sub-tables dotted, where the sub-table is one of keys."""
    found = []
    for name, value in table.items():
        if name in TABLES and isinstance(value, dict):
            found += [(f"{name}.{key}", inner) for key, inner in value.items()]
        else:
            found.append((name, value))
    return found


def _names(dotted: str) -> tuple[str, ...]:
    """`tool."a.b".c` as ("tool", "a.b", "c")."""
    return tuple(part.strip("\"'") for part in re.findall(r"""\s*("[^"]*"|'[^']*'|[^.\s]+)\s*""", dotted))
