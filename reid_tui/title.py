"""The title of the terminal's window, and the progress in its tab or task bar: what to write, and to which terminals.

A terminal that does not know a sequence may print it, or take it for a notification; such a one gets none.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from core.printable import clean
from core.run_state import RunState
from reid_tui.text import percent

LONGEST = 120
_TITLED = re.compile(
    r"xterm|rxvt|screen|tmux|alacritty|foot|kitty|ghostty|wezterm|konsole|gnome|vte|st(-|$)|contour|mintty|iterm"
)
CLEARED, RUNNING, FAILED, UNKNOWN = 0, 1, 2, 3  # states of OSC 9;4
Progress = tuple[int, int]  # state, percent


@dataclass(frozen=True)
class Knows:
    """What a terminal is known to understand."""

    title: bool = False  # OSC 2, and the stack of titles
    window_name: bool = False  # ESC k: the name of a window of tmux or screen
    progress: bool = False  # OSC 9;4


def knows(environ: Mapping[str, str]) -> Knows:
    """From what the environment tells; over SSH that is little more than TERM."""
    term = environ.get("TERM", "")
    if not _TITLED.match(term):
        return Knows()
    inside = bool(environ.get("TMUX") or environ.get("STY")) or term.startswith("tmux")
    multiplexed = inside or term.startswith("screen")
    return Knows(title=True, window_name=inside, progress=not multiplexed and _shows_progress(term, environ))


def _shows_progress(term: str, environ: Mapping[str, str]) -> bool:
    """Elsewhere OSC 9 is a notification, once a second."""
    if term == "xterm-ghostty" or environ.get("TERM_PROGRAM") in {"ghostty", "vscode", "mintty"}:
        return True
    if environ.get("WT_SESSION") or environ.get("ConEmuANSI") == "ON":
        return True
    vte = environ.get("VTE_VERSION", "")
    return vte.isdecimal() and int(vte) >= 8000


def title_of(state: RunState, name: str) -> str:
    """ "reid-tui · demo · epoch 3/12 · R-1 83.0"."""
    started, best = state.started, state.best
    parts = ["reid-tui", started.name if started else name]
    if state.finished is not None:
        parts.append(state.finished.reason)
    elif started is not None:
        done = state.epochs[-1].epoch if state.epochs else 0
        current = max(done, state.progress.epoch if state.progress else 0)
        parts.append(f"epoch {current}/{started.epochs}" + (" paused" if state.paused else ""))
    if best is not None and not math.isnan(best.rank1):
        parts.append(f"R-1 {percent(best.rank1)}")
    return clean(" · ".join(part for part in parts if part))[:LONGEST]


def progress_of(state: RunState) -> Progress:
    if state.finished is not None:
        return (FAILED, 100) if state.finished.reason in {"failed", "crashed"} else (CLEARED, 0)
    if state.started is None or not state.started.epochs:
        return UNKNOWN, 0
    return RUNNING, min(max(round(100 * state.epochs_done / state.started.epochs), 0), 100)


def opening(terminal: Knows) -> str:
    """Keep the title that was there."""
    return "\x1b[22;2t" if terminal.title else ""


def closing(terminal: Knows) -> str:
    """Give it back, and clear what else was written. An empty name of a window is tmux' word for its own choice."""
    parts = ["\x1b]9;4;0;0\x1b\\"] * terminal.progress
    parts += ["\x1bk\x1b\\"] * terminal.window_name
    parts += ["\x1b]2;\x1b\\\x1b[23;2t"] * terminal.title
    return "".join(parts)


class Announcer:
    """Says only what is new."""

    def __init__(self, terminal: Knows) -> None:
        self._terminal = terminal
        self._title = ""
        self._progress: Progress = (CLEARED, 0)

    def update(self, title: str, progress: Progress) -> str:
        """What to write to the terminal; empty where nothing is new or it would not understand."""
        parts = []
        if title != self._title:
            self._title = title
            parts += [f"\x1b]2;{title}\x1b\\"] * self._terminal.title
            parts += [f"\x1bk{title}\x1b\\"] * self._terminal.window_name
        if progress != self._progress:
            self._progress = progress
            parts += [f"\x1b]9;4;{progress[0]};{progress[1]}\x1b\\"] * self._terminal.progress
        return "".join(parts)
