"""How long it takes from a key to what it does on the screen, beside a made-up run that speaks as one that trains."""

from __future__ import annotations

import os
import select
import time

from tests.benchmarks.live_screen import training_screen
from tests.benchmarks.row import Row

CURSOR, HELP, ESCAPE = ("\x1b[C", "\x1b[D"), "?", "\x1b"
HELP_SAYS = b"esc closes"


def cursor_seconds(presses: int = 200) -> list[float]:
    """Of each press of a key that moves the cursor of the charts, until something is sent, at 120x40.

    One press in a hundred or two meets a redraw that would have come anyway, and seems quicker than it is.
    """
    with training_screen() as terminal:
        taken = []
        for press in range(presses):
            _read(terminal.master, 0.05 + 0.013 * (press % 7))  # not in step with the redraws
            taken.append(_press(terminal.master, CURSOR[press % 2], b""))
        return taken


def help_seconds(presses: int = 100) -> list[float]:
    """Of each press of the key that opens the help, a dialog over most of the screen, until it has been sent."""
    with training_screen() as terminal:
        taken = []
        for press in range(presses):
            _read(terminal.master, 0.1 + 0.013 * (press % 7))
            taken.append(_press(terminal.master, HELP, HELP_SAYS))
            _read(terminal.master, 0.15)
            terminal.press(ESCAPE)
            _read(terminal.master, 0.3)
        return taken


def _press(master: int, key: str, says: bytes) -> float:
    """Without a terminal emulator, which would be slower than what is measured."""
    began = time.perf_counter()
    os.write(master, key.encode())
    sent = b""
    while not sent or says not in sent:
        if not select.select([master], [], [], 10)[0]:
            raise AssertionError(f"{key!r} has done nothing")
        sent += os.read(master, 1 << 16)
    return time.perf_counter() - began


def _read(master: int, seconds: float) -> None:
    end = time.perf_counter() + seconds
    while (left := end - time.perf_counter()) > 0:
        if select.select([master], [], [], left)[0]:
            os.read(master, 1 << 16)


def rows() -> list[Row]:
    found = []
    for what, times in (("the cursor of the charts", cursor_seconds()), ("opening the help", help_seconds())):
        half, most = (1000 * sorted(times)[int(share * len(times))] for share in (0.5, 0.99))
        name = f"key press beside a made-up run, 120x40: {what}"
        found.append(Row(name, "99 of 100 presses", most, "ms", 50, detail=f"half of them within {half:.1f} ms"))
    return found
