"""A disk with as much room as a test says."""

from __future__ import annotations

import errno
import os

import pytest


class Disk:
    """Bytes that `os.write` still takes, all files together; None: as many as come."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room: int | None = None
        write = os.write

        def bounded(descriptor: int, data: bytes) -> int:
            if self.room is None:
                return write(descriptor, data)
            taken = min(self.room, len(data))
            if not taken:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self.room -= taken
            return write(descriptor, data[:taken])

        monkeypatch.setattr(os, "write", bounded)
