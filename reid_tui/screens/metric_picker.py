"""What a chart shows: a list of metrics with marks, by unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from reid_tui.keys import bindings
from reid_tui.metrics import BY_ID, GROUPS, METRICS, Metric
from reid_tui.screens.dialog import Dialog
from reid_tui.screens.help import show_help


class MetricPicker(Dialog[tuple[str, ...]]):
    """Gives the ids of the metrics that were marked, in the order of the table; None if it was closed.

    A mark on a metric of another unit takes the other marks away: a chart has one axis of values.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("metrics")
    AUTO_FOCUS = "OptionList"
    DEFAULT_CSS = """
    MetricPicker {
        & > Vertical { border-subtitle-color: $foreground 65%; }
        & OptionList { max-height: 100%; text-wrap: nowrap; text-overflow: ellipsis; scrollbar-size-vertical: 1; }
        & OptionList > .option-list--option-disabled { color: $foreground 65%; text-style: bold; }
    }
    """

    def __init__(self, title: str, chosen: Sequence[str]) -> None:
        super().__init__()
        self._title = title
        self.marked = set(chosen)

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = Content(self._title)
            box.border_subtitle = Content("space marks · ⏎ shows · esc cancels")
            yield OptionList(*self._options())

    def on_mount(self) -> None:
        options = self.query_one(OptionList)
        first = next((metric.id for metric in METRICS if metric.id in self.marked), METRICS[0].id)
        options.highlighted = options.get_option_index(first)

    def _options(self) -> list[Option]:
        options, group = [], ""
        for metric in METRICS:
            if metric.group != group:
                group = metric.group
                title, unit = GROUPS[metric.group]
                options.append(Option(Content(f"{title}, {unit}" if unit else title), disabled=True))
            options.append(Option(self._prompt(metric), id=metric.id))
        return options

    def _prompt(self, metric: Metric) -> Content:
        marked = metric.id in self.marked
        mark = Content.styled(" [x] " if marked else " [ ] ", "bold $accent" if marked else "$foreground 60%")
        return Content.assemble(
            mark, (f"{metric.name:<14}", "bold" if marked else ""), (metric.told, "$foreground 65%")
        )

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        """With the mouse; enter is taken before it gets here."""
        self._toggle(event.option_id)

    def _toggle(self, id: str | None) -> None:
        if id is None:
            return
        self.marked ^= {id}
        self.marked = {each for each in self.marked if BY_ID[each].group == BY_ID[id].group}
        options = self.query_one(OptionList)
        for metric in METRICS:
            options.replace_option_prompt(metric.id, self._prompt(metric))

    def action_mark(self) -> None:
        options = self.query_one(OptionList)
        if options.highlighted is not None:
            self._toggle(options.get_option_at_index(options.highlighted).id)

    def action_apply(self) -> None:
        """With no mark at all, the highlighted metric is meant."""
        if not self.marked:
            self.action_mark()
        self.dismiss(tuple(metric.id for metric in METRICS if metric.id in self.marked))

    def action_help(self) -> None:
        show_help(self.app, "metrics")
