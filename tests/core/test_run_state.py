"""The fold from events to what a screen shows."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import reduce

import pytest

from core import events
from core.events import EpochFinished, EpochMetrics
from core.run_state import LOG_LINES_KEPT, LOSS_POINTS_KEPT, SYSTEMS_KEPT, LossHistory, RunState, fold
from tests.core.test_events import ALL, STARTED


def epoch(number, rank1, seconds=10.0):
    return EpochFinished(float(number), EpochMetrics(number, rank1=rank1, seconds=seconds))


def folded(*history):
    return reduce(fold, history, RunState())


def test_every_event_finds_its_place():
    state = folded(*ALL)
    assert state.started == STARTED
    assert (state.progress, state.patience) == (ALL[1], ALL[3])
    assert state.checkpoints == [ALL[4]]
    assert state.alerts == [ALL[6], ALL[7]]
    assert (state.over, state.system) == ({"loss-spike": 7.4}, ALL[9])
    assert state.finished == ALL[-1]
    assert not state.paused
    assert state.now == 9.0
    assert [text for _, _, text in state.log][-6:] == [
        'title: words with "quotes"',
        "and lines",
        "title: words",
        "over: title",
        "red é😀",
        "stopped by the user",
    ]


def test_best_is_the_earliest_of_equals_and_never_the_baseline():
    assert folded(epoch(0, 0.9)).best is None
    state = folded(epoch(0, 0.9), epoch(1, 0.5), epoch(2, math.nan), epoch(3, 0.7), epoch(4, 0.7))
    assert state.best.epoch == 3
    assert state.baseline.rank1 == 0.9


def test_losses_are_drawn_over_epochs():
    progress = [events.Progress(0.0, "train", 2, done, 4, 1.0, loss=done) for done in (1, 4)]
    validation = events.Progress(0.0, "validate", 2, 1, 4, 1.0)
    state = folded(*progress, validation)
    assert state.losses.x == [1.25, 2.0]
    assert state.losses.loss == [1, 4]


def test_times_to_go():
    state = folded(STARTED, epoch(0, 0.1, seconds=99.0), epoch(1, 0.2, seconds=8.0))
    assert state.run_eta == 2 * 8.0
    fold(state, events.Progress(3.0, "train", 2, 1, 4, images_per_second=6.0, loss=1.0))
    assert state.run_eta == pytest.approx(1.75 * 8.0)
    assert state.phase_eta == pytest.approx(3 * 4 / 6.0)
    fold(state, events.RunFinished(4.0, "stopped", "", 1, 9.0))
    assert math.isnan(state.run_eta)


def test_the_log_keeps_the_newest_lines_and_counts_all():
    state = folded(*(events.LogLine(float(n), "info", str(n)) for n in range(5 * LOG_LINES_KEPT)))
    assert state.log_total == 5 * LOG_LINES_KEPT
    assert LOG_LINES_KEPT <= len(state.log) <= 2 * LOG_LINES_KEPT
    assert state.log[-1][2] == str(5 * LOG_LINES_KEPT - 1)


def test_the_validation_of_an_epoch_is_not_its_beginning():
    state = folded(STARTED, epoch(0, 0.1), epoch(1, 0.2, seconds=8.0))
    fold(state, events.Progress(3.0, "train", 2, 4, 4, images_per_second=6.0, loss=1.0))
    before = state.epochs_done, state.run_eta
    fold(state, events.Progress(4.0, "validate", 2, 1, 50, images_per_second=6.0))
    assert (state.epochs_done, state.run_eta) == before == (2.0, 8.0)
    assert state.phase_eta == pytest.approx(49 / 6.0)
    fold(state, events.Progress(4.0, "validate", 2, 50, 50, images_per_second=6.0))
    assert math.isnan(state.phase_eta)
    fold(state, epoch(2, 0.3, seconds=8.0))
    assert (state.epochs_done, state.run_eta) == (2, 8.0)
    fold(state, events.Progress(5.0, "validate", 3, 1, 50, images_per_second=6.0))
    assert math.isnan(state.run_eta)


def test_the_baseline_is_no_epoch():
    assert folded(STARTED, events.Progress(1.0, "validate", 0, 1, 50, images_per_second=6.0)).epochs_done == 0


def test_the_history_of_losses_is_bounded_and_keeps_every_spike():
    history = LossHistory()
    count = 7 * LOSS_POINTS_KEPT
    spikes = {count // 9: 50.0, count // 2: -7.0, count - 3: 60.0}
    for point in range(count):
        history.append(point / 1000, spikes.get(point, 1.0), math.nan, 0.5 if point % 3 else math.nan)
        assert len(history.x) <= LOSS_POINTS_KEPT
    assert len(history.x) == len(history.loss) == len(history.ce) == len(history.triplet)
    assert history.x == sorted(history.x)
    assert (history.x[0], history.x[-1]) == (0.0, (count - 1) / 1000)
    for point, value in spikes.items():
        nearest = min(
            (at for at, loss in enumerate(history.loss) if loss == value),
            key=lambda at: abs(history.x[at] - point / 1000),
        )
        assert abs(history.x[nearest] - point / 1000) < count / 1000 / 1000
    assert all(math.isnan(value) for value in history.ce)
    assert {value for value in history.triplet if not math.isnan(value)} == {0.5}
    # The beginning is as fine as the rest.
    assert sum(x < history.x[-1] / 10 for x in history.x) > 500


def test_a_point_has_its_epoch_its_step_and_its_time():
    begun = STARTED.time
    state = folded(
        STARTED,
        events.Progress(begun + 2, "train", 2, 1, 4, 50.0, 1.0, 0.5, 0.25, 7.0, 1e-3),
        EpochFinished(begun + 3, EpochMetrics(2)),
    )
    losses = state.losses
    assert (losses.x, losses.step, losses.seconds) == ([1.25], [5], [2.0])
    assert (losses.grad_norm, losses.lr, losses.images_per_second) == ([7.0], [1e-3], [50.0])
    assert state.epoch_ends == [3.0]


def test_a_resumed_run_counts_on_from_where_it_was_cut():
    begun = STARTED.time
    state = folded(STARTED)
    for done in range(1, 6):
        fold(state, events.Progress(begun + done, "train", 1, done, 5, loss=1.0))
    fold(state, EpochFinished(begun + 7, EpochMetrics(1)))
    for done in range(1, 5):
        fold(state, events.Progress(begun + 7 + done, "train", 2, done, 5, loss=1.0))
    old = state.losses.x
    later = begun + 10_000
    resumed = replace(STARTED, time=later, resumed_epoch=2, resumed_batch=2, batches_per_epoch=5)
    fold(state, resumed)
    assert state.losses.seconds == [1, 2, 3, 4, 5, 8, 9]
    assert state.losses.step == [1, 2, 3, 4, 5, 6, 7]
    assert state.losses.x is not old  # who has copied it can tell
    assert state.epoch_ends == [7.0]
    fold(state, events.Progress(later + 3, "train", 2, 3, 5, loss=1.0))
    assert state.losses.seconds[-1] == 12
    # Anew from the beginning: nothing is left, and time begins at nought.
    fold(state, replace(resumed, time=later + 50, resumed_epoch=0, resumed_batch=0))
    fold(state, events.Progress(later + 51, "train", 1, 1, 5, loss=1.0))
    assert (state.epoch_ends, state.losses.seconds) == ([], [1.0])
    lengths = {len(values) for values in vars(state.losses).values()}
    assert lengths == {1}


def test_time_never_goes_back_though_the_clock_does():
    state = folded(STARTED)
    for done, time in ((1, 5.0), (2, 3.0), (3, 6.0)):
        fold(state, events.Progress(STARTED.time + time, "train", 1, done, 5, loss=1.0))
    assert state.losses.seconds == [5.0, 5.0, 6.0]


def test_every_series_of_a_thinned_history_keeps_its_extremes_and_its_places():
    history = LossHistory()
    for point in range(2 * LOSS_POINTS_KEPT):
        odd = 99.0 if point == 12_345 else 1.0
        history.append(
            point / 100, 1.0, 1.0, 1.0, step=point, seconds=point / 4, grad_norm=odd, lr=-odd, images_per_second=odd
        )
    assert {len(values) for values in vars(history).values()} == {len(history.x)}
    for values in (history.grad_norm, history.images_per_second):
        assert values.count(99.0) == 1
    assert history.lr.count(-99.0) == 1
    at = history.grad_norm.index(99.0)
    assert history.x[at] == pytest.approx(123.45, abs=0.1)
    for x, step, seconds in zip(history.x, history.step, history.seconds, strict=True):
        assert (x * 100, seconds * 4) == (pytest.approx(step), step)


def test_an_alert_is_active_until_it_is_over_or_the_run_is():
    first, second = (events.Alert(time, "warning", "t", "m", "disk") for time in (1.0, 5.0))
    once = events.Alert(1.0, "warning", "t", "m")
    state = folded(STARTED, first, once)
    assert (state.is_active(first), state.is_active(once)) == (True, False)
    fold(state, events.Cleared(3.0, "disk", "t"))
    assert not state.is_active(first)
    fold(state, second)
    assert (state.is_active(first), state.is_active(second)) == (False, True)
    fold(state, events.RunFinished(9.0, "stopped", "", 1, 8.0))
    assert not state.is_active(second)


def test_a_resumed_run_tells_anew_what_still_holds():
    alert = events.Alert(0.5, "warning", "t", "m", "disk")
    assert not folded(alert, STARTED).is_active(alert)


def test_readings_of_the_machine_are_bounded():
    state = folded(*(events.System(float(n)) for n in range(5 * SYSTEMS_KEPT)))
    assert len(state.systems) == SYSTEMS_KEPT
    assert state.system == events.System(5 * SYSTEMS_KEPT - 1.0)
