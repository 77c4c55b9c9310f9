"""The lock of a run folder: held by the process that trains, looked at by everybody else."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import ReidError
from core.file_locks import is_locked

LOCK = ".lock"
WAITING = ".waiting"  # beside the lock while its holder works on other runs first
_HOLD_SECONDS = 0.5  # somebody who only looks whether a run is live has the lock for less


def hold(folder: Path) -> int:
    """Take the lock of a run folder: a descriptor, to be closed at the end. A child that inherits it holds it as well.

    The kernel lets go of the lock with the last process that has the descriptor, however that process ends.

    Raises:
        ReidError: another process holds it.
        OSError: the lock file cannot be made.
    """
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + _HOLD_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < deadline:
                time.sleep(_HOLD_SECONDS / 10)
                continue
            os.close(lock)
            raise ReidError("The run is live", f"another process trains in {folder}; stop it first") from None
        except BaseException:
            os.close(lock)
            raise
        mark_waiting(folder, False)  # of a holder that was killed
        return lock


def mark_waiting(folder: Path, waits: bool) -> None:
    """Say that the run waits for others of the process that holds the folder, or that it has its turn.

    Only for who holds the folder. It is said for as long as the lock is held: see `is_waiting`.
    """
    if waits:
        (folder / WAITING).touch()
    else:
        (folder / WAITING).unlink(missing_ok=True)


def is_waiting(folder: Path) -> bool:
    """Whether a run that is live waits for others, and has not begun."""
    return (folder / WAITING).exists()


@contextmanager
def held(folder: Path, lock: int | None = None) -> Iterator[None]:
    """Hold a run folder; `lock`: a descriptor of `hold` that was handed over. Raises what `hold` does."""
    lock = hold(folder) if lock is None else lock
    try:
        yield
    finally:
        os.close(lock)


def is_live(folder: Path) -> bool:
    """Whether a process holds the folder.

    Raises:
        OSError: the lock cannot be looked at (the folder is somebody else's).
    """
    try:
        return is_locked(folder / LOCK)
    except FileNotFoundError:
        return False
