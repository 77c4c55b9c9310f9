"""All runs of this machine: sorted, filtered, opened, compared, deleted. Files are read and deleted in workers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Input, Static
from textual.worker import Worker, WorkerState

from core.printable import clean
from core.run_fields import COLUMNS, FIELDS, RunRow, sort_runs
from core.run_filter import RunFilter, parse, profile_keys
from reid_tui.keys import binding_with, bindings
from reid_tui.screens.delete_dialog import Deletion, delete_dialog, delete_runs, hidden_marks
from reid_tui.screens.help import show_help
from reid_tui.text import bytes_text, plural
from reid_tui.theme import other_theme
from reid_tui.widgets.key_bar import KeyBar
from reid_tui.widgets.run_detail import RunDetail
from reid_tui.widgets.run_table import RunTable
from reid_tui.wishes import CompareWanted, ListLeft, OpenWanted, ProfilesWanted

LOOK_SECONDS = 2.0
SAID_SECONDS = 6.0  # how long an answer stays in the status line
MOST_COMPARED = 8
NEED_A_ROW, NEED_A_RUN = {"open", "mark"}, {"unmark", "compare", "sort", "turn", "delete", "filter"}
Look = Callable[[], list[RunRow]]


class RunFilterInput(Input):
    """Enter and the arrows lead back to the table; the filter stays."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *binding_with("runs.open", "submit", "To the list"),
        *binding_with("runs.back", "screen.back", "Clear"),
        *binding_with("runs.down", "submit"),
    ]


class RunsScreen(Screen[None]):
    """The table of runs. It looks again every two seconds while it is on the screen.

    Args:
        look: finds and reads the runs; called in a worker thread.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("runs")
    # Textual declares these two as instance attributes.
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (70, "-middle"), (110, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-tiny"), (14, "-short"), (22, "-usual")]  # noqa: RUF012
    AUTO_FOCUS = "#runs"

    @dataclass
    class RunsRead(Message):
        """Posted from the worker."""

        rows: list[RunRow]

    @dataclass
    class Deleted(Message):
        """Posted from the worker that deletes."""

        done: Deletion

    def __init__(self, look: Look) -> None:
        super().__init__()
        self._look = look
        self._looking = self._loaded = False
        self._every: list[RunRow] = []
        self._keys: list[str] = []
        self._filter = RunFilter()
        self._sort, self._falling = "age", False
        self._said = ""
        self._footer_for = False, False  # whether there are rows, and runs

    def compose(self) -> ComposeResult:
        title = Content.assemble(("reid-tui", "bold $primary"), ("  runs of this machine", "$foreground 70%"))
        yield Static(title, classes="bar", id="runs-title")
        yield RunFilterInput(placeholder="words, r1>70, state=finished, lr<1e-4", id="run-filter", classes="panel")
        yield RunTable(id="runs")
        yield Static(Content.styled("reading …", "$foreground 60%"), id="no-runs")
        yield RunDetail(id="run-detail", classes="bar")
        yield Static(id="runs-status", classes="bar")
        yield KeyBar(show_command_palette=False)

    def on_mount(self) -> None:
        filter = self.query_one("#run-filter", Input)
        filter.border_title = Content("Filter")
        filter.display = False
        self.table.display = False
        self.set_interval(LOOK_SECONDS, self.look)

    @property
    def table(self) -> RunTable:
        return self.query_one(RunTable)

    # Reading ----------------------------------------------------------------------------------------------------

    def on_screen_resume(self) -> None:
        self.look()

    def look(self) -> None:
        """Read what has changed, unless that is being done, or nobody sees it."""
        if self.is_current and not self._looking:
            self._looking = True
            self.run_worker(self._read, thread=True, group="look", name="look", exit_on_error=False)

    def _read(self) -> None:
        self.post_message(self.RunsRead(self._look()))

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        if event.worker.name == "look" and event.state in (WorkerState.SUCCESS, WorkerState.ERROR):
            self._looking = False
        if event.state is WorkerState.ERROR:
            self._say(f"✘ {clean(str(event.worker.error))}")

    @on(RunsRead)
    def _take(self, message: RunsRead) -> None:
        if not self.is_current:  # laid out anew below a dialog, it would be blank there; it looks again afterwards
            return
        self._every, self._loaded = message.rows, True
        self._keys = profile_keys(message.rows)
        there = {row.folder for row in message.rows}
        if gone := set(self.table.marked) - there:
            self.table.unmark(gone)
        self._parse()

    def _parse(self) -> None:
        self._filter = parse(self.query_one("#run-filter", Input).value, self._keys)
        self._fill()

    def _fill(self) -> None:
        now = time.time()
        rows = sort_runs((row for row in self._every if self._filter(row, now)), self._sort, self._falling, now)
        self.table.show(rows, now, self._sort, self._falling)
        if self.table.display != bool(rows):
            in_table = self.focused in (self.table, None)
            self.table.display = bool(rows)
            if in_table:  # it would go to the filter, and keys would be typed into that
                self._focus_table()
        if self._footer_for != (there := (bool(rows), bool(self._every))):
            self._footer_for = there
            self.refresh_bindings()
        nothing = self.query_one("#no-runs", Static)
        nothing.display = not rows
        if not rows and self._loaded:
            nothing.update(
                Content("No run passes the filter; esc clears it.")
                if self._every
                else Content("There is no run yet.\n\nn picks a profile and begins one; so does `reid-tui launch`.")
            )
        self._show_status()

    # What is said -----------------------------------------------------------------------------------------------

    @on(RunTable.Moved)
    def _show_status(self) -> None:
        table = self.table
        self.query_one(RunDetail).show(table.current if table.display else None)
        status = self.query_one("#runs-status", Static)
        if self._filter.problems:
            status.update(Content.styled(f"! {clean(' · '.join(self._filter.problems))}", "bold $warning"))
        elif self._said:
            status.update(Content.styled(self._said, "bold $warning"))
        elif self._loaded:
            status.update(Content.styled(self._counts(), "$foreground 65%"))

    def _counts(self) -> str:
        shown, every = len(self.table.rows), len(self._every)
        parts = [plural(every, "run") if shown == every else f"{shown} of {plural(every, 'run')}"]
        if marked := self._marked():
            parts.insert(0, f"{len(marked)} marked, {bytes_text(sum(row.size for row in marked))}")
        if hidden := self._marked_out_of_sight:
            parts.insert(bool(marked), f"{len(hidden)} marked and hidden by the filter")
        parts.append(bytes_text(sum(row.size for row in self.table.rows)))
        parts.append(f"by {FIELDS[self._sort].says} {'▼' if self._falling else '▲'}")
        return " · ".join(parts)

    def _say(self, text: str) -> None:
        def forget() -> None:
            if self._said == text:
                self._said = ""
                self._show_status()

        self._said = text
        self._show_status()
        self.set_timer(SAID_SECONDS, forget)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What is of no use is not in the footer: where there is no run, and "/" in the filter itself."""
        rows, runs = self._footer_for
        return not (
            (action in NEED_A_ROW and not rows)
            or (action in NEED_A_RUN and not runs)
            or (action == "filter" and isinstance(self.focused, RunFilterInput))
        )

    # Cursor, order, filter --------------------------------------------------------------------------------------

    def action_move(self, by: int) -> None:
        self.table.move_by(by)

    def action_page(self, by: int) -> None:
        self.table.move_by(by, pages=True)

    def action_end(self, last: bool) -> None:
        self.table.move(len(self.table.rows) if last else 0)

    def action_sort(self) -> None:
        self._sort_by(COLUMNS[(COLUMNS.index(self._sort) + 1) % len(COLUMNS)])

    def action_turn(self) -> None:
        self._sort_by(self._sort)

    @on(RunTable.SortWanted)
    def _title_clicked(self, message: RunTable.SortWanted) -> None:
        self._sort_by(message.key)

    def _sort_by(self, key: str) -> None:
        """By another column, in the order that one wants first; by the same: the other way round."""
        self._falling = not self._falling if key == self._sort else FIELDS[key].falling
        self._sort, self._said = key, ""
        self._fill()

    def action_filter(self) -> None:
        filter = self.query_one("#run-filter", Input)
        filter.display = True
        filter.focus()

    @on(Input.Changed, "#run-filter")
    def _filter_changed(self) -> None:
        self._said = ""
        self._parse()

    @on(Input.Submitted, "#run-filter")
    def _filter_left(self) -> None:
        filter = self.query_one("#run-filter", Input)
        filter.display = bool(filter.value.strip())
        self._focus_table()

    def _focus_table(self) -> None:
        self.set_focus(self.table if self.table.display else None)

    def action_back(self) -> None:
        """Out of the filter, then out of the list."""
        filter = self.query_one("#run-filter", Input)
        if filter.display:
            filter.value = ""
            filter.display = False
            self._focus_table()
        else:
            self.post_message(ListLeft(leave=False))

    def action_leave(self) -> None:
        self.post_message(ListLeft(leave=True))

    # Runs -------------------------------------------------------------------------------------------------------

    def _marked(self) -> list[RunRow]:
        """Marked runs that pass the filter, in the order in which they were marked: nothing is done to others."""
        rows = {row.folder: row for row in self.table.rows}
        return [rows[folder] for folder in self.table.marked if folder in rows]

    @property
    def _marked_out_of_sight(self) -> set[Path]:
        """Those that do not pass it. They keep their marks."""
        return set(self.table.marked) - {row.folder for row in self.table.rows}

    def action_mark(self) -> None:
        if (row := self.table.current) is not None:
            self.table.mark(row)
            self.table.move_by(1)

    def action_unmark(self) -> None:
        self.table.unmark()

    @on(RunTable.Opened)
    def action_open(self) -> None:
        if (row := self.table.current) is not None and self.table.display:
            self.post_message(OpenWanted(row.folder))

    def action_compare(self) -> None:
        marked, hidden = self._marked(), hidden_marks(len(self._marked_out_of_sight))
        if not marked:
            self._say(hidden or "mark the runs to compare with space first")
        elif len(marked) > MOST_COMPARED:
            self._say(f"{len(marked)} runs are marked; {MOST_COMPARED} at most are compared")
        else:
            if hidden:
                self.notify(hidden, markup=False, timeout=SAID_SECONDS)  # on the screen that comes now
            self.post_message(CompareWanted([row.folder for row in marked]))

    def action_delete(self) -> None:
        row = self.table.current if self.table.display else None
        wanted, hidden = self._marked() or ([row] if row else []), len(self._marked_out_of_sight)
        live, ended = [row for row in wanted if row.summary.live], [row for row in wanted if not row.summary.live]
        if wanted and not ended:
            what = "the run is" if len(live) == 1 else f"{len(live)} runs are"
            self._say(f"{what} live and cannot be deleted; stop {'it' if len(live) == 1 else 'them'} first")
        elif ended:

            def answered(choice: str | None) -> None:
                if choice == "delete":
                    self._delete([row.folder for row in ended])

            self.app.push_screen(delete_dialog(ended, live, self.app.size.width, hidden), answered)
        elif hidden:
            self._say(hidden_marks(hidden))

    def _delete(self, folders: Sequence[Path]) -> None:
        self._say(f"deleting {plural(len(folders), 'run')} …")
        self.run_worker(lambda: self._delete_all(folders), thread=True, group="delete", exit_on_error=False)

    def _delete_all(self, folders: Sequence[Path]) -> None:
        self.post_message(self.Deleted(delete_runs(folders)))

    @on(Deleted)
    def _say_deleted(self, message: Deleted) -> None:
        done = message.done
        for problem in done.problems[:3]:
            self.notify(clean(problem), title="Not deleted", severity="error", timeout=15, markup=False)
        more = f"; {len(done.problems)} could not be" if done.problems else ""
        self._say(f"{'✘' if done.problems else '✔'} {plural(done.count, 'run')} deleted{more}")
        self.look()

    def action_new(self) -> None:
        self.post_message(ProfilesWanted())

    def action_theme(self) -> None:
        self.app.theme = other_theme(self.app.theme)

    def action_help(self) -> None:
        show_help(self.app, "runs")
