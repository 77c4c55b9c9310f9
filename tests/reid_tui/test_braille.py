"""Curves in braille: every point is drawn, and nothing is drawn where there is no value."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reid_tui.widgets.axis import linear_axis, log_axis
from reid_tui.widgets.braille import BLANK, cells, columns, dots, position
from reid_tui.widgets.curve import Series, draw_curves, legend

finite = st.floats(allow_nan=False, allow_infinity=False, width=64)
WIDTH, HEIGHT = 40, 24


def drawn(y: list[float], width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    values = np.array(y, dtype=np.float64)
    x = np.arange(len(y), dtype=np.float64)
    low, high = columns(x, values, 0, max(len(y) - 1, 0), width)
    known = values[np.isfinite(values)]
    limits = (known.min(), known.max()) if len(known) else (0.0, 1.0)
    return dots(low, high, *limits, height)


@given(st.lists(st.one_of(finite, st.just(float("nan")), st.just(float("inf"))), min_size=1, max_size=300))
def test_every_point_is_among_the_dots_of_its_column(y: list[float]) -> None:
    values = np.array(y)
    known = np.flatnonzero(np.isfinite(values))
    picture = drawn(y)
    if not len(known):
        assert not picture.any()
        return
    column = position(known.astype(float), 0, len(y) - 1, WIDTH)
    row = HEIGHT - 1 - position(values[known], values[known].min(), values[known].max(), HEIGHT)
    assert picture[row, column].all()


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=200))
def test_a_line_without_gaps_has_neither_empty_columns_nor_jumps(y: list[float]) -> None:
    picture = drawn(y)
    assert picture.any(axis=0).all()
    for left, right in zip(picture.T[:-1], picture.T[1:], strict=True):
        rows, others = np.flatnonzero(left), np.flatnonzero(right)
        assert rows.min() <= others.max() + 1
        assert others.min() <= rows.max() + 1


def test_a_nan_is_a_gap() -> None:
    y = [1.0] * 10 + [float("nan")] * 10 + [1.0] * 10
    empty = ~drawn(y, width=60).any(axis=0)
    gap = np.flatnonzero(empty)
    assert len(gap) > 15
    assert gap.min() > 15
    assert gap.max() < 45


def test_one_spike_among_many_points_is_seen() -> None:
    y = [0.0] * 100_000
    y[54_321] = 1.0
    picture = drawn(y)
    assert picture[0].sum() == 1
    assert picture[-1].all()


def test_a_constant_series_is_one_level_line() -> None:
    assert drawn([0.7] * 50).any(axis=1).sum() == 1


def test_one_point_is_one_dot() -> None:
    assert drawn([3.0]).sum() == 1


def test_cells_have_the_bits_of_unicode() -> None:
    picture = np.zeros((4, 4), dtype=bool)
    picture[0, 0] = picture[3, 3] = True
    assert [chr(BLANK + pattern) for pattern in cells(picture)[0].tolist()] == ["⠁", "⢀"]


def text(y: list[float], **options: object) -> list[str]:
    series = [Series("total", "tot", list(range(len(y))), y)]
    return [line.plain for line in draw_curves(series, 40, 10, **options)]  # type: ignore[arg-type]


def test_zeros_on_a_log_scale_are_on_the_floor() -> None:
    lines = text([1.0, 0.1, 0.0, 0.0, 0.01], log=True)
    assert any(BLANK < ord(char) < BLANK + 256 for char in lines[-2])
    assert text([0.0, 0.0], log=True) == ["no values above zero"]


def test_charts_without_values_or_room_say_so_or_stay_empty() -> None:
    assert text([]) == ["no values yet"]
    assert text([float("nan")]) == ["no values yet"]
    assert draw_curves([Series("a", "a", [0.0], [1.0])], 10, 10) == []
    assert draw_curves([Series("a", "a", [0.0], [1.0])], 40, 1) == []


@pytest.mark.parametrize("size", [(16, 2), (40, 5), (120, 30), (300, 60)])
def test_lines_have_the_size_that_was_asked_for(size: tuple[int, int]) -> None:
    series = [Series(name, name, [0.0, 1.0, 2.0], [1.0, 5.0, value]) for name, value in (("a", 2.0), ("b", 3.0))]
    lines = draw_curves(series, *size)
    assert len(lines) == size[1]
    assert all(line.cell_length <= size[0] for line in lines)
    marked = "".join(line.plain for line in lines)
    assert marked.count("●") == 1
    assert marked.count("▲") == 1


def test_the_legend_has_the_last_known_values_and_gets_shorter() -> None:
    series = [Series("triplet", "tri", [0, 1, 2], [1.0, 0.25, float("nan")])]
    assert legend(series, 40).plain == "● triplet 0.250"
    assert legend(series, 11).plain == "● tri 0.250"
    assert legend([Series("Rank-1", "R-1", [0], [0.714])], 40, "%").plain == "● Rank-1 71.4"


@given(st.floats(-1e9, 1e9), st.floats(0, 1e9), st.integers(2, 6))
@example(0.0, 5e-324, 2)
def test_a_linear_axis_holds_its_values_and_is_labelled(low: float, extent: float, count: int) -> None:
    first, last, ticks = linear_axis(low, low + extent, count)
    slack = 1e-6 * max(abs(low), abs(low + extent), 1)
    assert first <= low + slack
    assert last >= low + extent - slack
    assert 2 <= len(ticks) <= count + 2
    assert ticks == sorted(ticks)


@given(st.floats(1e-9, 1e3), st.floats(1, 1e9), st.integers(2, 6))
def test_a_log_axis_has_few_labels_within_its_limits(low: float, factor: float, count: int) -> None:
    first, last, ticks = log_axis(low, low * factor, count)
    assert first <= low
    assert low * factor <= last
    assert 1 <= len(ticks) <= count + 2
    assert all(first * 0.999 <= tick <= last * 1.001 for tick in ticks)
