"""Locks of files, which the kernel lets go of with the processes that hold them."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def is_locked(path: Path, *, shared: bool = False) -> bool:
    """Whether a process holds the lock of a file for itself alone; with `shared`, or together with others.

    Raises:
        OSError: the file is not there, or may not be opened.
    """
    # A lock for oneself alone needs a file that is open for writing on NFS. Who only asks for a shared one is not taken
    # for a holder by somebody else who asks.
    access, lock = (os.O_RDWR, fcntl.LOCK_EX) if shared else (os.O_RDONLY, fcntl.LOCK_SH)
    descriptor = os.open(path, access | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, lock | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """One process at a time changes what is in a folder; the others wait.

    Raises:
        OSError: nothing can be written there.
    """
    with (folder / ".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
