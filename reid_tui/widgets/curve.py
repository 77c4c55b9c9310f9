"""A panel of curves on shared axes. Every series has its own marker, so that colour is never needed to read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from reid_tui.text import number
from reid_tui.widgets.axis import linear_axis, log_axis, tick_label
from reid_tui.widgets.braille import BLANK, Floats, cells, columns, dots, position

MARKERS = "●▲■◆"
COLOURS = ("$primary", "$accent", "$secondary", "$success")
AXIS = "$foreground 45%"
MOST_TICKS = 6


@dataclass(frozen=True)
class Series:
    """One curve; `x` ascending, `y` NaN where there is no value. The lists may grow after they were given."""

    name: str
    short: str  # for narrow panels
    x: Sequence[float]
    y: Sequence[float]
    colour: str = ""  # empty: by its place
    marker: str = ""
    dash: tuple[int, int] | None = None  # dot columns that are drawn, and that are not; None: a full line


def _sign(series: Sequence[Series], index: int) -> tuple[str, str]:
    """Marker and colour."""
    each = series[index]
    return each.marker or MARKERS[index % len(MARKERS)], each.colour or COLOURS[index % len(COLOURS)]


@dataclass(frozen=True)
class _Scale:
    """The value axis: limits as they are drawn (logarithms on a log scale), and the labelled values."""

    low: float
    high: float
    ticks: list[float]
    log: bool

    def drawn(self, values: Floats) -> Floats:
        if not self.log:
            return values
        # Zero has no logarithm; it is drawn on the floor, not left out.
        return np.log10(np.where(np.isnan(values), np.nan, np.fmax(values, 10.0**self.low)))


def _scale(values: list[Floats], rows: int, log: bool) -> _Scale | None:
    """The axis for all series together; None where there is nothing that could be drawn."""
    every = np.concatenate(values) if values else np.array([])
    every = every[np.isfinite(every)]
    if log:
        every = every[every > 0]
    if not len(every):
        return None
    count = min(max(rows // 2, 2), MOST_TICKS)
    limits = (float(every.min()), float(every.max()), count)
    low, high, ticks = log_axis(*limits) if log else linear_axis(*limits)
    return _Scale(float(np.log10(low)), float(np.log10(high)), ticks, True) if log else _Scale(low, high, ticks, False)


def _values(series: Sequence[Series], unit: str) -> list[Floats]:
    return [np.asarray(each.y, dtype=np.float64) * (100.0 if unit == "%" else 1.0) for each in series]


def legend(series: Sequence[Series], width: int, unit: str = "") -> Content:
    """Marker, name and last value of each series; short names where it is narrow."""
    values = _values(series, unit)
    lasts = [known[-1] if len(known := each[np.isfinite(each)]) else np.nan for each in values]
    shown = [f"{last:.1f}" if unit == "%" and np.isfinite(last) else number(float(last)) for last in lasts]
    names, shorts = [each.name for each in series], [each.short for each in series]
    signs = [_sign(series, index) for index in range(len(series))]
    for labels, gap in ((names, "   "), (names, "  "), (shorts, "  "), (shorts, " ")):
        parts = [
            Content.assemble((f"{marker} ", colour), label, " ", (text, "bold"))
            for (marker, colour), label, text in zip(signs, labels, shown, strict=True)
        ]
        line = Content(gap).join(parts)
        if line.cell_length <= width:
            return line
    return line.truncate(width, ellipsis=True)


def _label_row(low: float, high: float, width: int, indent: int) -> Content:
    """The bottom line with the labels of the x axis set into it."""
    row = ["─"] * width
    _, _, ticks = linear_axis(low, high, max(width // 8, 3))
    end = -2
    for tick in ticks:
        if not low - 1e-9 <= tick <= high + 1e-9:
            continue
        label = f"{tick:g}"
        at = int(position(np.array([tick]), low, high, width)[0])
        start = min(max(at - len(label) // 2, 0), width - len(label))
        if start >= end + 2 and len(label) <= width:
            row[start : start + len(label)] = label
            end = start + len(label)
    return Content.styled(" " * indent + "└" + "".join(row), AXIS)


def draw_curves(
    series: Sequence[Series], width: int, height: int, *, log: bool = False, unit: str = ""
) -> list[Content]:
    """The lines of a chart: the plot with its y axis, and the x axis. Empty where there is no room."""
    values = _values(series, unit)
    rows = height - 1
    if rows < 1 or width < 16:
        return []
    scale = _scale(values, rows, log)
    if scale is None:
        reason = "no values above zero" if log and any(np.isfinite(each).any() for each in values) else "no values yet"
        return [Content.styled(reason, "$foreground 60%")]
    step = scale.ticks[1] - scale.ticks[0] if len(scale.ticks) > 1 else 1.0
    labels: dict[int, str] = {}
    for tick in scale.ticks:
        dot = int(position(scale.drawn(np.array([tick])), scale.low, scale.high, rows * 4)[0])
        labels.setdefault(rows - 1 - dot // 4, f"{tick:.2g}" if log else tick_label(tick, step))
    indent = max(len(label) for label in labels.values()) + 1
    plot = width - indent - 1 - len(series)
    if plot < 4:
        return []
    times = [np.asarray(each.x, dtype=np.float64) for each in series]
    x_low = np.floor(min((float(each.min()) for each in times if len(each)), default=0.0))
    x_high = max((float(each.max()) for each in times if len(each)), default=1.0)

    patterns = np.zeros((rows, plot), dtype=np.uint8)
    owners = np.zeros((rows, plot), dtype=np.int64)
    ends: dict[tuple[int, int], int] = {}
    for index in reversed(range(len(series))):
        drawn = scale.drawn(values[index])
        low, high = columns(times[index], drawn, x_low, x_high, plot * 2)
        if (dash := series[index].dash) is not None:
            low[np.arange(plot * 2) % sum(dash) >= dash[0]] = np.nan
        mine = cells(dots(low, high, scale.low, scale.high, rows * 4))
        patterns |= mine
        owners[mine > 0] = index
        known = drawn[np.isfinite(drawn)]
        if len(known):
            dot = int(position(known[-1:], scale.low, scale.high, rows * 4)[0])
            ends[rows - 1 - dot // 4, index] = index
    lines = []
    for row in range(rows):
        label = labels.get(row, "")
        parts: list[tuple[str, str] | Content] = [(f"{label:>{indent - 1}} {'┤' if label else '│'}", AXIS)]
        changes = np.flatnonzero(np.diff(owners[row])) + 1
        for start, stop in zip([0, *changes], [*changes, plot], strict=True):
            text = "".join(chr(BLANK + pattern) if pattern else " " for pattern in patterns[row, start:stop].tolist())
            parts.append((text, _sign(series, int(owners[row, start]))[1] if series else AXIS))
        parts += [_sign(series, index) if (row, index) in ends else (" ", AXIS) for index in range(len(series))]
        lines.append(Content.assemble(*parts))
    return [*lines, _label_row(x_low, x_high, plot, indent)]


class Curve(Widget):
    """Curves that are drawn anew only when they have grown, or the panel changed its size."""

    log_scale: reactive[bool] = reactive(False)

    def __init__(self, title: str, *, unit: str = "", id: str | None = None) -> None:
        super().__init__(id=id, classes="panel")
        self._title = title
        self._unit = unit
        self._series: tuple[Series, ...] = ()
        self._lengths: tuple[tuple[int, float], ...] = ()  # and the last time: a long series is thinned
        self._drawn_for: tuple[object, ...] = ()
        self._drawing = Content("")
        self.border_title = title

    def show(self, *series: Series) -> None:
        """Take the series; draws only if one has grown."""
        lengths = tuple((len(each.y), each.x[-1] if each.x else 0.0) for each in series)
        grown = lengths != self._lengths
        self._series, self._lengths = tuple(series), lengths
        if grown:
            self.refresh()

    def forget(self) -> None:
        """What is shown next is drawn whatever was shown before."""
        self._lengths, self._drawn_for = (), ()
        self.refresh()

    def watch_log_scale(self, log_scale: bool) -> None:
        self.border_title = f"{self._title} (log)" if log_scale else self._title

    def _say_legend(self) -> None:
        """In the lower border, where it takes no line from the plot."""
        self.border_subtitle = legend(self._series, self.size.width - 2, self._unit)

    def render(self) -> Content:
        wanted = (self.size, self.log_scale, self._lengths)
        if wanted != self._drawn_for:
            self._drawn_for = wanted
            width, height = self.size
            lines = draw_curves(self._series, width, height, log=self.log_scale, unit=self._unit)
            self._drawing = Content("\n").join(lines)
            self.call_after_refresh(self._say_legend)
        return self._drawing
