"""The state of a run, folded from its events. Live, in another process or from last week: the same fold.

`fold` is the only thing that changes a `RunState`, and it asks no clock: what it knows of time is in the events.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, field
from itertools import groupby

from core.events import (
    NAN,
    Alert,
    CheckpointSaved,
    Cleared,
    EpochFinished,
    EpochMetrics,
    Event,
    Patience,
    Paused,
    Progress,
    RunFinished,
    RunStarted,
    StopAfter,
    Stopping,
    System,
    best_epoch,
)
from core.log_text import log_text

LOG_LINES_KEPT = 2000
LOSS_POINTS_KEPT = 20_000
SYSTEMS_KEPT = 150  # five minutes of a live run
_THINNED_TO = LOSS_POINTS_KEPT // 4  # parts of the run; each is left with at most two points


@dataclass
class LossHistory:
    """Training losses by time: `x` is in epochs (2.5: half-way through the third), one point per `Progress`.

    A long run is thinned: no more than `LOSS_POINTS_KEPT` points are kept, and of those that were merged the smallest
    and the largest value of each series, so that a single spike stays.
    """

    x: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    ce: list[float] = field(default_factory=list)
    triplet: list[float] = field(default_factory=list)

    def append(self, x: float, loss: float, ce: float, triplet: float) -> None:
        self.x.append(x)
        self.loss.append(loss)
        self.ce.append(ce)
        self.triplet.append(triplet)
        if len(self.x) > LOSS_POINTS_KEPT:
            self._thin()

    def _thin(self) -> None:
        """Cut the time so far into equal parts; those with more than two points keep two."""
        first, extent = self.x[0], max(self.x[-1] - self.x[0], 1e-9)
        parts = groupby(
            range(len(self.x)), lambda at: min(int((self.x[at] - first) / extent * _THINNED_TO), _THINNED_TO - 1)
        )
        kept = LossHistory()
        for _, members in parts:
            at = list(members)
            kept.x += [self.x[at[0]], self.x[at[-1]]][: len(at)]
            kept.loss += _ends([self.loss[index] for index in at])
            kept.ce += _ends([self.ce[index] for index in at])
            kept.triplet += _ends([self.triplet[index] for index in at])
        self.x, self.loss, self.ce, self.triplet = kept.x, kept.loss, kept.ce, kept.triplet


def _ends(values: list[float]) -> list[float]:
    """The smallest and the largest value, in the order in which they came; two values or fewer as they are."""
    if len(values) <= 2:
        return values
    known = [at for at, value in enumerate(values) if not math.isnan(value)]
    if not known:
        return [NAN, NAN]
    low, high = min(known, key=values.__getitem__), max(known, key=values.__getitem__)
    return [values[min(low, high)], values[max(low, high)]]


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
    over: dict[str, float] = field(default_factory=dict)  # kind of alert: when such an outage was last over
    systems: deque[System] = field(default_factory=lambda: deque(maxlen=SYSTEMS_KEPT))  # the newest last
    log: list[tuple[float, str, str]] = field(default_factory=list)  # time, level, text
    log_total: int = 0  # lines ever logged; `log` keeps the newest
    paused: bool = False
    stopping: StopAfter | None = None  # after what it was told to end
    finished: RunFinished | None = None
    now: float = NAN  # time of the newest event

    @property
    def best(self) -> EpochMetrics | None:
        """The epoch with the best validation Rank-1, the earliest of equals; the baseline does not compete."""
        return best_epoch(self.epochs)

    @property
    def baseline(self) -> EpochMetrics | None:
        return self.epochs[0] if self.epochs and self.epochs[0].epoch == 0 else None

    @property
    def system(self) -> System | None:
        """How the machine was last."""
        return self.systems[-1] if self.systems else None

    def is_active(self, alert: Alert) -> bool:
        """Whether what the alert tells still holds; False for what just happened once, and after the run."""
        over = self.over.get(alert.kind, -math.inf)
        return bool(alert.kind) and self.finished is None and not over >= alert.time

    @property
    def epoch_seconds(self) -> float:
        """Seconds that an epoch takes, validation included: the mean of the last three; NaN before the first."""
        seconds = [row.seconds for row in self.epochs if row.epoch > 0][-3:]
        return sum(seconds) / len(seconds) if seconds else NAN

    @property
    def epochs_done(self) -> float:
        """Epochs behind the run, with the part of the one in hand; its validation counts as its end."""
        done = self.epochs[-1].epoch if self.epochs else 0
        progress = self.progress
        if progress is None or progress.epoch <= done or progress.phase == "prepare":
            return done
        if progress.phase == "validate":
            return done + 1.0
        return done + (progress.done / progress.total if progress.total else 0.0)

    @property
    def phase_eta(self) -> float:
        """Seconds to the end of the phase in hand at its present rate; NaN where it is not known, and at the end."""
        progress = self.progress
        if progress is None or self.started is None or not progress.images_per_second > 0:
            return NAN
        if progress.done >= progress.total:
            return NAN
        images = self.started.batch_size if progress.phase == "train" else 1
        return (progress.total - progress.done) * images / progress.images_per_second

    @property
    def run_eta(self) -> float:
        """Seconds to the last epoch of the profile if nothing stops the run before.

        NaN before the first epoch, and when nothing but the last validation is left.
        """
        if self.started is None or self.finished is not None or math.isnan(self.epoch_seconds):
            return NAN
        left = self.started.epochs - self.epochs_done
        return left * self.epoch_seconds if left > 0 else NAN


def _forget_after(state: RunState, resumed: RunStarted) -> None:
    """A resumed run goes on from its last checkpoint, or begins anew: what came after that will come again."""
    position = resumed.resumed_epoch - 1 + resumed.resumed_batch / max(resumed.batches_per_epoch, 1)
    state.epochs = [row for row in state.epochs if row.epoch < resumed.resumed_epoch]
    kept = bisect_right(state.losses.x, position + 1e-9)
    for values in (state.losses.x, state.losses.loss, state.losses.ce, state.losses.triplet):
        del values[kept:]
    state.progress, state.patience, state.finished, state.paused, state.stopping = None, None, None, False, None
    state.over |= {alert.kind: resumed.time for alert in state.alerts if alert.kind}  # what still holds is told anew


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
            _forget_after(state, event)
        case Progress():
            state.progress = event
            if event.phase == "train" and event.total and not math.isnan(event.loss):
                state.losses.append(event.epoch - 1 + event.done / event.total, event.loss, event.ce, event.triplet)
        case EpochFinished(metrics=metrics):
            state.epochs.append(metrics)
        case Patience():
            state.patience = event
        case CheckpointSaved():
            state.checkpoints.append(event)
        case Paused():
            state.paused = event.paused
        case Stopping():
            state.stopping = event.after
        case Alert():
            state.alerts.append(event)
        case Cleared():
            state.over[event.kind] = event.time
        case System():
            state.systems.append(event)
        case RunFinished():
            state.finished = event
            state.paused = False
    _log(state, event)
    return state
