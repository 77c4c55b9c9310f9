"""How the app looks and behaves whatever it shows: theme, filters, palette, memory, title."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from textual import events, on
from textual._compositor import CompositorUpdate
from textual.app import App, SystemCommand
from textual.binding import Binding
from textual.driver import Driver
from textual.filter import LineFilter
from textual.screen import Screen
from textual.widgets import Input, TextArea

from core.events import LogLine
from core.printable import clean
from reid_tui.chart_settings import ChartSettings
from reid_tui.filters import filters_for
from reid_tui.keys import shown_as
from reid_tui.notify import Notifier
from reid_tui.output import OutputLines
from reid_tui.palette import commands
from reid_tui.remembered import Memory
from reid_tui.settings import Settings
from reid_tui.terminal import TerminalDriver
from reid_tui.theme import PLAIN, THEMES, first_theme, short_name
from reid_tui.title import CLEARED, Announcer, knows, progress_of, title_of

if TYPE_CHECKING:
    from reid_tui.screens.dashboard import DashboardScreen

OUTPUT_LINES_KEPT = 500


class MannerApp(App[None]):
    """The settings of the person, and what follows from them.

    Args:
        settings: what the person's settings file says.
        told: what was wrong with that file.
        memory: what was chosen the last time.
        driver_class: another driver, for tests.
    """

    TITLE = "reid-tui"

    def __init__(
        self, settings: Settings, told: Sequence[str], memory: Memory, driver_class: type[Driver] | None
    ) -> None:
        self._line_filters: tuple[str, list[LineFilter]] = ("", [])
        super().__init__(driver_class=driver_class)
        self.settings = settings
        self.draws_ascii = settings.ascii
        self._told = tuple(told)
        self._memory = memory
        self._memory_fails = False
        self._announcer = Announcer(knows(os.environ))
        self._dashboard: DashboardScreen | None = None  # on the screen
        self._printed = OutputLines()
        self._output: deque[LogLine] = deque(maxlen=OUTPUT_LINES_KEPT)
        self.terminal_lost = False
        self.chart_settings = ChartSettings()  # as the person has set them, from one run to the next
        self.chart_settings.charts[0].log_scale = memory.now.log_scale
        self.notifier = Notifier(os.environ, self._write_to_terminal, time.time)
        for theme in (*THEMES, PLAIN):
            self.register_theme(theme)
        self.theme = self._first_theme()
        self.set_keymap(settings.keys)

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

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        """Textual's way to the terminal, which is private. Only what is not there already gets through."""
        driver = self._driver
        if isinstance(driver, TerminalDriver) and isinstance(renderable, CompositorUpdate) and not self._batch_count:
            renderable = driver.picture.changes(renderable, self.console)
        super()._display(screen, renderable)

    def on_resize(self) -> None:
        self._forget_picture()

    def action_redraw(self) -> None:
        """Everything once more, whatever somebody else has written on the terminal."""
        self._forget_picture()
        self.screen.refresh()

    def _forget_picture(self) -> None:
        if isinstance(self._driver, TerminalDriver):
            self._driver.picture.forget()

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

    def _write_to_terminal(self, sequence: str) -> None:
        """A whole sequence, between two frames; only a real terminal gets it."""
        if isinstance(self._driver, TerminalDriver) and not self.terminal_lost:
            self._driver.write_sequence(sequence)

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
