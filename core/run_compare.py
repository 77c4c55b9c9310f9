"""Runs beside each other: their epochs, what differs in their profiles, who is best. torch is not needed for it."""

from __future__ import annotations

import csv
import math
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from core.events import NAN, EpochMetrics, best_epoch
from core.run_filter import plain
from core.run_lock import is_live

MOST = 8  # runs that are compared at a time
_TELLING = ("metrics.csv", "profile.toml")
_TIME = re.compile(r"\d{8}-\d{6}(-\d+)?")
_FLOATS = [item.name for item in fields(EpochMetrics) if item.type == "float"]


@dataclass(frozen=True)
class Metric:
    """Something that is drawn over the epochs. `percent`: a rate in 0..1, shown in percent."""

    key: str
    title: str
    percent: bool = False

    def of(self, row: EpochMetrics) -> float:
        return float(getattr(row, self.key))


METRICS = (
    Metric("rank1", "Rank-1", percent=True),
    Metric("mAP", "mAP", percent=True),
    Metric("mINP", "mINP", percent=True),
    Metric("rank5", "Rank-5", percent=True),
    Metric("loss", "loss"),
    Metric("ce", "cross-entropy"),
    Metric("triplet", "triplet loss"),
    Metric("train_rank1", "train Rank-1", percent=True),
    Metric("lr", "learning rate"),
    Metric("grad_norm", "gradient norm"),
    Metric("images_per_second", "images per second"),
)


@dataclass(frozen=True)
class RunHistory:
    """The epochs of a run, and the tables of its profile."""

    folder: Path
    epochs: tuple[EpochMetrics, ...] = ()
    profile: Mapping[str, Any] | None = None
    live: bool = False

    @property
    def best(self) -> EpochMetrics | None:
        return best_epoch(self.epochs)

    def curve(self, metric: Metric) -> tuple[list[float], list[float]]:
        """Epochs and values, those that are known alone."""
        known = [(float(row.epoch), metric.of(row)) for row in self.epochs if math.isfinite(metric.of(row))]
        return [epoch for epoch, _ in known], [value for _, value in known]


@dataclass(frozen=True)
class Figure:
    """A number of a run that others have, too. `rate`: in 0..1, and the largest is the best."""

    title: str
    of: Callable[[RunHistory], float]
    rate: bool = False


def _best(key: str) -> Callable[[RunHistory], float]:
    return lambda run: float(getattr(run.best, key)) if run.best else NAN


FIGURES = (
    Figure("R-1", _best("rank1"), rate=True),
    Figure("R-5", _best("rank5"), rate=True),
    Figure("R-10", _best("rank10"), rate=True),
    Figure("mAP", _best("mAP"), rate=True),
    Figure("mINP", _best("mINP"), rate=True),
    Figure("best ep", _best("epoch")),
    Figure("epochs", lambda run: float(run.epochs[-1].epoch) if run.epochs else NAN),
    Figure("time", lambda run: sum(row.seconds for row in run.epochs if math.isfinite(row.seconds)) or NAN),
)


def best_of(figure: Figure, runs: Iterable[RunHistory]) -> float:
    """The value that is marked; NaN where there is no better and worse, or no other to compare with."""
    known = [value for value in map(figure.of, runs) if math.isfinite(value)]
    return max(known) if figure.rate and len(known) > 1 and max(known) > min(known) else NAN


def differences(runs: Sequence[RunHistory]) -> list[tuple[str, list[str]]]:
    """Keys of the profiles whose values are not the same in all runs, and the value of each; "–" where it has none."""
    tables = [_flat(run.profile or {}) for run in runs]
    keys = dict.fromkeys(key for table in tables for key in table)
    values = {key: [table.get(key, "–") for table in tables] for key in keys}
    return [(key, texts) for key, texts in values.items() if len(set(texts)) > 1]


def _flat(profile: Mapping[str, Any]) -> dict[str, str]:
    flat: dict[str, str] = {}
    for table, values in profile.items():
        if isinstance(values, dict):
            flat |= {f"{table}.{key}": plain(value) or '""' for key, value in values.items()}
        else:
            flat[table] = plain(values)
    return flat


class HistoryReader:
    """Reads runs again and again; only what has changed is read."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[object, RunHistory]] = {}

    def read(self, folders: Iterable[Path]) -> list[RunHistory]:
        """A history of each folder, in their order; one that is gone has no epochs. An unchanged one is the very object
        of the last time."""
        return [self._read(folder) for folder in folders]

    def _read(self, folder: Path) -> RunHistory:
        stamp = _stamp(folder)
        before = self._known.get(folder)
        if before is not None and before[0] == stamp:
            return before[1]
        history = RunHistory(folder, tuple(read_epochs(folder)), read_profile(folder), bool(stamp[0]))
        self._known[folder] = stamp, history
        return history


def _stamp(folder: Path) -> tuple[object, ...]:
    stamp: list[object] = [False]
    with suppress(OSError):
        stamp[0] = is_live(folder)
    for name in _TELLING:
        with suppress(OSError):
            found = (folder / name).stat()
            stamp += [name, found.st_mtime_ns, found.st_size]
    return tuple(stamp)


def read_profile(folder: Path) -> Mapping[str, Any]:
    """The tables of the profile; empty where it is missing or damaged."""
    try:
        return tomllib.loads((folder / "profile.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def read_epochs(folder: Path) -> list[EpochMetrics]:
    """The rows of `metrics.csv` that are whole, by ascending epoch; a later row of an epoch replaces an earlier one.
    None where the file is missing."""
    rows: dict[int, EpochMetrics] = {}
    with suppress(OSError), (folder / "metrics.csv").open(encoding="utf-8", errors="replace", newline="") as file:
        for row in csv.DictReader(line.replace("\0", "") for line in file):
            with suppress(TypeError, ValueError, OverflowError):
                epoch = int(row["epoch"]) if row.get("epoch") else -1
                if epoch >= 0 and all(row.get(name) is not None for name in ("rank1", "mAP", "seconds")):
                    values: dict[str, Any] = {name: float(row[name]) for name in _FLOATS if row.get(name)}
                    rows[epoch] = EpochMetrics(epoch, **values, split=row.get("split") or "")
    return [rows[epoch] for epoch in sorted(rows)]


def slots(kept: Mapping[Path, int], folders: Iterable[Path]) -> dict[Path, int]:
    """A number from 0 on for each folder, which its colour and sign follow from: who had one keeps it."""
    chosen = {folder: kept[folder] for folder in folders if folder in kept}
    for folder in folders:
        if folder not in chosen:
            chosen[folder] = next(number for number in range(len(chosen) + 1) if number not in chosen.values())
    return chosen


def labels(names: Sequence[str]) -> list[str]:
    """A short name for each run: the parts of its name that others do not have, the time only where nothing else tells.

    `demo_RN50_e12_lr1e-3_b32_20261123-162504` beside the same with another rate is `lr1e-3`.
    """
    parts = [name.split("_") for name in names]
    if len(names) > 1 and len({len(each) for each in parts}) == 1:
        differing = [at for at in range(len(parts[0])) if len({each[at] for each in parts}) > 1]
        timeless = [at for at in differing if not all(_TIME.fullmatch(each[at]) for each in parts)]
        for chosen in (timeless, differing):
            short = ["_".join(_time_alone(each[at]) for at in chosen) for each in parts]
            if len(set(short)) == len(short):
                return short
    tails = [_time_alone(each[-1]) for each in parts]
    return tails if len(set(tails)) == len(tails) else list(names)


def _time_alone(part: str) -> str:
    return part[9:] if _TIME.fullmatch(part) else part
