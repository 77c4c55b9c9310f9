"""The log: what the run says, and what anything else writes to the terminal."""

from __future__ import annotations

from rich.text import Text
from textual.content import Content
from textual.widgets import RichLog

from core.run_state import LOG_LINES_KEPT, RunState
from reid_tui.text import clean, clock

_MARKS = {"warning": ("! ", "yellow"), "error": ("✘ ", "red")}


class LogPane(RichLog):
    """The newest lines of the log. Nothing is written while it is hidden; what was missed is written when it shows."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(
            id=id, classes="panel", max_lines=LOG_LINES_KEPT, wrap=True, markup=False, highlight=False, min_width=1
        )
        self.border_title = Content("Log")
        self._written = 0

    def show(self, state: RunState) -> None:
        """Write the lines that are new."""
        missing = min(state.log_total - self._written, len(state.log), LOG_LINES_KEPT)
        if not self.display or missing <= 0:
            return
        folder = f"{state.started.folder}/" if state.started else ""
        for time, level, logged in state.log[-missing:]:
            text = clean(logged.replace(folder, "") if folder else logged)
            mark, colour = _MARKS.get(level, ("", ""))
            line = Text.assemble((clock(time), "dim"), "  ", (mark, colour), (text, colour))
            line.overflow = "fold"
            self.write(line, width=max(self.scrollable_content_region.width, 1))
        self._written = state.log_total
