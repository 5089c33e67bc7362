"""What holds for a model: the command line over its configuration file over the defaults, and the source of each."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import Struct, field

from xnnlint.config.files import COMMAND_LINE, Configuration, Finder, Override, Values, read_file, read_inline
from xnnlint.config.keys import KEYS
from xnnlint.config.selection import Selection, is_reported, known_rules, strength
from xnnlint.errors import XnnlintError
from xnnlint.loaders.globs import matches

DEFAULT = "default"


class Source(NamedTuple):
    """Where a value comes from: `place` is `DEFAULT`, `COMMAND_LINE` or a file; line 0 is unknown."""

    place: str = DEFAULT
    line: int = 0

    def __str__(self) -> str:
        return f"{self.place}:{self.line}" if self.line else self.place


class Settings(Struct, frozen=True):
    """What holds for a model.

    Attributes:
        values: all keys with their values.
        sources: where each value comes from.
        layers: selectors, the strongest last.
        folder: absolute; where paths in the configuration file count from.
    """

    values: Mapping[str, Any]
    sources: Mapping[str, Source]
    layers: tuple[Selection, ...] = ()
    folder: str = ""

    def __getitem__(self, key: str) -> Any:
        return self.values[key]

    @property
    def selects_all(self) -> bool:
        return not any(layer.ignore or layer.select is not None for layer in self.layers)

    def reports(self, code: str, name: str) -> bool:
        """Whether a rule's findings are reported."""
        return is_reported(code, name, self.layers)

    def unreported(self) -> list[str]:
        """Codes of the rules whose findings are not reported."""
        return [rule.code for rule in known_rules() if not self.reports(rule.code, rule.name)]

    def severity(self, code: str, name: str) -> str | None:
        """The severity that is set for a rule, or None for its own."""
        chosen: Mapping[str, str] = self.values["severity"]
        best = max(chosen, key=lambda selector: strength(code, name, [selector]), default=None)
        return chosen[best] if best is not None and strength(code, name, [best]) >= 0 else None

    @property
    def budgets(self) -> dict[str, float]:
        """The budgets that are set, by their names without the table's."""
        names = [key.name for key in KEYS if key.name.startswith("budget.")]
        return {name.partition(".")[2]: self.values[name] for name in names if self.values[name] is not None}


class Resolver(Struct):
    """Finds out what holds.

    Args:
        isolated: look at no configuration file.
        config: files and `key = value` from --config, the later over the earlier.
        given: keys that options of the command line set; `select` and `ignore` as a place of their own.
    """

    isolated: bool = False
    config: Sequence[str] = ()
    given: Mapping[str, Any] = field(default_factory=dict)
    _finder: Finder = field(default_factory=Finder)
    _chosen: list[Configuration] | None = None
    _known: dict[tuple[Hashable, ...], Settings] = field(default_factory=dict)
    _excluding: dict[str, tuple[bool, list[tuple[str, Sequence[str]]]]] = field(default_factory=dict)

    def for_run(self) -> Settings:
        """What holds for the run as a whole, from the configuration of the current folder."""
        try:
            here = str(Path.cwd())
        except OSError:
            raise XnnlintError("the current folder is gone, or cannot be read; change to another one") from None
        return self._settings(here, "")

    def for_model(self, path: str) -> Settings:
        """What holds for a model.

        Args:
            path: as given; `module:callable`, which is no path, counts as one in the current folder.

        Raises:
            XnnlintError: its configuration cannot be read, or something in it is wrong.
        """
        absolute = os.path.abspath(path)  # noqa: PTH100 (one that is not there, and no symbolic link followed)
        return self._settings(os.path.dirname(absolute), absolute)  # noqa: PTH120

    def for_folder(self, folder: str) -> Settings:
        """What holds for a model in a folder that no pattern means."""
        return self._settings(os.path.abspath(folder), "")  # noqa: PTH100

    def excluded(self, path: str, *, by_hand: bool = False) -> bool:
        """Whether a path, or a folder above it, is excluded; a path that is named, only with force-exclude."""
        absolute = os.path.abspath(path)  # noqa: PTH100
        folder = os.path.dirname(absolute)  # noqa: PTH120
        if folder not in self._excluding:
            self._excluding[folder] = self._exclusions(folder)
        force, exclusions = self._excluding[folder]
        return (force or not by_hand) and any(_meant(patterns, absolute, root) for root, patterns in exclusions)

    # --- layers ------------------------------------------------------------------------------------------------------

    def _exclusions(self, folder: str) -> tuple[bool, list[tuple[str, Sequence[str]]]]:
        """Whether they hold for named paths, and patterns with the folder that they count from.

        Those of the command line are added to the file's.
        """
        values, configurations = self._values(folder)
        found = [(c.folder, c.values.given["exclude"]) for c in configurations if "exclude" in c.values.given][-1:]
        found.append((str(Path.cwd()), self.given.get("exclude") or ()))
        return bool(self.given.get("force-exclude") or values["force-exclude"][0]), found

    def _configurations(self, folder: str) -> list[Configuration]:
        """Those that hold in a folder, the strongest last."""
        chosen = self._from_command_line()
        if self.isolated or any(c.path != COMMAND_LINE for c in chosen):
            return chosen
        nearest = self._finder.nearest(folder)
        return [nearest, *chosen] if nearest is not None else chosen

    def _from_command_line(self) -> list[Configuration]:
        if self._chosen is None:
            here = str(Path.cwd())
            self._chosen = []
            for text in self.config:
                inline = "=" in text and not Path(text).exists()
                if self.isolated and not inline:
                    raise XnnlintError("--isolated and --config FILE exclude each other")
                self._chosen.append(read_inline(text, here) if inline else read_file(text, here))
        return self._chosen

    def _values(self, folder: str) -> tuple[dict[str, tuple[Any, Source]], list[Configuration]]:
        configurations = self._configurations(folder)
        values = {key.name: (key.default, Source()) for key in KEYS}
        for configuration in configurations:
            _lay(values, configuration.values, configuration.path)
        return values, configurations

    def _settings(self, folder: str, path: str) -> Settings:
        configurations = self._configurations(folder)
        overrides = [
            (configuration, override)
            for configuration in configurations
            for override in configuration.overrides
            if path and _meant(override.files, path, configuration.folder)
        ]
        file_ignores = tuple(self._file_ignores(configurations, path))
        # Of 50,000 models almost all have the same settings, which are made and kept once.
        key = (folder, tuple(id(override) for _, override in overrides), file_ignores)
        if key not in self._known:
            self._known[key] = self._made(folder, overrides, file_ignores)
        return self._known[key]

    def _made(
        self, folder: str, overrides: Sequence[tuple[Configuration, Override]], file_ignores: Sequence[Selection]
    ) -> Settings:
        values, configurations = self._values(folder)
        layers = []
        for configuration in configurations:
            layers.append(_layer(configuration.values))
            for override in [override for owner, override in overrides if owner is configuration]:
                _lay(values, override.values, configuration.path)
                layers.append(_layer(override.values))
        given = {name: value for name, value in self.given.items() if value is not None}
        if "exclude" in given:
            given["exclude"] = (*values["exclude"][0], *given["exclude"])
        _lay(values, Values(given), COMMAND_LINE)
        layers.append(Selection(given.get("select"), given.get("ignore", ())))
        layers += file_ignores
        return Settings(
            {name: value for name, (value, _) in values.items()},
            {name: source for name, (_, source) in values.items()},
            tuple(layer for layer in layers if layer != Selection()),
            configurations[0].folder if configurations else folder,
        )

    def _file_ignores(self, configurations: Sequence[Configuration], path: str) -> Iterator[Selection]:
        for configuration in configurations:
            for pattern, ignored in configuration.values.given.get("per-file-ignores", {}).items():
                if path and _meant([pattern], path, configuration.folder):
                    yield Selection(None, ignored)


def _lay(values: dict[str, tuple[Any, Source]], over: Values, place: str) -> None:
    for name, value in over.given.items():
        values[name] = (value, Source(place, over.lines.get(name, 0)))


def _layer(values: Values) -> Selection:
    return Selection(values.given.get("select"), values.given.get("ignore", ()))


def _meant(patterns: Sequence[str], path: str, folder: str) -> bool:
    return any(matches(pattern, _relative(path, folder)) for pattern in patterns)


def _relative(path: str, folder: str) -> str:
    """The way from a folder to a path, with "/"; the whole path where it is not below the folder."""
    try:
        way = os.path.relpath(path, folder)
    except ValueError:  # another drive
        way = path
    way = path if way.startswith(os.pardir + os.sep) or way == os.pardir else way
    return way.replace(os.sep, "/").lstrip("/")
