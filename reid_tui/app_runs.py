"""From the profiles to runs, and between them: launching, the list, the comparison, and back."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from textual import on
from textual.screen import Screen

from core.control import RunControl
from core.errors import ReidError
from core.events import RunFinished
from core.printable import clean
from reid_tui import garbage
from reid_tui.app_manner import MannerApp
from reid_tui.event_queue import Run
from reid_tui.live_run import LiveRun
from reid_tui.queue_runner import QueueRunner
from reid_tui.run_queue import QueuedRun, RunQueue
from reid_tui.screens.picker import PickerScreen
from reid_tui.wishes import (
    BackWanted,
    CompareWanted,
    ListLeft,
    OpenWanted,
    ProfilesWanted,
    RunsWanted,
)

if TYPE_CHECKING:
    from core.profile import Profile
    from core.profile_files import ProfileReading
    from core.run_fields import RunRow
    from core.run_scan import RunScan
    from reid_tui.live_run import Emit
    from reid_tui.screens.dashboard import DashboardScreen


# Imported where they are opened, so that the first frame does not wait for them, and behind it before a key needs them.
NEXT_SCREENS = tuple(f"reid_tui.screens.{name}" for name in ("help", "dashboard", "editor", "runs", "queue", "compare"))
StartRun = Callable[["Profile", "Emit", RunControl], RunFinished]
MakeRun = Callable[[Callable[[], None]], Run]
StartDetached = Callable[["Profile"], MakeRun]


class RunsApp(MannerApp):
    """Screens of profiles and runs. The constructor is that of `ReidApp`."""

    queue: RunQueue
    queue_runner: QueueRunner
    _profile_paths: Sequence[Path] | None
    _profiles_dir: Path | None
    _overrides: tuple[str, ...]
    _start_run: StartRun
    _start_detached: StartDetached | None
    _runs_dir: Path | None
    _scan: RunScan | None
    _warm: Callable[[], None] | None
    _warmed: bool
    _has_left_runs: bool  # whose screens are garbage now
    _last: DashboardScreen | None

    def launch(self, profile: Profile, title: str) -> None:
        """Show the dashboard, which starts the run."""
        run = self.queue.begin_new(title, profile)
        if error := self._show_new(run):
            self.queue.runs.remove(run)
            self.notify(clean(error), title="The run could not be started", severity="error", markup=False)

    def _train(self, profile: Profile, emit: Emit, control: RunControl) -> RunFinished:
        """In the thread of the run."""
        if self.queue.ended:
            garbage.collect_all()  # what the last run has left on the device
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
        from reid_tui.screens.dashboard import DashboardScreen

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

    def _read_profiles(self) -> list[ProfileReading]:
        """In a worker thread; the import is here because pydantic would delay the first frame."""
        from core.profile_files import find_profiles, read_profile

        paths = find_profiles(self._profiles_dir) if self._profile_paths is None else self._profile_paths
        readings = [read_profile(path, self._overrides) for path in paths]
        return sorted(readings, key=lambda reading: bool(reading.problems))  # those that can be launched come first

    @on(PickerScreen.ProfilesRead)
    def _warm_up(self) -> None:
        """Load what comes next, once the profiles are there: imports beside their reading would hold it up."""
        if self._warmed:
            return
        self._warmed = True
        # A daemon: who leaves the picker at once does not wait for an import.
        threading.Thread(target=self._load, args=(self._warm,), name="warm-up", daemon=True).start()

    @staticmethod
    def _load(warm: Callable[[], None] | None) -> None:
        # If an import fails, the screen or the run that needs it will say so; here there is nobody to tell.
        with contextlib.suppress(ImportError, OSError):
            for name in NEXT_SCREENS:
                import_module(name)
            if warm is not None:
                warm()
                garbage.freeze()

    def _look_at_runs(self) -> list[RunRow]:
        """In a worker thread, one at a time; the import is here because pydantic would delay the first frame."""
        from core.run_scan import RunScan

        self._scan = self._scan or RunScan(self._runs_dir)
        return self._scan.look()

    @on(RunsWanted)
    def _runs_wanted(self) -> None:
        from reid_tui.screens.runs import RunsScreen

        if self._below(RunsScreen):
            self._go_back()
        elif not isinstance(self.screen, RunsScreen):
            self.push_screen(RunsScreen(self._look_at_runs))

    @on(OpenWanted)
    def _open_wanted(self, message: OpenWanted) -> None:
        """Show a run of any process. One that trains in this process keeps its screen."""
        from reid_tui.attached_run import AttachedRun
        from reid_tui.screens.dashboard import DashboardScreen

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

    @on(CompareWanted)
    def _compare_wanted(self, message: CompareWanted) -> None:
        from reid_tui.screens.compare import CompareScreen

        self.push_screen(CompareScreen(message.folders))

    @on(ListLeft)
    def _list_left(self, message: ListLeft) -> None:
        if len(self.screen_stack) > 2:
            self._go_back()
        elif message.leave:
            self.exit()

    @on(BackWanted)
    def _go_back(self) -> None:
        """Take the upper screen away; one that only watches a run stops to."""
        from reid_tui.screens.dashboard import DashboardScreen

        screen = self.screen
        self.pop_screen()
        if isinstance(screen, DashboardScreen) and screen.live.attached:
            screen.live.leave()
            self._has_left_runs = True
            if self._last is screen:
                self._dashboard = self._last = None

    def _below(self, kind: type[Screen[None]]) -> bool:
        """Whether the screen below the upper one is of a kind."""
        return len(self.screen_stack) > 1 and isinstance(self.screen_stack[-2], kind)

    @on(PickerScreen.Picked)
    def _picked(self, message: PickerScreen.Picked) -> None:
        if isinstance(self.screen, PickerScreen):
            self.remember(profile=str(message.path.absolute()))
            self.launch(message.profile, message.path.stem)

    @on(ProfilesWanted)
    def _profiles_wanted(self) -> None:
        if self._training_here:
            self.notify("a run trains in this process; it must end first, or be detached (d)", markup=False, timeout=6)
            return
        self.queue_runner.hold_for_now()  # whoever goes to the profiles has something else in mind
        while len(self.screen_stack) > 2 and not isinstance(self.screen, PickerScreen):
            self._go_back()
        self._dashboard = None
        if isinstance(picker := self.screen, PickerScreen):
            picker.action_reload()
        else:
            self.switch_screen(PickerScreen(self._read_profiles, self._last_profile))
        self.call_after_refresh(self.queue_runner.changed)


def _shows(screen: Screen[object], folder: Path) -> bool:
    """Whether a screen is the dashboard of a run that trains, or has trained, in this process."""
    from reid_tui.screens.dashboard import DashboardScreen

    if not isinstance(screen, DashboardScreen) or screen.live.attached:
        return False
    started = screen.state.started
    return started is not None and Path(started.folder).resolve() == folder
