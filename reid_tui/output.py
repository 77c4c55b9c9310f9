"""Text that other code writes straight to descriptors 1 and 2, caught while the screen owns the terminal.

C libraries, child processes and loggers made earlier write there, not to `sys.stdout`. A pipe takes the place of both
descriptors, and a thread of its own empties it, so that nobody who writes ever waits for the screen.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import selectors
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO

from core.printable import clean
from reid_tui.text import plural

LINES_PER_SECOND = 200
LONGEST_LINE = 2000
IDLE_SECONDS = 0.2
_ENDS = re.compile(r"\r\n|[\r\n]")


class OutputLines:
    """Cuts a stream of text into clean lines, and lets no more than a bounded number of them through.

    A carriage return ends a line as well, so that progress bars can be read. No clock inside: `now` is in seconds.
    """

    def __init__(self, lines_per_second: int = LINES_PER_SECOND) -> None:
        self._most = lines_per_second
        self._rest = ""
        self._window = float("-inf")
        self._let_through = 0
        self._left_out = 0

    def feed(self, text: str, now: float) -> list[str]:
        """Take more text; gives the lines that it completes."""
        *lines, self._rest = _ENDS.split(self._rest + text)
        while len(self._rest) > LONGEST_LINE:
            lines.append(self._rest[:LONGEST_LINE])
            self._rest = self._rest[LONGEST_LINE:]
        return self._bounded(lines, now)

    def flush(self, now: float) -> list[str]:
        """Nothing has come for a while: gives the line that was not ended, too, and what is to be said of others."""
        line, self._rest = self._rest, ""
        return self._bounded([line], now)

    def _bounded(self, lines: list[str], now: float) -> list[str]:
        passed: list[str] = []
        if now >= self._window + 1:
            if self._left_out:
                passed.append(f"… {plural(self._left_out, 'line')} of output left out")
            self._window, self._let_through, self._left_out = now, 0, 0
        for line in lines:
            shown = clean(line[:LONGEST_LINE]).rstrip()
            if not shown:
                continue
            if self._let_through < self._most:
                self._let_through += 1
                passed.append(shown)
            else:
                self._left_out += 1
        return passed


class DescriptorCapture:
    """Descriptors 1 and 2 as a pipe between `start` and `stop`; both may be called again and again.

    Args:
        on_lines: called in the reading thread with the lines that were written.
    """

    def __init__(self, on_lines: Callable[[list[str]], None]) -> None:
        self._on_lines = on_lines
        self._saved: tuple[int, int] | None = None
        self._reader: threading.Thread | None = None
        self._stopped = threading.Event()

    @property
    def active(self) -> bool:
        return self._saved is not None

    def start(self) -> None:
        if self._saved is not None:
            return
        _flush()
        self._saved = os.dup(1), os.dup(2)
        source, sink = os.pipe()
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        os.close(sink)
        self._stopped = threading.Event()
        self._reader = threading.Thread(
            target=self._read, args=(source, self._stopped), name="captured-output", daemon=True
        )
        self._reader.start()

    def stop(self, *, terminal_lost: bool = False, log_file: Path | None = None) -> None:
        """Give both descriptors back.

        Args:
            terminal_lost: the terminal is gone. Writing to it would raise in whoever prints, the training for one;
                both descriptors are then led to the log file.
            log_file: that file; None, or one that cannot be written: nowhere.
        """
        if self._saved is None:
            return
        _flush()
        if terminal_lost:
            lead_away((1, 2), log_file)
        for number, saved in enumerate(self._saved, 1):
            if not terminal_lost:
                os.dup2(saved, number)
            os.close(saved)
        self._saved = None
        self._stopped.set()
        if self._reader is not None:
            # It ends at once unless a child process still holds the pipe; then it goes on as that child's outlet.
            self._reader.join(2 * IDLE_SECONDS)

    def _read(self, source: int, stopped: threading.Event) -> None:
        lines = OutputLines()
        with selectors.DefaultSelector() as selector, contextlib.closing(os.fdopen(source, "rb", buffering=0)) as pipe:
            selector.register(pipe, selectors.EVENT_READ)
            while True:
                if not selector.select(IDLE_SECONDS):
                    passed = lines.flush(time.monotonic())
                else:
                    data = pipe.read(65536)
                    if not data:
                        break
                    if stopped.is_set():
                        with contextlib.suppress(OSError):
                            os.write(2, data)
                        continue
                    passed = lines.feed(data.decode(errors="replace"), time.monotonic())
                if passed:
                    self._on_lines(passed)
        if passed := lines.flush(time.monotonic()):
            self._on_lines(passed)


def lead_away(descriptors: Iterable[int], log_file: Path | None) -> None:
    """Lead descriptors to the end of a file; to nowhere if there is none or it cannot be written."""
    target = -1
    if log_file is not None:
        with contextlib.suppress(OSError):
            target = os.open(log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    if target < 0:
        target = os.open(os.devnull, os.O_WRONLY)
    for number in descriptors:
        os.dup2(target, number)
    os.close(target)


def is_gone(descriptor: int) -> bool:
    """Whether nobody is left at the other end: a terminal that was hung up, a pipe without a reader."""
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(state & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, state in poll.poll(0))


def _flush() -> None:
    """What Python has buffered belongs to whoever has the descriptors now."""
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is not None:
            flush(stream)


def flush(stream: IO[str]) -> None:
    """Flush a stream that may lead to a terminal that is gone."""
    with contextlib.suppress(OSError, ValueError):
        stream.flush()
