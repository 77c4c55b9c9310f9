"""Questions on top of the dashboard. Every answer has a letter of its own, and says what it will do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from reid_tui.keys import bindings
from reid_tui.screens.dialog import Dialog
from reid_tui.text import plural

QUIT = "quit-dialog"


@dataclass(frozen=True)
class Choice:
    """An answer: its letter, its words, what it does, and the result it gives."""

    key: str
    title: str
    explanation: str
    result: str


class ChoiceDialog(Dialog[str]):
    """Gives the `result` of the choice; None if the dialog was closed."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("dialog")
    AUTO_FOCUS = "OptionList"
    DEFAULT_CSS = """
    ChoiceDialog > Vertical { width: 62; padding: 1 2; }
    ChoiceDialog OptionList { margin-top: 1; }
    ChoiceDialog.-tiny > Vertical { height: 96%; padding: 0 1; }
    ChoiceDialog.-tiny Static { max-height: 2; }
    ChoiceDialog.-tiny OptionList { margin-top: 0; height: 1fr; }
    """
    VERTICAL_BREAKPOINTS = [(0, "-tiny"), (14, "-usual")]  # noqa: RUF012

    def __init__(self, title: str, question: str, choices: tuple[Choice, ...], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._title = title
        self._question = question
        self.choices = choices

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = Content(self._title)
            yield Static(Content(self._question))
            yield OptionList(*(Option(_prompt(choice), id=choice.result) for choice in self.choices))

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_id or "")

    def on_key(self, event: events.Key) -> None:
        for choice in self.choices:
            if event.character == choice.key:
                event.stop()
                self.dismiss(choice.result)


def _prompt(choice: Choice) -> Content:
    return Content.assemble(
        (f" {choice.key} ", "bold $accent"),
        (f" {choice.title}", "bold"),
        ("\n    ", ""),
        (choice.explanation, "$foreground 70%"),
    )


def stop_dialog(otherwise: str, *, built: bool, after_epoch: bool) -> ChoiceDialog:
    """Results: "epoch", "now", "" for neither.

    Args:
        otherwise: what the run does if nothing is chosen: "goes on".
        built: whether training has begun.
        after_epoch: whether the run can still be told to stop after the epoch.
    """
    if built:
        question = "The weights are saved as FINAL in either case."
        now = "after the batch in hand, without validation"
    else:
        question = "Model and data are still being loaded; nothing is trained yet."
        now = "as soon as they are loaded"
    if not after_epoch:
        question = f"The run {otherwise}; its weights are saved as FINAL."
    epoch = Choice("e", "After this epoch", "it is finished and validated first", "epoch")
    return ChoiceDialog(
        "Stop the run",
        question,
        (
            *([epoch] if after_epoch and built else []),
            Choice("n", "Now", now, "now"),
            Choice("c", "Cancel", f"the run {otherwise}", ""),
        ),
    )


def detach_dialog(waiting: int = 0, *, held: bool = False) -> ChoiceDialog:
    """Results: "detach", "" for staying. `waiting`: runs of the queue, which go with it; if it is held, they do not."""
    queue = f" The queue goes along: {plural(waiting, 'run')} waiting."
    if held:
        queue = f" The queue is held and does not go along: {_dropped(waiting)}"
    queue = queue if waiting else ""
    return ChoiceDialog(
        "Leave the run to itself",
        f"It is saved after the batch in hand, and goes on in a process of its own.{queue}",
        (
            Choice("d", "Detach", "come back with `reid-tui attach`", "detach"),
            Choice("c", "Cancel", "the run goes on here", ""),
        ),
    )


def drop_queue_dialog(waiting: int, *, live: bool = False) -> ChoiceDialog:
    """Results: "quit", "" for staying. `live`: whether a run goes on in another process."""
    question = f"{_dropped(waiting)}{' The run itself goes on without the screen.' if live else ''}"
    return ChoiceDialog(
        "The queue is not empty",
        question,
        (Choice("s", "Stay", "the queue goes on", ""), Choice("q", "Quit", "the queue is dropped", "quit")),
        id=QUIT,
    )


def _dropped(waiting: int) -> str:
    return f"{plural(waiting, 'waiting run')} of the queue would be dropped."


def quit_dialog(otherwise: str, *, built: bool, waiting: int = 0, can_detach: bool = False) -> ChoiceDialog:
    """Results: "quit", "detach", "" for staying.

    Args:
        otherwise: as of `stop_dialog`.
        built: as of `stop_dialog`.
        waiting: runs of the queue.
        can_detach: whether the run, and what waits with it, can go on in a process of its own.
    """
    if built:
        question, when = "The run ends with the app; its weights are saved as FINAL.", "after the batch in hand"
    else:
        question = "The run ends with the app. Model and data are still being loaded; nothing is trained yet."
        when = "as soon as they are loaded"
    if waiting:
        question = f"{question} {_dropped(waiting)}"
    detach = Choice("d", "Detach", "it goes on by itself: `reid-tui attach`", "detach")
    return ChoiceDialog(
        "A run is live",
        question,
        (
            Choice("s", "Stay", f"the run {otherwise}", ""),
            *([detach] if can_detach else []),
            Choice("q", "Stop and quit", when, "quit"),
        ),
        id=QUIT,
    )
