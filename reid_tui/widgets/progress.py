"""How far the run and its phase are; after the end, why it ended, what it reached and where its files are."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass

from textual.content import Content

from core.printable import clean
from core.run_state import RunState
from reid_tui.keys import shown_key
from reid_tui.settings import settings_of
from reid_tui.text import duration, percent, plural, short_path, speed
from reid_tui.widgets.panel import Panel

_TITLES = {
    "finished": "Finished",
    "early-stop": "Stopped early",
    "stopped": "Stopped",
    "failed": "Failed",
    "crashed": "Crashed",
}
LEAST_MESSAGE_LINES = 4


LEAST_BAR = 12


def bar(share: float, width: int, colour: str) -> Content:
    """A bar of thin line; the part that is done can be told from the rest without colour."""
    share = min(max(share, 0.0), 1.0) if math.isfinite(share) else 0.0
    halves = int(share * width * 2)
    done = "━" * (halves // 2) + ("╸" if halves % 2 else "")
    return Content.assemble((done, colour), ("┄" * (width - len(done)), "$foreground 30%"))


@dataclass(frozen=True)
class _Row:
    label: str
    count: str
    share: float
    eta: float
    tail: str


class ProgressPanel(Panel):
    """Two bars, for the run and for the phase in hand."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__("Progress", id=id)
        self._title = "Progress"
        self._state = RunState()

    def show(self, state: RunState) -> None:
        self._state = state
        finished = state.finished
        self.set_class(finished is not None, "ended")
        self.set_class(finished is not None and finished.reason in {"failed", "crashed"}, "failed")
        title = "Progress"  # again, of a run that somebody has resumed
        if finished is not None:
            title = f"{_TITLES[finished.reason]} after {plural(finished.epoch, 'epoch')}, {duration(finished.seconds)}"
        if title != self._title:
            self._title = title
            self.border_title = Content(title)
        self.redraw()

    def lines(self, width: int) -> list[Content]:
        return self._ended(width) if self._state.finished is not None else self._under_way(width)

    def _under_way(self, width: int) -> list[Content]:
        state, started, progress = self._state, self._state.started, self._state.progress
        epochs = started.epochs if started else 0
        done = state.epochs[-1].epoch if state.epochs else 0
        current = max(done, progress.epoch if progress else 0)
        rows = [
            _Row(
                "run",
                f"epoch {current:>{len(str(epochs))}} of {epochs}" if epochs else "",
                state.epochs_done / epochs if epochs else 0.0,
                state.run_eta,
                f"{duration(state.epoch_seconds)} an epoch" if math.isfinite(state.epoch_seconds) else "",
            )
        ]
        if progress:
            unit = {"train": "batch", "validate": "image", "prepare": "image"}[progress.phase]
            rows.append(
                _Row(
                    progress.phase,
                    f"{unit} {progress.done:>{len(str(progress.total))}} of {progress.total}",
                    progress.done / progress.total if progress.total else 0.0,
                    state.phase_eta,
                    speed(progress.images_per_second),
                )
            )
        else:
            rows.append(_Row("prepare", "", 0.0, math.nan, ""))
        return [self._bar_line(row, rows, width) for row in rows]

    def _bar_line(self, row: _Row, rows: list[_Row], width: int) -> Content:
        label = max(len(each.label) for each in rows)
        etas = [f"{duration(each.eta)} left" if math.isfinite(each.eta) else "" for each in rows]
        room = {
            "count": max(len(each.count) for each in rows),
            "eta": max(len(each) for each in etas),
            "tail": max(len(each.tail) for each in rows),
        }
        bar_cells = 0
        for give_way in ("", "tail", "count", "eta"):  # where it is narrow, in this order
            room.pop(give_way, None)
            # Everything has two cells beside it; the share takes six: " 100 %".
            bar_cells = width - label - 2 - 6 - sum(cells + 2 for cells in room.values() if cells)
            if bar_cells >= LEAST_BAR:
                break
        count, eta, tail = room.get("count", 0), room.get("eta", 0), room.get("tail", 0)
        parts: list[tuple[str, str] | Content] = [(f"{row.label:<{label}}  ", "bold")]
        if count:
            parts.append((f"{row.count:<{count}}  ", ""))
        parts.append(bar(row.share, max(bar_cells, 3), "$primary"))
        parts.append((f" {100 * row.share:>3.0f} %", ""))
        if eta:
            parts.append((f"  {etas[rows.index(row)]:>{eta}}", "$foreground 75%"))
        if tail:
            parts.append((f"  {row.tail:>{tail}}", "$foreground 75%"))
        return Content.assemble(*parts)

    def _ended(self, width: int) -> list[Content]:
        state = self._state
        finished, best, baseline = state.finished, state.best, state.baseline
        if finished is None:
            return []
        said = [clean(line) for line in finished.message.splitlines() if line.strip()] or ["no reason given"]
        message = [part for line in said for part in textwrap.wrap(line, max(width, 8)) or [""]]
        # The way out comes last in a reason, so it is cut only where the screen has no room for it.
        most = max(self.app.size.height // 3, LEAST_MESSAGE_LINES)
        if len(message) > most:
            message = [
                *message[: most - 1],
                f"… the rest is in the log ({shown_key('view.log', settings_of(self.app).keys)})",
            ]
        lines = [Content.styled(line, "bold") for line in message]
        figures = []
        if best is not None:
            gain = ""
            if baseline is not None and not math.isnan(baseline.rank1):
                gain = f"   baseline {percent(baseline.rank1)} ({100 * (best.rank1 - baseline.rank1):+.1f})"
            figures.append(f"best Rank-1 {percent(best.rank1)}, mAP {percent(best.mAP)} at epoch {best.epoch}{gain}")
        elif baseline is not None and not math.isnan(baseline.rank1):
            figures.append(f"baseline Rank-1 {percent(baseline.rank1)}, mAP {percent(baseline.mAP)}")
        if figures and state.started:
            where = f"   on {clean(state.started.validated_on)}"
            # Where it does not fit, the table and the panel of early stopping still say it.
            figures[0] += where if len(figures[0]) + len(where) <= width else ""
        lines += [Content(text) for text in figures]
        if where := (state.started.folder if state.started else finished.folder):
            lines += _folder_lines(short_path(where), width)
        return lines


def _folder_lines(folder: str, width: int) -> list[Content]:
    """A path that can be copied: whole, and beside its label or else on lines of its own."""
    label = Content.styled("files  ", "$foreground 65%")
    if len(folder) + 7 <= width:
        return [Content.assemble(label, folder)]
    parts = [folder[at : at + width] for at in range(0, len(folder), max(width, 1))]
    return [label, *(Content(part) for part in parts)]
