"""The order of a list of runs."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.run_fields import COLUMNS, FIELDS, is_known, sort_runs
from tests.listed_runs import NOW, run_row

scalars = st.one_of(st.none(), st.integers(), st.floats(), st.text(max_size=5), st.just([1, 2]), st.just(True))
keys = st.sampled_from(["lr", "batch_size", "name", "aspect", "dataset"])
profiles = st.dictionaries(
    st.sampled_from(["train", "model", "data", "run"]),
    st.one_of(scalars, st.dictionaries(keys, scalars, max_size=3)),
    max_size=4,
)
rows = st.lists(
    st.builds(
        run_row,
        name=st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=5),
        standing=st.sampled_from(["running", "paused", "finished", "crashed"]),
        size=st.integers(0, 10**12),
        best_rank1=st.one_of(st.just(math.nan), st.floats(0, 1)),
        epoch=st.integers(0, 9),
        epochs=st.integers(0, 9),
        began=st.one_of(st.just(math.nan), st.floats(0, 2e9)),
        profile=profiles,
    ),
    max_size=5,
    unique_by=lambda row: row.folder,
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)  # the machine is shared
@given(rows, st.sampled_from(COLUMNS), st.booleans())
def test_what_is_not_known_is_last_in_both_directions(rows, key, falling):
    ordered = sort_runs(rows, key, falling, NOW)
    assert sorted(map(id, ordered)) == sorted(map(id, rows))
    known = [is_known(FIELDS[key].value(row, NOW)) for row in ordered]
    assert known == sorted(known, reverse=True)
    values = [FIELDS[key].value(row, NOW) for row in ordered[: sum(known)]]
    if values and isinstance(values[0], float):
        assert values == sorted(values, reverse=falling)


@pytest.mark.parametrize("key", COLUMNS)
@pytest.mark.parametrize("falling", [False, True])
def test_equals_are_newest_first(key, falling):
    rows = [run_row(f"same{began}", began=float(began)) for began in range(5)]
    random.Random(0).shuffle(rows)
    if key not in ("age", "name"):
        assert [row.summary.began for row in sort_runs(rows, key, falling, NOW)] == [4, 3, 2, 1, 0]


def test_live_runs_are_first_by_state():
    rows = [run_row(word, word) for word in ("finished", "paused", "crashed", "running", "preparing")]
    names = [row.summary.name for row in sort_runs(rows, "state", False, NOW)]
    assert names == ["running", "preparing", "paused", "crashed", "finished"]


def test_texts_are_sorted_whatever_their_case():
    rows = [run_row("B"), run_row("a"), run_row("C")]
    assert [row.summary.name for row in sort_runs(rows, "name", False, NOW)] == ["a", "B", "C"]
    assert [row.summary.name for row in sort_runs(rows, "name", True, NOW)] == ["C", "B", "a"]
