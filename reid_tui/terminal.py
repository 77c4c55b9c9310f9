"""The terminal itself: whether it can show the app, and a driver that keeps it for the app alone.

Textual draws on descriptor 2, which is also where C libraries and child processes print. There is no public way to
give it another one, so this driver sets private attributes of `LinuxDriver`; they are touched in this file only, and
the tests in a real pseudo-terminal fail if a new Textual has changed them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from textual.drivers.linux_driver import LinuxDriver

from reid_tui.ascii import to_ascii
from reid_tui.output import DescriptorCapture, is_gone
from reid_tui.picture import Picture
from reid_tui.title import closing, knows, opening

WATCH_SECONDS = 0.5


@runtime_checkable
class OutputSink(Protocol):
    """An app that wants the lines which others write to descriptors 1 and 2, and lives on without its terminal."""

    terminal_lost: bool

    @property
    def log_file(self) -> Path | None:
        """Where descriptors 1 and 2 lead once the terminal is gone."""

    def take_output(self, lines: list[str]) -> None:
        """Called from a thread of the driver."""

    def hung_up(self) -> None:
        """The terminal is gone. Called in the event loop."""


def can_show_app(environ: Mapping[str, str] | None = None) -> tuple[bool, str]:
    """Whether a full-screen app can run here, and if not, why not."""
    term = (os.environ if environ is None else environ).get("TERM", "")
    if term in {"", "dumb", "unknown"}:
        return False, f"TERM is {term or 'not set'}"
    for name, stream in (("input", sys.__stdin__), ("output", sys.__stdout__), ("error", sys.__stderr__)):
        if stream is None or stream.closed or not stream.isatty():
            return False, f"standard {name} is not a terminal"
    return True, ""


class TerminalFile:
    """What the driver draws on: UTF-8 whatever the locale says, and deaf to a terminal that is gone.

    Args:
        descriptor: of the terminal.
        on_lost: called once, in whichever thread finds out, when the terminal turns out to be gone.
        ascii: the terminal knows nothing else: every other character is replaced by as many as it has cells.
    """

    def __init__(self, descriptor: int, on_lost: Callable[[], None] = lambda: None, *, ascii: bool = False) -> None:
        self._ascii = ascii
        self._descriptor = descriptor
        self._on_lost = on_lost
        self._waiting: list[str] = []
        self._lost = False

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, text: str) -> int:
        self._waiting.append(to_ascii(text) if self._ascii else text)
        return len(text)

    def flush(self) -> None:
        data = "".join(self._waiting).encode(errors="replace")
        self._waiting.clear()
        while data and not self._lost:
            try:
                data = data[os.write(self._descriptor, data) :]
            except BlockingIOError:
                select.select([], [self._descriptor], [], 1.0)
            except OSError:
                # Nobody is left to see the screen; the run behind it goes on.
                self._lost = True
                self._on_lost()


class TerminalDriver(LinuxDriver):
    """Textual's driver on its own descriptor, with 1 and 2 led to the log while the screen is up."""

    def __init__(self, app: Any, **options: Any) -> None:
        super().__init__(app, **options)
        self._terminal = TerminalFile(os.dup(2), self._tell_lost, ascii=getattr(app, "draws_ascii", False))
        self._file = self._terminal  # type: ignore[assignment]
        self._sink = app if isinstance(app, OutputSink) else None
        self._capture = DescriptorCapture(self._sink.take_output if self._sink else lambda lines: None)
        self._event_loop = asyncio.get_running_loop()
        self._closed = threading.Event()
        self._knows = knows(os.environ)
        self.picture = Picture()  # what is on the terminal

    def _get_terminal_size(self) -> tuple[int, int]:
        # Asked of the descriptor that is drawn on: 1 is a pipe by now.
        try:
            width, height = os.get_terminal_size(self._terminal.fileno())
        except OSError:
            return 80, 24
        return width or 80, height or 24

    def start_application_mode(self) -> None:
        self._capture.start()
        self.picture.forget()
        super().start_application_mode()  # type: ignore[no-untyped-call]
        self.write(opening(self._knows))
        self._closed = threading.Event()
        threading.Thread(target=self._watch, args=(self._closed,), name="terminal-watch", daemon=True).start()

    def write_sequence(self, sequence: str) -> None:
        """A bell or a notification, whole and in its turn; nothing where no terminal is drawn on."""
        if self._terminal.isatty():
            self.write(sequence)
            self.flush()

    def stop_application_mode(self) -> None:
        self.write(closing(self._knows))
        super().stop_application_mode()

    def _watch(self, closed: threading.Event) -> None:
        """A terminal that does not control this process goes without a signal, and reading it never waits again."""
        while not closed.wait(WATCH_SECONDS):
            if is_gone(self.fileno):
                self._tell_lost()
                return

    def _tell_lost(self) -> None:
        if self._sink is not None:
            # The event loop may be closed already; then nobody needs to be told.
            with contextlib.suppress(RuntimeError):
                self._event_loop.call_soon_threadsafe(self._sink.hung_up)

    def close(self) -> None:
        """Also called by Textual after a crash, before it prints the traceback to descriptor 2."""
        super().close()
        self._closed.set()
        if self._sink is not None and self._sink.terminal_lost:
            self._capture.stop(terminal_lost=True, log_file=self._sink.log_file)
        else:
            self._capture.stop()
