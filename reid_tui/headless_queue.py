"""Several runs one after another without a screen: a line before each, a table of all at the end."""

from __future__ import annotations

import gc
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from core.control import RunControl
from core.events import RunFinished
from core.printable import clean
from reid_tui.console import STYLES, Emit, plain_console, run_one, silence_lost
from reid_tui.run_queue import QueuedRun, RunQueue, best_of
from reid_tui.text import percent, plural

if TYPE_CHECKING:
    from core.profile import Profile

EXIT_FAILED, EXIT_INTERRUPTED = 1, 130
Train = Callable[["Profile", Emit, RunControl], RunFinished]


def run_queue_headless(
    queue: RunQueue, train: Train, console: Console | None = None, *, requeue_code: int | None = None
) -> int:
    """Run what waits, in this thread. A run that fails, or is told to stop, does not stop those behind it.

    A signal stops the run at work as `run_headless` does, and drops the rest.

    Returns:
        `requeue_code`, where there is one and a signal has stopped a run; 130 after an interruption before a run
        began to train; 1 if a run failed; else 0.
    """
    console = console or plain_console()
    requeue = interrupted = False
    with _signals(usr1_stops=requeue_code is not None) as signals:
        while queue.waiting and not signals:
            run = queue.waiting[0]
            queue.begin(run)
            place, total = len(queue.ended) + 1, len(queue.runs)
            console.print(Text(clean(f"{place} of {total}: {run.title}"), style="bold"))
            gc.collect()  # what the last run has left on the device
            try:
                ended = run_one(
                    partial(train, run.profile),
                    console,
                    usr1_stops=requeue_code is not None,
                    told_to_end=lambda: bool(signals),
                )
            except KeyboardInterrupt:
                interrupted = True
                run.standing, run.message = "stopped", "interrupted before it began to train"
                break
            queue.end(ended.state)
            requeue = requeue or ended.by_signal
            if ended.signal:
                signals.append(ended.signal)
        dropped = queue.drop_waiting()
        for line in queue_lines(queue):
            console.print(line)
        if dropped:
            what = f"interrupted by {signals[-1]}" if signals else "interrupted"
            text = f"{what}: {plural(len(dropped), 'run')} of the queue will not begin"
            console.print(Text(text, style=STYLES["warning"]))
    if requeue and requeue_code is not None:
        return requeue_code
    if interrupted or (signals and dropped and not requeue):
        return EXIT_INTERRUPTED
    return EXIT_FAILED if queue.having("failed") else 0


@contextmanager
def _signals(*, usr1_stops: bool) -> Iterator[list[str]]:
    """Those that come between two runs; while one is at work, it takes them."""
    signals: list[str] = []

    def note(number: int, _frame: object) -> None:
        signals.append(signal.Signals(number).name)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    before[signal.SIGUSR1] = signal.signal(signal.SIGUSR1, note if usr1_stops else signal.SIG_IGN)
    before[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda *_: silence_lost())
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def queue_lines(queue: RunQueue) -> list[Text]:
    """The table of all runs, the best marked: how each ended, its best epoch, and its folder below it."""
    best = best_of(queue.runs)
    lines = [Text(""), Text("Queue; Rank-1 and mAP of the best epoch", style="italic")]
    lines.append(Text(f"  {'R-1':>6}{'mAP':>6}{'epoch':>7}  {'end':<8}  run", style="bold"))
    for run in queue.runs:
        lines += _lines_of(run, best is run)
    return lines


def _lines_of(run: QueuedRun, best: bool) -> list[Text]:
    epoch = str(run.epoch) if run.epoch else "–"
    end = "not run" if run.standing == "dropped" else run.standing
    style = "bold" if best else STYLES["error"] if run.standing == "failed" else ""
    mark = "*" if best else " "
    row = f"{mark} {percent(run.rank1):>6}{percent(run.mAP):>6}{epoch:>7}  {end:<8}  {run.title}"
    below = [run.message.splitlines()[0] if run.standing == "failed" and run.message else "", run.folder]
    return [Text(clean(row), style=style), *(Text(clean(f"    {text}")) for text in below if text)]
