"""The commands that print what xnnlint knows: `xnnlint rules`, `xnnlint explain` and `xnnlint profiles`."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from xnnlint.cli.completion import profile_names, topics
from xnnlint.cli.console import Format, print_lines, write
from xnnlint.cli.option_types import FormatOption

if TYPE_CHECKING:
    from xnnlint.linter.rule import Rule


class Level(str, Enum):
    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


def rules(
    names: Annotated[
        list[str] | None,  # click 8.1 takes no list as the default of an argument
        typer.Argument(metavar="RULE", help="Only these: codes, starts of codes such as XNN1, words of names."),
    ] = None,
    fixable: Annotated[bool, typer.Option("--fixable", help="Only rules that xnnlint fix knows fixes for.")] = False,
    severity: Annotated[Level | None, typer.Option("--severity", help="Only rules of this severity.")] = None,
    output: FormatOption = Format.TEXT,
) -> None:
    """List the rules. XNP rules need `check --policy`, XNB rules a budget in the configuration."""
    from xnnlint.errors import XnnlintError
    from xnnlint.fixes.fixable import fixable as fixes_for
    from xnnlint.linter.known_rules import every_rule

    known = {rule: fixes_for(rule.condition) for rule in every_rule()}
    listed = {
        rule: fixes
        for rule, fixes in known.items()
        if (not names or any(_is_named(rule, name) for name in names))
        and (fixes or not fixable)
        and (severity is None or rule.severity.value == severity.value)
    }
    if not listed:
        raise XnnlintError("no rule matches; `xnnlint rules` lists all of them")
    if output is Format.JSON:
        from xnnlint.reporters.catalog import rule_data
        from xnnlint.reporters.json_document import SCHEMA_VERSION, dumps, tool

        write(dumps({"schema_version": SCHEMA_VERSION, "tool": tool(), "rules": rule_data(listed)}) + "\n")
    else:
        from xnnlint.reporters.catalog import rule_lines

        print_lines(lambda printer: rule_lines(listed, printer.width))


def _is_named(rule: Rule, name: str) -> bool:
    wanted = name.strip().lower()
    return rule.code.lower().startswith(wanted) or wanted in rule.name


def explain(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A rule's code or name, an outcome, recipes, or an operator (CONV_2D).",
            autocompletion=topics,
        ),
    ],
    output: FormatOption = Format.TEXT,
) -> None:
    """Print the documentation of a rule, of an outcome, recipes, or what XNNPACK does with an operator."""
    from xnnlint.reporters.topics.lookup import pages

    found = pages(name)
    if output is Format.JSON:
        from xnnlint.reporters.json_document import SCHEMA_VERSION, dumps, tool

        listed = [{"kind": p.kind, "title": p.title, "note": p.note, "text": p.text} for p in found]
        write(dumps({"schema_version": SCHEMA_VERSION, "tool": tool(), "pages": listed}) + "\n")
    else:
        from xnnlint.reporters.catalog import page_lines

        print_lines(lambda printer: page_lines(found, printer.width))


def profiles(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A runtime or CPU, to show its facts.",
            autocompletion=profile_names,
            show_default=False,
        ),
    ] = "",
    output: FormatOption = Format.TEXT,
) -> None:
    """List the runtimes and CPUs to predict for, or all facts of one, with their sources."""
    from xnnlint.reporters.catalog import profile_data, profile_facts_lines, profile_list_lines

    if output is Format.JSON:
        from xnnlint.reporters.json_document import SCHEMA_VERSION, dumps, tool

        write(dumps({"schema_version": SCHEMA_VERSION, "tool": tool(), **profile_data(name)}) + "\n")
    elif name:
        print_lines(lambda printer: profile_facts_lines(name, printer.width))
    else:
        print_lines(lambda printer: profile_list_lines(printer.width))
