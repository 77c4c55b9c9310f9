"""Curves as braille cells: a cell is two dots wide and four high. Pure functions on arrays.

A dot column shows the whole range between the smallest and the largest of its points, so that a single spike among
100,000 points is seen; the cost does not grow with the height and hardly with the number of points.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Dots = npt.NDArray[np.bool_]

BLANK = 0x2800
# Bit of each dot of a cell, by its row and column.
_BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]], dtype=np.uint8)


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


def columns(x: Floats, y: Floats, x_low: float, x_high: float, width: int) -> tuple[Floats, Floats]:
    """Smallest and largest value of each of `width` dot columns, NaN where there is nothing to draw.

    Points that follow each other are joined by a straight line; a NaN among the points breaks it.

    Args:
        x: (n,) ascending.
        y: (n,) NaN or infinite where there is no value.
    """
    low, high = np.full(width, np.nan), np.full(width, np.nan)
    real = np.flatnonzero(np.isfinite(y) & np.isfinite(x))
    if not len(real):
        return low, high
    values = y[real]
    column = position(x[real], x_low, x_high, width)
    np.fmin.at(low, column, values)
    np.fmax.at(high, column, values)

    # linked[c]: a line goes on from column c to c + 1.
    joined = np.diff(real) == 1
    steps = np.zeros(width + 1, dtype=np.int64)
    np.add.at(steps, column[:-1][joined], 1)
    np.subtract.at(steps, column[1:][joined], 1)
    linked = np.cumsum(steps)[: width - 1] > 0
    between = np.flatnonzero(np.isnan(low[1:-1]) & linked[:-1] & linked[1:]) + 1
    # A column's own last point starts the line to the next column that has any.
    low[between] = high[between] = np.interp(between, column, values)

    # Neighbours that do not touch meet half-way.
    falls = linked & (low[:-1] > high[1:])
    climbs = linked & (high[:-1] < low[1:])
    down = np.where(falls, low[:-1] / 2 + high[1:] / 2, np.nan)
    up = np.where(climbs, high[:-1] / 2 + low[1:] / 2, np.nan)
    low[:-1], high[1:] = np.fmin(low[:-1], down), np.fmax(high[1:], down)
    high[:-1], low[1:] = np.fmax(high[:-1], up), np.fmin(low[1:], up)
    return low, high


def dots(low: Floats, high: Floats, y_low: float, y_high: float, height: int) -> Dots:
    """(height, width) of dots that are set; row 0 is the top, which is `y_high`."""
    there = ~np.isnan(low)
    bottom = height - 1 - position(np.nan_to_num(low), y_low, y_high, height)
    top = height - 1 - position(np.nan_to_num(high), y_low, y_high, height)
    rows = np.arange(height)[:, None]
    return there & (rows >= top) & (rows <= bottom)


def cells(drawn: Dots) -> npt.NDArray[np.uint8]:
    """(height / 4, width / 2) of braille patterns, 0 where a cell is empty; `chr(BLANK + pattern)` is its character."""
    height, width = drawn.shape
    blocks = drawn.reshape(height // 4, 4, width // 2, 2)
    return np.asarray((blocks * _BITS[None, :, None, :]).sum(axis=(1, 3)), dtype=np.uint8)
