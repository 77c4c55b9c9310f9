"""The listener that writes the run folder: `events.jsonl`, `metrics.csv`, `run.log`."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from core.atomic import atomic_write
from core.events import EpochFinished, EpochMetrics, Event, Progress, to_json
from core.log_text import log_text

PROGRESS_EVERY = 1.0  # seconds between two Progress events of a phase in the file; the screen gets more of them


class Recorder:
    """Appends each event to the files of record, flushed at once, so that a killed run has all but its last line.

    Args:
        folder: the run folder; it exists.
        history: the epochs that stand, of a run that is resumed; other rows are taken out of `metrics.csv`;
            None: its rows stay as they are.

    Raises:
        OSError: from the constructor and from each call, when a file cannot be written.
    """

    def __init__(self, folder: Path, history: Sequence[EpochMetrics] | None = ()) -> None:
        if history is not None:
            atomic_write(folder / "metrics.csv", lambda file: _write_rows(file, history))
        self._events = (folder / "events.jsonl").open("a", encoding="utf-8")
        if _is_torn(folder / "events.jsonl"):
            self._events.write("\n")
        self._log = (folder / "run.log").open("a", encoding="utf-8", errors="backslashreplace")
        self._metrics = (folder / "metrics.csv").open("a", encoding="utf-8", newline="")
        self._rows = csv.writer(self._metrics)
        self._last_progress = 0.0

    def __call__(self, event: Event) -> None:
        if isinstance(event, Progress):
            whole = event.done == event.total
            if not whole and event.time - self._last_progress < PROGRESS_EVERY:
                return
            self._last_progress = event.time
        self._events.write(to_json(event) + "\n")
        self._events.flush()
        if isinstance(event, EpochFinished):
            self._rows.writerow(asdict(event.metrics).values())
            self._metrics.flush()
        self._write_log(event)

    def _write_log(self, event: Event) -> None:
        if (logged := log_text(event)) is None:
            return
        level, text = logged
        stamp = datetime.fromtimestamp(event.time).isoformat(" ", "milliseconds")
        self._log.writelines(f"{stamp} {level:<7} {line}\n" for line in text.splitlines())
        self._log.flush()

    def close(self) -> None:
        """Close the files. What could not be written before, and was told then, cannot be written now either."""
        for file in (self._events, self._log, self._metrics):
            with suppress(OSError):
                file.close()


def _write_rows(file: BinaryIO, history: Sequence[EpochMetrics]) -> None:
    text = io.StringIO(newline="")
    rows = csv.writer(text)
    rows.writerow([item.name for item in fields(EpochMetrics)])
    rows.writerows(asdict(metrics).values() for metrics in history)
    file.write(text.getvalue().encode())


def _is_torn(path: Path) -> bool:
    """Whether the last line has no end, because its writer was killed."""
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"
