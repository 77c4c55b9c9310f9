"""The table of runs: drawn a row at a time, with a cursor and marks that stay with their runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from core.run_fields import RunRow
from reid_tui.widgets.run_columns import Layout, layout_for, widest

CURSOR, MARK = "❯", "✓"
_STATE_STYLES = {
    "running": "runs--live",
    "preparing": "runs--live",
    "paused": "runs--warning",
    "stopped": "runs--warning",
    "finished": "runs--good",
    "failed": "runs--bad",
    "crashed": "runs--bad",
}


class RunTable(ScrollView, can_focus=True, inherit_bindings=False):
    """What a row says is made when it comes into sight; the cost does not grow with the number of runs.

    The keys are the screen's.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "runs--title",
        "runs--cursor",
        "runs--marked",
        "runs--live",
        "runs--warning",
        "runs--good",
        "runs--bad",
    }
    DEFAULT_CSS = """
    RunTable {
        overflow-x: hidden;
        scrollbar-size-vertical: 1;
        & > .runs--title { color: $foreground 65%; text-style: bold; }
        & > .runs--cursor { background: $primary 25%; text-style: bold; }
        & > .runs--marked { color: $accent; text-style: bold; }
        & > .runs--live { color: $primary; }
        & > .runs--warning { color: $warning; }
        & > .runs--good { color: $success; }
        & > .runs--bad { color: $error; }
    }
    """

    @dataclass
    class SortWanted(Message):
        """The title of a column was clicked."""

        key: str

    class Moved(Message):
        """The cursor is on another run, or marks have changed."""

    class Opened(Message):
        """A run was clicked twice; the cursor is on it."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._rows: list[RunRow] = []
        self._now = 0.0
        self._sort = ("age", False)
        self._cursor = 0
        self.marked: dict[Path, None] = {}  # in the order in which they were marked
        self._widths: dict[str, int] = {}
        self._layout = Layout((), ())

    # What is shown ----------------------------------------------------------------------------------------------

    @property
    def rows(self) -> list[RunRow]:
        return self._rows

    @property
    def current(self) -> RunRow | None:
        """The run under the cursor."""
        return self._rows[self._cursor] if self._rows else None

    def show(self, rows: list[RunRow], now: float, key: str, falling: bool) -> None:
        """Take the rows in their order. The cursor stays on its run, and the run where it is on the screen."""
        before = self._seen()
        self._keep_place(rows)
        if [row.folder for row in rows] != [row.folder for row in self._rows] or self._widths == {}:
            self._widths = widest(rows)
        self._rows, self._now, self._sort = rows, now, (key, falling)
        self._lay_out()
        self.virtual_size = Size(0, len(rows) + 1)
        after = self._seen()
        for y, (old, new) in enumerate(zip(before, after, strict=True)):
            if old != new:
                self.refresh(Region(0, y, self.size.width, 1))
        self.post_message(self.Moved())

    def _keep_place(self, rows: list[RunRow]) -> None:
        """Scroll so that the cursor's run is where it was; if it was out of sight, the run at the top is."""
        if not self._rows:
            self._cursor = 0
            return
        places = {row.folder: at for at, row in enumerate(rows)}
        top = round(self.scroll_y)
        in_sight = top <= self._cursor < top + self._height
        anchor = self._cursor if in_sight else min(top, len(self._rows) - 1)
        at = places.get(self._rows[anchor].folder, min(anchor, max(len(rows) - 1, 0)))
        self._cursor = places.get(self._rows[self._cursor].folder, min(self._cursor, max(len(rows) - 1, 0)))
        wanted = max(min(top + at - anchor, len(rows) - self._height), 0)
        if wanted != top:
            self.virtual_size = Size(0, max(len(rows), len(self._rows)) + 1)
            self.scroll_to(y=wanted, animate=False, immediate=True, force=True)

    def _seen(self) -> list[object]:
        """What each line of the widget says, for comparison."""
        top = round(self.scroll_y)
        lines: list[object] = [self._layout.titles(*self._sort)]
        for at in range(top, top + self.size.height - 1):
            row = self._rows[at] if at < len(self._rows) else None
            # Twice the same object says the same, but for its age.
            lines.append(row and (self._layout.cells(row, self._now), at == self._cursor, row.folder in self.marked))
        return lines[: max(self.size.height, 0)]

    @property
    def _height(self) -> int:
        """Rows that are in sight."""
        return max(self.size.height - 1, 1)

    def _lay_out(self) -> None:
        layout = layout_for(self.scrollable_content_region.width, self._widths)
        if layout != self._layout:
            self._layout = layout
            self.refresh()

    def on_resize(self) -> None:
        self._lay_out()
        self._follow()

    # Cursor and marks -------------------------------------------------------------------------------------------

    def move(self, to: int) -> None:
        """Put the cursor on a row, or on the nearest there is."""
        if not self._rows:
            return
        self._refresh_row(self._cursor)
        self._cursor = min(max(to, 0), len(self._rows) - 1)
        self._refresh_row(self._cursor)
        self._follow()
        self.post_message(self.Moved())

    def move_by(self, rows: int, *, pages: bool = False) -> None:
        self.move(self._cursor + rows * (max(self._height - 1, 1) if pages else 1))

    def _follow(self) -> None:
        top = round(self.scroll_y)
        wanted = min(max(top, self._cursor - self._height + 1), self._cursor)
        if wanted != top:
            self.scroll_to(y=wanted, animate=False, immediate=True, force=True)

    def mark(self, row: RunRow) -> None:
        """Mark a run, or take its mark away."""
        if row.folder in self.marked:
            del self.marked[row.folder]
        else:
            self.marked[row.folder] = None
        self.refresh()
        self.post_message(self.Moved())

    def unmark(self, folders: set[Path] | None = None) -> None:
        """Take away the marks of these runs; None: all."""
        self.marked = {} if folders is None else {folder: None for folder in self.marked if folder not in folders}
        self.refresh()
        self.post_message(self.Moved())

    def on_click(self, event: events.Click) -> None:
        if event.y == 0:
            if (column := self._layout.column_at(event.x)) is not None:
                self.post_message(self.SortWanted(column.key))
            return
        at = event.y - 1 + round(self.scroll_y)
        if at < len(self._rows):
            self.move(at)
            if event.x < 2:
                self.mark(self._rows[at])
            elif event.chain == 2:
                self.post_message(self.Opened())

    # Drawing ----------------------------------------------------------------------------------------------------

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if round(old_value) != round(new_value):
            # The title line stands still, so scrolling redraws all of it, too.
            self.refresh(Region(0, 0, *self.size))

    def _refresh_row(self, at: int) -> None:
        self.refresh(Region(0, at - round(self.scroll_y) + 1, self.size.width, 1))

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        if y == 0:
            titles = " ".join(self._layout.titles(*self._sort))
            return Strip([Segment(f"   {titles}", self._style("runs--title"))]).adjust_cell_length(
                width, self.rich_style
            )
        at = y - 1 + round(self.scroll_y)
        if at >= len(self._rows):
            return Strip.blank(width, self.rich_style)
        return self._row(at, width)

    def _row(self, at: int, width: int) -> Strip:
        row = self._rows[at]
        under, marked = at == self._cursor, row.folder in self.marked
        base = self._style("runs--cursor") if under else self.rich_style
        parts = [(CURSOR if under else " ", "runs--marked"), (MARK if marked else " ", "runs--marked"), (" ", "")]
        for column, text in zip(self._layout.columns, self._layout.cells(row, self._now), strict=True):
            name = _STATE_STYLES[row.summary.standing] if column.key == "state" else ""
            parts += [(text, name or ("runs--marked" if marked and column.key == "name" else "")), (" ", "")]
        segments = [
            Segment(text, base + Style(color=self._style(name).color, bold=True) if name else base)
            for text, name in parts
        ]
        return Strip(segments).adjust_cell_length(width, base)

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(name)
