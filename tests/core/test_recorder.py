"""The state that the recorder keeps beside the events: always theirs, and never in the way of the training."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from core import recorder as recorder_module
from core.events import Event, LogLine, Progress
from core.history import History, read_history
from core.recorder import Recorder
from core.state_file import NAME, read_state
from tests.core.test_events import STARTED
from tests.run_folders import trained

LONG = "x" * 10_000


def events(count: int = 300) -> Iterator[Event]:
    yield STARTED
    for number in range(1, count + 1):
        yield from trained(number, 0.5)
        yield LogLine(float(number), "info", LONG)
        yield Progress(float(number), "train", number, 1, 4, loss=1.0)  # most of them come too soon to be recorded


def test_a_long_run_keeps_its_state_beside_its_events(tmp_path: Path) -> None:
    with closing(Recorder(tmp_path)) as recorder:
        for event in events():
            recorder(event)
    stored = read_state(tmp_path)
    assert stored is not None
    assert (tmp_path / "events.jsonl").stat().st_size - stored.position < 1.1e6
    kept = repr(read_history(tmp_path).state)
    (tmp_path / NAME).unlink()
    assert repr(read_history(tmp_path).state) == kept


def test_lines_that_are_not_in_the_file_are_not_in_the_state(tmp_path: Path) -> None:
    with closing(Recorder(tmp_path)) as recorder:
        for event in events(100):
            recorder(event)
        (tmp_path / "events.jsonl").rename(tmp_path / "aside")
        recorder._events.close()
        (tmp_path / "events.jsonl").mkdir()  # as a disk that takes nothing
        for event in events():
            recorder(event)
        assert recorder._events.error
        (tmp_path / "events.jsonl").rmdir()
        (tmp_path / "aside").rename(tmp_path / "events.jsonl")
        for event in events(200):
            recorder(event)
    kept = repr(read_history(tmp_path).state)
    (tmp_path / NAME).unlink()
    assert repr(read_history(tmp_path).state) == kept


def test_where_the_state_cannot_be_kept_nothing_else_is_lost(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / NAME).mkdir()
    with closing(Recorder(tmp_path)) as recorder:
        for event in events():
            recorder(event)
        assert recorder.news() is None and not recorder.not_saved
    assert len((tmp_path / "metrics.csv").read_text().splitlines()) == 301
    assert len((tmp_path / "events.jsonl").read_text().splitlines()) > 900
    assert not caplog.records
    assert not [*tmp_path.glob(".*.tmp")]


def test_a_fault_of_the_keeping_is_told_once_and_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(folder: Path) -> History:
        raise ZeroDivisionError("a fold")

    monkeypatch.setattr(recorder_module, "read_history", broken)
    with caplog.at_level(logging.WARNING), closing(Recorder(tmp_path)) as recorder:
        for event in events():
            recorder(event)
    [record] = caplog.records
    assert "is not kept any more" in record.message and "a fold" in (record.exc_text or caplog.text)
