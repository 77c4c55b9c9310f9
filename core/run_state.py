"""The state of a run, folded from its events. Live, in another process or from last week: the same fold.

`fold` is the only thing that changes a `RunState`, and it asks no clock: what it knows of time is in the events.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from core.events import (
    NAN,
    Alert,
    CheckpointSaved,
    EpochFinished,
    EpochMetrics,
    Event,
    Patience,
    Paused,
    Progress,
    RunFinished,
    RunStarted,
)
from core.log_text import log_text

LOG_LINES_KEPT = 2000


@dataclass
class LossHistory:
    """Training losses by time: `x` is in epochs (2.5: half-way through the third), one point per `Progress`."""

    x: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    ce: list[float] = field(default_factory=list)
    triplet: list[float] = field(default_factory=list)


@dataclass
class RunState:
    """All that a screen shows of a run. Lists grow; nothing else is changed in place by anyone but `fold`."""

    started: RunStarted | None = None
    progress: Progress | None = None
    epochs: list[EpochMetrics] = field(default_factory=list)
    losses: LossHistory = field(default_factory=LossHistory)
    patience: Patience | None = None
    checkpoints: list[CheckpointSaved] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    log: list[tuple[float, str, str]] = field(default_factory=list)  # time, level, text
    log_total: int = 0  # lines ever logged; `log` keeps the newest
    paused: bool = False
    finished: RunFinished | None = None
    now: float = NAN  # time of the newest event

    @property
    def best(self) -> EpochMetrics | None:
        """The epoch with the best validation Rank-1, the earliest of equals; the baseline does not compete."""
        validated = [row for row in self.epochs if row.epoch > 0 and not math.isnan(row.rank1)]
        return max(validated, key=lambda row: (row.rank1, -row.epoch), default=None)

    @property
    def baseline(self) -> EpochMetrics | None:
        return self.epochs[0] if self.epochs and self.epochs[0].epoch == 0 else None

    @property
    def epoch_seconds(self) -> float:
        """Seconds that an epoch takes, validation included: the mean of the last three; NaN before the first."""
        seconds = [row.seconds for row in self.epochs if row.epoch > 0][-3:]
        return sum(seconds) / len(seconds) if seconds else NAN

    @property
    def phase_eta(self) -> float:
        """Seconds to the end of the phase in hand at its present rate; NaN where the rate is not known."""
        progress = self.progress
        if progress is None or self.started is None or not progress.images_per_second > 0:
            return NAN
        images = self.started.batch_size if progress.phase == "train" else 1
        return (progress.total - progress.done) * images / progress.images_per_second

    @property
    def run_eta(self) -> float:
        """Seconds to the last epoch of the profile if nothing stops the run before; NaN before the first epoch."""
        if self.started is None or self.finished is not None or math.isnan(self.epoch_seconds):
            return NAN
        done = self.epochs[-1].epoch
        progress = self.progress
        fraction = progress.done / progress.total if progress and progress.phase == "train" and progress.total else 0.0
        if progress and progress.epoch <= done:
            fraction = 0.0
        return max(self.started.epochs - done - fraction, 0.0) * self.epoch_seconds


def _log(state: RunState, event: Event) -> None:
    if (logged := log_text(event)) is None:
        return
    level, text = logged
    for line in text.splitlines() or [""]:
        state.log.append((event.time, level, line))
        state.log_total += 1
    if len(state.log) > 2 * LOG_LINES_KEPT:
        del state.log[:-LOG_LINES_KEPT]


def fold(state: RunState, event: Event) -> RunState:
    """Take one event into the state, and give it back: `reduce(fold, events, RunState())` is a whole run."""
    state.now = event.time
    match event:
        case RunStarted():
            state.started = event
        case Progress():
            state.progress = event
            if event.phase == "train" and event.total and not math.isnan(event.loss):
                history = state.losses
                history.x.append(event.epoch - 1 + event.done / event.total)
                history.loss.append(event.loss)
                history.ce.append(event.ce)
                history.triplet.append(event.triplet)
        case EpochFinished(metrics=metrics):
            state.epochs.append(metrics)
        case Patience():
            state.patience = event
        case CheckpointSaved():
            state.checkpoints.append(event)
        case Paused():
            state.paused = event.paused
        case Alert():
            state.alerts.append(event)
        case RunFinished():
            state.finished = event
            state.paused = False
    _log(state, event)
    return state
