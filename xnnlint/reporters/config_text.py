"""What `xnnlint config` prints: every key as it would stand in a configuration file, with the source of its value."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from xnnlint.config.keys import KEYS
from xnnlint.config.settings import DEFAULT
from xnnlint.reporters.styled_lines import FAINT, STRONG, Line, Span, safe, wrap

if TYPE_CHECKING:
    from xnnlint.config.settings import Settings

_LONGEST = 44  # columns of a value that its source still stands beside


def setting_lines(path: str, settings: Settings, run: Settings, width: int) -> Iterator[Line]:
    """Every key.

    Args:
        settings: those of the model; `run` has the keys that hold for the whole run.
    """
    yield [Span(f"# What holds for {safe(path)}", FAINT)]
    table = ""
    for key in KEYS:
        of = run if key.for_run else settings
        value, source = of[key.name], of.sources[key.name]
        above, _, name = key.name.rpartition(".")
        if above != table:
            yield []
            yield [Span(f"[{above}]")]
            table = above
        entry = safe(f"{name} = {in_toml(value)}") if value is not None else f"# {name} is not set"
        style = FAINT if source.place == DEFAULT else STRONG
        yield [Span(entry, style), Span(f"{' ' * max(_LONGEST - len(entry), 1)} # {safe(str(source))}", FAINT)]
    silent = settings.unreported()
    if silent:
        yield []
        for line in wrap([f"Not reported: {', '.join(silent)}"], width - 2):
            yield [Span("# ", FAINT), *line]


def in_toml(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{_name(k)} = {in_toml(v)}' for k, v in value.items())} }}" if value else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(in_toml, value))}]"
    return json.dumps(value, ensure_ascii=False)


def _name(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key, ensure_ascii=False)
