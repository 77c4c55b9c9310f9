"""What becomes of an image that cannot be read: the run ends, or goes on without it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from core.errors import DataError
from core.events import Level

NAMED = 20  # images that are named one by one; a disk that died must not flood the screen

Unreadable = Callable[[Path, DataError], None]
"""Told of each image that cannot be read, each time it was wanted; raises where the run is to end."""


def stop(path: Path, error: DataError) -> None:
    """End the run."""
    way_out = 'to go on without such images, resume with data.unreadable_images = "leave-out"'
    raise DataError(error.title, f"{error.message}; {way_out}") from error


class LeaveOut:
    """Go on without it: each image is named once, the first `NAMED` of them.

    Args:
        alert: takes level, title and message.
    """

    def __init__(self, alert: Callable[[Level, str, str], None]) -> None:
        self._alert = alert
        self._told: set[Path] = set()

    def __call__(self, path: Path, error: DataError) -> None:
        if path in self._told:
            return
        self._told.add(path)
        if len(self._told) <= NAMED:
            self._alert("warning", "Image left out", error.message)
        elif len(self._told) == NAMED + 1:
            self._alert("warning", "More images are left out", f"{NAMED} were named; the others are counted only")
