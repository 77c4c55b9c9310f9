"""The event file read while it grows: the same events, however the bytes come."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import event_file
from core.event_file import EventFile
from core.events import Event, LogLine, Paused, to_json
from tests.core.test_events import ALL

NOISE = b'\n{"event": "Paused", "time": \n\xff\xfe\n[]\n{"event": "Unheard"}\n\n'
BYTES = b"".join(to_json(event).encode() + b"\n" + NOISE for event in ALL) + b'{"event": "Pau'


def read(file: EventFile) -> list[Event]:
    """All that is there, asked for as its users do."""
    events: list[Event] = []
    while some := file.read():
        events += some
    return events


@given(st.lists(st.integers(0, len(BYTES))), st.integers(1, 3000))
@settings(max_examples=60, deadline=None)
def test_events_are_the_same_wherever_the_writing_was_when_they_were_read(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], chunk: int
) -> None:
    path = tmp_path_factory.mktemp("events") / "events.jsonl"
    file = EventFile(path)
    events = read(file)
    with pytest.MonkeyPatch.context() as patch, path.open("wb", buffering=0) as writer:
        patch.setattr(event_file, "_CHUNK", chunk)
        for begin, end in pairwise(sorted({0, *cuts, len(BYTES)})):
            writer.write(BYTES[begin:end])
            events += read(file)
    assert [to_json(event) for event in events] == [to_json(event) for event in ALL]


def test_a_torn_line_waits_for_its_end(tmp_path: Path) -> None:
    path, line = tmp_path / "events.jsonl", to_json(Paused(1.0, True))
    path.write_text(line[:10])
    file = EventFile(path)
    assert file.read() == []
    with path.open("a") as writer:
        writer.write(line[10:])
    assert file.read() == []  # whole or not: without its end nobody knows
    with path.open("a") as writer:
        writer.write("\n")
    assert file.read() == [Paused(1.0, True)]
    assert file.read() == []


def test_a_line_that_a_dead_process_left_torn_costs_nothing_but_itself(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(to_json(Paused(1.0, True))[:-5] + "\n" + to_json(Paused(2.0, False)) + "\n")
    assert EventFile(path).read() == [Paused(2.0, False)]


@pytest.mark.parametrize("damage", [b"\0", b"[", b"nonsense, and more of it\n"])
def test_more_than_a_megabyte_of_damage_does_not_hide_what_comes_after(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "events.jsonl"
    before, after = (to_json(LogLine(time, "info", "x")).encode() + b"\n" for time in (1.0, 2.0))
    path.write_bytes(before + damage * (2_500_000 // len(damage)) + b"\n" + after)
    assert [event.time for event in read(EventFile(path))] == [1.0, 2.0]


def test_a_file_that_is_not_there_yet_or_cannot_be_read(tmp_path: Path) -> None:
    file = EventFile(tmp_path / "events.jsonl")
    assert file.read() == []
    (tmp_path / "events.jsonl").write_text(to_json(Paused(1.0, True)) + "\n")
    assert file.read() == [Paused(1.0, True)]
    with pytest.raises(IsADirectoryError):
        EventFile(tmp_path).read()
