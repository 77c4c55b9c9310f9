"""Where the labels of an axis stand: round numbers, linear or logarithmic. Pure functions."""

from __future__ import annotations

import math
from typing import Literal

# What a chart is drawn over: epochs, batches, or seconds.
XAxis = Literal["epoch", "step", "time"]
_TIME_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)


def round_step(extent: float, count: int) -> float:
    """The smallest of 1, 2, 5 x 10^k that needs at most `count` steps for `extent`."""
    raw = extent / max(count, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    return next((factor * power for factor in (1, 2, 5) if factor * power >= raw * (1 - 1e-9)), 10 * power)


def linear_axis(low: float, high: float, count: int) -> tuple[float, float, list[float]]:
    """Limits widened to round numbers, and the labels in between; the limits alone where there is room for few."""
    if not high - low > max(1e-9 * max(abs(low), abs(high)), 1e-300):
        spread = abs(high) * 0.1 or 1.0
        low, high = low - spread, high + spread
    fine = round_step(high - low, 12)
    low, high = math.floor(low / fine + 1e-9) * fine, math.ceil(high / fine - 1e-9) * fine
    step = round_step(high - low, count)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    ticks = [index * step for index in range(first, last + 1)]
    return low, high, ticks if len(ticks) > 1 and count > 2 else [low, high]


def log_axis(low: float, high: float, count: int) -> tuple[float, float, list[float]]:
    """The same for a logarithmic axis, in the values themselves: 1, 2 and 5 of each decade, or decades alone."""
    if not high > low * (1 + 1e-9):
        low, high = low / 2, high * 2
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        ticks = [factor * 10.0**decade for decade in decades for factor in factors]
        inside = [tick for tick in ticks if low <= tick <= high]
        if 2 <= len(inside) <= count + 1:
            return low, high, inside
    if len(inside) < 2:
        return low, high, [low, high]
    return low, high, inside[:: math.ceil(len(inside) / (count + 1))]


def tick_label(value: float, step: float) -> str:
    """A label with as many decimals as its step needs."""
    if value != 0 and not 1e-4 <= abs(value) < 1e5:
        return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e+")
    decimals = max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 2
    return f"{value + 0.0:.{min(decimals, 4)}f}"


def place_ticks(low: float, high: float, count: int, axis: XAxis) -> tuple[list[tuple[float, str]], str]:
    """At most `count` + 1 labelled places between the limits, and what the axis is called.

    Times are m:ss, or h:mm from an hour on; the name says which.
    """
    if not high > low:
        high = low + 1.0
    step = round_step(high - low, count)
    if axis == "time":
        step = _time_step(high - low, count, step)
    elif axis == "step":
        step = max(step, 1.0)
    hours = axis == "time" and high >= 3600
    places = [at * step for at in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
    if axis == "time":
        name = "time h:mm" if hours and step >= 60 else "time h:mm:ss" if hours else "time m:ss"
        return [(place, _time_label(place, step, hours)) for place in places], name
    return [(place, place_label(place, step)) for place in places], axis


def _time_step(extent: float, count: int, round_one: float) -> float:
    if round_one < 1:
        return round_one
    fits = (float(step) for step in _TIME_STEPS if extent / step <= count)
    return next(fits, round_step(extent / 86400, count) * 86400)


def _time_label(seconds: float, step: float, hours: bool) -> str:
    if step < 1:
        whole = math.floor(seconds + 1e-9)
        decimals = max(1, -math.floor(math.log10(step) + 1e-9))
        return f"{whole // 60}:{seconds - whole // 60 * 60:0{3 + decimals}.{decimals}f}"
    whole = round(seconds)
    if hours:
        label = f"{whole // 3600}:{whole // 60 % 60:02}"
        return label if step >= 60 else f"{label}:{whole % 60:02}"
    return f"{whole // 60}:{whole % 60:02}"


def place_label(place: float, step: float) -> str:
    """1200 -> "1200", 12000 -> "12k", 2500000 -> "2.5M"; decimals as the step needs them."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(place) >= 10 * size / (1 if letter == "k" else 10) and step >= size / 1000:
            decimals = max(0, -math.floor(math.log10(step / size) + 1e-9))
            return f"{place / size:.{min(decimals, 3)}f}{letter}"
    decimals = max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 0
    return f"{place + 0.0:.{min(decimals, 6)}f}"
