"""The top of the dashboard: which run this is, where it runs, and how it stands."""

from __future__ import annotations

from textual.content import Content

from core.printable import clean
from core.run_state import RunState
from reid_tui.text import plural
from reid_tui.widgets.panel import Panel

WIDE = 110  # from this width on there is room for the name of the run folder
_ENDS = {
    "finished": ("✔ finished", "$success"),
    "early-stop": ("✔ stopped early", "$success"),
    "stopped": ("■ stopped", "$warning"),
    "failed": ("✘ failed", "$error"),
    "crashed": ("✘ crashed", "$error"),
}


def standing(state: RunState, ending: str, waiting: bool = False) -> tuple[str, str]:
    """How the run stands in a word or two, and the colour of it.

    `ending` is what the person asked for; `waiting`: other runs of its process come first.
    """
    if state.finished is not None:
        return _ENDS[state.finished.reason]
    if state.paused:
        return "❚❚ paused", "$warning"
    if ending:
        return "■ stopping", "$warning"
    if waiting:
        return "○ waiting in a queue", "$foreground"
    if state.started is None or state.progress is None:
        return "◌ preparing", "$foreground"
    phases = {"prepare": "◌ preparing", "train": "▶ training", "validate": "▷ validating"}
    return phases[state.progress.phase], "$primary"


class HeaderBar(Panel):
    """Run and standing in the first line; model, data, device and precision in the second."""

    def __init__(self, profile: str, *, id: str | None = None) -> None:
        super().__init__(id=id, classes="bar")
        self._profile = clean(profile)
        self._state = RunState()
        self._ending = ""
        self._waiting = False

    def show(self, state: RunState, ending: str, *, waiting: bool = False) -> None:
        self._state, self._ending, self._waiting = state, ending, waiting
        self.redraw()

    def lines(self, width: int) -> list[Content]:
        started = self._state.started
        word, colour = standing(self._state, self._ending, self._waiting)
        badge = Content.styled(word, f"bold {colour}")
        name, model = self._profile, ""
        if started is not None:
            weights = "" if started.pretrained in {"", "none"} else f" ({started.pretrained})"
            model = clean(f"{started.model}{weights}")
            name = clean(started.run) if width >= WIDE else f"{clean(started.name)} · {model}"
        room = max(width - badge.cell_length - 1, 8)
        title = Content.assemble(("reid-tui", "bold $primary"), ("  ", ""), (name, "bold")).truncate(
            room, ellipsis=True
        )
        first = Content.assemble(title, " " * max(width - title.cell_length - badge.cell_length, 1), badge)
        if started is None:
            ended = self._state.finished is not None
            what = "it ended before training began" if ended else "loading the model and the data …"
            if self._waiting and not ended:
                what = "it begins when the runs before it have ended"
            return [first, Content.styled(what, "$foreground 60%")]
        height, breadth = started.image_size
        facts = [
            model if width >= WIDE else "",
            clean(f"{started.dataset} {started.aspect}".strip()),
            f"{height}×{breadth}",
            clean(started.precision),
            clean(started.device),
        ]
        if width >= WIDE:
            facts += [
                f"{plural(started.train_images, 'image')} of {plural(started.identities, 'identity', 'identities')}",
                f"batch {started.batch_size}",
            ]
        return [first, Content.styled(" · ".join(fact for fact in facts if fact), "$foreground 65%")]
