"""What people type by mistake, and what they mean: a model without a command, options of other tools, old names."""

from __future__ import annotations

import os
import re
import shlex

from xnnlint.loaders.model_names import EXTENSIONS

_MODEL_NAME = re.compile(rf"\S+({'|'.join(map(re.escape, EXTENSIONS))}|\.onnx|\.pb|\.pth?|\.task)", re.IGNORECASE)
# Options by the command that does not have them; "" for all commands.
_MEANT = {
    (
        "check",
        "--fix",
    ): "check changes nothing; write `xnnlint fix MODEL -o OUT` (check --fixes says what it brings)",
    ("check", "--strict"): "write --require-sparse, or --fail-on warning",
    ("check", "--out"): "write --output",
    ("fix", "--dry-run"): "write --diff",
    ("fix", "--unsafe"): "write --unsafe-fixes",
    ("fix", "--inplace"): "write --in-place",
    ("fix", "--check"): "write --diff, or `xnnlint check MODEL`",
    ("convert", "--out"): "write --output",
    ("", "-v"): "write --version, or `xnnlint check MODEL --verbose`",
    ("", "--json"): "write --format json",
    ("", "--output-format"): "write --format",
    ("", "--target"): "write --cpu and --runtime",
    ("", "--device"): "write --cpu",
    ("", "--litert"): "write --runtime litert-2.3, or --litert-version with `xnnlint verify`",
    (
        "",
        "--threshold",
    ): "the runtime's threshold is fixed, at two thirds; `budget.min-zeros` of the configuration asks for more",
}
# Former names, which go on to work.
_FORMER = {("fix", "--out"): "--output"}


def meant_command(word: str) -> str:
    """What to say of a word that is no command: the call with a command where it is a model, else ""."""
    if _MODEL_NAME.fullmatch(word) or "://" in word or os.path.exists(word):  # noqa: PTH110
        return f"{word!r} is a model, not a command; write: xnnlint check {shlex.quote(word)}"
    return ""


def meant_option(command: str, option: str) -> str:
    """What to write instead of an option that a command does not have; "" where nobody knows."""
    meant = _MEANT.get((command, option)) or _MEANT.get(("", option))
    return f"no such option: {option}; {meant}" if meant else ""


def renamed(command: str, words: list[str]) -> list[str]:
    """The words of a call with former names of options replaced."""
    found = []
    for word in words:
        name, equals, value = word.partition("=")
        found.append(_FORMER.get((command, name), name) + equals + value)
    return found
