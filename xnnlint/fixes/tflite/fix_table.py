"""The table of all fixes in docs/fix-tflite.md: `python -m xnnlint.fixes.tflite.fix_table` writes it anew."""

from __future__ import annotations

import sys
from pathlib import Path

from xnnlint.fixes.tflite import all_fixes as registry
from xnnlint.linter.findings import Applicability

BEGIN, END = "<!-- fixes: generated -->", "<!-- end of fixes -->"
_OUTPUTS = {"exact": "same", "rounding": "same but for rounding", "different": "others"}
# Ways to rescue a model are no fixes of their own; what they do, in the order in which they are tried.
_WAYS = {
    "remove-dead-branch": "branches that nobody reads, over which LiteRT 1.2 to 2.0 crash -> removed",
    "bias-as-filter": "fp16 biases of fp32 filters, which LiteRT 1.1 to 1.3 do not load -> fp32",
    "reshape-outputs": "outputs of a computed shape, or that are inputs, for which LiteRT has no buffer -> RESHAPE",
    "leave-through-depth-to-space": "where data leave the cluster illegally -> a legal exit, DEPTH_TO_SPACE",
    "split-padding": "the PAD of a cluster's entry -> one that XNNPACK does not fuse, so that the cluster is dense",
    "store-dense": "DENSIFY -> the weights stored dense",
}


def table() -> str:
    """The fixes as a table in Markdown, safe ones first."""
    rows = ["| fix | what it does | outputs |", "| --- | --- | --- |"]
    fixes = sorted(registry.fixes(), key=lambda fix: fix.applicability is Applicability.UNSAFE)
    for fix in fixes:
        unsafe = " **(unsafe)**" if fix.applicability is Applicability.UNSAFE else ""
        rows.append(f"| `{fix.name}`{unsafe} | {_cell(fix.summary)} | {_OUTPUTS[fix.exactness.value]} |")
    for name in registry.names()[len(fixes) :]:
        rows.append(f"| `{name}` (rescue) | {_cell(_WAYS[name])} | same |")
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
