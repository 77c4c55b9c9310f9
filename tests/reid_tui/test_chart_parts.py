"""What charts are made of: views, smoothing, arrays that grow, labels of axes, metrics."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from core.events import EpochFinished, EpochMetrics, Event, Progress
from core.run_state import LossHistory, RunState, fold
from reid_tui.metrics import BY_ID, GROUPS, METRICS, RunCurves, chart_title, in_one_chart
from reid_tui.widgets.axis import XAxis, place_label, place_ticks
from reid_tui.widgets.legend import Entry, legend, place_text
from reid_tui.widgets.series import Points, Series
from reid_tui.widgets.smoothing import smoothed
from reid_tui.widgets.view import NARROWEST, View, panned, showing, within, zoomed
from tests.core.test_events import STARTED

NAN = float("nan")

# Views --------------------------------------------------------------------------------------------------------------

moves = st.lists(
    st.one_of(
        st.tuples(st.just("zoom"), st.floats(0.1, 10), st.floats(0, 1)),
        st.tuples(st.just("pan"), st.floats(-3, 3), st.just(0.0)),
        st.tuples(st.just("grow"), st.floats(0, 50), st.just(0.0)),
        st.tuples(st.just("show"), st.floats(0, 1), st.just(0.0)),
    ),
    max_size=30,
)


@given(moves, st.floats(-1e3, 1e3), st.floats(1e-3, 1e6))
def test_a_view_never_leaves_the_data_nor_shrinks_to_nothing(
    done: list[tuple[str, float, float]], low: float, extent: float
) -> None:
    high, view = low + extent, None
    for what, amount, share in done:
        now = within(view, low, high)
        if what == "zoom":
            view = zoomed(now, amount, share, low, high)
            assert view is None or low - 1e-9 * abs(low) <= view.low
        elif what == "pan" and view is not None:
            view = panned(now, amount, low, high)
        elif what == "show" and view is not None:
            x = low + amount * (high - low)
            view = showing(now, x, low, high)
            assert view.low - 1e-6 * extent <= x <= view.high + 1e-6 * extent
        elif what == "grow":
            high += amount
        seen, slack = within(view, low, high), 1e-9 * max(abs(low), abs(high))
        assert low - slack <= seen.low < seen.high <= high + slack
        assert seen.width >= (extent * NARROWEST) * 0.99 - slack
    assert within(None, low, high) == View(low, high, True)  # what a reset gives


@given(st.floats(0, 1), st.floats(0.05, 0.95))
def test_the_place_under_the_pointer_stays_where_it_is(share: float, factor: float) -> None:
    before = View(0.0, 100.0, True)
    after = zoomed(before, factor, share, 0.0, 100.0)
    assert after is not None
    assert after.at(share) == pytest.approx(before.at(share))
    back = zoomed(after, 1 / factor, share, 0.0, 100.0)
    assert back is None or back.width == pytest.approx(100)


def test_a_view_at_the_end_follows_the_data_and_another_stays() -> None:
    tail = zoomed(View(0, 100, True), 0.25, 1.0, 0, 100)
    assert tail == View(75, 100, True)
    assert within(tail, 0, 120) == View(95, 120, True)
    middle = zoomed(View(0, 100, True), 0.25, 0.5, 0, 100)
    assert middle is not None
    assert within(middle, 0, 120) == middle
    assert within(tail, 0, 20) == View(0, 20, True)  # a run that was cut, and has begun anew
    assert panned(middle, 10, 0, 100) == View(75, 100, True)


# Smoothing ----------------------------------------------------------------------------------------------------------


def tensorboard(values: list[float], weight: float) -> list[float]:
    """Its own loop, in words of its own."""
    last, count, result = 0.0, 0, []
    for value in values:
        if not math.isfinite(value):
            result.append(NAN)
            continue
        last = last * weight + (1 - weight) * value
        count += 1
        result.append(last / (1 - weight**count))
    return result


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=300), st.sampled_from([0.6, 0.9, 0.99]))
def test_at_even_distances_it_is_tensorboards_average(values: list[float], strength: float) -> None:
    mine = smoothed(np.arange(len(values), dtype=float), np.array(values), strength)
    assert mine == pytest.approx(tensorboard(values, strength), rel=1e-6, abs=1e-4)


def test_long_series_are_smoothed_in_blocks_like_short_ones() -> None:
    values = [math.sin(at / 50) + at % 7 for at in range(20_000)]
    for strength in (0.6, 0.99):
        mine = smoothed(np.arange(20_000.0), np.array(values), strength)
        assert mine == pytest.approx(tensorboard(values, strength), rel=1e-6, abs=1e-6)


@given(st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(NAN), st.just(math.inf)), min_size=1, max_size=100))
def test_what_is_not_finite_counts_for_nothing_and_stays_a_gap(values: list[float]) -> None:
    y = np.array(values)
    mine = smoothed(np.arange(len(y), dtype=float), y, 0.9)
    known = np.isfinite(y)
    assert np.isnan(mine[~known]).all()
    assert np.isfinite(mine[known]).all()
    if known.any():
        assert y[known].min() <= mine[known].min()
        assert mine[known].max() <= y[known].max()
        assert mine[np.flatnonzero(known)[0]] == y[known][0]  # bias-corrected


def test_a_dense_part_weighs_no_more_than_its_share_of_the_axis() -> None:
    # 100 points of 0 on [0, 100], then 100 points of 1 within [100, 101].
    x = np.concatenate([np.arange(100.0), 100 + np.arange(100) / 100])
    y = np.concatenate([np.zeros(100), np.ones(100)])
    uneven, by_count = smoothed(x, y, 0.97)[-1], smoothed(np.arange(200.0), y, 0.97)[-1]
    assert uneven < by_count
    assert smoothed(x, y, 0.0) == pytest.approx(y)


@given(st.lists(st.tuples(st.floats(0, 1e3), st.floats(-10, 10)), min_size=1, max_size=60))
def test_uneven_and_equal_places_give_averages(points: list[tuple[float, float]]) -> None:
    x = np.array(sorted(place for place, _ in points))
    y = np.array([value for _, value in points])
    mine = smoothed(x, y, 0.9)
    assert ((y.min() <= mine) & (mine <= y.max())).all()


# Arrays -------------------------------------------------------------------------------------------------------------


def test_only_what_is_new_is_copied() -> None:
    x, y = [float(at) for at in range(20_000)], [0.5] * 20_000
    points, series = Points(), Series("a", "a", x, y)
    assert points.take(series)
    assert points.copied == 40_000
    for _ in range(5):
        assert not points.take(Series("a", "a", x, y))
    x.append(20_000.0)
    y.append(0.7)
    assert points.take(Series("a", "a", x, y))
    assert points.copied == 40_002
    assert (len(points.x), points.y[-1]) == (20_001, 0.7)
    # An average is made once for each change.
    assert points.smooth(0.9) is points.smooth(0.9)


def test_lists_that_were_cut_or_exchanged_are_copied_anew() -> None:
    history = LossHistory()
    points = Points()

    def shown() -> list[float]:
        points.take(Series("a", "a", history.x, history.loss))
        return points.y.tolist()

    for at in range(10):
        history.append(float(at), 1.0, 1.0, 1.0)
    assert shown() == [1.0] * 10
    history.keep(4)
    for at in range(4, 10):  # a resumed run, all of it between two drawings
        history.append(float(at), 2.0, 2.0, 2.0)
    assert shown() == [1.0] * 4 + [2.0] * 6


def test_another_metric_at_the_same_places_is_copied() -> None:
    x, points = [0.0, 1.0], Points()
    points.take(Series("a", "a", x, [1.0, 2.0]))
    assert points.take(Series("b", "b", x, [3.0, 4.0]))
    assert points.y.tolist() == [3.0, 4.0]


def test_values_are_read_at_the_nearest_point_that_has_one() -> None:
    points = Points()
    points.take(Series("a", "a", [0, 1, 2, 3, 3], [5.0, NAN, 7.0, 8.0, 9.0]))
    assert [points.value_at(x) for x in (-9, 0.9, 1.2, 2.4, 99, math.inf, -math.inf)] == [5, 5, 7, 7, 9, 9, 5]
    assert points.beyond(0, 0.1) == 2
    assert points.beyond(2, -0.1) == 0
    assert points.beyond(3, 5) == 3
    empty = Points()
    empty.take(Series("a", "a", [0, 1], [NAN, NAN]))
    assert all(math.isnan(value) for value in (empty.value_at(0), empty.nearest(0), empty.beyond(0, 1)))


# Axes and legends ---------------------------------------------------------------------------------------------------


def seen_label(low: float, high: float, axis: XAxis, count: int = 5) -> tuple[list[str], str]:
    ticks, name = place_ticks(low, high, count, axis)
    return [label for _, label in ticks], name


def test_places_are_labelled_by_what_they_are() -> None:
    assert seen_label(0, 10, "epoch") == (["0", "2", "4", "6", "8", "10"], "epoch")
    assert seen_label(2.1, 2.9, "epoch", 4) == (["2.2", "2.4", "2.6", "2.8"], "epoch")
    assert seen_label(0, 3, "step", 9) == (["0", "1", "2", "3"], "step")
    assert seen_label(0, 40_000, "step", 4) == (["0", "10k", "20k", "30k", "40k"], "step")
    assert seen_label(0, 100, "time") == (["0:00", "0:30", "1:00", "1:30"], "time m:ss")
    assert seen_label(0, 3 * 3600, "time", 3) == (["0:00", "1:00", "2:00", "3:00"], "time h:mm")
    assert seen_label(7200, 7230, "time", 3) == (["2:00:00", "2:00:10", "2:00:20", "2:00:30"], "time h:mm:ss")
    assert seen_label(0, 0.4, "time", 4)[0][:2] == ["0:00.0", "0:00.1"]
    assert seen_label(0, 10 * 86400, "time", 5)[0][1] == "48:00"
    assert place_label(2_500_000, 500_000) == "2.5M"


@given(st.floats(0, 1e7), st.floats(1e-3, 1e7), st.integers(3, 20), st.sampled_from(["epoch", "step", "time"]))
def test_labels_are_few_within_the_limits_and_all_different(low: float, extent: float, count: int, axis: XAxis) -> None:
    assume(extent > 1e-6 * low)
    ticks, _ = place_ticks(low, low + extent, count, axis)
    slack = extent * 1e-6
    assert len(ticks) <= count + 2
    assert all(low - slack <= place <= low + extent + slack for place, _ in ticks)
    if axis != "epoch" or extent > 1e-2:
        assert len({label for _, label in ticks}) == len(ticks)


def test_the_legend_gets_shorter_where_it_is_narrow() -> None:
    entries = [
        Entry("●", "$primary", "triplet", "tri", 0.25),
        Entry("▲", "$accent", "total", "tot", 1.5, smoothed=True),
    ]
    assert legend(entries, 60).plain == "● triplet 0.250   ▲ total ~1.50"
    assert legend(entries, 60, where="epoch 2.5").plain == "epoch 2.5   ● triplet 0.250   ▲ total ~1.50"
    for width in (10, 18, 20, 25, 30, 40):
        assert legend(entries, width, where="epoch 2.5").cell_length <= width
    assert legend(entries, 18, where="epoch 2").plain == "2 ●0.250 ▲~1.50"
    assert legend([Entry("●", "", "Rank-1", "R-1", 0.714)], 40, "%").plain == "● Rank-1 71.4"
    assert place_text(2.4567, "epoch", 20, named=True) == "epoch 2.5"
    assert place_text(3725, "time", 20, named=True) == "1:02:05"
    assert place_text(12345, "step", 20000, named=True) == "step 12345"


# Metrics ------------------------------------------------------------------------------------------------------------


def test_every_number_that_a_run_says_can_be_shown() -> None:
    steps = {"loss", "ce", "triplet", "grad_norm", "lr", "images_per_second"}
    epochs = steps | {"train_rank1", "train_rank5", "train_rank10", "rank1", "rank5", "rank10", "mAP", "mINP"}
    epochs |= {"classifier_lr", "seconds"}
    assert {metric.field for metric in METRICS if metric.per_step} == steps
    assert {metric.field for metric in METRICS if not metric.per_step} == epochs
    assert len(BY_ID) == len(METRICS)
    assert {metric.group for metric in METRICS} == set(GROUPS)


def run(*more: Event) -> RunState:
    state = RunState()
    begun = STARTED.time
    for event in (
        STARTED,
        EpochFinished(begun + 2, EpochMetrics(0, rank1=0.9)),
        Progress(begun + 3, "train", 1, 5, 5, 10.0, loss=1.0, lr=1e-3),
        EpochFinished(begun + 4, EpochMetrics(1, rank1=0.5)),
        *more,
    ):
        fold(state, event)
    return state


def test_curves_of_a_run_over_epochs_steps_and_time() -> None:
    curves = RunCurves()
    assert curves.series(BY_ID["epoch.rank1"], "step").x == []
    state = run()
    curves.take(state)
    rank, lr = BY_ID["epoch.rank1"], BY_ID["step.lr"]
    axes: tuple[XAxis, ...] = ("epoch", "step", "time")
    assert [curves.series(rank, axis).x for axis in axes] == [[0, 1], [0, 5], [2, 4]]
    assert [curves.series(lr, axis).x for axis in axes] == [[1], [5], [3]]
    assert [curves.series(rank, axis).best for axis in axes] == [1, 5, 4]
    assert curves.series(BY_ID["epoch.mAP"], "epoch").best is None
    assert curves.series(lr, "epoch").y == [1e-3]
    before = curves.series(rank, "epoch")
    fold(state, EpochFinished(STARTED.time + 9, EpochMetrics(2, rank1=0.7)))
    curves.take(state)
    after = curves.series(rank, "epoch")
    assert after.y is before.y  # it has grown, so that only what is new is copied
    assert (after.y, after.best) == ([0.9, 0.5, 0.7], 2)
    again = run()
    curves.take(again)
    assert curves.series(rank, "epoch").y == [0.9, 0.5]


def test_a_chart_is_of_one_unit() -> None:
    both = in_one_chart(["epoch.mAP", "step.loss", "epoch.loss", "unheard"])
    assert [metric.id for metric in both] == ["step.loss", "epoch.loss"]
    assert chart_title(both) == "Loss"
    assert chart_title(in_one_chart(["epoch.mAP", "epoch.rank1"])) == "Rank-1 and mAP, %"
    assert chart_title(in_one_chart(["epoch.mAP", "epoch.rank1", "epoch.rank5"])) == "Ranks and mAP, %"
    assert in_one_chart([]) == []
