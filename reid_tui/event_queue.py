"""The queue between whoever hears a run and the screen that draws it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol

from core.control import RunControl
from core.events import Event, RunFinished


class EventQueue:
    """Whoever puts never waits for the screen; the screen empties the queue when it is about to draw.

    Args:
        on_events: called by whoever puts, when the queue is no longer empty, and not again before `take`.
    """

    def __init__(self, on_events: Callable[[], None]) -> None:
        self._on_events = on_events
        self._lock = threading.Lock()
        self._queue: deque[Event] = deque()
        self._poked = False

    def put(self, event: Event) -> None:
        """Append an event, from any thread."""
        with self._lock:
            self._queue.append(event)
            poke, self._poked = not self._poked, True
        if poke:
            self._on_events()

    def take(self) -> list[Event]:
        """All events since the last call, in order."""
        with self._lock:
            events = list(self._queue)
            self._queue.clear()
            self._poked = False
        return events


class Run(Protocol):
    """A run as a screen has it: one in a thread of this process, or one in another process."""

    attached: bool  # in another process: it goes on when the screen is left
    control: RunControl

    def begin(self) -> None:
        """Start it, or begin to listen to it."""

    def leave(self) -> None:
        """The screen is gone: a run of this process goes on as it is, one in another is followed no more."""

    def take(self) -> list[Event]:
        """What it has said since the last call."""

    def emit(self, event: Event) -> None:
        """Put in a word of one's own, for the screen."""

    @property
    def alive(self) -> bool:
        """Whether it is at work, be it only with closing its files."""

    @property
    def waiting(self) -> bool:
        """Whether its process works on other runs first."""

    @property
    def built(self) -> bool:
        """Whether training has begun; before that there is nothing to save, and the run looks at no wishes."""

    @property
    def finished(self) -> RunFinished | None:
        """Its last event, once it was said."""
