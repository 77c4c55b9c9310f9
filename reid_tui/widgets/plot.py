"""The drawing of a chart: curves on shared axes, as lines of text. Pure functions; the widget is in `chart.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from textwrap import wrap

import numpy as np
import numpy.typing as npt

from reid_tui.widgets.axis import XAxis, linear_axis, log_axis, place_ticks, tick_label
from reid_tui.widgets.canvas import BRAILLE, Canvas
from reid_tui.widgets.lines import Line
from reid_tui.widgets.raster import Dots, Floats, around, columns, cut, dots, position

AXIS = "$foreground 45%"
BEST = "bold $success"
CURSOR = "$foreground 70%"
FAINT = " 40%"  # of the colour of a series, for what lies behind its smoothed curve
MOST_TICKS, MOST_PLACES = 6, 12  # labels of the value axis and of the x axis
NARROWEST, LEAST_PLOT = 16, 4
LEAST_NAMED = 24  # cells of plot from which on the name of the x axis has room
MOST_ENDS = 3  # cells at the right for the markers of the curves that end there
AT_EDGE = 2  # cells from the right edge: a curve that ends within them has its marker beside the plot
_MARKER_EVERY, _MARKER_SHIFT = 15, 4  # cells between the markers on a curve


@dataclass(frozen=True, eq=False)
class Layer:
    """A curve as it is drawn. Values are those of the axis: percent, not shares."""

    x: Floats
    y: Floats
    colour: str
    marker: str
    dash: tuple[int, int] | None = None
    behind: bool = False  # faint, behind the smoothed curves; it has no marker of its own
    best: tuple[float, float] | None = None


@dataclass(frozen=True)
class Frame:
    """What part of the plane is drawn, and how. `low`, `high`: limits of the x axis."""

    low: float
    high: float
    axis: XAxis = "epoch"
    log: bool = False
    cursor: float | None = None
    canvas: Canvas = BRAILLE


@dataclass(frozen=True)
class Picture:
    """The lines of a chart, and where in them the plot is: `left` cells before it, `width` cells of it; 0: none."""

    lines: list[Line]
    left: int = 0
    width: int = 0


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

    def rows(self, values: Floats, count: int) -> npt.NDArray[np.int64]:
        """The row of each value, counted from the top."""
        return count - 1 - position(self.drawn(values), self.low, self.high, count)


def _known(values: Floats) -> Floats:
    """The values that there are; the same array where all are."""
    finite = np.isfinite(values)
    return values if finite.all() else values[finite]


def _scale(values: list[Floats], rows: int, log: bool) -> _Scale | None:
    """The axis for all curves together; None where there is nothing that could be drawn."""
    values = [each[each > 0] if log else each for each in values]
    values = [each for each in values if len(each)]
    if not values:
        return None
    count = min(max(rows // 2, 2), MOST_TICKS)
    limits = min(float(each.min()) for each in values), max(float(each.max()) for each in values), count
    low, high, ticks = log_axis(*limits) if log else linear_axis(*limits)
    return _Scale(float(np.log10(low)), float(np.log10(high)), ticks, True) if log else _Scale(low, high, ticks, False)


def _why_empty(layers: Sequence[Layer], frame: Frame) -> str:
    if not any(np.isfinite(layer.y).any() for layer in layers):
        return "no values yet"
    seen = any(np.isfinite(cut(layer.x, layer.y, frame.low, frame.high)[1]).any() for layer in layers)
    return "no values above zero" if seen else "no values here · 0 shows all"


def _y_labels(scale: _Scale, rows: int, down: int) -> dict[int, str]:
    step = scale.ticks[1] - scale.ticks[0] if len(scale.ticks) > 1 else 1.0
    labels: dict[int, str] = {}
    # Where two would stand in one row the later one is left out.
    for tick in scale.ticks:
        row = int(scale.rows(np.array([tick]), rows * down)[0]) // down
        labels.setdefault(row, f"{tick:.2g}" if scale.log else tick_label(tick, step))
    return labels


def _x_labels(frame: Frame, width: int) -> str:
    """The bottom line: as many labels of the x axis as fit set into it, its name at the end where there is room."""
    row = [frame.canvas.level] * width
    _, name = place_ticks(frame.low, frame.high, 2, frame.axis)
    room = width
    for count in range(min(width // 6, MOST_PLACES), 1, -1):
        ticks, name = place_ticks(frame.low, frame.high, count, frame.axis)
        ticks = ticks if frame.high > frame.low else ticks[:1]
        room = width - len(name) - 2 if width >= LEAST_NAMED else width
        at = position(np.array([place for place, _ in ticks]), frame.low, frame.high, width).tolist()
        starts = [max(column - len(label) // 2, 0) for column, (_, label) in zip(at, ticks, strict=True)]
        spans = [(start, start + len(label), label) for start, (_, label) in zip(starts, ticks, strict=True)]
        spans = [span for span in spans if span[1] <= room]
        if all(left[1] + 2 <= right[0] for left, right in pairwise(spans)):
            for start, stop, label in spans:
                row[start:stop] = label
            break
    if room < width:
        row[width - len(name) - 1 :] = f" {name}"
    return frame.canvas.corner + "".join(row)


def draw(layers: Sequence[Layer], frame: Frame, width: int, height: int) -> Picture:
    """The lines of a chart: the plot with its y axis, and the x axis. Empty where there is no room."""
    rows, canvas = height - 1, frame.canvas
    if rows < 1 or width < NARROWEST:
        return Picture([])
    near = [around(layer.x, frame.low, frame.high) for layer in layers]
    cuts = [cut(layer.x[part], layer.y[part], frame.low, frame.high) for layer, part in zip(layers, near, strict=True)]
    inside = [_known(y) for _, y in cuts]
    scale = _scale(inside, rows, frame.log)
    if scale is None:
        return Picture([Line.of([(text, "$foreground 60%")]) for text in wrap(_why_empty(layers, frame), width)])
    labels = _y_labels(scale, rows, canvas.down)
    left = max(len(label) for label in labels.values()) + 2
    fronts = [index for index, layer in enumerate(layers) if not layer.behind]
    ends = min(len(fronts), MOST_ENDS)
    plot = width - left - ends
    if plot < LEAST_PLOT:
        return Picture([])

    drawn: list[Dots] = []
    for layer, part in zip(layers, near, strict=True):
        x, y = cut(layer.x[part], scale.drawn(layer.y[part]), frame.low, frame.high)
        dash = None if layer.behind else layer.dash
        low, high = columns(x, y, frame.low, frame.high, plot * canvas.across, dash)
        drawn.append(dots(low, high, scale.low, scale.high, rows * canvas.down))
    grid = _Grid(rows, plot, canvas)
    grid.put(layers, drawn)
    if len(fronts) > 1:
        grid.put_markers(layers)
    if frame.cursor is not None and frame.low <= frame.cursor <= frame.high:
        grid.put_cursor(int(position(np.array([frame.cursor]), frame.low, frame.high, plot)[0]))
    for layer in layers:
        if layer.best is not None and frame.low <= layer.best[0] <= frame.high and np.isfinite(layer.best[1]):
            column = int(position(np.array([layer.best[0]]), frame.low, frame.high, plot * canvas.across)[0])
            row = int(scale.rows(np.array([layer.best[1]]), rows * canvas.down)[0])
            grid.set(row // canvas.down, column // canvas.across, canvas.best, BEST)
    tips: dict[tuple[int, int], Layer] = {}
    for number, index in reversed(list(enumerate(fronts))):
        if len(inside[index]):
            row = int(scale.rows(inside[index][-1:], rows * canvas.down)[0]) // canvas.down
            place = cuts[index][0][np.isfinite(cuts[index][1])][-1:]
            column = int(position(place, frame.low, frame.high, plot)[0])
            if column >= plot - 1 - AT_EDGE:
                tips[row, number % ends] = layers[index]
            else:
                grid.put_end(row, column, layers[index])

    lines = []
    for row in range(rows):
        label = labels.get(row, "")
        parts = [(f"{label:>{left - 2}} {canvas.tick if label else canvas.upright}", AXIS), *grid.row(row)]
        parts += [(tip.marker, tip.colour) if (tip := tips.get((row, place))) else (" ", AXIS) for place in range(ends)]
        lines.append(Line.of(parts))
    lines.append(Line.of([(" " * (left - 1) + _x_labels(frame, plot), AXIS)]))
    return Picture(lines, left, plot)


class _Grid:
    """The cells of a plot: a character and a style each."""

    def __init__(self, rows: int, width: int, canvas: Canvas) -> None:
        self._canvas = canvas
        self._styles: list[str] = [""]
        self._style = np.zeros((rows, width), dtype=np.int64)
        self._text = np.full((rows, width), " ")
        self._patterns: list[npt.NDArray[np.int64]] = []

    def _number(self, style: str) -> int:
        if style not in self._styles:
            self._styles.append(style)
        return self._styles.index(style)

    def put(self, layers: Sequence[Layer], drawn: Sequence[Dots]) -> None:
        """The curves, the first on top. What is behind shows in the cells that no curve in front has."""
        shape = self._style.shape
        patterns = {True: np.zeros(shape, dtype=np.int64), False: np.zeros(shape, dtype=np.int64)}
        styles = {True: np.zeros(shape, dtype=np.int64), False: np.zeros(shape, dtype=np.int64)}
        self._patterns = [self._canvas.cells(each) for each in drawn]
        for layer, mine in reversed(list(zip(layers, self._patterns, strict=True))):
            patterns[layer.behind] |= mine
            styles[layer.behind][mine > 0] = self._number(layer.colour + FAINT * layer.behind)
        front = patterns[False] > 0
        self._style = np.where(front, styles[False], styles[True])
        characters = np.array(list(self._canvas.patterns))
        self._text = characters[np.where(front, patterns[False], patterns[True])]

    def put_markers(self, layers: Sequence[Layer]) -> None:
        """The marker of each curve on it now and then, where it is level and alone: nothing is hidden by it."""
        fronts = [index for index, layer in enumerate(layers) if not layer.behind]
        taken = np.sum([self._patterns[index] > 0 for index in fronts], axis=0)
        for number, index in enumerate(fronts):
            mine = self._patterns[index] > 0
            level = mine.sum(axis=0) == 1
            for column in range(_MARKER_SHIFT * (number + 1), mine.shape[1] - 1, _MARKER_EVERY):
                if level[column] and taken[row := int(mine[:, column].argmax()), column] == 1:
                    self.set(row, column, layers[index].marker, layers[index].colour)

    def put_end(self, row: int, column: int, layer: Layer) -> None:
        """The marker of a curve at its last point; beside the star or the marker of another one that is there."""
        curves = {" ", self._canvas.cursor, layer.marker, *self._canvas.patterns}
        free = [place for place in range(column, self._text.shape[1]) if self._text[row, place] in curves]
        if free:
            self.set(row, free[0], layer.marker, layer.colour)

    def put_cursor(self, column: int) -> None:
        empty = self._text[:, column] == " "
        self._text[empty, column] = self._canvas.cursor
        self._style[empty, column] = self._number(CURSOR)

    def set(self, row: int, column: int, text: str, style: str) -> None:
        self._text[row, column] = text
        self._style[row, column] = self._number(style)

    def row(self, row: int) -> list[tuple[str, str]]:
        """The cells of a row, those of one style together."""
        text, style = "".join(self._text[row].tolist()), self._style[row]
        changes = (np.flatnonzero(np.diff(style)) + 1).tolist()
        spans = zip([0, *changes], [*changes, len(text)], strict=True)
        return [(text[start:stop], self._styles[int(style[start])]) for start, stop in spans]
