"""Early stopping: how much of the patience is used up, and what there is to beat."""

from __future__ import annotations

import math

from textual.content import Content

from core.printable import clean
from core.run_state import RunState
from reid_tui.text import percent, plural
from reid_tui.widgets.panel import Panel

MOST_PIPS = 12


def pips(used: int, patience: int) -> str:
    """ "●●○" for 2 of 3; empty where there would be too many to count."""
    return "●" * min(used, patience) + "○" * max(patience - used, 0) if 0 < patience <= MOST_PIPS else ""


class PatiencePanel(Panel):
    """Patience used, best epoch and value, epochs since, and the baseline."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__("Early stopping", id=id)
        self._state = RunState()

    def show(self, state: RunState) -> None:
        self._state = state
        self.redraw()

    def lines(self, width: int) -> list[Content]:
        state, best, baseline = self._state, self._state.best, self._state.baseline
        rows: list[tuple[str, Content]] = [("patience", self._patience())]
        if best is not None:
            value = Content.assemble(("★ ", "$success"), (percent(best.rank1), "bold"), f" Rank-1, epoch {best.epoch}")
            rows.append(("best", value))
            since = (state.epochs[-1].epoch if state.epochs else best.epoch) - best.epoch
            rows.append(("since best", Content(plural(since, "epoch"))))
        else:
            rows.append(("best", Content("none yet")))
        if baseline is not None and not math.isnan(baseline.rank1):
            gain = f" ({100 * (best.rank1 - baseline.rank1):+.1f})" if best is not None else ""
            rows.append(("baseline", Content(percent(baseline.rank1) + gain)))
        if state.started is not None:
            rows.append(("on", Content.styled(clean(state.started.validated_on), "$foreground 75%")))
        return [Content.assemble((f"{label:<10} ", "$foreground 65%"), value) for label, value in rows]

    def _patience(self) -> Content:
        state = self._state
        patience = state.patience.patience if state.patience else (state.started.patience if state.started else -1)
        used = state.patience.epochs_since_best if state.patience else 0
        if patience < 0:
            return Content("–")
        if patience == 0:
            return Content("off: the run goes to its last epoch")
        colour = "$error" if used >= patience else "$warning" if used and patience - used == 1 else "$foreground"
        return Content.assemble((f"{pips(used, patience)} ".lstrip(), colour), f"{used} of {patience} used")
