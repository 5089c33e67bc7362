"""Every command has `--format json`, and what it prints follows a schema that is published."""

from __future__ import annotations

import inspect
import json
import re
from types import SimpleNamespace

import jsonschema
import pytest

from tests.cli.program import run
from tests.models import FIXTURES, ROOT
from tests.reporters.page.models import write_large
from xnnlint.cli.option_groups import as_command
from xnnlint.cli.program import COMMANDS
from xnnlint.reporters.calibrate_json import document
from xnnlint.reporters.json_document import SCHEMAS, published_schema

HALF, SPARSE = str(FIXTURES / "guide_half.tflite"), str(FIXTURES / "guide_sparse.tflite")


def follows(schema: str, said: dict) -> None:
    jsonschema.Draft202012Validator(published_schema(schema)).validate(said)


def test_every_command_has_a_published_schema_and_the_option() -> None:
    assert SCHEMAS.keys() == {command.__name__ for command, _ in COMMANDS}
    for command, _ in COMMANDS:
        options = inspect.signature(as_command(command), eval_str=True).parameters.values()
        declared = [more for option in options for more in getattr(option.annotation, "__metadata__", ())]
        # In an Annotated, typer has the first name in the place of the default.
        assert any("--format" in (more.default, *(more.param_decls or ())) for more in declared), command.__name__


@pytest.mark.parametrize("name", sorted({*SCHEMAS.values(), "line", "results", "verify_line"}))
def test_every_schema_is_strict(name: str) -> None:
    """It is a schema, and no object of it takes a key that it does not name, unless keys are data."""
    schema = published_schema(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    version = schema["properties"]["schema_version"]["const"]
    assert schema["$id"] == f"urn:xnnlint:{name}:{version}"
    for part in _objects(schema):
        assert part.get("additionalProperties", part.get("unevaluatedProperties", True)) is not True, part


def _objects(part: object):
    if isinstance(part, dict):
        if part.get("type") == "object" and "properties" in part:
            yield part
        for inner in part.values():
            yield from _objects(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from _objects(inner)


@pytest.mark.parametrize(
    "call",
    [
        ["check", HALF],
        ["fix", HALF, "--diff"],
        ["report", HALF, SPARSE],
        ["report", str(FIXTURES / "guide_keepdims_false.tflite")],
        ["report", str(FIXTURES / "guide_dense_zeros.tflite"), "--fix"],
        ["report", str(FIXTURES / "guide_sparse.keras"), "--assume-pruned", "0.8"],
        ["compare", HALF, SPARSE],
        ["config", HALF],
        ["rules"],
        ["rules", "XNN1", "--fixable"],
        ["explain", "XNN301"],
        ["explain", "CONV_2D"],
        ["explain", "wrong-results"],
        ["explain", "recipes"],
        ["profiles"],
        ["profiles", "arm64"],
    ],
    ids=lambda call: " ".join(word.rpartition("/")[2] for word in call),
)
def test_what_a_command_prints_follows_its_schema(call: list[str], capsys, monkeypatch) -> None:
    code, out, said = run(capsys, monkeypatch, *call, "--format", "json")
    assert code in (0, 1), said
    follows(SCHEMAS[call[0]], json.loads(out))


def test_calibrate_tells_what_it_timed() -> None:
    family = SimpleNamespace(samples=12)
    profile = SimpleNamespace(cpu="x86-sse", cpu_model="some", litert="2.3.0", families={"conv": family})
    failed = SimpleNamespace(path="/tmp/a/grid_3.tflite", error="it does not load")
    said = document(SimpleNamespace(profile=profile, failed=[failed]), "cost.json")  # type: ignore[arg-type]
    follows("calibrate", said)
    assert said["families"] == {"conv": 12}
    assert said["failed"] == [{"graph": "grid_3", "error": "it does not load"}]


def test_graphs_for_programs_are_those_of_the_plan(tmp_path, capsys, monkeypatch) -> None:
    from xnnlint import lint

    model = write_large(tmp_path / "large.tflite", 40)
    _, out, _ = run(capsys, monkeypatch, "report", str(model), "--format", "json")
    (said,) = json.loads(out)["models"]
    plan = lint(model).plan
    assert {op["op"] for op in said["operators"] if op["runs"] == "spmm"} == plan.spmm_ops
    graph = plan.graph
    shown = {op["op"] for op in said["operators"]}
    read = {
        (made.index, op.index)
        for op in graph.operators
        for tensor in op.inputs
        if tensor >= 0 and (made := graph.producer(tensor)) is not None
    }
    assert {tuple(edge) for edge in said["edges"]} == {(a, b) for a, b in read if a in shown and b in shown}


def test_the_docs_name_the_schema_of_every_command() -> None:
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    table = dict(re.findall(r"^\| `([a-z`, ]+)` \| \[([a-z]+)\.schema\.json\]", text, re.MULTILINE))
    named = {command: schema for commands, schema in table.items() for command in commands.split("`, `")}
    assert named == SCHEMAS
