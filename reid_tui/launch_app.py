"""Run the app, and see its run to the end once the screen is gone."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from core.events import Alert, CheckpointSaved, Event, RunFinished, RunStarted
from core.printable import clean
from core.run_state import RunState, fold
from reid_tui import garbage
from reid_tui.app import TERMINAL_GONE, ReidApp, log_file_of
from reid_tui.app_runs import MakeRun, StartRun
from reid_tui.ascii import to_ascii
from reid_tui.detached import how_to_come_back, start, start_queue
from reid_tui.live_run import LiveRun
from reid_tui.output import flush, lead_away
from reid_tui.remembered import Memory, remembered_path
from reid_tui.run_queue import RunQueue
from reid_tui.settings import locale_is_ascii, read_settings
from reid_tui.terminal import TerminalDriver
from reid_tui.text import duration, percent, plural, resume_command

if TYPE_CHECKING:
    from core.profile import Profile
    from core.run_plan import PlannedRun

EXIT_INTERRUPTED = 130
# The thread that trains gives the interpreter away at each operation of torch and, while the screen is drawn, waits
# this long to have it back. With the 5 ms that Python has, training lost as much to that as the screen itself took.
SWITCH_INTERVAL = 0.0002
_ENDS = {
    "finished": "Finished",
    "early-stop": "Stopped early",
    "stopped": "Stopped",
    "failed": "Failed",
    "crashed": "Crashed",
}


def run_app(
    *,
    start_run: StartRun,
    selected: Profile | None = None,
    profile_paths: Sequence[Path] | None = None,
    profiles_dir: Path | None = None,
    overrides: Sequence[str] = (),
    warm: Callable[[], None] | None = None,
    attach: Path | None = None,
    list_runs: bool = False,
    runs_dir: Path | None = None,
    detach: bool = False,
    queued: Sequence[PlannedRun] = (),
    low_bandwidth: bool = False,
) -> int:
    """Show the app until the person leaves it, wait for the run, and say how it ended.

    A run in another process is not waited for: it goes on, and how to come back is said.

    Arguments are those of `ReidApp`; `detach`: what is launched runs in a process of its own; `low_bandwidth`: few
    redraws, whatever the settings say.

    Returns:
        The exit code: 0 after a run that finished, stopped early or was stopped, and after none at all; 1 after one
        that failed, or if the screen itself failed.
    """
    settings, told = read_settings()
    app = ReidApp(
        profile_paths,
        profiles_dir,
        overrides,
        selected,
        start_run,
        warm=warm,
        attach=attach,
        list_runs=list_runs,
        runs_dir=runs_dir,
        start_detached=_start_detached if detach else None,
        settings=replace(settings, low_bandwidth=True) if low_bandwidth else settings,
        told=told,
        memory=Memory(remembered_path()),
        driver_class=TerminalDriver,
        queued=queued,
    )
    sys.setswitchinterval(SWITCH_INTERVAL)
    garbage.begin()
    app.run()
    from reid_tui.attached_run import AttachedRun

    crashed = bool(app.return_code) and not app.terminal_lost
    if app.crash is not None and isinstance(app.live_run, LiveRun):
        # The log of a live run takes what Python's logging is told.
        logging.getLogger(__name__).error("the screen has failed; the run goes on without it", exc_info=app.crash)
    dashboard = app.dashboard
    if dashboard is None:
        app.queue.drop_waiting()
        garbage.end()
        return 1 if crashed else 0
    live, state = dashboard.live, dashboard.state
    if isinstance(live, LiveRun):
        _see_to_the_end(live, state, crashed=crashed, silent=app.terminal_lost)
    goes_on = live.folder if isinstance(live, AttachedRun) and live.alive and live.finished is None else None
    if isinstance(live, LiveRun) or state.finished is not None:
        app.queue.end(state)
    lines = summary(state)
    if goes_on:
        lines = how_to_come_back(goes_on)
    elif dashboard.handed_over:
        lines = _hand_over(state, app.queue) or lines
    if not app.terminal_lost:
        for line in lines:
            say(line, sys.stdout)
    if isinstance(live, LiveRun):
        see_to_the_queue(app.queue, start_run, goes_on=crashed or app.terminal_lost, silent=app.terminal_lost)
    else:
        see_to_the_queue(app.queue, start_run, goes_on=False, silent=app.terminal_lost)
    garbage.end()
    failed = isinstance(live, LiveRun) and (state.finished is None or state.finished.reason == "failed")
    failed = failed or bool(app.queue.having("failed"))
    return 1 if crashed or failed else 0


def _hand_over(state: RunState, queue: RunQueue) -> list[str]:
    """A run that has stopped here for it goes on in a process of its own, and the queue behind it; what to say.

    A queue that is held stays behind, as the question has said: in a process of its own, nobody could let it go on.
    """
    from core.run_folder import new_run_folder

    stopped = state.finished is not None and state.finished.reason == "stopped"
    folders = [Path(state.finished.folder)] if state.finished is not None and stopped else []
    for run in queue.having("stopped"):
        if folders and run.folder and Path(run.folder) == folders[0]:
            run.standing = "handed-over"  # it has not ended
    for run in [] if queue.held else queue.drop_waiting():
        folders.append(new_run_folder(run.profile))
        run.standing, run.folder = "handed-over", str(folders[-1])
    if not folders:
        return []
    process = start(folders[0]) if len(folders) == 1 else start_queue(folders)
    return how_to_come_back(folders[0], folders[1:], process.pid)


def see_to_the_queue(queue: RunQueue, start_run: StartRun, *, goes_on: bool, silent: bool) -> None:
    """Work through what waits, without a screen, or say that it will not begin; and how all of them ended.

    Args:
        queue: no run of it is at work.
        start_run: trains.
        goes_on: whether the queue is to go on: the person has not left, the screen has. If it is held, it does not.
        silent: whether nobody is left to read.
    """
    if goes_on and queue.waiting and not queue.held:
        from rich.console import Console

        from reid_tui.headless_queue import run_queue_headless

        with Path(os.devnull).open("w") as nowhere:
            run_queue_headless(queue, start_run, Console(file=nowhere) if silent else None)
        return
    dropped = queue.drop_waiting()
    if silent or len(queue.runs) < 2 or not (queue.ended or dropped):
        return
    from reid_tui.headless_queue import queue_lines

    for line in queue_lines(queue):
        say(line.plain, sys.stdout)


def _start_detached(profile: Profile) -> MakeRun:
    from core.run_folder import new_run_folder
    from reid_tui.attached_run import AttachedRun

    folder = new_run_folder(profile)
    return partial(AttachedRun, folder, process=start(folder))


def _see_to_the_end(live: LiveRun, state: RunState, *, crashed: bool, silent: bool) -> None:
    """Join the thread of the run; signals ask it to stop, they do not tear it down."""
    with _signals_stop(live, silent=silent):
        if silent:
            if live.finished is None:
                say(TERMINAL_GONE, sys.stderr)  # into the log of the run
        elif state.finished is None:  # the screen has not shown the end
            if live.control.stopping_after_batch:
                say(_stopping(live), sys.stderr)
            elif crashed:
                say("The screen has failed; the training goes on. Ctrl-C stops it and saves FINAL.", sys.stderr)
            else:
                say("The training goes on. Ctrl-C stops it and saves FINAL.", sys.stderr)
        elif not live.join(0.5):
            say("closing the files of the run …", sys.stderr)
        ended = False
        while not ended:
            ended = live.join(0.2)
            for event in live.take():
                fold(state, event)
                if not silent:
                    _tell(event)
                elif isinstance(event, RunStarted):
                    lead_away((1, 2), log_file_of(state))


def _stopping(live: LiveRun) -> str:
    if live.built:
        return "stopping after the batch in hand, and saving FINAL …"
    return "stopping as soon as model and data are loaded; Ctrl-C ends it at once, for nothing is trained yet …"


def _tell(event: Event) -> None:
    """What a person without the screen should still see."""
    if isinstance(event, CheckpointSaved):
        say(f"saved {event.path}", sys.stderr)
    elif isinstance(event, Alert) and event.level != "info":
        say(f"{event.title}: {event.message}", sys.stderr)


@contextlib.contextmanager
def _signals_stop(live: LiveRun, *, silent: bool) -> Iterator[None]:
    def stop(number: int, _frame: object) -> None:
        if not live.built and live.control.stopping_after_batch:
            # What is being built may wait for a download that never comes. Nothing is lost with it.
            if not silent:
                say("interrupted while the run was being built; nothing was trained, nothing was saved", sys.stderr)
            os._exit(EXIT_INTERRUPTED)
        live.control.stop_after_batch(f"stopped by {signal.Signals(number).name}")
        if not silent:
            say(_stopping(live), sys.stderr)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    before[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def summary(state: RunState) -> list[str]:
    """The last words: why the run ended, how good it became, where its files are."""
    finished, started, best, baseline = state.finished, state.started, state.best, state.baseline
    lines = []
    if finished is not None:
        lines.append(f"{_end(finished)}: {finished.message}")
    if best is not None:
        text = f"best Rank-1 {percent(best.rank1)}, mAP {percent(best.mAP)} at epoch {best.epoch}"
        if baseline is not None:
            text += f"; baseline Rank-1 {percent(baseline.rank1)}"
        lines.append(text + (f"; on {started.validated_on}" if started else ""))
    if folder := (started.folder if started else finished.folder if finished else ""):
        lines.append(f"files in {folder}")
    if finished is not None:
        lines += [f"  {Path(path).name}" for path in finished.checkpoints]
        lines += [f"not saved: {what}" for what in finished.not_saved]
        if state.resumable:
            lines.append(f"go on with: {resume_command(finished.folder)}")
    return [clean(part) for line in lines for part in line.splitlines()]


def _end(finished: RunFinished) -> str:
    return f"{_ENDS[finished.reason]} after {plural(finished.epoch, 'epoch')}, {duration(finished.seconds)}"


def say(line: str, stream: TextIO) -> None:
    """A line to a terminal that may be gone, or have another encoding."""
    encoding = stream.encoding or "utf-8"
    if locale_is_ascii(os.environ):
        line = to_ascii(line)
    with contextlib.suppress(OSError, ValueError):
        stream.write(line.encode(encoding, "replace").decode(encoding) + "\n")
    flush(stream)
