"""What agents are told to type must exist."""

from __future__ import annotations

import re

import pytest

from tests.cli.program import run
from tests.models import ROOT
from xnnlint.cli.program import COMMANDS
from xnnlint.linter.known_rules import every_rule
from xnnlint.reporters.topics.agents_page import agents_page

TEXT = agents_page().text
CALLS = sorted({call for call in re.findall(r"`xnnlint ([^`]+)`", TEXT)})


def test_it_is_printed_as_it_is(capsys, monkeypatch) -> None:
    code, out, _ = run(capsys, monkeypatch, "explain", "agents")
    assert (code, out) == (0, TEXT)
    assert out.startswith("---\nname: xnnlint\ndescription: ")
    assert (ROOT / "docs" / "agents.md").read_text(encoding="utf-8") == TEXT


@pytest.mark.parametrize("call", CALLS)
def test_its_commands_and_options_exist(call: str, capsys, monkeypatch) -> None:
    command, *arguments = call.split()
    assert command in {function.__name__ for function, _ in COMMANDS}
    _, out, _ = run(capsys, monkeypatch, command, "--help")
    for option in (argument for argument in arguments if argument.startswith("-")):
        assert re.search(rf"(?<!\S){option}(?=[\s,=])", out), f"{command} has no {option}"


def test_its_rules_exist() -> None:
    named = set(re.findall(r"XNN\d+", TEXT))
    assert named and named <= {rule.code for rule in every_rule()}
