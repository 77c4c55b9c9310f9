"""One line above the keys: the one thing that the person should know now, and how many alerts there were."""

from __future__ import annotations

from textual.content import Content

from core.printable import clean
from core.run_state import RunState
from reid_tui.keys import shown_key
from reid_tui.settings import settings_of
from reid_tui.text import plural, resume_command
from reid_tui.widgets.panel import Panel

ALERT_SECONDS = 60  # an alert gives way to newer lines after this; the count of them stays


class StatusLine(Panel):
    """Shows, in this order: what was asked for and is not done yet, the end, the pause, the newest alert, the log."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, classes="bar")
        self._state = RunState()
        self._wish = ""

    def show(self, state: RunState, wish: str) -> None:
        """Take the state, and what the person asked for ("stopping after this epoch …"; empty: nothing)."""
        self._state, self._wish = state, wish
        self.redraw()

    def lines(self, width: int) -> list[Content]:
        state = self._state
        alerts = state.alerts_total - sum(alert.level == "info" for alert in state.alerts)
        count = Content.styled(f"  ! {plural(alerts, 'alert')}", "bold $warning") if alerts else Content("")
        text = self._text().truncate(max(width - count.cell_length, 8), ellipsis=True)
        return [Content.assemble(text, " " * max(width - text.cell_length - count.cell_length, 0), count)]

    def _key(self, id: str) -> str:
        return shown_key(id, settings_of(self.app).keys)

    def _text(self) -> Content:
        state = self._state
        if self._wish:
            return Content.styled(self._wish, "bold $warning")
        if state.finished is not None:
            message = clean((state.finished.message.splitlines() or [""])[0])
            if state.finished.reason in {"failed", "crashed"}:
                return Content.styled(f"✘ {message}", "bold $error")
            if lacks := [clean(what).partition(":")[0] for what in state.finished.not_saved]:  # the log tells why
                return Content.styled(f"! {message} · not saved: {', '.join(lacks)}", "bold $warning")
            ways = f"{self._key('app.quit')} leaves, {self._key('app.profiles')} starts another run"
            if state.resumable:
                ways = f"{resume_command(state.finished.folder)} goes on, {ways}"
            return Content.styled(f"{message} · {ways}", "bold")
        if state.paused:
            return Content.styled(f"❚❚ paused · {self._key('run.pause')} goes on", "bold $warning")
        alert = state.alerts[-1] if state.alerts else None
        if alert is not None and alert.level != "info" and not state.now - alert.time > ALERT_SECONDS:
            mark, colour = ("✘", "$error") if alert.level == "error" else ("!", "$warning")
            return Content.styled(f"{mark} {clean(alert.title)}: {clean(alert.message)}", f"bold {colour}")
        if state.log:
            return Content.styled(clean(state.log[-1][2]), "$foreground 65%")
        return Content("")
