"""The two charts of a run: which metrics they show, over what, and how the person has set them."""

from __future__ import annotations

from core.run_state import RunState
from reid_tui.chart_settings import ChartSetting, ChartSettings
from reid_tui.metrics import GROUPS, RunCurves, chart_title, in_one_chart
from reid_tui.remembered import remember
from reid_tui.screens.chart_keys import ChartKeys
from reid_tui.screens.metric_picker import MetricPicker
from reid_tui.widgets.axis import XAxis

AXES: tuple[XAxis, ...] = ("epoch", "step", "time")


class RunCharts(ChartKeys):
    """Mixed into the dashboard: the charts of one run, and the keys that are about runs."""

    run_curves: RunCurves
    _settings: ChartSettings
    _charted: RunState

    def begin_charts(self) -> None:
        """Once, when the charts are there: set them as they were for the run before."""
        self.run_curves = RunCurves()
        self._charted = RunState()
        settings = getattr(self.app, "chart_settings", None)
        self._settings = settings if isinstance(settings, ChartSettings) else ChartSettings()
        for chart, setting in zip(self.charts, self._settings.charts, strict=True):
            chart.log_scale, chart.smoothing = setting.log_scale, setting.smoothing
        self.select_chart(self._settings.selected)

    def show_charts(self, state: RunState) -> None:
        """Hand what is new to the charts, which draw only what has changed."""
        self._charted = state
        self.run_curves.take(state)
        for chart, setting in zip(self.charts, self._settings.charts, strict=True):
            metrics = in_one_chart(setting.metrics)
            chart.show(
                [self.run_curves.series(metric, self._settings.axis) for metric in metrics],
                title=chart_title(metrics),
                unit=GROUPS[metrics[0].group][1] if metrics else "",
                axis=self._settings.axis,
            )

    @property
    def _setting(self) -> ChartSetting:
        return self._settings.charts[self.charts_selected]

    def select_chart(self, number: int) -> None:
        super().select_chart(number)
        self._settings.selected = self.charts_selected

    def action_chart_log_scale(self) -> None:
        super().action_chart_log_scale()
        self._setting.log_scale = self.chart.log_scale
        if self.charts_selected == 0:
            remember(self.app, log_scale=self.chart.log_scale)

    def action_chart_smooth(self) -> None:
        super().action_chart_smooth()
        self._setting.smoothing = self.chart.smoothing

    def action_chart_axis(self) -> None:
        """The next x axis, for all charts together: they have the cursor in common."""
        self._settings.axis = AXES[(AXES.index(self._settings.axis) + 1) % len(AXES)]
        self.show_charts(self._charted)

    def action_chart_metrics(self) -> None:
        number = self.charts_selected
        title = "First chart shows" if number == 0 else "Second chart shows"

        def picked(ids: tuple[str, ...] | None) -> None:
            if ids:
                self._settings.charts[number].metrics = ids
                self.charts[number].reset()
                self.show_charts(self._charted)

        self.app.push_screen(MetricPicker(title, self._setting.metrics), picked)
