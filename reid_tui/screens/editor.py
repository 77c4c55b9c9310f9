"""The form of a profile: every key of the schema with its value; checked while it is typed, saved or launched."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Static

from core.printable import clean
from core.profile import Profile
from reid_tui.keys import bindings
from reid_tui.profile_form import Check, ProfileForm, check_values
from reid_tui.screens.dialogs import Choice, ChoiceDialog
from reid_tui.screens.help import show_help
from reid_tui.screens.save_profile import ChangesScreen, SaveProfileDialog, change_lines
from reid_tui.text import plural, short_path
from reid_tui.widgets.field_row import FieldRow
from reid_tui.widgets.key_bar import KeyBar

FOLDER_CHECK_SECONDS = 0.3  # after the last key; to look for folders may take long
ORDER = (
    "data",
    "model",
    "train",
    "augment",
    "validate",
    "run",
)  # what people change stands first; new tables come last


class FormScroll(VerticalScroll, inherit_bindings=False, can_focus=False):
    """The arrows belong to the fields."""


class EditorScreen(Screen[tuple[str, Profile] | None]):
    """Gives title and profile of a run to launch, or None.

    Args:
        path: the profile file.
        tables: what it holds.
        overrides: `table.key=value` each, of the command line; changes are counted from them on.
        enqueue: puts a run into the queue: title and profile.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("editor")
    # Textual declares these as instance attributes.
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (70, "-middle"), (110, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-tiny"), (18, "-short"), (22, "-usual")]  # noqa: RUF012
    AUTO_FOCUS = "FieldRow Input, FieldRow ChoiceField"

    @dataclass
    class FoldersChecked(Message):
        """Posted from a worker. `then`: what was waiting for it."""

        number: int
        check: Check
        then: str

    def __init__(
        self,
        path: Path,
        tables: Mapping[str, Any],
        overrides: Sequence[str],
        enqueue: Callable[[str, Profile], None],
    ) -> None:
        super().__init__()
        self.path = path
        self.form = ProfileForm(tables)
        self.can_launch = True
        self._enqueue = enqueue
        self.form.lay_over(overrides)
        fields = sorted(self.form.fields, key=lambda f: ORDER.index(f.table) if f.table in ORDER else len(ORDER))
        self.rows = {field.key: FieldRow(field, self.form[field.key]) for field in fields}
        self.check = Check(None)
        self._folder_problems: dict[str, tuple[str, str]] = {}  # by key: the text that it was about, the problem
        self._number = 0  # of the values: one more with every change
        self._timer: Timer | None = None
        self._subtitle = self._detail = ""  # as they are drawn

    def compose(self) -> ComposeResult:
        title = Content.assemble(("reid-tui", "bold $primary"), ("  edit a profile", "$foreground 70%"))
        yield Static(title, classes="bar")
        with Container(id="edit"):
            with FormScroll(id="form", classes="panel"):
                table = ""
                for row in self.rows.values():
                    if row.field.table != table:
                        table = row.field.table
                        yield Static(Content(f"[{table}]"), classes="section")
                    yield row
            with VerticalScroll(id="detail", classes="panel", can_focus=False):
                yield Static(id="detail-text")
        yield KeyBar(show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one("#form").border_title = Content(clean(self.path.name))
        self._validate()
        if self.form.unknown:
            text = f"left out, for no key has this name: {clean(', '.join(self.form.unknown))}"
            self.notify(text, severity="warning", markup=False)

    # Values -------------------------------------------------------------------------------------------------------

    @on(FieldRow.Edited)
    def _edited(self, message: FieldRow.Edited) -> None:
        self._take(message.row)

    def _take(self, *rows: FieldRow) -> None:
        """Take what stands in the fields. A key may come before the message of the letter that was typed before it."""
        edited = [row for row in rows if self.form[row.field.key] != row.text]
        for row in edited:
            self.form[row.field.key] = row.text
        if edited:
            self._validate()

    def _validate(self) -> None:
        """Check the values now, and a little later what they name."""
        self._number += 1
        self.check = self.form.check()
        for key, (text, problem) in self._folder_problems.items():
            if self.form[key] == text:
                self.check.problems.setdefault(key, problem)
        self._show()
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(FOLDER_CHECK_SECONDS, self._check_folders)

    def _check_folders(self, then: str = "") -> None:
        work = partial(self._look, self._number, self.form.tables(), then)
        self.run_worker(work, thread=True, group=f"folders-{then}", exclusive=True)

    def _look(self, number: int, tables: dict[str, dict[str, Any]], then: str) -> None:
        self.post_message(self.FoldersChecked(number, check_values(tables, check_folders=True), then))

    @on(FoldersChecked)
    def _folders_checked(self, message: FoldersChecked) -> None:
        if message.number != self._number:
            if message.then:
                self._check_folders(message.then)
            return
        plain = self.form.check().problems
        self._folder_problems = {
            key: (self.form[key], text) for key, text in message.check.problems.items() if key not in plain
        }
        self.check = message.check
        self._show()
        if message.then and self._is_clean(message.then):
            self._go(message.then)

    def _is_clean(self, then: str) -> bool:
        """Whether nothing is wrong; else go to the first problem and say so."""
        if not self.check.problems:
            return True
        self.action_problem()
        self.app.clear_notifications()
        text = f"not {then}: {plural(len(self.check.problems), 'problem')} left"
        self.notify(text, severity="error", markup=False, timeout=4)
        return False

    # Drawing ------------------------------------------------------------------------------------------------------

    def _show(self) -> None:
        changes = self.form.changes
        changed = {change.key for change in changes}
        for key, row in self.rows.items():
            row.show(changed=key in changed, problem=self.check.problems.get(key, ""))
        where = short_path(self.path.parent, 40)
        form = self.query_one("#form")
        parts = [f"• {plural(len(changes), 'change')}" if changes else where]
        if self.check.problems:
            parts.append(f"✘ {plural(len(self.check.problems), 'problem')}")
        if self._subtitle != (subtitle := " · ".join(parts)):
            self._subtitle = subtitle
            form.border_subtitle = Content(subtitle)
        self._show_detail()

    @property
    def row(self) -> FieldRow | None:
        """The row that has the focus."""
        return next((row for row in self.rows.values() if row.control is self.focused), None)

    @on(events.DescendantFocus)
    def _show_detail(self) -> None:
        if (row := self.row) is None:
            return
        if row is next(iter(self.rows.values())):  # its heading is in sight as well
            self.call_after_refresh(self.query_one("#form").scroll_home, animate=False)
        field, form = row.field, self.form
        box = self.query_one("#detail")
        box.border_title = Content(clean(field.key))
        problem = self.check.problems.get(field.key)
        lines = []
        if form.changed(field.key):
            old, new = clean(form.original(field.key)), clean(form[field.key])
            lines.append(Content.assemble(("• ", "bold $accent"), f"{old or '(empty)'} → ", (new or "(empty)", "bold")))
        lines.append(Content(clean(field.description)))
        kind = ", ".join(field.choices) if field.choices else ", ".join(filter(None, (field.type, field.range)))
        default = "must be given" if field.default is None else f"default {clean(field.default) or '(empty)'}"
        lines.append(Content.styled(f"{kind} · {default}", "$foreground 65%"))
        if problem and self.size.width >= 110:
            lines.append(Content.styled(f"✘ {clean(problem)}", "bold $error"))
        if self.size.width >= 110 and (changes := form.changes):
            lines += [Content(""), Content.styled(plural(len(changes), "change"), "bold"), *change_lines(changes)]
        text = Content("\n").join(lines)
        if text.markup != self._detail:  # to lay it out again is the dear part of a key
            self._detail = text.markup
            self.query_one("#detail-text", Static).update(text)

    def on_resize(self) -> None:
        self.call_after_refresh(self._show_detail)
        self.call_after_refresh(self._keep_in_view)

    @on(events.DescendantFocus)
    def _look_at_focus(self) -> None:
        self.call_after_refresh(self._keep_in_view)

    def _keep_in_view(self) -> None:
        """The row with the focus, and above the first one its title."""
        if self.row is None:
            return
        form = self.query_one("#form")
        if self.row is next(iter(self.rows.values())):
            form.scroll_home(animate=False)
        else:
            form.scroll_to_widget(self.row, animate=False)

    # Keys ---------------------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self.can_launch if action == "launch" else True

    def action_focus_by(self, by: int) -> None:
        rows = list(self.rows.values())
        at = rows.index(self.row) if self.row is not None else 0
        to = (at + by) % len(rows) if abs(by) == 1 else min(max(at + by, 0), len(rows) - 1)
        self.set_focus(rows[to].control)

    def action_problem(self) -> None:
        """The next field with a problem, from the one with the focus on."""
        keys = list(self.rows)
        at = keys.index(self.row.field.key) if self.row is not None else 0
        ahead = [key for key in (*keys[at + 1 :], *keys[: at + 1]) if key in self.check.problems]
        if ahead:
            self.set_focus(self.rows[ahead[0]].control)

    def action_reset(self) -> None:
        if self.row is not None:
            self.row.put(self.form.original(self.row.field.key))

    def action_changes(self) -> None:
        self._take(*self.rows.values())
        self.app.push_screen(ChangesScreen(self.form.changes))

    def action_launch(self) -> None:
        self._take(*self.rows.values())
        self._check_folders("launched")

    def action_add(self) -> None:
        self._take(*self.rows.values())
        self._check_folders("queued")

    def _go(self, what: str) -> None:
        if self.check.profile is None:
            return
        title = " · ".join([self.path.stem, *(f"{change.key}={change.new}" for change in self.form.changes)])
        if what == "queued":
            self._enqueue(title, self.check.profile)
        elif self.is_current:
            self.dismiss((title, self.check.profile))

    def action_save(self) -> None:
        self._take(*self.rows.values())
        check = self.form.check()  # a folder that is not there yet stands in the way of a launch only
        if check.profile is None:
            self._is_clean("saved")
            return
        text = self.form.toml(check.profile, self.path.name)
        self.app.push_screen(SaveProfileDialog(self.path.stem, text), self._saved)

    def _saved(self, path: Path | None) -> None:
        if path is None:
            return
        self.path = path
        self.form.saved()
        self.query_one("#form").border_title = Content(clean(path.name))
        self._show()
        self.notify(f"saved as {short_path(path)}", markup=False)

    def action_help(self) -> None:
        show_help(self.app, "editor")

    def action_close(self) -> None:
        self._take(*self.rows.values())
        if not self.form.changes:
            self.dismiss(None)
            return
        dialog = ChoiceDialog(
            "Unsaved changes",
            f"{plural(len(self.form.changes), 'change')} against {clean(self.path.name)}.",
            (
                Choice("s", "Save as", "write them to a profile file", "save"),
                Choice("d", "Discard", "back to the profiles without them", "discard"),
                Choice("c", "Cancel", "go on editing", ""),
            ),
        )
        self.app.push_screen(dialog, self._close_chosen)

    def _close_chosen(self, choice: str | None) -> None:
        if choice == "discard":
            self.dismiss(None)
        elif choice == "save":
            self.action_save()
