"""The numbers of training batches on their way from the device: to the sums of the epoch, and to the screen."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from core.step import TrainStep
from core.sums import Sums

RATE_MEMORY = 3.0  # seconds over which the displayed speed is smoothed


class BatchNumbers:
    """Adds the numbers up, and says now and then what there is to show.

    On CUDA they come some time after they were sent for. What is shown is of the batches and of the time between two
    such sendings, so that the speed is right however late they are.

    Args:
        step: gives the numbers.
        sums: of the epoch so far; every batch is added to it, once and in order.
        now: a clock in seconds.
    """

    def __init__(self, step: TrainStep, sums: Sums, now: Callable[[], float] = time.monotonic) -> None:
        self._step, self._sums, self._now = step, sums, now
        self._window = Sums()  # of the batches that were not shown yet
        self._since = now()  # when that of the last ones that were shown was sent for
        self._sent: float | None = None  # when that which is on its way was
        self.rate = math.nan  # images per second, smoothed

    def take(self) -> None:
        """Wait for all numbers, and add them.

        Raises:
            NotFiniteError: one of them was not finite.
        """
        self._add(self._step.read())
        self._sent = None

    def look(self, every: float, *, last: bool) -> Sums | None:
        """The sums over what is to be shown now; None: it is not time, or they are on their way. `rate` is of them.

        Args:
            every: seconds from one sending to the next.
            last: no batch comes after this one, and the numbers are waited for.

        Raises:
            NotFiniteError: as of `take`.
        """
        if last:
            self.take()
            until: float | None = self._now()
        else:
            until = self._until(every)
        if until is None:
            return None
        window, seconds = self._window, max(until - self._since, 1e-9)
        self._window, self._since = Sums(), until
        rate = window.images / seconds
        self.rate = rate if math.isnan(self.rate) else rate + math.exp(-seconds / RATE_MEMORY) * (self.rate - rate)
        return window

    def _until(self, every: float) -> float | None:
        """When that which is here by now was sent for, if it is time to show it."""
        if self._sent is None:
            now = self._now()
            if now - self._since < every:
                return None
            if not self._step.send():
                return now  # every batch since was passed over
            self._sent = now
        if not (come := self._step.read(wait=False)):
            return None
        self._add(come)
        until, self._sent = self._sent, None
        return until

    def hold(self, seconds: float) -> None:
        """So many seconds have just gone by without training."""
        self._since += seconds
        if self._sent is not None:
            self._sent += seconds

    def _add(self, batches: list[Sums]) -> None:
        for batch in batches:
            self._sums.add(batch)
            self._window.add(batch)
