"""What the table has no room for: whole name, folder and last word of the run under the cursor."""

from __future__ import annotations

from textual.content import Content

from core.printable import clean
from core.run_fields import RunRow
from reid_tui.cells import cut_middle
from reid_tui.text import percent, short_path
from reid_tui.widgets.panel import Panel


class RunDetail(Panel):
    """Two lines, whatever there is to say, so that the table keeps its height."""

    def __init__(self, *, id: str | None = None, classes: str = "bar") -> None:
        super().__init__(id=id, classes=classes)
        self._row: RunRow | None = None

    def show(self, row: RunRow | None) -> None:
        self._row = row
        self.redraw()

    def lines(self, width: int) -> list[Content]:
        if self._row is None:
            return [Content(""), Content("")]
        run = self._row.summary
        name = Content.styled(cut_middle(clean(run.name), width), "bold")
        facts = [f"best at epoch {run.best_epoch} ({percent(run.best_rank1)})"] if run.best_epoch else []
        if run.message:
            facts.insert(0, clean((run.message.splitlines() or [""])[0]))
        facts.append(short_path(run.folder.parent, max(width // 2, 8)))
        return [name, Content.styled(" · ".join(facts), "$foreground 65%")]
