"""Questions on top of the dashboard. Every answer has a letter of its own, and says what it will do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from reid_tui.keys import bindings


@dataclass(frozen=True)
class Choice:
    """An answer: its letter, its words, what it does, and the result it gives."""

    key: str
    title: str
    explanation: str
    result: str


class ChoiceDialog(ModalScreen[str]):
    """Gives the `result` of the choice; "" if the dialog was closed."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("dialog")
    AUTO_FOCUS = "OptionList"
    DEFAULT_CSS = """
    ChoiceDialog {
        align: center middle;
        background: $background 60%;
        & > Vertical {
            width: 62; max-width: 96%; height: auto; max-height: 96%;
            border: round $primary; background: $surface; padding: 1 2;
        }
    }
    """

    def __init__(self, title: str, question: str, choices: tuple[Choice, ...]) -> None:
        super().__init__()
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

    def action_dismiss_dialog(self) -> None:
        self.dismiss("")


def _prompt(choice: Choice) -> Content:
    return Content.assemble(
        (f" {choice.key} ", "bold $accent"),
        (f" {choice.title}", "bold"),
        ("\n    ", ""),
        (choice.explanation, "$foreground 70%"),
    )


def stop_dialog() -> ChoiceDialog:
    """Results: "epoch", "now", "" for neither."""
    return ChoiceDialog(
        "Stop the run",
        "The weights are saved as FINAL in either case.",
        (
            Choice("e", "After this epoch", "it is finished and validated first", "epoch"),
            Choice("n", "Now", "after the batch in hand, without validation", "now"),
            Choice("c", "Cancel", "the run goes on", ""),
        ),
    )


def quit_dialog() -> ChoiceDialog:
    """Results: "quit", "" for staying."""
    return ChoiceDialog(
        "A run is live",
        "The run ends with the app; its weights are saved as FINAL.",
        (
            Choice("s", "Stay", "the run goes on", ""),
            Choice("q", "Stop and quit", "after the batch in hand", "quit"),
        ),
    )
