"""Curves as dots. Pure functions on arrays; `canvas.py` makes characters of the dots.

A dot column shows the whole range between the smallest and the largest of its points, so that a single spike among
100,000 points is seen; the cost does not grow with the height and hardly with the number of points.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Dots = npt.NDArray[np.bool_]


def position(values: Floats, low: float, high: float, steps: int) -> npt.NDArray[np.int64]:
    """Which of `steps` equal steps between `low` and `high` each value is in; outside it is the nearest end.

    Where `low` equals `high` it is the middle one.
    """
    # Halved before they are subtracted: the difference of two huge numbers would overflow.
    half = high / 2 - low / 2
    if not half > 0:
        return np.full(len(values), (steps - 1) // 2, dtype=np.int64)
    share = (values / 2 - low / 2) / half
    return np.clip(np.rint(share * (steps - 1)), 0, steps - 1).astype(np.int64)


def around(x: Floats, low: float, high: float) -> slice:
    """The points between two places, with the neighbours outside to which their line goes on."""
    start, stop = int(np.searchsorted(x, low, side="left")), int(np.searchsorted(x, high, side="right"))
    return slice(max(start - 1, 0), min(stop + 1, len(x)))


def cut(x: Floats, y: Floats, low: float, high: float) -> tuple[Floats, Floats]:
    """The points between two places, and where the line to the next point outside crosses them."""
    start, stop = int(np.searchsorted(x, low, side="left")), int(np.searchsorted(x, high, side="right"))
    first, last = _crossing(x, y, start, low), _crossing(x, y, stop, high)
    if not len(first) and not len(last):
        return x[start:stop], y[start:stop]
    places = np.concatenate([first[:1], x[start:stop], last[:1]])
    return places, np.concatenate([first[1:], y[start:stop], last[1:]])


def _crossing(x: Floats, y: Floats, after: int, place: float) -> Floats:
    """(x, y) on the line from the point before `after` to that one; empty where there is none, or a point there."""
    if not 0 < after < len(x) or place in (x[after - 1], x[after]):
        return np.empty(0)
    share = (place - x[after - 1]) / (x[after] - x[after - 1])
    with np.errstate(invalid="ignore"):  # infinite ones break the line
        return np.array([place, y[after - 1] * (1 - share) + y[after] * share])


def columns(
    x: Floats, y: Floats, x_low: float, x_high: float, width: int, dash: tuple[int, int] | None = None
) -> tuple[Floats, Floats]:
    """Smallest and largest value of each of `width` dot columns, NaN where there is nothing to draw.

    Points that follow each other are joined by a straight line; a NaN among the points breaks it.

    Args:
        x: (n,) ascending, finite.
        y: (n,) NaN or infinite where there is no value.
        dash: dot columns that are drawn, and that are not, of a line between two points; points are always drawn.
    """
    low, high = np.full(width, np.nan), np.full(width, np.nan)
    real = np.flatnonzero(np.isfinite(y))
    if not len(real):
        return low, high
    values = y[real]
    column = position(x[real], x_low, x_high, width)
    # Columns ascend, as x does: each is a stretch of points. What follows is about columns, few, not about points.
    first = np.flatnonzero(np.diff(column, prepend=-1))
    low[column[first]] = np.minimum.reduceat(values, first)
    high[column[first]] = np.maximum.reduceat(values, first)

    # Lines from the last point of a column to the first one of the next that has any.
    joined = first[1:][real[first[1:]] - real[first[1:] - 1] == 1]
    start, stop = column[joined - 1], column[joined]
    # linked[c]: a line goes on from column c to c + 1.
    steps = np.bincount(start, minlength=width + 1) - np.bincount(stop, minlength=width + 1)
    linked = np.cumsum(steps)[: width - 1] > 0
    between = np.flatnonzero(np.isnan(low[1:-1]) & linked[:-1] & linked[1:]) + 1
    if len(between):
        line = np.searchsorted(stop, between)
        share = (between - start[line]) / (stop[line] - start[line])
        low[between] = high[between] = values[joined[line] - 1] * (1 - share) + values[joined[line]] * share

    # Neighbours that do not touch meet half-way.
    falls = linked & (low[:-1] > high[1:])
    climbs = linked & (high[:-1] < low[1:])
    down = np.where(falls, low[:-1] / 2 + high[1:] / 2, np.nan)
    up = np.where(climbs, high[:-1] / 2 + low[1:] / 2, np.nan)
    low[:-1], high[1:] = np.fmin(low[:-1], down), np.fmax(high[1:], down)
    high[:-1], low[1:] = np.fmax(high[:-1], up), np.fmin(low[1:], up)
    if dash is not None:
        gaps = between[between % sum(dash) >= dash[0]]
        low[gaps] = high[gaps] = np.nan
    return low, high


def dots(low: Floats, high: Floats, y_low: float, y_high: float, height: int) -> Dots:
    """(height, width) of dots that are set; row 0 is the top, which is `y_high`."""
    there = ~np.isnan(low)
    bottom = height - 1 - position(np.nan_to_num(low), y_low, y_high, height)
    top = height - 1 - position(np.nan_to_num(high), y_low, y_high, height)
    rows = np.arange(height)[:, None]
    return there & (rows >= top) & (rows <= bottom)
