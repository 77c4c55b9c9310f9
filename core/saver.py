"""The checkpoints of a run: `<stem>_BEST.pth`, `<stem>_FINAL.pth`, and the two newest `<stem>_LAST.pth`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from core.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from core.errors import WeightsError
from core.events import Alert, CheckpointKind, CheckpointSaved, EpochMetrics, Event
from core.naming import is_stem
from core.parts import Parts

LAST, PREVIOUS = "LAST", "LAST-previous"


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


class Saver:
    """Writes checkpoints; a file that cannot be written (disk full) is an alert, and training goes on.

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

    def save(
        self,
        kind: CheckpointKind,
        parts: Parts,
        last_epoch: EpochMetrics,
        reason: str,
        resume: Mapping[str, Any] | None = None,
        *,
        routine: bool = False,
    ) -> bool:
        """Save the last good weights, and with `resume` what it takes to go on; False if it could not be done."""
        parts.step.keep_good()
        path = self._folder / f"{self.stem}_{kind}.pth"
        extra: dict[str, Any] = {"validated_on": parts.data.validated_on}
        try:
            self._folder.mkdir(exist_ok=True)
            if kind == "LAST" and path.exists():
                path.replace(self._folder / f"{self.stem}_{PREVIOUS}.pth")
            save_checkpoint(
                path,
                parts.model,
                parts.classifier,
                identity_names=parts.data.identity_names,
                profile=parts.profile.tables(),
                epoch=last_epoch.epoch,
                metrics={name: value for name, value in vars(last_epoch).items() if not isinstance(value, str)},
                reason=reason,
                extra=extra if resume is None else {**extra, "resume": {**resume, "stem": self.stem}},
            )
        except OSError as error:
            words = f"{path}: {error.strerror or error}"
            self._emit(Alert(time.time(), "error", f"{kind} could not be saved", words))
            return False
        self.saved[kind] = path
        self._emit(CheckpointSaved(time.time(), kind, str(path), last_epoch.epoch, reason, routine))
        return True
