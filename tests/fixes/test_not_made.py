"""Changes that are considered and not made: each is named, with the reason, in text and for programs."""

from __future__ import annotations

import json

import jsonschema
import pytest

from tests.cli.program import run
from tests.models import FIXTURES
from xnnlint.fixes.keras.config_search import repair
from xnnlint.fixes.not_made import NotMade, Why, grouped
from xnnlint.fixes.remedies import ask_unsafe_fixes
from xnnlint.fixes.request import FixRequest
from xnnlint.fixes.tflite.file_search import search
from xnnlint.linter.findings import Applicability
from xnnlint.reporters.json_document import published_schema
from xnnlint.reporters.not_made_words import line
from xnnlint.xnnpack.profile import DEFAULT_CPU, DEFAULT_RUNTIME, load_profile

PROFILE = load_profile(DEFAULT_RUNTIME, DEFAULT_CPU)
PADDED = FIXTURES / "cases" / "tfk_mbv2_same.keras"
STRIDED = ("conv2d", "depthwise_conv2d_1", "depthwise_conv2d_3")


def of_kind(items: list[NotMade], fix: str) -> NotMade:
    (found,) = [item for item in items if item.fix == fix]
    return found


def test_unsafe_changes_that_were_not_asked_for() -> None:
    done = repair(str(PADDED), FixRequest(PROFILE))
    ask_unsafe_fixes(done, FixRequest(PROFILE))
    item = of_kind(done.not_made, "padding-on-all-sides")
    assert (item.why, item.applicability, item.places) == (Why.NOT_ASKED, Applicability.UNSAFE, STRIDED)


def test_one_line_and_one_entry_for_each_kind(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, out, _ = run(capsys, monkeypatch, "fix", str(PADDED), "--diff")
    said = f"padding-on-all-sides (unsafe) at {', '.join(STRIDED)}: it gives other outputs, so only with --unsafe-fixes"
    assert " ".join(out.split()).count(said) == 1
    _, out, _ = run(capsys, monkeypatch, "fix", str(PADDED), "--diff", "-f", "json")
    document = json.loads(out)
    jsonschema.validate(document, published_schema("fix"))
    (entry,) = [e for e in document["models"][0]["not_made"] if e["fix"] == "padding-on-all-sides"]
    assert (entry["why"], entry["places"]) == ("not-asked", list(STRIDED))


def test_of_two_ways_the_dearer_is_named() -> None:
    name = FIXTURES / "patterns" / "stem_same.tflite"
    result = search(name.read_bytes(), str(name), FixRequest(PROFILE, unsafe=True, even_if_slower=True), show=False)
    assert "padding-on-all-sides" in {change.fix for change in result.changes}
    item = of_kind(result.not_made, "entry-in-parts")
    assert (item.why, item.detail) == (Why.OTHER_WAY, "padding-on-all-sides")


def test_what_does_not_pay() -> None:
    """A stem of 5x5 in parts would take longer than all that is gained."""
    name = FIXTURES / "patterns" / "stem_5x5.tflite"
    result = search(name.read_bytes(), str(name), FixRequest(PROFILE), show=False)
    assert not result.changes and result.declined is not None
    item = of_kind(result.not_made, "entry-in-parts")
    assert (item.why, item.detail) == (Why.SLOWER, "predicted")


def test_nothing_is_said_of_what_is_made() -> None:
    for path in ("tfk_se_is_dense", "tfk_mbv3_hswish_div"):
        done = repair(str(FIXTURES / "cases" / f"{path}.keras"), FixRequest(PROFILE))
        made = {(change.fix, change.place) for change in done.changes}
        assert made and not made & {(item.fix, place) for item in done.not_made for place in item.places}


def test_at_most_five_places_are_named() -> None:
    several = [NotMade("prune", Applicability.UNSAFE, Why.NOT_NEEDED, "", (f"conv_{n}",)) for n in range(7)]
    (one,) = grouped(several)
    told = "prune (unsafe) at conv_0, conv_1, conv_2, conv_3, conv_4 and 2 more: no more runs sparse with it, "
    assert line(one, str) == f"{told}and nothing is faster"
