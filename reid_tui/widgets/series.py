"""What a chart shows, and the arrays that it is drawn from: copied once, and extended as the lists grow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reid_tui.widgets.raster import Floats
from reid_tui.widgets.smoothing import smoothed


@dataclass(frozen=True)
class Series:
    """One curve.

    Lists may grow at their ends after they were given; where points are changed or taken out, give new lists.

    Args:
        name: for the legend, whatever its width; cleaned by who gives it.
        short: the name where the legend is narrow.
        x: ascending.
        y: NaN where there is no value.
        colour: a colour as Textual has it ("$primary", "#7aa2f7"); empty: the next of the chart's own.
        marker: one cell at the end of the curve and in the legend; empty: the next of the canvas' own.
        dash: dots that are drawn and dots that are not between two points far from each other; none: a full line.
        best: x of the point with the star.
    """

    name: str
    short: str
    x: Sequence[float]
    y: Sequence[float]
    colour: str = ""
    marker: str = ""
    dash: tuple[int, int] | None = None
    best: float | None = None


class Points:
    """The points of a series as arrays. Only what is new is copied; `revision` changes with every change."""

    def __init__(self) -> None:
        self._series: Series | None = None
        self._count = 0
        self._x: Floats = np.empty(0)
        self._y: Floats = np.empty(0)
        self._smooth: tuple[float, Floats] | None = None
        self._known: Floats | None = None
        self.copied = 0  # numbers ever copied, for tests
        self.revision = 0

    def take(self, series: Series) -> bool:
        """Bring the arrays up to the series; whether anything has changed."""
        before, count = self._series, min(len(series.x), len(series.y))
        same = (
            before is not None
            and before.x is series.x
            and before.y is series.y
            and count >= self._count
            and (not self._count or series.x[self._count - 1] == self._x[self._count - 1])
        )
        self._series = series
        if same and count == self._count:
            return False
        start = self._count if same else 0
        if count > len(self._x):
            room = max(2 * count, 256)
            self._x, self._y = _grown(self._x, room), _grown(self._y, room)
        self._x[start:count] = series.x[start:count]
        self._y[start:count] = series.y[start:count]
        self.copied += 2 * (count - start)
        self._count, self._smooth, self._known = count, None, None
        self.revision += 1
        return True

    @property
    def x(self) -> Floats:
        return self._x[: self._count]

    @property
    def y(self) -> Floats:
        return self._y[: self._count]

    def smooth(self, strength: float) -> Floats:
        """The smoothed values; computed once for each change of the points or the strength."""
        if self._smooth is None or self._smooth[0] != strength:
            self._smooth = strength, smoothed(self.x, self.y, strength)
        return self._smooth[1]

    @property
    def _places(self) -> Floats:
        """The x of the points that have a value."""
        if self._known is None:
            self._known = self.x[np.isfinite(self.y) & np.isfinite(self.x)]
        return self._known

    def nearest(self, x: float) -> float:
        """The x of the point with a value that is nearest; NaN where there is none."""
        places = self._places
        if not len(places):
            return math.nan
        if math.isinf(x):
            return float(places[-1] if x > 0 else places[0])
        after = min(int(np.searchsorted(places, x)), len(places) - 1)
        before = max(after - 1, 0)
        return float(places[before] if x - places[before] <= places[after] - x else places[after])

    def beyond(self, x: float, step: float) -> float:
        """The x of the first point with a value that is at least `step` further, to the left if it is negative.

        The last point on that side if none is as far; NaN where there is none.
        """
        places = self._places
        if not len(places):
            return math.nan
        if step > 0:
            return float(places[min(int(np.searchsorted(places, x + step * (1 - 1e-9))), len(places) - 1)])
        return float(places[max(int(np.searchsorted(places, x + step * (1 - 1e-9), side="right")) - 1, 0)])

    def value_at(self, x: float, values: Floats | None = None) -> float:
        """The value of the point nearest to a place, among those that have one; of other `values` if they are given."""
        nearest = self.nearest(x)
        if math.isnan(nearest):
            return math.nan
        first, last = (int(np.searchsorted(self.x, nearest, side=side)) for side in ("left", "right"))
        known = (self.y if values is None else values)[first:last]
        return float(known[np.isfinite(known)][-1])


def _grown(values: Floats, room: int) -> Floats:
    grown = np.empty(room)
    grown[: len(values)] = values
    return grown
