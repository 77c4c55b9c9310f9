"""What the keys do, made from the table of keys, and what the signs on the dashboard mean."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import wrap
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from core.run_fields import FIELDS
from reid_tui.keys import Where, bindings, keys_of, shown_key
from reid_tui.screens.dialog import Dialog
from reid_tui.settings import settings_of

_SIGNS: dict[str, tuple[tuple[str, str], ...]] = {
    "dashboard": (
        ("★", "best epoch by Rank-1; the baseline does not compete"),
        ("R-k", "Rank-k: percent of queries with a right match among the first k"),
        ("base", "epoch 0: validation before any training"),
        ("●●○", "patience: epochs without a better Rank-1, of those allowed"),
        ("▸GPU", "the GPU of this run; dimmed: one that it does not see"),
    ),
    "chart": (
        ("▸", "the chart that keys are for; 1, 2 and tab select another"),
        ("~", "a smoothed value"),
        ("wheel", "zooms at the pointer; dragging pans, a click puts the cursor"),
    ),
    "runs": (
        ("❯ ✓", "the cursor; a marked run"),
        ("R-1", "best Rank-1 and the mAP of that epoch, percent; epochs are those done, of all"),
        ("/", "words must all occur; with > < >= <= = != values are compared: " + ", ".join(FIELDS)),
        ("", "rates in percent, sizes as 2GB, ages as 3h or 2d, texts with * as in model=vit*; keys of profiles, too"),
    ),
    "compare": (
        ("★", "the best of the runs that are compared"),
        ("⌂", "pinned: the differences of the others are shown against it"),
        ("-", "a curve that is hidden"),
    ),
    "picker": (
        ("✘", "the profile has problems and cannot be launched"),
        ("○", "the profile is sound, but its data are not there yet"),
        ("•", "a value that differs from its default"),
    ),
    "editor": (
        ("•", "a value that differs from the file"),
        ("✘", "a value that cannot be; what is wrong stands below it"),
    ),
    "queue": (
        ("▶ ○", "at work; waiting"),
        ("✔ ■ ✘", "done; stopped; failed; the number is the best Rank-1"),
    ),
}

LEAST_WORDS = 24  # cells for what a key does


def help_text(*where: Where, keymap: Mapping[str, str] | None = None, room: int = 80) -> Content:
    """The lines of the help, one or more for each key of the table, as the person has mapped them, in `room` cells."""
    keys = [key for each in (*where, "app") for key in keys_of(each)]
    shown = {key.id: shown_key(key.id, keymap or {}) for key in keys}
    width = max(map(len, shown.values())) + 2
    names = max(len(key.description) for key in keys) + 2
    beside = room - width - 2 - names >= LEAST_WORDS  # else the words go below the name
    indent = width + 2 + names if beside else max(min(width + 2, room - LEAST_WORDS), 2)
    lines = []
    for key in keys:
        words = wrap(key.tooltip, max(room - indent, 8))
        first, rest = ("".join(words[:1]), words[1:]) if beside else ("", words)
        head = [(f"{shown[key.id]:>{width}}  ", "bold $accent"), (f"{key.description:<{names}}", "bold"), (first, "")]
        lines.append(Content.assemble(*head))
        lines += [Content(" " * indent + text) for text in rest]
    signs = [sign for each in where for sign in _SIGNS.get(each, ())]
    wide = max((len(sign) for sign, _ in signs), default=0) + 2
    lines.append(Content(""))
    for sign, text in signs:
        first, *rest = wrap(text, max(room - wide - 2, 8))
        lines.append(Content.assemble((f"{sign:>{wide}}  ", "bold $success"), first))
        lines += [Content(" " * (wide + 2) + more) for more in rest]
    return Content("\n").join(lines)


class HelpScreen(Dialog[None]):
    """Closes with escape, `?` or `q`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings("dialog"),
        Binding("question_mark,f1,q,enter", "dismiss_dialog", "Close", show=False),
    ]
    DEFAULT_CSS = """
    HelpScreen > VerticalScroll { width: 84; padding: 1 1; scrollbar-size-vertical: 2; }
    """

    def __init__(self, *where: Where) -> None:
        super().__init__()
        self._where = where

    def compose(self) -> ComposeResult:
        with VerticalScroll() as box:
            box.border_title = Content("Keys")
            box.border_subtitle = Content("esc closes")
            yield Static(self._text())

    def on_screen_resume(self) -> None:
        self.query_one(VerticalScroll).scroll_home(animate=False)  # it may have been left further down

    def on_resize(self) -> None:
        for text in self.query(Static):  # none before it is composed
            text.update(self._text())

    def _text(self) -> Content:
        room = min(84, int(0.96 * self.app.size.width)) - 6  # inside of border, padding and scrollbar
        return help_text(*self._where, keymap=settings_of(self.app).keys, room=room)


def show_help(app: App[None], *where: Where) -> None:
    """Built once for each of `where`: beside a training, building takes half of the time until it is seen."""
    name = f"help of {'-'.join(where)}"
    if not app.is_screen_installed(name):
        app.install_screen(HelpScreen(*where), name)
    app.push_screen(name)
