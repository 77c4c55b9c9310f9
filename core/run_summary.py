"""A run folder in one line: how the run stands, how good it became. torch is not needed for it.

How it stands is worked out from its files and from its lock, which the kernel gives back when a process dies.
"""

from __future__ import annotations

import csv
import math
import os
import tomllib
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from core.events import NAN, Event, Paused, Progress, RunFinished, RunStarted, from_json
from core.run_lock import is_live, is_waiting

Standing = Literal["waiting", "preparing", "running", "paused", "finished", "stopped", "failed", "crashed"]
LIVE: frozenset[Standing] = frozenset({"waiting", "preparing", "running", "paused"})
_ENDS: dict[str, Standing] = {
    "finished": "finished",
    "early-stop": "finished",
    "stopped": "stopped",
    "failed": "failed",
}
_TAIL = 1 << 16  # bytes at the end of the event file that tell how a run stands


@dataclass(frozen=True)
class RunSummary:
    """A run in one line. Rates are in 0..1, times in seconds since the epoch; what is not known is NaN."""

    folder: Path
    standing: Standing
    epoch: int = 0  # the last one that is done
    epochs: int = 0  # as the profile has it
    best_rank1: float = NAN
    best_map: float = NAN  # of the epoch with the best Rank-1
    best_epoch: int = 0
    began: float = NAN
    changed: float = NAN  # when it last said something
    message: str = ""  # its last word
    profile: dict[str, Any] = field(default_factory=dict)  # tables

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def live(self) -> bool:
        return self.standing in LIVE


def summarize(folder: Path) -> RunSummary:
    """How a run stands. Files that are missing, torn or damaged leave blanks, for a list must show such a run too.

    Raises:
        OSError: the folder cannot be looked at.
    """
    waits = is_waiting(folder)
    live = is_live(folder)  # before the files: a run writes its last word first, and lets go then
    profile = _profile(folder)
    events = _last_events(folder / "events.jsonl")
    rows = _metrics(folder / "metrics.csv")
    best = max(
        (row for row in rows if row["epoch"] > 0 and not math.isnan(row["rank1"])),
        key=lambda row: (row["rank1"], -row["epoch"]),
        default=None,
    )
    end = next((event for event in reversed(events) if isinstance(event, RunFinished | RunStarted)), None)
    return RunSummary(
        folder=folder,
        standing=("waiting" if waits else _live_standing(events)) if live else _end_standing(end),
        epoch=int(rows[-1]["epoch"]) if rows else 0,
        epochs=_epochs(profile),
        best_rank1=best["rank1"] if best else NAN,
        best_map=best["mAP"] if best else NAN,
        best_epoch=int(best["epoch"]) if best else 0,
        began=_first_time(folder),
        changed=events[-1].time if events else _modified(folder / "profile.toml"),
        message=end.message if isinstance(end, RunFinished) and not live else "",
        profile=profile,
    )


def _live_standing(events: list[Event]) -> Standing:
    for event in reversed(events):
        if isinstance(event, Paused):
            return "paused" if event.paused else "running"
        if isinstance(event, RunStarted | Progress):
            return "running"
        if isinstance(event, RunFinished):  # of the time before it was resumed
            return "preparing"
    return "preparing"


def _end_standing(end: Event | None) -> Standing:
    return _ENDS.get(end.reason, "crashed") if isinstance(end, RunFinished) else "crashed"


def _profile(folder: Path) -> dict[str, Any]:
    try:
        return tomllib.loads((folder / "profile.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):  # tomllib follows nesting as deep as it goes
        return {}


def _epochs(profile: dict[str, Any]) -> int:
    train = profile.get("train")
    epochs = train.get("epochs") if isinstance(train, dict) else None
    return epochs if isinstance(epochs, int) else 0


def _last_events(path: Path) -> list[Event]:
    """The last events, as far back as one that tells how the run stands: a long pause is full of others."""
    tail = _TAIL
    while True:
        try:
            with path.open("rb") as file:
                start = max(file.seek(0, os.SEEK_END) - tail, 0)
                file.seek(start)
                lines = file.read(tail).decode(errors="replace").splitlines()
        except OSError:
            return []
        events: list[Event] = []
        for line in lines:
            with suppress(ValueError):  # the first line is cut, the last may be torn
                events.append(from_json(line))
        if start == 0 or any(isinstance(event, Paused | RunStarted | Progress | RunFinished) for event in events):
            return events
        tail *= 8


def _metrics(path: Path) -> list[dict[str, float]]:
    """The rows of `metrics.csv` that are whole: epoch, Rank-1 and mAP."""
    rows: list[dict[str, float]] = []
    with suppress(OSError, csv.Error), path.open(encoding="utf-8", errors="replace", newline="") as file:
        lines = csv.reader(line.replace("\0", "") for line in file)
        titles = next(lines, [])
        columns = [(name, titles.index(name)) for name in ("epoch", "rank1", "mAP") if name in titles]
        for line in lines if len(columns) == 3 else ():
            with suppress(IndexError, ValueError):
                rows.append({name: float(line[at]) for name, at in columns})
    return [row for row in rows if math.isfinite(row["epoch"])]


def _first_time(folder: Path) -> float:
    """When the run said its first word; before that, when its profile was written."""
    try:
        with (folder / "events.jsonl").open("rb") as file:
            return from_json(file.readline(_TAIL).decode(errors="replace")).time
    except (OSError, ValueError):
        return _modified(folder / "profile.toml")


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return NAN
