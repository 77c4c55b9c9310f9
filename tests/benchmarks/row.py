"""One line of the table: a figure, what it is held against, and what it is to reach."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A figure; `value` None: it could not be measured, and `detail` says why.

    Attributes:
        what: what was measured, with its size.
        against: the peer or the limit of the same run.
        value: in `unit`.
        target: what it is to reach.
        at_least: whether more is better.
        detail: the medians that it comes from.
    """

    what: str
    against: str
    value: float | None
    unit: str
    target: float | None
    at_least: bool = False
    detail: str = ""

    @property
    def reached(self) -> bool | None:
        """None: there is nothing to reach, or nothing was measured."""
        if self.value is None or self.target is None:
            return None
        return self.value >= self.target if self.at_least else self.value <= self.target


def seconds(call: Callable[[], object]) -> float:
    """How long a call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def alternately(calls: Sequence[Callable[[], object]], rounds: int) -> list[float]:
    """The median seconds of each call, taken in turns so that a busy moment of the machine meets all of them."""
    taken: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for times, call in zip(taken, calls, strict=True):
            times.append(seconds(call))
    return [statistics.median(times) for times in taken]
