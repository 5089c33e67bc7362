"""The plain calls of `xnnlint check`, read without typer, whose import and machinery take as long as a small check.

What is read here means what typer reads (a test compares them, option by option). Whatever else there is in a call,
such as --help, a mistake, or an option that few give, leaves the whole call to typer.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xnnlint.cli.check_command import CheckOptions

COMMAND = "check"
# Options by the group of `CheckOptions` and the field in it; "" for its own fields.
FLAGS = {
    "--plan": ("shown", "plan", True),
    "--fixes": ("shown", "fixes", True),
    "--policy": ("shown", "policy", True),
    "--statistics": ("shown", "statistics", True),
    "--quiet": ("shown", "quiet", True),
    "-q": ("shown", "quiet", True),
    "--verbose": ("shown", "verbose", True),
    "-v": ("shown", "verbose", True),
    "--require-sparse": ("selection", "require_sparse", True),
    "--no-require-sparse": ("selection", "require_sparse", False),
    "--exit-zero": ("", "exit_zero", True),
    "--no-cache": ("", "no_cache", True),
    "--isolated": ("configuration", "isolated", True),
}
TEXTS = {
    "--format": ("", "form"),
    "-f": ("", "form"),
    "--output": ("", "output"),
    "-o": ("", "output"),
    "--jobs": ("", "jobs"),
    "-j": ("", "jobs"),
    "--baseline": ("", "baseline"),
    "--cpu": ("target", "cpu"),
    "--fail-on": ("selection", "fail_on"),
    "--assume-pruned": ("shown", "assume_pruned"),
    "--cost-profile": ("shown", "cost_profile"),
}
LISTS = {
    "--runtime": ("target", "runtime"),
    "--report": ("", "report"),
    "--select": ("selection", "select"),
    "--ignore": ("selection", "ignore"),
    "--config": ("configuration", "config"),
    "--exclude": ("passed_over", "exclude"),
}


def is_meant(words: list[str]) -> bool:
    """Whether it is a call of `check` at all, and in no shell's completion."""
    # Where no shell expands patterns, click does.
    return words[:1] == [COMMAND] and os.name != "nt" and "_XNNLINT_COMPLETE" not in os.environ


def options_of(words: list[str]) -> CheckOptions | None:
    """The options of a plain call; None for any other."""
    read = _read(words[1:])
    return None if read is None else _made(read)


def single_path(words: list[str]) -> str | None:
    """The path of a plain call with one."""
    read = _read(words[1:])
    paths = read and read[""]["paths"]
    return paths[0] if paths and len(paths) == 1 else None


_Read = dict[str, dict[str, Any]]


def _read(words: list[str]) -> _Read | None:
    groups: _Read = {"": {}, "target": {}, "selection": {}, "shown": {}, "passed_over": {}, "configuration": {}}
    paths: list[str] = []
    rest = iter(words)
    for word in rest:
        if not word.startswith("-") or word == "-":
            paths.append(word)
        elif word in FLAGS:
            group, field, flag = FLAGS[word]
            groups[group][field] = flag
        else:
            name, equals, value = word.partition("=")
            if equals and not name.startswith("--"):
                return None
            value = value if equals else next(rest, "-?")
            if value.startswith("-") and value != "-":
                return None
            if name in TEXTS:
                group, field = TEXTS[name]
                groups[group][field] = value
            elif name in LISTS:
                group, field = LISTS[name]
                groups[group].setdefault(field, []).append(value)
            else:
                return None
    groups[""]["paths"] = paths or None
    return groups


def _made(read: _Read) -> CheckOptions | None:
    from xnnlint.cli.check_command import CheckOptions, FailOn, SelectionOptions, ShownOptions
    from xnnlint.cli.config_options import ConfigOptions, ExcludeOptions, TargetOptions
    from xnnlint.reporters.check_formats import TEXT, format_names

    if read[""].get("form", TEXT) not in format_names():
        return None
    if "fail_on" in read["selection"]:
        try:
            read["selection"]["fail_on"] = FailOn(read["selection"]["fail_on"])
        except ValueError:
            return None
    return CheckOptions(
        target=TargetOptions(**read["target"]),
        selection=SelectionOptions(**read["selection"]),
        shown=ShownOptions(**read["shown"]),
        passed_over=ExcludeOptions(**read["passed_over"]),
        configuration=ConfigOptions(**read["configuration"]),
        **read[""],
    )
