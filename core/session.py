"""A run with its run folder: the trainer, the recorder, and the words for whatever goes wrong."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import torch

from core.atomic import atomic_write
from core.checkpoint import Checkpoint
from core.control import RunControl
from core.emitter import Emitter
from core.errors import ReidError
from core.events import Alert, EpochMetrics, Event, Level, LogLine, Paused, RunFinished
from core.naming import make_run_folder, run_folder_name
from core.profile import Profile
from core.profile_files import expand, write_profile
from core.recorder import Recorder
from core.run_folder import clear_leftovers, held, past_events, resumed_profile
from core.saver import newest_checkpoint
from core.trainer import Trainer

Listener = Callable[[Event], None]


def run_profile(profile: Profile, listen: Listener, control: RunControl) -> RunFinished:
    """Train what the profile says in a run folder of its own; everything is told to `listen`.

    The last event is always `RunFinished`, whatever happens; `failed` comes with an `Alert` that says what and what to
    do. Nothing is raised for a fault of the run.
    """
    began = time.monotonic()
    try:
        folder = make_run_folder(expand(profile.run.dir).resolve(), run_folder_name(profile, datetime.now()))
        _save_profile(folder, profile)
        with held(folder):
            return _train(profile, folder, None, listen, control)
    except (ReidError, OSError) as error:
        return _failed(error, listen, began)


def resume_run(folder: Path, overrides: Sequence[str], listen: Listener, control: RunControl) -> RunFinished:
    """Go on with a run in its folder, from its newest LAST that can be read, or from the start where it has none yet.

    `listen` is told the events so far first, so that a screen shows the whole run. For the rest as `run_profile`.

    Args:
        folder: the run folder.
        overrides: `table.key=value` each, for what is safe to change.
    """
    began = time.monotonic()
    try:
        profile = resumed_profile(folder, overrides)
        with held(folder):  # from here on nobody else reads or writes what is about to change
            clear_leftovers(folder)
            checkpoint, problems = newest_checkpoint(folder)
            for event in past_events(folder):
                if not isinstance(event, RunFinished | Paused | Alert):  # those ends, pauses and faults are over
                    listen(event)
            for problem in problems:
                listen(Alert(time.time(), "error", "A damaged checkpoint is passed over", problem))
            if checkpoint is None and problems:
                raise ReidError("The run cannot be resumed", "none of its checkpoints can be read")
            if overrides:
                _save_profile(folder, profile)
            return _train(profile, folder, checkpoint, listen, control)
    except (ReidError, OSError) as error:
        return _failed(error, listen, began)


def _train(
    profile: Profile, folder: Path, resume: Checkpoint | None, listen: Listener, control: RunControl
) -> RunFinished:
    """The run itself, in a folder that is held."""
    began = time.monotonic()
    history = [EpochMetrics(**row) for row in resume.extra["resume"]["history"]] if resume else []
    recorder = Recorder(folder, history)
    emit = Emitter(recorder, listen)
    trainer = Trainer(profile, folder, emit, control, resume)
    with closing(recorder), _log_lines(emit):
        try:
            finished = trainer.run()
        except Exception as error:  # noqa: BLE001 - the run's last word: every kind is told, none is dropped
            finished = _failed(error, emit, began, trainer)
        except BaseException as error:
            _failed(error, emit, began, trainer)
            raise
    return emit.finished or finished


def _save_profile(folder: Path, profile: Profile) -> None:
    def write(file: BinaryIO) -> None:
        file.write(write_profile(profile).encode())

    atomic_write(folder / "profile.toml", write)


def _failed(error: BaseException, emit: Listener, began: float, trainer: Trainer | None = None) -> RunFinished:
    if isinstance(error, ReidError):
        title, message = error.title, error.message
    elif isinstance(error, torch.OutOfMemoryError):
        title = "Out of GPU memory"
        message = "lower train.batch_size or data.image_size, or set run.precision to bf16"
    elif isinstance(error, KeyboardInterrupt):
        title, message = "Interrupted", "the run was ended at once"
    elif isinstance(error, OSError):
        title, message = "A file cannot be written or read", _words(error)
    else:
        title, message = type(error).__name__, str(error) or "no message; the log has the traceback"
        for line in "".join(traceback.format_exception(error)).splitlines():
            emit(LogLine(time.time(), "error", line))
    emit(Alert(time.time(), "error", title, message))
    finished = RunFinished(
        time.time(),
        "failed",
        f"{title}: {message}",
        epoch=trainer.epochs_done if trainer else 0,
        seconds=time.monotonic() - began,
        checkpoints=tuple(str(path) for path in trainer.saver.saved.values()) if trainer else (),
        folder=str(trainer.folder) if trainer else "",
        not_saved=trainer.saver.not_saved if trainer else (),
    )
    emit(finished)
    return finished


def _words(error: OSError) -> str:
    """The file, and what the system says of it."""
    return f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)


class _ToEvents(logging.Handler):
    def __init__(self, emit: Listener) -> None:
        super().__init__(logging.WARNING)
        self._emit = emit

    def emit(self, record: logging.LogRecord) -> None:
        level: Level = "error" if record.levelno >= logging.ERROR else "warning"
        self._emit(LogLine(record.created, level, record.getMessage()))


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
