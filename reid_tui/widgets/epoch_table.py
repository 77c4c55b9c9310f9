"""The table of epochs: as many columns as the width has room for, the newest row in sight, the best one starred."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.content import Content
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip

from core.events import EpochMetrics
from core.printable import clean
from core.run_state import RunState
from reid_tui.text import duration, number, percent
from reid_tui.widgets.selecting import selectable, selected

BEST = "★"


@dataclass(frozen=True)
class Column:
    """`rank`: the lower, the longer it stays as the panel gets narrow."""

    title: str
    width: int
    rank: int
    text: Callable[[EpochMetrics], str]


EPOCH = Column("Epoch", 8, 0, lambda row: str(row.epoch) if row.epoch else "baseline")
SHORT_EPOCH = Column("Epoch", 5, 0, lambda row: str(row.epoch) if row.epoch else "base")
WIDE = 60
COLUMNS = (
    Column("R-1", 5, 1, lambda row: percent(row.rank1)),
    Column("R-5", 5, 4, lambda row: percent(row.rank5)),
    Column("R-10", 5, 5, lambda row: percent(row.rank10)),
    Column("mAP", 5, 2, lambda row: percent(row.mAP)),
    Column("loss", 5, 3, lambda row: number(row.loss)),
    Column("CE", 5, 6, lambda row: number(row.ce)),
    Column("triplet", 7, 7, lambda row: number(row.triplet)),
    Column("train R-1", 9, 11, lambda row: percent(row.train_rank1)),
    Column("mINP", 5, 12, lambda row: percent(row.mINP)),
    Column("lr", 7, 8, lambda row: number(row.lr)),
    Column("img/s", 6, 9, lambda row: number(row.images_per_second, 2) if row.epoch else "–"),
    Column("time", 7, 10, lambda row: duration(row.seconds)),
)


def columns_for(width: int) -> list[Column]:
    """The columns that fit, in the order of the table: one cell for the mark, then each with a gap before it."""
    chosen: list[Column] = []
    used = 1
    gap = gap_for(width)
    first = EPOCH if width >= WIDE else SHORT_EPOCH
    for column in [first, *sorted(COLUMNS, key=lambda column: column.rank)]:
        if used + column.width + gap > width:
            break
        chosen.append(column)
        used += column.width + gap
    return [first, *(column for column in COLUMNS if column in chosen)]


def gap_for(width: int) -> int:
    return 2 if width >= WIDE else 1


class EpochTable(ScrollView, can_focus=False):
    """Rows are only ever appended; the drawing of a row is made when it comes into sight.

    The keys are the screen's.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"epochs--title", "epochs--best", "epochs--baseline"}
    DEFAULT_CSS = """
    EpochTable {
        overflow-x: hidden;
        scrollbar-size-vertical: 1;
        & > .epochs--title { color: $foreground 65%; text-style: bold; }
        & > .epochs--best { color: $success; text-style: bold; }
        & > .epochs--baseline { color: $foreground 65%; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, classes="panel")
        self.border_title = Content("Epochs")
        self._rows: list[EpochMetrics] = []
        self._shown = 0
        self._best_epoch = -1
        self._following = True

    def show(self, state: RunState) -> None:
        """Take the rows; draws only if there are new ones."""
        self._rows = state.epochs
        self._follow()
        if len(state.epochs) == self._shown:
            return
        self._shown = len(state.epochs)
        best = state.best
        self._best_epoch = best.epoch if best else -1
        if state.started is not None:
            self.border_subtitle = Content(clean(f"on {state.started.validated_on}"))
        self.virtual_size = Size(0, self._shown + 1)
        self.refresh()
        self._follow()

    def _follow(self) -> None:
        """Keep the newest row in sight, unless the person has scrolled away from it."""
        if self._following and self.scroll_y != self.max_scroll_y:
            self.scroll_to(y=self.max_scroll_y, animate=False, immediate=True, force=True)

    def on_resize(self) -> None:
        self._follow()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self._following = new_value >= self.max_scroll_y
        if round(old_value) != round(new_value):
            # The title line stands still, so scrolling redraws all of it, too.
            self.refresh(Region(0, 0, *self.size))

    def cell_text(self, row: int) -> str:
        """A row as it is drawn; -1 is the title line. For tests, and for copying."""
        return "".join(segment.text for segment in self._segments(row))

    def _segments(self, row: int) -> list[Segment]:
        width = self.scrollable_content_region.width
        columns, gap = columns_for(width), gap_for(width)
        if row < 0:
            titles = "".join(f"{'':{gap}}{column.title:>{column.width}}" for column in columns)
            return [Segment(f" {titles}", self._style("epochs--title"))]
        metrics = self._rows[row]
        best = metrics.epoch == self._best_epoch
        style = self._style("epochs--best" if best else "epochs--baseline" if metrics.epoch == 0 else "")
        cells = "".join(f"{'':{gap}}{column.text(metrics):>{column.width}}" for column in columns)
        return [Segment(f"{BEST if best else ' '}{cells}", style)]

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(name) if name else self.rich_style

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        row = -1 if y == 0 else y - 1 + self.scroll_offset.y
        if row >= self._shown:
            return Strip.blank(width, self.rich_style)
        return selectable(self, Strip(self._segments(row)).adjust_cell_length(width, self.rich_style), row + 1)

    def get_selection(self, selection: Selection) -> tuple[str, str]:
        return selected((self.cell_text(row) for row in range(-1, self._shown)), selection)
