"""One value of the form: mark, name, the field to change it in, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult, RenderResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Input

from core.printable import clean
from reid_tui.profile_form import FormField


class FieldInput(Input):
    """A text field of one line. Where `?` cannot be meant, it is left to the help."""

    def __init__(self, field: FormField, text: str) -> None:
        super().__init__(text, compact=True, select_on_focus=False, placeholder="" if field.default == "" else "needed")
        self._takes_question_mark = field.kind == "text"

    def check_consume_key(self, key: str, character: str | None) -> bool:
        return (key != "question_mark" or self._takes_question_mark) and super().check_consume_key(key, character)


class ChoiceField(Widget, can_focus=True):
    """One of some words: space and right take the next, left the one before, a letter the first that begins with it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,space", "cycle(1)", "Next choice", show=False),
        Binding("left", "cycle(-1)", "Choice before", show=False),
    ]
    value: reactive[str] = reactive("")

    class Changed(Message):
        """Another word was chosen."""

    def __init__(self, choices: tuple[str, ...], value: str) -> None:
        super().__init__()
        self._choices = choices
        self.set_reactive(ChoiceField.value, value)

    def render(self) -> RenderResult:
        parts = []
        for choice in self._choices if self.value in self._choices else (self.value, *self._choices):
            chosen = choice == self.value
            parts.append(Content.styled(f"[{clean(choice)}]" if chosen else f" {clean(choice)} ", self._style(chosen)))
        line = Content(" ").join(parts)
        if line.cell_length <= self.size.width:
            return line
        return Content.assemble("◂ ", (clean(self.value), "bold"), " ▸")

    @staticmethod
    def _style(chosen: bool) -> str:
        return "bold" if chosen else "$foreground 50%"

    def action_cycle(self, by: int) -> None:
        at = self._choices.index(self.value) + by if self.value in self._choices else 0
        self._choose(self._choices[at % len(self._choices)])

    def on_key(self, event: events.Key) -> None:
        if event.character and event.character.isalnum():
            words = [choice for choice in self._choices if choice.startswith(event.character)]
            if words:
                event.stop()
                at = words.index(self.value) + 1 if self.value in words else 0
                self._choose(words[at % len(words)])

    def on_click(self) -> None:
        self.action_cycle(1)

    def _choose(self, value: str) -> None:
        self.value = value
        self.post_message(self.Changed())


class FieldRow(Widget):
    """Shows a field of the form: it draws the name and the problem itself, for few widgets are quick to lay out.

    Args:
        field: the key.
        text: its value.
    """

    @dataclass
    class Edited(Message):
        """The person has changed the value."""

        row: FieldRow
        text: str

    def __init__(self, field: FormField, text: str) -> None:
        super().__init__()
        self.field = field
        self.control = ChoiceField(field.choices, text) if field.choices else FieldInput(field, text)
        self._changed, self._problem = False, ""

    def compose(self) -> ComposeResult:
        yield self.control

    def render(self) -> RenderResult:
        label = Content.assemble(
            ("•" if self._changed else " ", "bold $accent"),
            ("✘" if self._problem else " ", "bold $error"),
            f" {clean(self.field.name)}",
        )
        lines = [label.truncate(max(self.control.styles.margin.left - 1, 8), ellipsis=True)]
        lines += [Content.assemble("    ", line) for line in self._problem_lines(self.size.width)]
        return Content("\n").join(lines)

    def _problem_lines(self, width: int) -> list[Content]:
        if not self._problem:
            return []
        return Content.styled(clean(self._problem), "$error").wrap(max(width - 5, 10))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return 1 + len(self._problem_lines(width))

    @property
    def text(self) -> str:
        return self.control.value

    def put(self, text: str) -> None:
        """Set the value as the person would."""
        self.control.value = text
        if isinstance(self.control, ChoiceField):
            self.post_message(self.Edited(self, text))

    def show(self, *, changed: bool, problem: str) -> None:
        """Mark a change, and say what is wrong (empty: nothing)."""
        if (self._changed, self._problem) != (changed, problem):
            layout = problem != self._problem
            self._changed, self._problem = changed, problem
            self.refresh(layout=layout)

    @on(Input.Changed)
    @on(ChoiceField.Changed)
    def _edited(self, event: Message) -> None:
        event.stop()
        self.post_message(self.Edited(self, self.text))
