"""Runs beside each other: one metric on shared axes, their figures, and what differs in their profiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Static
from textual.worker import Worker, WorkerState

from core.printable import clean
from core.run_compare import METRICS, HistoryReader, RunHistory, labels, slots
from reid_tui.keys import bindings
from reid_tui.screens.help import show_help
from reid_tui.theme import other_theme
from reid_tui.widgets.compare_table import Compared, CompareTable, columns_that_fit, difference_lines
from reid_tui.widgets.key_bar import KeyBar
from reid_tui.widgets.run_chart import RunChart
from reid_tui.wishes import BackWanted, OpenWanted

LOOK_SECONDS = 2.0
BOTH_ROWS = 34  # from this height on there is room for figures and differences


class CompareScreen(Screen[None]):
    """Reads the runs in a worker thread, and again every two seconds while it is on the screen.

    Args:
        folders: of the runs, in their order; 8 at most.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("compare")
    # Textual declares these two as instance attributes.
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (70, "-middle"), (110, "-wide"), (150, "-huge")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-short"), (22, "-usual"), (BOTH_ROWS, "-tall")]  # noqa: RUF012
    AUTO_FOCUS = ""

    @dataclass
    class RunsRead(Message):
        """Posted from the worker."""

        runs: list[RunHistory]

    def __init__(self, folders: Sequence[Path]) -> None:
        super().__init__()
        self._folders = list(folders)
        self._reader = HistoryReader()
        self._looking = False
        self._metric = 0
        self._panel = "figures"
        self._first = 0  # column of the differences
        names = labels([folder.name for folder in folders])
        empty = [RunHistory(folder) for folder in folders]
        self.compared = Compared(empty, names, slots({}, folders))

    def compose(self) -> ComposeResult:
        title = f"  {len(self._folders)} runs compared" if len(self._folders) > 1 else "  one run"
        yield Static(Content.assemble(("reid-tui", "bold $primary"), (title, "$foreground 70%")), classes="bar")
        yield RunChart("", id="compare-chart")
        with Container(id="compare-panels"):
            yield CompareTable(id="figures")
            with VerticalScroll(id="differences", classes="panel", can_focus=False):
                yield Static(id="difference-lines")
        yield KeyBar(show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one("#differences").border_title = Content("Profiles: what differs")
        self.set_interval(LOOK_SECONDS, self.look)
        self._place_panels()
        self._show()

    # Reading ----------------------------------------------------------------------------------------------------

    def on_screen_resume(self) -> None:
        self.look()

    def look(self) -> None:
        """Read what has changed, unless that is being done, or nobody sees it."""
        if self.is_current and not self._looking:
            self._looking = True
            self.run_worker(self._read, thread=True, name="look", exit_on_error=False)

    def _read(self) -> None:
        self.post_message(self.RunsRead(self._reader.read(self._folders)))

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        if event.state in (WorkerState.SUCCESS, WorkerState.ERROR):
            self._looking = False
        if event.state is WorkerState.ERROR:
            self.notify(clean(str(event.worker.error)), title="The runs cannot be read", severity="error", markup=False)

    @on(RunsRead)
    def _take(self, message: RunsRead) -> None:
        if any(new is not old for new, old in zip(message.runs, self.compared.runs, strict=True)):
            self._change(runs=message.runs)

    # Drawing ----------------------------------------------------------------------------------------------------

    def _change(self, **what: object) -> None:
        self.compared = replace(self.compared, **what)  # type: ignore[arg-type]
        self._show()

    def _show(self) -> None:
        compared = self.compared
        order = sorted(range(len(compared.runs)), key=lambda at: compared.runs[at].folder != compared.pinned)
        drawn = [at for at in order if compared.runs[at].folder not in compared.hidden]
        self.query_one(RunChart).draw(
            METRICS[self._metric],
            [compared.runs[at] for at in drawn],
            [compared.labels[at] for at in drawn],
            compared.slots,
        )
        self.query_one(CompareTable).show(compared)
        self._show_differences()

    def _show_differences(self) -> None:
        box = self.query_one("#differences")
        width = box.scrollable_content_region.width
        if width <= 0:
            return
        fit, count = columns_that_fit(self.compared, width), len(self.compared.runs)
        self._first = max(min(self._first, count - fit), 0)
        lines = difference_lines(self.compared, width, self._first)
        self.query_one("#difference-lines", Static).update(Content("\n").join(lines))
        last = min(self._first + fit, count)
        box.border_subtitle = Content(f"← runs {self._first + 1}–{last} of {count} →" if fit < count else "")

    def on_resize(self) -> None:
        self._place_panels()
        self.call_after_refresh(self._show_differences)

    def _place_panels(self) -> None:
        both = self.app.size.height >= BOTH_ROWS
        self.query_one("#figures").display = both or self._panel == "figures"
        self.query_one("#differences").display = both or self._panel == "differences"

    # Keys -------------------------------------------------------------------------------------------------------

    @property
    def current(self) -> RunHistory:
        return self.compared.runs[self.compared.cursor]

    def action_metric(self, by: int) -> None:
        self._metric = (self._metric + by) % len(METRICS)
        self._show()

    def action_move(self, by: int) -> None:
        if self.query_one("#figures").display:
            self._change(cursor=min(max(self.compared.cursor + by, 0), len(self._folders) - 1))
        else:
            self.query_one("#differences").scroll_relative(y=by, animate=False)

    def action_page(self, by: int) -> None:
        box = self.query_one("#differences")
        box.scroll_relative(y=by * max(box.size.height - 1, 1), animate=False)

    def action_shift(self, by: int) -> None:
        self._first = max(self._first + by, 0)
        self._show_differences()

    def action_pin(self) -> None:
        folder = self.current.folder
        self._change(pinned=None if self.compared.pinned == folder else folder)

    def action_hide(self) -> None:
        self._change(hidden=self.compared.hidden ^ {self.current.folder})

    def action_panel(self) -> None:
        self._panel = "differences" if self._panel == "figures" else "figures"
        self._place_panels()
        self.call_after_refresh(self._show_differences)

    def action_log_scale(self) -> None:
        chart = self.query_one(RunChart)
        chart.log_scale = not chart.log_scale

    def action_open(self) -> None:
        self.post_message(OpenWanted(self.current.folder))

    def action_back(self) -> None:
        self.post_message(BackWanted())

    def action_theme(self) -> None:
        self.app.theme = other_theme(self.app.theme)

    def action_help(self) -> None:
        show_help(self.app, "compare")
