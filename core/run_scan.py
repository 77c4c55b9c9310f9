"""All runs of this machine again and again, for a screen: only what has changed is read. torch is not needed for it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from core.run_fields import RunRow
from core.run_list import run_folders
from core.run_lock import is_live
from core.run_summary import RunSummary, summarize

_TELLING = ("events.jsonl", "metrics.csv", "profile.toml", "checkpoints")  # one of them changes with all that matters
_Stamp = tuple[object, ...]


class RunScan:
    """Remembers what it has read, and reads a folder again when its files or its lock have changed.

    Args:
        runs: the folder that holds the run folders; None: as in `core.run_list.list_runs`.
        read: how a folder is read; another one for tests.
    """

    def __init__(self, runs: Path | None = None, read: Callable[[Path], RunSummary] = summarize) -> None:
        self._runs = runs
        self._read = read
        self._known: dict[Path, tuple[_Stamp, RunRow]] = {}

    def look(self) -> list[RunRow]:
        """Every run, in no order; those that nothing has happened to are the very objects of the last look."""
        known: dict[Path, tuple[_Stamp, RunRow]] = {}
        for folder in run_folders(self._runs):
            with suppress(OSError):  # somebody else's, or deleted meanwhile
                stamp = _stamp(folder)
                before = self._known.get(folder)
                row = before[1] if before and before[0] == stamp else RunRow(self._read(folder), folder_bytes(folder))
                known[folder] = stamp, row
        self._known = known
        return [row for _, row in known.values()]


def _stamp(folder: Path) -> _Stamp:
    """What is another one as soon as the summary of the folder would be.

    Raises:
        OSError: the folder cannot be looked at.
    """
    stamp: list[object] = [is_live(folder)]
    for name in _TELLING:
        try:
            found = (folder / name).stat()
        except FileNotFoundError:
            stamp.append(None)
        else:
            stamp.append((found.st_mtime_ns, found.st_size))
    return tuple(stamp)


def folder_bytes(folder: Path) -> int:
    """Bytes that would be free without the folder: what is in it, not what its links lead to; unreadable parts are 0.

    A file of several names (a checkpoint that is linked) counts once.
    """
    total, seen, waiting = 0, set(), [os.fspath(folder)]
    while waiting:
        with suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                with suppress(OSError):
                    found = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(found.st_mode):
                        waiting.append(entry.path)
                    elif found.st_nlink < 2 or (found.st_dev, found.st_ino) not in seen:
                        seen.add((found.st_dev, found.st_ino))
                        total += found.st_size
    return total
