"""The commands that print what xnnlint knows: `xnnlint rules`, `xnnlint explain` and `xnnlint profiles`."""

from __future__ import annotations

from typing import Annotated

import typer

from xnnlint.cli.console import Format, FormatOption, print_lines, write


def rules(output: FormatOption = Format.TEXT) -> None:
    """List the rules; those of the family XNP are asked with `check --policy`, XNB where there are budgets."""
    from xnnlint.linter.known_rules import every_rule

    known = every_rule()
    if output is Format.JSON:
        from xnnlint.reporters.json_document import dumps, tool

        listed = [{"code": r.code, "name": r.name, "severity": r.severity.value, "summary": r.summary} for r in known]
        write(dumps({"schema_version": 1, "tool": tool(), "rules": listed}) + "\n")
    else:
        from xnnlint.reporters.catalog import rule_lines

        print_lines(lambda printer: rule_lines(known, printer.width))


def explain(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="A rule's code or name, an outcome, recipes, or an operator (CONV_2D)."),
    ],
    output: FormatOption = Format.TEXT,
) -> None:
    """Print the documentation of a rule, of an outcome, recipes, or what XNNPACK does with an operator."""
    from xnnlint.reporters.topics.lookup import pages

    found = pages(name)
    if output is Format.JSON:
        from xnnlint.reporters.json_document import dumps, tool

        listed = [{"kind": p.kind, "title": p.title, "note": p.note, "text": p.text} for p in found]
        write(dumps({"schema_version": 1, "tool": tool(), "pages": listed}) + "\n")
    else:
        from xnnlint.reporters.catalog import page_lines

        print_lines(lambda printer: page_lines(found, printer.width))


def profiles(output: FormatOption = Format.TEXT) -> None:
    """List the runtimes and CPUs that can be predicted for, with the facts of each and their sources."""
    from xnnlint.reporters.catalog import profile_data, profile_lines

    if output is Format.JSON:
        from xnnlint.reporters.json_document import dumps, tool

        write(dumps({"schema_version": 1, "tool": tool(), **profile_data()}) + "\n")
    else:
        print_lines(lambda printer: profile_lines(printer.width))
