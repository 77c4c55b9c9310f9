"""The event file of a run, read as it grows."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from core.events import Event, from_json

_CHUNK = 1 << 20  # bytes


class EventFile:
    """Gives the events that were appended since it was last asked; a line without its end waits for it.

    Args:
        path: `events.jsonl`; it need not be there yet.
        position: where to begin: the first byte of a line.
    """

    def __init__(self, path: Path, position: int = 0) -> None:
        self._path = path
        self._position = position
        self._rest = b""

    @property
    def position(self) -> int:
        """Where the first line begins whose event was not given yet."""
        return self._position - len(self._rest)

    def read(self) -> list[Event]:
        """The next events, of about a megabyte; none: that was all for now. Lines that are no events are left out.

        Raises:
            OSError: the file is there and cannot be read.
        """
        events: list[Event] = []
        try:
            with self._path.open("rb") as file:
                file.seek(self._position)
                while not events and (data := file.read(_CHUNK)):  # a megabyte may be damaged from end to end
                    events = self._events(data)
        except FileNotFoundError:
            pass
        return events

    def _events(self, data: bytes) -> list[Event]:
        self._position += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        events: list[Event] = []
        for line in lines:
            with suppress(ValueError):
                events.append(from_json(line.decode(errors="replace")))
        return events
