"""The figures of the runs that are compared, a line each; and what differs in their profiles."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.cells import cell_len
from textual.content import Content

from core.printable import clean
from core.run_compare import FIGURES, Figure, RunHistory, best_of, differences
from reid_tui.cells import cut_middle, fitted
from reid_tui.text import duration, percent
from reid_tui.widgets.panel import Panel
from reid_tui.widgets.run_chart import RUN_SIGNS

BEST, PINNED, HIDDEN, CURSOR = "★", "⌂", "-", "❯"
NAME_LEAST = 14
CELLS = 8  # of a figure, with its star
VALUE_CELLS = 13  # of a value of a profile
_RANKS = ("R-1", "mAP", "time", "epochs", "mINP", "R-5", "best ep", "R-10")  # those on the left stay longest


@dataclass(frozen=True)
class Compared:
    """What is compared. `names`: whole, `labels`: short ones, both by the order of `runs`."""

    runs: Sequence[RunHistory] = ()
    labels: Sequence[str] = ()
    slots: Mapping[Path, int] = field(default_factory=dict)
    pinned: Path | None = None
    hidden: frozenset[Path] = frozenset()
    cursor: int = 0

    def sign(self, run: RunHistory) -> tuple[str, str]:
        """Marker and colour; a dash for a curve that is hidden."""
        sign = RUN_SIGNS[self.slots[run.folder]]
        return (HIDDEN if run.folder in self.hidden else sign.marker), sign.colour


def figures_for(width: int) -> list[Figure]:
    """The figures that fit beside a name, in the order of the table."""
    room = max((width - NAME_LEAST - 5) // CELLS, 1)
    return [figure for figure in FIGURES if figure.title in _RANKS[:room]]


def figure_text(figure: Figure, run: RunHistory, best: float, pinned: RunHistory | None) -> str:
    """A figure; against the pinned run, what it is more or less; starred where it is the best."""
    value = figure.of(run)
    star = BEST if value == best else ""
    if figure.rate:
        if pinned is not None and pinned is not run and math.isfinite(figure.of(pinned)) and math.isfinite(value):
            return f"{star}{100 * (value - figure.of(pinned)):+.1f}"
        return f"{star}{percent(value)}"
    if figure.title == "time":
        return duration(value)
    return f"{value:.0f}" if math.isfinite(value) else "–"


class CompareTable(Panel):
    """A line for each run: cursor, sign of its curve, name, figures at its best epoch."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__("Runs", id=id)
        self._compared = Compared()

    def show(self, compared: Compared) -> None:
        self._compared = compared
        pinned = next((run for run in compared.runs if run.folder == compared.pinned), None)
        against = cut_middle(clean(compared.labels[list(compared.runs).index(pinned)]), 20) if pinned else ""
        self.border_subtitle = Content(f"rates against {PINNED} {against}" if pinned else "rates at the best epoch, %")
        self.redraw()

    def lines(self, width: int) -> list[Content]:
        compared = self._compared
        figures = figures_for(width)
        room = max(width - 5 - CELLS * len(figures), 4)
        titles = "".join(f"{figure.title:>{CELLS}}" for figure in figures)
        lines = [Content.styled(f"     {'':{room}}{titles}", "bold $foreground 65%")]
        best = {figure.title: best_of(figure, compared.runs) for figure in figures}
        pinned = next((run for run in compared.runs if run.folder == compared.pinned), None)
        for at, run in enumerate(compared.runs):
            marker, colour = compared.sign(run)
            name = fitted(cut_middle(clean(run.folder.name), room, 15 if room >= 40 else 6), room)
            cursor = CURSOR if at == compared.cursor else " "
            parts: list[tuple[str, str]] = [
                (cursor, "bold $accent"),
                (PINNED if run is pinned else " ", "bold $accent"),
                (f"{marker} ", f"bold {colour}"),
                ("▶" if run.live else " ", "$primary"),
                (name, "bold" if at == compared.cursor else "$foreground"),
            ]
            for figure in figures:
                text = figure_text(figure, run, best[figure.title], pinned)
                parts.append((f"{text:>{CELLS}}", "bold $success" if text.startswith(BEST) else "$foreground"))
            lines.append(Content.assemble(*parts))
        return lines


def difference_lines(compared: Compared, width: int, first: int) -> list[Content]:
    """Keys whose values differ, a column for each run from the `first` on; they say so where there is none."""
    rows = differences(compared.runs)
    if not rows:
        alone = len(compared.runs) < 2
        words = "one run alone differs from none" if alone else "the profiles do not differ"
        return [Content.styled(words, "$foreground 65%")]
    keys, count = _difference_widths(rows, width)
    runs = list(compared.runs)[first : first + count]
    title: list[tuple[str, str]] = [(" " * keys, "")]
    for run, label in zip(runs, list(compared.labels)[first:], strict=False):
        marker, colour = compared.sign(run)
        title += [(f" {marker} ", f"bold {colour}"), (fitted(cut_middle(clean(label), 11), VALUE_CELLS - 2), "bold")]
    lines = [Content.assemble(*title)]
    for key, values in rows:
        texts = [fitted(cut_middle(clean(value), VALUE_CELLS), VALUE_CELLS) for value in values[first : first + count]]
        shown = fitted(cut_middle(clean(key), keys), keys)
        lines.append(Content.assemble((shown, "$foreground 65%"), *(f" {text}" for text in texts)))
    return lines


def columns_that_fit(compared: Compared, width: int) -> int:
    """Columns of runs for which the differences have room."""
    rows = differences(compared.runs)
    return _difference_widths(rows, width)[1] if rows else len(compared.runs)


def _difference_widths(rows: list[tuple[str, list[str]]], width: int) -> tuple[int, int]:
    """Cells of the keys, and how many columns of values fit beside them."""
    keys = min(max(cell_len(clean(key)) for key, _ in rows), max(width - VALUE_CELLS - 1, 8), 28)
    return keys, max((width - keys) // (VALUE_CELLS + 1), 1)
