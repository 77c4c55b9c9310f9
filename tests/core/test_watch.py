"""Alerts: none in a healthy run, each fault once, told again after it was over."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from dataclasses import replace
from functools import reduce
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.events import (
    NAN,
    Alert,
    CheckpointSaved,
    Cleared,
    EpochFinished,
    EpochMetrics,
    Event,
    Gpu,
    LogLine,
    Progress,
    RunFinished,
    System,
)
from core.run_state import RunState, fold
from core.watch import TITLES, Watch, Watched
from tests.core.test_events import STARTED

GIB = 2.0**30
ON_GPU = replace(STARTED, device="cuda:0 (H100)", batch_size=32, identities=502, train_images=502)
SHUFFLED = replace(ON_GPU, profile={"train": {"sampler": "shuffle", "triplet_weight": 1.0}})


def told(*events: Event, watch: Watch | None = None) -> list[tuple[str, str]]:
    """Every word of the watch over these events: kind of event, kind of alert."""
    watch = watch or Watch()
    return [(type(said).__name__, said.kind) for event in events for said in watch.see(event)]  # type: ignore[attr-defined]


def losses(values: Iterable[float], start: float = 0.0, **more: float) -> list[Event]:
    return [
        Progress(start + 0.25 * number, "train", 2, number, 10**6, loss=value, **more)
        for number, value in enumerate(values)
    ]


def norms(values: Iterable[float]) -> list[Event]:
    return [Progress(float(at), "train", 2, at, 10**6, loss=1.0, grad_norm=norm) for at, norm in enumerate(values)]


def epochs(*rows: dict[str, Any]) -> list[Event]:
    return [EpochFinished(10.0 * at, EpochMetrics(at, **row)) for at, row in enumerate(rows, 1)]


def readings(count: int, start: float = 0.0, **values: Any) -> list[Event]:
    """Every two seconds."""
    gpu = Gpu(
        0, "H100", 0, **{key: values.pop(key) for key in ("utilisation", "memory_used", "memory_total") & values.keys()}
    )
    return [System(start + 2.0 * number, (gpu,), **values) for number in range(count)]


def alerts(kind: str) -> list[tuple[str, str]]:
    return [("Alert", kind)]


AGAIN = ("Alert", "Cleared", "Alert")


class TestLoss:
    def test_a_spike_is_told_once_and_again_when_it_comes_again(self) -> None:
        series = [2.0] * 30 + [9.0] * 20 + [2.0] * 30 + [9.0] * 5
        assert told(*losses(series)) == [(word, "loss-spike") for word in AGAIN]

    def test_it_says_since_when_and_what_to_do(self) -> None:
        watch = Watch()
        [alert] = [said for event in losses([2.0] * 30 + [9.0]) for said in watch.see(event)]
        assert isinstance(alert, Alert) and alert.level == "warning" and alert.title == TITLES["loss-spike"]
        assert alert.since == alert.time == 7.5
        assert "9" in alert.message and "2 was usual" in alert.message and "train.lr" in alert.message

    def test_a_loss_that_stays_high_does_not_become_usual(self) -> None:
        assert told(*losses([2.0] * 30 + [9.0] * 500)) == alerts("loss-spike")

    def test_one_that_hangs_about_the_bar_does_not_flap(self) -> None:
        assert told(*losses([2.0] * 30 + [4.2, 3.9, 4.2, 3.8, 4.1] * 20)) == alerts("loss-spike")

    def test_near_zero_a_multiple_is_no_spike(self) -> None:
        assert told(*losses([0.01] * 60 + [0.2] * 5)) == []

    def test_where_the_batches_differ_much_a_multiple_is_none_either(self) -> None:
        assert told(*losses([0.3, 0.7, 1.0, 1.4, 1.8] * 12 + [3.5])) == []

    @settings(max_examples=40, deadline=None)
    @given(st.floats(0.0, 1e3), st.integers(21, 200))
    def test_a_constant_loss_is_healthy(self, level: float, count: int) -> None:
        assert told(*losses([level] * count)) == []

    @settings(max_examples=40, deadline=None)
    @given(st.lists(st.floats(0.0, 100.0), min_size=25, max_size=200))
    def test_a_loss_that_falls_is_healthy(self, series: list[float]) -> None:
        assert told(*losses(sorted(series, reverse=True))) == []

    @settings(max_examples=40, deadline=None)
    @given(st.integers(0, 10**6), st.floats(0.01, 0.3))
    def test_a_noisy_loss_that_falls_is_healthy(self, seed: int, noise: float) -> None:
        normal = random.Random(seed)
        series = [(0.3 + 4 * math.exp(-at / 80)) * max(1 + normal.gauss(0, noise), 0.0) for at in range(400)]
        assert told(*losses(series)) == []

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=120))
    def test_whatever_the_numbers_alerts_and_their_ends_take_turns(self, series: list[float]) -> None:
        words = told(*losses(series), *norms(series))
        for kind in ("loss-spike", "gradients"):
            mine = [word for word, of in words if of == kind]
            assert mine == [("Alert", "Cleared")[at % 2] for at in range(len(mine))]

    def test_flat_while_the_model_knows_nothing(self) -> None:
        flat = [{"loss": 6.2, "triplet": 0.3, "train_rank1": 0.02}] * 12
        falls = [{"loss": 3.0, "triplet": 0.3, "train_rank1": 0.3}] * 3
        assert told(*epochs(*flat)) == alerts("loss-flat")
        assert told(*epochs(*flat[:5])) == [], "it has had no time yet"
        assert told(*epochs(*flat, *falls)) == [*alerts("loss-flat"), ("Cleared", "loss-flat")]

    def test_what_rises_is_told_to_learn_more_slowly(self) -> None:
        rows = [{"loss": 4.0 * 3.0**at, "triplet": 0.3, "train_rank1": 0.02} for at in range(8)]
        watch = Watch()
        [said] = [said for event in epochs(*rows) for said in watch.see(event)]
        assert isinstance(said, Alert)
        assert "A lower train.lr" in said.message and "A higher train.lr" not in said.message

    def test_flat_is_fine_once_the_images_are_learned(self) -> None:
        assert told(*epochs(*[{"loss": 0.1, "triplet": 0.1, "train_rank1": 0.99}] * 20)) == []


class TestGradients:
    def test_an_explosion_is_told_once_and_again(self) -> None:
        series = [2.0] * 30 + [60.0] * 20 + [2.0] * 30 + [60.0] * 5
        assert told(*norms(series)) == [(word, "gradients") for word in AGAIN]

    def test_since_is_its_first_reading(self) -> None:
        watch = Watch()
        [alert] = [said for event in norms([2.0] * 30 + [60.0] * 3) for said in watch.see(event)]
        assert isinstance(alert, Alert) and (alert.since, alert.time) == (30.0, 32.0)

    def test_a_batch_or_two_are_none(self) -> None:
        assert told(*norms([2.0] * 30 + [60.0] * 2 + [2.0] * 5 + [60.0] * 2)) == []

    def test_small_ones_explode_nothing(self) -> None:
        assert told(*norms([0.001] * 30 + [0.5] * 30)) == []


def validated(*rates: float, train: float = 0.99, queries: int = 1000) -> list[Event]:
    common = {"triplet": 0.1, "train_rank1": train, "queries": queries}
    return epochs(*({"loss": 2.0 / (at + 1), "rank1": rate, **common} for at, rate in enumerate(rates)))


class TestEpochs:
    FALL = (0.6, 0.7, 0.8, 0.85, 0.8, 0.75, 0.7, 0.68)

    def test_overfitting_is_told_once_with_the_best_epoch(self) -> None:
        watch = Watch()
        said = [said for event in validated(*self.FALL) for said in watch.see(event)]
        assert [getattr(each, "kind", "") for each in said] == ["overfitting"]
        assert "85.0 in epoch 4" in said[0].message and said[0].since == 40.0  # type: ignore[attr-defined]

    def test_it_is_over_when_validation_comes_back(self) -> None:
        words = told(*validated(*self.FALL, 0.85, 0.86, 0.86))
        assert words == [*alerts("overfitting"), ("Cleared", "overfitting")]

    @pytest.mark.parametrize("more", [{"train": 0.5}, {"queries": 20}])
    def test_not_while_there_is_much_to_learn_nor_within_the_noise_of_few_queries(self, more: Any) -> None:
        assert told(*validated(*self.FALL, **more)) == []

    @settings(max_examples=40, deadline=None)
    @given(st.integers(0, 10**6))
    def test_a_plateau_is_none(self, seed: int) -> None:
        normal = random.Random(seed)
        error = math.sqrt(0.8 * 0.2 / 500)
        assert told(*validated(*(0.8 + normal.gauss(0, error / 3) for _ in range(60)), queries=500)) == []

    def test_epochs_without_validation_do_not_count(self) -> None:
        assert told(*validated(0.85, NAN, NAN, NAN, NAN)) == []

    def test_a_triplet_loss_of_zero_says_what_to_change(self) -> None:
        watch = Watch()
        rows = epochs(*[{"loss": 5.0 / at, "triplet": 0.0, "train_rank1": 0.1} for at in (1, 2, 3)])
        [alert] = [said for event in [SHUFFLED, *rows] for said in watch.see(event)]
        assert isinstance(alert, Alert) and alert.kind == "no-triplets"
        assert 'train.sampler = "pk"' in alert.message and "images_per_identity" in alert.message

    @pytest.mark.parametrize(
        ("change", "row"),
        [
            ({"profile": {"train": {"sampler": "pk"}}}, {}),
            ({"profile": {"train": {"sampler": "shuffle", "triplet_weight": 0.0}}}, {}),
            ({"identities": 50, "train_images": 1000}, {}),  # batches are full of pairs: all are satisfied
            ({}, {"train_rank1": 0.97}),
            ({}, {"triplet": 0.2}),
            ({}, {"triplet": NAN}),
        ],
    )
    def test_zero_may_be_as_it_should_be(self, change: Any, row: Any) -> None:
        rows = epochs(*[{"loss": 5.0 / at, "triplet": 0.0, "train_rank1": 0.1} | row for at in (1, 2, 3)])
        assert told(replace(SHUFFLED, **change), *rows) == []


SLOW = {"utilisation": 0.1, "data_wait": 0.8}
FAST = {"utilisation": 0.95, "data_wait": 0.01}
SECOND_EPOCH = Progress(0.0, "train", 2, 1, 5)


class TestMachine:
    def test_slow_data_are_told_after_half_a_minute_once(self) -> None:
        watch = Watch()
        assert told(ON_GPU, SECOND_EPOCH, *readings(15, **SLOW), watch=watch) == []
        assert told(*readings(200, 30.0, **SLOW), watch=watch) == alerts("data-slow")
        assert told(*readings(2, 430.0, **FAST), watch=watch) == [], "it may come back at once"
        assert told(*readings(20, 434.0, **FAST), watch=watch) == [("Cleared", "data-slow")]
        assert told(*readings(20, 474.0, **SLOW), watch=watch) == alerts("data-slow")

    def test_the_first_epoch_may_take_its_time(self) -> None:
        assert told(ON_GPU, *readings(100, **SLOW)) == []
        assert told(ON_GPU, *readings(200, **SLOW)) == alerts("data-slow")

    @pytest.mark.parametrize(
        "change", [{"utilisation": 0.9}, {"data_wait": 0.1}, {"data_wait": NAN}, {"utilisation": NAN}]
    )
    def test_both_must_be_so(self, change: Any) -> None:
        assert told(ON_GPU, SECOND_EPOCH, *readings(100, **SLOW | change)) == []

    def test_half_minutes_that_lie_apart_do_not_add_up(self) -> None:
        apart = [reading for hour in range(5) for reading in readings(10, 3600.0 * hour, **SLOW)]
        assert told(ON_GPU, SECOND_EPOCH, *apart) == []

    def test_a_gpu_that_the_run_does_not_train_on_is_of_no_concern(self) -> None:
        full = readings(50, memory_used=79 * GIB, memory_total=80 * GIB)
        assert told(replace(ON_GPU, device="cuda:1 (H100)"), *full) != [], "the only one of that name"
        assert told(replace(ON_GPU, device="cpu (2 threads)"), *full) == []

    def test_full_gpu_memory_with_hysteresis(self) -> None:
        def at(share: float) -> list[Event]:
            return readings(3, memory_used=share * 80 * GIB, memory_total=80 * GIB)

        series = [*at(0.9), *at(0.96), *at(0.94), *at(0.96), *at(0.9), *at(0.94), *at(0.97)]
        assert told(ON_GPU, *series) == [(word, "gpu-memory") for word in AGAIN]

    def test_a_disk_without_room_for_three_checkpoints(self) -> None:
        def free(gib: float, total: float = 1000.0) -> list[Event]:
            return readings(3, disk_free=gib * GIB, disk_total=total * GIB)

        saved = CheckpointSaved(0.0, "LAST", "/x", 1, size=int(10 * GIB))
        assert told(ON_GPU, *free(25)) == [], "2 % of it"
        assert told(ON_GPU, saved, *free(29), *free(35), *free(29)) == alerts("disk")
        assert told(ON_GPU, saved, *free(29), *free(50), *free(29)) == [(word, "disk") for word in AGAIN]
        assert told(ON_GPU, *free(19)) == alerts("disk")
        assert told(ON_GPU, *free(50, total=100_000)) == [], "2 % of that are plenty"

    def test_nothing_known_is_nothing_told(self) -> None:
        assert told(ON_GPU, *readings(100), *(System(float(at)) for at in range(50))) == []


class TestResume:
    def test_what_still_holds_is_told_again_and_the_history_is_kept(self) -> None:
        watch = Watch()
        rows = epochs(*[{"loss": 6.2, "triplet": 0.3, "train_rank1": 0.02}] * 8)
        watch.remember(reduce(fold, [STARTED, *rows[:7]], RunState()))
        assert told(replace(STARTED, resumed_epoch=8), rows[7], watch=watch) == alerts("loss-flat")

    def test_epochs_that_come_again_count_once(self) -> None:
        watch = Watch()
        rows = epochs(*[{"loss": 6.2, "triplet": 0.3, "train_rank1": 0.02}] * 5)
        watch.remember(reduce(fold, [STARTED, *rows], RunState()))
        assert told(replace(STARTED, resumed_epoch=1), *rows, watch=watch) == []


class TestWatched:
    def test_an_alert_follows_what_it_is_about(self) -> None:
        heard: list[Event] = []
        listen = Watched(heard.append, Watch())
        events = losses([2.0] * 30 + [9.0, 2.0])
        for event in events:
            listen(event)
        assert [event for event in heard if isinstance(event, Progress)] == events
        assert [type(event) for event in heard[-4:]] == [Progress, Alert, Progress, Cleared]

    def test_rules_that_fail_end_no_run(self) -> None:
        class Broken(Watch):
            def see(self, event: Event) -> list[Event]:
                raise ZeroDivisionError("a rule")

        heard: list[Event] = []
        listen = Watched(heard.append, Broken())
        for event in (*losses([1.0, 2.0]), RunFinished(1.0, "finished", "", 1, 1.0)):
            listen(event)
        assert [type(event) for event in heard] == [Progress, LogLine, Progress, RunFinished]
        assert "ZeroDivisionError: a rule" in heard[1].text  # type: ignore[attr-defined]
