"""A run in another process, or one that has ended: its event file is followed, its control socket is told.

Any number of screens may follow a run. None of them holds anything that the run would miss.
"""

from __future__ import annotations

import math
import queue
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from core.control import RunControl
from core.control_socket import ask
from core.errors import ReidError
from core.events import NAN, Alert, EpochFinished, Event, LogLine, Paused, RunFinished, RunStarted, Stopping
from core.history import History
from core.run_lock import is_live, is_waiting
from core.run_state import Past, RunState
from reid_tui.event_queue import EventQueue
from reid_tui.text import resume_command

FOLLOW_SECONDS = 0.25
LONG = 16 * 2**20  # bytes of events that take more than a second


class RemoteControl(RunControl):
    """Passes wishes on, and knows what the run has said of those of others.

    Args:
        tell: gets each wish as a request for the control socket.
    """

    def __init__(self, tell: Callable[[dict[str, str]], None]) -> None:
        super().__init__()
        self._tell = tell
        self._heard = (False, False, False)  # paused, stopping after the batch, after the epoch

    def stop_after_batch(self, reason: str = "") -> None:
        super().stop_after_batch(reason)
        self._tell({"do": "stop", "after": "batch"})

    def stop_after_epoch(self, reason: str = "") -> None:
        super().stop_after_epoch(reason)
        self._tell({"do": "stop", "after": "epoch"})

    def checkpoint(self) -> None:
        self._tell({"do": "checkpoint"})

    def pause(self) -> None:
        super().pause()
        if self.paused:
            self._tell({"do": "pause"})

    def resume(self) -> None:
        super().resume()
        self._tell({"do": "continue"})

    def forget(self) -> None:
        """A wish has not reached the run: what it said last is still true."""
        self._paused, self._stop_after_batch, self._stop_after_epoch = self._heard

    def hear_past(self, state: RunState) -> None:
        """What the run has said before it was listened to."""
        stopping = None if state.finished else state.stopping
        self._heard = (state.paused and not stopping, stopping == "batch", stopping is not None)
        self.forget()

    def hear(self, event: Event) -> None:
        """What the run says is true, whoever wished for it."""
        match event:
            case RunStarted() | RunFinished():
                self._heard = (False, False, False)
            case Paused():
                self._heard = (event.paused, *self._heard[1:])
            case Stopping():
                self._heard = (False, event.after == "batch", True)
            case _:
                return
        self.forget()


class AttachedRun:
    """Follows a run folder from a thread of its own: what it has said so far as `Past`, then one event after another.

    Args:
        folder: the run folder.
        on_events: as of `EventQueue`.
        process: the one that trains, where this process has started it and must see it off.
    """

    attached = True

    def __init__(
        self, folder: Path, on_events: Callable[[], None], process: subprocess.Popen[bytes] | None = None
    ) -> None:
        self.folder = folder
        self._wishes: queue.Queue[dict[str, str] | None] = queue.Queue()  # None: no more of them
        self._remote = RemoteControl(self._wishes.put)
        self.control: RunControl = self._remote
        self._on_events = on_events
        self._queue = EventQueue(on_events)
        self._process = process
        self._history: History | None = None  # None: nothing was read yet
        self._caught_up = False  # the past was told
        self._left = threading.Event()
        self._alive = True
        self._waiting = False
        self._built = False
        self._epoch = 0
        self._began = NAN
        self._heard_at = NAN  # time of the newest event
        self._finished: RunFinished | None = None
        self._read_error = ""
        # A daemon: nothing is lost with it.
        self._thread = threading.Thread(target=self._follow, name="attached-run", daemon=True)

    def begin(self) -> None:
        self._thread.start()

    def leave(self) -> None:
        """Wishes so far are passed on still; then the thread ends. What is known of the run stays as it is."""
        self._wishes.put(None)
        self._left.set()

    @property
    def alive(self) -> bool:
        return self._alive

    @property
    def waiting(self) -> bool:
        return self._waiting

    @property
    def built(self) -> bool:
        return self._built

    @property
    def finished(self) -> RunFinished | None:
        return self._finished

    def take(self) -> list[Event]:
        return self._queue.take()

    def emit(self, event: Event) -> None:
        self._queue.put(event)

    def _follow(self) -> None:
        while True:
            try:
                self._look()
            except OSError as error:
                self._alive = False
                if str(error) != self._read_error:  # said once, tried again and again
                    self._read_error = str(error)
                    self.emit(Alert(time.time(), "error", "The run folder cannot be read", str(error)))
            try:
                wish = self._wishes.get(timeout=FOLLOW_SECONDS)
            except queue.Empty:
                continue
            if wish is None:
                return
            self._pass_on(wish)

    def _look(self) -> None:
        if self._process is not None:
            self._process.poll()
        alive = is_live(self.folder)  # before the file: a run says its last word, and lets go of its folder then
        if self._history is None:
            self._history = History(self.folder)
        if not self._caught_up:
            self._catch_up(self._history)
        while events := self._history.events.read():
            for event in events:
                self._hear(event)
        waiting = alive and is_waiting(self.folder)
        self._alive, before, self._waiting = alive, self._waiting, waiting
        if waiting != before:
            self._on_events()
        if not alive and self._finished is None:
            self._hear(self._crashed())

    def _catch_up(self, history: History) -> None:
        if (size := history.unread) > LONG:
            words = f"reading {size / 1e6:.0f} MB of events; what they come to is kept for the next time"
            self.emit(LogLine(time.time(), "info", words))
        while history.read():
            if self._left.is_set():  # a long run that was never read before takes its time
                return
        history.keep()
        self._caught_up = True
        state = history.state
        if math.isnan(state.now):
            return  # it has not said anything
        self._remote.hear_past(state)
        self._built, self._finished, self._heard_at = state.started is not None, state.finished, state.now
        self._began = state.started.time if state.started else NAN
        self._epoch = state.epochs[-1].epoch if state.epochs else 0
        self.emit(Past(state.now, state))

    def _hear(self, event: Event) -> None:
        self._remote.hear(event)
        self._heard_at = event.time
        if isinstance(event, RunStarted):
            self._built, self._finished, self._began = True, None, event.time
        elif isinstance(event, EpochFinished):
            self._epoch = event.metrics.epoch
        elif isinstance(event, RunFinished):
            self._finished = event
        self.emit(event)

    def _crashed(self) -> RunFinished:
        when = time.time() if math.isnan(self._heard_at) else self._heard_at
        message = f"its process is gone without a last word; go on with: {resume_command(str(self.folder))}"
        return RunFinished(when, "crashed", message, self._epoch, when - self._began, folder=str(self.folder))

    def _pass_on(self, wish: dict[str, str]) -> None:
        try:
            ask(self.folder, **wish)
        except ReidError as error:
            self._remote.forget()
            self.emit(Alert(time.time(), "error", error.title, error.message))
