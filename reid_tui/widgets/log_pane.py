"""The log: what the run says, and what anything else writes to the terminal."""

from __future__ import annotations

from rich.text import Text
from textual.content import Content
from textual.events import Resize
from textual.selection import Selection
from textual.strip import Strip
from textual.widgets import RichLog

from core.printable import clean
from core.run_state import LOG_LINES_KEPT, RunState
from reid_tui.text import clock
from reid_tui.widgets.selecting import selectable, selected

_MARKS = {"warning": ("! ", "yellow"), "error": ("✘ ", "red")}


class LogPane(RichLog, can_focus=False):
    """The newest lines of the log. Nothing is written while it is hidden; what was missed is written when it shows."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(
            id=id, classes="panel", max_lines=LOG_LINES_KEPT, wrap=True, markup=False, highlight=False, min_width=1
        )
        self.border_title = Content("Log")
        self._written = 0
        self._width = 0
        self._state = RunState()

    def show(self, state: RunState) -> None:
        """Write the lines that are new; all of them, wrapped anew, at another width."""
        self._state = state
        width = self.scrollable_content_region.width
        if not width or not self.display:
            return
        if width != self._width:
            if self._width:
                self.clear()
                self._written = 0
            self._width = width
        missing = min(state.log_total - self._written, len(state.log), LOG_LINES_KEPT)
        if missing <= 0:
            return
        folder = f"{state.started.folder}/" if state.started else ""
        lines = []
        for time, level, logged in state.log[-missing:]:
            text = clean(logged.replace(folder, "") if folder else logged)
            mark, colour = _MARKS.get(level, ("", ""))
            lines.append(Text.assemble((clock(time), "dim"), "  ", (mark, colour), (text, colour)))
        written = Text("\n").join(lines)  # at once: hundreds of lines, one by one, are a tenth of a second
        written.overflow = "fold"
        self.write(written, width=width)
        self._written = state.log_total

    def render_line(self, y: int) -> Strip:
        return selectable(self, super().render_line(y), y + self.scroll_offset.y)

    def get_selection(self, selection: Selection) -> tuple[str, str]:
        return selected((strip.text for strip in self.lines), selection)

    def on_resize(self, event: Resize) -> None:
        super().on_resize(event)
        self.show(self._state)
        # Another height leaves the newest line out of sight, and Textual scrolls by the height before.
        self.call_after_refresh(self.scroll_end, animate=False, immediate=True, x_axis=False)
