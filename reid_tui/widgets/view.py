"""Which part of the x axis is seen. Pure arithmetic: a view never leaves the data, and never shrinks to nothing."""

from __future__ import annotations

from dataclasses import dataclass

NARROWEST = 1e-4  # of the whole extent


@dataclass(frozen=True)
class View:
    """A part of the x axis, and whether it moves along as the data grow at their end."""

    low: float
    high: float
    follows: bool

    @property
    def width(self) -> float:
        return self.high - self.low

    def at(self, share: float) -> float:
        """The x at a share of the width."""
        return self.low + share * self.width


def whole(low: float, high: float) -> View:
    return View(low, high, True)


def within(view: View | None, low: float, high: float) -> View:
    """A view of data from `low` to `high`: all of them for None or for one that is as wide, moved inside otherwise."""
    if view is None or not 0 < view.width < high - low:
        return whole(low, high)
    if view.follows or view.high >= high:
        return View(high - view.width, high, view.follows)
    return View(low, low + view.width, False) if view.low < low else view


def zoomed(view: View, factor: float, share: float, low: float, high: float) -> View | None:
    """`factor` times as wide, with the x at `share` of the width where it was; None: all of it.

    One that ended with the data still does, if it is zoomed there or at its middle by a key.
    """
    least = (high - low) * NARROWEST
    width = max(view.width * factor, least)
    if not width < (high - low) * (1 - 1e-9):
        return None
    first = view.at(share) - share * width
    first = min(max(first, low), high - width)
    return View(first, first + width, first + width >= high - 1e-9 * (high - low))


def panned(view: View, share: float, low: float, high: float) -> View:
    """Moved to the right by a share of its width, no further than the data go."""
    first = min(max(view.low + share * view.width, low), high - view.width)
    return View(first, first + view.width, first + view.width >= high - 1e-9 * (high - low))


def showing(view: View, x: float, low: float, high: float) -> View:
    """Moved as little as needed for `x` to be seen."""
    if view.low <= x <= view.high:
        return view
    return panned(view, ((x - view.low) if x < view.low else (x - view.high)) / view.width, low, high)
