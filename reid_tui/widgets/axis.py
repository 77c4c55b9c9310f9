"""Where the labels of an axis stand: round numbers, linear or logarithmic. Pure functions."""

from __future__ import annotations

import math


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
