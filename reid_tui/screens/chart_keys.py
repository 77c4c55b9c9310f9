"""The keys of charts, for every screen that has some: `class MyScreen(ChartKeys, Screen[None])`.

Keys are for the chart that was selected last. The screen adds `bindings("chart")` to its own, and for the full screen a
rule that hides what is not on the way to the chart: `.-full-chart #numbers { display: none; }`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import events, on
from textual.message_pump import MessagePump

from reid_tui.widgets.chart import PAN, ZOOM, Chart

if TYPE_CHECKING:
    from textual.screen import Screen

    Base = Screen[None]
else:
    Base = MessagePump  # handlers of messages are found in it; styles would be looked for in another kind of base

FULL = "-full-chart"  # class of a screen that shows one chart only; that chart has it, too


class ChartKeys(Base):
    """Mixed into a screen. `charts_selected` is the number of the chart that keys are for."""

    charts_selected = 0

    @property
    def charts(self) -> list[Chart]:
        return list(self.query(Chart))

    @property
    def chart(self) -> Chart:
        """The chart that keys are for."""
        charts = self.charts
        return charts[min(self.charts_selected, len(charts) - 1)]

    @property
    def chart_is_full(self) -> bool:
        return self.has_class(FULL)

    def select_chart(self, number: int) -> None:
        """Keys are for this chart from now on. A chart that fills the screen gives way to it."""
        charts = self.charts
        self.charts_selected = min(number, len(charts) - 1)
        for index, chart in enumerate(charts):
            chart.mark_selected(index == self.charts_selected and len(charts) > 1)
            chart.set_class(self.chart_is_full and index == self.charts_selected, FULL)

    @on(events.DescendantFocus)
    def _chart_focused(self, event: events.DescendantFocus) -> None:
        # As a chart is hidden, Textual hands its focus on, to a hidden one as well; nobody has selected that.
        if isinstance(event.widget, Chart) and all(node.display for node in event.widget.ancestors_with_self):
            self.select_chart(self.charts.index(event.widget))

    @on(Chart.CursorMoved)
    def _cursor_moved(self, message: Chart.CursorMoved) -> None:
        for chart in self.charts:
            if chart is not message.chart and chart.axis == message.chart.axis:
                chart.set_cursor(message.x)

    def action_chart_select(self, number: int) -> None:
        if number < len(self.charts):
            self.select_chart(number)
            if self.chart.focusable:
                self.chart.focus()

    def action_chart_zoom(self, steps: int) -> None:
        self.chart.zoom(ZOOM**steps)

    def action_chart_pan(self, direction: int) -> None:
        self.chart.pan(PAN * direction)

    def action_chart_reset(self) -> None:
        self.chart.reset()

    def action_chart_cursor(self, direction: int) -> None:
        self.chart.move_cursor(direction)

    def action_chart_log_scale(self) -> None:
        self.chart.log_scale = not self.chart.log_scale

    def action_chart_smooth(self) -> None:
        self.chart.next_smoothing()

    def action_chart_full(self) -> None:
        """One chart alone, or all of the screen again."""
        self.set_class(not self.chart_is_full, FULL)
        self.select_chart(self.charts_selected)
        self.charts_placed()
        if self.chart_is_full:
            self.chart.focus()  # what had the focus may be hidden now

    def action_chart_back(self) -> None:
        """From the full screen, or else the cursor away."""
        if self.chart_is_full:
            self.action_chart_full()
            return
        for chart in self.charts:
            chart.set_cursor(None)

    def charts_placed(self) -> None:
        """For the screen: a chart fills it, or does no longer."""
