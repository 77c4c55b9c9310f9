"""What a run can be told, from any thread."""

from __future__ import annotations

import threading

from core.control import RunControl


def waits(control):
    thread = threading.Thread(target=control.wait_while_paused, daemon=True)
    thread.start()
    thread.join(0.05)
    return thread


def test_a_pause_ends_by_going_on_by_stopping_or_for_a_checkpoint():
    for wish in ("resume", "stop_after_batch", "stop_after_epoch", "checkpoint"):
        control = RunControl()
        control.pause()
        thread = waits(control)
        assert thread.is_alive()
        getattr(control, wish)()
        thread.join(2)
        assert not thread.is_alive(), wish


def test_a_wish_for_a_checkpoint_is_taken_once():
    control = RunControl()
    control.checkpoint()
    control.checkpoint()
    assert [control.take_checkpoint(), control.take_checkpoint()] == [True, False]


def test_the_strongest_stop_wins_and_the_first_reason_stands():
    control = RunControl()
    control.stop_after_batch("by a signal")
    control.stop_after_epoch("by hand")
    assert control.stopping_after_batch
    assert control.reason == "by a signal"


def test_a_run_that_stops_cannot_be_paused():
    control = RunControl()
    control.stop_after_epoch()
    control.pause()
    assert not control.paused
