"""The benchmarks can be run; how fast anything is, no test asserts."""

from __future__ import annotations

from importlib import import_module

import pytest

from tests.benchmarks.__main__ import NAMES
from tests.benchmarks.row import Row, alternately


@pytest.mark.parametrize("name", NAMES)
def test_each_gives_rows(name: str) -> None:
    assert callable(import_module(f"tests.benchmarks.{name}").rows)


def test_a_row_knows_whether_its_target_is_reached() -> None:
    assert Row("a", "b", 5.1, "x", 5, at_least=True).reached is True
    assert Row("a", "b", 4.9, "x", 5, at_least=True).reached is False
    assert Row("a", "b", 4.9, "s", 5).reached is True
    assert Row("a", "b", None, "s", 5).reached is None
    assert Row("a", "b", 4.9, "s", None).reached is None


def test_calls_are_timed_in_turns() -> None:
    called = []
    times = alternately([lambda: called.append("a"), lambda: called.append("b")], 3)
    assert called == ["a", "b"] * 3 and all(time >= 0 for time in times)
