"""A file that lines are appended to. Lines that cannot be written are kept, and written as soon as they can be."""

from __future__ import annotations

import os
from collections import deque
from contextlib import suppress
from pathlib import Path

KEPT_BYTES = 4 * 2**20  # of lines that wait, for each file: hours of a run


class LineFile:
    """Whole lines in the order in which they came, whatever the disk does in between.

    Nothing is buffered: a killed process has all lines but the one that it was writing. A line that went in only in
    part is continued where it stopped. Where too many wait, the least of them are dropped, and counted.

    Args:
        path: the file; made where it is not there. A last line without an end, of a killed process, is ended.
        keep: the most bytes that wait.

    Raises:
        OSError: from the constructor alone: the file cannot be written to begin with.
    """

    def __init__(self, path: Path, keep: int = KEPT_BYTES) -> None:
        self.path = path
        self.error: OSError | None = None  # what the last attempt came to
        self.lost = 0  # lines that were dropped
        self._keep = keep
        self._waiting: deque[tuple[bytes, bool]] = deque()
        self._size = 0
        self._begun = 0  # bytes of the first line that are in the file
        self._descriptor = -1
        if not self.flush() and self.error:
            raise self.error

    def append(self, lines: str, *, minor: bool = False) -> bool:
        """Write lines, each with its end, or keep them together; True if nothing waits.

        Args:
            lines: what is written or dropped as one.
            minor: the first to be dropped where too much waits.
        """
        data = lines.encode(errors="backslashreplace")
        self._waiting.append((data, minor))
        self._size += len(data)
        done = self.flush()
        if self._size > self._keep:
            self._drop()
        return done

    def flush(self) -> bool:
        """Write what waits, as far as the disk takes it; True if nothing is left."""
        try:
            if self._descriptor < 0:
                self._open()
            while self._waiting:
                line, _ = self._waiting[0]
                self._begun += os.write(self._descriptor, line[self._begun :])
                if self._begun == len(line):
                    self._waiting.popleft()
                    self._size -= len(line)
                    self._begun = 0
        except OSError as error:
            error.filename = error.filename or str(self.path)  # a write that fails does not say of what
            self.error = error
            self.close()  # opened anew next time: a file system that went and came back does not know it any more
            return False
        self.error = None
        return True

    def close(self) -> None:
        """Let go of the file; the next line opens it again."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with suppress(OSError):  # whatever it is, each write has said it before
                os.close(descriptor)

    def _open(self) -> None:
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        size = os.fstat(self._descriptor).st_size
        if size == 0 or os.pread(self._descriptor, 1, size - 1) == b"\n":
            self._begun = 0  # it is another file than the one that has the part
        elif not self._begun:
            os.write(self._descriptor, b"\n")

    def _drop(self) -> None:
        """Make room: minor lines go first, the oldest before the newer; more than is needed, so that it is rare."""
        kept: deque[tuple[bytes, bool]] = deque()
        if self._begun:  # it has to be ended
            kept.append(self._waiting.popleft())
        rest = list(self._waiting)
        for everything in (False, True):
            still = []
            for line, minor in rest:
                if self._size > self._keep * 3 // 4 and (minor or everything):
                    self._size -= len(line)
                    self.lost += 1
                else:
                    still.append((line, minor))
            rest = still
        self._waiting = kept
        self._waiting.extend(rest)
