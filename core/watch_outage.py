"""What the rules of the watch are made of: a verdict, and the usual value of a series."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Finding:
    """A rule's verdict after an event.

    `bad` is None between the two thresholds of a rule, and where there is too little to judge by: what was so stays so.
    """

    kind: str
    bad: bool | None
    since: float = math.nan  # seconds since the epoch
    words: str = ""  # what is wrong, and what to do


class Usual:
    """Median and spread of the newest readings, which a few outliers don't move.

    Args:
        size: readings that count.
        least: with fewer than these, nothing is usual yet.
    """

    def __init__(self, size: int, least: int) -> None:
        self._values: deque[float] = deque(maxlen=size)
        self._least = least

    def add(self, value: float) -> None:
        self._values.append(value)

    @property
    def known(self) -> bool:
        return len(self._values) >= self._least

    def median_and_spread(self) -> tuple[float, float]:
        """The median, and the standard deviation as the median of the distances from it gives it (x 1.4826)."""
        middle = median(self._values)
        return middle, 1.4826 * median(abs(value - middle) for value in self._values)
