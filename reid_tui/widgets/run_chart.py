"""One metric of several runs on shared axes. This is the only place that knows how a chart is told what to draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.printable import clean
from core.run_compare import Metric, RunHistory
from reid_tui.cells import cut_middle
from reid_tui.widgets.chart import Chart
from reid_tui.widgets.series import Series


@dataclass(frozen=True)
class Sign:
    """How the curve of a run looks: any one of the three tells it from the others in most cases, the marker always."""

    marker: str
    colour: str
    dash: tuple[int, int]


# By the slot that a run has got; it keeps it while others come and go.
RUN_SIGNS = (
    Sign("●", "$primary", (1, 0)),
    Sign("▲", "$accent", (6, 2)),
    Sign("■", "$secondary", (3, 2)),
    Sign("◆", "$success", (1, 2)),
    Sign("○", "$error", (9, 3)),
    Sign("△", "$foreground", (4, 4)),
    Sign("□", "#9d7cd8", (2, 3)),
    Sign("◇", "#c06c9a", (1, 3)),
)
LABEL_MOST = 14  # cells


class RunChart(Chart):
    """A chart whose metric changes."""

    def draw(self, metric: Metric, runs: Sequence[RunHistory], names: Sequence[str], slots: Mapping[Path, int]) -> None:
        """Draw the runs; the first lies on top of the others."""
        series = []
        for run, name in zip(runs, names, strict=True):
            x, y = run.curve(metric)
            sign = RUN_SIGNS[slots[run.folder]]
            series.append(Series(cut_middle(clean(name), LABEL_MOST), "", x, y, sign.colour, sign.marker, sign.dash))
        title = f"{metric.title}, %" if metric.percent else metric.title
        self.show(series, title=title, unit="%" if metric.percent else "")
