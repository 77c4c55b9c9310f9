"""Runs that wait, and the form for a profile."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from textual import on

from core.errors import ReidError
from core.printable import clean
from reid_tui.app_runs import RunsApp
from reid_tui.run_queue import QueuedRun
from reid_tui.screens.picker import PickerScreen
from reid_tui.wishes import AddWanted, BeginWanted, HoldWanted, QueueWanted, RunEnded

if TYPE_CHECKING:
    from core.profile import Profile
    from reid_tui.screens.editor import EditorScreen


class QueueApp(RunsApp):
    """The queue and the editor on top of the runs."""

    @on(PickerScreen.EditWanted)
    def _edit_wanted(self, message: PickerScreen.EditWanted) -> None:
        self.run_worker(partial(self._open_editor, message.path), thread=True, group="editor", exclusive=True)

    def _open_editor(self, path: Path) -> None:
        """In a worker thread: the file may lie far away, and pydantic takes its time."""
        from core.profile_files import read_tables
        from reid_tui.screens.editor import EditorScreen

        try:
            tables = read_tables(path)
        except ReidError as error:
            self.call_from_thread(self.notify, clean(error.message), severity="error", markup=False)
            return
        self.call_from_thread(self._show_editor, lambda: EditorScreen(path, tables, self._overrides, self.enqueue))

    def _show_editor(self, make: Callable[[], EditorScreen]) -> None:
        if isinstance(self.screen, PickerScreen):
            editor = make()
            editor.can_launch = not self.screen.adding
            self.push_screen(editor, self._editor_left)

    def _editor_left(self, launched: tuple[str, Profile] | None) -> None:
        if isinstance(self.screen, PickerScreen):
            self.screen.action_reload()
        if launched is not None:
            self.launch(launched[1], launched[0])

    def show_next(self, run: QueuedRun) -> str:
        """Show a run of the queue in the place of the last one; gives why it could not be started."""
        if self._dashboard is None:
            while len(self.screen_stack) > 1 and not isinstance(self.screen, PickerScreen):
                self.pop_screen()
            if isinstance(picker := self.screen, PickerScreen):
                picker.add_to_queue(False)
            return self._show_new(run)
        while self.screen is not self._dashboard:
            self.pop_screen()
        return self._show_new(run, replace=True)

    def show_queue(self, now: float) -> None:
        """Draw how the queue stands, wherever it is on the screen."""
        from reid_tui.screens.dashboard import DashboardScreen
        from reid_tui.screens.queue import QueueScreen

        for screen in self.screen_stack:
            if not screen.is_mounted or not screen.is_running:
                continue
            if isinstance(screen, DashboardScreen):
                screen.show_queue(now)
            elif isinstance(screen, PickerScreen):
                screen.show_queue(len(self.queue.waiting))
            elif isinstance(screen, QueueScreen):
                screen.show()

    @on(RunEnded)
    def _run_ended(self) -> None:
        if self._last is not None:
            self.queue_runner.run_ended(self._last.state)

    @on(QueueWanted)
    def _queue_wanted(self) -> None:
        from reid_tui.screens.queue import QueueScreen

        self.push_screen(QueueScreen(self.queue, lambda: self.queue_runner.at_rest, self.queue_runner.changed))

    @on(HoldWanted)
    def _hold_wanted(self) -> None:
        self.queue_runner.toggle_hold()

    @on(BeginWanted)
    def _begin_wanted(self, message: BeginWanted) -> None:
        if self.queue_runner.at_rest and message.run in self.queue.waiting:
            self.queue_runner.begin(message.run)

    @on(AddWanted)
    def _add_wanted(self) -> None:
        self.pop_screen()
        if isinstance(picker := self.screen, PickerScreen):
            picker.add_to_queue(True)
        else:
            self.push_screen(PickerScreen(self._read_profiles, adding=True))

    @on(PickerScreen.Queued)
    def _queued(self, message: PickerScreen.Queued) -> None:
        self.enqueue(message.path.stem, message.profile)

    def enqueue(self, title: str, profile: Profile) -> None:
        """Put a run behind the others; nothing begins by itself before a run was launched."""
        self.queue.add(title, profile)
        # How many wait stands on the screen; a toast would still say it when they have begun.
        self.notify(clean(f"{title} was put into the queue"), markup=False, timeout=3)
        self.queue_runner.added()
