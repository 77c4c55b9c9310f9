"""The checkpoints of a run: `<stem>_BEST.pth`, `<stem>_FINAL.pth`, and the two newest `<stem>_LAST.pth`."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

from core.atomic import atomic_write_bytes
from core.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from core.errors import WeightsError
from core.events import Alert, CheckpointKind, CheckpointSaved, EpochMetrics, Event, LogLine
from core.naming import is_stem
from core.parts import Parts
from core.run_folder import clear_leftovers

LAST, PREVIOUS = "LAST", "LAST-previous"
RETRY_SECONDS = 60.0  # between two attempts to write what could not be written
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def newest_checkpoint(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest LAST that can be read, and what is wrong with those that cannot; None where there is no LAST yet.

    Raises:
        WeightsError: what it would name the run's files is no name of this program's.
    """
    problems: list[str] = []
    for kind in (LAST, PREVIOUS):
        for path in sorted((folder / "checkpoints").glob(f"*_{kind}.pth")):
            try:
                checkpoint = load_checkpoint(path)
            except WeightsError as error:
                problems.append(f"{error.title}: {error.message}")
            else:
                _refuse_strange_stem(checkpoint, path)
                return checkpoint, problems
    return None, problems


def _refuse_strange_stem(checkpoint: Checkpoint, path: Path) -> None:
    """The files of a resumed run are named by its checkpoint: a name with folders in it would lead out of the run's.

    Damage does not make such a name, so the run is refused, rather than resumed from the checkpoint before.
    """
    resume = checkpoint.extra.get("resume")
    stem = resume.get("stem") if isinstance(resume, Mapping) else None
    if not isinstance(stem, str) or not is_stem(stem):
        raise WeightsError(
            f"Checkpoint {path} cannot be used",
            f"it would name the run's files {str(stem)[:80]!r}, as this program never does; is the file yours?",
        )


@dataclass(frozen=True)
class _Unsaved:
    """A checkpoint that could not be written."""

    epoch: int
    reason: str
    why: str  # what the system says
    tried: float  # by the monotonic clock
    content: BytesIO | None = None  # of a BEST: the weights train on, and what was best is nowhere else


class Saver:
    """Writes checkpoints; a file that cannot be written (disk full) is an alert, and training goes on.

    A BEST that cannot be written is kept in memory until it can be, or a newer one takes its place. A LAST and a
    FINAL are of the moment: the trainer saves others. One alert for each outage of a kind.

    Args:
        folder: the run folder.
        stem: what the names of the files begin with.
        emit: is told of each file, and of each that could not be written.
    """

    def __init__(self, folder: Path, stem: str, emit: Callable[[Event], None]) -> None:
        self.stem = stem
        self.saved: dict[CheckpointKind, Path] = {}
        self._folder = folder / "checkpoints"
        self._emit = emit
        self._unsaved: dict[CheckpointKind, _Unsaved] = {}

    def save(
        self,
        kind: CheckpointKind,
        parts: Parts,
        last_epoch: EpochMetrics,
        reason: str,
        resume: Mapping[str, Any] | None = None,
        *,
        routine: bool = False,
        again: bool = False,
    ) -> bool:
        """Save the last good weights, and with `resume` what it takes to go on; False if it could not be done.

        Args:
            routine: nobody asked for it.
            again: it is about what could not be saved before; that it still cannot be is not told.
        """
        parts.step.keep_good()
        extra: dict[str, Any] = {"validated_on": parts.data.validated_on}
        write = partial(
            save_checkpoint,
            model=parts.model,
            classifier=parts.classifier,
            identity_names=parts.data.identity_names,
            profile=parts.profile.tables(),
            epoch=last_epoch.epoch,
            metrics={name: value for name, value in vars(last_epoch).items() if not isinstance(value, str)},
            reason=reason,
            extra=extra if resume is None else {**extra, "resume": {**resume, "stem": self.stem}},
        )
        try:
            self._write(kind, write)
        except OSError as error:
            self._tell_unsaved(kind, error, again=again)
            content = None
            if kind == "BEST":
                write(content := BytesIO())
            self._unsaved[kind] = _Unsaved(last_epoch.epoch, reason, _words(error), time.monotonic(), content)
            return False
        self._tell_saved(kind, last_epoch.epoch, reason, routine)
        return True

    def save_best_again(self) -> None:
        """Write the BEST that could not be written, if there is one, as it was."""
        unsaved = self._unsaved.get("BEST")
        if unsaved is None or unsaved.content is None:
            return
        try:
            self._write("BEST", partial(atomic_write_bytes, data=unsaved.content.getbuffer()))
        except OSError as error:
            self._tell_unsaved("BEST", error, again=True)
            self._unsaved["BEST"] = replace(unsaved, why=_words(error), tried=time.monotonic())
            return
        self._tell_saved("BEST", unsaved.epoch, unsaved.reason, routine=False)

    def lacks(self, kind: CheckpointKind) -> bool:
        """Whether the last attempt to save this kind came to nothing."""
        return kind in self._unsaved

    def is_due(self) -> bool:
        """Whether it is time to try again."""
        tried = [unsaved.tried for kind, unsaved in self._unsaved.items() if kind != "FINAL"]
        return bool(tried) and time.monotonic() - min(tried) >= RETRY_SECONDS

    @property
    def not_saved(self) -> tuple[str, ...]:
        """What could not be written, and why."""
        return tuple(f"{kind} of epoch {unsaved.epoch}: {unsaved.why}" for kind, unsaved in self._unsaved.items())

    def _write(self, kind: CheckpointKind, write: Callable[..., None]) -> None:
        """Have it written under its name: `write(path, keep=…)`."""
        self._folder.mkdir(exist_ok=True)
        if self._unsaved:  # what could not be removed either
            clear_leftovers(self._folder.parent)
        path = self._folder / f"{self.stem}_{kind}.pth"
        previous = self._folder / f"{self.stem}_{PREVIOUS}.pth" if kind == "LAST" else None
        try:
            write(path, keep=previous)
        except OSError as error:
            if error.errno not in _NO_ROOM or previous is None or not (path.exists() and previous.exists()):
                raise
            previous.unlink()  # the newest is there; the one before it makes room for the next
            write(path, keep=previous)
        self.saved[kind] = path

    def _tell_saved(self, kind: CheckpointKind, epoch: int, reason: str, routine: bool) -> None:
        if self._unsaved.pop(kind, None):
            reason, routine = f"{reason}; saved after all", False
        path = self.saved[kind]
        self._emit(CheckpointSaved(time.time(), kind, str(path), epoch, reason, routine, _size(path)))

    def _tell_unsaved(self, kind: CheckpointKind, error: OSError, *, again: bool) -> None:
        words = f"{self._folder / f'{self.stem}_{kind}.pth'}: {_words(error)}"
        if kind not in self._unsaved:
            way_out = "it is tried again; make room, or make the folder writable"
            self._emit(Alert(time.time(), "error", f"{kind} could not be saved", f"{words}; {way_out}"))
        elif not again:
            self._emit(LogLine(time.time(), "warning", f"{kind} still cannot be saved: {words}"))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # somebody has moved it already
        return 0


def _words(error: OSError) -> str:
    return error.strerror or str(error)
