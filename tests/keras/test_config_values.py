"""Values of configs: what is taken for one, and the sentence for what is not."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from xnnlint.errors import NotSupported
from xnnlint.keras.config_values import Options
from xnnlint.keras.lower.program import Value


@pytest.mark.parametrize(
    ("value", "read", "wanted"),
    [
        (3, lambda o: o.whole("x"), 3),
        (3.0, lambda o: o.whole("x"), 3),
        (None, lambda o: o.whole("x", default=7), 7),
        ([1, 2], lambda o: o.wholes("x"), [1, 2]),
        (5, lambda o: o.wholes("x", count=2), [5, 5]),
        ((3, 5), lambda o: o.pair("x"), (3, 5)),
        (3, lambda o: o.pair("x"), (3, 3)),
        (1, lambda o: o.pairs("x", count=2), [(1, 1), (1, 1)]),
        ([1, 2], lambda o: o.pairs("x", count=2), [(1, 1), (2, 2)]),
        ([[0, 1], [2, 3]], lambda o: o.pairs("x", count=2), [(0, 1), (2, 3)]),
        ([0, 1], lambda o: o.pairs("x", count=1), [(0, 1)]),
        ({"type": "ndarray", "value": 0.25}, lambda o: o.real("x"), 0.25),
        (math.inf, lambda o: o.real("x"), math.inf),
        (0, lambda o: o.flag("x", default=True), False),
        (None, lambda o: o.flag("x", default=True), True),
        ("same", lambda o: o.word("x"), "same"),
        (1, lambda o: o.whole("first", "x"), 1),
    ],
)
def test_what_is_taken(value: Any, read: Callable[[Options], Any], wanted: Any) -> None:
    assert read(Options({"x": value})) == wanted


@pytest.mark.parametrize(
    ("value", "read", "says"),
    [
        (None, lambda o: o.whole("x"), "its x is missing"),
        ("3", lambda o: o.whole("x"), "its x must be a whole number, not '3'"),
        (2.5, lambda o: o.whole("x"), "its x must be a whole number, not 2.5"),
        (math.nan, lambda o: o.whole("x"), "its x must be a whole number, not nan"),
        (math.inf, lambda o: o.whole("x"), "its x must be a whole number, not inf"),
        (1 << 31, lambda o: o.whole("x"), "its x must be a number of 32 bits, not 2147483648"),
        (0, lambda o: o.whole("x", least=1), "its x must be a number of 1 to 2147483647, not 0"),
        (1 << 200, lambda o: o.real("x"), "its x must be a number, not 160693804425899027...2993782792835301376"),
        ([1], lambda o: o.pair("x"), "its x must be 2 whole numbers, not [1]"),
        ([1, "a"], lambda o: o.wholes("x"), "its x must be a whole number, not 'a'"),
        ([[1, 2, 3], 1], lambda o: o.pairs("x", count=2), "its x must be a pair of whole numbers, not [1, 2, 3]"),
        ([-1, 1], lambda o: o.pairs("x", count=2), "its x must be a number of 0 to 2147483647, not -1"),
        ([1], lambda o: o.pairs("x", count=2), "its x must be 2 pairs of whole numbers, not [1]"),
        ("yes", lambda o: o.flag("x"), "its x must be true or false, not 'yes'"),
        ({}, lambda o: o.word("x"), "its x must be a text, not {}"),
        ([[1], [1, 2]], lambda o: o.array("x"), "its x must be numbers in lists of equal lengths, not [[1], [1, 2]]"),
        ([None], lambda o: o.array("x"), "its x must be numbers in lists of equal lengths, not [None]"),
        ([Value(None, name="m/add")], lambda o: o.wholes("x"), "its x must be a whole number, not <tensor m/add>"),
    ],
)
def test_what_is_refused(value: Any, read: Callable[[Options], Any], says: str) -> None:
    with pytest.raises(NotSupported) as refusal:
        read(Options({"x": value}))
    assert str(refusal.value) == says


def test_arrays_are_float32_and_too_large_numbers_infinite() -> None:
    array = Options({"x": {"config": {"value": [[1, 1e308]]}}}).array("x")
    assert array.dtype == np.float32 and array.tolist() == [[1.0, math.inf]]


def test_a_deep_nest_is_refused_and_not_shown() -> None:
    nest: list[Any] = []
    for _ in range(900):
        nest = [nest]
    with pytest.raises(NotSupported, match=r"lists of equal lengths, not \[\[\[\[\[\[\[\.\.\.\]{7}"):
        Options({"x": nest}).array("x")
