"""How long it takes from a key to what it does on the screen, while a run trains."""

from __future__ import annotations

import select
import time

from tests.benchmarks.live_screen import read_for, training_screen
from tests.benchmarks.row import Row
from tests.end_to_end.terminal import Terminal

BETWEEN = 0.06  # seconds between two presses: not in step with the redraws


def key_press_seconds(presses: int = 200) -> list[float]:
    """Of each press, from the key until its effect has reached the terminal, at 120x40 beside a run that trains.

    The keys open and close the help in turn. An open one covers the middle of the screen, and a terminal emulator says
    when it is there or gone. Waiting for the emulator is not counted: the time is that of the last bytes before it
    shows the effect.
    """
    with training_screen() as terminal:
        taken = []
        for press in range(presses):
            taken.append(_press(terminal, "?", shown=press % 2 == 0))
            read_for(terminal, BETWEEN + 0.013 * (press % 7))
        return taken


def _press(terminal: Terminal, key: str, *, shown: bool) -> float:
    terminal.read(0.0)
    began = time.perf_counter()
    terminal.press(key)
    while time.perf_counter() - began < 10:
        select.select([terminal.master], [], [], 0.05)
        arrived = time.perf_counter()
        terminal.read(0.0)
        if ("esc closes" in terminal.text) is shown:
            return arrived - began
    raise AssertionError(f"{key} has done nothing")


def rows() -> list[Row]:
    found = sorted(key_press_seconds())
    middle, last = (1000 * found[min(int(share * len(found)), len(found) - 1)] for share in (0.5, 0.99))
    what = f"{len(found)} key presses beside a run that trains, 120x40"
    return [Row(what, "until it is seen, 99 of 100", last, "ms", 50, detail=f"half of them within {middle:.1f} ms")]
