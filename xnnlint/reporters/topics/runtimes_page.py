"""Runtimes in words: spans of them, and those on which a rule finds something."""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib import resources

from xnnlint.xnnpack.profile import every_runtime


def listed(names: Iterable[str]) -> str:
    """Runtimes by name, newest first; three or more without a gap as a span."""
    known = [profile.runtime for profile in every_runtime()]
    spans: list[list[str]] = []
    for name in sorted(names, key=known.index):
        if spans and known.index(spans[-1][-1]) + 1 == known.index(name):
            spans[-1].append(name)
        else:
            spans.append([name])
    parts = [p for span in spans for p in ([f"{span[0]} to {span[-1]}"] if len(span) > 2 else span)]
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def runtimes_text(code: str) -> str:
    """On which runtimes a rule finds something, as `docs/make_rules.py` tried it with the examples of the tests.

    Returns:
        A sentence; "" for a rule without such examples.
    """
    text = resources.files("xnnlint.rules").joinpath("runtimes.json").read_text(encoding="utf-8")
    found: list[str] | None = json.loads(text).get(code)
    if found is None:
        return ""
    missing = [profile.runtime for profile in every_runtime() if profile.runtime not in found]
    if not missing:
        return "Applies to all runtimes."
    return f"Applies to {listed(found)}; not to {listed(missing)}."
