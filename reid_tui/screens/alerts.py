"""Every alert of the run: since when, what, and what to do."""

from __future__ import annotations

import math
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from core.events import Alert
from core.printable import clean
from core.run_state import RunState
from reid_tui.keys import bindings
from reid_tui.screens.dialog import Dialog
from reid_tui.screens.help import show_help
from reid_tui.text import clock, plural

MOST_SHOWN = 500  # alerts; a folder full of damaged images may give one for each
_MARKS = {"error": ("✘", "$error"), "warning": ("!", "$warning"), "info": ("i", "$primary")}


def in_order(state: RunState) -> list[Alert]:
    """Those that still hold first, and of each kind the newest first."""
    newest = sorted(enumerate(state.alerts), key=lambda numbered: (state.is_active(numbered[1]), numbered[0]))
    return [alert for _, alert in reversed(newest)]


def alert_lines(state: RunState, width: int = 0) -> list[Content]:
    """The list as the screen has it, three parts an alert; messages are wrapped to `width` cells (0: not at all)."""
    alerts = in_order(state)
    if not alerts:
        return [Content("No alerts so far.")]
    lines: list[Content] = []
    for alert in alerts[:MOST_SHOWN]:
        mark, colour = _MARKS[alert.level]
        title = Content.assemble(
            (f"{mark} {clean(alert.title)}", f"bold {colour}"), (f"   {_when(state, alert)}", "dim")
        )
        message = [Content(clean(line)) for line in alert.message.splitlines()]
        if width > 2:
            message = [part for line in message for part in line.wrap(width - 2)]
        lines += [title, *(Content("  ") + line for line in message), Content("")]
    if len(alerts) > MOST_SHOWN:
        lines.append(Content(f"and {plural(state.alerts_total - MOST_SHOWN, 'older alert')}: run.log has them"))
    return lines


def _when(state: RunState, alert: Alert) -> str:
    if not alert.kind:
        return clock(alert.time)
    since = clock(alert.time if math.isnan(alert.since) else alert.since)
    if state.is_active(alert):
        return f"since {since}"
    over = state.over.get(alert.kind, -math.inf)
    # A later outage of the same kind has ended later: then only that this one is over is known.
    later = any(other.kind == alert.kind and alert.time < other.time <= over for other in state.alerts)
    if over >= alert.time and not later:
        return f"from {since} to {clock(over)}"
    return f"from {since}, over" if later else f"from {since} to the end"


class AlertsScreen(Dialog[None]):
    """Scrolls; closes with escape, `a` or `q`. New alerts come in at the top.

    Args:
        state: of the run; `refresh_alerts` shows what has been added to it.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("alerts")
    AUTO_FOCUS = ""
    DEFAULT_CSS = """
    AlertsScreen > VerticalScroll { width: 100; padding: 1 1 0 1; }
    """

    def __init__(self, state: RunState) -> None:
        super().__init__()
        self._state = state
        self._shown: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=False) as box:
            box.border_title = Content("Alerts")
            box.border_subtitle = Content("↑ ↓ scroll · esc closes")
            yield Static(id="alerts")

    def on_mount(self) -> None:
        self.refresh_alerts()

    def on_resize(self) -> None:
        self.call_after_refresh(self.refresh_alerts)

    def refresh_alerts(self) -> None:
        state = self._state
        width = self.query_one(VerticalScroll).scrollable_content_region.width
        over = (len(state.over), max(state.over.values(), default=0.0))
        wanted = (state.alerts_total, *over, state.finished is None, width)
        if wanted != self._shown:
            self._shown = wanted
            self.query_one("#alerts", Static).update(Content("\n").join(alert_lines(state, width)))

    def action_scroll(self, by: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=by, animate=False)

    def action_page(self, by: int) -> None:
        box = self.query_one(VerticalScroll)
        box.scroll_relative(y=by * max(box.size.height - 1, 1), animate=False)

    def action_to_end(self, end: int) -> None:
        box = self.query_one(VerticalScroll)
        if end:
            box.scroll_end(animate=False)
        else:
            box.scroll_home(animate=False)

    def action_help(self) -> None:
        show_help(self.app, "alerts")
