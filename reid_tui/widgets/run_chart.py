"""One metric of several runs on shared axes. This is the only place that knows how a chart is told what to draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from textual.content import Content

from core.printable import clean
from core.run_compare import Metric, RunHistory
from reid_tui.cells import cut_middle
from reid_tui.widgets.curve import Curve, Series


@dataclass(frozen=True)
class Sign:
    """How the curve of a run looks: any one of the three tells it from the others in most cases, the marker always."""

    marker: str
    colour: str
    dash: tuple[int, int] | None


# By the slot that a run has got; it keeps it while others come and go.
RUN_SIGNS = (
    Sign("●", "$primary", None),
    Sign("▲", "$accent", (6, 2)),
    Sign("■", "$secondary", (3, 2)),
    Sign("◆", "$success", (1, 2)),
    Sign("○", "$error", (9, 3)),
    Sign("△", "$foreground", (4, 4)),
    Sign("□", "#9d7cd8", (2, 3)),
    Sign("◇", "#c06c9a", (1, 3)),
)
LABEL_MOST = 14  # cells


class RunChart(Curve):
    """A chart whose metric changes; rates are drawn in percent."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__("", id=id)
        self._shown: tuple[object, ...] = ()

    def draw(self, metric: Metric, runs: Sequence[RunHistory], names: Sequence[str], slots: Mapping[Path, int]) -> None:
        """Draw the runs; the first lies on top of the others."""
        shown = (metric, *((run, slots[run.folder]) for run in runs))
        if len(shown) == len(self._shown) and all(new == old for new, old in zip(shown, self._shown, strict=True)):
            return
        self._shown = shown
        self.forget()
        self._title = f"{metric.title}, %" if metric.percent else metric.title
        self.watch_log_scale(self.log_scale)
        series = []
        for run, name in zip(runs, names, strict=True):
            x, y = run.curve(metric)
            sign = RUN_SIGNS[slots[run.folder]]
            label = cut_middle(clean(name), LABEL_MOST)
            values = [100 * value for value in y] if metric.percent else y
            series.append(Series(label, "", x, values, sign.colour, sign.marker, sign.dash))
        self.show(*series)
        if not series:
            self.border_subtitle = Content("")
