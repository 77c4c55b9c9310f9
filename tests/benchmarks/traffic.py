"""How much a live run sends to its terminal, and what drawing it costs."""

from __future__ import annotations

from time import monotonic

from tests.benchmarks.live_screen import cpu_seconds, made_up_run, read_for
from tests.benchmarks.row import Row


def bytes_per_second(seconds: float = 20.0, low_bandwidth: bool = False) -> float:
    """Bytes that reach the terminal in a second of steady training, at 120x40 in truecolor.

    The run is made up, and speaks at the rate of the trainer: progress four times a second, gauges every two seconds,
    an epoch in twenty seconds. Its first epochs and the first drawing of everything are not counted.
    """
    return traffic_and_load(seconds, low_bandwidth)[0]


def traffic_and_load(seconds: float = 20.0, low_bandwidth: bool = False) -> tuple[float, float]:
    """The same, and the share of one core that the process of the screen uses meanwhile, on all its threads."""
    with made_up_run(low_bandwidth=low_bandwidth) as terminal:
        began, sent, used = monotonic(), len(terminal.received), cpu_seconds(terminal)
        read_for(terminal, seconds)
        took = monotonic() - began
        return (len(terminal.received) - sent) / took, (cpu_seconds(terminal) - used) / took


def rows() -> list[Row]:
    found = []
    for low_bandwidth, how in ((False, ""), (True, ", --low-bandwidth")):
        sent, used = traffic_and_load(low_bandwidth=low_bandwidth)
        what = f"steady training at 120x40{how}"
        found.append(Row(what, "bytes to the terminal", sent / 1000, "kB/s", 4))
        found.append(Row(what, "time of the processor for the screen", 100 * used, "% of a core", None))
    return found
