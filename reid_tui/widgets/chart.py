"""A panel of curves on shared axes: what is seen of them, how, and the values under a cursor.

    chart = Chart("Rank-1, %", unit="%")
    chart.show([Series("run a", "a", x, y), Series("run b", "b", x, y, best=12.0)])

View, scale, smoothing and cursor belong to the chart; series may be given as often as one likes, and a chart is drawn
anew only if something has changed. `screens/chart_keys.py` has the keys.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from textual import events
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from reid_tui.widgets.axis import XAxis
from reid_tui.widgets.canvas import BRAILLE, Canvas
from reid_tui.widgets.legend import Entry, legend, place_text
from reid_tui.widgets.lines import Lines
from reid_tui.widgets.plot import Frame, Layer, Picture, draw
from reid_tui.widgets.series import Points, Series
from reid_tui.widgets.smoothing import STRENGTHS
from reid_tui.widgets.view import View, panned, showing, within, zoomed

COLOURS = ("$primary", "$accent", "$secondary", "$success", "$foreground")
DASHES = ((1, 0), (6, 3), (2, 2), (1, 3))
ZOOM, WHEEL_ZOOM, PAN = 0.5, 0.8, 0.25


@dataclass
class _Drag:
    """A button that is held: where it was pressed, and what the chart showed then, in how many cells."""

    column: int
    view: View
    width: int
    moved: bool = False


class Chart(Widget, can_focus=True):
    """Curves; see the module.

    Args:
        title: what is shown, for the upper border; cleaned by who gives it.
        unit: "%": the values are shares, and are drawn as percent. Any other is only a word.
        canvas: what it is drawn with.
    """

    ALLOW_SELECT = False  # dragging pans

    log_scale: reactive[bool] = reactive(False)
    smoothing: reactive[float] = reactive(0.0)  # one of STRENGTHS
    canvas: reactive[Canvas] = reactive(BRAILLE)

    class CursorMoved(Message):
        """The person has moved the cursor of this chart; other charts may follow."""

        def __init__(self, chart: Chart, x: float | None) -> None:
            super().__init__()
            self.chart = chart
            self.x = x

    def __init__(self, title: str, *, unit: str = "", canvas: Canvas | None = None, id: str | None = None) -> None:
        super().__init__(id=id, classes="panel")
        self._title = title
        self._unit = unit
        self._axis: XAxis = "epoch"
        self._series: tuple[Series, ...] = ()
        self._points: list[Points] = []
        self._revision = 0
        self._view: View | None = None  # None: everything
        self._cursor: float | None = None
        self._drawn_for: tuple[object, ...] = ()
        self._legend_for: tuple[object, ...] = ()
        self._drawing = Lines([])
        self._picture = Picture([])
        self._drag: _Drag | None = None
        self._selected = False
        self._said: dict[str, Content] = {}  # in the borders; setting them draws all of the panel
        self.drawings = 0  # made so far, for tests
        self.set_reactive(Widget.auto_links, False)  # there are none, and looking for them takes time
        if canvas is not None:
            self.set_reactive(Chart.canvas, canvas)
        self._say_title()

    # What is shown ----------------------------------------------------------------------------------------------

    def show(
        self,
        series: Sequence[Series],
        *,
        title: str | None = None,
        unit: str | None = None,
        axis: XAxis | None = None,
    ) -> None:
        """Take the series, and another title, unit or x axis if they are given; draws only if something has changed."""
        if axis is not None and axis != self._axis:
            self._axis, self._view, self._cursor = axis, None, None
            self._revision += 1
        changed = len(series) != len(self._points) or (unit is not None and unit != self._unit)
        self._unit = self._unit if unit is None else unit
        self._title = self._title if title is None else title
        self._points = [*self._points, *(Points() for _ in series[len(self._points) :])][: len(series)]
        for points, each in zip(self._points, series, strict=True):
            changed = points.take(each) or changed
        looks = [(each.name, each.colour, each.marker, each.dash, each.best) for each in series]
        changed = changed or looks != [
            (each.name, each.colour, each.marker, each.dash, each.best) for each in self._series
        ]
        self._series = tuple(series)
        if changed:
            self._revision += 1
        self._redraw()

    @property
    def title_text(self) -> str:
        return self._title

    @property
    def series(self) -> tuple[Series, ...]:
        return self._series

    @property
    def axis(self) -> XAxis:
        return self._axis

    @property
    def extent(self) -> tuple[float, float]:
        """The limits of the x axis when everything is seen."""
        known = [points.x for points in self._points if len(points.x)]
        low = min((float(x[0]) for x in known), default=0.0)
        high = max((float(x[-1]) for x in known), default=1.0)
        # Axes begin at their zero, unless the data are far from it.
        low = float(np.floor(low)) if self._axis == "epoch" else 0.0 if 0 < low < 0.2 * high else low
        return low, high

    @property
    def view(self) -> View:
        """What is seen of the x axis."""
        return within(self._view, *self.extent)

    @property
    def zoomed_in(self) -> bool:
        return self._view is not None

    @property
    def cursor(self) -> float | None:
        """Where values are read; None: at the end of each series."""
        return self._cursor

    # What is seen of it -----------------------------------------------------------------------------------------

    def zoom(self, factor: float = ZOOM, share: float | None = None) -> None:
        """See `factor` as much, around a share of the width.

        Without a share it is around the cursor, if that is seen; else the newest points stay, if they are seen.
        """
        view = self.view
        if share is None:
            if self._cursor is not None and view.low <= self._cursor <= view.high and view.width > 0:
                share = (self._cursor - view.low) / view.width
            else:
                share = 1.0 if view.follows else 0.5
        self._view = zoomed(view, factor, share, *self.extent)
        self._redraw()

    def pan(self, share: float = PAN) -> None:
        """Move to the right by a share of what is seen."""
        if self._view is not None:
            self._view = panned(self.view, share, *self.extent)
            self._redraw()

    def reset(self) -> None:
        """See everything, and follow the data."""
        self._view = None
        self._redraw()

    def next_smoothing(self) -> None:
        self.smoothing = STRENGTHS[(STRENGTHS.index(self.smoothing) + 1) % len(STRENGTHS)]

    def set_cursor(self, x: float | None) -> None:
        """Put the cursor somewhere, or take it away; says nothing to anybody."""
        self._cursor = x
        self._redraw()

    def move_cursor(self, cells: int) -> None:
        """To the next point with a value that is at least so many cells away; the view follows it."""
        if not self._points:
            return
        view = self.view
        if self._cursor is None:
            self._point_at(view.high)
            return
        step = view.width / max(self._picture.width, 1) * cells
        places = [points.beyond(self._cursor, step) for points in self._points]
        further = [place for place in places if (place - self._cursor) * cells > 0]
        if further:
            self._point_at(min(further) if cells > 0 else max(further))

    def _nearest(self, x: float) -> float:
        """The x of the nearest point with a value in any series; NaN where there is none."""
        places = [place for points in self._points if not math.isnan(place := points.nearest(x))]
        return min(places, key=lambda place: abs(place - x), default=math.nan)

    def _point_at(self, x: float) -> None:
        if not math.isnan(nearest := self._nearest(x)):
            if self._view is not None:
                self._view = showing(self.view, nearest, *self.extent)
            self.set_cursor(nearest)
            self.post_message(self.CursorMoved(self, nearest))

    def mark_selected(self, selected: bool) -> None:
        """Say in the title that keys are for this chart."""
        self._selected = selected
        self._redraw()

    # The mouse --------------------------------------------------------------------------------------------------

    def _share(self, event: events.MouseEvent) -> float | None:
        """Where in the plot the pointer is, as a share of its width."""
        offset = event.get_content_offset_capture(self)
        picture = self._picture
        return None if picture.width < 2 else (offset.x - picture.left) / (picture.width - 1)

    def _wheel(self, event: events.MouseEvent, factor: float) -> None:
        if (share := self._share(event)) is not None:
            event.stop()
            self.zoom(factor, min(max(share, 0.0), 1.0))

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self._wheel(event, WHEEL_ZOOM)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self._wheel(event, 1 / WHEEL_ZOOM)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        if event.button == 1:
            self.capture_mouse()
            self._drag = _Drag(event.screen_x, self.view, max(self._picture.width - 1, 1))

    def on_mouse_move(self, event: events.MouseMove) -> None:
        drag = self._drag
        if drag is not None and (drag.moved or event.screen_x != drag.column):
            drag.moved = True
            if self._view is not None:
                self._view = panned(drag.view, (drag.column - event.screen_x) / drag.width, *self.extent)
                self._redraw()

    def on_mouse_up(self, event: events.MouseUp) -> None:
        drag, self._drag = self._drag, None
        if drag is not None:
            self.release_mouse()
            share = self._share(event)
            if not drag.moved and share is not None and 0 <= share <= 1:
                self._point_at(self.view.at(share))

    # Drawing ----------------------------------------------------------------------------------------------------

    def watch_log_scale(self) -> None:
        self._redraw()

    def watch_smoothing(self) -> None:
        self._redraw()

    def watch_canvas(self) -> None:
        self._redraw()

    def _wanted(self) -> tuple[object, ...]:
        """Everything that the drawing depends on."""
        return (
            self.size,
            self._revision,
            self.view,
            self._cursor,
            self.log_scale,
            self.smoothing,
            self._unit,
            self.canvas,
        )

    def _redraw(self) -> None:
        self._say_title()
        if self._wanted() != self._drawn_for:
            self._say_legend()  # now: said later, it would have all of the panel drawn once more
            self.refresh()

    def _say_title(self) -> None:
        said = ["log"] if self.log_scale else []
        if self.smoothing:
            said.append(f"smoothed {self.smoothing:g}")
        if self._view is not None:
            view = self.view
            said.append("–".join(place_text(place, self._axis, view.width) for place in (view.low, view.high)))
        mark, how = "▸ " if self._selected else "", f" ({', '.join(said)})" if said else ""
        title = Content(f"{mark}{self._title}{how}")
        if self._say("title", title):
            self.border_title = title

    def _say_legend(self) -> None:
        """In the lower border, where it takes no line from the plot."""
        self._legend_for = self._wanted()
        entries = []
        for index, (each, points) in enumerate(zip(self._series, self._points, strict=True)):
            smooth = points.smooth(self.smoothing) if self.smoothing else None
            value = points.value_at(math.inf if self._cursor is None else self._cursor, smooth)
            colour, marker, _ = self._looks(index)
            entries.append(Entry(marker, colour, each.name, each.short, value, smoothed=smooth is not None))
        where = ""
        if self._cursor is not None:
            # Where this chart has a value: that of an epoch is not that of a step in the middle of it.
            read = self._nearest(self._cursor)
            where = "" if math.isnan(read) else place_text(read, self._axis, self.view.width, named=True)
        line = legend(entries, self.size.width - 2, self._unit, where)
        if self._say("legend", line):
            self.border_subtitle = line

    def _say(self, where: str, text: Content) -> bool:
        """Whether the text of a border is another one than that on the screen."""
        before = self._said.get(where)
        self._said[where] = text
        return before is None or before.plain != text.plain or before.spans != text.spans

    def _looks(self, index: int) -> tuple[str, str, tuple[int, int]]:
        """Colour, marker and dash of a series."""
        each = self._series[index]
        colour = each.colour or COLOURS[index % len(COLOURS)]
        return colour, each.marker or self.canvas.marker(index), each.dash or DASHES[index % len(DASHES)]

    def _layers(self) -> list[Layer]:
        factor = 100.0 if self._unit == "%" else 1.0
        fronts, behind = [], []
        for index, (each, points) in enumerate(zip(self._series, self._points, strict=True)):
            colour, marker, dash = self._looks(index)
            best = None if each.best is None else (each.best, points.value_at(each.best) * factor)
            raw = points.y * factor if factor != 1 else points.y
            if self.smoothing:
                behind.append(Layer(points.x, raw, colour, marker, behind=True))
                raw = points.smooth(self.smoothing) * factor
            fronts.append(Layer(points.x, raw, colour, marker, dash, best=best))
        return [*fronts, *behind]

    def render(self) -> Lines:
        wanted = self._wanted()
        if wanted != self._drawn_for:
            self._drawn_for = wanted
            self.drawings += 1
            view = self.view
            frame = Frame(view.low, view.high, self._axis, self.log_scale, self._cursor, self.canvas)
            self._picture = draw(self._layers(), frame, *self.size)
            self._drawing = Lines(self._picture.lines)
            if wanted != self._legend_for:  # the panel has another size
                self.call_after_refresh(self._say_legend)
        return self._drawing
