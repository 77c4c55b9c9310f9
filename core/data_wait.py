"""How much of the training is spent waiting for images."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Literal, TypeVar

Item = TypeVar("Item")
_Doing = Literal["idle", "waiting", "working"]
LEAST_SECONDS = 0.05  # of training, for a share that means anything


class DataWait:
    """Kept by the thread that trains, read by any other; a batch costs two looks at the clock.

    Args:
        now: a clock in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._doing: _Doing = "idle"
        self._since = now()
        self._seconds = {"idle": 0.0, "waiting": 0.0, "working": 0.0}

    def over(self, batches: Iterable[Item]) -> Iterator[Item]:
        """The same batches; the time until each comes is waiting, the time until the next is asked for is work."""
        source = iter(batches)
        try:
            while True:
                self._turn_to("waiting")
                try:
                    batch = next(source)
                except StopIteration:
                    return
                self._turn_to("working")
                yield batch
        finally:
            self._turn_to("idle")

    @contextmanager
    def apart(self) -> Iterator[None]:
        """For what is no training: checkpoints, a pause."""
        before = self._doing
        self._turn_to("idle")
        try:
            yield
        finally:
            self._turn_to(before)

    def take(self) -> float:
        """The share in 0..1 since the last call, a wait under way counted; NaN where there was no training."""
        with self._lock:
            self._count()
            waiting, all_of_it = self._seconds["waiting"], self._seconds["waiting"] + self._seconds["working"]
            if all_of_it < LEAST_SECONDS:
                return math.nan
            self._seconds = dict.fromkeys(self._seconds, 0.0)
            return waiting / all_of_it

    def _turn_to(self, doing: _Doing) -> None:
        with self._lock:
            self._count()
            self._doing = doing

    def _count(self) -> None:
        now = self._now()
        self._seconds[self._doing] += now - self._since
        self._since = now
