"""The app: from the picker to the dashboard and back. torch is loaded by what is passed in, never here."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.driver import Driver

from core.run_state import RunState
from reid_tui import garbage
from reid_tui.app_queue import QueueApp
from reid_tui.app_runs import StartDetached, StartRun
from reid_tui.event_queue import Run
from reid_tui.keys import bindings, shown_key
from reid_tui.queue_runner import QueueRunner
from reid_tui.remembered import Memory
from reid_tui.run_queue import QueuedRun, RunQueue
from reid_tui.screens.picker import PickerScreen
from reid_tui.settings import DEFAULTS, Settings

if TYPE_CHECKING:
    from core.profile import Profile
    from core.run_plan import PlannedRun
    from reid_tui.screens.dashboard import DashboardScreen


TITLE_SECONDS = 1.0
TERMINAL_GONE = "the terminal is gone; the training goes on"


class ReidApp(QueueApp):
    """The terminal dashboard.

    Args:
        profile_paths: the profiles to choose from; None: every one that is found.
        profiles_dir: folder that is searched before the usual ones.
        overrides: `table.key=value` each, laid over every profile.
        selected: a profile to launch at once, without the picker.
        start_run: the training, called in a thread of its own; returns when the run has ended.
        attach: a run folder to show at once, without the picker.
        list_runs: show the runs of this machine first, not the picker.
        runs_dir: the folder that holds the runs that are listed; None: all of this machine.
        start_detached: starts what the picker gives in a process of its own, and gives the run that follows it.
        warm: loads what the training will need (torch), in a thread, once the picker has its profiles.
        settings: what the person's settings file says.
        told: what was wrong with that file.
        memory: what was chosen the last time; without one nothing is remembered.
        driver_class: another driver, for tests.
        queued: runs to launch one after another, the first at once, without the picker.
    """

    CSS_PATH = "app.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings("app"),
        Binding("ctrl+c", "hint", "How to quit", show=False, priority=True),
        Binding("ctrl+l", "redraw", "Draw anew", show=False, priority=True),
    ]

    def __init__(
        self,
        profile_paths: Sequence[Path] | None,
        profiles_dir: Path | None,
        overrides: Sequence[str],
        selected: Profile | None,
        start_run: StartRun,
        *,
        attach: Path | None = None,
        list_runs: bool = False,
        runs_dir: Path | None = None,
        start_detached: StartDetached | None = None,
        warm: Callable[[], None] | None = None,
        settings: Settings = DEFAULTS,
        told: Sequence[str] = (),
        memory: Memory | None = None,
        driver_class: type[Driver] | None = None,
        queued: Sequence[PlannedRun] = (),
    ) -> None:
        super().__init__(settings, told, memory or Memory(), driver_class)
        self._profile_paths = profile_paths
        self._profiles_dir = profiles_dir
        self._overrides = tuple(overrides)
        self._selected = selected
        self._start_run = start_run
        self._attached = attach
        self._list_runs = list_runs
        self._runs_dir = runs_dir
        self._scan = None
        self._start_detached = start_detached
        self._warm = warm
        self._warmed = False
        self._has_left_runs = False
        self._last = None
        self.queue = RunQueue([QueuedRun(run.title, run.profile) for run in queued])
        self.queue_runner = QueueRunner(self, self.queue)
        self.crash: Exception | None = None  # what the screen has failed with

    @property
    def dashboard(self) -> DashboardScreen | None:
        """The dashboard of the last run that was launched, if there was one; it may have been left."""
        return self._last

    @property
    def on_a_run(self) -> bool:
        """Whether a dashboard is on the screen, be it below others."""
        return self._dashboard is not None

    @property
    def live_run(self) -> Run | None:
        """The last run that was on the screen."""
        return self._last.live if self._last else None

    def on_mount(self) -> None:
        # No animation is worth the redraws that it takes from the training.
        self.animation_level = "none"
        self.begin_capture_print(self)
        self._handle_signals()
        self._say_what_is_wrong_with_the_settings()
        self.set_interval(TITLE_SECONDS, self._announce)
        self.set_interval(garbage.LOOK_SECONDS, garbage.collect_much)
        self.set_interval(garbage.SECONDS, self._collect_left_runs)
        if self._attached is not None:
            from reid_tui.attached_run import AttachedRun

            self._show_run(self._attached.name, partial(AttachedRun, self._attached))
        elif self.queue.waiting:
            self.queue_runner.begin(self.queue.waiting[0])
        elif self._selected is not None:
            self.launch(self._selected, self._selected.run.name)
        elif self._list_runs:
            from reid_tui.screens.runs import RunsScreen

            self.push_screen(RunsScreen(self._look_at_runs))
        else:
            self.push_screen(PickerScreen(self._read_profiles, self._last_profile))

    def _collect_left_runs(self) -> None:
        if self._has_left_runs:
            garbage.collect_all()
        self._has_left_runs = False

    def _handle_exception(self, error: Exception) -> None:
        """Textual's last act before it gives up the screen; there is no public way to learn of it."""
        self.crash = error
        super()._handle_exception(error)

    async def action_quit(self) -> None:
        """ctrl+q, wherever it is not bound otherwise: asks while a run of this process is live, like `q`."""
        from reid_tui.screens.dialogs import ChoiceDialog, drop_queue_dialog

        live = self._dashboard is not None and self._dashboard.run_is_live and not self._dashboard.live.attached
        if self._dashboard is None or not (live or self.queue.waiting):
            if not self.queue.waiting:
                self.exit()
            elif not isinstance(self.screen, ChoiceDialog):
                self.push_screen(drop_queue_dialog(len(self.queue.waiting)), self._drop_chosen)
        elif not self._dashboard.asks_to_quit:
            while self.screen is not self._dashboard:
                self.pop_screen()
            await self._dashboard.action_leave()

    def _drop_chosen(self, choice: str | None) -> None:
        if choice == "quit":
            self.exit()

    def action_hint(self) -> None:
        """ctrl+c copies what is selected; many press it to leave, and are told how."""
        from reid_tui.screens.dashboard import DashboardScreen

        if self.screen.get_selected_text() is not None:
            self.screen.action_copy_text()
            return
        on_run = isinstance(self.screen, DashboardScreen) and self.screen.run_is_live
        quits, stops = (shown_key(id, self.settings.keys) for id in ("app.quit", "run.stop"))
        self.notify(f"{quits} quits, {stops} stops the run" if on_run else "ctrl+q quits", markup=False, timeout=4)

    def _handle_signals(self) -> None:
        """The event loop takes them: nothing is drawn or asked from inside a signal handler."""
        if threading.current_thread() is not threading.main_thread():
            return
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._told_to_end, number)
        loop.add_signal_handler(signal.SIGUSR1, self._told_to_save)
        loop.add_signal_handler(signal.SIGHUP, self.hung_up)

    def _told_to_save(self) -> None:
        """SLURM and others send it some time before they end a job."""
        if self.live_run is not None and not self.live_run.attached:
            self.live_run.control.checkpoint()

    def _told_to_end(self, number: signal.Signals) -> None:
        if self.live_run is not None and not self.live_run.attached:  # the screen is told to end, not another process
            self.live_run.control.stop_after_batch(f"stopped by {signal.Signals(number).name}")
        self.exit()

    @property
    def log_file(self) -> Path | None:
        """The log of the run in this process, once it is known."""
        here = self._dashboard is not None and not self._dashboard.live.attached
        return log_file_of(self._dashboard.state) if here and self._dashboard is not None else None

    def hung_up(self) -> None:
        """The terminal is gone. The screen goes; the run stays."""
        if self.terminal_lost:
            return
        self.terminal_lost = True
        if self._dashboard is not None and self._dashboard.run_is_live:
            self._dashboard.say([TERMINAL_GONE], "warning")
            self._dashboard.fold_now()
        self.exit()


def log_file_of(state: RunState) -> Path | None:
    """`run.log` of a run; None before it has said where its folder is."""
    return Path(state.started.folder) / "run.log" if state.started else None
