"""One line of the dashboard about the queue; it is not there while nothing waits."""

from __future__ import annotations

import math

from textual.content import Content

from core.printable import clean
from reid_tui.run_queue import RunQueue
from reid_tui.widgets.panel import Panel


class QueueLine(Panel):
    """What comes next, when, and the keys for it."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, classes="bar")
        self._text = Content("")
        self.display = False

    def show(self, queue: RunQueue, now: float) -> None:
        """Take the queue; `now` is on the clock of its countdown."""
        self._text = queue_text(queue, now)
        self.display = bool(self._text.plain)
        self.redraw()

    def lines(self, width: int) -> list[Content]:
        return [self._text]


def queue_text(queue: RunQueue, now: float) -> Content:
    """The line; empty where nothing waits."""
    if not queue.waiting:
        return Content("")
    following = clean(queue.waiting[0].title)
    left = queue.seconds_left(now)
    if queue.held:
        held = f"❚❚ queue held, {len(queue.waiting)} waiting"
        return Content.assemble((held, "bold $warning"), f" · h goes on · u shows it · next {following}")
    if left is None:
        return Content.assemble(
            (f"queue: {len(queue.waiting)} waiting", "bold"), (f" · u shows it · next {following}", "$foreground 65%")
        )
    # When it is time, it begins; what is open on top of the dashboard is not taken from a person's eyes at once.
    begins = f"next in {math.ceil(left)} s" if left else "next when you are back here, or in a minute"
    return Content.assemble((f"▶ {begins}", "bold $primary"), f" · h holds · u shows · {following}")
