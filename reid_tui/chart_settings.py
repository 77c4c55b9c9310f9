"""How the charts of a run are set, from one run to the next."""

from __future__ import annotations

from dataclasses import dataclass, field

from reid_tui.widgets.axis import XAxis

LOSSES = ("step.loss", "step.ce", "step.triplet")
RANKS = ("epoch.rank1", "epoch.mAP")


@dataclass
class ChartSetting:
    """How one chart is set."""

    metrics: tuple[str, ...]
    log_scale: bool = False
    smoothing: float = 0.0


@dataclass
class ChartSettings:
    """How the charts of a run are set; the app keeps it from one run to the next."""

    charts: list[ChartSetting] = field(default_factory=lambda: [ChartSetting(LOSSES), ChartSetting(RANKS)])
    axis: XAxis = "epoch"
    selected: int = 0
