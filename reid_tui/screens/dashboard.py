"""The dashboard of one run. It folds events into a `RunState` and hands that to the panels; it asks the run nothing."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container
from textual.message import Message
from textual.screen import Screen

from core.events import Alert, CheckpointSaved, Level, LogLine, Paused, RunStarted
from core.printable import clean
from core.run_state import Past, RunState, fold
from reid_tui import garbage
from reid_tui.event_queue import Run
from reid_tui.keys import bindings
from reid_tui.notify import Notifier
from reid_tui.remembered import Remembered, remember
from reid_tui.run_queue import RunQueue
from reid_tui.screens.alerts import AlertsScreen
from reid_tui.screens.chart_keys import FULL
from reid_tui.screens.help import show_help
from reid_tui.screens.run_asks import RunAsks
from reid_tui.screens.run_charts import RunCharts
from reid_tui.settings import settings_of
from reid_tui.theme import other_theme
from reid_tui.widgets.chart import Chart
from reid_tui.widgets.epoch_table import EpochTable
from reid_tui.widgets.header import HeaderBar
from reid_tui.widgets.key_bar import KeyBar
from reid_tui.widgets.log_pane import LogPane
from reid_tui.widgets.patience import PatiencePanel
from reid_tui.widgets.progress import ProgressPanel
from reid_tui.widgets.queue_line import QueueLine
from reid_tui.widgets.status import StatusLine
from reid_tui.widgets.system import SystemPanel
from reid_tui.wishes import BackWanted, HoldWanted, ProfilesWanted, QueueWanted, RunEnded, RunsWanted

REDRAWS_OF_A_CURVE = 4  # of the numbers, for one of the curves: from one to the next they hardly grow by a dot
SETTLING_SECONDS = 1.0  # after the end, before a key leaves the screen of the run
PATIENCE_ROWS = 7  # of the panel of early stopping, with everything in it
LEAST_TABLE_ROWS = 8  # of the table of epochs, before another panel takes rows of it
LOG_ROWS = 34  # from this height on there is room for the log beside everything else
WHILE_LIVE = {"checkpoint", "pause", "stop"}


class DashboardScreen(RunAsks, RunCharts, Screen[None]):
    """Draws a live run, at most four times a second, and tells it what the keys ask for.

    Args:
        title: name of the profile, shown until the run says its own.
        make_run: makes the run that is shown; gets what wakes the screen.
        output: lines that were written to the terminal before this screen was there.
        queue: the runs that wait for the end of this one.
    """

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("dashboard"), *bindings("chart")]
    # Textual declares these two as instance attributes.
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (70, "-middle"), (110, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-tiny"), (18, "-short"), (22, "-usual"), (LOG_ROWS, "-tall")]  # noqa: RUF012
    AUTO_FOCUS = ""

    class EventsWaiting(Message):
        """The run has said something. Posted from its thread."""

    def __init__(
        self,
        title: str,
        make_run: Callable[[Callable[[], None]], Run],
        output: list[LogLine] | None = None,
        queue: RunQueue | None = None,
    ) -> None:
        super().__init__()
        self.queue = queue or RunQueue()
        self.run_title = title
        self.state = RunState()
        self.live = make_run(self._wake)
        for line in output or []:
            fold(self.state, line)
        self._folding_soon = False
        self._folded_at = -math.inf
        self._covered = False
        self._curves_soon = False
        self._curves_at = -math.inf  # when they were shown last
        self._curves_end: tuple[object, ...] = ()  # of the run as they show it
        self._wishes: dict[str, str] = {}
        self._ended_at = -math.inf
        self.opened_from_list = False
        self._log_wanted: bool | None = None  # None: as the height has it
        self._system_wanted: bool | None = None  # None: where there is room

    def restore(self, remembered: Remembered) -> None:
        """Begin as the person has left it the last time."""
        self._log_wanted = remembered.log

    def compose(self) -> ComposeResult:
        yield HeaderBar(self.run_title, id="header")
        yield ProgressPanel(id="progress")
        with Container(id="body"):
            with Container(id="charts"):
                yield Chart("Loss", id="loss")
                yield Chart("Rank-1 and mAP, %", unit="%", id="ranks")
            with Container(id="numbers"):
                yield EpochTable(id="epochs")
                with Container(id="side"):
                    yield PatiencePanel(id="patience")
                    yield SystemPanel(id="system")
        yield LogPane(id="log")
        yield QueueLine(id="queue")
        yield StatusLine(id="status")
        yield KeyBar(show_command_palette=False)

    def on_mount(self) -> None:
        if not self._is_made:
            return  # the app was told to end in this instant; the run does not begin
        self.begin_charts()
        self._place_log()
        self.show_queue(time.monotonic())
        self.show_all()
        self.live.begin()

    def on_unmount(self) -> None:
        self.live.leave()

    @property
    def _is_made(self) -> bool:
        """False while its parts are being made, or taken down."""
        return bool(self.query(HeaderBar))

    # Events -----------------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        """Called in the thread of the run, at most once between two foldings."""
        # The event loop may be closed between the check that it is there and its use.
        with contextlib.suppress(RuntimeError):
            self.post_message(self.EventsWaiting())

    def say(self, lines: list[str], level: Level = "info") -> None:
        """Lines for the log that do not come from the run, what others wrote to the terminal above all; from any
        thread."""
        for line in lines:
            self.live.emit(LogLine(time.time(), level, line))

    @on(EventsWaiting)
    def _fold_soon(self) -> None:
        if not self._folding_soon:
            self._folding_soon = True
            pause = settings_of(self.app).redraw_seconds
            if self._covered:  # by another screen, all of which Textual draws anew with every change here
                pause *= REDRAWS_OF_A_CURVE
            self.set_timer(max(self._folded_at + pause - time.monotonic(), 0.001), self.fold_now)

    def on_screen_suspend(self) -> None:
        self._covered = True

    def on_screen_resume(self) -> None:
        if self._covered and self._is_made:
            self.fold_now()  # what has come in the meantime
        self._covered = False

    def fold_now(self) -> None:
        """Take what the run has said, and draw what has changed."""
        self._folding_soon, self._folded_at = False, time.monotonic()
        ended_before = self.state.finished
        events = self.live.take()
        for event in events:
            fold(self.state, event)
            if (
                isinstance(event, CheckpointSaved)
                and event.kind == "LAST"
                and not event.routine
                and self._wishes.pop("checkpoint", "")
            ):
                self.say_for_a_while(f"✔ saved {clean(Path(event.path).name)}")
            elif isinstance(event, Paused):
                self._wishes.pop("pause", None)
            elif isinstance(event, Alert) and event.level == "error":
                self._wishes.pop("checkpoint", None)  # it could not be saved, or not be asked for
            elif isinstance(event, RunStarted | Past):
                garbage.freeze()
        if self.live.control.stopping is None:  # a wish that has not reached another process is over
            self._wishes.pop("stop", None)
        if self.live.control.paused == self.state.paused:
            self._wishes.pop("pause", None)
        if isinstance(notifier := getattr(self.app, "notifier", None), Notifier):
            notifier.hear(self.state.started.name if self.state.started else self.run_title, events)
        # A warning is in the status line, its count beside it; a toast would cover the panels for it, or for the past.
        for alert in [event for event in events if isinstance(event, Alert) and event.level == "error"][-3:]:
            self._toast(alert)
        if self.state.finished is None and ended_before is not None:
            self.refresh_bindings()  # somebody has resumed it
        elif self.state.finished is not None and self.state.finished is not ended_before:
            self._wishes.clear()
            self._ended_at = time.monotonic()
            if self._dialog is not None and self._dialog.is_current:
                self._dialog.dismiss("")  # what it asks is settled
            self.refresh_bindings()
            self.post_message(RunEnded())
        self.show_all()

    def show_queue(self, now: float) -> None:
        """Say what waits and when it begins; `now` as of `time.monotonic`."""
        for line in self.query(QueueLine):  # none while the screen is being made or taken down
            line.show(self.queue, now)

    def _toast(self, alert: Alert) -> None:
        message = "\n".join(clean(line) for line in alert.message.splitlines()[:6])
        self.notify(message, title=clean(alert.title), severity="error", timeout=15, markup=False)

    def show_all(self) -> None:
        state = self.state
        ending = "stop" in self._wishes or state.stopping
        self.query_one(HeaderBar).show(state, "stopping" if ending else "", waiting=self.live.waiting)
        self.query_one(ProgressPanel).show(state)
        self.query_one(EpochTable).show(state)
        self.query_one(PatiencePanel).show(state)
        self.query_one(StatusLine).show(state, self.wish)
        self.query_one(LogPane).show(state)
        self._show_curves()
        self._place_system()
        self.query_one(SystemPanel).show(state)
        if isinstance(self.app.screen, AlertsScreen):
            self.app.screen.refresh_alerts()

    def _show_curves(self) -> None:
        """At once where an epoch or the run has begun or ended, else now and then."""
        end = self.state.started, len(self.state.epochs), self.state.finished
        pause = REDRAWS_OF_A_CURVE * settings_of(self.app).redraw_seconds
        wait = self._curves_at + pause - time.monotonic()
        if end != self._curves_end or wait <= 0:
            self._curves_at, self._curves_end = time.monotonic(), end
            self.show_charts(self.state)
        elif not self._curves_soon:
            self._curves_soon = True
            self.set_timer(wait, self._show_curves_late)

    def _show_curves_late(self) -> None:
        self._curves_soon = False
        self._show_curves()

    # Layout -----------------------------------------------------------------------------------------------------

    def on_resize(self) -> None:
        if self._is_made:
            self._place_log()
            self.call_after_refresh(self._place_system)

    def _place_system(self) -> None:
        """Beside early stopping where there is room for both; where it is wished for and there is not, in its place."""
        patience, system = self.query_one(PatiencePanel), self.query_one(SystemPanel)
        height = system.height_at(max(self.query_one("#side").size.width - 4, 20))
        wide = self.has_class("-wide")
        room = self.query_one("#numbers").size.height - (0 if wide else LEAST_TABLE_ROWS)
        both = height + PATIENCE_ROWS <= room
        shown = both and self.state.system is not None if self._system_wanted is None else self._system_wanted
        for panel, wanted in ((system, shown), (patience, (both or not shown) and not self.has_class("-tiny"))):
            if panel.display != wanted:
                panel.display = wanted

    def charts_placed(self) -> None:
        self._place_log()
        self.refresh_bindings()

    def _place_log(self) -> None:
        """Where there is no room for both, the log takes the place of charts and table."""
        full = self.has_class(FULL)
        tall = self.app.size.height >= LOG_ROWS
        shown = not full and (tall if self._log_wanted is None else self._log_wanted)
        log, body = self.query_one(LogPane), self.query_one("#body")
        changed = log.display != shown
        log.display = shown
        body.display = full or tall or not shown
        if changed and shown:
            # Its width is known after the layout only.
            self.call_after_refresh(partial(log.show, self.state))

    # Keys -------------------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in WHILE_LIVE:
            return self.state.finished is None
        if action == "profiles":
            return self.live.attached or self.state.finished is not None
        if action == "detach":
            return self.run_is_live
        if action == "back":
            return self.opened_from_list and not self.chart_is_full
        if action == "queue":
            return bool(self.queue.runs)  # a run that was not launched here has none
        if action == "hold":
            return bool(self.queue.waiting)
        return True

    def action_queue(self) -> None:
        self.post_message(QueueWanted())

    def action_hold(self) -> None:
        self.post_message(HoldWanted())

    def action_chart_select(self, number: int) -> None:
        super().action_chart_select(number)
        if not self.query_one("#charts").display or not self.query_one("#body").display:
            self.say_for_a_while(f"▸ {self.chart.title_text} · f shows it")  # there is no other sign of it

    def action_page(self, by: int) -> None:
        """Of the epochs; of the log, where that has taken their place or all epochs are in sight."""
        table, log = self.query_one(EpochTable), self.query_one(LogPane)
        pane = table if self.query_one("#body").display and (table.max_scroll_y or not log.display) else log
        pane.scroll_relative(y=by * max(pane.size.height - 2, 1), animate=False)

    def action_log(self) -> None:
        if self.has_class(FULL):
            self.action_chart_full()
        self._log_wanted = not self.query_one(LogPane).display
        remember(self.app, log=self._log_wanted)
        self._place_log()

    def action_system(self) -> None:
        if not self.query_one("#body").display:  # behind the log
            self._log_wanted, self._system_wanted = False, True
            self._place_log()
        else:
            self._system_wanted = not self.query_one(SystemPanel).display
        self._place_system()
        self.query_one(SystemPanel).show(self.state)

    def action_alerts(self) -> None:
        self.app.push_screen(AlertsScreen(self.state))

    def action_bell(self) -> None:
        if isinstance(notifier := getattr(self.app, "notifier", None), Notifier):
            self.say_for_a_while(notifier.toggle())

    def action_theme(self) -> None:
        self.app.theme = other_theme(self.app.theme)
        remember(self.app, theme=self.app.theme)

    def action_help(self) -> None:
        show_help(self.app, "dashboard", "chart")

    def action_profiles(self) -> None:
        if 0 <= time.monotonic() - self._ended_at < SETTLING_SECONDS:
            return  # meant for a question that the end has just answered
        if self.live.alive and not self.live.attached:
            self.notify("the last run is still closing its files", markup=False)
        else:
            self.post_message(ProfilesWanted())

    def action_runs(self) -> None:
        self.post_message(RunsWanted())

    def action_back(self) -> None:
        self.post_message(BackWanted())
