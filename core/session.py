"""A run with its run folder: the trainer, the recorder, and the words for whatever goes wrong."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from core.checkpoint import Checkpoint
from core.control import RunControl
from core.control_socket import ControlServer
from core.data_wait import DataWait
from core.emitter import Emitter
from core.errors import ReidError
from core.events import Alert, EpochMetrics, Event, Level, LogLine, RunFinished
from core.faults import explain
from core.history import read_history
from core.profile import Profile
from core.recorder import Recorder
from core.run_folder import clear_leftovers, new_run_folder, resumed_profile, save_profile
from core.run_list import remember
from core.run_lock import held
from core.run_state import Past
from core.saver import newest_checkpoint
from core.system import SystemMonitor
from core.trainer import Trainer
from core.watch import Watch, Watched

Listener = Callable[[Event], None]


def run_profile(profile: Profile, listen: Listener, control: RunControl) -> RunFinished:
    """Train what the profile says in a run folder of its own; everything is told to `listen`.

    The last event is always `RunFinished`, whatever happens; `failed` comes with an `Alert` that says what and what to
    do. Nothing is raised for a fault of the run.
    """
    began = time.monotonic()
    try:
        folder = new_run_folder(profile)
        with held(folder):
            return _train(profile, folder, None, listen, control)
    except (ReidError, OSError) as error:
        return _failed(error, listen, began)


def resume_run(
    folder: Path, overrides: Sequence[str], listen: Listener, control: RunControl, lock: int | None = None
) -> RunFinished:
    """Go on with a run in its folder, from its newest LAST that can be read, or from the start where it has none yet.

    `listen` is told first what was so far (`Past`), so that a screen shows the whole run. For the rest as
    `run_profile`.

    Args:
        folder: the run folder.
        overrides: `table.key=value` each, for what is safe to change.
        lock: the folder's, where it was handed over to this process.
    """
    began = time.monotonic()
    try:
        profile = resumed_profile(folder, overrides)
        with held(folder, lock):  # from here on nobody else reads or writes what is about to change
            clear_leftovers(folder)
            checkpoint, problems = newest_checkpoint(folder)
            past = read_history(folder).state.cut_off()
            watch = Watch()
            watch.remember(past)
            listen(Past(past.now, past))
            if overrides:
                save_profile(folder, profile)
            return _train(profile, folder, checkpoint, listen, control, problems, watch)
    except (ReidError, OSError) as error:
        return _failed(error, listen, began)


def _train(
    profile: Profile,
    folder: Path,
    resume: Checkpoint | None,
    listen: Listener,
    control: RunControl,
    damaged: Sequence[str] = (),
    watch: Watch | None = None,
) -> RunFinished:
    """The run itself, in a folder that is held.

    `damaged`: what is wrong with checkpoints that were passed over; `watch`: knows the events of a resumed run so far.
    """
    began = time.monotonic()
    history = [EpochMetrics(**row) for row in resume.extra["resume"]["history"]] if resume else []
    lost = bool(damaged) and resume is None
    recorder = Recorder(folder, None if lost else history)
    emitter = Emitter(recorder, listen)
    emit = Watched(emitter, watch or Watch())
    data_wait = DataWait()
    with closing(recorder), _log_lines(emit), _door(folder, control, emit), SystemMonitor(emit, folder, data_wait):
        trainer: Trainer | None = None
        try:
            for problem in damaged:
                emit(Alert(time.time(), "error", "A damaged checkpoint is passed over", problem))
            if lost:
                raise ReidError("The run cannot be resumed", "none of its checkpoints can be read")
            trainer = Trainer(profile, folder, emit, control, resume, data_wait)
            finished = trainer.run()
        except Exception as error:  # noqa: BLE001 - the run's last word: every kind is told, none is dropped
            finished = _failed(error, emit, began, trainer)
        except BaseException as error:
            _failed(error, emit, began, trainer)
            raise
    return emitter.finished or finished


@contextmanager
def _door(folder: Path, control: RunControl, emit: Listener) -> Iterator[None]:
    """Let other processes of this user find the run and tell it things; where they cannot, it trains all the same."""
    try:
        remember(folder)
    except OSError as error:
        emit(LogLine(time.time(), "warning", f"`reid-tui runs` will not list this run from elsewhere: {error}"))
    with ExitStack() as entered:
        try:
            entered.enter_context(ControlServer(folder, control))
        except OSError as error:
            text = f"no control socket: other screens and commands can watch this run, not tell it things: {error}"
            emit(LogLine(time.time(), "warning", text))
        yield


def _failed(error: BaseException, emit: Listener, began: float, trainer: Trainer | None = None) -> RunFinished:
    fault = explain(error, trainer)
    if fault.unforeseen:
        for line in "".join(traceback.format_exception(error)).splitlines():
            emit(LogLine(time.time(), "error", line))
    emit(Alert(time.time(), "error", fault.title, fault.message))
    finished = RunFinished(
        time.time(),
        "failed",
        f"{fault.title}: {fault.message}",
        epoch=trainer.state.epochs_done if trainer else 0,
        seconds=time.monotonic() - began,
        checkpoints=tuple(str(path) for path in trainer.saver.saved.values()) if trainer else (),
        folder=str(trainer.folder) if trainer else "",
        not_saved=trainer.saver.not_saved if trainer else (),
    )
    emit(finished)
    return finished


class _ToEvents(logging.Handler):
    def __init__(self, emit: Listener) -> None:
        super().__init__(logging.WARNING)
        self._emit = emit

    def emit(self, record: logging.LogRecord) -> None:
        level: Level = "error" if record.levelno >= logging.ERROR else "warning"
        self._emit(LogLine(record.created, level, self.format(record)))  # with the traceback, if it has one


@contextmanager
def _log_lines(emit: Listener) -> Iterator[None]:
    """Python's warnings and log records become log lines of the run, for as long as it lasts."""
    handler = _ToEvents(emit)
    root = logging.getLogger()
    root.addHandler(handler)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        root.removeHandler(handler)
