"""Smoothing of a curve: an exponential moving average, as TensorBoard has it."""

from __future__ import annotations

import math

import numpy as np

from reid_tui.widgets.raster import Floats

# Weight of what came before, from one point to the next at the mean distance of points; 0: none.
STRENGTHS = (0.0, 0.6, 0.9, 0.97, 0.99)
_MOST_DECAY = 300.0  # logarithm of the largest ratio of weights in a block; exp(700) would overflow


def smoothed(x: Floats, y: Floats, strength: float) -> Floats:
    """The average of what came before each point, newer points weighing more; bias-corrected at the beginning.

    Points at even distances get TensorBoard's formula. Where distances differ, the weight falls with the distance, so
    that a dense part does not count for more than its share of the axis; distance is measured by the mean one.

    Args:
        x: (n,) ascending.
        y: (n,) where it is not finite there is no value: it counts for nothing, and stays as a gap.
    """
    result = np.full(len(y), np.nan)
    at = np.flatnonzero(np.isfinite(y) & np.isfinite(x))
    if strength <= 0 or len(at) < 2:
        result[at] = y[at]
        return result
    places, values = x[at], y[at]
    mean = (places[-1] - places[0]) / (len(at) - 1)
    # Age of each point in steps, times the decay of a step: weights are exponentials of it.
    age = (places - places[0]) / mean * -math.log(strength) if mean > 0 else np.zeros(len(at))
    total = weight = 0.0
    start = 0
    while start < len(at):
        # In blocks, each with weights relative to its first point: over all points they would overflow.
        stop = max(int(np.searchsorted(age, age[start] + _MOST_DECAY, side="right")), start + 1)
        weights = np.exp(age[start:stop] - age[start])
        fade = math.exp(age[max(start - 1, 0)] - age[start])
        totals = total * fade + np.cumsum(weights * values[start:stop])
        sums = weight * fade + np.cumsum(weights)
        result[at[start:stop]] = totals / sums
        total, weight = totals[-1] / weights[-1], sums[-1] / weights[-1]
        start = stop
    # Rounding may lead out of what is averaged by a bit.
    return np.asarray(np.clip(result, values.min(), values.max()), dtype=np.float64)
