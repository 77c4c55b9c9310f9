"""A run in a thread of this process. The thread never waits for the screen."""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress

from core.control import RunControl
from core.errors import ReidError
from core.events import Alert, CheckpointSaved, EpochFinished, Event, LogLine, RunFinished, RunStarted
from core.run_state import Past
from reid_tui.event_queue import EventQueue

Emit = Callable[[Event], None]
Start = Callable[[Emit, RunControl], object]

# Where training takes all cores, a key waits for one of them. With two steps less of priority for the thread that
# trains, and for those of torch that it starts, the screen waits half as long, and training loses nothing by it.
NICENESS = 2


class LiveRun:
    """Owns the training thread, its control and the events that nobody has taken yet.

    The thread is no daemon: a checkpoint that is being written is written to its end, whatever happens to the screen.

    Args:
        start: the whole run; called in the thread with `emit` and the control.
        on_events: as of `EventQueue`.
        now: the clock for events that are made here.
    """

    attached = False
    waiting = False

    def __init__(self, start: Start, on_events: Callable[[], None], now: Callable[[], float] = time.time) -> None:
        self.control = RunControl()
        self._start = start
        self._queue = EventQueue(on_events)
        self._now = now
        self._began = now()
        self._epoch = 0
        self._checkpoints: dict[str, None] = {}  # each once
        self._built = False
        self._finished: RunFinished | None = None
        self._thread = threading.Thread(target=self._run, name="training", daemon=False)

    def begin(self) -> None:
        """Start the thread."""
        self._began = self._now()
        self._thread.start()

    def leave(self) -> None:
        """Nothing changes: whoever closes the screen sees the thread to its end."""

    @property
    def alive(self) -> bool:
        """Whether the thread is at work, be it only with closing its files."""
        return self._thread.is_alive()

    @property
    def built(self) -> bool:
        """Whether training has begun; before that there is nothing to save, and the run looks at no wishes."""
        return self._built

    @property
    def finished(self) -> RunFinished | None:
        """The last event of the run, once it was emitted."""
        return self._finished

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the thread; True if it has ended (or never began)."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def emit(self, event: Event) -> None:
        """Append an event, from any thread."""
        match event:
            case EpochFinished(metrics=metrics):
                self._epoch = metrics.epoch
            case Past(state=state):
                self._epoch = state.epochs[-1].epoch if state.epochs else 0
            case CheckpointSaved(path=path):
                self._checkpoints[path] = None
            case RunStarted():
                self._built = True
            case RunFinished():
                self._finished = event
        self._queue.put(event)

    def take(self) -> list[Event]:
        """All events since the last call, in order."""
        return self._queue.take()

    def _run(self) -> None:
        if sys.platform == "linux":  # elsewhere a priority belongs to the process, the screen's too
            with suppress(OSError):
                thread = threading.get_native_id()
                os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + NICENESS)
        try:
            self._start(self.emit, self.control)
        except ReidError as error:
            self._failed(error.title, error.message)
        # Whatever ends the thread is shown on the screen: a thread has no terminal to print a traceback to.
        except BaseException as error:  # noqa: BLE001
            for line in traceback.format_exc().splitlines():
                self.emit(LogLine(self._now(), "error", line))
            self._failed(type(error).__name__, str(error) or "no message; the traceback is in the log")
        else:
            if self._finished is None:
                self._failed("The run ended early", "it did not say why; the log may tell")

    def _failed(self, title: str, message: str) -> None:
        """Say that the run failed, unless it has said so itself."""
        now = self._now()
        if self._finished is None or self._finished.reason != "failed":
            self.emit(Alert(now, "error", title, message))
        if self._finished is None:
            seconds = now - self._began
            self.emit(RunFinished(now, "failed", f"{title}: {message}", self._epoch, seconds, tuple(self._checkpoints)))
