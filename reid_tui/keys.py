"""Every key of the app, in one table: bindings, footer and help are made from it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from textual.binding import Binding, BindingType

Where = Literal[
    "app",  # on every screen
    "picker",
    "dashboard",
    "chart",
    "metrics",
    "alerts",
    "dialog",
    "runs",
    "compare",
    "queue",
    "editor",
]


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
    Key("picker.clear", "picker", "escape", "esc", "clear", "Clear filter", "show every profile again", footer=False),
    Key("picker.reload", "picker", "f5", "F5", "reload", "Reload", "read the profile files again", footer=False),
    Key("picker.runs", "picker", "f3", "F3", "runs", "Runs", "all runs of this machine"),
    Key("picker.theme", "picker", "f2", "F2", "theme", "Theme", "the next theme", footer=False),
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
        "Save",
        "save the weights as they are, after the batch in hand",
    ),
    Key("run.pause", "dashboard", "p", "p", "pause", "Pause", "hold the run after the batch in hand; again: go on"),
    Key("run.stop", "dashboard", "s", "s", "stop", "Stop", "end the run after this epoch or now; FINAL is saved"),
    Key("run.detach", "dashboard", "d", "d", "detach", "Detach", "leave the screen, and let the run go on by itself"),
    Key(
        "app.quit",
        "dashboard",
        "q,ctrl+q",
        "q",
        "leave",
        "Quit",
        "leave; asks if a run is live here; also ctrl+q",
    ),
    Key("app.help", "dashboard", "question_mark,f1", "?", "help", "Help", "what the keys do"),
    Key("view.log", "dashboard", "l", "l", "log", "Log", "show or hide the log"),
    Key(
        "chart.first", "chart", "1", "1", "chart_select(0)", "First chart", "keys are for the first chart", footer=False
    ),
    Key("chart.second", "chart", "2", "2", "chart_select(1)", "Second chart", "keys are for the second", footer=False),
    Key(
        "chart.next", "chart", "tab", "tab", "chart_step(1)", "Next chart", "keys are for the other chart", footer=False
    ),
    Key("chart.previous", "chart", "shift+tab", "shift+tab", "chart_step(-1)", "Previous", "chart back", footer=False),
    Key("chart.metrics", "chart", "m", "m", "chart_metrics", "Plot", "pick what the chart shows"),
    Key("chart.full", "chart", "f,enter", "f", "chart_full", "Full screen", "this chart alone; or enter", footer=False),
    Key("chart.axis", "chart", "x", "x", "chart_axis", "X axis", "over epochs, steps or time", footer=False),
    Key("chart.log_scale", "chart", "y", "y", "chart_log_scale", "Log scale", "logarithmic values", footer=False),
    Key("chart.smooth", "chart", "e", "e", "chart_smooth", "Smooth", "moving average: 0.6, 0.9, …, off", footer=False),
    Key("chart.left", "chart", "left", "←", "chart_cursor(-1)", "Cursor left", "values one point back", footer=False),
    Key("chart.right", "chart", "right", "→", "chart_cursor(1)", "Cursor right", "values one point on", footer=False),
    Key(
        "chart.closer",
        "chart",
        "plus,equals_sign",
        "+",
        "chart_zoom(1)",
        "Zoom in",
        "at the cursor, else at the newest",
        footer=False,
    ),
    Key("chart.further", "chart", "minus", "-", "chart_zoom(-1)", "Zoom out", "see more", footer=False),
    Key("chart.pan_left", "chart", "j", "j", "chart_pan(-1)", "Pan left", "what came before", footer=False),
    Key("chart.pan_right", "chart", "k", "k", "chart_pan(1)", "Pan right", "what came after", footer=False),
    Key("chart.reset", "chart", "0", "0", "chart_reset", "Whole", "see all of it, and follow the run", footer=False),
    Key("chart.back", "chart", "escape", "esc", "chart_back", "Back", "leave the full screen; no cursor", footer=False),
    Key("metrics.mark", "metrics", "space", "space", "mark", "Mark", "show this one, or do not"),
    Key("metrics.apply", "metrics", "enter", "⏎", "apply", "Show", "show what is marked", priority=True),
    Key("metrics.close", "metrics", "escape", "esc", "dismiss_dialog", "Cancel", "change nothing"),
    Key("metrics.help", "metrics", "question_mark,f1", "?", "help", "Help", "what the keys do"),
    Key(
        "view.system",
        "dashboard",
        "g",
        "g",
        "system",
        "System",
        "GPUs, CPU, RAM, disk: show or hide",
        footer=False,
    ),
    Key(
        "view.page_up", "dashboard", "pageup", "PgUp", "page(-1)", "Page up", "epochs before; or the log", footer=False
    ),
    Key("view.page_down", "dashboard", "pagedown", "PgDn", "page(1)", "Page down", "epochs after", footer=False),
    Key("view.alerts", "dashboard", "a", "a", "alerts", "Alerts", "all alerts, and what to do", footer=False),
    Key("view.bell", "dashboard", "b", "b", "bell", "Bell", "notify at alerts and at the end, or not", footer=False),
    Key("view.theme", "dashboard", "t", "t", "theme", "Theme", "the next theme", footer=False),
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
    Key("alerts.up", "alerts", "up", "↑", "scroll(-1)", "Up", "a line up"),
    Key("alerts.down", "alerts", "down", "↓", "scroll(1)", "Down", "a line down"),
    Key("alerts.page_up", "alerts", "pageup", "PgUp", "page(-1)", "Page up", "a page up"),
    Key("alerts.page_down", "alerts", "pagedown,space", "PgDn", "page(1)", "Page down", "a page down; also space"),
    Key("alerts.home", "alerts", "home", "Home", "to_end(0)", "Top", "the newest, and those that still hold"),
    Key("alerts.end", "alerts", "end", "End", "to_end(1)", "End", "the oldest"),
    Key("alerts.help", "alerts", "question_mark,f1", "?", "help", "Help", "what the keys do"),
    Key("alerts.close", "alerts", "escape,a,q", "esc", "dismiss_dialog", "Close", "back to the run; also a and q"),
    Key("app.runs", "dashboard", "r", "r", "runs", "Runs", "all runs of this machine; this one goes on"),
    Key(
        "app.back",
        "dashboard",
        "escape",
        "esc",
        "back",
        "Back",
        "back to the list of runs",
    ),
    Key("runs.up", "runs", "up", "↑", "move(-1)", "Up", "the run above", footer=False),
    Key("runs.down", "runs", "down", "↓", "move(1)", "Down", "the run below", footer=False),
    Key("runs.page_up", "runs", "pageup", "PgUp", "page(-1)", "Page up", "a screen up", footer=False),
    Key("runs.page_down", "runs", "pagedown", "PgDn", "page(1)", "Page down", "a screen down", footer=False),
    Key("runs.first", "runs", "home", "Home", "end(False)", "First", "the first run", footer=False),
    Key("runs.last", "runs", "end", "End", "end(True)", "Last", "the last run", footer=False),
    Key("runs.open", "runs", "enter", "⏎", "open", "Open", "the dashboard of the run, live or not"),
    Key("runs.mark", "runs", "space", "space", "mark", "Mark", "mark the run, or take its mark away"),
    Key("runs.unmark", "runs", "u", "u", "unmark", "Unmark all", "take all marks away", footer=False),
    Key("runs.compare", "runs", "c", "c", "compare", "Compare", "the marked runs beside each other, up to 8"),
    Key("runs.filter", "runs", "slash", "/", "filter", "Filter", "words, r1>70, state=finished, lr<1e-4, age<2d"),
    Key("runs.sort", "runs", "s", "s", "sort", "Sort", "by the next column; a click on a title does it, too"),
    Key("runs.turn", "runs", "S", "S", "turn", "Turn round", "the other way round", footer=False),
    Key("runs.delete", "runs", "D", "D", "delete", "Delete", "delete the marked runs, or this one; asks first"),
    Key("runs.new", "runs", "n", "n", "new", "New run", "pick a profile"),
    Key("runs.help", "runs", "question_mark,f1", "?", "help", "Help", "what the keys do"),
    Key("runs.theme", "runs", "t", "t", "theme", "Theme", "the next theme", footer=False),
    Key(
        "runs.back",
        "runs",
        "escape",
        "esc",
        "back",
        "Back",
        "out of the filter, then back to where one was",
        footer=False,
    ),
    Key("runs.quit", "runs", "q", "q", "leave", "Back", "back, or leave where there is nothing behind"),
    Key("compare.metric", "compare", "m", "m", "metric(1)", "Metric", "draw the next metric"),
    Key("compare.metric_back", "compare", "M", "M", "metric(-1)", "Back", "draw the metric before", footer=False),
    Key("compare.up", "compare", "up", "↑", "move(-1)", "Up", "the run above", footer=False),
    Key("compare.down", "compare", "down", "↓", "move(1)", "Down", "the run below", footer=False),
    Key("compare.pin", "compare", "p", "p", "pin", "Pin", "draw the run on top, and the others against it"),
    Key("compare.hide", "compare", "space", "space", "hide", "Hide", "take the curve away, or bring it back"),
    Key("compare.panel", "compare", "v", "v", "panel", "Differences", "numbers, or what differs in the profiles"),
    Key("compare.page_up", "compare", "pageup", "PgUp", "page(-1)", "Page up", "scroll them up", footer=False),
    Key("compare.page_down", "compare", "pagedown", "PgDn", "page(1)", "Page down", "scroll them down", footer=False),
    Key("compare.left", "compare", "left", "←", "shift(-1)", "Left", "columns to the left", footer=False),
    Key("compare.right", "compare", "right", "→", "shift(1)", "Right", "columns to the right", footer=False),
    Key("compare.log_scale", "compare", "y", "y", "log_scale", "Log scale", "log scale of the chart", footer=False),
    Key("compare.open", "compare", "enter", "⏎", "open", "Open", "the dashboard of the run"),
    Key("compare.theme", "compare", "t", "t", "theme", "Theme", "the next theme", footer=False),
    Key("compare.help", "compare", "question_mark,f1", "?", "help", "Help", "what the keys do"),
    Key("compare.back", "compare", "escape,q", "q", "back", "Back", "back to the runs; also esc"),
    Key("queue.begin", "queue", "enter", "⏎", "begin", "Begin", "start the highlighted run, if none is at work"),
    Key("queue.earlier", "queue", "e", "e", "shift(-1)", "Earlier", "move the highlighted run up"),
    Key("queue.later", "queue", "l", "l", "shift(1)", "Later", "move the highlighted run down"),
    Key("queue.remove", "queue", "x", "x", "remove", "Remove", "take the highlighted run out"),
    Key("queue.add", "queue", "a", "a", "add", "Add", "pick a profile to put behind the others"),
    Key("queue.hold", "queue", "h", "h", "hold", "Hold", "keep the next run from beginning; again: go on"),
    Key("queue.help", "queue", "question_mark,f1", "?", "help", "Help", "what the keys do"),
    Key("queue.close", "queue", "escape,u,q", "esc", "dismiss_dialog", "Close", "back to the run; also u and q"),
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


def binding_with(id: str, action: str, description: str = "") -> list[BindingType]:
    """One row of the table with another action, for a widget that has the key before the screen does.

    With a description the footer has it.
    """
    rows = [key for key in KEYS if key.id == id]
    if description:
        rows = [replace(key, description=description, footer=True) for key in rows]
    return [binding for key in rows for binding in _bindings(key, action)]


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
    "plus": "+",
    "minus": "-",
    "equals_sign": "=",
    "slash": "/",
    "asterisk": "*",
    "full_stop": ".",
    "underscore": "_",
    "at": "@",
}
# What a text field would take, besides letters and digits.
_SIGNS = {"comma", "space"} | {name for name, sign in _SHOWN.items() if sign.isascii() and not sign.isalnum()}
_WORDS = {"space", "home", "end", "insert", "delete", "tab", "shift+tab", "backspace", *_SHOWN}
_ALIASES = {"esc": "escape", "return": "enter", "pgup": "pageup", "pgdn": "pagedown"} | {
    sign: name for name, sign in _SHOWN.items() if name in _SIGNS
}


def textual_keys(written: str) -> str:
    """Keys as a person writes them ("x", "F6, ?") as Textual names them; a capital letter stays one."""
    parts = [part.strip() for part in written.split(",") if part.strip()] or ["comma"]
    return ",".join(_ALIASES.get(part.lower(), part if len(part) == 1 else part.lower()) for part in parts)


def plain_keys_type(key: str) -> str:
    """ "character" for what a text field would take, "key" for any other that every terminal sends, else ""."""
    if key in _SIGNS or (len(key) == 1 and key.isalnum()):
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
