"""The table of all fixes in docs/fix-tflite.md: `python -m xnnlint.fixes.tflite.fix_table` writes it anew."""

from __future__ import annotations

import sys
from pathlib import Path

from xnnlint.fixes.tflite.operator_fixer import operator_fixers
from xnnlint.fixes.tflite.rescue import rescues
from xnnlint.linter.findings import Applicability

BEGIN, END = "<!-- fixes: generated -->", "<!-- end of fixes -->"
_OUTPUTS = {"exact": "same", "rounding": "same but for rounding", "different": "others"}


def table() -> str:
    """The fixes as a table in Markdown, safe ones first."""
    rows = ["| fix | what it does | outputs |", "| --- | --- | --- |"]
    fixes = sorted(operator_fixers(), key=lambda fix: fix.applicability is Applicability.UNSAFE)
    for fix in fixes:
        unsafe = " **(unsafe)**" if fix.applicability is Applicability.UNSAFE else ""
        rows.append(f"| `{fix.name}`{unsafe} | {_cell(fix.summary)} | {_OUTPUTS[fix.exactness.value]} |")
    # One that is a fix of its own is there already.
    for rescue in (r for r in rescues() if r.name not in {fix.name for fix in fixes}):
        rows.append(f"| `{rescue.name}` (rescue) | {_cell(rescue.summary)} | same |")
    return "\n".join(rows)


def with_table(page: str) -> str:
    """A page with its table made anew.

    Raises:
        ValueError: it has no place for one.
    """
    head, rest = page.split(BEGIN)
    _, tail = rest.split(END)
    return f"{head}{BEGIN}\n\n{table()}\n\n{END}{tail}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    place = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/fix-tflite.md")
    place.write_text(with_table(place.read_text(encoding="utf-8")), encoding="utf-8")
