"""A run in another process, or one that has ended: its event file is followed, its control socket is told.

Any number of screens may follow a run. None of them holds anything that the run would miss.
"""

from __future__ import annotations

import queue
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from core.control import RunControl
from core.control_socket import ask
from core.errors import ReidError
from core.event_file import EventFile
from core.events import NAN, Alert, EpochFinished, Event, Paused, RunFinished, RunStarted, Stopping
from core.run_lock import is_live
from reid_tui.event_queue import EventQueue

FOLLOW_SECONDS = 0.25


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
    """Follows a run folder from a thread of its own, from the first event on.

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
        self._queue = EventQueue(on_events)
        self._process = process
        self._events = EventFile(folder / "events.jsonl")
        self._alive = True
        self._built = False
        self._epoch = 0
        self._began = NAN
        self._finished: RunFinished | None = None
        self._read_error = ""
        # A daemon: nothing is lost with it.
        self._thread = threading.Thread(target=self._follow, name="attached-run", daemon=True)

    def begin(self) -> None:
        self._thread.start()

    def leave(self) -> None:
        """Wishes so far are passed on still; then the thread ends. What is known of the run stays as it is."""
        self._wishes.put(None)

    @property
    def alive(self) -> bool:
        return self._alive

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
        while events := self._events.read():
            for event in events:
                self._hear(event)
        self._alive = alive
        if not alive and self._finished is None:
            self._hear(self._crashed())

    def _hear(self, event: Event) -> None:
        self._remote.hear(event)
        if isinstance(event, RunStarted):
            self._built, self._finished, self._began = True, None, event.time
        elif isinstance(event, EpochFinished):
            self._epoch = event.metrics.epoch
        elif isinstance(event, RunFinished):
            self._finished = event
        self.emit(event)

    def _crashed(self) -> RunFinished:
        try:
            when = (self.folder / "events.jsonl").stat().st_mtime
        except OSError:
            when = time.time()
        message = f"its process is gone without a last word; go on with: reid-tui resume {self.folder.name}"
        return RunFinished(when, "crashed", message, self._epoch, when - self._began, folder=str(self.folder))

    def _pass_on(self, wish: dict[str, str]) -> None:
        try:
            ask(self.folder, **wish)
        except ReidError as error:
            self._remote.forget()
            self.emit(Alert(time.time(), "error", error.title, error.message))
