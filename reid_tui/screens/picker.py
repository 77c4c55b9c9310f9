"""The list of profiles. It reads the files in a worker, off the first frame; its widgets see what was read only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option
from textual.worker import Worker, WorkerState

from core.printable import clean
from reid_tui.keys import binding_with, bindings
from reid_tui.remembered import remember
from reid_tui.text import short_path
from reid_tui.theme import other_theme
from reid_tui.widgets.key_bar import KeyBar
from reid_tui.widgets.profile_view import data_missing, entry, matches, problems, values
from reid_tui.wishes import QueueWanted, RunsWanted

if TYPE_CHECKING:
    from textual.binding import ActiveBinding

    from core.profile import Profile
    from core.profile_files import ProfileReading

Read = Callable[[], "list[ProfileReading]"]


class FilterInput(Input):
    """A text field that leaves `?` to the help; no profile has it in its name.

    Enter is said to the screen in a message behind those of the keys before it: what it launches is what they chose.
    """

    BINDINGS: ClassVar[list[BindingType]] = binding_with("picker.launch", "submit")

    def check_consume_key(self, key: str, character: str | None) -> bool:
        return key != "question_mark" and super().check_consume_key(key, character)


class PickerScreen(Screen[None]):
    """Type to filter, arrows to move, enter to launch.

    Args:
        read: finds and reads the profiles; called in a worker thread, and again on reload.
        adding: whether it is on top of another screen only to pick profiles for the queue; escape goes back to that.
        last: the profile that was launched last; the cursor begins on it.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("picker")
    # Textual declares it as an instance attribute.
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (70, "-middle"), (110, "-wide")]  # noqa: RUF012
    AUTO_FOCUS = "#filter"

    @dataclass
    class Picked(Message):
        """A profile without problems is to be launched."""

        profile: Profile
        path: Path

    @dataclass
    class Queued(Message):
        """A profile without problems is to be put into the queue."""

        profile: Profile
        path: Path

    @dataclass
    class EditWanted(Message):
        """The values of a profile file are to be changed."""

        path: Path

    @dataclass
    class ProfilesRead(Message):
        """Posted from the worker."""

        readings: list[ProfileReading]

    def __init__(self, read: Read, last: Path | None = None, *, adding: bool = False) -> None:
        super().__init__()
        self._read = read
        self._last = last
        self._on_top = adding
        self.adding = adding
        self._waiting = 0
        self._readings: list[ProfileReading] = []
        self._shown: list[ProfileReading] = []
        self._loaded = False

    def compose(self) -> ComposeResult:
        yield Static(self._title(), classes="bar", id="picker-title")
        yield FilterInput(placeholder="type to filter", id="filter", classes="panel")
        with Container(id="pick"):
            yield OptionList(id="profiles", classes="panel")
            with VerticalScroll(id="preview", classes="panel", can_focus=False):
                yield Static(Content.styled("reading …", "$foreground 60%"), id="problems")
                yield Static(id="values")
        yield KeyBar(show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one("#filter", Input).border_title = Content("Filter")
        profiles = self.query_one("#profiles", OptionList)
        profiles.border_title = Content("Profiles")
        profiles.can_focus = False  # the text field keeps the focus; the arrows reach the list through the screen
        self.call_after_refresh(self.action_reload)

    def _title(self) -> Content:
        what = "pick a profile for the queue, esc goes back" if self.adding else "pick a profile to train"
        queue = f" · {self._waiting} waiting, F7" if self._waiting else ""
        return Content.assemble(
            ("reid-tui", "bold $primary"), (f"  {what}", "$foreground 70%"), (queue, "bold $accent")
        )

    def add_to_queue(self, adding: bool) -> None:
        """Whether what is picked is put into the queue from now on, or launched."""
        self.adding = adding
        self.show_queue(self._waiting)
        self.refresh_bindings()

    def show_queue(self, waiting: int) -> None:
        """Say how many runs wait."""
        self._waiting = waiting
        for title in self.query("#picker-title").results(Static):  # none while the screen is being made
            title.update(self._title())

    # Reading ----------------------------------------------------------------------------------------------------

    def action_reload(self) -> None:
        self.run_worker(self._read_all, thread=True, group="profiles", exclusive=True, exit_on_error=False)

    def _read_all(self) -> None:
        self.post_message(self.ProfilesRead(self._read()))

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        if event.state is WorkerState.ERROR:
            self._loaded = True
            self._say(Content.styled(f"The profiles cannot be read: {clean(str(event.worker.error))}", "bold $error"))

    @on(ProfilesRead)
    def _take(self, message: ProfilesRead) -> None:
        first = not self._loaded
        self._readings, self._loaded = message.readings, True
        here = next((each.path for each in self._readings if each.path.absolute() == self._last), None)
        self._fill(here if first and here else self._highlighted_path())

    @property
    def active_bindings(self) -> dict[str, ActiveBinding]:
        """As the footer has them: while profiles are added, enter does what F6 does, which still does it."""
        active = super().active_bindings
        if self.adding:
            for key, each in active.items():
                if each.binding.id == "picker.launch":
                    what = replace(each.binding, description="Add", tooltip="put it into the queue")
                    active[key] = each._replace(binding=what, tooltip=what.tooltip)
                elif each.binding.id == "picker.queue":
                    active[key] = each._replace(binding=replace(each.binding, show=False))
        return active

    # The list ---------------------------------------------------------------------------------------------------

    @property
    def highlighted(self) -> ProfileReading | None:
        index = self.query_one("#profiles", OptionList).highlighted
        return self._shown[index] if index is not None and index < len(self._shown) else None

    def _highlighted_path(self) -> Path | None:
        reading = self.highlighted
        return reading.path if reading else None

    def _fill(self, keep: Path | None) -> None:
        """Show the profiles that pass the filter, and highlight the one of this path if it is among them."""
        words = self.query_one("#filter", Input).value
        self._shown = [reading for reading in self._readings if matches(reading, words)]
        profiles = self.query_one("#profiles", OptionList)
        profiles.set_options(Option(entry(reading)) for reading in self._shown)
        paths = [reading.path for reading in self._shown]
        profiles.highlighted = (paths.index(keep) if keep in paths else 0) if paths else None
        count = f"{len(self._shown)} of {len(self._readings)}" if words else str(len(self._readings))
        profiles.border_subtitle = Content(count)
        self._show_preview()

    @on(Input.Changed, "#filter")
    def _filter(self) -> None:
        self._fill(self._highlighted_path())

    @on(OptionList.OptionHighlighted)
    def _show_preview(self) -> None:
        reading = self.highlighted
        box = self.query_one("#preview")
        if reading is not None:
            box.border_title = Content(clean(reading.path.stem))
            box.border_subtitle = Content(short_path(reading.path.parent, 44))
            self._say(problems(reading), values(reading.profile) if reading.profile else Content(""))
            return
        box.border_title = box.border_subtitle = None
        if self._readings:
            self._say(Content("No profile matches the filter; esc clears it."))
        elif self._loaded:
            self._say(
                Content(
                    "There are no profiles yet.\n\nPut TOML files into ./profiles or ~/.config/reid-tui/profiles, or "
                    "name a folder with --profiles; F5 reads them again."
                )
            )

    def _say(self, sentences: Content, one_a_line: Content | None = None) -> None:
        """Sentences are wrapped; values stand one a line, cut where it is narrow."""
        for id, text in (("#problems", sentences), ("#values", one_a_line or Content(""))):
            shown = self.query_one(id, Static)
            shown.display = bool(text.plain)
            shown.update(text)
        self.query_one("#preview").scroll_home(animate=False)

    # Keys -------------------------------------------------------------------------------------------------------

    def action_move(self, by: int) -> None:
        profiles = self.query_one("#profiles", OptionList)
        if by < 0:
            profiles.action_cursor_up()
        else:
            profiles.action_cursor_down()

    def action_page(self, by: int) -> None:
        box = self.query_one("#preview")
        box.scroll_relative(y=by * max(box.size.height - 1, 1), animate=False)

    def action_clear(self) -> None:
        words = self.query_one("#filter", Input)
        if self.adding and not words.value:
            if self._on_top:
                self.app.pop_screen()
            else:
                self.add_to_queue(False)
        words.value = ""

    @on(Input.Submitted, "#filter")
    @on(OptionList.OptionSelected, "#profiles")
    def action_launch(self) -> None:
        if (reading := self._launchable("launched")) is not None and reading.launchable is not None:
            kind = self.Queued if self.adding else self.Picked
            self.post_message(kind(reading.launchable, reading.path))

    def action_add(self) -> None:
        if (reading := self._launchable("queued")) is not None and reading.launchable is not None:
            self.post_message(self.Queued(reading.launchable, reading.path))

    def _launchable(self, done: str) -> ProfileReading | None:
        """What is highlighted, if it can be launched; else it is said why it cannot be "launched" or "queued"."""
        reading = self.highlighted
        if reading is not None and reading.launchable is None:
            # The problems are on the screen; one line says that the key was heard.
            self.app.clear_notifications()
            why = "its data are not there yet" if data_missing(reading) else "it has problems"
            self.notify(
                f"{clean(reading.path.stem)} cannot be {done}: {why}", severity="error", markup=False, timeout=4
            )
            return None
        return reading

    def action_edit(self) -> None:
        if (reading := self.highlighted) is not None:
            self.post_message(self.EditWanted(reading.path))

    def action_queue(self) -> None:
        self.post_message(QueueWanted())

    def action_runs(self) -> None:
        self.post_message(RunsWanted())

    def action_theme(self) -> None:
        self.app.theme = other_theme(self.app.theme)
        remember(self.app, theme=self.app.theme)

    def action_help(self) -> None:
        from reid_tui.screens.help import show_help  # not before the first frame

        show_help(self.app, "picker")

    async def action_leave(self) -> None:
        await self.app.action_quit()
