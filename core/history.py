"""What a run has said so far, as a state, without reading all of its events: `events.state`, and the events after it.

torch is not needed for it.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from core.event_file import EventFile
from core.run_state import RunState, fold
from core.state_file import read_state, write_state

KEEP_EVERY = 1 << 20  # bytes of events, some 4000 of them, that are read again each time; they take 0.05 s


class History:
    """Reads the past of a run and, after it, what the run goes on to say.

    Args:
        folder: the run folder; it may be empty yet.

    Attributes:
        state: what the events that were read so far come to.
        events: gives those that come after them.

    Raises:
        OSError: the event file is there and cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        stored = read_state(folder)
        self.state = stored.state if stored else RunState()
        self._kept = stored.position if stored else 0
        self._size = stored.size if stored else 0
        self.events = EventFile(folder / "events.jsonl", self._kept)

    def read(self) -> bool:
        """Take in the next events, of about a megabyte; False: that was all for now.

        Raises:
            OSError: the event file is there and cannot be read.
        """
        events = self.events.read()
        for event in events:
            fold(self.state, event)
        return bool(events)

    @property
    def unread(self) -> int:
        """Bytes of events that are there and were not read yet.

        Raises:
            OSError: they cannot be looked at.
        """
        try:
            return (self._folder / "events.jsonl").stat().st_size - self.events.position
        except FileNotFoundError:
            return 0

    def keep(self) -> None:
        """Write the state beside the events, if enough of them came after the one that is there."""
        position = self.events.position
        if position - self._kept >= self.keep_every:
            # A cache: without it (disk full, somebody else's folder) the events are read again, and that is all.
            with suppress(OSError):
                self._size = write_state(self._folder, self.state, position)
                self._kept = position

    @property
    def keep_every(self) -> int:
        """Bytes of events after which the state is written anew; more where it is large, for it is written whole."""
        return max(KEEP_EVERY, self._size // 4)


def read_history(folder: Path) -> History:
    """All that a run has said so far; what took long to read is kept for the next time.

    Raises:
        OSError: the event file is there and cannot be read.
    """
    history = History(folder)
    while history.read():
        pass
    history.keep()
    return history
