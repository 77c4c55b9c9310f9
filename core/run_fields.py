"""What a list of runs tells of each run: the values that it is shown, sorted and filtered by."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from core.run_summary import RunSummary

Kind = Literal["text", "number", "rate", "bytes", "seconds"]
Value = float | str  # NaN and "" where it is not known

# From what wants a person's eye to what is settled.
STANDINGS = ("running", "preparing", "paused", "failed", "crashed", "stopped", "finished")


@dataclass(frozen=True)
class RunRow:
    """A run as a list has it: how it stands, and the bytes that its folder takes on the disk."""

    summary: RunSummary
    size: int

    @property
    def folder(self) -> Path:
        return self.summary.folder


@dataclass(frozen=True)
class Field:
    """A value of a run.

    `kind`: a rate is in percent, as it is shown. `falling`: whether a person who sorts by it wants the large ones
    first. `value` gets the run and the time.
    """

    key: str
    kind: Kind
    says: str
    value: Callable[[RunRow, float], Value]
    falling: bool = False


def profile_value(row: RunRow, table: str, key: str) -> Any:
    """A value of the run's profile, whatever its type; None where there is none. Profiles may be damaged."""
    values = row.summary.profile.get(table)
    return values.get(key) if isinstance(values, dict) else None


def as_number(value: object) -> float:
    """NaN for what is no number, be it only too large for one."""
    try:
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    except OverflowError:
        return math.nan


def _text(table: str, key: str) -> Callable[[RunRow, float], Value]:
    def value(row: RunRow, now: float) -> Value:
        found = profile_value(row, table, key)
        return found if isinstance(found, str) else ""

    return value


def _number(table: str, key: str) -> Callable[[RunRow, float], Value]:
    return lambda row, now: as_number(profile_value(row, table, key))


FIELDS: dict[str, Field] = {
    field.key: field
    for field in (
        Field("name", "text", "name", lambda row, now: row.summary.name),
        Field("state", "text", "state", lambda row, now: row.summary.standing),
        Field("r1", "rate", "best Rank-1", lambda row, now: 100 * row.summary.best_rank1, falling=True),
        Field("map", "rate", "mAP", lambda row, now: 100 * row.summary.best_map, falling=True),
        Field("epoch", "number", "epochs done", lambda row, now: float(row.summary.epoch), falling=True),
        Field("epochs", "number", "epochs", lambda row, now: as_number(row.summary.epochs or math.nan), falling=True),
        Field("lr", "number", "learning rate", _number("train", "lr"), falling=True),
        Field("batch", "number", "batch size", _number("train", "batch_size"), falling=True),
        Field("model", "text", "model", _text("model", "name")),
        Field("aspect", "text", "aspect", _text("data", "aspect")),
        Field("dataset", "text", "data set", _text("data", "dataset")),
        Field("age", "seconds", "age", lambda row, now: now - row.summary.began),
        Field("size", "bytes", "size", lambda row, now: float(row.size), falling=True),
        Field("experiment", "text", "experiment", _text("run", "name")),
    )
}
COLUMNS = ("name", "state", "r1", "map", "epoch", "lr", "batch", "model", "aspect", "dataset", "age", "size")


def is_known(value: Value) -> bool:
    return value != "" if isinstance(value, str) else not math.isnan(value)


def sort_runs(rows: Iterable[RunRow], key: str, falling: bool, now: float) -> list[RunRow]:
    """Rows by a field of `FIELDS`; what is not known comes last in both directions, equals stay newest first."""
    field = FIELDS[key]
    newest = sorted(rows, key=lambda row: (_or_zero(row.summary.began), row.summary.name), reverse=True)
    values = {row.folder: field.value(row, now) for row in newest}
    known = [row for row in newest if is_known(values[row.folder])]
    unknown = [row for row in newest if not is_known(values[row.folder])]
    return sorted(known, key=lambda row: _sorting(field, values[row.folder]), reverse=falling) + unknown


def _sorting(field: Field, value: Value) -> tuple[float, str]:
    if field.key == "state":
        return float(STANDINGS.index(str(value))), ""
    return (0.0, value.casefold()) if isinstance(value, str) else (value, "")


def _or_zero(value: float) -> float:
    return 0.0 if math.isnan(value) else value
