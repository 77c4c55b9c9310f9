"""Runs one after another: which wait, which is at work, how the others ended, and when the next begins. No screen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from core.events import NAN
from core.run_state import RunState

if TYPE_CHECKING:
    from core.profile import Profile

QueueStanding = Literal["waiting", "running", "done", "stopped", "failed", "dropped", "handed-over"]
PAUSE_SECONDS = 5.0  # between two runs: time to read how the last one ended, or to hold the queue


@dataclass(eq=False)
class QueuedRun:
    """A run of the queue; what is not known is NaN or empty. Rates are in 0..1."""

    title: str
    profile: Profile
    standing: QueueStanding = "waiting"
    rank1: float = NAN  # of the best epoch
    mAP: float = NAN  # noqa: N815 - the field's own name
    epoch: int = 0  # the best one
    folder: str = ""
    message: str = ""  # how it ended


@dataclass
class RunQueue:
    """The runs in the order in which they begin: those that have ended or are at work come before those that wait.

    Args:
        runs: what it begins with.
        held: whether the next run waits for a word of the person.
    """

    runs: list[QueuedRun] = field(default_factory=list)
    held: bool = False
    _due: float | None = None  # on the clock of the caller: when the next run begins

    # Runs ---------------------------------------------------------------------------------------------------------

    def add(self, title: str, profile: Profile) -> QueuedRun:
        """Put a run behind all others."""
        run = QueuedRun(title, profile)
        self.runs.append(run)
        return run

    @property
    def waiting(self) -> list[QueuedRun]:
        return self.having("waiting")

    @property
    def running(self) -> QueuedRun | None:
        return next(iter(self.having("running")), None)

    @property
    def ended(self) -> list[QueuedRun]:
        return self.having("done", "stopped", "failed")

    def having(self, *standings: QueueStanding) -> list[QueuedRun]:
        return [run for run in self.runs if run.standing in standings]

    def move(self, run: QueuedRun, by: Literal[-1, 1]) -> bool:
        """Let a waiting run change places with the waiting one before or behind it; False where there is none."""
        waiting = self.waiting
        if run not in waiting or not 0 <= (place := waiting.index(run) + by) < len(waiting):
            return False
        one, other = self.runs.index(run), self.runs.index(waiting[place])
        self.runs[one], self.runs[other] = self.runs[other], self.runs[one]
        return True

    def remove(self, run: QueuedRun) -> bool:
        """Take out a run that waits; False: it does not."""
        if run.standing != "waiting" or run not in self.runs:
            return False
        self.runs.remove(run)
        if not self.waiting:
            self._due = None
        return True

    def drop_waiting(self) -> list[QueuedRun]:
        """Nothing begins any more; gives the runs that will not."""
        dropped = self.waiting
        for run in dropped:
            run.standing = "dropped"
        self._due = None
        return dropped

    # What happens to them -----------------------------------------------------------------------------------------

    def begin(self, run: QueuedRun) -> None:
        """It is at work now. It stands before those that wait, whichever it was."""
        run.standing, self._due, self.held = "running", None, False
        self.runs.remove(run)
        self.runs.insert(len(self.having("done", "stopped", "failed", "running")), run)

    def begin_new(self, title: str, profile: Profile) -> QueuedRun:
        """A run that does not wait at all."""
        run = self.add(title, profile)
        self.begin(run)
        return run

    def end(self, state: RunState) -> None:
        """The run at work has ended; `state` tells how."""
        run = self.running
        if run is None:
            return
        finished, best = state.finished, state.best
        good = finished is not None and finished.reason in {"finished", "early-stop"}
        run.standing = "done" if good else "stopped" if finished and finished.reason == "stopped" else "failed"
        run.message = finished.message if finished else "it ended without a last word"
        run.folder = state.started.folder if state.started else finished.folder if finished else ""
        if best is not None:
            run.rank1, run.mAP, run.epoch = best.rank1, best.mAP, best.epoch

    # When the next one begins -------------------------------------------------------------------------------------

    def count_down(self, now: float, seconds: float = PAUSE_SECONDS) -> None:
        """The last run is over: the next begins in so many seconds. Times are in seconds, on any clock."""
        self._due = now + seconds if self.waiting else None

    def seconds_left(self, now: float) -> float | None:
        """Until the next run begins; None: it does not begin by itself, for it is held, or none waits or is over."""
        if self._due is None or self.held or self.running is not None or not self.waiting:
            return None
        return max(self._due - now, 0.0)

    def hold(self) -> None:
        self.held = True

    def go_on(self, now: float) -> None:
        """After `hold`: the next begins at once, as soon as none is at work."""
        self.held = False
        if self.running is None:
            self.count_down(now, 0.0)


def best_of(runs: Iterable[QueuedRun]) -> QueuedRun | None:
    """The run with the best Rank-1, the earliest of equals."""
    known = [run for run in runs if run.rank1 == run.rank1]
    return max(known, key=lambda run: run.rank1, default=None)
