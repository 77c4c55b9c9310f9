"""Events to the files and to the screen, with a disk that is full for a while or to the end."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from core import emitter as emitter_module
from core.emitter import Emitter
from core.events import Alert, EpochFinished, EpochMetrics, Event, LogLine, Progress, RunFinished, from_json
from core.recorder import Recorder
from tests.core.full_disk import Disk

NO_ROOM = "No space left on device"


class Run:
    """What the screen was told, and what is in the folder."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(emitter_module, "END_PAUSES", (0.0,))
        self.folder = folder
        self.screen: list[Event] = []
        self.emit = Emitter(Recorder(folder), self.screen.append)
        self.disk = Disk(monkeypatch)

    def recorded(self) -> list[Event]:
        return [from_json(line) for line in (self.folder / "events.jsonl").read_text().splitlines()]

    def epochs(self) -> list[str]:
        with (self.folder / "metrics.csv").open(newline="") as file:
            return [row["epoch"] for row in csv.DictReader(file)]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    return Run(tmp_path, monkeypatch)


def alerts(events: list[Event]) -> list[tuple[str, str]]:
    return [(event.level, event.title) for event in events if isinstance(event, Alert)]


def test_an_outage_is_told_once_at_each_end_and_nothing_is_lost(run: Run) -> None:
    run.emit(LogLine(1.0, "info", "before"))
    run.disk.room = 10
    for epoch in range(3):
        run.emit(EpochFinished(2.0 + epoch, EpochMetrics(epoch)))
    assert alerts(run.screen) == [("error", "The run folder cannot be written")], "the screen knows at once"
    [alert] = [event for event in run.screen if isinstance(event, Alert)]
    assert str(run.folder / "events.jsonl") in alert.message and NO_ROOM in alert.message
    assert "make room" in alert.message
    run.disk.room = None
    run.emit(LogLine(6.0, "info", "after"))
    told = [("error", "The run folder cannot be written"), ("info", "The run folder can be written again")]
    assert alerts(run.screen) == told
    assert repr(run.recorded()) == repr(run.screen), "all of it, in order"
    assert run.epochs() == ["0", "1", "2"]
    log = (run.folder / "run.log").read_text().splitlines()
    assert [line.split()[3] for line in log if "epoch" in line] == ["epoch", "epoch"]
    assert sum("cannot be written" in line for line in log) == 1
    finished = RunFinished(7.0, "finished", "done", 2, 1.0)
    run.emit(finished)
    assert run.emit.finished == finished == run.screen[-1] == run.recorded()[-1]


def test_what_waits_goes_in_with_whatever_comes_next(run: Run) -> None:
    run.disk.room = 0
    run.emit(EpochFinished(1.0, EpochMetrics(0)))
    run.disk.room = None
    run.emit(Progress(2.0, "train", 1, 1, 5))
    assert run.epochs() == ["0"]


def test_the_end_says_which_files_lack_lines(run: Run) -> None:
    run.disk.room = 0
    run.emit(EpochFinished(1.0, EpochMetrics(0)))
    run.emit(RunFinished(2.0, "finished", "done", 0, 1.0, not_saved=("BEST of epoch 1: why",)))
    files = tuple(f"{name}: {NO_ROOM}" for name in ("events.jsonl", "run.log", "metrics.csv"))
    assert isinstance(run.screen[-1], RunFinished)
    assert run.screen[-1].not_saved == ("BEST of epoch 1: why", *files)
    assert run.emit.finished == run.screen[-1]


def test_an_end_that_is_the_first_not_to_fit_is_told(run: Run) -> None:
    run.emit(LogLine(1.0, "info", "before"))
    run.disk.room = 0
    run.emit(RunFinished(2.0, "finished", "done", 0, 1.0))
    assert isinstance(run.screen[-1], RunFinished)
    assert run.screen[-1].not_saved == (f"events.jsonl: {NO_ROOM}", f"run.log: {NO_ROOM}")


def test_room_that_comes_at_the_end_is_used(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def make_room(seconds: float) -> None:
        run.disk.room = None

    monkeypatch.setattr(emitter_module.time, "sleep", make_room)
    run.disk.room = 0
    run.emit(LogLine(1.0, "info", "kept"))
    run.emit(RunFinished(2.0, "finished", "done", 0, 1.0))
    assert repr(run.recorded()) == repr(run.screen)
    assert isinstance(run.screen[-1], RunFinished) and run.screen[-1].not_saved == ()


def test_lines_that_were_too_many_are_counted(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run.disk.room = 0
    for number in range(6):
        run.emit(LogLine(float(number), "info", "x" * 2**20))
    run.disk.room = None
    run.emit(LogLine(9.0, "info", "after"))
    again = run.screen[-1]
    assert isinstance(again, Alert) and "events.jsonl lacks" in again.message and "run.log lacks" in again.message
    run.emit(RunFinished(10.0, "finished", "done", 0, 1.0))
    assert isinstance(run.screen[-1], RunFinished)
    assert [what.partition(":")[0] for what in run.screen[-1].not_saved] == ["events.jsonl", "run.log"]


def test_an_older_end_lacks_nothing() -> None:
    event = from_json(
        '{"event": "RunFinished", "time": 1.0, "reason": "finished", "message": "", "epoch": 1, "seconds": 1.0}'
    )
    assert isinstance(event, RunFinished) and event.not_saved == ()
