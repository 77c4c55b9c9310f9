"""What the screens ask of the app. Here, so that the app knows the words without importing the screens."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from textual.message import Message

from reid_tui.run_queue import QueuedRun


class RunsWanted(Message):
    """The person wants to see all runs."""


class ProfilesWanted(Message):
    """The person wants to pick a profile."""


class BackWanted(Message):
    """The person wants to go back to where the screen was opened from."""


@dataclass
class ListLeft(Message):
    """The person wants to leave the list of runs; or the program, where there is nothing behind the list."""

    leave: bool


@dataclass
class OpenWanted(Message):
    """The person wants to see a run."""

    folder: Path


@dataclass
class CompareWanted(Message):
    """The person wants to see runs beside each other."""

    folders: list[Path]


class QueueWanted(Message):
    """The queue is to be shown."""


class HoldWanted(Message):
    """The queue is to be held, or to go on."""


@dataclass
class BeginWanted(Message):
    """A run that waits is to begin now."""

    run: QueuedRun


class AddWanted(Message):
    """A profile is to be picked for the queue."""


class RunEnded(Message):
    """The run on the screen has ended; its thread may still be closing its files."""
