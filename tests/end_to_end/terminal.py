"""A real pseudo-terminal with a terminal emulator behind it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyte

ROOT = Path(__file__).parents[2]
ROWS, COLUMNS = 140, 140  # so high that the log has room for every line
ALTERNATE_ON, ALTERNATE_OFF = b"\x1b[?1049h", b"\x1b[?1049l"


class Terminal:
    """A program on a pseudo-terminal, and the screen as a person sees it."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        term: str = "xterm-256color",
        rows: int = ROWS,
        columns: int = COLUMNS,
        folder: Path = ROOT,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.slave = slave
        self.gone = False
        self.modes = termios.tcgetattr(slave)
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.received = b""
        inherited = {key: value for key, value in os.environ.items() if key not in {"NO_COLOR", "COLUMNS", "LINES"}}
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**inherited, "TERM": term, "PYTHONPATH": str(ROOT), **(environ or {})},
            cwd=folder,
            start_new_session=True,
        )

    def read(self, seconds: float = 0.05) -> None:
        while select.select([self.master], [], [], seconds)[0]:
            data = os.read(self.master, 65536)
            self.received += data
            # pyte prints the end of sequences with a private prefix that it does not know (the keyboard protocol).
            self._stream.feed(data.replace(b"\x1b[>25u", b"").replace(b"\x1b[<u", b""))
            seconds = 0.0

    @property
    def text(self) -> str:
        return "\n".join(self.screen.display)

    def until(self, true: Callable[[], object], seconds: float = 20.0) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.read()
            if true():
                return
        raise AssertionError(f"it has not become true; the screen is\n{self.text}")

    def press(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def wait(self, seconds: float = 20.0) -> int:
        self.until(lambda: self.process.poll() is not None, seconds)
        self.read(0.2)
        return self.process.returncode

    @property
    def restored(self) -> bool:
        """The modes are as they were, and the alternate screen was left after it was entered."""
        entered, left = self.received.rfind(ALTERNATE_ON), self.received.rfind(ALTERNATE_OFF)
        return termios.tcgetattr(self.slave) == self.modes and 0 <= entered < left

    def after_the_screen(self) -> str:
        return self.received[self.received.rfind(ALTERNATE_OFF) :].decode()

    def hang_up(self) -> None:
        """The terminal goes. It does not control the program, so no signal says so."""
        for descriptor in (self.master, self.slave):
            os.close(descriptor)
        self.gone = True

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        if not self.gone:
            self.hang_up()
