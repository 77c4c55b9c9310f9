"""Every key of the app, in one table: bindings, footer and help are made from it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from textual.binding import Binding, BindingType

Where = Literal["app", "picker", "dashboard", "dialog"]  # "app": on every screen


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
    Key(
        "app.palette",
        "app",
        "ctrl+p",
        "^p",
        "command_palette",
        "Commands",
        "search everything that the keys do",
        footer=False,
        priority=True,
    ),
    Key("picker.move_up", "picker", "up", "↑", "move(-1)", "Up", "the profile above", footer=False),
    Key("picker.move_down", "picker", "down", "↓", "move(1)", "Down", "the profile below", footer=False),
    Key("picker.page_up", "picker", "pageup", "PgUp", "page(-1)", "Page up", "scroll the preview up", footer=False),
    Key("picker.page_down", "picker", "pagedown", "PgDn", "page(1)", "Page down", "scroll it down", footer=False),
    Key("picker.launch", "picker", "enter", "⏎", "launch", "Launch", "start the highlighted profile"),
    Key("picker.clear", "picker", "escape", "esc", "clear", "Clear filter", "show every profile again"),
    Key("picker.reload", "picker", "f5", "F5", "reload", "Reload", "read the profile files again"),
    Key("picker.theme", "picker", "f2", "F2", "theme", "Theme", "the next theme", footer=False),
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
    Key("view.theme", "dashboard", "t", "t", "theme", "Theme", "the next theme", footer=False),
    Key("app.profiles", "dashboard", "n", "n", "profiles", "New run", "back to the profiles, once the run has ended"),
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


# Names -----------------------------------------------------------------------------------------------------------

_SHOWN = {
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "enter": "⏎",
    "escape": "esc",
    "question_mark": "?",
    "pageup": "PgUp",
    "pagedown": "PgDn",
}
_WORDS = {"space", "home", "end", "insert", "delete", "tab", "backspace", *_SHOWN}
_ALIASES = {"esc": "escape", "return": "enter", "pgup": "pageup", "pgdn": "pagedown", "?": "question_mark"}


def textual_keys(written: str) -> str:
    """Keys as a person writes them ("x", "F6, ?") as Textual names them; a capital letter stays one."""
    parts = [part.strip() for part in written.split(",") if part.strip()] or ["comma"]
    return ",".join(_ALIASES.get(part.lower(), part if len(part) == 1 else part.lower()) for part in parts)


def plain_keys_type(key: str) -> str:
    """ "character" for what a text field would take, "key" for any other that every terminal sends, else ""."""
    if key in {"question_mark", "comma", "space"} or (len(key) == 1 and key.isprintable()):
        return "character"
    named = key in _WORDS or re.fullmatch(r"f([1-9]|1[0-2])|ctrl\+[a-z]", key)
    return "key" if named else ""


def shown_as(key: str) -> str:
    """One key, as Textual names it, as a person reads it."""
    if key.startswith("ctrl+"):
        return f"^{key.removeprefix('ctrl+')}"
    return _SHOWN.get(key, key.upper() if re.fullmatch(r"f\d+", key) else key)


def shown_key(id: str, keymap: Mapping[str, str]) -> str:
    """What a person presses for a row of the table, remapped or not."""
    [row] = [key for key in KEYS if key.id == id]
    return shown_as(keymap[id].split(",")[0]) if id in keymap else row.shown
