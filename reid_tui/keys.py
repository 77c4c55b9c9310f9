"""Every key of the app, in one table: bindings, footer and help are made from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from textual.binding import Binding, BindingType

Where = Literal["picker", "dashboard", "dialog", "queue", "editor"]


@dataclass(frozen=True)
class Key:
    """One thing that a key does. `id` is what a keymap of the user's names it by."""

    id: str
    where: Where
    key: str  # as Textual names it; several separated by commas
    shown: str  # as a person reads it
    action: str
    description: str
    tooltip: str
    footer: bool = True
    priority: bool = False  # taken before a text field gets it


KEYS: tuple[Key, ...] = (
    Key("picker.move_up", "picker", "up", "↑", "move(-1)", "Up", "the profile above", footer=False),
    Key("picker.move_down", "picker", "down", "↓", "move(1)", "Down", "the profile below", footer=False),
    Key("picker.page_up", "picker", "pageup", "PgUp", "page(-1)", "Page up", "scroll the preview up", footer=False),
    Key("picker.page_down", "picker", "pagedown", "PgDn", "page(1)", "Page down", "scroll it down", footer=False),
    Key("picker.launch", "picker", "enter", "⏎", "launch", "Launch", "start the highlighted profile"),
    Key("picker.clear", "picker", "escape", "esc", "clear", "Clear filter", "show every profile again"),
    Key("picker.reload", "picker", "f5", "F5", "reload", "Reload", "read the profile files again"),
    Key("picker.theme", "picker", "f2", "F2", "theme", "Theme", "dark or light", footer=False),
    Key("picker.edit", "picker", "f4", "F4", "edit", "Edit", "change values of the highlighted profile"),
    Key("picker.queue", "picker", "f6", "F6", "add", "Queue", "put the highlighted profile into the queue"),
    Key("picker.show_queue", "picker", "f7", "F7", "queue", "Show queue", "the runs that wait", footer=False),
    Key("picker.help", "picker", "f1,question_mark", "F1", "help", "Help", "what the keys do; also ?", priority=True),
    Key("picker.quit", "picker", "ctrl+q", "^q", "leave", "Quit", "leave reid-tui", priority=True),
    Key(
        "run.checkpoint",
        "dashboard",
        "c",
        "c",
        "checkpoint",
        "Checkpoint",
        "save the weights as they are, after the batch in hand",
    ),
    Key("run.pause", "dashboard", "p", "p", "pause", "Pause", "hold the run after the batch in hand; again: go on"),
    Key("run.stop", "dashboard", "s", "s", "stop", "Stop", "end the run after this epoch or now; FINAL is saved"),
    Key("run.detach", "dashboard", "d", "d", "detach", "Detach", "leave the screen, and let the run go on by itself"),
    Key(
        "app.quit", "dashboard", "q,ctrl+q", "q", "leave", "Quit", "leave; asks first while a run is live; also ctrl+q"
    ),
    Key("app.help", "dashboard", "question_mark,f1", "?", "help", "Help", "what the keys do"),
    Key("view.log", "dashboard", "l", "l", "log", "Log", "show or hide the log"),
    Key("view.log_scale", "dashboard", "y", "y", "log_scale", "Log scale", "log scale of the loss chart", footer=False),
    Key("view.theme", "dashboard", "t", "t", "theme", "Theme", "dark or light", footer=False),
    Key(
        "run.queue", "dashboard", "u", "u", "queue", "Queue", "the runs that wait; add to them, move them", footer=False
    ),
    Key(
        "run.hold",
        "dashboard",
        "h",
        "h",
        "hold",
        "Hold",
        "keep the next run from beginning; again: go on",
        footer=False,
    ),
    Key("app.profiles", "dashboard", "n", "n", "profiles", "New run", "back to the profiles, once the run has ended"),
    Key("queue.begin", "queue", "enter", "⏎", "begin", "Begin", "start the highlighted run, if none is at work"),
    Key("queue.earlier", "queue", "e", "e", "shift(-1)", "Earlier", "move the highlighted run up"),
    Key("queue.later", "queue", "l", "l", "shift(1)", "Later", "move the highlighted run down"),
    Key("queue.remove", "queue", "x", "x", "remove", "Remove", "take the highlighted run out"),
    Key("queue.add", "queue", "a", "a", "add", "Add", "pick a profile to put behind the others"),
    Key("queue.hold", "queue", "h", "h", "hold", "Hold", "keep the next run from beginning; again: go on"),
    Key("queue.help", "queue", "question_mark,f1", "?", "help", "Help", "what the keys do"),
    Key("queue.close", "queue", "escape,u,q", "esc", "close", "Close", "back to the run; also u and q"),
    Key("editor.save", "editor", "f2", "F2", "save", "Save as", "write a profile file of another name"),
    Key("editor.launch", "editor", "f5", "F5", "launch", "Launch", "start a run with these values, without saving"),
    Key("editor.queue", "editor", "f6", "F6", "add", "Queue", "put a run with these values into the queue"),
    Key("editor.reset", "editor", "f8", "F8", "reset", "Reset", "the value of the file again"),
    Key("editor.changes", "editor", "f9", "F9", "changes", "Changes", "everything that differs from the file"),
    Key("editor.problem", "editor", "f3", "F3", "problem", "Problem", "go to the next problem", footer=False),
    *(
        # Taken before the field gets them: what is typed behind them must not reach the field before.
        Key(f"editor.{id}", "editor", key, shown, f"focus_by({by})", words, tooltip, footer=False, priority=True)
        for id, key, shown, by, words, tooltip in (
            ("next", "down,tab,enter", "↓", 1, "Next", "the next value; also tab and enter"),
            ("previous", "up,shift+tab", "↑", -1, "Previous", "the value before"),
            ("page_down", "pagedown", "PgDn", 10, "Page down", "ten values on"),
            ("page_up", "pageup", "PgUp", -10, "Page up", "ten values back"),
        )
    ),
    Key("editor.help", "editor", "f1,question_mark", "F1", "help", "Help", "what the keys do; also ? outside of texts"),
    Key("editor.close", "editor", "escape", "esc", "close", "Back", "back to the profiles"),
    Key("dialog.cancel", "dialog", "escape", "esc", "dismiss_dialog", "Cancel", "close this and change nothing"),
)


def keys_of(where: Where) -> list[Key]:
    return [key for key in KEYS if key.where == where]


def bindings(where: Where) -> list[BindingType]:
    """The table's rows as Textual has them. Every alias gets the same id, so that a keymap replaces them together."""
    return [binding for key in keys_of(where) for binding in _bindings(key)]


def binding_with(id: str, action: str) -> list[BindingType]:
    """One row of the table with another action, for a widget that has the key before the screen does."""
    return [binding for key in KEYS if key.id == id for binding in _bindings(key, action)]


def _bindings(key: Key, action: str = "") -> Iterable[Binding]:
    for number, alias in enumerate(key.key.split(",")):
        yield Binding(
            alias,
            action or key.action,
            key.description,
            show=key.footer and number == 0,
            key_display=key.shown if number == 0 else None,
            priority=key.priority,
            tooltip=key.tooltip,
            id=key.id,
        )
