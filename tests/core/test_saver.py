"""Checkpoints that cannot be written for a while: whole runs, with a disk that refuses some of the files."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from core import atomic as atomic_module
from core import checkpoint as checkpoint_module
from core import saver as saver_module
from core import trainer as trainer_module
from core.checkpoint import load_checkpoint
from core.events import Alert, CheckpointSaved, EpochFinished, LogLine, Progress, RunFinished

NO_ROOM = os.strerror(errno.ENOSPC)


class Checkpoints:
    """A disk that does not take the kinds of checkpoints in `refused`; `attempts` counts what it refused."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.refused: set[str] = set()
        self.attempts: list[str] = []
        write = atomic_module.atomic_write

        def bounded(path: Path, *arguments: Any, **options: Any) -> None:
            kind = path.stem.rsplit("_", 1)[-1]
            if kind in self.refused:
                self.attempts.append(kind)
                raise OSError(errno.ENOSPC, NO_ROOM, str(path))
            write(path, *arguments, **options)

        for module in (atomic_module, checkpoint_module):
            monkeypatch.setattr(module, "atomic_write", bounded)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Checkpoints:
    monkeypatch.setattr(trainer_module, "DISPLAY_INTERVAL", 0.0)
    monkeypatch.setattr(trainer_module, "FINAL_PAUSES", (0.0, 0.0))
    return Checkpoints(monkeypatch)


def titles(outcome: Any) -> list[str]:
    return [alert.title for alert in outcome.of(Alert)]


def after_epoch(epoch: int, do: Callable[[], None]) -> Callable[..., None]:
    def watch(event: Any, control: Any) -> None:
        if isinstance(event, EpochFinished) and event.metrics.epoch == epoch:
            do()

    return watch


def test_a_best_is_saved_after_all_with_the_weights_of_its_epoch(train: Any, tiny_profile: Any, disk: Any) -> None:
    # Rank-1 is full from the first epoch on, so that no later epoch is better.
    undisturbed = train(tiny_profile(epochs=3))
    best = undisturbed.state.best.epoch
    disk.refused = {"BEST"}
    outcome = train(tiny_profile(epochs=3), after_epoch(best + 1, disk.refused.clear))
    assert (outcome.finished.reason, outcome.finished.not_saved) == ("finished", ())
    assert titles(outcome) == ["BEST could not be saved"]
    [saved] = [event for event in outcome.of(CheckpointSaved) if event.kind == "BEST"]
    assert (saved.epoch, saved.reason) == (best, f"best Rank-1 at epoch {best}; saved after all")
    theirs, ours = (torch.load(run.checkpoints["BEST"], weights_only=True) for run in (undisturbed, outcome))
    assert all(torch.equal(theirs["state_dict"][name], value) for name, value in ours["state_dict"].items())
    assert (ours["epoch"], ours["reason"]) == (best, theirs["reason"])


def test_a_last_is_tried_again_soon_within_the_epoch(
    train: Any, tiny_profile: Any, disk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saver_module, "RETRY_SECONDS", 0.0)
    disk.refused = {"LAST"}

    def watch(event: Any, control: Any) -> None:
        if isinstance(event, Progress) and (event.phase, event.epoch, event.done) == ("train", 2, 2):
            disk.refused.clear()

    outcome = train(tiny_profile(epochs=2, checkpoint_minutes=1000), watch)
    assert disk.attempts == ["LAST"] * 2, "at the end of epoch 1, after a batch of epoch 2"
    assert titles(outcome) == ["LAST could not be saved"]
    first, *_ = [event for event in outcome.of(CheckpointSaved) if event.kind == "LAST"]
    assert (first.epoch, first.reason, first.routine) == (1, "in epoch 2; saved after all", False)
    assert outcome.finished.not_saved == ()


def test_between_two_attempts_there_is_a_pause(train: Any, tiny_profile: Any, disk: Any) -> None:
    disk.refused = {"LAST", "BEST"}
    outcome = train(tiny_profile(epochs=3, checkpoint_minutes=1000))
    assert disk.attempts.count("LAST") == 3 + 3, "at the end of each epoch, and at the end"
    assert titles(outcome) == ["BEST could not be saved", "LAST could not be saved"]
    lines = [event.text for event in outcome.of(LogLine) if "LAST still cannot be saved" in event.text]
    assert len(lines) == 2, "one for each epoch after the alert"
    assert outcome.finished.reason == "finished"
    assert outcome.finished.not_saved == (
        f"BEST of epoch {outcome.state.best.epoch}: {NO_ROOM}",
        f"LAST of epoch 3: {NO_ROOM}",
    )


def test_final_has_a_few_attempts(train: Any, tiny_profile: Any, disk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def wait(seconds: float) -> None:
        if len(disk.attempts) == 2:
            disk.refused.clear()

    disk.refused = {"FINAL"}
    monkeypatch.setattr(time, "sleep", wait)
    outcome = train(tiny_profile())
    assert disk.attempts == ["FINAL"] * 2
    assert (outcome.finished.reason, outcome.finished.not_saved) == ("finished", ())
    assert load_checkpoint(outcome.checkpoints["FINAL"]).reason == "all epochs done"
    assert titles(outcome) == ["FINAL could not be saved"]


def test_the_older_last_makes_room_only_where_it_must(
    train: Any, tiny_profile: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two LAST fit, a third beside them does not: the newest is never touched before the next is whole."""
    write, tight = atomic_module.atomic_write, False
    kept: list[int] = []

    def bounded(path: Path, *arguments: Any, **options: Any) -> None:
        if path.stem.endswith("_LAST"):
            lasts = sorted(path.parent.glob("*_LAST*.pth"))
            kept.append(len(lasts))
            if len(lasts) == 2 and tight:
                raise OSError(errno.ENOSPC, NO_ROOM, str(path))
        write(path, *arguments, **options)

    monkeypatch.setattr(checkpoint_module, "atomic_write", bounded)
    train(tiny_profile(epochs=3))
    assert kept == [0, 1, 2]
    kept.clear()
    tight = True
    outcome = train(tiny_profile(epochs=4))
    assert kept == [0, 1, 2, 1, 2, 1]
    assert (outcome.finished.not_saved, titles(outcome)) == ((), [])
    found = {path.stem.rsplit("_", 1)[1]: load_checkpoint(path).epoch for path in outcome.folder.glob("*/*_LAST*.pth")}
    assert found == {"LAST": 4, "LAST-previous": 3}


def test_what_is_told_as_saved_is_there(train: Any, tiny_profile: Any, disk: Any) -> None:
    outcome = train(tiny_profile(epochs=4), after_epoch(2, lambda: disk.refused.add("LAST")))
    [finished] = outcome.of(RunFinished)
    assert len(finished.checkpoints) == 3 and all(Path(path).exists() for path in finished.checkpoints)
    assert load_checkpoint(outcome.checkpoints["LAST"]).epoch == 1
    assert finished.not_saved == (f"LAST of epoch 4: {NO_ROOM}",)


def test_what_could_not_be_removed_is_removed_later(train: Any, tiny_profile: Any, disk: Any) -> None:
    def watch(event: Any, control: Any) -> None:
        if isinstance(event, Alert):
            left = Path(event.message.partition(".pth")[0]).parent / ".a-part.pth.1-0.tmp"
            left.write_bytes(b"part")
            disk.refused.clear()

    disk.refused = {"LAST"}
    outcome = train(tiny_profile(), watch)
    assert titles(outcome) == ["LAST could not be saved"]
    assert not list(outcome.folder.glob("checkpoints/.*"))
