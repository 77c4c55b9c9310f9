"""A run without a screen: a progress bar on a terminal, a line per epoch, and a table at the end."""

from __future__ import annotations

import math
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from io import TextIOBase
from types import FrameType
from typing import IO, TextIO, cast

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from core import events
from core.control import RunControl
from core.log_text import log_text, loss_text, percent
from core.printable import clean
from core.run_state import Past, RunState, fold
from reid_tui.ascii import to_ascii
from reid_tui.output import is_gone, lead_away
from reid_tui.settings import locale_is_ascii
from reid_tui.text import resume_command

Emit = Callable[[events.Event], None]
Start = Callable[[Emit, RunControl], events.RunFinished]
BY_SIGNAL = "stopped by "
STYLES = {"info": "", "warning": "yellow", "error": "red"}


def run_headless(start: Start, console: Console | None = None, *, requeue_code: int | None = None) -> int:
    """Train in this thread; exit code 0 unless the run failed.

    SIGINT and SIGTERM stop the run after the batch in hand, and it is saved; before training they end the program.
    However many more come, it is saved. SIGUSR1 saves a checkpoint; with `requeue_code` it stops the run as well, and
    a run that a signal has stopped gives that code.
    A terminal that goes, or a pipe that nobody reads any more, takes the words with it, not the training.

    Raises:
        KeyboardInterrupt: interrupted before training began: there is nothing to save.
    """
    ended = run_one(start, console or plain_console(), usr1_stops=requeue_code is not None)
    if ended.finished.reason == "failed":
        return 1
    return requeue_code if requeue_code is not None and ended.by_signal else 0


@dataclass(frozen=True)
class Ended:
    """A run that was run to its end: `by_signal`: a signal ended it; `signal`: the last one that came, if any did."""

    state: RunState
    finished: events.RunFinished
    by_signal: bool
    signal: str = ""


def plain_console() -> Console:
    """Standard output, for as long as somebody reads it."""
    return Console(file=cast("IO[str]", _UntilGone(sys.stdout)), highlight=False, soft_wrap=True)


def run_one(
    start: Start, console: Console, *, usr1_stops: bool = False, told_to_end: Callable[[], object] = lambda: False
) -> Ended:
    """The run of `run_headless`.

    Args:
        start: the whole run.
        console: gets its words.
        usr1_stops: whether SIGUSR1 stops the run as well.
        told_to_end: whether a signal came before those that are taken here.
    """
    control = RunControl()
    signals: list[str] = []
    state = RunState()
    printer = _Printer(console, state)

    def stop(signum: int, frame: FrameType | None) -> None:
        if state.started is None:
            raise KeyboardInterrupt
        signals.append(signal.Signals(signum).name)
        control.stop_after_batch(f"{BY_SIGNAL}{signals[-1]}")

    def hung_up(signum: int, frame: FrameType | None) -> None:
        silence_lost()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    save = stop if usr1_stops else lambda *_: control.checkpoint()
    before[signal.SIGUSR1] = signal.signal(signal.SIGUSR1, save)
    before[signal.SIGHUP] = signal.signal(signal.SIGHUP, hung_up)
    try:
        if told_to_end():
            raise KeyboardInterrupt
        with printer:
            printer.say("loading torch and open_clip")
            finished = start(printer, control)
        if state.epochs:
            console.print(epoch_table(state))
        for path in finished.checkpoints:
            console.print(Text(clean(f"saved {path}")))
        if folder := (state.started.folder if state.started else finished.folder):
            console.print(Text(clean(f"run   {folder}")))
        for what in finished.not_saved:
            console.print(Text(clean(f"not saved: {what}"), style=STYLES["error"]))
        if state.resumable:
            console.print(Text(clean(f"go on with: {resume_command(finished.folder)}")))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    by_signal = finished.reason == "stopped" and control.reason.startswith(BY_SIGNAL)
    return Ended(state, finished, by_signal, signals[-1] if signals else "")


def silence_lost() -> None:
    """Lead those of descriptors 1 and 2 to nowhere that nobody reads any more: a write would raise in who prints."""
    lead_away([descriptor for descriptor in (1, 2) if is_gone(descriptor)], None)


class _UntilGone(TextIOBase):
    """A text stream that falls silent, without a word, when nobody is left to read it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._ascii = locale_is_ascii(os.environ)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "ascii" if self._ascii else self._stream.encoding  # Rich draws its bars by it

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    def write(self, text: str) -> int:
        try:
            return self._stream.write(to_ascii(text) if self._ascii else text)
        except OSError:
            silence_lost()
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            silence_lost()


class _Printer:
    """Listener that prints; the bar is there only on a terminal."""

    def __init__(self, console: Console, state: RunState) -> None:
        self._console = console
        self._state = state
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.completed}/{task.total}"),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            refresh_per_second=4,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None
        self._phase: tuple[str, int] | None = None

    def __enter__(self) -> _Printer:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def say(self, text: str) -> None:
        self(events.LogLine(time.time(), "info", text))

    def __call__(self, event: events.Event) -> None:
        fold(self._state, event)
        if isinstance(event, Past):
            for _, level, text in event.state.log:
                self._print(level, text)
            self._console.rule(Text("so far"), style="dim")
        elif isinstance(event, events.Progress):
            self._draw(event)
        elif (logged := log_text(event)) is not None:
            self._print(*logged)

    def _print(self, level: str, text: str) -> None:
        self._console.print(Text(text, style=STYLES[level]))

    def _draw(self, event: events.Progress) -> None:
        if self._phase != (event.phase, event.epoch):
            self._phase = (event.phase, event.epoch)
            if self._task is not None:
                self._bar.remove_task(self._task)
            name = f"{event.phase} {event.epoch}" if event.epoch else "baseline"
            self._task = self._bar.add_task(name, total=event.total, rate="")
        if self._task is not None:
            rate = "" if math.isnan(event.images_per_second) else f"{event.images_per_second:.0f} images/s"
            self._bar.update(self._task, completed=event.done, rate=rate)


def epoch_table(state: RunState) -> Table:
    """The epochs of a run, the best one marked; 80 columns are enough for it."""
    on = f"; Rank-k and mAP on {state.started.validated_on}" if state.started else ""
    table = Table(title=Text(f"Epochs{on}"), title_justify="left", box=SIMPLE_HEAD, padding=0, show_edge=False)
    for name in ("epoch", "R-1", "R-5", "R-10", "mAP", "mINP", "loss", "CE", "triplet", "train R-1", "img/s"):
        table.add_column(name, justify="right", no_wrap=True)
    best = state.best.epoch if state.best else -1
    for row in state.epochs:
        mark = "*" if row.epoch == best else ""
        rates = [percent(rate) for rate in (row.rank1, row.rank5, row.rank10, row.mAP, row.mINP)]
        losses = ["-" if math.isnan(loss) else loss_text(loss, 4) for loss in (row.loss, row.ce, row.triplet)]
        speed = "-" if math.isnan(row.images_per_second) else f"{row.images_per_second:.0f}"
        style = "bold" if mark else ""
        table.add_row(f"{mark}{row.epoch}", *rates, *losses, percent(row.train_rank1), speed, style=style)
    return table
