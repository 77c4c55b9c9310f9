"""Over the form: the name and place of a new profile file, and the list of changes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Input, Static

from core.printable import clean
from core.profile_names import free_name, name_problem, save_new_profile, writable_folders
from reid_tui.keys import bindings
from reid_tui.profile_form import Change
from reid_tui.screens.dialog import Dialog
from reid_tui.screens.dialogs import Choice, ChoiceDialog
from reid_tui.text import plural, short_path


class SaveProfileDialog(Dialog[Path]):
    """Gives the file that was written; None if none was.

    Args:
        name: of the profile that it came from; a free name like it is proposed.
        text: what to write.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings("dialog"),
        Binding("up,down,tab", "other_folder", "Other folder", show=False),
    ]
    DEFAULT_CSS = """
    SaveProfileDialog > Vertical { width: 70; padding: 1 2; }
    SaveProfileDialog Input { margin: 1 0; }
    """

    def __init__(self, name: str, text: str) -> None:
        super().__init__()
        self._text = text
        self._folders = writable_folders()
        self._place = 0
        self._proposed = free_name(name, self._folders[0])

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = Content("Save as a new profile")
            yield Static(id="save-folders")
            yield Input(self._proposed, compact=True, id="save-name")
            yield Static(id="save-problem")

    def on_mount(self) -> None:
        self._show()

    @property
    def path(self) -> Path:
        return self._folders[self._place] / f"{self.query_one('#save-name', Input).value}.toml"

    @on(Input.Changed)
    def _show(self) -> None:
        lines = [Content.styled("folder (↑ ↓)", "$foreground 65%")]
        for number, folder in enumerate(self._folders):
            mark = "●" if number == self._place else "○"
            where = short_path(Path.cwd() / folder if not folder.is_absolute() else folder, 56)
            lines.append(Content.styled(f"{mark} {where}", "bold" if number == self._place else "$foreground 65%"))
        self.query_one("#save-folders", Static).update(Content("\n").join(lines))
        problem = name_problem(self.query_one("#save-name", Input).value)
        if problem:
            text = Content.styled(f"✘ {problem}", "bold $error")
        elif self.path.exists():
            text = Content.styled("! there is one of this name: you will be asked", "bold $warning")
        else:
            text = Content.styled("⏎ saves · comments of the original file are not taken over", "$foreground 65%")
        self.query_one("#save-problem", Static).update(text)

    def action_other_folder(self) -> None:
        self._place = (self._place + 1) % len(self._folders)
        self._show()

    @on(Input.Submitted)
    def _submitted(self) -> None:
        if name_problem(self.query_one("#save-name", Input).value):
            return
        self._save(replace=False)

    def _save(self, *, replace: bool) -> None:
        try:
            save_new_profile(self.path, self._text, replace=replace)
        except FileExistsError:
            question = f"{clean(self.path.name)} is there already."
            choices = (
                Choice("c", "Cancel", "take another name", ""),
                Choice("r", "Replace", "what is in it is lost", "replace"),
            )
            self.app.push_screen(ChoiceDialog("Replace the file?", question, choices), self._answered)
        except OSError as error:
            words = f"✘ not saved: {clean(str(error))}"
            self.query_one("#save-problem", Static).update(Content.styled(words, "bold $error"))
        else:
            self.dismiss(self.path)

    def _answered(self, choice: str | None) -> None:
        if choice == "replace":
            self._save(replace=True)


class ChangesScreen(Dialog[None]):
    """What differs from the file: old → new."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings("dialog"),
        Binding("f9,q,enter", "dismiss_dialog", "Close", show=False),
    ]
    DEFAULT_CSS = "ChangesScreen > VerticalScroll { width: 70; padding: 1 2; }"

    def __init__(self, changes: Sequence[Change]) -> None:
        super().__init__()
        self._changes = changes

    def compose(self) -> ComposeResult:
        with VerticalScroll() as box:
            box.border_title = Content(plural(len(self._changes), "change"))
            box.border_subtitle = Content("esc closes")
            lines = change_lines(self._changes) or [Content("Every value is that of the file.")]
            yield Static(Content("\n").join(lines))


def change_lines(changes: Sequence[Change]) -> list[Content]:
    """ "train.lr  1e-05 → 3e-5", a line for each."""
    width = max((len(change.key) for change in changes), default=0) + 2
    return [
        Content.assemble(
            ("• ", "bold $accent"),
            f"{change.key:<{width}}",
            (f"{clean(change.old) or '(empty)'} → ", "$foreground 65%"),
            (clean(change.new) or "(empty)", "bold"),
        )
        for change in changes
    ]
