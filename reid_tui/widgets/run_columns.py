"""The columns of the table of runs: which fit, how wide they are, what they say. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from core.printable import clean
from core.run_fields import FIELDS, RunRow
from reid_tui.cells import cut_middle, fitted
from reid_tui.text import ago, bytes_text, number, percent

NAME_MOST = 64
TEXT_MOST = 14  # cells of a column of texts
SIGNS_WIDTH = 3  # the cursor, the mark, a gap
SIGNS = {
    "running": "▶",
    "preparing": "◌",
    "paused": "❚❚",
    "finished": "✔",
    "stopped": "■",
    "failed": "✘",
    "crashed": "✘",
}


@dataclass(frozen=True)
class Column:
    """`key`: of `core.run_fields`. `rank`: the lower, the longer it stays as the screen gets narrow. `width` 0: as wide
    as its texts are."""

    key: str
    title: str
    width: int
    rank: int
    right: bool
    text: Callable[[RunRow, float], str]


def _texts(key: str) -> Callable[[RunRow, float], str]:
    return lambda row, now: clean(str(FIELDS[key].value(row, now))) or "–"


def _name(text: str, width: int) -> str:
    """The end of a name of a run is its time: of the day where it is narrow, with the date where it is wide."""
    return cut_middle(text, width, 15 if width >= 40 else 6)


def _rate(row: RunRow, now: float) -> str:
    """1e-3, 3.5e-4: as names of runs have it, and never 0.001 beside 1e-4."""
    value = float(FIELDS["lr"].value(row, now))
    if not math.isfinite(value) or not 0 < abs(value) < 1:
        return number(value)
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def _whole(key: str) -> Callable[[RunRow, float], str]:
    def text(row: RunRow, now: float) -> str:
        value = float(FIELDS[key].value(row, now))
        return f"{value:.0f}" if math.isfinite(value) and abs(value) < 1e7 else number(value)

    return text


def _state(row: RunRow, now: float) -> str:
    return f"{SIGNS[row.summary.standing]} {row.summary.standing}"


def _epoch(row: RunRow, now: float) -> str:
    return f"{row.summary.epoch}/{row.summary.epochs or '–'}"


COLUMNS = (
    Column("name", "run", 0, 0, False, _texts("name")),
    Column("state", "state", 11, 1, False, _state),
    Column("r1", "R-1", 5, 2, True, lambda row, now: percent(row.summary.best_rank1)),
    Column("map", "mAP", 5, 4, True, lambda row, now: percent(row.summary.best_map)),
    Column("epoch", "epoch", 7, 3, True, _epoch),
    Column("lr", "lr", 7, 6, True, _rate),
    Column("batch", "batch", 6, 9, True, _whole("batch")),
    Column("model", "model", 0, 8, False, _texts("model")),
    Column("aspect", "aspect", 0, 10, False, _texts("aspect")),
    Column("dataset", "data set", 0, 11, False, _texts("dataset")),
    Column("age", "age", 6, 5, True, lambda row, now: ago(now - row.summary.began)),
    Column("size", "size", 6, 7, True, lambda row, now: bytes_text(row.size)),
)


@dataclass(frozen=True)
class Layout:
    """Columns from left to right, and the cells of each."""

    columns: tuple[Column, ...]
    widths: tuple[int, ...]

    def starts(self) -> list[int]:
        """The first cell of each column."""
        starts, at = [], SIGNS_WIDTH
        for width in self.widths:
            starts.append(at)
            at += width + 1
        return starts

    def column_at(self, x: int) -> Column | None:
        """The column at a cell of the title line; the gap behind a column belongs to it."""
        for column, start, width in zip(self.columns, self.starts(), self.widths, strict=True):
            if start <= x <= start + width:
                return column
        return None

    def cells(self, row: RunRow, now: float) -> tuple[str, ...]:
        """The texts of a run, each as wide as its column."""
        texts = [column.text(row, now) for column in self.columns]
        return tuple(
            fitted(_name(text, width) if column.key == "name" else text, width, right=column.right)
            for column, text, width in zip(self.columns, texts, self.widths, strict=True)
        )

    def titles(self, key: str, falling: bool) -> tuple[str, ...]:
        """The title line; an arrow at the column that the table is sorted by."""
        arrow = "▼" if falling else "▲"
        titles = []
        for column, width in zip(self.columns, self.widths, strict=True):
            title = column.title
            if column.key == key:
                title = f"{arrow}{title}" if column.right else f"{title}{arrow}"
            titles.append(fitted(title, width, right=column.right))
        return tuple(titles)


def layout_for(width: int, text_widths: dict[str, int]) -> Layout:
    """The columns that fit, the most important first; the name gets what is left.

    Args:
        width: cells.
        text_widths: of `widest`.
    """
    least = 32 if width >= 100 else 20 if width >= 60 else 16
    least = min(least, max(width - SIGNS_WIDTH - 12, 4))
    chosen: dict[str, int] = {}
    used = SIGNS_WIDTH + least
    for column in sorted(COLUMNS[1:], key=lambda column: column.rank):
        cells = column.width or min(max(text_widths.get(column.key, 0), len(column.title) + 1), TEXT_MOST)
        if used + 1 + cells > width:
            if column.rank > 1:
                break
            cells = max(width - used - 1, 1)  # the state stays, whatever is left for it
        chosen[column.key] = cells
        used += 1 + cells
    name = min(least + max(width - used, 0), max(text_widths.get("name", 0), least), NAME_MOST)
    columns = tuple(column for column in COLUMNS if column.key == "name" or column.key in chosen)
    return Layout(columns, tuple(chosen.get(column.key, name) for column in columns))


def widest(rows: Iterable[RunRow]) -> dict[str, int]:
    """Cells that the longest text of each column of texts takes."""
    every: Sequence[RunRow] = list(rows)
    return {
        column.key: max((cell_len(column.text(row, 0.0)) for row in every), default=0)
        for column in COLUMNS
        if column.width == 0
    }
