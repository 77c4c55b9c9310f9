"""The app: from the picker to the dashboard and back. torch is loaded by what is passed in, never here."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.driver import Driver
from textual.filter import LineFilter
from textual.screen import Screen
from textual.widgets import Input, TextArea

from core.control import RunControl
from core.errors import ReidError
from core.events import LogLine, RunFinished
from core.printable import clean
from core.run_state import RunState
from reid_tui.attached_run import AttachedRun
from reid_tui.event_queue import Run
from reid_tui.filters import filters_for
from reid_tui.keys import bindings, shown_as, shown_key
from reid_tui.live_run import Emit, LiveRun
from reid_tui.notify import Notifier
from reid_tui.output import OutputLines
from reid_tui.palette import commands
from reid_tui.queue_runner import QueueRunner
from reid_tui.remembered import Memory
from reid_tui.run_queue import QueuedRun, RunQueue
from reid_tui.screens.compare import CompareScreen
from reid_tui.screens.dashboard import DashboardScreen
from reid_tui.screens.dialogs import ChoiceDialog, drop_queue_dialog
from reid_tui.screens.picker import PickerScreen
from reid_tui.screens.queue import QueueScreen
from reid_tui.screens.run_charts import ChartSettings
from reid_tui.screens.runs import RunsScreen
from reid_tui.settings import DEFAULTS, Settings
from reid_tui.terminal import TerminalDriver
from reid_tui.text import plural
from reid_tui.theme import PLAIN, THEMES, first_theme, short_name
from reid_tui.title import CLEARED, Announcer, knows, progress_of, title_of

if TYPE_CHECKING:
    from core.profile import Profile
    from core.profile_files import ProfileReading
    from core.run_fields import RunRow
    from core.run_plan import PlannedRun
    from core.run_scan import RunScan
    from reid_tui.screens.editor import EditorScreen

StartRun = Callable[["Profile", Emit, RunControl], RunFinished]
MakeRun = Callable[[Callable[[], None]], Run]
StartDetached = Callable[["Profile"], MakeRun]
OUTPUT_LINES_KEPT = 500
TITLE_SECONDS = 1.0
TERMINAL_GONE = "the terminal is gone; the training goes on"


class ReidApp(App[None]):
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
        warm: loads what the training will need (torch), in a thread, while the picker is on the screen.
        settings: what the person's settings file says.
        told: what was wrong with that file.
        memory: what was chosen the last time; without one nothing is remembered.
        driver_class: another driver, for tests.
        queued: runs to launch one after another, the first at once, without the picker.
    """

    TITLE = "reid-tui"
    CSS_PATH = "app.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings("app"),
        Binding("ctrl+c", "hint", "How to quit", show=False, priority=True),
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
        self._line_filters: tuple[str, list[LineFilter]] = ("", [])
        super().__init__(driver_class=driver_class)
        self.settings = settings
        self.draws_ascii = settings.ascii
        self._told = tuple(told)
        self._memory = memory or Memory()
        self._memory_fails = False
        self._announcer = Announcer(knows(os.environ))
        self._profile_paths = profile_paths
        self._profiles_dir = profiles_dir
        self._overrides = tuple(overrides)
        self._selected = selected
        self._start_run = start_run
        self._attached = attach
        self._list_runs = list_runs
        self._runs_dir = runs_dir
        self._scan: RunScan | None = None
        self._start_detached = start_detached
        self._warm = warm
        self._printed = OutputLines()
        self._output: deque[LogLine] = deque(maxlen=OUTPUT_LINES_KEPT)
        self._dashboard: DashboardScreen | None = None  # on the screen
        self._last: DashboardScreen | None = None
        self.chart_settings = ChartSettings()  # as the person has set them, from one run to the next
        self.chart_settings.charts[0].log_scale = self._memory.now.log_scale
        self.notifier = Notifier(os.environ, self._write_to_terminal, time.time)
        self.queue = RunQueue([QueuedRun(run.title, run.profile) for run in queued])
        self.queue_runner = QueueRunner(self, self.queue)
        self.terminal_lost = False
        self.crash: Exception | None = None  # what the screen has failed with
        for theme in THEMES:
            self.register_theme(theme)
        self.register_theme(PLAIN)
        self.theme = self._first_theme()
        self.set_keymap(settings.keys)

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
        if self._attached is not None:
            self._show_run(self._attached.name, partial(AttachedRun, self._attached))
        elif self.queue.waiting:
            self.queue_runner.begin(self.queue.waiting[0])
        elif self._selected is not None:
            self.launch(self._selected, self._selected.run.name)
        elif self._list_runs:
            self.push_screen(RunsScreen(self._look_at_runs))
        else:
            self.push_screen(PickerScreen(self._read_profiles, self._last_profile))
            self.call_after_refresh(self._warm_up)

    # Runs -------------------------------------------------------------------------------------------------------

    def _read_profiles(self) -> list[ProfileReading]:
        """In a worker thread; the import is here because pydantic would delay the first frame."""
        from core.profile_files import find_profiles, read_profile

        paths = find_profiles(self._profiles_dir) if self._profile_paths is None else self._profile_paths
        readings = [read_profile(path, self._overrides) for path in paths]
        return sorted(readings, key=lambda reading: bool(reading.problems))  # those that can be launched come first

    def _warm_up(self) -> None:
        if self._warm is not None:
            # A daemon: who leaves the picker at once does not wait for an import.
            threading.Thread(target=self._load, args=(self._warm,), name="warm-up", daemon=True).start()

    @staticmethod
    def _load(warm: Callable[[], None]) -> None:
        # If the import fails, the run will say so, in full; here there is nobody to tell.
        with contextlib.suppress(ImportError, OSError):
            warm()
            gc.freeze()  # for the reason given in the dashboard

    def launch(self, profile: Profile, title: str) -> None:
        """Show the dashboard, which starts the run."""
        run = self.queue.begin_new(title, profile)
        if error := self._show_new(run):
            self.queue.runs.remove(run)
            self.notify(clean(error), title="The run could not be started", severity="error", markup=False)

    def _train(self, profile: Profile, emit: Emit, control: RunControl) -> RunFinished:
        """In the thread of the run."""
        if self.queue.ended:
            gc.collect()  # what the last run has left on the device
        return self._start_run(profile, emit, control)

    def _show_new(self, run: QueuedRun, *, replace: bool = False) -> str:
        """Start a run and show it; gives why it could not be started."""
        make_run: MakeRun = partial(LiveRun, partial(self._train, run.profile))
        if self._start_detached is not None:
            try:
                make_run = self._start_detached(run.profile)
            except (ReidError, OSError) as error:
                return str(error)
        self._show_run(run.title, make_run, replace=replace)
        return ""

    def _show_run(self, title: str, make_run: MakeRun, *, replace: bool = False) -> None:
        self._dashboard = self._last = DashboardScreen(title, make_run, list(self._output), self.queue)
        self._output.clear()
        self._dashboard.restore(self._memory.now)
        if replace:
            self.switch_screen(self._dashboard)
        else:
            self.push_screen(self._dashboard)

    @property
    def _training_here(self) -> bool:
        """Whether a thread of this process is at work on a run; another one must not begin beside it."""
        return self._last is not None and not self._last.live.attached and self._last.live.alive

    # The list of runs -------------------------------------------------------------------------------------------

    def _look_at_runs(self) -> list[RunRow]:
        """In a worker thread, one at a time; the import is here because pydantic would delay the first frame."""
        from core.run_scan import RunScan

        self._scan = self._scan or RunScan(self._runs_dir)
        return self._scan.look()

    @on(PickerScreen.RunsWanted)
    @on(DashboardScreen.RunsWanted)
    def _runs_wanted(self) -> None:
        if self._below(RunsScreen):
            self._go_back()
        elif not isinstance(self.screen, RunsScreen):
            self.push_screen(RunsScreen(self._look_at_runs))

    @on(RunsScreen.OpenWanted)
    @on(CompareScreen.OpenWanted)
    def _open_wanted(self, message: RunsScreen.OpenWanted | CompareScreen.OpenWanted) -> None:
        """Show a run of any process. One that trains in this process keeps its screen."""
        own = next((screen for screen in self.screen_stack if _shows(screen, message.folder)), None)
        if own is not None:
            while self.screen is not own:
                self._go_back()
            return
        screen = DashboardScreen(message.folder.name, partial(AttachedRun, message.folder))
        screen.opened_from_list = True
        if self._last is None or self._last.live.attached:
            self._dashboard = self._last = screen
        self.push_screen(screen)

    @on(RunsScreen.CompareWanted)
    def _compare_wanted(self, message: RunsScreen.CompareWanted) -> None:
        self.push_screen(CompareScreen(message.folders))

    @on(RunsScreen.BackWanted)
    def _list_left(self) -> None:
        if len(self.screen_stack) > 2:
            self._go_back()
        else:
            self.exit()

    @on(DashboardScreen.BackWanted)
    @on(CompareScreen.BackWanted)
    def _go_back(self) -> None:
        """Take the upper screen away; one that only watches a run stops to."""
        screen = self.screen
        self.pop_screen()
        if isinstance(screen, DashboardScreen) and isinstance(screen.live, AttachedRun):
            screen.live.leave()
            if self._last is screen:
                self._dashboard = self._last = None

    def _below(self, kind: type[Screen[None]]) -> bool:
        """Whether the screen below the upper one is of a kind."""
        return len(self.screen_stack) > 1 and isinstance(self.screen_stack[-2], kind)

    @on(PickerScreen.Picked)
    def _picked(self, message: PickerScreen.Picked) -> None:
        if not isinstance(self.screen, DashboardScreen):
            self.remember(profile=str(message.path.absolute()))
            self.launch(message.profile, message.path.stem)

    @on(DashboardScreen.ProfilesWanted)
    @on(RunsScreen.NewRunWanted)
    def _profiles_wanted(self) -> None:
        if self._training_here:
            self.notify("a run trains in this process; it must end first, or be detached (d)", markup=False, timeout=6)
            return
        self.queue_runner.hold()  # whoever goes to the profiles has something else in mind
        while len(self.screen_stack) > 2 and not isinstance(self.screen, PickerScreen):
            self._go_back()
        self._dashboard = None
        if isinstance(picker := self.screen, PickerScreen):
            picker.action_reload()
        else:
            self.switch_screen(PickerScreen(self._read_profiles, self._last_profile))
            self.call_after_refresh(self._warm_up)
        self.call_after_refresh(self.queue_runner.changed)

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

    # The queue ----------------------------------------------------------------------------------------------------

    def show_next(self, run: QueuedRun) -> str:
        """Show a run of the queue in the place of the last one; gives why it could not be started."""
        if self._dashboard is None:
            while len(self.screen_stack) > 1 and not isinstance(self.screen, PickerScreen):
                self.pop_screen()
            return self._show_new(run)
        while self.screen is not self._dashboard:
            self.pop_screen()
        return self._show_new(run, replace=True)

    def show_queue(self, now: float) -> None:
        """Draw how the queue stands, wherever it is on the screen."""
        for screen in self.screen_stack:
            if not screen.is_mounted or not screen.is_running:
                continue
            if isinstance(screen, DashboardScreen):
                screen.show_queue(now)
            elif isinstance(screen, PickerScreen):
                screen.show_queue(len(self.queue.waiting))
            elif isinstance(screen, QueueScreen):
                screen.show()

    @on(DashboardScreen.Finished)
    def _run_ended(self) -> None:
        if self._last is not None:
            self.queue_runner.run_ended(self._last.state)

    @on(DashboardScreen.QueueWanted)
    @on(PickerScreen.QueueWanted)
    def _queue_wanted(self) -> None:
        self.push_screen(QueueScreen(self.queue, lambda: self.queue_runner.at_rest, self.queue_runner.changed))

    @on(DashboardScreen.HoldWanted)
    @on(QueueScreen.HoldWanted)
    def _hold_wanted(self) -> None:
        self.queue_runner.toggle_hold()

    @on(QueueScreen.BeginWanted)
    def _begin_wanted(self, message: QueueScreen.BeginWanted) -> None:
        if self.queue_runner.at_rest and message.run in self.queue.waiting:
            self.queue_runner.begin(message.run)

    @on(QueueScreen.AddWanted)
    def _add_wanted(self) -> None:
        self.pop_screen()
        if not isinstance(self.screen, PickerScreen):
            self.push_screen(PickerScreen(self._read_profiles, adding=True))

    @on(PickerScreen.Queued)
    def _queued(self, message: PickerScreen.Queued) -> None:
        self.enqueue(message.path.stem, message.profile)

    def enqueue(self, title: str, profile: Profile) -> None:
        """Put a run behind the others; nothing begins by itself before a run was launched."""
        self.queue.add(title, profile)
        self.notify(clean(f"{title} is in the queue: {plural(len(self.queue.waiting), 'run')} waiting"), markup=False)
        self.queue_runner.added()

    def _handle_exception(self, error: Exception) -> None:
        """Textual's last act before it gives up the screen; there is no public way to learn of it."""
        self.crash = error
        super()._handle_exception(error)

    # What others write to the terminal --------------------------------------------------------------------------

    def take_output(self, lines: list[str]) -> None:
        """Lines from descriptors 1 and 2; from a thread of the driver."""
        if self._dashboard is not None:
            self._dashboard.say(lines)
        else:
            self._output.extend(LogLine(time.time(), "info", line) for line in lines)

    def on_print(self, event: events.Print) -> None:
        """`print`, `warnings` and tqdm, from any thread."""
        if lines := self._printed.feed(event.text, time.monotonic()):
            self.take_output(lines)

    def _write_to_terminal(self, sequence: str) -> None:
        """A whole sequence, between two frames; only a real terminal gets it."""
        if isinstance(self._driver, TerminalDriver) and not self.terminal_lost:
            self._driver.write_sequence(sequence)

    # Manner -----------------------------------------------------------------------------------------------------

    def _first_theme(self) -> str:
        if os.environ.get("NO_COLOR"):
            return PLAIN.name
        return first_theme(os.environ, self.settings.theme or short_name(self._memory.now.theme))

    def get_line_filters(self) -> Sequence[LineFilter]:
        if self._line_filters[0] != self.theme:
            self._line_filters = self.theme, filters_for(self.theme, os.environ, self.console.color_system)
        return [*super().get_line_filters(), *self._line_filters[1]]

    def get_key_display(self, binding: Binding) -> str:
        return binding.key_display or shown_as(binding.key)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        return commands(self, screen)

    @on(events.DescendantFocus)
    def _calm_cursor(self, event: events.DescendantFocus) -> None:
        if self.settings.low_bandwidth and isinstance(event.widget, Input | TextArea):
            event.widget.cursor_blink = False

    def _say_what_is_wrong_with_the_settings(self) -> None:
        if self._told:
            self.take_output([f"settings: {problem}" for problem in self._told])
            self.notify("\n".join(self._told), title="Settings", severity="warning", markup=False, timeout=15)

    def remember(self, **changes: object) -> None:
        """Keep what the person has chosen for the next time; see `Remembered` for the names."""
        if self._memory.note(**changes):
            self.run_worker(self._write_memory, thread=True, group="memory", exit_on_error=False)

    def _write_memory(self) -> None:
        try:
            self._memory.write()
        except OSError as error:
            if not self._memory_fails:
                self._memory_fails = True
                self.take_output([clean(f"what you choose is not remembered: {error}")])

    @property
    def _last_profile(self) -> Path | None:
        return Path(self._memory.now.profile) if self._memory.now.profile else None

    def _announce(self) -> None:
        """The title of the terminal, and the progress that it shows; at most once a second, and only what is new."""
        if self._dashboard is None:
            written = self._announcer.update(self.TITLE, (CLEARED, 0))
        else:
            state = self._dashboard.state
            written = self._announcer.update(title_of(state, self._dashboard.run_title), progress_of(state))
        if written and self._driver is not None:
            self._driver.write(written)

    # Ends -------------------------------------------------------------------------------------------------------

    async def action_quit(self) -> None:
        """ctrl+q, wherever it is not bound otherwise: asks while a run of this process is live, like `q`."""
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


def _shows(screen: Screen[object], folder: Path) -> bool:
    """Whether a screen is the dashboard of a run that trains, or has trained, in this process."""
    if not isinstance(screen, DashboardScreen) or screen.live.attached:
        return False
    started = screen.state.started
    return started is not None and Path(started.folder).resolve() == folder


def log_file_of(state: RunState) -> Path | None:
    """`run.log` of a run; None before it has said where its folder is."""
    return Path(state.started.folder) / "run.log" if state.started else None
