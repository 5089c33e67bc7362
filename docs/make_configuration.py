"""Writes the table of keys into docs/configuration.md: python docs/make_configuration.py"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from xnnlint.config.keys import KEYS, overridable

TARGET = Path(__file__).parent / "configuration.md"
BEGIN, END = "<!-- keys: begin -->", "<!-- keys: end -->"


def table() -> str:
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield "| Key | Takes | Default | Meaning |"
    yield "| --- | --- | --- | --- |"
    for key in KEYS:
        default = "-" if key.default is None else f"`{json.dumps(key.default)}`"
        yield f"| `{key.name}` | {key.takes} | {default} | {key.meaning} |"
    names = dict.fromkeys(key.name.partition(".")[0] for key in overridable())
    yield ""
    yield f"In `overrides` can stand: {', '.join(f'`{name}`' for name in names)}."


def page(text: str) -> str:
    """The page with today's keys."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    TARGET.write_text(page(TARGET.read_text(encoding="utf-8")), encoding="utf-8")
