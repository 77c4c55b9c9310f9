"""Lets the app begin the next run of the queue when the last one is over and its thread is done."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from textual.timer import Timer

from reid_tui.run_queue import PAUSE_SECONDS, QueuedRun, RunQueue

if TYPE_CHECKING:
    from core.run_state import RunState
    from reid_tui.app import ReidApp

TICK_SECONDS = 0.5
BUSY_SECONDS = 60.0  # so long another screen (help, a picker) is left in peace; a queue must not wait for ever


class QueueRunner:
    """The clock of the queue. Everything happens in the thread of the app.

    Args:
        app: shows the runs.
        queue: what it works through.
    """

    def __init__(self, app: ReidApp, queue: RunQueue) -> None:
        self._app = app
        self.queue = queue
        self.pause = PAUSE_SECONDS
        self._ended_at = 0.0
        self._timer: Timer | None = None

    def run_ended(self, state: RunState) -> None:
        """The run on the screen has said its last word."""
        if self.queue.running is None:
            return
        self.queue.end(state)
        self._ended_at = time.monotonic()
        self.queue.count_down(self._ended_at, self.pause)
        self.changed()

    def added(self) -> None:
        """A run was put into the queue. After the end of one it begins by itself; before the first run it waits."""
        now = time.monotonic()
        over = self.queue.running is None and bool(self.queue.ended) and self._app.on_a_run
        if over and not self.queue.held and self.queue.seconds_left(now) is None:
            self.queue.count_down(now, self.pause)
        self.changed()

    def toggle_hold(self) -> None:
        """Hold the queue, or let it go on."""
        if not self.queue.waiting:
            return
        if self.queue.held:
            self.queue.go_on(time.monotonic())
        else:
            self.queue.hold()
        self.changed()

    def hold_for_now(self) -> None:
        """Until a run is begun by hand; a hold of the person's own stays what it is."""
        if self.queue.waiting:
            self.queue.hold(for_now=True)
            self.changed()

    def changed(self) -> None:
        """Show how the queue stands, and keep the clock going while something is due."""
        now = time.monotonic()
        self._app.show_queue(now)
        due = self.queue.seconds_left(now) is not None
        if due and self._timer is None:
            self._timer = self._app.set_interval(TICK_SECONDS, self._tick)
        elif not due and self._timer is not None:
            self._timer.stop()
            self._timer = None

    def _tick(self) -> None:
        from reid_tui.screens.queue import QueueScreen  # not before the first frame

        now = time.monotonic()
        resting = (self._app.dashboard, *([] if self._app.on_a_run else [self._app.screen]))
        busy = self._app.screen not in resting and not isinstance(self._app.screen, QueueScreen)
        if self.queue.seconds_left(now) == 0 and self.at_rest and not (busy and now < self._ended_at + BUSY_SECONDS):
            self.begin(self.queue.waiting[0])
        else:
            self.changed()

    @property
    def at_rest(self) -> bool:
        """Whether no run is at work, be it only with closing its files."""
        live = self._app.live_run
        return self.queue.running is None and (live is None or not live.alive)

    def begin(self, run: QueuedRun) -> None:
        """Begin a run that waits; where it cannot be started, the queue goes on without it."""
        self.queue.begin(run)
        if error := self._app.show_next(run):
            run.standing, run.message = "failed", error
            self._ended_at = time.monotonic()
            self.queue.count_down(self._ended_at, self.pause)
        self.changed()
