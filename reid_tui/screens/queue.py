"""The queue: which runs have ended and how, which is at work, which wait; keys change the order of those that wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar, Literal

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from core.printable import clean
from reid_tui.keys import bindings, keys_of
from reid_tui.run_queue import QueuedRun, RunQueue, titles_apart
from reid_tui.screens.dialog import Dialog
from reid_tui.screens.help import show_help
from reid_tui.text import percent
from reid_tui.widgets.queue_line import queue_text
from reid_tui.wishes import AddWanted, BeginWanted, HoldWanted

_MARKS = {
    "waiting": ("○", "$foreground 65%"),
    "running": ("▶", "$primary"),
    "done": ("✔", "$success"),
    "stopped": ("■", "$warning"),
    "failed": ("✘", "$error"),
    "dropped": ("·", "$foreground 65%"),
    "handed-over": ("·", "$foreground 65%"),
}


def queue_entry(run: QueuedRun, title: str) -> Content:
    """A line of the list: mark, how it stands, best Rank-1, title."""
    mark, colour = _MARKS[run.standing]
    rate = f"{percent(run.rank1) if run.standing in {'done', 'stopped', 'failed'} else '':>5}  "
    standing = "detached" if run.standing == "handed-over" else run.standing
    return Content.assemble((f"{mark} {standing:<8}", f"bold {colour}"), (rate, "bold"), clean(title))


class QueueScreen(Dialog[None]):
    """Shows a queue and changes it.

    Args:
        queue: what is shown.
        can_begin: whether a waiting run could begin at this moment.
        on_change: called after every change by a key.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("queue")
    AUTO_FOCUS = "OptionList"
    DEFAULT_CSS = """
    QueueScreen {
        & > Vertical { width: 76; }
        & OptionList { max-height: 12; text-wrap: nowrap; text-overflow: ellipsis; }
        & #queue-detail { height: auto; max-height: 4; margin-top: 1; }
        & #queue-keys { height: auto; margin-top: 1; }
    }
    """

    def __init__(self, queue: RunQueue, can_begin: Callable[[], bool], on_change: Callable[[], None]) -> None:
        super().__init__()
        self._queue = queue
        self._can_begin = can_begin
        self._on_change = on_change
        self._shown: list[QueuedRun] = []

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = Content("Queue")
            yield OptionList()
            yield Static(id="queue-detail")
            yield Static(id="queue-keys")

    def on_mount(self) -> None:
        self.show(self._queue.running or next(iter(self._queue.waiting), None))

    def show(self, highlight: QueuedRun | None = None) -> None:
        """Draw the queue as it is now; `highlight`: None for what is highlighted already."""
        highlight = highlight or self.highlighted
        runs = self.query_one(OptionList)
        at = runs.highlighted or 0
        self._shown = list(self._queue.runs)
        runs.set_options(
            Option(queue_entry(run, title)) for run, title in zip(self._shown, titles_apart(self._shown), strict=True)
        )
        if self._shown:
            place = self._shown.index(highlight) if highlight in self._shown else min(at, len(self._shown) - 1)
            runs.highlighted = place
        box = self.query_one(Vertical)
        box.border_subtitle = Content(f"{len(self._queue.ended)} ended, {len(self._queue.waiting)} waiting")
        self._show_detail()

    @property
    def highlighted(self) -> QueuedRun | None:
        index = self.query_one(OptionList).highlighted
        return self._shown[index] if index is not None and index < len(self._shown) else None

    @on(OptionList.OptionHighlighted)
    def _show_detail(self) -> None:
        run = self.highlighted
        state = queue_text(self._queue, time.monotonic())
        lines = [Content("Nothing is in the queue; a adds a profile.")] if not self._shown else []
        if run is not None:
            lines += [Content(clean(text)) for text in (run.message.partition("\n")[0], run.folder) if text]
        if self._queue.held or not self._queue.running:
            lines += [Content(state.plain.partition(" · ")[0])] if state.plain else []
        detail = self.query_one("#queue-detail", Static)
        detail.display = bool(lines)
        detail.update(Content("\n").join(lines))
        parts = [
            Content.assemble((key.shown, "bold $accent"), f" {key.description}")
            for key in keys_of("queue")
            if key.footer and self.check_action(key.action.partition("(")[0], ())
        ]
        self.query_one("#queue-keys", Static).update(Content("  ").join(parts))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "begin":
            return bool(self._queue.waiting) and self._can_begin()
        if action in {"hold", "shift", "remove"}:
            return bool(self._queue.waiting)
        return True

    # Keys ---------------------------------------------------------------------------------------------------------

    def action_shift(self, by: Literal[-1, 1]) -> None:
        run = self.highlighted
        if run is not None and self._queue.move(run, by):
            self._changed(run)

    def action_remove(self) -> None:
        run = self.highlighted
        if run is None:
            return
        if self._queue.remove(run):
            self._changed()
        else:
            why = "is at work: s on the dashboard stops it" if run.standing == "running" else "has ended"
            self.notify(f"not removed: it {why}", markup=False, timeout=4)

    def _changed(self, highlight: QueuedRun | None = None) -> None:
        self._on_change()
        self.show(highlight)

    def action_add(self) -> None:
        self.post_message(AddWanted())

    def action_hold(self) -> None:
        self.post_message(HoldWanted())

    @on(OptionList.OptionSelected)
    def action_begin(self) -> None:
        run = self.highlighted
        if run is not None and run.standing == "waiting" and self._can_begin():
            self.post_message(BeginWanted(run))

    def action_help(self) -> None:
        show_help(self.app, "queue")
