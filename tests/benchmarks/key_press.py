"""How long it takes from a key to what it does on the screen, beside the demo as it trains, at 120x40."""

from __future__ import annotations

import math
import os
import select
import time

from tests.benchmarks.live_screen import demo_run
from tests.benchmarks.row import Row
from tests.end_to_end.terminal import Terminal

PRESSES = 200  # of a kind
CURSOR, HELP, CLOSE = ("\x1b[C", "\x1b[D"), "?", "q"
HELP_SAYS = b"esc closes"


def rows() -> list[Row]:
    """With a thread of torch on each core, as it is without a GPU; and with a core to spare, as it is beside one."""
    cores = os.cpu_count() or 1
    return [row for threads in (cores, cores - 1) if threads for row in _rows(threads, cores)]


def _rows(threads: int, cores: int) -> list[Row]:
    found = []
    with demo_run(threads) as terminal:
        for what, times in (
            ("the cursor of the charts", cursor(terminal)),
            ("opening the help", opening_help(terminal)),
        ):
            half, nearly_all = (1000 * sorted(times)[math.ceil(share * len(times)) - 1] for share in (0.5, 0.99))
            name = f"key press beside the demo, {threads} of {cores} cores: {what}"
            detail = f"half of them within {half:.1f} ms, all within {1000 * max(times):.1f} ms"
            found.append(Row(name, f"99 % of {PRESSES} presses", nearly_all, "ms", 50, detail=detail))
    return found


def cursor(terminal: Terminal) -> list[float]:
    """Seconds of each press of a key that moves the cursor of the charts, until something is sent.

    One press in a hundred or two meets a redraw that would have come anyway, and seems quicker than it is.
    """
    taken = []
    for press in range(PRESSES):
        _read(terminal.master, 0.05 + 0.013 * (press % 7))  # not in step with the redraws
        taken.append(_press(terminal.master, CURSOR[press % 2], b""))
    return taken


def opening_help(terminal: Terminal) -> list[float]:
    """Seconds of each press of the key that opens the help, a dialog over most of the screen, until that is sent."""
    taken = []
    for press in range(PRESSES):
        _read(terminal.master, 0.1 + 0.013 * (press % 7))
        taken.append(_press(terminal.master, HELP, HELP_SAYS))
        _read(terminal.master, 0.15)
        terminal.press(CLOSE)
        _read(terminal.master, 0.2)
    return taken


def _press(master: int, key: str, says: bytes) -> float:
    """Without a terminal emulator, which would be slower than what is measured."""
    began = time.perf_counter()
    os.write(master, key.encode())
    sent = b""
    while not sent or says not in sent:
        if time.perf_counter() > began + 10:
            raise AssertionError(f"{key!r} has done nothing in 10 seconds")
        if select.select([master], [], [], 1)[0]:
            sent += os.read(master, 1 << 16)
    return time.perf_counter() - began


def _read(master: int, seconds: float) -> None:
    end = time.perf_counter() + seconds
    while (left := end - time.perf_counter()) > 0:
        if select.select([master], [], [], left)[0]:
            os.read(master, 1 << 16)
