"""Curves in braille: every point is drawn, and nothing is drawn where there is no value."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reid_tui.widgets.axis import XAxis, linear_axis, log_axis
from reid_tui.widgets.canvas import ASCII, BRAILLE, Canvas
from reid_tui.widgets.plot import Frame, Layer, draw
from reid_tui.widgets.raster import around, columns, cut, dots, position

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


def test_dashes_leave_out_lines_and_never_points() -> None:
    x, y = np.array([0.0, 10.0, 11.0]), np.array([1.0, 2.0, 3.0])
    low, _ = columns(x, y, 0, 11, 120, (2, 2))
    assert 30 < np.isnan(low).sum() < 70
    assert not np.isnan(low[position(x, 0, 11, 120)]).any()


values = st.one_of(st.floats(-1e6, 1e6), st.just(float("nan")))


@given(st.lists(values, min_size=1, max_size=200), st.floats(0, 1), st.floats(0, 1))
def test_every_extreme_of_what_is_seen_is_drawn_in_its_column(y: list[float], one: float, other: float) -> None:
    x, points = np.arange(len(y), dtype=np.float64), np.array(y)
    low, high = sorted((one * (len(y) - 1), other * (len(y) - 1)))
    near = around(x, low, high)
    seen_x, seen_y = cut(x[near], points[near], low, high)
    inside = (x >= low) & (x <= high)
    assert set(x[inside]) <= set(seen_x)
    assert all(low <= place <= high for place in seen_x)
    least, most = columns(seen_x, seen_y, low, high, WIDTH)
    known = inside & np.isfinite(points)
    for place, column in zip(x[known], position(x[known], low, high, WIDTH), strict=True):
        assert least[column] <= points[int(place)] <= most[column]


def test_a_line_that_only_crosses_what_is_seen_is_drawn() -> None:
    x, y = np.array([0.0, 10.0]), np.array([0.0, 10.0])
    places, crossing = cut(x, y, 4.0, 5.0)
    assert places.tolist() == [4.0, 5.0]
    assert crossing.tolist() == [4.0, 5.0]


def test_a_view_between_two_points_shows_their_line() -> None:
    layer = Layer(np.array([0.0, 10.0]), np.array([0.0, 10.0]), "$primary", "●")
    plot = [line.plain[6:-1] for line in draw([layer], Frame(4.0, 5.0), 60, 12).lines[:-1]]
    assert sum(any(row[column] != " " for row in plot) for column in range(50)) >= 49


def test_cells_have_the_bits_of_unicode() -> None:
    picture = np.zeros((4, 4), dtype=bool)
    picture[0, 0] = picture[3, 3] = True
    assert [BRAILLE.patterns[pattern] for pattern in BRAILLE.cells(picture)[0].tolist()] == ["⠁", "⢀"]
    assert BRAILLE.patterns[0b11111111] == "⣿"
    assert [ASCII.patterns[pattern] for pattern in ASCII.cells(picture).ravel()] == [
        "'",
        " ",
        " ",
        " ",
        " ",
        " ",
        " ",
        ".",
    ]


def lines(y: list[float], size: tuple[int, int] = (40, 10), **options: object) -> list[str]:
    layer = Layer(np.arange(len(y), dtype=np.float64), np.array(y, dtype=np.float64), "$primary", "●")
    frame = Frame(0, max(len(y) - 1, 1), **options)  # type: ignore[arg-type]
    return [line.plain for line in draw([layer], frame, *size).lines]


@pytest.mark.parametrize("width", [16, 24, 40, 80, 200])
@pytest.mark.parametrize("limits", [(0, 14), (2.31, 2.48), (0, 123_456), (3_000, 90_000), (0, 0.6), (1, 1)])
def test_labels_of_the_x_axis_fit_beside_each_other(width: int, limits: tuple[float, float]) -> None:
    layer = Layer(np.array(limits, dtype=float), np.array([1.0, 2.0]), "$primary", "●")
    axes: tuple[XAxis, ...] = ("epoch", "step", "time")
    for axis in axes:
        last = draw([layer], Frame(*limits, axis=axis), width, 8).lines[-1].plain
        words = last.strip(" └─").split("─")
        assert len(last) <= width
        assert width < 40 or axis in last
        labels = [word for word in words if any(sign.isdigit() for sign in word)]
        few = limits[1] - limits[0] < (2 if axis == "step" else 0.1)  # there are no halves of a step
        assert few or width < 40 or len(labels) >= 2


def test_zeros_on_a_log_scale_are_on_the_floor() -> None:
    drawn = lines([1.0, 0.1, 0.0, 0.0, 0.01], log=True)
    assert set(drawn[-2]) & set(BRAILLE.patterns[1:])
    assert lines([0.0, 0.0], log=True) == ["no values above zero"]


def test_charts_without_values_or_room_say_so_or_stay_empty() -> None:
    assert lines([]) == ["no values yet"]
    assert lines([float("nan")]) == ["no values yet"]
    nan = float("nan")
    layer = Layer(np.arange(4.0), np.array([1.0, nan, nan, nan]), "$primary", "●")
    assert [line.plain for line in draw([layer], Frame(1.5, 2.5), 40, 10).lines] == ["no values here · 0 shows all"]
    narrow = [line.plain for line in draw([layer], Frame(1.5, 2.5), 20, 10).lines]
    assert narrow == ["no values here · 0", "shows all"]
    assert lines([1.0], (10, 10)) == []
    assert lines([1.0], (40, 1)) == []


@pytest.mark.parametrize("canvas", [BRAILLE, ASCII], ids=["braille", "ascii"])
@pytest.mark.parametrize("size", [(16, 2), (40, 5), (120, 30), (300, 60)])
def test_lines_have_the_size_that_was_asked_for(size: tuple[int, int], canvas: Canvas) -> None:
    x = np.arange(3.0)
    layers = [
        Layer(x, np.array([1.0, 5.0, last]), "$primary", canvas.marker(index)) for index, last in enumerate((2.0, 3.0))
    ]
    picture = draw(layers, Frame(0, 2, canvas=canvas), *size)
    assert len(picture.lines) == size[1]
    assert all(line.cell_length <= size[0] for line in picture.lines)
    # At the end of each curve, whatever else is on it.
    tips = [line.plain[picture.left + picture.width :] for line in picture.lines]
    assert sorted("".join(tips).replace(" ", "")) == sorted([canvas.marker(0), canvas.marker(1)])
    if canvas is ASCII:
        assert all(line.plain.isascii() for line in picture.lines)


@pytest.mark.parametrize("canvas", [BRAILLE, ASCII], ids=["braille", "ascii"])
def test_a_spike_among_20000_points_is_in_the_top_row(canvas: Canvas) -> None:
    y = [1.0] * 20_000
    y[13_337] = 9.0
    picture = lines(y, (80, 20), canvas=canvas)
    assert set(picture[0][5:-1].strip("┤│+| ")) & set(canvas.patterns[1:])


def test_the_best_point_and_the_cursor_are_drawn() -> None:
    layer = Layer(np.arange(10.0), np.arange(10.0), "$primary", "●", best=(5.0, 5.0))
    picture = draw([layer], Frame(0, 9, cursor=2.0), 60, 12)
    text = [line.plain for line in picture.lines]
    assert sum(line.count("★") for line in text) == 1
    column = picture.left + round(2 / 9 * (picture.width - 1))
    assert sum(line[column] == "┊" for line in text) >= 8
    assert not any("★" in line.plain for line in draw([layer], Frame(6, 9), 60, 12).lines)


def test_curves_without_colour_are_told_apart_by_their_markers() -> None:
    x = np.arange(100.0)
    layers = [Layer(x, np.full(100, float(level)), "$primary", BRAILLE.marker(level)) for level in range(4)]
    text = "\n".join(line.plain for line in draw(layers, Frame(0, 99), 100, 20).lines)
    assert all(text.count(BRAILLE.marker(level)) > 4 for level in range(4))


@pytest.mark.parametrize("canvas", [BRAILLE, ASCII], ids=["braille", "ascii"])
def test_the_marker_of_a_curve_is_where_the_curve_ends(canvas: Canvas) -> None:
    nan = float("nan")
    signs = [canvas.marker(index) for index in range(3)]
    ends = [(12, 9.0), (3, 5.0), (6, 1.0)]  # the last one has no values after epoch 6
    curves = []
    for sign, (end, level) in zip(signs, ends, strict=True):
        x = np.arange(13.0 if end == 6 else end + 1.0)
        curves.append(Layer(x, np.where(x <= end, level, nan), "$primary", sign))
    picture = draw(curves, Frame(0, 12, canvas=canvas), 100, 12)
    text = [line.plain for line in picture.lines[:-1]]
    for sign, (end, _) in zip(signs, ends, strict=True):
        last = max(line.rfind(sign, picture.left) for line in text) - picture.left
        if end == 12:
            assert last >= picture.width  # beside the plot
        else:
            assert last == position(np.array([float(end)]), 0, 12, picture.width)[0]
    # Those that end at one place stand beside each other.
    same = [Layer(np.arange(4.0), np.full(4, 2.0), "$primary", sign) for sign in signs]
    picture = draw(
        [*same, Layer(np.arange(13.0), np.arange(13.0), "$primary", "#")], Frame(0, 12, canvas=canvas), 60, 9
    )
    assert any("".join(reversed(signs)) in line.plain for line in picture.lines)


def test_a_run_that_has_its_baseline_only_shows_one_point() -> None:
    layer = Layer(np.array([0.0]), np.array([0.3]), "$primary", "●", best=(0.0, 0.3))
    picture = draw([layer], Frame(0, 0), 60, 12)
    assert [line.plain[picture.left :].strip() for line in picture.lines[:-1] if "★" in line.plain] == ["★●"]
    assert sum(sign in BRAILLE.patterns[1:] or sign == "●" for line in picture.lines[:-1] for sign in line.plain) == 1


def test_what_is_behind_gives_way_to_the_curve_in_front() -> None:
    x = np.arange(400.0)
    noise = np.where(np.arange(400) % 2, 1.0, -1.0)
    front, behind = Layer(x, np.zeros(400), "$primary", "●"), Layer(x, noise, "$accent", "▲", behind=True)
    picture = draw([front, behind], Frame(0, 399), 60, 12).lines
    styles = {style for line in picture for _, style in line.parts}
    assert {"$primary", "$accent 40%"} <= styles
    full = [set(line.plain[8:50]) <= {"⣿"} for line in picture[:-1]]
    assert full.count(False) <= 2
    assert not all(full)


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
