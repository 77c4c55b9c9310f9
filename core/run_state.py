"""The state of a run, folded from its events. Live, in another process or from last week: the same fold.

`fold` is the only thing that changes a `RunState`, and it asks no clock: what it knows of time is in the events.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from copy import copy
from dataclasses import dataclass, field, fields
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

LOG_LINES_KEPT = 500  # `run.log` has all of them
ALERTS_KEPT = 1000  # more than a screen lists
LOSS_POINTS_KEPT = 20_000
SYSTEMS_KEPT = 150  # five minutes of a live run
_THINNED_TO = LOSS_POINTS_KEPT // 4  # parts of the run; each is left with at most two points
_PLACES = ("x", "step", "seconds")
_VALUES = ("loss", "ce", "triplet", "grad_norm", "lr", "images_per_second")


@dataclass
class LossHistory:
    """What a run says while it trains, one point per `Progress`.

    A point has three places, for three axes: `x` in epochs (2.5: half-way through the third), `step` in batches since
    the first epoch, `seconds` since the run began, the time in which it was cut off not counted. All three ascend.

    A long run is thinned: no more than `LOSS_POINTS_KEPT` points are kept, and of those that were merged the smallest
    and the largest value of each series, so that a single spike stays. Points are only ever appended to a list; where
    some are taken out, there are new lists, so that who has copied the old ones can tell.
    """

    x: list[float] = field(default_factory=list)
    step: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    ce: list[float] = field(default_factory=list)
    triplet: list[float] = field(default_factory=list)
    grad_norm: list[float] = field(default_factory=list)
    lr: list[float] = field(default_factory=list)
    images_per_second: list[float] = field(default_factory=list)

    def append(
        self,
        x: float,
        loss: float,
        ce: float,
        triplet: float,
        *,
        step: float = NAN,
        seconds: float = NAN,
        grad_norm: float = NAN,
        lr: float = NAN,
        images_per_second: float = NAN,
    ) -> None:
        self.x.append(x)
        self.step.append(step)
        self.seconds.append(seconds)
        self.loss.append(loss)
        self.ce.append(ce)
        self.triplet.append(triplet)
        self.grad_norm.append(grad_norm)
        self.lr.append(lr)
        self.images_per_second.append(images_per_second)
        if len(self.x) > LOSS_POINTS_KEPT:
            self._thin()

    def keep(self, count: int) -> None:
        """Forget all but the first `count` points."""
        for name in (*_PLACES, *_VALUES):
            setattr(self, name, getattr(self, name)[:count])

    def _thin(self) -> None:
        """Cut the time so far into equal parts; those with more than two points keep two."""
        first, extent = self.x[0], max(self.x[-1] - self.x[0], 1e-9)
        scale, last = _THINNED_TO / extent, _THINNED_TO - 1
        parts = groupby(range(len(self.x)), lambda at: min(int((self.x[at] - first) * scale), last))
        spans = [(members[0], members[-1] + 1) for _, each in parts if (members := list(each))]
        for name in _PLACES:
            places = getattr(self, name)
            kept = [place for start, stop in spans for place in (places[start], places[stop - 1])[: stop - start]]
            setattr(self, name, kept)
        for name in _VALUES:
            values = getattr(self, name)
            setattr(self, name, [value for start, stop in spans for value in _ends(values[start:stop])])


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
    epoch_ends: list[float] = field(default_factory=list)  # seconds of each of `epochs`, as of `LossHistory`
    epoch_times: list[float] = field(default_factory=list)  # when each of `epochs` was done, as of `Event.time`
    losses: LossHistory = field(default_factory=LossHistory)
    patience: Patience | None = None
    checkpoints: list[CheckpointSaved] = field(default_factory=list)  # the newest of each kind
    alerts: list[Alert] = field(default_factory=list)  # the newest, and the newest of each kind
    alerts_total: int = 0  # alerts ever told
    over: dict[str, float] = field(default_factory=dict)  # kind of alert: when such an outage was last over
    systems: deque[System] = field(default_factory=lambda: deque(maxlen=SYSTEMS_KEPT))  # the newest last
    log: list[tuple[float, str, str]] = field(default_factory=list)  # time, level, text
    log_total: int = 0  # lines ever logged; `log` keeps the newest
    paused: bool = False
    stopping: StopAfter | None = None  # after what it was told to end
    finished: RunFinished | None = None
    now: float = NAN  # time of the newest event
    began: float = NAN  # what `seconds` are counted from; a resumed run counts on from where it was cut

    def copy(self) -> RunState:
        """Another one with the same content: what is folded into the one does not change the other."""
        copied = {item.name: copy(getattr(self, item.name)) for item in fields(self)}
        copied["losses"] = LossHistory(**{name: list(values) for name, values in vars(self.losses).items()})
        return RunState(**copied)

    def cut_off(self) -> RunState:
        """A copy for who resumes the run: its pauses, its faults and its end are over."""
        cut = self.copy()
        cut.finished, cut.stopping, cut.paused = None, None, False
        cut.alerts, cut.alerts_total = [], 0
        cut.over.clear()
        cut.systems.clear()
        return cut

    @property
    def best(self) -> EpochMetrics | None:
        """The epoch with the best validation Rank-1, the earliest of equals; the baseline does not compete."""
        return best_epoch(self.epochs)

    @property
    def baseline(self) -> EpochMetrics | None:
        return self.epochs[0] if self.epochs and self.epochs[0].epoch == 0 else None

    @property
    def resumable(self) -> bool:
        """Whether the run has come to an end from which it can go on, with the same profile."""
        end = self.finished
        if end is None or end.reason not in {"stopped", "failed"} or not end.folder:
            return False
        return any(saved.kind == "LAST" for saved in self.checkpoints)

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


@dataclass(frozen=True)
class Past(Event):
    """All that a run has said before somebody began to listen, as the state that it came to.

    It is told once, in place of those events and before all others of the run, and is in no file.
    """

    state: RunState  # not changed any more by anyone


def _forget_after(state: RunState, resumed: RunStarted) -> None:
    """A resumed run goes on from its last checkpoint, or begins anew: what came after that will come again."""
    position = resumed.resumed_epoch - 1 + resumed.resumed_batch / max(resumed.batches_per_epoch, 1)
    epochs = sum(row.epoch < resumed.resumed_epoch for row in state.epochs)
    state.epochs, state.epoch_ends = state.epochs[:epochs], state.epoch_ends[:epochs]
    state.epoch_times = state.epoch_times[:epochs]
    state.losses.keep(bisect_right(state.losses.x, position + 1e-9))
    state.began = resumed.time - max([*state.losses.seconds[-1:], *state.epoch_ends[-1:]], default=0.0)
    state.progress, state.patience, state.finished, state.paused, state.stopping = None, None, None, False, None
    state.over |= {alert.kind: resumed.time for alert in state.alerts if alert.kind}  # what still holds is told anew


def _seconds(state: RunState, event: Event) -> float:
    """Seconds of the run at an event; they never go back, though the clock of a machine may."""
    if math.isnan(state.began):
        state.began = event.time
    return max([event.time - state.began, *state.losses.seconds[-1:], *state.epoch_ends[-1:]])


def _log(state: RunState, event: Event) -> None:
    if (logged := log_text(event)) is None:
        return
    level, text = logged
    for line in text.splitlines() or [""]:
        state.log.append((event.time, level, line))
        state.log_total += 1
    _cut_log(state)


def _cut_log(state: RunState) -> None:
    if len(state.log) > 2 * LOG_LINES_KEPT:
        del state.log[:-LOG_LINES_KEPT]


def _cut_alerts(state: RunState) -> None:
    if len(state.alerts) > 2 * ALERTS_KEPT:
        newest = {alert.kind: alert for alert in state.alerts[:-ALERTS_KEPT] if alert.kind}
        state.alerts = [*newest.values(), *state.alerts[-ALERTS_KEPT:]]


def _take_over(state: RunState, past: RunState) -> None:
    """Become what somebody else has folded; the log and the alerts from before stay, in front of its own."""
    before = state.copy()
    for name, value in vars(past.copy()).items():
        setattr(state, name, value)
    state.log, state.alerts = before.log + state.log, before.alerts + state.alerts
    state.log_total += before.log_total
    state.alerts_total += before.alerts_total
    _cut_log(state)
    _cut_alerts(state)


def fold(state: RunState, event: Event) -> RunState:
    """Take one event into the state, and give it back: `reduce(fold, events, RunState())` is a whole run."""
    if isinstance(event, Past):
        _take_over(state, event.state)
        return state
    state.now = event.time
    match event:
        case RunStarted():
            state.started = event
            _forget_after(state, event)
        case Progress():
            state.progress = event
            if event.phase == "train" and event.total and not math.isnan(event.loss):
                state.losses.append(
                    event.epoch - 1 + event.done / event.total,
                    event.loss,
                    event.ce,
                    event.triplet,
                    step=float((event.epoch - 1) * event.total + event.done),
                    seconds=_seconds(state, event),
                    grad_norm=event.grad_norm,
                    lr=event.lr,
                    images_per_second=event.images_per_second,
                )
        case EpochFinished(metrics=metrics):
            state.epochs.append(metrics)
            state.epoch_ends.append(_seconds(state, event))
            state.epoch_times.append(event.time)
        case Patience():
            state.patience = event
        case CheckpointSaved():
            state.checkpoints = [*(saved for saved in state.checkpoints if saved.kind != event.kind), event]
        case Paused():
            state.paused = event.paused
        case Stopping():
            state.stopping = event.after
        case Alert():
            state.alerts.append(event)
            state.alerts_total += 1
            _cut_alerts(state)
        case Cleared():
            state.over[event.kind] = event.time
        case System():
            state.systems.append(event)
        case RunFinished():
            state.finished = event
            state.paused = False
    _log(state, event)
    return state
