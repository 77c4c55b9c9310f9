"""The thread of a run and its queue: order, wake-ups, and every way in which the run can fail."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable

import pytest

from core.control import RunControl
from core.errors import DataError
from core.events import Alert, EpochFinished, EpochMetrics, Event, LogLine, RunFinished
from reid_tui.live_run import NICENESS, LiveRun

Emit = Callable[[Event], None]


def line(text: str) -> LogLine:
    return LogLine(0.0, "info", text)


def ended(live: LiveRun) -> list[Event]:
    live.begin()
    assert live.join(10)
    return live.take()


def quiet() -> None:
    """Nobody is woken."""


def test_events_come_in_order_and_wake_once_until_they_are_taken() -> None:
    wakes: list[int] = []

    def start(emit: Emit, control: RunControl) -> None:
        for number in range(1000):
            emit(line(str(number)))
        emit(RunFinished(0.0, "finished", "done", 1, 1.0))

    live = LiveRun(start, lambda: wakes.append(1))
    events = ended(live)
    assert [event.text for event in events if isinstance(event, LogLine)] == [str(number) for number in range(1000)]
    assert len(wakes) == 1
    live.emit(line("later"))
    assert len(wakes) == 2
    assert live.take() == [line("later")]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread has no priority of its own")
def test_the_screen_goes_before_the_training_where_both_want_a_core() -> None:
    nice: list[int] = []

    def start(emit: Emit, control: RunControl) -> None:
        nice.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    ended(LiveRun(start, quiet))
    assert nice == [min(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) + NICENESS, 19)]


def test_a_known_error_becomes_an_alert_and_the_end() -> None:
    def start(emit: Emit, control: RunControl) -> None:
        emit(EpochFinished(0.0, EpochMetrics(4)))
        raise DataError("No images", "put some into /data")

    *_, alert, finished = ended(LiveRun(start, quiet, now=lambda: 7.0))
    assert alert == Alert(7.0, "error", "No images", "put some into /data")
    assert isinstance(finished, RunFinished)
    assert (finished.reason, finished.epoch) == ("failed", 4)
    assert finished.message == "No images: put some into /data"


@pytest.mark.parametrize(
    "error", [RuntimeError("CUDA out of memory"), SystemExit("torch said so"), KeyboardInterrupt()]
)
def test_an_unknown_error_leaves_its_traceback_in_the_log(error: BaseException) -> None:
    def start(emit: Emit, control: RunControl) -> None:
        raise error

    events = ended(LiveRun(start, quiet))
    log = [event.text for event in events if isinstance(event, LogLine)]
    assert any("raise error" in text for text in log)
    assert any(isinstance(event, Alert) and event.title == type(error).__name__ for event in events)
    assert isinstance(events[-1], RunFinished)
    assert events[-1].reason == "failed"


def test_a_failure_that_the_run_has_told_is_not_told_again() -> None:
    told = RunFinished(0.0, "failed", "NaN loss", 2, 1.0)

    def start(emit: Emit, control: RunControl) -> None:
        emit(told)
        raise DataError("NaN loss", "lower the rate")

    assert ended(LiveRun(start, quiet)) == [told]


def test_a_run_that_ends_without_a_word_has_failed() -> None:
    live = LiveRun(lambda emit, control: None, quiet)
    assert isinstance(ended(live)[-1], RunFinished)
    assert live.finished is not None
    assert live.finished.reason == "failed"


def test_the_control_reaches_the_run_and_join_waits_for_it() -> None:
    def start(emit: Emit, control: RunControl) -> None:
        while not control.stopping_after_batch:
            time.sleep(0.001)
        emit(RunFinished(0.0, "stopped", control.reason, 0, 0.0))

    live = LiveRun(start, quiet)
    assert live.join(0)  # never began
    live.begin()
    assert live.alive
    assert not live.join(0.01)
    live.control.stop_after_batch("enough")
    assert live.join(10)
    assert [event.message for event in live.take() if isinstance(event, RunFinished)] == ["enough"]


def test_the_thread_outlives_a_screen_that_is_closed() -> None:
    live = LiveRun(lambda emit, control: None, quiet)
    live.begin()
    thread = next((each for each in threading.enumerate() if each.name == "training"), None)
    assert thread is None or not thread.daemon
    live.join()
