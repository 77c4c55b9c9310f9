"""What goes wrong in a run without ending it: a fold over its events that gives alerts, each once per outage.

It asks no clock; its time is that of the events. The rules are in `watch_rules.py`, each with its thresholds.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Iterator

from core.events import Alert, Cleared, EpochFinished, Event, LogLine, Progress, RunFinished, RunStarted, System
from core.gpus import gpu_of
from core.run_state import RunState
from core.watch_outage import Finding
from core.watch_rules import (
    DataSlow,
    DiskFull,
    Gradients,
    LossFlat,
    LossSpike,
    MemoryFull,
    NoTriplets,
    Overfitting,
)

TITLES: dict[str, str] = {
    "loss-spike": "The loss has jumped",
    "gradients": "The gradient explodes",
    "loss-flat": "The loss does not fall",
    "overfitting": "The model overfits",
    "no-triplets": "The triplet loss has nothing to do",
    "data-slow": "The GPU waits for images",
    "gpu-memory": "GPU memory is nearly full",
    "disk": "The disk is nearly full",
}


class Watch:
    """The rules of one run. `see` gives what is to be told after an event: alerts, and that an outage is over."""

    def __init__(self) -> None:
        self._started: RunStarted | None = None
        self._told: dict[str, float] = {}  # kinds that are active, and since when
        self._spike, self._gradients = LossSpike(), Gradients()
        self._flat, self._overfitting, self._triplets = LossFlat(), Overfitting(), NoTriplets()
        self._data, self._memory, self._disk = DataSlow(), MemoryFull(), DiskFull()

    def see(self, event: Event) -> list[Event]:
        """Take one event into account."""
        return [said for finding in self._findings(event) if (said := self._news(finding, event.time))]

    def remember(self, past: RunState) -> None:
        """Take the time before the run was resumed into account; nothing is told, and no outage holds."""
        for then, row in zip(past.epoch_times, past.epochs, strict=True):
            if row.epoch > 0:
                self._flat.remember(then, row)
                self._overfitting.remember(then, row)
        for saved in past.checkpoints:
            self._disk.hear(saved)

    def _findings(self, event: Event) -> Iterator[Finding]:
        match event:
            case RunStarted():
                self._begin(event)
            case Progress(phase="train"):
                self._data.epoch = event.epoch
                yield self._spike.see(event)
                yield self._gradients.see(event)
            case EpochFinished(metrics=row) if row.epoch > 0:
                yield self._flat.see(event.time, row)
                yield self._overfitting.see(event.time, row)
                if self._started:
                    yield self._triplets.see(event.time, row, self._started)
            case System() if self._started:
                yield self._disk.see(event)
                gpu = gpu_of(self._started.device, event.gpus)
                if gpu is not None:
                    yield self._memory.see(event.time, gpu, self._started)
                    yield self._data.see(event, gpu)
            case _:
                self._disk.hear(event)

    def _begin(self, event: RunStarted) -> None:
        """The run begins, or goes on: what still holds is told again."""
        self._started = event
        self._told.clear()
        first = max(event.resumed_epoch, 1)
        self._spike, self._gradients = LossSpike(), Gradients()
        self._data, self._memory = DataSlow(first, first), MemoryFull()
        self._flat.forget_from(first)
        self._overfitting.forget_from(first)

    def _news(self, finding: Finding, now: float) -> Event | None:
        if finding.bad and finding.kind not in self._told:
            self._told[finding.kind] = finding.since
            return Alert(now, "warning", TITLES[finding.kind], finding.words, finding.kind, finding.since)
        if finding.bad is False and self._told.pop(finding.kind, None) is not None:
            return Cleared(now, finding.kind, TITLES[finding.kind])
        return None


class Watched:
    """A listener that passes every event on, and after it what the watch has to say of it; from any thread.

    Args:
        emit: where the events go.
        watch: sees them. Should it fail, that is told, and the run goes on unwatched.
    """

    def __init__(self, emit: Callable[[Event], None], watch: Watch) -> None:
        self._emit = emit
        self._watch: Watch | None = watch
        self._lock = threading.RLock()

    def __call__(self, event: Event) -> None:
        with self._lock:
            self._emit(event)
            if self._watch is None or isinstance(event, Alert | Cleared | RunFinished):
                return
            try:
                said = self._watch.see(event)
            except Exception:  # noqa: BLE001 - no run is ended by who only watches it
                self._watch = None
                text = f"alerts are off, their rules have failed:\n{traceback.format_exc()}"
                said = [LogLine(time.time(), "warning", text)]
            for news in said:
                self._emit(news)
