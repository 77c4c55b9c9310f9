"""The terminal's bell and its desktop notifications: the end of a run, and alerts, for who looks elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from core.events import Alert, Event, RunFinished
from core.printable import clean

VARIABLE = "REID_TUI_NOTIFY"
WAYS = ("bell", "osc9", "osc777")
LONGEST = 160  # characters; notifications are short
RECENT = 60.0  # seconds: what happened before is history that is being read
QUIET = 10.0  # seconds between two notifications of alerts; the end of the run is always told
BELL = "\a"
_ESC, _ST = "\x1b", "\x1b\\"


def ways_of(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The ways that `REID_TUI_NOTIFY` names, "bell,osc9" say; none for "off", and where it is not set."""
    words = {word.strip().lower() for word in environ.get(VARIABLE, "").split(",")}
    return () if "off" in words else tuple(way for way in WAYS if way in words)


def sequence(title: str, body: str, ways: Collection[str], *, tmux: bool) -> str:
    """The bytes for a terminal. tmux hands OSC on only when wrapped (and with `allow-passthrough`); the bell it knows.

    Args:
        title: of the notification.
        body: its text.
        ways: of `WAYS`.
        tmux: whether tmux is between here and the terminal.
    """
    title, body = _harmless(title), _harmless(body)
    parts = []
    if "osc9" in ways:
        parts.append(f"{_ESC}]9;{title}: {body}{_ST}")
    if "osc777" in ways:
        parts.append(f"{_ESC}]777;notify;{title};{body}{_ST}")
    if tmux:
        parts = [f"{_ESC}Ptmux;{part.replace(_ESC, _ESC + _ESC)}{_ST}" for part in parts]
    return "".join(parts) + (BELL if "bell" in ways else "")


def _harmless(text: str) -> str:
    """Nothing that ends a sequence early, or starts a field of it: a semicolon does."""
    return " ".join(clean(line) for line in text.splitlines()).replace(";", ",")[:LONGEST]


class Notifier:
    """Picks what is worth a notification.

    Args:
        environ: holds `REID_TUI_NOTIFY` and, in tmux, `TMUX`.
        write: to the terminal.
        now: the wall clock, in seconds since the epoch.
    """

    def __init__(self, environ: Mapping[str, str], write: Callable[[str], None], now: Callable[[], float]) -> None:
        self._ways = ways_of(environ)
        self.on = bool(self._ways)
        self._tmux = bool(environ.get("TMUX"))
        self._write = write
        self._now = now
        self._told_at = float("-inf")

    def toggle(self) -> str:
        """On or off; in words."""
        self.on = not self.on
        self._ways = self._ways or ("bell",)
        return f"notifications: {', '.join(self._ways)}" if self.on else "notifications off"

    def hear(self, run: str, events: Iterable[Event]) -> None:
        """Tell of the newest thing among these events that is worth it, once."""
        now = self._now()
        fresh = [event for event in events if now - event.time < RECENT]
        ends = [event for event in fresh if isinstance(event, RunFinished)]
        alerts = [event for event in fresh if isinstance(event, Alert) and event.level != "info"]
        if not self.on or not (ends or alerts):
            return
        if ends:
            body = f"{_ENDS[ends[-1].reason]}: {ends[-1].message}"
        elif now - self._told_at < QUIET:
            return
        else:
            body = f"{alerts[-1].title}: {alerts[-1].message}"
        self._told_at = now
        self._write(sequence(f"reid-tui {run}", body, self._ways, tmux=self._tmux))


_ENDS = {
    "finished": "Finished",
    "early-stop": "Stopped early",
    "stopped": "Stopped",
    "failed": "Failed",
    "crashed": "Crashed",
}
