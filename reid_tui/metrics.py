"""What a chart of a run can show: every metric that a run says per step or per epoch, as the series of a chart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Literal

from core.events import EpochMetrics
from core.run_state import LossHistory, RunState
from reid_tui.widgets.axis import XAxis
from reid_tui.widgets.series import Series

Group = Literal["loss", "rank", "norm", "lr", "speed", "seconds"]
# Title of a chart, and the unit of its values.
GROUPS: dict[Group, tuple[str, str]] = {
    "loss": ("Loss", ""),
    "rank": ("Ranks and mAP", "%"),
    "norm": ("Gradient norm", ""),
    "lr": ("Learning rate", ""),
    "speed": ("Images per second", "img/s"),
    "seconds": ("Time of an epoch", "s"),
}


@dataclass(frozen=True)
class Metric:
    """One thing that is measured. Metrics of a group have a unit in common, and may share a chart.

    Args:
        id: "step." and the name of a list of `LossHistory`, or "epoch." and that of a field of `EpochMetrics`.
        name: as the legend has it; `short` where that is narrow.
        told: what it is, for the list to pick from.
    """

    id: str
    group: Group
    name: str
    short: str
    told: str

    @property
    def per_step(self) -> bool:
        return self.id.startswith("step.")

    @property
    def field(self) -> str:
        return self.id.partition(".")[2]


METRICS: tuple[Metric, ...] = (
    Metric("step.loss", "loss", "total", "tot", "loss per step: cross-entropy and triplet"),
    Metric("step.ce", "loss", "CE", "CE", "cross-entropy per step"),
    Metric("step.triplet", "loss", "triplet", "tri", "triplet loss per step"),
    Metric("epoch.loss", "loss", "total/epoch", "tot/e", "mean loss of an epoch"),
    Metric("epoch.ce", "loss", "CE/epoch", "CE/e", "mean cross-entropy of an epoch"),
    Metric("epoch.triplet", "loss", "triplet/epoch", "tri/e", "mean triplet loss of an epoch"),
    Metric("epoch.rank1", "rank", "Rank-1", "R-1", "Rank-1 of the validation"),
    Metric("epoch.rank5", "rank", "Rank-5", "R-5", "Rank-5 of the validation"),
    Metric("epoch.rank10", "rank", "Rank-10", "R-10", "Rank-10 of the validation"),
    Metric("epoch.mAP", "rank", "mAP", "mAP", "mean average precision"),
    Metric("epoch.mINP", "rank", "mINP", "mINP", "mean inverse negative penalty"),
    Metric("epoch.train_rank1", "rank", "train R-1", "tR1", "right identity first, in training"),
    Metric("epoch.train_rank5", "rank", "train R-5", "tR5", "right identity among 5, in training"),
    Metric("epoch.train_rank10", "rank", "train R-10", "tR10", "right identity among 10, in training"),
    Metric("step.grad_norm", "norm", "norm", "norm", "gradient norm per step, before clipping"),
    Metric("epoch.grad_norm", "norm", "norm/epoch", "norm/e", "mean gradient norm of an epoch"),
    Metric("step.lr", "lr", "lr", "lr", "learning rate of the backbone per step"),
    Metric("epoch.lr", "lr", "lr/epoch", "lr/e", "learning rate of the backbone per epoch"),
    Metric("epoch.classifier_lr", "lr", "classifier", "cls", "learning rate of the classifier"),
    Metric("step.images_per_second", "speed", "img/s", "img/s", "images per second, per step"),
    Metric("epoch.images_per_second", "speed", "img/s/epoch", "i/s/e", "images per second of an epoch"),
    Metric("epoch.seconds", "seconds", "epoch", "ep", "seconds of an epoch, with its validation"),
)
BY_ID = {metric.id: metric for metric in METRICS}


def in_one_chart(ids: Iterable[str]) -> list[Metric]:
    """The metrics with these names, in the order of the table, without those of another group than the first."""
    wanted = set(ids)
    found = [metric for metric in METRICS if metric.id in wanted]
    return [metric for metric in found if metric.group == found[0].group]


def chart_title(metrics: Sequence[Metric]) -> str:
    """What a chart of these metrics is called: by their names, or by what they have in common."""
    if not metrics:
        return "Nothing picked"
    title, unit = GROUPS[metrics[0].group]
    if metrics[0].group == "rank" and len(metrics) <= 2:
        title = " and ".join(metric.name for metric in metrics)
    return f"{title}, {unit}" if unit in {"%", "s"} else title


class RunCurves:
    """The series of one run. Lists of epochs grow with the run, so that a chart copies only what is new."""

    def __init__(self) -> None:
        self._epochs: list[EpochMetrics] = []
        self._ends: list[float] = []
        self._batches = 0
        self._taken = 0
        self._places: dict[XAxis, list[float]] = {}
        self._values: dict[str, list[float]] = {}
        self._losses = LossHistory()
        self._best: int | None = None

    def take(self, state: RunState) -> None:
        """Bring everything up to the state of the run."""
        batches = state.started.batches_per_epoch if state.started else 0
        fresh = state.epochs is not self._epochs or len(state.epochs) < self._taken or batches != self._batches
        if fresh:
            self._epochs, self._taken, self._batches = state.epochs, 0, batches
            self._places = {"epoch": [], "step": [], "time": []}
            self._values = {metric.id: [] for metric in METRICS if not metric.per_step}
        rows = state.epochs[self._taken :]
        if rows:  # thousands at once, where a long run is opened
            self._places["epoch"].extend(float(row.epoch) for row in rows)
            self._places["step"].extend(float(row.epoch * batches) for row in rows)
            self._places["time"].extend(state.epoch_ends[self._taken :])
            for id, values in self._values.items():
                values.extend(map(attrgetter(BY_ID[id].field), rows))
        if fresh or self._taken < len(state.epochs):
            best = state.best
            self._best = None if best is None else state.epochs.index(best)
        self._taken = len(state.epochs)
        self._losses = state.losses

    def series(self, metric: Metric, axis: XAxis) -> Series:
        """A metric over an axis; Rank-1 has its best epoch marked."""
        if metric.per_step:
            places = {"epoch": self._losses.x, "step": self._losses.step, "time": self._losses.seconds}[axis]
            return Series(metric.name, metric.short, places, getattr(self._losses, metric.field))
        x = self._places.get(axis, [])
        best = x[self._best] if metric.id == "epoch.rank1" and self._best is not None else None
        return Series(metric.name, metric.short, x, self._values.get(metric.id, []), best=best)
