"""The listener that writes the run folder: `events.jsonl`, `metrics.csv`, `run.log`."""

from __future__ import annotations

import csv
import io
import logging
import math
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path

from core.atomic import atomic_write_bytes
from core.events import Alert, EpochFinished, EpochMetrics, Event, Progress, System, to_json
from core.history import KEEP_EVERY, read_history
from core.line_file import LineFile
from core.log_text import log_text

PROGRESS_EVERY = 1.0  # seconds between two Progress events of a phase in the file; the screen gets more of them
SYSTEM_EVERY = 10.0  # the same for how the machine is


class Recorder:
    """Appends each event to the files of record, at once, so that a killed run has all but its last line.

    A file that cannot be written (disk full) ends nothing: its lines wait, and go in when they can.
    Now and then the state that the events have come to is kept beside them, so that nobody needs to read them all.

    Args:
        folder: the run folder; it exists.
        history: the epochs that stand, of a run that is resumed; other rows are taken out of `metrics.csv`;
            None: its rows stay as they are.

    Raises:
        OSError: from the constructor alone: a file cannot be written to begin with.
    """

    def __init__(self, folder: Path, history: Sequence[EpochMetrics] | None = ()) -> None:
        if history is not None:
            titles = [item.name for item in fields(EpochMetrics)]
            atomic_write_bytes(folder / "metrics.csv", _rows([titles, *map(_row, history)]).encode())
        with ExitStack() as opened:
            self._events, self._log, self._metrics = self._files = [
                opened.enter_context(closing(LineFile(folder / name)))
                for name in ("events.jsonl", "run.log", "metrics.csv")
            ]
            opened.pop_all()
        self._told = False
        self._last_progress = 0.0
        self._last_system = 0.0
        self._folder = folder
        self._unkept = 0  # bytes of events since the state was kept
        self._keep_every: float = KEEP_EVERY

    def __call__(self, event: Event) -> None:
        if isinstance(event, Progress):
            whole = event.done == event.total
            if not whole and event.time - self._last_progress < PROGRESS_EVERY:
                return
            self._last_progress = event.time
        if isinstance(event, System):
            if event.time - self._last_system < SYSTEM_EVERY:
                return
            self._last_system = event.time
        line = to_json(event) + "\n"
        self._events.append(line, minor=isinstance(event, Progress | System))
        if isinstance(event, EpochFinished):
            self._metrics.append(_rows([_row(event.metrics)]))
        self._write_log(event)
        self.flush()
        self._unkept += len(line)
        if self._unkept >= self._keep_every:
            self._keep()

    def _keep(self) -> None:
        """Keep the state beside the events, made of what is in the file: lines that wait or are lost are not in it."""
        self._unkept = 0
        try:
            self._keep_every = read_history(self._folder).keep_every
        except OSError:
            return  # whoever reads the file is told, and here it is tried again
        except Exception:
            self._keep_every = math.inf
            words = "the state of this run is not kept any more, and opening it will take longer"
            logging.getLogger(__name__).warning(words, exc_info=True)

    def _write_log(self, event: Event) -> None:
        if (logged := log_text(event)) is None:
            return
        level, text = logged
        stamp = datetime.fromtimestamp(event.time).isoformat(" ", "milliseconds")
        if lines := text.splitlines():
            self._log.append("".join(f"{stamp} {level:<7} {line}\n" for line in lines))

    def flush(self) -> bool:
        """Try again to write what waits; True if nothing is left."""
        failing = [file for file in self._files if not file.flush()]
        return not failing

    def news(self) -> Alert | None:
        """What the person should know since the last call: that files cannot be written, or that they can again."""
        failing = [file for file in self._files if file.error]
        if bool(failing) == self._told:
            return None
        self._told = bool(failing)
        if failing:
            way_out = "what belongs there is kept and written as soon as it can be; make room, or make it writable"
            words = f"{failing[0].path}: {_strerror(failing[0])}; training goes on, {way_out}"
            return Alert(time.time(), "error", "The run folder cannot be written", words)
        lost = "; ".join(f"{file.path.name} lacks {file.lost} lines" for file in self._files if file.lost)
        return Alert(time.time(), "info", "The run folder can be written again", lost or "nothing was lost")

    @property
    def not_saved(self) -> tuple[str, ...]:
        """What the files lack, and why."""
        waiting = [f"{file.path.name}: {_strerror(file)}" for file in self._files if file.error]
        lost = [f"{file.path.name}: {file.lost} lines were too many to keep" for file in self._files if file.lost]
        return (*waiting, *lost)

    def close(self) -> None:
        """Close the files."""
        for file in self._files:
            file.close()


def _strerror(file: LineFile) -> str:
    return (file.error.strerror if file.error else "") or str(file.error)


def _row(metrics: EpochMetrics) -> list[object]:
    return list(asdict(metrics).values())


def _rows(rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue()
